/** RFC 6298 and 8961 (RTO), 5681, 3465 and 6928 (Reno), 9438 (CUBIC), 6937 (PRR): the sums, and what goes out by them. */
import { describe, expect, test } from "vitest";
import { Cubic } from "../../src/tcp/congestion/cubic.js";
import { Reno } from "../../src/tcp/congestion/reno.js";
import { DEFAULTS, OPTIONS } from "../../src/tcp/options.js";
import { Prr } from "../../src/tcp/recovery/prr.js";
import { RtoEstimator } from "../../src/tcp/rto.js";
import { Millis } from "../../src/tcp/time.js";
import { quietly } from "../support/quietly.js";
import { type PeerOptions, type Peers, tcp } from "../support/peer.js";

const plain = { receiveBuffer: 10_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false, congestion: "reno" } as const;
const opened = (o: PeerOptions = {}): Peers => tcp({ syn: "mss 1000", ...o, options: { ...plain, ...o.options } }).established();
/** Sends as much as goes out at once. @returns how many segments that was */
const burst = (peer: Peers, octets: number): number =>
  peer.same((p) => {
    p.send(octets);
    p.turn();
    return p.sent().length;
  });
const status = (peer: Peers): { cwnd: number; ssthresh: number | undefined; inFlight: number; rto: number; srtt: number | undefined; phase: string } =>
  peer.same((p) => {
    const s = p.conn.status(p.now);
    return { cwnd: s.cwnd, ssthresh: s.ssthresh, inFlight: s.inFlight, rto: s.rto, srtt: s.srtt, phase: s.phase };
  });

describe("RTO [RFC 6298]", () => {
  const estimator = (): RtoEstimator => new RtoEstimator(DEFAULTS);
  test("the sums of §2, with the old SRTT in RTTVAR [6298:2.2 6298:2.3 6298:2.3-S 6298:2.1 8961:4-1]", () => {
    const r = estimator();
    expect([r.rto, r.hasSample]).toEqual([1_000, false]);
    r.sample(400, 1);
    expect([r.srtt, r.rttvar, r.rto, r.hasSample]).toEqual([400, 200, 1_200, true]);
    r.sample(800, 1);
    expect([r.srtt, r.rttvar, r.rto]).toEqual([450, 250, 1_450]);
    expect(r.minRtt).toBe(400);
  });
  test("a variance of zero becomes the clock's grain; floor and ceiling [6298:4 6298:2.5]", () => {
    const r = new RtoEstimator({ ...DEFAULTS, minRto: OPTIONS.minRto.min });
    for (let i = 0; i < 500; i++) r.sample(1_000, 1);
    expect(r.rto).toBeCloseTo(1_001, 3);
    const high = estimator();
    high.sample(500_000, 1);
    expect(high.rto).toBe(120_000);
    for (let i = 0; i < 9; i++) high.timedOut();
    expect(high.rto).toBe(120_000);
  });
  test("the floor lies under the variance, so that a steady path of any length leaves an ACK time to be late [6298:2.4]", () => {
    for (const rtt of [1, 150, 200, 1_000]) {
      const r = estimator();
      for (let i = 0; i < 500; i++) r.sample(rtt, 1);
      expect(r.rto).toBeCloseTo(rtt + 200, 3);
    }
    // Where the variance is larger it is what counts.
    const r = estimator();
    r.sample(300, 1);
    expect(r.rto).toBe(900);
  });
  test("it doubles, and the next sample ends that [6298:5.5 6298:5-3 8961:4-3 8961:4-4]", () => {
    const r = estimator();
    r.sample(400, 1);
    r.timedOut();
    r.timedOut();
    expect([r.rto, r.base, r.backoff]).toEqual([4_800, 1_200, 2]);
    r.sample(400, 1);
    expect([r.backoff, r.rto]).toEqual([0, 1_000]);
  });
  test("after a lost SYN text starts from 3 s, unless a sample says better [6298:5.7]", () => {
    const r = estimator();
    r.timedOut();
    r.afterSynTimeout();
    expect([r.rto, r.backoff]).toEqual([3_000, 0]);
    const known = estimator();
    known.sample(400, 1);
    known.afterSynTimeout();
    expect(known.rto).toBe(1_200);
  });
  test("nothing is sent again before its RTO; the timer starts with text and at least one sample comes per round trip [6298:1 6298:5-1 6298:5.1 6298:3-3 9293:MUST-18]", () => {
    const peer = opened();
    for (let i = 0; i < 5; i++)
      peer.each((p) => {
        p.send(100);
        p.turn();
        p.sent();
        p.pass(p.now + 300);
        p.sent();
        p.batch(`+0 < . 1:1(0) ack ${101 + 100 * i}`);
      });
    peer.each((p) => {
      const rto = p.conn.status(p.now).rto;
      p.send(100);
      p.turn();
      p.sent();
      const [again] = quietly(p, 5);
      expect(again?.at).toBeGreaterThanOrEqual(rto / 1_000 - 0.002);
      expect(again?.at).toBeLessThan(rto / 1_000 + 0.003);
    });
  });
  test("what was sent twice times nothing [6298:3-1 6298:3-2 8961:4-2]", () => {
    const peer = opened().play("+0 send 100\n+0 > P. 1:101(100) ack 1\n+.2 > P. 1:101(100) ack 1\n+.3 < . 1:1(0) ack 101");
    expect(status(peer).srtt).toBe(0);
  });
});

