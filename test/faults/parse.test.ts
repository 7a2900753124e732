/** The fault language: all spellings mean the same, canonical text reads back, and a wrong word is pointed at. */
import fc from "../support/property.js";
import { describe, expect, test } from "vitest";
import { ACTIONS, CONDITIONS, parseFault, parseFaults } from "../../src/faults/parse.js";
import { CLASSES, formatFault } from "../../src/faults/spec.js";
import { FaultSpecError } from "../../src/faults/words.js";

const wrong = (text: string): { why: string; pointer: string } => {
  try {
    parseFaults(text);
  } catch (error) {
    if (error instanceof FaultSpecError) return { why: error.message, pointer: error.pointer };
    throw error;
  }
  throw new Error(`"${text}" was accepted`);
};

describe("one grammar", () => {
  test("command line, key=value and plain words say the same", () => {
    const spellings = [
      "--port 80 --match synack --nth 1,2 drop",
      "port=80 match=synack nth=1,2 drop",
      "port 80 synack nth 1,2 drop",
      "drop port 80 synack nth 1-1,2..2",
      "--port=80 --match=synack --nth=1,2 drop",
    ];
    for (const s of spellings) expect(formatFault(parseFault(s))).toBe("port 80 match synack nth 1,2 drop");
  });
  test("then, semicolons and lines part faults; a scope holds for all of them", () => {
    const specs = parseFaults("port 80: synack nth 1,2 drop; loss 5% then out byte 100_000 rst\n# nothing\n");
    expect(specs.map(formatFault)).toEqual(["port 80 match synack nth 1,2 drop", "port 80 loss 5%", "port 80 out byte 100000 rst"]);
  });
  test("fin and rst are classes beside another action, else the action", () => {
    expect(formatFault(parseFault("out fin drop"))).toBe("out match fin drop");
    expect(formatFault(parseFault("in data nth 2 rst"))).toBe("in match data nth 2 rst");
    expect(formatFault(parseFault("in fin rst"))).toBe("in match fin rst");
    expect(formatFault(parseFault("match rst,fin drop"))).toBe("match rst,fin drop");
  });
  test("blackhole after octets or time is short for a condition", () => {
    expect(formatFault(parseFault("out blackhole after 10kB"))).toBe("out byte 10000.. blackhole");
    expect(formatFault(parseFault("blackhole after 5s"))).toBe("time 5s.. blackhole");
  });
});

