import { describe, expect, test } from "vitest";
import type { Connection } from "../../src/tcp/connection.js";
import type { TcpOptions } from "../../src/tcp/options.js";
import { active, type Peers, tcp } from "../support/peer.js";
import { quietly } from "../support/quietly.js";
import { world } from "../support/world.js";

const nothing = (): void => {};

describe("user timeout option [RFC 5482]", () => {
  /** a tells b a timeout; then a is gone, and b has something to send. @returns milliseconds until b gives up */
  function until(a: Record<string, unknown>, b: Record<string, unknown>, set?: (server: Connection) => void): number {
    const w = world({ a: { options: a }, b: { options: b } });
    let server!: Connection,
      gone = -1;
    w.b.listen({ port: 80 }, (c) => {
      server = c;
      return {
        established: nothing,
        readable: nothing,
        writable: nothing,
        ended: nothing,
        closed: () => {
          gone = w.now;
        },
      };
    });
    w.a.connect({ remoteAddress: "10.0.0.2", remotePort: 80 }, { established: nothing, readable: nothing, writable: nothing, ended: nothing, closed: nothing });
    w.run();
    set?.(server);
    // The peer is gone without a word.
    w.pair.a.close();
    const start = w.now;
    server.send(new Uint8Array(10));
    for (let i = 0; i < 4_000 && gone < 0; i++) w.run(w.now + 1_000);
    return gone - start;
  }
  const on = { userTimeoutOption: true };

  test("what the peer advertises is taken, at least 100 s (5482:3.1-3, 5482:3.1-4)", () => {
    expect(until({ ...on, userTimeout: 300_000 }, on)).toBeGreaterThanOrEqual(299_000);
    expect(until({ ...on, userTimeout: 300_000 }, on)).toBeLessThanOrEqual(301_000);
    const low = until({ ...on, userTimeout: 5_000 }, on);
    expect(low).toBeGreaterThanOrEqual(99_000);
    expect(low).toBeLessThanOrEqual(101_000);
  });
  test("a timeout that the application set is not changed by it (5482:3-1, 5482:3.1-1)", () => {
    expect(until({ ...on, userTimeout: 300_000 }, on, (c) => c.setUserTimeout(20_000))).toBeLessThanOrEqual(21_000);
  });
  test("a stack without the option ignores it (5482:3-5)", () => {
    expect(until({ ...on, userTimeout: 5_000 }, {})).toBeGreaterThan(300_000);
  });
});