describe("slow start and congestion avoidance [RFC 5681, RFC 3465, RFC 6928]", () => {
  test("ten segments to begin with, no more than cwnd is outstanding, ssthresh begins without bound [5681:3.1-1 5681:3.1-2 5681:3-1 5681:3.1-6 6928:2-1 9293:MUST-19 9438:4.10-1]", () => {
    const peer = opened();
    expect(burst(peer, 30_000)).toBe(10);
    expect(status(peer)).toMatchObject({ cwnd: 10_000, ssthresh: undefined, inFlight: 10_000 });
    // Each ACK of new text opens by what it acknowledges.
    peer.each((p) => {
      p.pass(p.now + 50);
      p.batch("+0 < . 1:1(0) ack 1001");
      expect(p.sent()).toHaveLength(2);
    });
    expect(status(peer)).toMatchObject({ cwnd: 11_000, inFlight: 11_000 });
    peer.each((p) => {
      p.batch("+0 < . 1:1(0) ack 3001");
      expect(p.sent()).toHaveLength(4);
    });
    expect(status(peer).cwnd).toBe(13_000);
  });
  test("one segment after a SYN,ACK that was lost twice, ten after one [5681:3.1-4 6928:2-2 6928:2-3]", () => {
    const segmentsAfter = (lost: number): number =>
      burst(
        tcp({ options: plain, syn: "mss 1000" })
          .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>")
          .each((p) => {
            quietly(p, lost === 1 ? 1.5 : 3.5);
          })
          .play("+0 < . 1:1(0) ack 1"),
        30_000,
      );
    expect([segmentsAfter(1), segmentsAfter(2)]).toEqual([10, 1]);
  });
  const w = (cwnd: number, ssthresh = Infinity): { cwnd: number; ssthresh: number; mss: number; flightSize: number; srtt: number } => ({
    cwnd,
    ssthresh,
    mss: 1_000,
    flightSize: cwnd,
    srtt: 100,
  });
  const now = Millis(0);
  test("Reno: by the octet up to ssthresh, then one segment per window of octets [5681:3.1-10 5681:3.1-11 3465:2.2-1]", () => {
    const reno = new Reno(),
      x = w(10_000, 12_500);
    reno.acknowledged(x, 2_000, now);
    expect(x.cwnd).toBe(12_000);
    reno.acknowledged(x, 1_000, now);
    expect(x.cwnd).toBe(12_500);
    for (let i = 0; i < 11; i++) reno.acknowledged(x, 1_000, now);
    expect(x.cwnd).toBe(12_500);
    reno.acknowledged(x, 1_000, now);
    expect(x.cwnd).toBe(13_500);
  });
  test("Reno: half of what is in flight, at least two segments, and back if it was for nothing [5681:3.1-7 5681:4.3-1]", () => {
    const reno = new Reno(),
      x = w(20_000);
    x.flightSize = 15_000;
    expect(reno.reduce(x, now)).toBe(7_500);
    x.cwnd = 7_500;
    x.ssthresh = 7_500;
    reno.undo(x);
    expect([x.cwnd, x.ssthresh]).toEqual([20_000, Infinity]);
    x.cwnd = 30_000;
    reno.undo(x);
    expect(x.cwnd).toBe(30_000);
    x.flightSize = 3_000;
    expect(reno.timedOut(x, now)).toBe(2_000);
  });
  test("an idle connection starts from the restart window [5681:4.1-1 6928:2-4]", () => {
    const peer = opened();
    burst(peer, 10_000);
    peer.each((p) => {
      p.batch("+0 < . 1:1(0) ack 10001");
    });
    expect(status(peer).cwnd).toBe(20_000);
    peer.each((p) => {
      p.pass(p.now + 1_000);
    });
    expect(burst(peer, 30_000)).toBe(10);
    const kept = opened({ options: { slowStartAfterIdle: false } });
    burst(kept, 10_000);
    kept.each((p) => {
      p.batch("+0 < . 1:1(0) ack 10001");
      p.pass(p.now + 1_000);
    });
    expect(burst(kept, 30_000)).toBe(20);
  });
  test("a timeout: one segment, ssthresh by equation 4 once, slow start after it [5681:3.1-8 5681:3.1-9 8961:4-5 3465:2.3-2]", () => {
    const peer = opened();
    burst(peer, 10_000);
    const again = peer.same((p) => quietly(p, 0.3).map((s) => s.seq));
    expect(again).toEqual([1]);
    expect(status(peer)).toMatchObject({ cwnd: 1_000, ssthresh: 5_000, phase: "loss" });
    peer.each((p) => {
      quietly(p, 0.5);
    });
    expect(status(peer)).toMatchObject({ cwnd: 1_000, ssthresh: 5_000 });
    peer.each((p) => {
      p.batch("+0 < . 1:1(0) ack 1001");
      expect(p.sent().map((s) => s.seq)).toEqual([1_001, 2_001]);
    });
  });
  test("an ACK per segment at most, an ACK for each second one, and at once where a gap is or was [5681:4.2-1 5681:4.2-6 6582:5-1 9293:SHLD-18 9293:SHLD-19]", () => {
    opened().play(
      "+0 < . 1:1001(1000) ack 1\n+0 < . 1001:2001(1000) ack 1\n+0 > . 1:1(0) ack 2001\n+0 < . 2001:3001(1000) ack 1\n+.04 > . 1:1(0) ack 3001\n+0 < . 4001:5001(1000) ack 1\n+0 > . 1:1(0) ack 3001\n+0 < . 3001:4001(1000) ack 1\n+0 > . 1:1(0) ack 5001",
    );
  });
});

