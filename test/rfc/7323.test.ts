/** RFC 7323 timestamps and window scaling, RFC 5961 protection, RFC 3168 and 8311 ECN, RFC 6191 and 1337 TIME-WAIT. */
import fc from "../support/property.js";
import { describe, expect, test } from "vitest";
import { timestampOffset } from "../../src/stack/stateless.js";
import { active, type Peer, type PeerOptions, tcp } from "../support/peer.js";

const plain = { receiveBuffer: 10_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false };
const TS: PeerOptions = { options: plain, syn: "mss 1460,TS" };
const DAY = 86_400;

describe("window scale [RFC 7323 §2]", () => {
  test("a shift above 14 is taken as 14 [7323:2.3-6]", () => {
    const peer = tcp({ syn: "mss 1460,wscale 15" }).established();
    expect(peer.same((p) => p.conn.status(p.now).sndWscale)).toBe(14);
    peer.play("+0 < . 1:1(0) ack 1 win 2");
    expect(peer.same((p) => p.conn.status(p.now).sndWnd)).toBe(32_768);
  });
  test("what was offered once is taken, and the right edge never moves back, whatever comes and is read [7323:2.4-1 7323:2.4-2 7323:2.4-3 9293:SHLD-14]", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 1_460 }), fc.integer({ min: 0, max: 3_000 })), { maxLength: 40 }), (steps) => {
        tcp({ isns: [2 ** 32 - 2], options: { receiveBuffer: 200_000, quickAcks: 1_000, windowScale: 7 }, syn: "mss 1460,wscale 0", reads: false })
          .established()
          .each((p) => {
            let edge = 0,
              next = 1;
            for (const [length, read] of steps) {
              p.batch(`+0 < P. ${next}:${next + length}(${length}) ack 1`);
              next += length;
              p.receive(Math.min(read, p.conn.readable));
              p.turn();
              for (const s of p.sent()) {
                expect(s.ack).toBe(next);
                const told = s.ack + s.seg.window * 128;
                expect(told).toBeGreaterThanOrEqual(edge);
                edge = told;
              }
            }
            // All that the last ACK offered fits.
            if (edge > next) {
              p.batch(`+0 < . ${edge - 1}:${edge}(1) ack 1`);
              expect(p.conn.status(p.now).outOfOrder).toBe(edge - 1 > next ? 1 : 0);
            }
          });
      }),
      { numRuns: 40, seed: 7323 },
    );
  });
  test("new text stays within the last window told; what was in the window once goes again [7323:2.4-4 7323:2.4-5 7323:2.4-6]", () => {
    tcp({ options: plain, syn: "mss 1000" })
      .established()
      .play(
        "+0 < . 1:1(0) ack 1 win 2000\n+0 send 3000\n+0 > . 1:1001(1000) ack 1\n+0 > . 1001:2001(1000) ack 1\n+.05 < . 1:1(0) ack 1 win 1000\n+.15 > . 1:1001(1000) ack 1",
      );
  });
});

