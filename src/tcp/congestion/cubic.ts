/** CUBIC (RFC 9438). The curve is in segments and seconds, as §4.1 writes it; the window in octets. */
import type { Millis } from "../time.js";
import { type CongestionControl, slowStart, type Window } from "./congestion.js";

/** §4.6. */
const BETA = 0.7;
/** §5.1. */
const C = 0.4;
/** §4.3: the growth that matches Reno's with this beta. */
const ALPHA = (3 * (1 - BETA)) / (1 + BETA);

export class Cubic implements CongestionControl {
  readonly name = "cubic";
  #wMax = 0;
  #k = 0;
  /** cwnd_epoch, segments. */
  #wEst = 0;
  /** Start of the congestion avoidance stage, ms; -1 before the first. */
  #epoch = -1;
  /** Octets of growth that the window owes: it moves by whole segments only. */
  #credit = 0;
  #before: { cwnd: number; ssthresh: number; wMax: number; k: number; epoch: number; wEst: number } | undefined;

  acknowledged(w: Window, octets: number, now: Millis): void {
    if (w.cwnd < w.ssthresh) {
      octets = slowStart(w, octets);
      if (octets === 0) return;
    }
    const cwnd = w.cwnd / w.mss;
    if (this.#epoch < 0) {
      this.#epoch = now;
      this.#wEst = cwnd;
      if (this.#wMax < cwnd) {
        // §4.8, or the first stage after slow start: the curve starts at its plateau.
        this.#wMax = cwnd;
        this.#k = 0;
      } else this.#k = Math.cbrt((this.#wMax - cwnd) / C);
    }
    const rtt = Math.max(0, w.srtt) / 1000,
      t = (now - this.#epoch) / 1000;
    const segments = octets / w.mss;
    // §4.3: once it is past the window before the loss, W_est grows as Reno does.
    this.#wEst += (this.#wEst >= this.#wMax ? 1 : ALPHA) * (segments / cwnd);
    const cubic = C * (t - this.#k) ** 3 + this.#wMax;
    let growth: number;
    if (cubic < this.#wEst) growth = Math.max(0, this.#wEst - cwnd);
    else {
      // §4.4, §4.5: towards the curve one round trip ahead, at most half as much again.
      const target = Math.min(Math.max(C * (t + rtt - this.#k) ** 3 + this.#wMax, cwnd), 1.5 * cwnd);
      growth = ((target - cwnd) / cwnd) * segments;
    }
    this.#credit += growth * w.mss;
    if (this.#credit >= w.mss) {
      const whole = Math.floor(this.#credit / w.mss) * w.mss;
      w.cwnd += whole;
      this.#credit -= whole;
    }
  }

  reduce(w: Window, _now: Millis): number {
    const cwnd = w.cwnd / w.mss;
    this.#before = { cwnd: w.cwnd, ssthresh: w.ssthresh, wMax: this.#wMax, k: this.#k, epoch: this.#epoch, wEst: this.#wEst };
    // §4.7, fast convergence: give room to newcomers when the maximum is falling.
    this.#wMax = cwnd < this.#wMax && this.#epoch >= 0 ? cwnd * ((1 + BETA) / 2) : cwnd;
    this.#epoch = -1;
    this.#credit = 0;
    // §4.6, with cwnd for flight_size, as a window-limited sender has it; in whole segments.
    return Math.max(Math.floor(cwnd * BETA), 2) * w.mss;
  }
  timedOut(w: Window, now: Millis): number {
    const ssthresh = this.reduce(w, now);
    // §4.8: the first stage after a timeout has its plateau where slow start leaves, and not where the window was.
    this.#wMax = 0;
    return ssthresh;
  }
  undo(w: Window): void {
    const b = this.#before;
    if (b === undefined) return;
    w.cwnd = Math.max(w.cwnd, b.cwnd);
    w.ssthresh = Math.max(w.ssthresh, b.ssthresh);
    this.#wMax = b.wMax;
    this.#k = b.k;
    this.#epoch = b.epoch;
    this.#wEst = b.wEst;
    this.#before = undefined;
  }
  /** §4.2: time in which nothing was to be sent does not count. */
  idle(_now: Millis, idleMs: number): void {
    if (this.#epoch >= 0) this.#epoch += idleMs;
  }
}
