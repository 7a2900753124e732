import fc from "../support/property.js";
import { describe, expect, test } from "vitest";
import { type Filter, formatFilter, matches, parseFilter, parseHost } from "../../src/cli/ss/filter.js";
import { attention, infoText, timerTime } from "../../src/cli/ss/info.js";
import { kernelLines, kernelRows } from "../../src/cli/ss/pair.js";
import { rowOfConnection, rowOfListener } from "../../src/cli/ss/row.js";
import { parseSelection, selectRows } from "../../src/cli/ss/select.js";
import { netstatTable, ssTable, summary, type TableOptions } from "../../src/cli/ss/table.js";
import { STATES } from "../../src/tcp/state.js";
import { connectionRow, FakeDaemon, listenerRow } from "../control/fake.js";

const row = (localPort: number, remotePort: number, remote = "10.77.0.1") =>
  rowOfConnection(connectionRow({ local: { address: "10.77.0.2", port: localPort }, remote: { address: remote, port: remotePort } }));
const holds = (text: string, r = row(80, 50_000)): boolean => {
  const filter = parseFilter(text.split(" "));
  return filter === undefined || matches(filter, r);
};

describe("filter expressions", () => {
  test.each([
    ["sport = :80", true],
    ["sport 80", true],
    ["sport = :http", true],
    ["sport == http", true],
    ["sport != :80", false],
    ["sport ne 80", false],
    ["dport gt :1024", true],
    ["dport < 50000", false],
    ["dport <= 50000", true],
    ["dport ge 50001", false],
    ["dport = *", true],
    ["dst 10.77.0.1", true],
    ["dst 10.0.0.0/8", true],
    ["dst 10.77.0.1:50000", true],
    ["dst 10.77.0.1:1", false],
    ["dst :50000", true],
    ["dst *:50000", true],
    ["dst 10.77/16", true],
    ["dst 10.77.0.0/255.255.0.0", true],
    ["dst != 10.77.0.1", false],
    ["src 10.77.0.2 and dst 192.168.0.0/16", false],
    ["dst 0.0.0.0/0", true],
    ["( sport = :80 or sport = :443 ) and not dport = 1", true],
    ["not sport = 80", false],
    ["! sport = 80", false],
    ["sport = 81 or dport = 50000", true],
    ["sport = 80 dport = 50000", true],
    ["sport = 80 && dport = 1", false],
    ["sport = 81 || dport = 50000", true],
    // Spaces may be left out, which ss itself does not allow.
    ["sport=:80", true],
    ["(sport=:80 or dport=1)and dst 10.0.0.0/8", true],
    ["dport>=50000", true],
    ["!sport=80", false],
    ["sport!=80", false],
    // From left to right, as ss does it; not takes the next condition only.
    ["sport = 80 or sport = 81 and dport = 1", false],
    ["sport = 80 or ( sport = 81 and dport = 1 )", true],
    ["sport = 81 or sport = 80 dport = 50000", true],
    ["not sport = 81 and dport = 1", false],
    ["not ( sport = 81 and dport = 1 )", true],
    ["autobound", false],
  ])("%s", (text, expected) => {
    expect(holds(text)).toBe(expected);
  });

  test("a listener has port 0 and no address at its other end, as in the kernel", () => {
    const listener = rowOfListener(listenerRow(80));
    expect(holds("dport = 0", listener)).toBe(true);
    expect(holds("dst 0.0.0.0", listener)).toBe(true);
    expect(holds("dport = 80", listener)).toBe(false);
  });

  test.each([
    ["dport =", /port behind dport is missing at the end/],
    ["dport = nosuch", /"nosuch" is not a port/],
    ["dport = 65536", /not a port/],
    ["dst 1.2.3.4/33", /not an address/],
    ["dst 256.1.1.1", /not an address/],
    ["dst ::1", /IPv6/],
    ["dst gt 1.2.3.4", /= and !=/],
    ["( dport = 80", /"\)" is missing at the end/],
    ["dport = 80 )", /nothing more is expected at "\)"/],
    ["and", /expected at "and"/],
    ["nonsense", /at "nonsense"/],
    ["sport = 80 or", /missing at the end/],
    ["dev lo", /kernel/],
    ["( )", /expected at "\)"/],
    ["dport = 80 , sport = 80", /at ","/],
    ["not", /condition is missing/],
  ])("%s is refused and the word named", (text, message) => {
    expect(() => parseFilter(text.split(" "))).toThrow(message);
    expect(() => parseFilter(text.split(" "))).toThrow(expect.objectContaining({ exitCode: 2 }) as Error);
  });

  test("no words can do worse than a usage error: any text, any depth", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(fc.constantFrom("(", ")", "not", "!", "and", "or", "dport", "sport", "dst", "src", "=", "!=", ">=", ":80", "10.0.0.1/8", "*"), fc.string()),
          { maxLength: 20 },
        ),
        (words) => {
          try {
            parseFilter(words);
          } catch (error) {
            expect(error).toMatchObject({ exitCode: 2 });
          }
        },
      ),
    );
    expect(() => parseFilter([..."(".repeat(100_000)])).toThrow(/too deep/);
    expect(() => parseFilter(Array(100_000).fill("not") as string[])).toThrow(/too deep/);
  });

  const host = fc.record({
    prefix: fc.option(fc.record({ address: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), length: fc.integer({ min: 0, max: 32 }) }), { nil: undefined }),
    port: fc.option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined }),
  });
  const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 5 },
      fc.record({ kind: fc.constant("host" as const), side: fc.constantFrom("src" as const, "dst" as const), host }),
      fc.record({
        kind: fc.constant("port" as const),
        side: fc.constantFrom("src" as const, "dst" as const),
        comparison: fc.constantFrom("=" as const, "!=" as const, "<" as const, "<=" as const, ">" as const, ">=" as const),
        port: fc.option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined }),
      }),
      fc.record({ kind: fc.constant("not" as const), of: tie("filter") }),
      fc.record({ kind: fc.constantFrom("and" as const, "or" as const), left: tie("filter"), right: tie("filter") }),
    ),
  }));
  test("what is printed is read back as the same filter, with and without spaces around brackets", () => {
    fc.assert(
      fc.property(filter, (f) => {
        const text = formatFilter(f);
        expect(parseFilter(text.split(" "))).toEqual(f);
        expect(parseFilter([text.replaceAll("( ", "(").replaceAll(" )", ")")])).toEqual(f);
      }),
    );
  });

  test("a prefix matches exactly the addresses that share its first bits", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.integer({ min: 0, max: 32 }),
        (a, b, length) => {
          const text = (n: number): string => [24, 16, 8, 0].map((s) => (n >>> s) & 255).join(".");
          const bits = (n: number): string => (n >>> 0).toString(2).padStart(32, "0").slice(0, length);
          expect(matches({ kind: "host", side: "dst", host: parseHost(`${text(a)}/${length}`) }, row(1, 2, text(b)))).toBe(bits(a) === bits(b));
        },
      ),
    );
  });
});