describe("timestamps [RFC 7323 §3 to §5]", () => {
  test("TSval ticks by the millisecond, SYNs echo zero, every later segment echoes TS.Recent [7323:3.2-2 7323:4.1-1 7323:5.4-1 7323:5.4-2 7323:5.4-3]", () => {
    active({ options: plain, syn: "mss 1460,TS val 0" }).play(`
      +0 > S 0:0(0) <mss 1460,sackOK,TS val 0 ecr 0>
      +.1 < S. 0:0(0) ack 1 <TS val 500>
      +0 > . 1:1(0) ack 1 <TS val 100 ecr 500>
      +2 send 5
      +0 > P. 1:6(5) ack 1 <TS val 2100 ecr 500>
    `);
  });
  test("each pair of addresses has a clock offset of its own [7323:7-1 6191:3-1]", () => {
    const secret = new Uint32Array([1, 2, 3, 4]);
    expect(
      new Set([
        timestampOffset(secret, 1, 2),
        timestampOffset(secret, 1, 3),
        timestampOffset(secret, 2, 2),
        timestampOffset(new Uint32Array([1, 2, 3, 5]), 1, 2),
      ]).size,
    ).toBe(4);
    expect(timestampOffset(secret, 1, 2)).toBe(timestampOffset(secret, 1, 2));
  });
  test("TS.Recent follows segments at or before Last.ACK.sent, and never goes back [7323:4.3-4 7323:5.2-1 7323:5.3-R3 7323:5.3-R4]", () => {
    tcp(TS)
      .established()
      .play(`
      +0 < P. 1:11(10) ack 1 <TS val 2000>
      +.04 > . 1:1(0) ack 11 <TS val _ ecr 2000>
      +0 < P. 11:21(10) ack 1 <TS val 3000>
      +0 < P. 21:31(10) ack 1 <TS val 4000>
      +0 > . 1:1(0) ack 31 <TS val _ ecr 3000>
      +0 < P. 31:41(10) ack 1 <TS val 3000>
      +.04 > . 1:1(0) ack 41 <TS val _ ecr 3000>
      +0 < P. 41:51(10) ack 1 <TS val 2999>
      +0 > . 1:1(0) ack 41 <TS val _ ecr 3000>
    `);
  });
  test("out of order text is held and leaves TS.Recent alone; PAWS is asked on arrival and not again [7323:5.3-R5 7323:5.3-R2 7323:5.3-2]", () => {
    const peer = tcp(TS)
      .established()
      .play(`
      +0 < P. 11:21(10) ack 1 <TS val 1500>
      +0 > . 1:1(0) ack 1 <TS val _ ecr 1000>
      +0 < P. 1:11(10) ack 1 <TS val 9000>
      +0 > . 1:1(0) ack 21 <TS val _ ecr 9000>
    `);
    expect(peer.taken).toBe(20);
  });
  test("PAWS comes before the test of the sequence number, and spares RST [7323:5.3-1 7323:5.2-5]", () => {
    const peer = tcp(TS).established().play("+0 < . 50000:50010(10) ack 1 <TS val 1>\n+0 > . 1:1(0) ack 1");
    expect(peer.dropped).toEqual(["7323-5.3-R1"]);
    peer.play("+0 < R. 9:9(0) ack 1 <TS val 90000>\n+0 > . 1:1(0) ack 1 <TS val _ ecr 1000>\n+0 < R 1:1(0) <TS val 1>\n= CLOSED");
  });
  test("a TS.Recent of more than 24 days means nothing [7323:5.5-1 7323:5.5-2]", () => {
    const peer = tcp(TS)
      .established()
      .play(
        `+${23 * DAY} < P. 1:11(10) ack 1 <TS val 5>\n+0 > . 1:1(0) ack 1\n+${2 * DAY} < P. 1:11(10) ack 1 <TS val 5>\n+.04 > . 1:1(0) ack 11 <TS val _ ecr 5>`,
      );
    expect(peer.taken).toBe(10);
  });
  test("TSecr is read with ACK only, and times what it echoes [7323:3.2-4]", () => {
    const peer = active({ options: plain, syn: "mss 1460,TS val 0 ecr 77" }).play("+0 > S 0:0(0) <*>\n+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>");
    expect(peer.same((p) => p.conn.status(p.now).srtt)).toBe(undefined);
    peer.play("+.2 < . 1:1(0) ack 1\n= ESTABLISHED");
  });
  test("crossing SYNs of which one has timestamps [7323:3.2-11]", () => {
    active({ options: plain }).play("+0 > S 0:0(0) <*>\n+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <mss 1460>\n+0 < . 1:1(0) ack 1\n= ESTABLISHED");
  });
  test("with several samples per round trip the gains shrink, so that the history is as long [7323:4.2-1]", () => {
    // Ten segments are in flight; one late ACK of ten moves SRTT by a fortieth, not an eighth.
    const peer = tcp({ options: plain, syn: "mss 1000" }).established().play("+0 send 1\n+0 > P. 1:2(1) ack 1\n+.1 < . 1:1(0) ack 2");
    const before = peer.same((p) => p.conn.status(p.now).srtt as number);
    peer.each((p) => {
      p.send(10_000);
      p.turn();
      p.sent();
      p.pass(p.now + 150);
      p.sent();
      p.batch("+0 < . 1:1(0) ack 1002");
      p.sent();
    });
    const moved = peer.same((p) => Math.round((p.conn.status(p.now).srtt as number) - before));
    expect(Math.abs(moved)).toBeLessThan(10);
  });
});

