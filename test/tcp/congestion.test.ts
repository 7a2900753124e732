/** What Reno and CUBIC carry from one episode to the next, and take back (RFC 5681, RFC 9438 §4.7 to §4.9). */
import { describe, expect, test } from "vitest";
import { Cubic } from "../../src/tcp/congestion/cubic.js";
import { Reno } from "../../src/tcp/congestion/reno.js";
import { Millis } from "../../src/tcp/time.js";

const MSS = 1_000;
interface Figures {
  cwnd: number;
  ssthresh: number;
  mss: number;
  flightSize: number;
  srtt: number;
}
const window = (cwnd: number, ssthresh: number, srtt = 100): Figures => ({ cwnd, ssthresh, mss: MSS, flightSize: cwnd, srtt });
const at = (ms: number): Millis => Millis(ms);

describe("Reno [RFC 5681 §3.1]", () => {
  test("each segment of growth costs a window of octets of its own", () => {
    const reno = new Reno(),
      w = window(10_000, 5_000);
    reno.acknowledged(w, 10_000, at(0));
    expect(w.cwnd).toBe(11_000);
    reno.acknowledged(w, 10_999, at(0));
    expect(w.cwnd).toBe(11_000);
    reno.acknowledged(w, 1, at(0));
    expect(w.cwnd).toBe(12_000);
  });
  test("what was acknowledged before a reduction counts for nothing after it", () => {
    const reno = new Reno(),
      w = window(10_000, 5_000);
    reno.acknowledged(w, 9_999, at(0));
    w.ssthresh = reno.reduce(w, at(0));
    w.cwnd = w.ssthresh;
    reno.acknowledged(w, 4_999, at(0));
    expect(w.cwnd).toBe(5_000);
  });
  test("a reduction is taken back once", () => {
    for (const control of [new Reno(), new Cubic()]) {
      const w = window(20_000, 30_000);
      control.reduce(w, at(0));
      w.cwnd = 5_000;
      control.undo(w);
      expect([w.cwnd, w.ssthresh]).toEqual([20_000, 30_000]);
      Object.assign(w, { cwnd: 5_000, ssthresh: 5_000 });
      control.undo(w);
      expect([w.cwnd, w.ssthresh]).toEqual([5_000, 5_000]);
    }
  });
});

/** A sender that is always limited by its window: a window of ACKs per round trip. */
class Flow {
  readonly w: Figures;
  readonly cubic = new Cubic();
  time = 0;
  constructor(segments: number, rtt: number) {
    this.w = window(segments * MSS, Infinity, rtt);
  }
  lose(): void {
    this.w.ssthresh = this.cubic.reduce(this.w, at(this.time));
    this.w.cwnd = this.w.ssthresh;
  }
  run(ms: number): number {
    for (const end = this.time + ms; this.time < end; ) {
      const segments = Math.floor(this.w.cwnd / MSS);
      for (let i = 0; i < segments && this.time < end; i++) {
        this.time += this.w.srtt / segments;
        this.w.flightSize = this.w.cwnd;
        this.cubic.acknowledged(this.w, MSS, at(this.time));
      }
    }
    return this.w.cwnd / MSS;
  }
}

describe("CUBIC [RFC 9438]", () => {
  test("after a timeout the curve begins flat where slow start ended, whatever K was before (§4.8)", () => {
    const f = new Flow(100, 300);
    f.lose();
    // A K of 4.2 s is in force.
    f.run(900);
    f.w.ssthresh = f.cubic.timedOut(f.w, at(f.time));
    f.w.cwnd = MSS;
    while (f.w.cwnd < f.w.ssthresh) f.run(30);
    const begin = f.time,
      plateau = f.w.cwnd / MSS;
    for (const seconds of [2, 4, 6]) {
      f.run(begin + seconds * 1_000 - f.time);
      // It is at where the curve was a round trip ago at the earliest, and aims at where it will be in another.
      const t = (f.time - begin) / 1_000;
      expect(f.w.cwnd / MSS).toBeGreaterThan(plateau + 0.4 * Math.max(0, t - 0.3) ** 3 - 1);
      expect(f.w.cwnd / MSS).toBeLessThan(plateau + 0.4 * (t + 0.3) ** 3 + 5);
    }
    expect(f.w.cwnd / MSS - plateau).toBeGreaterThan(70);
  });
  test("growth that was owed before a reduction is not paid after it (§4.6)", () => {
    const cubic = new Cubic(),
      w = window(10_000, 5_000, 100);
    cubic.acknowledged(w, 9_000, at(0));
    expect(w.cwnd).toBe(10_000);
    w.ssthresh = cubic.reduce(w, at(0));
    w.cwnd = w.ssthresh;
    cubic.acknowledged(w, 2_000, at(1));
    expect(w.cwnd).toBe(7_000);
  });
  /** Two flows with one history; one of them loses, runs on for a while, and takes it back. */
  const twins = (segments: number, rtt: number, before: number): [Flow, Flow] => {
    const pair: [Flow, Flow] = [new Flow(segments, rtt), new Flow(segments, rtt)];
    for (const f of pair) {
      f.lose();
      f.run(before);
    }
    const [a, b] = pair;
    a.lose();
    a.run(rtt);
    a.cubic.undo(a.w);
    b.time = a.time;
    // Its window did not grow meanwhile: that is all they may differ in.
    b.w.cwnd = a.w.cwnd;
    b.w.ssthresh = a.w.ssthresh;
    return pair;
  };
  test("a reduction that is taken back leaves the curve as it was: its plateau, its K and its time (§4.9.1)", () => {
    for (const before of [1_500, 7_000]) {
      const [a, b] = twins(100, 300, before);
      for (let i = 0; i < 8; i++) expect(Math.abs(a.run(600) - b.run(600))).toBeLessThanOrEqual(1.01);
    }
  });
  test("and Reno's estimate, where that is what counts (§4.9.1)", () => {
    const [a, b] = twins(20, 10, 200);
    for (let i = 0; i < 8; i++) expect(Math.abs(a.run(40) - b.run(40))).toBeLessThanOrEqual(1.01);
  });
});
