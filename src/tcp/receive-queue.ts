/**
 * What has arrived and is not yet taken (RFC 9293 §3.8.6): octets in order up to RCV.NXT, and ranges beyond a gap. Every
 * octet is stored once, in the page that its sequence number names, so filling a gap moves nothing.
 *
 *      base        next          start...end      start...end
 *       | readable  |     gap     | range |   gap   | range |
 *                 RCV.NXT
 */
import type { Memory } from "../wire/memory.js";
import { PAGE, type PagePool } from "./pages.js";
import { add, diff, geq, gt, leq, lt, seq, toWire, type Seq } from "./seq.js";
import { copy } from "./send-queue.js";

/** Ranges that one SACK option can name (RFC 2018 §3). */
const REPORTED = 4;
const NOTHING = new Uint8Array(0);

/** Octets that lie beyond a gap: start =< octet < end. */
export class Range {
  start: Seq;
  end: Seq;
  constructor(start: Seq, end: Seq) {
    this.start = start;
    this.end = end;
  }
}

export class ReceiveQueue {
  /** First octet that the user has not taken. */
  base: Seq = seq(0);
  /** First octet that has not arrived: RCV.NXT before the peer's FIN. */
  next: Seq = seq(0);
  /** In order of sequence; disjoint, and not adjacent. */
  readonly ranges: Range[] = [];
  /** The ranges that changed last, newest first: what a SACK option reports (RFC 2018 §4). */
  readonly recent: Range[] = [];
  /** Octets in `ranges`. */
  outOfOrder = 0;

  readonly #pool: PagePool;
  readonly #mostRanges: number;
  /** Page number (sequence / PAGE) to page. Made when the first octet has to be kept. */
  #pages: Map<number, number> | undefined;
  /** The newest readable octets while they still lie in the device's ring. */
  #lent: Memory | undefined;
  #lentOffset = 0;
  #lentLength = 0;

  /** @param mostRanges ranges beyond a gap that are kept; a peer that makes more is sending nonsense */
  constructor(pool: PagePool, mostRanges: number) {
    this.#pool = pool;
    this.#mostRanges = mostRanges;
  }

  /** IRS + 1. */
  start(at: Seq): void {
    this.base = at;
    this.next = at;
  }
  get readable(): number {
    return diff(this.base, this.next);
  }

