/** `--impair`: a wrapper that makes the link lose, delay, reorder, double, damage and slow down frames, as `tc netem` would. */
import type { Device } from "./device.js";
import type { Frame } from "./frame.js";
import type { Impairment } from "./impair-spec.js";
import { FilterDevice, type Forward, type WrapperOptions } from "./wrapper.js";

export { type Impairment, ImpairSyntaxError, parseImpair } from "./impair-spec.js";

/** Time, as the wrapper needs it. Virtual time gives its own. */
export interface ImpairClock {
  /** Milliseconds from any start, fractions welcome. */
  now(): number;
  /** Calls once when `ms` is reached or a little later. @returns how to call it off */
  at(ms: number, call: () => void): () => void;
}

/** Frames leave when their time is due, to the millisecond or so that Node's timers keep. */
export const realClock: ImpairClock = {
  now: () => performance.now(),
  at: (ms, call) => {
    const timer = setTimeout(call, Math.max(0, ms - performance.now()));
    return () => clearTimeout(timer);
  },
};

/** What became of the frames of one direction. */
export interface ImpairCounters {
  frames: number;
  lost: number;
  duplicated: number;
  corrupted: number;
  reordered: number;
  /** Lost because `limit` frames were on their way. */
  overflowed: number;
}

export interface ImpairedDevice extends FilterDevice {
  readonly impaired: { readonly incoming: ImpairCounters; readonly outgoing: ImpairCounters };
}

/** Super-segments are shown as their segments, so that loss=1% is one segment of a hundred with offload too. */
export function impair(inner: Device, what: Impairment, clock: ImpairClock = realClock, options: WrapperOptions = {}): ImpairedDevice {
  const incoming = new Link(what, clock, what.seed),
    outgoing = new Link(what, clock, what.seed ^ 0x9e3779b9);
  const device = new FilterDevice(
    inner,
    {
      ...(what.direction === "out" ? {} : { incoming: (frame: Frame, forward: Forward) => incoming.carry(frame, forward) }),
      ...(what.direction === "in" ? {} : { outgoing: (frame: Frame, forward: Forward) => outgoing.carry(frame, forward) }),
      close: () => {
        incoming.close();
        outgoing.close();
      },
    },
    { ...options, split: true },
  );
  return Object.assign(device, { impaired: { incoming: incoming.counters, outgoing: outgoing.counters } });
}

interface OnItsWay {
  readonly due: number;
  readonly frame: Frame;
  readonly forward: Forward;
}

class Link {
  readonly counters: ImpairCounters = { frames: 0, lost: 0, duplicated: 0, corrupted: 0, reordered: 0, overflowed: 0 };
  readonly #what: Impairment;
  readonly #clock: ImpairClock;
  readonly #chance: () => number;
  /** By time; frames of one time in the order they came. */
  #flight: OnItsWay[] = [];
  #cancel: (() => void) | undefined;
  #timerDue = Infinity;
  /** When the line has sent what it was given, at its rate. */
  #lineFree = 0;

  constructor(what: Impairment, clock: ImpairClock, seed: number) {
    this.#what = what;
    this.#clock = clock;
    this.#chance = generator(seed);
  }

  carry(frame: Frame, forward: Forward): void {
    const { counters } = this,
      what = this.#what;
    counters.frames++;
    // Every frame draws the same number of times, so that one fate does not change another's.
    const lost = this.#chance() < what.loss,
      twice = this.#chance() < what.duplicate,
      damaged = this.#chance() < what.corrupt;
    const bit = this.#chance(),
      early = this.#chance() < what.reorder,
      sway = this.#chance();
    if (lost) {
      counters.lost++;
      return;
    }
    let sent = frame;
    if (damaged && frame.length > 0) {
      counters.corrupted++;
      sent = frame.own();
      sent.complete();
      const at = Math.floor(bit * sent.length * 8),
        bytes = sent.bytes;
      bytes[at >> 3] = (bytes[at >> 3] as number) ^ (1 << (at & 7));
    }
    const now = this.#clock.now();
    let due = now;
    if (what.rateBps !== Infinity) {
      this.#lineFree = Math.max(now, this.#lineFree) + (sent.length * 8000) / what.rateBps;
      due = this.#lineFree;
    }
    if (early) counters.reordered++;
    else due += what.delayMs + (2 * sway - 1) * what.jitterMs;
    this.#launch(sent, forward, due, now);
    if (twice) {
      counters.duplicated++;
      this.#launch(sent, forward, due, now);
    }
  }

  #launch(frame: Frame, forward: Forward, due: number, now: number): void {
    if (due <= now) return forward(frame);
    const flight = this.#flight;
    if (flight.length >= this.#what.limit) {
      this.counters.overflowed++;
      return;
    }
    let low = 0,
      high = flight.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((flight[middle] as OnItsWay).due <= due) low = middle + 1;
      else high = middle;
    }
    flight.splice(low, 0, { due, frame: frame.own(), forward });
    this.#arm();
  }

  #arm(): void {
    const first = this.#flight[0];
    if (first === undefined || first.due === this.#timerDue) return;
    this.#cancel?.();
    this.#timerDue = first.due;
    this.#cancel = this.#clock.at(first.due, () => {
      this.#timerDue = Infinity;
      this.#cancel = undefined;
      const now = this.#clock.now();
      let landed = 0;
      // A timer may be early by a fraction of a millisecond; what is that near has come.
      while (landed < this.#flight.length && (this.#flight[landed] as OnItsWay).due <= now + 0.1) landed++;
      for (const { frame, forward } of this.#flight.splice(0, landed)) forward(frame);
      this.#arm();
    });
  }

  close(): void {
    this.#cancel?.();
    this.#flight = [];
  }
}

/** Numbers in [0, 1): splitmix32, whose streams of near seeds are unlike. */
function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let t = state ^ (state >>> 16);
    t = Math.imul(t, 0x21f0aaad);
    t ^= t >>> 15;
    t = Math.imul(t, 0x735a2d97);
    return ((t ^ (t >>> 15)) >>> 0) / 2 ** 32;
  };
}