describe("duplicate ACKs without SACK [RFC 5681 §3.2, RFC 6582, RFC 3042]", () => {
  const flight = (o: PeerOptions = {}): Peers => {
    const peer = opened(o);
    expect(burst(peer, 30_000)).toBe(10);
    return peer.each((p) => {
      p.pass(p.now + 50);
    });
  };
  const dup = "+0 < . 1:1(0) ack 1";
  test("the first two send new text and leave cwnd alone; the third sends what is missing [5681:3.2-4 5681:3.2-5 5681:3.2-8 5681:3.2-6 3042:2-1]", () => {
    const peer = flight().play(`${dup}\n+0 > . 10001:11001(1000) ack 1\n${dup}\n+0 > . 11001:12001(1000) ack 1`);
    expect(status(peer)).toMatchObject({ cwnd: 10_000, inFlight: 12_000, phase: "disorder" });
    peer.batch(dup).each((p) => {
      expect(p.sent().map((s) => s.seq)[0]).toBe(1);
    });
    expect(status(peer)).toMatchObject({ ssthresh: 6_000, phase: "recovery" });
  });
  test("without limited transmit two duplicates send nothing [3042:2-2]", () => {
    flight({ options: { limitedTransmit: false } }).play(`${dup}\n${dup}`);
  });
  test("a window update, text and an ACK of new text are no duplicates [5681:2-1]", () => {
    flight().play(
      "+0 < . 1:1(0) ack 1 win 65000\n+0 < . 1:1(0) ack 1 win 64000\n+0 < . 1:1(0) ack 1 win 63000\n+0 < P. 1:11(10) ack 1 win 63000\n+.04 > . 10001:10001(0) ack 11",
    );
  });
  test("a partial ACK sends the next hole, and recovery ends at the recovery point with cwnd at ssthresh [6582:3.2-6 6582:3.2-7 5681:3.2-13 5681:4.3-2 5681:4.3-3 6582:3.2-8]", () => {
    const peer = flight().each((p) => {
      for (let i = 0; i < 5; i++) p.batch(dup);
      p.sent();
    });
    peer.each((p) => {
      p.batch("+0 < . 1:1(0) ack 3001");
      expect(p.sent().map((s) => s.seq)[0]).toBe(3_001);
      expect(p.conn.status(p.now).phase).toBe("recovery");
    });
    expect(status(peer).cwnd).toBeLessThanOrEqual(10_000);
    peer.each((p) => {
      const end = p.conn.status(p.now).sndNxt;
      p.batch(`+0 < . 1:1(0) ack ${end}`);
      p.sent();
    });
    expect(status(peer)).toMatchObject({ phase: "open", cwnd: 6_000, ssthresh: 6_000 });
  });
  test("after a timeout duplicates of old text start no recovery [6582:3.2-9 6582:3.2-1]", () => {
    const peer = flight().each((p) => {
      quietly(p, 0.3);
    });
    peer.each((p) => {
      for (let i = 0; i < 5; i++) p.batch(dup);
      p.sent();
    });
    expect(status(peer)).toMatchObject({ phase: "loss", cwnd: 1_000, ssthresh: 5_000 });
  });
});