describe("states", () => {
  const states = (words: string, flags = {}): string[] =>
    [
      ...parseSelection(
        words.split(" ").filter((w) => w !== ""),
        { all: false, listening: false, ...flags },
      ).states,
    ].sort();
  const but = (...out: string[]): string[] => STATES.filter((s) => !out.includes(s)).sort();
  test.each([
    ["state time-wait", ["TIME-WAIT"]],
    ["state FIN_WAIT2 state syn-rcv", ["FIN-WAIT-2", "SYN-RECEIVED"]],
    ["state connected", but("LISTEN", "CLOSED")],
    ["state synchronized", but("LISTEN", "CLOSED", "SYN-SENT")],
    ["state bucket", ["SYN-RECEIVED", "TIME-WAIT"]],
    ["state big", but("SYN-RECEIVED", "TIME-WAIT")],
    ["state all", but()],
    ["exclude time-wait", but("TIME-WAIT")],
    ["state connected exclude bucket", but("LISTEN", "CLOSED", "SYN-RECEIVED", "TIME-WAIT")],
    ["state unconnected", ["CLOSED"]],
    ["state listening", ["LISTEN"]],
    ["", but("LISTEN", "CLOSED", "TIME-WAIT", "SYN-RECEIVED")],
  ])("%s", (words, expected) => {
    expect(states(words)).toEqual(expected);
  });
  test("-a and -l", () => {
    expect(states("", { all: true })).toEqual(but());
    expect(states("", { listening: true })).toEqual(["LISTEN"]);
  });
  test("a wrong name is refused with all right ones", () => {
    expect(() => states("state nosuch")).toThrow(/wrong state name: nosuch/);
    expect(() => states("state")).toThrow(/needs the name/);
  });
});

