/** A limit per second, counted without a timer. */
import type { Millis } from "../tcp/time.js";

export class RateLimit {
  readonly perSecond: number;
  refused = 0;
  #second = -1;
  #used = 0;
  constructor(perSecond: number) {
    this.perSecond = perSecond;
  }
  allow(now: Millis): boolean {
    const second = Math.floor(now / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#used = 0;
    }
    if (this.#used >= this.perSecond) {
      this.refused++;
      return false;
    }
    this.#used++;
    return true;
  }
}
