/**
 * When to wake which connection: a hierarchical timing wheel of 1 ms. Arming, moving and finding the next one cost the
 * same however many there are. A deadline that moves away is left where it is: the connection is asked again when its old
 * slot comes round, so a retransmission timer that every ACK restarts is touched once per RTO and not once per ACK.
 */
import type { Millis } from "../tcp/time.js";
import { NEVER } from "../tcp/time.js";
import type { Wake } from "../tcp/wake.js";

const BITS = 8,
  SLOTS = 1 << BITS,
  MASK = SLOTS - 1,
  LEVELS = 4;
/** What lies beyond the last level waits in its last slot and is sorted again from there. */
const HORIZON = SLOTS ** LEVELS - 1;

/** The last millisecond of the lowest level's turn. Not by `|`, which ends at 2^31 ms: 24.8 days. */
const lastOfTurn = (tick: number): number => tick - (tick % SLOTS) + MASK;

export class Wheel {
  readonly #slots: (Wake | undefined)[] = new Array(LEVELS * SLOTS).fill(undefined);
  /** Wakes per level: an empty level is not searched. */
  readonly #counts = new Int32Array(LEVELS);
  /** Everything before this millisecond has been taken. */
  #tick: number;

  constructor(now: Millis) {
    this.#tick = Math.floor(now);
  }

  /** Wakes at `at` at the latest; an earlier wake that is already set stands. */
  set(w: Wake, at: Millis): void {
    if (w.slot >= 0) {
      if (w.at <= at) return;
      this.clear(w);
    }
    if (at === NEVER) return;
    w.at = at;
    this.#insert(w);
  }
  clear(w: Wake): void {
    if (w.slot < 0) return;
    this.#counts[w.slot >> BITS] = (this.#counts[w.slot >> BITS] as number) - 1;
    if (w.previous === undefined) this.#slots[w.slot] = w.following;
    else w.previous.following = w.following;
    if (w.following !== undefined) w.following.previous = w.previous;
    w.previous = undefined;
    w.following = undefined;
    w.slot = -1;
    w.at = Infinity;
  }

  /** Takes one that is due, or undefined. */
  take(now: Millis): Wake | undefined {
    const last = Math.floor(now);
    for (;;) {
      if ((this.#counts[0] as number) > 0) {
        for (; this.#tick <= last; this.#step()) {
          for (let w = this.#slots[this.#tick & MASK]; w !== undefined; w = w.following) {
            if (w.at <= now) {
              this.clear(w);
              return w;
            }
          }
          if (this.#tick === last || (this.#counts[0] as number) === 0) break;
        }
        if (this.#tick >= last) return undefined;
      }
      // Nothing within this turn of the lowest level: go to where a higher one is sorted down.
      const boundary = lastOfTurn(this.#tick) + 1;
      if (boundary > last) {
        this.#tick = Math.max(this.#tick, last);
        return undefined;
      }
      if (this.#isEmpty()) {
        this.#tick = last;
        return undefined;
      }
      this.#tick = boundary;
      this.#cascade();
    }
  }

  /** When to look again: the next deadline, or the time at which a slot further up has to be sorted. */
  next(): Millis {
    if ((this.#counts[0] as number) > 0) {
      for (let tick = this.#tick, end = lastOfTurn(tick); tick <= end; tick++) {
        let first: number = NEVER;
        for (let w = this.#slots[tick & MASK]; w !== undefined; w = w.following) if (w.at < first) first = w.at;
        if (first !== NEVER) return first as Millis;
      }
    }
    for (let level = 1; level < LEVELS; level++) {
      if ((this.#counts[level] as number) === 0) continue;
      const unit = SLOTS ** level,
        here = Math.floor(this.#tick / unit);
      for (let i = 1; i <= SLOTS; i++) {
        if (this.#slots[(level << BITS) + ((here + i) & MASK)] !== undefined) return ((here + i) * unit) as Millis;
      }
    }
    return NEVER;
  }

  #isEmpty(): boolean {
    return this.#counts[0] === 0 && this.#counts[1] === 0 && this.#counts[2] === 0 && this.#counts[3] === 0;
  }
  #step(): void {
    this.#tick++;
    if ((this.#tick & MASK) === 0) this.#cascade();
  }
  /** The lowest level has come round: sort the slots above that begin now. */
  #cascade(): void {
    for (let level = 1, unit = SLOTS; level < LEVELS; level++, unit *= SLOTS) {
      const index = Math.floor(this.#tick / unit) & MASK,
        slot = (level << BITS) + index;
      for (let w = this.#slots[slot]; w !== undefined; w = this.#slots[slot]) {
        const at = w.at as Millis;
        this.clear(w);
        w.at = at;
        this.#insert(w);
      }
      if (index !== 0) break;
    }
  }
  #insert(w: Wake): void {
    const tick = Math.min(Math.max(Math.floor(w.at), this.#tick), this.#tick + HORIZON);
    // The level is that of the highest digit in which the deadline differs from now.
    let level = 0;
    for (let unit = SLOTS; level < LEVELS - 1 && Math.floor(tick / unit) !== Math.floor(this.#tick / unit); unit *= SLOTS) level++;
    const slot = (level << BITS) + (Math.floor(tick / SLOTS ** level) & MASK);
    const head = this.#slots[slot];
    w.slot = slot;
    w.previous = undefined;
    w.following = head;
    if (head !== undefined) head.previous = w;
    this.#slots[slot] = w;
    this.#counts[level] = (this.#counts[level] as number) + 1;
  }
}