describe("what goes over the wire, and when it counts [RFC 5482]", () => {
  const quick = { receiveBuffer: 60_000, quickAcks: 0, windowScaling: false, timestamps: false, sack: false } as const;
  const open = (o: Partial<TcpOptions>, syn = "mss 1000"): Peers => tcp({ syn, options: { ...quick, ...o } });
  const on = (seconds: number): Partial<TcpOptions> => ({ userTimeoutOption: true, userTimeout: seconds * 1_000 });
  const handshake = (peer: Peers): Peers => peer.play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+0 < . 1:1(0) ack 1");
  /** Seconds until a connection whose peer says nothing more is given up. */
  const life = (peer: Peers): number =>
    peer.same((p) => {
      const begin = p.now;
      p.send(10);
      while (p.state !== "CLOSED" && p.now - begin < 1e9) {
        p.pass(p.now + 1_000);
        p.sent();
      }
      return Math.floor((p.now - begin) / 1_000);
    });

  test("in the SYN, in the first segment after it, whatever that is, and then no more [5482:3-3]", () => {
    open(on(30)).play(`
      +0 < S 0:0(0)
      +0 > S. 0:0(0) ack 1 <mss 1460,uto 30>
      +0 < . 1:1(0) ack 1
      +0 send 10
      +0 > P. 1:11(10) ack 1 <uto 30>
      +0 < . 1:1(0) ack 11
      +0 send 10
      +0 > P. 11:21(10) ack 1
      +0 < . 1:1(0) ack 21
    `);
    active({ syn: "mss 1000", options: { ...quick, ...on(30) } }).play(
      "+0 > S 0:0(0) <mss 1460,uto 30>\n+0 < S. 0:0(0) ack 1\n+0 > . 1:1(0) ack 1 <uto 30>\n+0 send 10\n+0 > P. 1:11(10) ack 1",
    );
  });
  test("it takes its room from the text: no segment is larger than the MSS and what comes with it [5482:3-3]", () => {
    handshake(open(on(30))).play("+0 send 2000\n+0 > . 1:997(996) ack 1 <uto 30>\n+0 > . 997:1993(996) ack 1\n+0 > P. 1993:2001(8) ack 1");
  });
  test("a new timeout is told with the next segment, and never without the option [5482:3-4]", () => {
    handshake(open(on(30)))
      .play("+0 send 1\n+0 > P. 1:2(1) ack 1 <uto 30>\n+0 < . 1:1(0) ack 2")
      .play("+0 usertimeout 50000\n+0 < P. 1:11(10) ack 2\n+.04 > . 2:2(0) ack 11 <uto 50>\n+0 send 1\n+0 > P. 2:3(1) ack 11");
    open({ userTimeout: 30_000 })
      .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <mss 1460>\n+0 < . 1:1(0) ack 1")
      .play("+0 usertimeout 50000\n+0 send 1\n+0 > P. 1:2(1) ack 1");
  });
  test("beside SACK blocks it waits, for there may be no room [5482:3-4]", () => {
    const peer = tcp({ syn: "mss 1000,sackOK,TS", options: { ...quick, sack: true, timestamps: true, ...on(30) } });
    handshake(peer).each((p) => {
      for (let i = 0; i < 3; i++) p.batch(`+0 < . ${101 + 200 * i}:${201 + 200 * i}(100) ack 1`);
      expect(p.sent().map((s) => [s.seg.sackCount, s.seg.userTimeoutMs])).toEqual([
        [1, -1],
        [2, -1],
        [3, -1],
      ]);
      for (const gap of ["1:101", "201:301", "401:501"]) p.batch(`+0 < . ${gap}(100) ack 1`);
      expect(p.sent().map((s) => [s.seg.sackCount, s.seg.userTimeoutMs])).toEqual([
        [2, -1],
        [1, -1],
        [0, 30_000],
      ]);
    });
  });
  test("kind 28, length 4, a bit for minutes and 15 of value; seconds as long as they fit [5482:3.3-1]", () => {
    const bytes = (seconds: number): string =>
      open(on(seconds))
        .batch("+0 < S 0:0(0)")
        .same((p) => Buffer.from(p.sent()[0]?.bytes.subarray(44, 48) ?? []).toString("hex"));
    expect([bytes(1), bytes(0x7fff), bytes(40_000)]).toEqual(["1c040001", "1c047fff", `1c04${(0x8000 | 667).toString(16)}`]);
    const minutes = handshake(open(on(10), "mss 1000,raw 1c048005"));
    expect(minutes.same((p) => p.conn.status(p.now).peerUserTimeout)).toBe(300_000);
    for (const bad of ["raw 1c038001", "raw 1c06800500000101"])
      expect(handshake(open(on(10), `mss 1000,${bad}`)).same((p) => p.conn.status(p.now).peerUserTimeout)).toBe(undefined);
  });
  test("zero is neither sent nor heard [5482:3.4-1]", () => {
    open({ userTimeoutOption: true }).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <mss 1460>");
    open({ userTimeoutOption: true, userTimeout: 0.2 }).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <mss 1460,uto 1>");
    const peer = handshake(open(on(130), "mss 1000,uto 200")).batch("+0 < . 1:1(0) ack 1 <uto 0>");
    expect(peer.same((p) => p.conn.status(p.now).peerUserTimeout)).toBe(200_000);
    expect(life(peer)).toBe(200);
  });
  test("one default for the whole system, of which connections may differ [5482:3-2 5482:3-1]", () => {
    expect(life(handshake(open(on(130))))).toBe(130);
    expect(life(handshake(open(on(130))).play("+0 usertimeout 20000"))).toBe(20);
    // Back to the default, and the peer may change it again.
    expect(life(handshake(open(on(130), "mss 1000,uto 200")).play("+0 usertimeout 20000\n+0 usertimeout 0"))).toBe(200);
  });
  test("what the peer asks for counts from 100 s to 24 hours [5482:3-6 5482:3.1-4]", () => {
    expect(life(handshake(open(on(5), "mss 1000,uto 7")))).toBe(100);
    expect(life(handshake(open(on(5), "mss 1000,raw 1c04ffff")))).toBe(86_400);
  });
  test("a peer that never says it changes nothing: our own timeout stands [5482:3.2-1]", () => {
    expect(life(handshake(open(on(12))))).toBe(12);
    expect(life(handshake(open(on(12), "mss 1000,uto 200")).batch("+0 < . 1:1(0) ack 1"))).toBe(200);
  });
  test("the user may ask what the peer said, also where it changes nothing [5482:3.1-2]", () => {
    const peer = handshake(open(on(10)))
      .play("+0 usertimeout 20000")
      .batch("+0 < . 1:1(0) ack 1 <uto 300>");
    expect(peer.same((p) => p.conn.status(p.now).peerUserTimeout)).toBe(300_000);
    expect(life(peer)).toBe(20);
    expect(handshake(open(on(10))).same((p) => p.conn.status(p.now).peerUserTimeout)).toBe(undefined);
  });
  test("the lower limit stays above the RTO, so there is a retransmission on the slowest path [5482:3.1-5]", () => {
    // A first sample of 40 s makes an RTO of 120 s.
    const slow = open({ ...on(5), initialRto: 60_000, maxRto: 3_600_000 }, "mss 1000,uto 7")
      .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+40 < . 1:1(0) ack 1\n= ESTABLISHED")
      .play("+0 send 10\n+0 > P. 1:11(10) ack 1 <*>\n+120 > P. 1:11(10) ack 1\n= ESTABLISHED");
    slow.each((p) => {
      expect(p.conn.status(p.now).rto).toBe(240_000);
    });
  });
  test("before the handshake is over the default holds [5482:3.3-2]", () => {
    const gaveUp = (syn: string): number =>
      open({ userTimeoutOption: true }, syn)
        .batch("+0 < S 0:0(0)")
        .same((p) => Math.round(Math.max(...quietly(p, 400).map((s) => s.at))));
    expect(gaveUp("mss 1000,uto 2000")).toBe(gaveUp("mss 1000"));
    // And from then on, also with our FIN out, the peer's.
    const closing = handshake(open(on(5), "mss 1000,uto 150")).play("+0 close\n+0 > F. 1:1(0) ack 1 <uto 5>\n= FIN-WAIT-1");
    expect(life(closing)).toBe(150);
  });
  test("keep-alive begins later than the user timeout and is counted, so that it ends nothing which that lets live [5482:4.2-1]", () => {
    const peer = handshake(open(on(200), "mss 1000,uto 300")).play("+0 keepalive on 1000 500 3");
    expect(peer.same((p) => quietly(p, 299))).toEqual([]);
    const probes = peer.same((p) => quietly(p, 10).map((s) => s.flags));
    expect(probes).toEqual([".", ".", ".", "R."]);
    // Without the option it is the application that says both, and it may want the probes first.
    const plain = handshake(open({ userTimeout: 200_000 })).play("+0 keepalive on 1000 500 3");
    expect(plain.same((p) => quietly(p, 1.2).length)).toBe(1);
  });
});
