/** Pages that connection buffers are made of: cut from one block that never moves, so memory has a hard bound. */
import type { Memory } from "../wire/memory.js";

/** Octets per page. A 64 KiB super-segment spans at most five, within the eight pieces that a frame may gather. */
export const PAGE = 16_384;
/** Pages that a connection may have however little is left. */
const FEW = 2;
/** Pages that only received text may take. */
const RESERVE = 64;

export class PagePool {
  readonly memory: Memory;
  readonly capacity: number;
  readonly #free: Int32Array;
  #count: number;

  constructor(memory: Memory) {
    this.memory = memory;
    this.capacity = Math.floor(memory.bytes.length / PAGE);
    // Last in, first out: the same few pages stay warm, and pages never asked for are never touched.
    this.#free = new Int32Array(this.capacity);
    for (let i = 0; i < this.capacity; i++) this.#free[i] = (this.capacity - 1 - i) * PAGE;
    this.#count = this.capacity;
  }

  get used(): number {
    return this.capacity - this.#count;
  }
  /** Pages left for whoever may not touch the reserve. */
  get available(): number {
    return Math.max(0, this.#count - RESERVE);
  }
  /**
   * Whether who holds `held` pages may take one more: a few while there are any, more only up to a sixteenth of what is
   * left. So those who hold all they can get slow down as they become many, and leave something for the next.
   */
  allows(held: number): boolean {
    return held < FEW || held < this.available >> 4;
  }
  /** Text beyond a gap is the least valuable: the peer has it still (RFC 2018 §8). It leaves a quarter to all else. */
  allowsBeyondGap(held: number): boolean {
    return this.available > this.capacity >> 2 && this.allows(held);
  }
  /** Offset of a page in `memory`, or -1 when none is left. */
  take(): number {
    return this.#count === 0 ? -1 : (this.#free[--this.#count] as number);
  }
  /** The same for what is to be sent: it leaves the reserve, so that what has arrived and was promised a place gets it. */
  takeForSending(): number {
    return this.#count <= RESERVE ? -1 : this.take();
  }
  give(page: number): void {
    this.#free[this.#count++] = page;
  }
}