describe("blind attacks [RFC 5961]", () => {
  test("only the RST at exactly RCV.NXT that answers the challenge ends it [5961:4.2-3 5961:3.2-3 5961:3.2-4 5961:3.2-5 5961:1.1-1]", () => {
    tcp({ options: plain }).established().play("+0 < S 500:500(0)\n+0 > . 1:1(0) ack 1\n+0 < R 1:1(0)\n= CLOSED");
  });
  test("in SYN-SENT an RST needs an ACK of the SYN [5961:3.2-6]", () => {
    active({ options: plain }).play("+0 > S 0:0(0) <*>\n+0 < R 1:1(0)\n+0 < R. 1:1(0) ack 7\n= SYN-SENT\n+0 < R. 1:1(0) ack 1\n= CLOSED");
  });
  test("challenge ACKs are throttled per connection and for the stack, whose limit nobody can count [5961:7-1 5961:7-2 5961:7-3]", () => {
    tcp({ options: { ...plain, invalidAckInterval: 500 } })
      .established()
      .play("+0 < R 5:5(0)\n+0 > . 1:1(0) ack 1\n+.4 < R 5:5(0)\n+.2 < S 5:5(0)\n+0 > . 1:1(0) ack 1");
    const counts = new Set<number>();
    tcp({ isns: [0], options: { ...plain, challengeAckLimit: 20 } })
      .established()
      .each((p) => {
        for (let second = 0; second < 6; second++) {
          let n = 0;
          for (let i = 0; i < 60; i++) {
            p.batch("+0 < R 5:5(0)");
            n += p.sent().length;
          }
          counts.add(n);
          expect(n).toBeGreaterThanOrEqual(10);
          expect(n).toBeLessThanOrEqual(30);
          p.pass(p.now + 1_000);
        }
      });
    expect(counts.size).toBeGreaterThan(1);
  });
  test("the range of acceptable ACKs is MAX.SND.WND, the largest window ever told [5961:5.2-1 5961:5.2-2 5961:5.2-3 5961:5.2-4 9293:MAY-12]", () => {
    const peer = tcp({ options: plain, win: 1_000 }).established();
    peer.play("+0 < P. 1:11(10) ack -999 win 1000\n+.04 > . 1:1(0) ack 11\n+0 < P. 11:21(10) ack -1000 win 1000\n+0 > . 1:1(0) ack 11");
    peer.play(
      "+0 < . 11:11(0) ack 1 win 5000\n+0 < . 11:11(0) ack 1 win 10\n+0 < P. 11:21(10) ack -4999\n+.04 > . 1:1(0) ack 21\n+0 < P. 21:31(10) ack -5000\n+0 > . 1:1(0) ack 21",
    );
    expect(peer.taken).toBe(20);
    const lax = tcp({ options: { ...plain, strictAckRange: false } })
      .established()
      .play("+0 < P. 1:11(10) ack -99999\n+.04 > . 1:1(0) ack 11");
    expect(lax.taken).toBe(10);
  });
  test("without the mitigations the older rules hold", () => {
    tcp({ options: { ...plain, strictReset: false } })
      .established()
      .play("+0 < R 5:5(0)\n= CLOSED");
    tcp({ options: { ...plain, strictSyn: false } })
      .established()
      .play("+0 < S 5:5(0)\n+0 > R. Z:Z(0) ack 6\n= CLOSED");
    tcp({ options: { ...plain, strictSyn: false } })
      .established()
      .play("+0 < S. 5:5(0) ack 1\n+0 > R 1:1(0)\n= CLOSED");
  });
});

