/** How a stack is made, listens, opens and shuts down, and what its settings are for. */
import { describe, expect, test } from "vitest";
import { FIRST_EPHEMERAL, LAST_EPHEMERAL } from "../../src/stack/ports.js";
import { Stack, type StackConfig } from "../../src/stack/stack.js";
import { Millis } from "../../src/tcp/time.js";
import { ACK, FIN, RST, SYN } from "../../src/wire/segment.js";
import { type Peer, tcp } from "../support/peer.js";
import { type Fields, PEER, RawPeer, segment } from "../support/raw.js";
import { flags, from, NOBODY, Server } from "../support/server.js";

describe("opening", () => {
  const code = (run: () => unknown): unknown => {
    try {
      run();
      return undefined;
    } catch (e) {
      return (e as { code?: string }).code;
    }
  };
  const config = (addresses: string[]): StackConfig => ({ addresses, mtu: 1_500, secret: new Uint32Array(4), random: () => 1 });
  test("what is no address or prefix makes no stack", () => {
    expect(["10.0.0.256", "x", "10.0.0.0/33", ""].map((text) => code(() => new Stack(config(["10.0.0.2", text]))))).toEqual([
      "EINVAL",
      "EINVAL",
      "EINVAL",
      "EINVAL",
    ]);
  });
  test("LISTEN: errors by name", () => {
    const { stack } = new RawPeer();
    const listen = (address: string | undefined, port: number): unknown =>
      code(() => stack.listen({ port, ...(address !== undefined && { address }) }, () => NOBODY));
    expect([listen("10.0.0", 80), listen("10.0.0.9", 80), listen("10.0.0.2", -1), listen("10.0.0.2", 65_536), listen("10.0.0.2", 80.5)]).toEqual([
      "EINVAL",
      "EADDRNOTAVAIL",
      "EINVAL",
      "EINVAL",
      "EINVAL",
    ]);
    expect([listen("10.0.0.2", 80), listen("10.0.0.2", 80), listen(undefined, 80), listen("0.0.0.0", 80)]).toEqual([
      undefined,
      "EADDRINUSE",
      "EADDRINUSE",
      "EADDRINUSE",
    ]);
    expect([listen("0.0.0.0", 81), listen(undefined, 65_535)]).toEqual([undefined, undefined]);
  });
  test("port 0 is one of the ephemeral ports that nobody listens on, until there is none", () => {
    const { stack } = new RawPeer(),
      count = LAST_EPHEMERAL - FIRST_EPHEMERAL + 1;
    const ports = new Set(Array.from({ length: count }, () => stack.listen({ port: 0 }, () => NOBODY).port as number));
    expect([ports.size, Math.min(...ports), Math.max(...ports)]).toEqual([count, FIRST_EPHEMERAL, LAST_EPHEMERAL]);
    expect(code(() => stack.listen({ port: 0 }, () => NOBODY))).toBe("EADDRINUSE");
  });
  test("OPEN: errors by name, and the text that is wrong is named", () => {
    const { stack } = new RawPeer();
    const connect = (remoteAddress: string, localAddress = "10.0.0.2", localPort = 0): unknown =>
      code(() => stack.connect({ remoteAddress, remotePort: 9, localAddress, localPort }, NOBODY));
    expect([connect("10.0.0"), connect("10.0.0.1", "x"), connect("10.0.0.1", "10.0.0.9"), connect("224.0.0.1")]).toEqual([
      "EINVAL",
      "EINVAL",
      "EADDRNOTAVAIL",
      "ENETUNREACH",
    ]);
    expect([connect("10.0.0.1", "10.0.0.2", 5_000), connect("10.0.0.1", "10.0.0.2", 5_000)]).toEqual([undefined, "EADDRINUSE"]);
    expect(() => stack.connect({ remoteAddress: "far", remotePort: 9 }, NOBODY)).toThrow('"far" is not');
    expect(() => stack.connect({ remoteAddress: "10.0.0.1", remotePort: 9, localAddress: "near" }, NOBODY)).toThrow('"near" is not');
  });
  test("each ephemeral port leads to the same peer once, and then there is none", () => {
    const { stack } = new RawPeer(),
      to = { remoteAddress: "10.0.0.1", remotePort: 9 };
    for (let i = FIRST_EPHEMERAL; i <= LAST_EPHEMERAL; i++) stack.connect(to, NOBODY);
    expect(code(() => stack.connect(to, NOBODY))).toBe("EADDRNOTAVAIL");
    expect(code(() => stack.connect({ ...to, remotePort: 10 }, NOBODY))).toBeUndefined();
  });
  test("a connection is found by its number, or its four, and none by what is no address", () => {
    const { stack } = new RawPeer();
    const c = stack.connect({ remoteAddress: "10.0.0.1", remotePort: 9, localPort: 5_000 }, NOBODY);
    expect(stack.find("10.0.0.2", 5_000, "10.0.0.1", 9)).toBe(c);
    const other = stack.connect({ remoteAddress: "10.0.0.1", remotePort: 10 }, NOBODY);
    expect([stack.connection(c.id), stack.connection(other.id), stack.connection(99)]).toEqual([c, other, undefined]);
    for (const [local, remote] of [
      ["10.0.0.3", "10.0.0.1"],
      ["x", "10.0.0.1"],
      ["10.0.0.2", "x"],
    ] as const)
      expect(stack.find(local, 5_000, remote, 9)).toBeUndefined();
    expect(stack.find("10.0.0.2", 5_001, "10.0.0.1", 9)).toBeUndefined();
  });
});

