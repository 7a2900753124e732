/** RFC 5681 §3.1: slow start and congestion avoidance, with appropriate byte counting (RFC 3465). */
import type { Millis } from "../time.js";
import { type CongestionControl, slowStart, type Window } from "./congestion.js";

export class Reno implements CongestionControl {
  readonly name = "reno";
  #acknowledged = 0;
  #before: { cwnd: number; ssthresh: number } | undefined;

  acknowledged(w: Window, octets: number, _now: Millis): void {
    if (w.cwnd < w.ssthresh) octets = slowStart(w, octets);
    this.#acknowledged += octets;
    // One SMSS per window of acknowledged octets.
    if (this.#acknowledged >= w.cwnd) {
      this.#acknowledged -= w.cwnd;
      w.cwnd += w.mss;
    }
  }
  reduce(w: Window, _now: Millis): number {
    this.#before = { cwnd: w.cwnd, ssthresh: w.ssthresh };
    this.#acknowledged = 0;
    // Equation 4 of RFC 5681.
    return Math.max(Math.floor(w.flightSize / 2), 2 * w.mss);
  }
  timedOut(w: Window, now: Millis): number {
    return this.reduce(w, now);
  }
  undo(w: Window): void {
    if (this.#before === undefined) return;
    w.cwnd = Math.max(w.cwnd, this.#before.cwnd);
    w.ssthresh = Math.max(w.ssthresh, this.#before.ssthresh);
    this.#before = undefined;
  }
  idle(_now: Millis, _idleMs: number): void {}
}