describe("a wrong spec points at the wrong word", () => {
  test.each([
    ["port 80 synack dorp", "dorp", /did you mean "drop"/],
    ["port 80 match sinack drop", "sinack", /no kind of segment is called "sinack"; did you mean "synack"/],
    ["match syn,bogus drop", "bogus", /no kind of segment/],
    ["port 99999 drop", "99999", /ports/],
    ["nth 0 drop", "0", /counts from 1/],
    ["delay soon", "soon", /a time such as 200ms, not "soon"/],
    ["data loss 150%", "150%", /a chance/],
    ["flags SX drop", "SX", /tcpdump's letters/],
    ["state FIN-WAIT-9 drop", "FIN-WAIT-9", /TCP states/],
    ["source 10.0.0.300 drop", "10.0.0.300", /IPv4 address/],
    ["drop delay 3s", "delay", /second action, after "drop"; put "then"/],
    ["set colour 3", "colour", /one of window ack/],
    ["byte 9..3 rst", "9..3", /octet/],
    ["drop: port 80", "drop", /only conditions stand before/],
    ["port 80: drop; port 90: drop", ":", /comes once/],
    ["as 9lives drop", "9lives", /a name/],
    ["icmp frag", " ", /MTU/],
  ])("%s", (text, word, why) => {
    const e = wrong(text);
    expect(e.why).toMatch(why);
    const [line, carets] = e.pointer.split("\n") as [string, string];
    const at = carets.indexOf("^");
    expect(`${line} `.slice(at, at + carets.trim().length)).toBe(word);
  });
  test.each(["", "   ", "port 80", "port", ";;", "# only a comment", "then drop"])("no action: %j", (text) => {
    expect(wrong(text).why).toMatch(/no action|no fault|wants/);
  });
  test("a caret in a spec of several lines stands under its own line", () => {
    expect(wrong("port 80 drop\n  port 81 dorp").pointer).toBe("  port 81 dorp\n          ^^^^");
  });
});

test("every usage in the tables of conditions and actions is read", () => {
  for (const [key, { usage }] of Object.entries(CONDITIONS)) expect(() => parseFaults(`${usage} drop`), key).not.toThrow();
  for (const [key, { usage }] of Object.entries(ACTIONS)) {
    const text = key === "icmp" ? "icmp frag 1280" : key === "answer" ? "answer rst" : usage;
    expect(() => parseFaults(text), key).not.toThrow();
  }
});

test.each([
  ["dir in drop", "in drop"],
  ["match syn,fin drop", "syn fin drop"],
  ["answer rst", "rst"],
  ["set window 0", "window 0"],
  ["isn 4294967280", "isn 0xfffffff0"],
  ["--port=80 --match synack drop", "port 80 synack drop"],
])("%s is %s", (one, other) => {
  expect(parseFault(one)).toEqual(parseFault(other));
});

test.each(["then drop", "drop then then drop", "port 80: then drop"])("a rule without an action before its end is pointed at: %s", (text) => {
  expect(() => parseFaults(text)).toThrow(/no action before this/);
});

test("the canonical text of any fault reads back to the same fault", () => {
  const count = fc.integer({ min: 1, max: 1000 });
  const condition = fc.oneof(
    fc.integer({ min: 0, max: 65_535 }).map((p) => `port ${p}`),
    fc.constantFrom("in", "out"),
    fc.subarray(Object.keys(CLASSES), { minLength: 1 }).map((c) => `match ${c.join(",")}`),
    count.map((n) => `nth ${n}..`),
    count.map((n) => `byte ${n}..${n + 10}`),
    fc.constantFrom(
      "state ESTAB",
      "flags S.",
      "flags none",
      "has P",
      "len >10",
      "len 0",
      "time 1s..2.5s",
      "for 1500ms",
      "source 10.0.0.0/8",
      "source 10.0.0.1",
      "source-port 40000..",
      "dir out",
      "conn 3",
      "probability 12.5%",
      "times 2",
      "every 3",
      "as name-1",
    ),
  );
  const action = fc.oneof(
    fc.constantFrom(
      "drop",
      "badsum",
      "rst",
      "fin",
      "blackhole",
      "hold",
      "reorder",
      "corrupt 3",
      "duplicate 3",
      "mangle",
      "icmp host",
      "icmp frag 1280",
      "burst 1% 30%",
      "rate 1.5mbit",
      "rate 100B/s queue 5",
      "set ack +1000",
      "set seq -1",
      "window 0",
      "set mss 0",
      "isn 0xfffffff0",
    ),
    count.map((n) => `delay ${n}ms jitter ${n}us`),
    count.map((n) => `truncate ${n}`),
    count.map((n) => `split ${n}`),
    count.map((n) => `loss ${n / 1000}`),
    count.map((n) => `hold ${n}ms`),
  );
  fc.assert(
    fc.property(fc.array(condition, { maxLength: 5 }), action, (conditions, a) => {
      const spec = parseFault([...conditions, a].join(" "));
      expect(parseFault(formatFault(spec))).toEqual(spec);
    }),
  );
});

test("no text whatever makes the reader throw anything but its own error", () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(...Object.keys(CONDITIONS), ...Object.keys(ACTIONS), ":", ";", "then", "__proto__", "constructor", "toString", "--", "=", "1..", ".."),
  );
  fc.assert(
    fc.property(
      fc.array(word).map((w) => w.join(" ")),
      (text) => {
        try {
          parseFaults(text);
        } catch (error) {
          expect(error).toBeInstanceOf(FaultSpecError);
          expect((error as FaultSpecError).pointer).toContain("^");
        }
      },
    ),
  );
});