describe("PRR [RFC 6937]", () => {
  test("above ssthresh in proportion, below it by slow start or conservatively; the first retransmission always goes [6937:3-1 6937:3-2 6937:3-3 6937:3-4 6937:3-5]", () => {
    const prr = new Prr();
    prr.start(20_000);
    expect(prr.acknowledged(1_000, 18_000, 10_000, 1_000, false)).toBe(19_000);
    prr.out += 1_000;
    // 2,000 delivered of 20,000: half of it may be out in all, and is.
    expect(prr.acknowledged(1_000, 18_000, 10_000, 1_000, false)).toBe(18_000);
    expect(prr.acknowledged(2_000, 17_000, 10_000, 1_000, false)).toBe(18_000);
    prr.out += 1_000;
    expect(prr.acknowledged(1_000, 4_000, 10_000, 1_000, true)).toBe(4_000 + 4_000);
    expect(prr.acknowledged(1_000, 4_000, 10_000, 1_000, false)).toBe(4_000 + 4_000);
    expect(prr.acknowledged(9_000, 9_500, 10_000, 1_000, true)).toBe(10_000);
    // The next episode begins from nothing.
    prr.start(10_000);
    expect([prr.delivered, prr.out]).toEqual([0, 0]);
    expect(prr.acknowledged(1_000, 9_000, 5_000, 1_000, false)).toBe(10_000);
  });
});

