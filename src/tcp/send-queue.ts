/**
 * The octets between SND.UNA and the end of what the user wrote (RFC 9293 §3.3.1), as chunks: pages of our own, or memory
 * of the user's that never changes.
 *
 *      base                                        base + length
 *       |  sent, unacknowledged  |  not yet sent        |
 *     SND.UNA                 SND.NXT
 */
import type { TxRing } from "../wire/frames.js";
import type { Memory } from "../wire/memory.js";
import { PAGE, type PagePool } from "./pages.js";
import { add, diff, gt, leq, seq, type Seq } from "./seq.js";

/** Shared chunks shorter than this are copied, so that a frame never needs more pieces than a device gathers. */
const SHARE_MIN = 4_096;
/** Pieces that one frame may gather (TxRing.text). */
const PIECES = 8;

class Chunk {
  memory: Memory;
  offset: number;
  length = 0;
  /** Sequence number of the first octet. */
  start: Seq = seq(0);
  /** Page of the pool, or -1 for memory of the user's. */
  page: number;
  constructor(memory: Memory, offset: number, page: number) {
    this.memory = memory;
    this.offset = offset;
    this.page = page;
  }
}

export class SendQueue {
  /** Sequence number of the first octet. */
  base: Seq = seq(0);
  length = 0;
  limit: number;
  readonly #pool: PagePool;
  #chunks: Chunk[] = [];
  /** Chunks before this index are acknowledged; the array is compacted now and then. */
  #first = 0;
  /** Pages of the pool that this holds. */
  #held = 0;

  constructor(pool: PagePool, limit: number) {
    this.#pool = pool;
    this.limit = limit;
  }

  get space(): number {
    return Math.max(0, this.limit - this.length);
  }
  /** Sequence number after the last octet. */
  get end(): Seq {
    return add(this.base, this.length);
  }

  /** Copies octets in. @returns how many were taken */
  append(bytes: Uint8Array, offset: number, length: number): number {
    const wanted = Math.min(length, this.space);
    let taken = 0;
    while (taken < wanted) {
      const chunk = this.#tail();
      if (chunk === undefined) break;
      const n = Math.min(wanted - taken, PAGE - chunk.length);
      copy(bytes, offset + taken, chunk.memory.bytes, chunk.offset + chunk.length, n);
      chunk.length += n;
      this.length += n;
      taken += n;
    }
    return taken;
  }

  /** Takes octets by reference. @returns how many were taken */
  appendShared(memory: Memory, offset: number, length: number): number {
    const n = Math.min(length, this.space);
    if (n < SHARE_MIN) return this.append(memory.bytes, offset, n);
    const chunk = new Chunk(memory, offset, -1);
    chunk.length = n;
    this.#push(chunk);
    this.length += n;
    return n;
  }

  /** Frees everything before `una`. */
  acknowledge(una: Seq): void {
    const n = diff(this.base, una);
    if (n <= 0) return;
    this.base = una;
    this.length -= n;
    for (;;) {
      const chunk = this.#chunks[this.#first];
      if (chunk === undefined || gt(add(chunk.start, chunk.length), una)) break;
      this.#release(chunk);
      this.#first++;
    }
    if (this.#first === this.#chunks.length) this.#reset();
    else if (this.#first >= 64 && this.#first * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#first);
      this.#first = 0;
    }
  }

  /** How many of `length` octets from `from` one frame can gather. */
  reach(from: Seq, length: number): number {
    let i = this.#find(from);
    let skip = diff(this.#chunks[i]?.start ?? from, from);
    let n = 0;
    for (let pieces = 0; pieces < PIECES && n < length; pieces++, i++) {
      const chunk = this.#chunks[i];
      if (chunk === undefined) break;
      n += chunk.length - skip;
      skip = 0;
    }
    return Math.min(n, length);
  }

  /** Adds `length` octets from `from` to the frame that is open in `tx`. @returns their checksum sum if `withSum`, else 0 */
  gather(tx: TxRing, from: Seq, length: number, withSum: boolean): number {
    let i = this.#find(from);
    let skip = diff((this.#chunks[i] as Chunk).start, from);
    let sum = 0,
      odd = false;
    while (length > 0) {
      const chunk = this.#chunks[i++] as Chunk;
      const n = Math.min(length, chunk.length - skip);
      tx.text(chunk.memory, chunk.offset + skip, n);
      if (withSum) {
        const s = chunk.memory.sum(chunk.offset + skip, n);
        sum += odd ? ((s & 0xff) << 8) | (s >>> 8) : s;
        if (n & 1) odd = !odd;
      }
      length -= n;
      skip = 0;
    }
    return sum;
  }

  /** Gives all memory back. */
  clear(): void {
    for (let i = this.#first; i < this.#chunks.length; i++) this.#release(this.#chunks[i] as Chunk);
    this.#reset();
    this.length = 0;
  }

  #reset(): void {
    // Not by its length: V8 would go through its runtime for that and throw the room away all the same.
    if (this.#chunks.length > 0) this.#chunks = [];
    this.#first = 0;
  }
  #release(chunk: Chunk): void {
    if (chunk.page < 0) return;
    this.#held--;
    this.#pool.give(chunk.page);
  }
  #push(chunk: Chunk): void {
    chunk.start = this.end;
    this.#chunks.push(chunk);
  }
  /** A page of ours with room at the end of the queue. */
  #tail(): Chunk | undefined {
    const last = this.#chunks[this.#chunks.length - 1];
    if (last !== undefined && this.#first < this.#chunks.length && last.page >= 0 && last.length < PAGE) return last;
    const page = this.#pool.allows(this.#held) ? this.#pool.takeForSending() : -1;
    if (page < 0) return undefined;
    this.#held++;
    const chunk = new Chunk(this.#pool.memory, page, page);
    this.#push(chunk);
    return chunk;
  }
  /** Index of the chunk that holds an octet; sending goes forward, so the last ones are looked at first. */
  #find(at: Seq): number {
    let low = this.#first,
      high = this.#chunks.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (leq((this.#chunks[mid] as Chunk).start, at)) low = mid;
      else high = mid - 1;
    }
    return low;
  }
}

/** `set` of a view costs more than it saves for a few octets. */
export function copy(from: Uint8Array, fromOffset: number, to: Uint8Array, toOffset: number, n: number): void {
  if (n <= 32) for (let i = 0; i < n; i++) to[toOffset + i] = from[fromOffset + i] as number;
  else to.set(fromOffset === 0 && n === from.length ? from : from.subarray(fromOffset, fromOffset + n), toOffset);
}
