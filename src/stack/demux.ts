/**
 * From the four-tuple to its connection: a hash table with open addressing. Looking up allocates nothing and does not
 * depend on how many connections there are; the hash is keyed, so that nobody can make them collide.
 */
import type { Tcb } from "../tcp/tcb.js";

/** Both addresses, and the ports as remote << 16 | local: three int32 that name a connection. */
export class Demux {
  #keys = new Int32Array(3 * 64);
  #values: (Tcb | undefined)[] = new Array(64).fill(undefined);
  #mask = 63;
  #size = 0;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  get size(): number {
    return this.#size;
  }

  find(local: number, remote: number, ports: number): Tcb | undefined {
    const keys = this.#keys;
    for (let i = this.#hash(local, remote, ports); ; i = (i + 1) & this.#mask) {
      const value = this.#values[i];
      if (value === undefined) return undefined;
      if (keys[3 * i + 2] === ports && keys[3 * i + 1] === remote && keys[3 * i] === local) return value;
    }
  }

  add(local: number, remote: number, ports: number, tcb: Tcb): void {
    if (++this.#size * 2 > this.#mask) this.#resize((this.#mask + 1) * 2);
    this.#put(local, remote, ports, tcb);
  }

  delete(local: number, remote: number, ports: number): void {
    let i = this.#hash(local, remote, ports);
    for (; ; i = (i + 1) & this.#mask) {
      if (this.#values[i] === undefined) return;
      if (this.#keys[3 * i + 2] === ports && this.#keys[3 * i + 1] === remote && this.#keys[3 * i] === local) break;
    }
    this.#size--;
    // Close the gap: move back what would no longer be found.
    for (let j = i; ; ) {
      j = (j + 1) & this.#mask;
      const value = this.#values[j];
      if (value === undefined) break;
      const home = this.#hash(this.#keys[3 * j] as number, this.#keys[3 * j + 1] as number, this.#keys[3 * j + 2] as number);
      if (((j - home) & this.#mask) < ((j - i) & this.#mask)) continue;
      this.#values[i] = value;
      this.#keys.copyWithin(3 * i, 3 * j, 3 * j + 3);
      i = j;
    }
    this.#values[i] = undefined;
    // A table that a flood made large would stay so.
    if (this.#mask > 1_023 && this.#size * 8 < this.#mask) this.#resize((this.#mask + 1) >> 1);
  }

  *values(): IterableIterator<Tcb> {
    for (const value of this.#values) if (value !== undefined) yield value;
  }

  #put(local: number, remote: number, ports: number, tcb: Tcb): void {
    let i = this.#hash(local, remote, ports);
    while (this.#values[i] !== undefined) i = (i + 1) & this.#mask;
    this.#values[i] = tcb;
    this.#keys[3 * i] = local;
    this.#keys[3 * i + 1] = remote;
    this.#keys[3 * i + 2] = ports;
  }
  #hash(a: number, b: number, c: number): number {
    let h = this.#seed ^ Math.imul(a, 0x9e3779b1);
    h = Math.imul((h << 13) | (h >>> 19), 0x85ebca6b) ^ b;
    h = Math.imul((h << 15) | (h >>> 17), 0xc2b2ae35) ^ c;
    h = Math.imul(h ^ (h >>> 16), 0x27d4eb2f);
    return (h ^ (h >>> 15)) & this.#mask;
  }
  #resize(capacity: number): void {
    const keys = this.#keys,
      values = this.#values;
    this.#keys = new Int32Array(3 * capacity);
    this.#values = new Array(capacity).fill(undefined);
    this.#mask = capacity - 1;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value !== undefined) this.#put(keys[3 * i] as number, keys[3 * i + 1] as number, keys[3 * i + 2] as number, value);
    }
  }
}