describe("CUBIC [RFC 9438]", () => {
  const MSS = 1_000;
  class Flow {
    cwnd: number;
    ssthresh = Infinity;
    readonly mss = MSS;
    srtt: number;
    time = 0;
    readonly cubic = new Cubic();
    constructor(segments: number, rtt: number) {
      this.cwnd = segments * MSS;
      this.srtt = rtt;
    }
    get flightSize(): number {
      return this.cwnd;
    }
    lose(): void {
      this.ssthresh = this.cubic.reduce(this, Millis(this.time));
      this.cwnd = this.ssthresh;
    }
    /** ACKs come segment by segment, spread over the round trip. */
    run(ms: number): number {
      for (const end = this.time + ms; this.time < end; ) {
        const segments = Math.floor(this.cwnd / MSS);
        for (let i = 0; i < segments && this.time < end; i++) {
          this.time += this.srtt / segments;
          this.cubic.acknowledged(this, MSS, Millis(this.time));
        }
      }
      return this.cwnd / MSS;
    }
  }
  const curve = (t: number, max: number, cwnd: number): number => 0.4 * (t - Math.cbrt((max - cwnd) / 0.4)) ** 3 + max;
  test("0.7 of the window, at least two segments, whole ones [9438:4.6-1 9438:4.6-2 9438:4.6-3]", () => {
    const f = new Flow(100, 100);
    f.lose();
    expect([f.ssthresh, f.cwnd]).toEqual([70_000, 70_000]);
    const small = new Flow(2, 100);
    small.lose();
    expect(small.ssthresh).toBe(2_000);
  });
  test("along the curve up to the plateau and beyond it: C is 0.4 [9438:4.2-1 9438:4.4-1 9438:4.5-1 9438:5.1-1]", () => {
    const f = new Flow(100, 300);
    f.lose();
    f.run(300);
    const start = f.time;
    for (const t of [2, 4.2, 6, 8]) {
      f.run(start + t * 1_000 - f.time);
      expect(Math.abs(f.cwnd / MSS - curve((f.time - 300) / 1_000 + 0.3, 100, 70))).toBeLessThan(3);
    }
    expect(f.cwnd / MSS).toBeGreaterThan(110);
  });
  test("never faster than half as much again per round trip [9438:4.2-1]", () => {
    const f = new Flow(20, 2_000);
    f.lose();
    f.run(60_000);
    for (let i = 0; i < 5; i++) {
      const before = f.cwnd;
      f.run(2_000);
      expect(f.cwnd).toBeLessThanOrEqual(before * 1.5 + MSS);
    }
  });
  test("where Reno would be faster, as Reno: alpha 0.53 until the old window, then 1 [9438:4.3-1 9438:4.3-2 9438:4.3-3]", () => {
    const f = new Flow(20, 10);
    f.lose();
    expect(f.cwnd).toBe(14_000);
    f.run(70);
    expect(f.cwnd / MSS).toBeGreaterThanOrEqual(16);
    expect(f.cwnd / MSS).toBeLessThanOrEqual(18);
    f.run(60);
    const at = f.run(0);
    const later = f.run(100);
    expect(later - at).toBeGreaterThanOrEqual(7);
    expect(later - at).toBeLessThanOrEqual(12);
  });
  test("a falling maximum makes room: the plateau is lower [9438:4.7-1]", () => {
    const f = new Flow(100, 300);
    f.lose();
    f.run(900);
    const before = f.cwnd / MSS;
    expect(before).toBeLessThan(100);
    f.lose();
    const cwnd = f.cwnd / MSS,
      plateau = before * 0.85;
    f.run(Math.cbrt((plateau - cwnd) / 0.4) * 1_000);
    expect(Math.abs(f.cwnd / MSS - plateau)).toBeLessThan(2.5);
  });
  test("time without anything to send does not count [9438:4.2-2]", () => {
    const f = new Flow(100, 300),
      g = new Flow(100, 300);
    for (const x of [f, g]) {
      x.lose();
      x.run(2_000);
    }
    g.time += 60_000;
    g.cubic.idle(Millis(g.time), 60_000);
    expect(Math.abs(f.run(2_000) - g.run(2_000))).toBeLessThan(1);
    g.time += 60_000;
    expect(g.run(600) - f.run(600)).toBeGreaterThan(10);
  });
  test("a timeout: ssthresh by 0.7, and avoidance begins at its plateau [9438:4.8-1 9438:4.8-2]", () => {
    const f = new Flow(100, 300);
    f.ssthresh = f.cubic.timedOut(f, Millis(0));
    expect(f.ssthresh).toBe(70_000);
    f.cwnd = MSS;
    while (f.cwnd < f.ssthresh) f.run(30);
    const begin = f.time;
    f.run(3_000);
    // K is zero: 0.4 t^3 above where slow start ended, as soon as the time is up.
    expect(Math.abs(f.cwnd / MSS - (70 + 0.4 * ((f.time - begin) / 1_000) ** 3))).toBeLessThan(5);
  });
  test("a reduction for nothing is taken back, but never lowers [9438:4.9.1-1 9438:4.9.2-1 9438:4.9.2-2]", () => {
    const f = new Flow(100, 300);
    f.lose();
    f.cubic.undo(f);
    expect([f.cwnd, f.ssthresh]).toEqual([100_000, Infinity]);
    f.lose();
    f.cwnd = 150_000;
    f.cubic.undo(f);
    expect(f.cwnd).toBe(150_000);
    f.cwnd = 5_000;
    f.cubic.undo(f);
    expect(f.cwnd).toBe(5_000);
  });
});