const plain: TableOptions = {
  numeric: true,
  tcpOnly: true,
  header: true,
  hideState: false,
  timers: false,
  extended: false,
  memory: false,
  info: false,
  processes: false,
  oneLine: false,
  pid: 7,
  sizes: { receiveBuffer: 4_096, sendBuffer: 8_192 },
};

describe("the table", () => {
  const rows = [
    rowOfListener(listenerRow(80)),
    rowOfConnection(connectionRow()),
    rowOfConnection(
      connectionRow({
        id: 2,
        state: "FIN-WAIT-2",
        sendQ: 3_780_608,
        remote: { address: "192.168.100.100", port: 9 },
        timer: { name: "finWait2", inMs: 59_400 },
      }),
    ),
  ];
  test("columns line up as ss lines them up", () => {
    expect(ssTable(rows, plain)).toBe(
      [
        "State      Recv-Q Send-Q  Local Address:Port    Peer Address:Port  Process",
        "LISTEN     0      511         10.77.0.2:80           0.0.0.0:*",
        "ESTAB      0      0           10.77.0.2:80         10.77.0.1:48308",
        "FIN-WAIT-2 0      3780608     10.77.0.2:80   192.168.100.100:9",
      ].join("\n"),
    );
  });
  test("what scripts cut out by number stays where ss has it", () => {
    for (const line of ssTable(rows, { ...plain, header: false, timers: true, extended: true }).split("\n")) {
      const [state, recvQ, sendQ, local, peer] = line.split(/\s+/);
      expect([state, Number(recvQ) >= 0, Number(sendQ) >= 0, local, /:(\d+|\*)$/.test(peer ?? "")]).toEqual([
        expect.any(String),
        true,
        true,
        "10.77.0.2:80",
        true,
      ]);
    }
  });
  test("one state asked for: no State column; without -t: a Netid column; names without -n", () => {
    expect(ssTable([rows[1]!], { ...plain, header: false, hideState: true })).toBe("0 0 10.77.0.2:80 10.77.0.1:48308");
    expect(ssTable([rows[1]!], { ...plain, header: false, tcpOnly: false, numeric: false })).toBe("tcp ESTAB 0 0 10.77.0.2:http 10.77.0.1:48308");
  });
  test("timers, extension and memory in ss's words", () => {
    expect(ssTable([rows[2]!], { ...plain, header: false, timers: true, extended: true, memory: true, processes: true, oneLine: true })).toBe(
      'FIN-WAIT-2 0 3780608 10.77.0.2:80 192.168.100.100:9 users:(("http",pid=7,fd=2)) timer:(timewait,59sec,0) ino:2 sk:2 <-- skmem:(r0,rb4096,t0,tb8192,f0,w3780608,o0,bl0,d0)',
    );
  });
  test("-i goes on a line of its own, -O puts it on the same", () => {
    const lines = ssTable([rows[1]!], { ...plain, header: false, info: true }).split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(/^\t cubic wscale:7,7 rto:204 rtt:0\.05\/0\.02 mss:1448 pmtu:1500 advmss:1460 cwnd:10 /);
    expect(ssTable([rows[1]!], { ...plain, header: false, info: true, oneLine: true }).split("\n")).toHaveLength(1);
  });

  test("netstat's columns and names, so that its grep finds half-open connections", () => {
    const text = netstatTable([rows[0]!, rowOfConnection(connectionRow({ state: "SYN-RECEIVED" }))], "servers and established", {
      numeric: true,
      processes: true,
      timers: false,
      pid: 42,
    });
    expect(text.split("\n").slice(2)).toEqual([
      "tcp        0    511 10.77.0.2:80            0.0.0.0:*               LISTEN      42/glasstcp",
      "tcp        0      0 10.77.0.2:80            10.77.0.1:48308         SYN_RECV    42/http",
    ]);
  });

  test("the summary starts as ss -s does and goes on with the limits", () => {
    const status = { ...new FakeDaemon().status(), connections: { total: 11, byState: { "ESTABLISHED": 5, "TIME-WAIT": 1, "CLOSE-WAIT": 5 }, orphans: 2 } };
    const lines = summary(status, 3).split("\n");
    expect(lines.slice(0, 2)).toEqual(["Total: 14", "TCP:   14 (estab 5, closed 1, orphaned 2, timewait 1)"]);
    expect(lines.at(-1)).toMatch(/^connections +1 +100000 +0$/);
  });
});

