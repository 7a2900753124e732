/** Chance from a seed: the same seed draws the same numbers, and seeds next to each other draw unlike ones. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed | 0, 0x9e3779b1) ^ 0x5bf03635;
    this.uint32();
  }

  /** Uniform in 0 to 2^32-1 (splitmix32). */
  readonly uint32 = (): number => {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  /** Uniform in [0, 1). */
  unit(): number {
    return this.uint32() / 2 ** 32;
  }
  chance(probability: number): boolean {
    return this.unit() < probability;
  }
  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1));
  }
  /** The same on a scale of factors, so that small numbers are as frequent as large ones. `low` above 0. */
  scale(low: number, high: number): number {
    return Math.min(high, Math.round(low * (high / low) ** this.unit()));
  }
  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.unit() * from.length)] as T;
  }
  /** A generator of its own, so that what it draws leaves this one's numbers alone. */
  fork(): Random {
    return new Random(this.uint32());
  }
}