test("the search for a larger path ends at the link's own MTU, however often it begins anew [4821:7.2-1]", () => {
  const options = { pmtuProbing: true, basePmtu: 1_024, timestamps: false, tailLossProbe: false, quickAcks: 0 };
  const acknowledge = (p: Peer): void => p.batch(`+0 < . 1:1(0) ack ${p.conn.status(p.now).sndNxt}`);
  tcp({ syn: "mss 1460", stack: { mtu: 1_040 }, options })
    .established()
    .each((p) => {
      // A black hole begins the search, within 17 octets of where it must end.
      p.send(3_000);
      const end = p.now + 800;
      for (p.turn(); p.now < end; ) {
        p.sent();
        p.pass(end);
      }
      expect(p.conn.status(p.now).pmtu).toBe(1_024);
      acknowledge(p);
      p.sent();
      p.batch("+0 < . 1:1(0) ack 3001");
      for (let i = 0; i < 40; i++) {
        p.send(20_000);
        p.turn();
        while (p.conn.status(p.now).sendQ > 0) {
          acknowledge(p);
          p.sent();
        }
        p.pass(p.now + 100_000);
      }
      // All is acknowledged, what the device would not take as well: a probe above its MTU would be taken for arrived.
      expect(p.conn.status(p.now).pmtu).toBeLessThanOrEqual(1_040);
    });
});

describe("settings", () => {
  test("a listener and an active open have the stack's, but for what they bring", () => {
    const s = new Server({ options: { mss: 1_000 } });
    s.stack.listen({ port: 81, options: { mss: 700 } }, () => NOBODY);
    s.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 9 }, NOBODY);
    s.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 10, options: { mss: 600 } }, NOBODY);
    s.inject(segment({ ctl: SYN }), segment({ ctl: SYN, port: 81 }));
    expect(s.sent().map((x) => [x.seg.ctl & SYN, x.seg.mss])).toEqual([
      [SYN, 1_000],
      [SYN, 600],
      [SYN, 1_000],
      [SYN, 700],
    ]);
  });
  test("configure is for what opens from then on, either way", () => {
    const s = new Server();
    s.stack.configure({ mss: 900 });
    s.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 9 }, NOBODY);
    s.inject(segment({ ctl: SYN }));
    expect(s.sent().map((x) => x.seg.mss)).toEqual([900, 900]);
    expect(() => s.stack.configure({ mss: -1 })).toThrow(RangeError);
  });
  test("timestamps start elsewhere for each pair of addresses, and at the same place for all connections of one [7323:7-1]", () => {
    const s = new Server();
    const clock = (f: Partial<Fields>): number => {
      s.inject(segment({ ctl: SYN, ts: [1, 0], ...f }));
      return s.sent()[0]?.seg.tsVal ?? 0;
    };
    expect(clock(from(1))).toBe(clock(from(2)));
    expect(clock({ from: PEER + 7 })).not.toBe(clock(from(3)));
  });
});

describe("shutdown", () => {
  test("every live connection ends by RST, quietly where nobody would heed it; nobody listens any more; and user calls do nothing", () => {
    const s = new Server(),
      { seq, ack } = s.open();
    const live = s.conn;
    const waits = s.open(from(1));
    s.conn.close();
    s.turn();
    s.inject(segment({ ...from(1), ctl: FIN | ACK, seq: waits.seq, ack: waits.ack + 1 }));
    expect(s.conn.state).toBe("TIME-WAIT");
    const opening = s.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 9 }, s.user);
    s.turn();
    s.sent();
    s.heard.length = 0;
    s.now = Millis(s.now + 5);
    s.stack.shutdown(s.now);
    expect(opening.status(s.now).stateMs).toBe(0);
    s.stack.transmit(s.now);
    expect(s.sent().map((x) => [x.seg.ctl & RST, x.seg.sequence])).toEqual([[RST, ack | 0]]);
    expect(s.heard).toEqual(["closed shutdown", "closed shutdown"]);
    expect([live.state, s.stack.counters.connections, [...s.stack.listeners()].length]).toEqual(["CLOSED", 0, 0]);
    s.inject(segment({ ctl: SYN, seq }));
    expect(flags(s)).toEqual([RST | ACK]);
  });
  test("what follows from it goes by its time", () => {
    const s = new Server();
    s.stack.shutdown(Millis(s.now + 70));
    expect(s.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 9 }, NOBODY).status(Millis(s.now + 70)).ageMs).toBe(0);
  });
});