describe("times and words", () => {
  test.each([
    [48, "048ms"],
    [200, "200ms"],
    [1_200, "1.200ms"],
    [5_000, "5sec"],
    [59_400, "59sec"],
    [61_000, "1min1sec"],
    [7_140_000, "119min"],
    [0, ""],
  ])("%d ms is %s", (ms, text) => {
    expect(timerTime(ms)).toBe(text);
  });
  test("the negotiated options come first, and only with -o", () => {
    expect(infoText(connectionRow({ ecn: true }), true)).toMatch(/^ts sack ecn cubic /);
    expect(infoText(connectionRow(), false)).toMatch(/^cubic /);
  });
  test("window limits and losses show", () => {
    const text = infoText(
      connectionRow({
        busyMs: 420,
        rwndLimitedMs: 416,
        retransmits: 7,
        retransOut: 1_448,
        lost: 2_896,
        sendQ: 20_000,
        inFlight: 14_480,
        ssthresh: 14_480,
        backoff: 2,
        limitedBy: "rwnd",
      }),
      false,
    );
    for (const part of ["rwnd_limited:416ms(99.0%)", "retrans:1/7", "lost:2", "unacked:10", "notsent:5520", "ssthresh:10", "backoff:2", "limited:rwnd"])
      expect(text).toContain(part);
  });
  test.each([
    [{ sendQ: 5, sndWnd: 0 }, /peer's window is zero/],
    [{ recvQ: 5, rcvWnd: 0 }, /our window is zero/],
    [{ backoff: 3, timer: { name: "retransmit" as const, inMs: 5 } }, /3 timeouts/],
    [{ state: "CLOSE-WAIT" as const, stateMs: 300_000 }, /closed 5min ago/],
    [{ state: "SYN-RECEIVED" as const, stateMs: 4_000 }, /half-open/],
    [{ phase: "recovery" as const }, /repairing/],
  ])("%j is worth a look", (over, reason) => {
    expect(attention(connectionRow(over))).toMatch(reason);
  });
  test("a listener whose accept queue is full is, one with room is not", () => {
    const text = (recvQ: number): string => ssTable([rowOfListener(listenerRow(80, { recvQ, sendQ: 5 }))], plain);
    expect(text(5)).toMatch(/! the accept queue is full/);
    expect(text(4)).not.toMatch(/!/);
  });
  test("a healthy connection is not, nor one that closed just now", () => {
    expect(attention(connectionRow())).toBeUndefined();
    expect(attention(connectionRow({ state: "CLOSE-WAIT", stateMs: 100 }))).toBeUndefined();
  });
});

describe("--pair", () => {
  const print = ["-e", "console.log('ESTAB 0 5 10.77.0.1%glass0:48308 10.77.0.2:80 timer:(on,200ms,0) cubic rto:204')"];
  test("finds the kernel's row by the mirrored ends, and says so when there is none", async () => {
    const rows = await kernelRows(process.execPath, print);
    expect(kernelLines(rowOfConnection(connectionRow()), rows)).toEqual(["\t kernel: ESTAB Recv-Q 0 Send-Q 5 timer:(on,200ms,0) cubic rto:204"]);
    expect(kernelLines(row(81, 1), rows)?.[0]).toContain("no socket");
    expect(kernelLines(rowOfListener(listenerRow(80)), rows)).toBeUndefined();
  });
  test("no ss: one line with the package", async () => {
    await expect(kernelRows("no-such-ss")).rejects.toMatchObject({ mend: "apt-get install iproute2" });
  });
});

test("listeners come first, filtered like the rest", () => {
  const answer = {
    time: 0,
    pid: 1,
    listeners: [listenerRow(80), listenerRow(7)],
    connections: [connectionRow(), connectionRow({ local: { address: "10.77.0.2", port: 7 } })],
  };
  const picked = selectRows(answer, parseSelection(["sport", "=", ":7"], { all: true, listening: false }));
  expect(picked.map((r) => [r.state, r.local.port])).toEqual([
    ["LISTEN", 7],
    ["ESTABLISHED", 7],
  ]);
});