describe("ECN [RFC 3168, RFC 8311]", () => {
  const ecn = (o: PeerOptions = {}): ReturnType<typeof tcp> =>
    tcp({ ...o, options: { ...plain, congestion: "reno", ...o.options } }).play(
      "+0 < SEW 0:0(0) <mss 1000>\n+0 > SE. 0:0(0) ack 1 ecn 0 <*>\n+0 < . 1:1(0) ack 1",
    );
  test("text is ECT(0), pure ACKs and what goes again are not [3168:5-2 3168:5.2-1 3168:5.2-2 8311:4.2-1 8311:4.2-2 8311:3-1]", () => {
    ecn().play("+0 send 10\n+0 > P. 1:11(10) ack 1 ecn 2\n+0 < P. 1:11(10) ack 1\n+.04 > . 11:11(0) ack 11 ecn 0\n+.16 > P. 1:11(10) ack 11 ecn 0");
  });
  test("no ECT without agreement, and none is asked for or agreed when it is off [3168:6.1.1-5 3168:6.1.1-8]", () => {
    tcp({ options: { ...plain, ecn: "off" } }).play("+0 < SEW 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+0 < . 1:1(0) ack 1\n+0 send 5\n+0 > P. 1:6(5) ack 1 ecn 0");
    active({ options: { ...plain, ecn: "on" } }).play("+0 > SEW 0:0(0) <*>\n+0 < S. 0:0(0) ack 1\n+0 > . 1:1(0) ack 1\n+0 send 5\n+0 > P. 1:6(5) ack 1 ecn 0");
    active({ options: { ...plain, ecn: "on" } }).play(
      "+0 > SEW 0:0(0) <*>\n+0 < SEW. 0:0(0) ack 1\n+0 > . 1:1(0) ack 1\n+0 send 5\n+0 > P. 1:6(5) ack 1 ecn 0",
    );
    active({ options: plain }).play("+0 > S 0:0(0) <*>");
  });
  test("CE is echoed until CWR [3168:6.1.3-1 3168:6.1.1-7 3168:6.1.1-6]", () => {
    ecn().play(
      "+0 < P. 1:11(10) ack 1 ecn 3\n+0 > E. 1:1(0) ack 11\n+0 < P. 11:21(10) ack 1 ecn 2\n+0 > E. 1:1(0) ack 21\n+0 < WP. 21:31(10) ack 1 ecn 2\n+.04 > . 1:1(0) ack 31",
    );
  });
  test("ECE halves the window once per round trip, as one loss does, and CWR says so on new text only [3168:5-1 3168:6.1.2-3 3168:6.1.2-7 9438:4.6-4]", () => {
    const peer = ecn().each((p) => {
      p.send(30_000);
      p.turn();
      expect(p.sent()).toHaveLength(10);
    });
    const cwnd = (): number => peer.same((p) => p.conn.status(p.now).cwnd);
    expect(cwnd()).toBe(10_000);
    peer.each((p) => {
      p.pass(p.now + 50);
      p.batch("+0 < E. 1:1(0) ack 1001");
    });
    expect(peer.same((p) => [p.conn.status(p.now).ssthresh, p.conn.status(p.now).phase])).toEqual([4_500, "cwr"]);
    peer.each((p) => {
      for (let k = 2_001; k <= 10_001; k += 1_000) p.batch(`+0 < E. 1:1(0) ack ${k}`);
    });
    expect(
      peer.same((p) =>
        p
          .sent()
          .map((s) => [s.flags.includes("W"), s.length > 0])
          .filter(([w]) => w),
      ),
    ).toEqual([[true, true]]);
    expect(cwnd()).toBeLessThanOrEqual(4_500);
    expect(peer.same((p) => p.conn.status(p.now).ssthresh)).toBe(4_500);
  });
  test("window probes are neither ECT nor CWR [3168:6.1.6-1]", () => {
    ecn().play("+0 < . 1:1(0) ack 1 win 0\n+0 send 100\n+.2 > . 1:2(1) ack 1 ecn 0");
  });
  test("the field of text outside of the window is ignored [3168:6.1.5-2 3168:6.1.6-2]", () => {
    ecn().play("+0 < P. 50001:50011(10) ack 1 ecn 3\n+0 > . 1:1(0) ack 1\n+0 < P. 1:11(10) ack 1 ecn 3\n+0 > E. 1:1(0) ack 11");
  });
});

describe("TIME-WAIT [RFC 6191, RFC 1337]", () => {
  const closed = (o: PeerOptions): ReturnType<typeof tcp> =>
    tcp(o).established().play("+0 close\n+0 > F. 1:1(0) ack 1\n+0 < F. 1:1(0) ack 2\n+0 > . 2:2(0) ack 2\n= TIME-WAIT");
  const flags = (peer: ReturnType<typeof tcp>, line: string): string[] => peer.batch(line).same((p: Peer) => p.sent().map((s) => s.flags));
  test("what a new SYN needs to open again [6191:2-2 6191:2-3 6191:2-5]", () => {
    expect(flags(closed(TS), "+0 < S 9:9(0) <mss 1460,TS val 1000>")).toEqual(["S."]);
    expect(flags(closed(TS), "+0 < S 9:9(0) <mss 1460,nots>")).toEqual(["S."]);
    expect(flags(closed({ options: plain }), "+0 < S -9:-9(0) <mss 1460,TS val 1>")).toEqual(["S."]);
    expect(flags(closed(TS), "+0 < S -9:-9(0) <mss 1460,nots>")).toEqual([]);
    expect(flags(closed(TS), "+0 < S 9:9(0) <mss 1460,TS val 999>")).toEqual([]);
  });
  test("old text, old ACKs and RSTs do not end it [1337:2-H 1337:3-F1]", () => {
    const peer = closed({ options: plain }).play(
      "+0 < P. -50:-40(10) ack 1\n+0 > . 2:2(0) ack 2\n+0 < . 2:2(0) ack 1\n+0 < R 2:2(0)\n= TIME-WAIT\n+59\n= TIME-WAIT",
    );
    expect(peer.taken).toBe(0);
  });
});