  /**
   * Takes text that was trimmed to the window. In-order text is lent, not copied, until `settle`.
   * @returns octets by which `next` moved; -1 when there is no memory, -2 when there are too many ranges
   */
  place(at: Seq, memory: Memory, offset: number, length: number): number {
    if (length === 0) return 0;
    // Lent text is promised a place before it is counted as received.
    if (this.#pool.available < length / PAGE + 2) return -1;
    // What fills a gap is judged without what lies beyond it, or the gap would stay.
    if (gt(at, this.next) ? !this.#pool.allowsBeyondGap(this.#pages?.size ?? 0) : !this.#pool.allows(this.readable >>> 14)) return -1;
    if (at === this.next && this.ranges.length === 0) {
      if (!this.settle()) return -1;
      this.#lent = memory;
      this.#lentOffset = offset;
      this.#lentLength = length;
      this.next = add(at, length);
      return length;
    }
    if (!this.settle()) return -1;
    if (this.ranges.length >= this.#mostRanges && gt(at, this.next)) return -2;
    if (!this.#store(at, memory.bytes, offset, length)) return -1;
    if (gt(at, this.next)) {
      this.#insert(at, add(at, length));
      return 0;
    }
    const before = this.next;
    this.next = add(at, length);
    this.#join();
    return diff(before, this.next);
  }

  /** Copies what is lent into pages; call before the device's ring is used again. @returns false when there is no memory */
  settle(): boolean {
    const memory = this.#lent;
    if (memory === undefined) return true;
    const at = add(this.next, -this.#lentLength);
    if (this.#store(at, memory.bytes, this.#lentOffset, this.#lentLength)) {
      this.#lent = undefined;
      this.#lentLength = 0;
      return true;
    }
    return false;
  }
  /** The first contiguous octets. */
  peek(): Uint8Array {
    const stored = this.readable - this.#lentLength;
    if (stored > 0) {
      const position = toWire(this.base),
        inPage = position & (PAGE - 1);
      const page = this.#pages?.get(position >>> 14) as number;
      return this.#pool.memory.bytes.subarray(page + inPage, page + Math.min(PAGE, inPage + stored));
    }
    if (this.#lent === undefined) return NOTHING;
    return this.#lent.bytes.subarray(this.#lentOffset, this.#lentOffset + this.#lentLength);
  }

  /** Copies out and frees. @returns octets copied */
  take(into: Uint8Array, offset: number, length: number): number {
    const n = Math.min(length, this.readable);
    for (let done = 0; done < n; ) {
      const stored = this.readable - this.#lentLength;
      let step: number;
      if (stored > 0) {
        const position = toWire(this.base),
          inPage = position & (PAGE - 1);
        step = Math.min(n - done, PAGE - inPage, stored);
        copy(this.#pool.memory.bytes, (this.#pages?.get(position >>> 14) as number) + inPage, into, offset + done, step);
      } else {
        step = Math.min(n - done, this.#lentLength);
        copy((this.#lent as Memory).bytes, this.#lentOffset, into, offset + done, step);
      }
      this.skip(step);
      done += step;
    }
    return n;
  }

  /** Frees octets from the front, at most those that are readable. */
  skip(length: number): void {
    let n = Math.min(length, this.readable);
    const stored = this.readable - this.#lentLength;
    const fromPages = Math.min(n, stored);
    if (fromPages > 0) {
      const first = toWire(this.base) >>> 14;
      this.base = add(this.base, fromPages);
      this.#freePages(first, toWire(this.base) >>> 14);
      n -= fromPages;
    }
    if (n > 0) {
      this.base = add(this.base, n);
      this.#lentOffset += n;
      this.#lentLength -= n;
      if (this.#lentLength === 0) this.#lent = undefined;
    }
    // The page that `base` is in may hold nothing any more.
    if (this.#pages !== undefined && this.#pages.size > 0 && this.readable === this.#lentLength && this.ranges.length === 0) this.#freeAll();
  }

  /** Throws away what lies beyond gaps (RFC 2018 §8 allows it). */
  dropRanges(): void {
    if (this.ranges.length > 0) {
      this.ranges.length = 0;
      this.recent.length = 0;
      this.outOfOrder = 0;
    }
    if (this.readable === this.#lentLength) this.#freeAll();
  }

  clear(): void {
    this.dropRanges();
    this.#freeAll();
    this.#lent = undefined;
    this.#lentLength = 0;
    this.base = this.next;
  }

  #store(at: Seq, from: Uint8Array, offset: number, length: number): boolean {
    const pages = (this.#pages ??= new Map());
    const memory = this.#pool.memory.bytes;
    for (let done = 0; done < length; ) {
      const position = toWire(add(at, done)),
        number = position >>> 14,
        inPage = position & (PAGE - 1);
      let page = pages.get(number);
      if (page === undefined) {
        page = this.#pool.take();
        if (page < 0) return false;
        pages.set(number, page);
      }
      const n = Math.min(length - done, PAGE - inPage);
      copy(from, offset + done, memory, page + inPage, n);
      done += n;
    }
    return true;
  }
  #freePages(from: number, to: number): void {
    const pages = this.#pages;
    if (pages === undefined) return;
    for (let number = from; number !== to; number = (number + 1) & 0x3ffff) {
      const page = pages.get(number);
      if (page !== undefined) {
        this.#pool.give(page);
        pages.delete(number);
      }
    }
  }
  #freeAll(): void {
    if (this.#pages === undefined) return;
    for (const page of this.#pages.values()) this.#pool.give(page);
    this.#pages = undefined;
  }

  /** Adds a range, merging it with those that it touches. */
  #insert(start: Seq, end: Seq): void {
    const ranges = this.ranges;
    let low = 0,
      high = ranges.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (lt((ranges[mid] as Range).end, start)) low = mid + 1;
      else high = mid;
    }
    let last = low;
    let merged = ranges[low];
    if (merged === undefined || lt(end, merged.start)) {
      merged = new Range(start, end);
      ranges.splice(low, 0, merged);
      this.outOfOrder += diff(start, end);
    } else {
      this.outOfOrder -= diff(merged.start, merged.end);
      if (lt(start, merged.start)) merged.start = start;
      if (gt(end, merged.end)) merged.end = end;
      for (let next = ranges[last + 1]; next !== undefined && leq(next.start, merged.end); next = ranges[++last + 1]) {
        this.outOfOrder -= diff(next.start, next.end);
        if (gt(next.end, merged.end)) merged.end = next.end;
        this.#unreport(next);
      }
      ranges.splice(low + 1, last - low);
      this.outOfOrder += diff(merged.start, merged.end);
    }
    this.#unreport(merged);
    this.recent.unshift(merged);
    if (this.recent.length > REPORTED) this.recent.pop();
  }
  #unreport(range: Range): void {
    const i = this.recent.indexOf(range);
    if (i >= 0) this.recent.splice(i, 1);
  }
  /** The gap before the first range is filled: it becomes readable. */
  #join(): void {
    for (let first = this.ranges[0]; first !== undefined && geq(this.next, first.start); first = this.ranges[0]) {
      this.outOfOrder -= diff(first.start, first.end);
      if (gt(first.end, this.next)) this.next = first.end;
      this.#unreport(first);
      this.ranges.shift();
    }
  }
}
