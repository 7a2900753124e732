/** Whatever passes, and whatever is wanted of it: faults never throw, keep bounds, and spoil no checksum but on purpose. */
import fc from "../support/property.js";
import { expect, test } from "vitest";
import { Frame } from "../../src/device/frame.js";
import { ACTIONS } from "../../src/faults/parse.js";
import { CLASSES } from "../../src/faults/spec.js";
import { checksumOk, Wire } from "./wire.js";

const actionTexts = Object.entries(ACTIONS).map(([key, { usage }]) => (key === "icmp" ? "icmp frag 1280" : key === "answer" ? "answer fin" : usage));
const condition = fc.constantFrom(
  "in",
  "out",
  ...Object.keys(CLASSES).map((c) => `match ${c}`),
  "nth 2..",
  "every 2",
  "byte 5",
  "byte 3..9",
  "byte 0..",
  "probability 50%",
  "time 1ms..",
  "len >3",
  "times 3",
  "has P",
  "flags .",
);
const rule = fc.tuple(fc.array(condition, { maxLength: 2 }), fc.constantFrom(...actionTexts)).map(([c, a]) => [...c, a].join(" "));
const segment = fc.record({
  direction: fc.constantFrom("in" as const, "out" as const),
  ctl: fc.integer({ min: 0, max: 255 }),
  from: fc.integer({ min: -3, max: 40 }),
  length: fc.integer({ min: 0, max: 30 }),
  ack: fc.integer({ min: -3, max: 40 }),
  window: fc.constantFrom(0, 1, 1000),
  gso: fc.constantFrom(0, 0, 7),
  partial: fc.boolean(),
  pass: fc.constantFrom(0, 1, 60),
});

test("any segments through any faults", () => {
  fc.assert(
    fc.property(fc.array(rule, { minLength: 1, maxLength: 4 }), fc.array(segment, { maxLength: 40 }), fc.integer(), (rules, segments, seed) => {
      const w = new Wire(rules.join(" then "), { seed, find: () => ({ id: 1, state: "ESTABLISHED", iss: 5, irs: 6 }) });
      for (const s of segments) {
        const frame = w.make(s.direction, s.ctl, s.from, s.length, s.ack, s.window);
        frame.gsoSize = s.length > s.gso ? s.gso : 0;
        frame.partial = s.partial || frame.gsoSize > 0;
        if (s.direction === "in") w.faults.incoming(frame);
        else w.faults.outgoing(frame);
        w.pass(s.pass);
      }
      w.faults.release();
      w.pass(10_000);
      const held = w.faults.list().reduce((n, f) => n + f.held, 0);
      expect(held).toBe(0);
      if (!rules.some((r) => /corrupt|badsum/.test(r))) expect(w.frames.every(({ frame }) => frame.bytes[9] !== 6 || checksumOk(frame))).toBe(true);
      w.faults.clear();
    }),
    { numRuns: 300 },
  );
});

test("any octets: what is no TCP segment passes as it is", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, inward) => {
      const w = new Wire("as a set urgent 0 then mangle then loss 0% then delay 0ms");
      const before = bytes.slice();
      if (inward) w.faults.incoming(Frame.of(bytes));
      else w.faults.outgoing(Frame.of(bytes));
      w.pass(1);
      expect(w.frames).toHaveLength(1);
      if (w.events.length === 0) expect(w.frames[0]?.frame.bytes).toEqual(before);
    }),
  );
});

test("headers with one octet wrong pass or are handled, never thrown", () => {
  const spec = actionTexts.filter((a) => !/^(blackhole|hold|rst|fin|answer|drop|icmp)/.test(a)).join(" then ");
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 75 }), fc.integer({ min: 0, max: 255 }), fc.boolean(), (at, octet, syn) => {
      const w = new Wire(spec);
      const frame = w.make("out", syn ? 18 : 24, 1, 20, 1, 1000);
      if (at < frame.length) frame.bytes[at] = octet;
      w.faults.outgoing(frame);
      w.pass(100_000);
    }),
  );
});

test("what is held or delayed has a bound; what comes on top is lost and said to be", () => {
  for (const spec of ["in data hold", "in data delay 1h"]) {
    const w = new Wire(spec).shake();
    for (let i = 0; i < 16_400; i++) w.faults.incoming(w.make("in", 24, 1, 1, 1, 1000));
    expect(w.events.filter((e) => e.kind === "fault" && e.act === "drop")).toHaveLength(16_400 - 16_384);
  }
});

test("a name that is used again begins to count anew", () => {
  const w = new Wire("as x in data nth 1 drop").shake();
  expect(w.say("in P. 1:2 ack 1\nin P. 1:2 ack 1")).toHaveLength(1);
  w.faults.add("as keep port 9 drop");
  w.faults.remove("x");
  w.faults.add("as x in data nth 1 drop");
  expect(w.say("in P. 2:3 ack 1\nin P. 2:3 ack 1")).toHaveLength(1);
});
