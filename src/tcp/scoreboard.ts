/**
 * What is sent and not yet acknowledged, a record for each transmission unit, in three kinds: in flight (in order of
 * transmission), lost and waiting to be sent again, and selectively acknowledged. Nothing here walks all records for an
 * ACK: a record is touched when it is sent, acknowledged, selectively acknowledged or marked lost, once each.
 */
import type { Millis } from "./time.js";
import { diff, geq, gt, leq, lt, max, min, seq, type Seq } from "./seq.js";

export class Sent {
  start: Seq = seq(0);
  end: Seq = seq(0);
  /** Last transmission. */
  sentAt = 0 as Millis;
  firstSentAt = 0 as Millis;
  /** SYN or FIN, if the record carries one. */
  ctl = 0;
  transmissions = 0;
  sacked = false;
  lost = false;
  list: SentList | undefined;
  previous: Sent | undefined;
  following: Sent | undefined;
  get length(): number {
    return diff(this.start, this.end);
  }
}

/** A doubly linked list of records with the octets in it. */
export class SentList {
  head: Sent | undefined;
  tail: Sent | undefined;
  octets = 0;

  append(r: Sent): void {
    r.list = this;
    r.previous = this.tail;
    r.following = undefined;
    if (this.tail === undefined) this.head = r;
    else this.tail.following = r;
    this.tail = r;
    this.octets += r.length;
  }
  insertAfter(at: Sent, r: Sent): void {
    r.list = this;
    r.previous = at;
    r.following = at.following;
    if (at.following === undefined) this.tail = r;
    else at.following.previous = r;
    at.following = r;
    this.octets += r.length;
  }
  prepend(r: Sent): void {
    if (this.head === undefined) return this.append(r);
    r.list = this;
    r.previous = undefined;
    r.following = this.head;
    this.head.previous = r;
    this.head = r;
    this.octets += r.length;
  }
  remove(r: Sent): void {
    if (r.previous === undefined) this.head = r.following;
    else r.previous.following = r.following;
    if (r.following === undefined) this.tail = r.previous;
    else r.following.previous = r.previous;
    r.previous = undefined;
    r.following = undefined;
    r.list = undefined;
    this.octets -= r.length;
  }
  clear(): void {
    this.head = undefined;
    this.tail = undefined;
    this.octets = 0;
  }
}

/** Who hears of each record that an ACK covers for the first time. */
export interface DeliveryListener {
  delivered(record: Sent): void;
}

/** Records are used again: none is made per segment once the first flights are over. */
const spare: Sent[] = [];
const SPARE_MAX = 4_096;

export class Scoreboard {
  /** In order of sequence: a ring of capacity a power of two. */
  #ring: (Sent | undefined)[] = [];
  #head = 0;
  #count = 0;
  /** In flight, in order of transmission: `octets` is the pipe of RFC 6675 §4. */
  readonly flight = new SentList();
  /** Lost and to be sent again, lowest first. */
  readonly lost = new SentList();
  sackedOctets = 0;
  /** Selectively acknowledged parts, in order; disjoint. */
  readonly #sacked: { start: Seq; end: Seq }[] = [];

  get isEmpty(): boolean {
    return this.#count === 0;
  }
  get count(): number {
    return this.#count;
  }
  /** Estimate of what is in the network, octets. */
  get pipe(): number {
    return this.flight.octets;
  }
  get first(): Sent | undefined {
    return this.#count === 0 ? undefined : this.#at(0);
  }
  get last(): Sent | undefined {
    return this.#count === 0 ? undefined : this.#at(this.#count - 1);
  }
  /** Highest octet selectively acknowledged, plus one; undefined if none is. */
  get highestSacked(): Seq | undefined {
    return this.#sacked[this.#sacked.length - 1]?.end;
  }
  get sackedRanges(): readonly { readonly start: Seq; readonly end: Seq }[] {
    return this.#sacked;
  }

  /** Something new was sent. */
  push(start: Seq, end: Seq, ctl: number, now: Millis): Sent {
    const r = spare.pop() ?? new Sent();
    r.start = start;
    r.end = end;
    r.ctl = ctl;
    r.sentAt = now;
    r.firstSentAt = now;
    r.transmissions = 1;
    r.sacked = false;
    r.lost = false;
    this.#append(r);
    this.flight.append(r);
    return r;
  }

  /** A lost record, or the tail as a probe, was sent again. */
  sentAgain(r: Sent, now: Millis): void {
    r.list?.remove(r);
    r.lost = false;
    r.sentAt = now;
    r.transmissions++;
    this.flight.append(r);
  }

  /** In flight no longer: to be sent again. Keeps `lost` in order of sequence for the usual orders of marking. */
  markLost(r: Sent): void {
    if (r.lost || r.sacked) return;
    r.list?.remove(r);
    r.lost = true;
    let after = this.lost.tail;
    while (after !== undefined && gt(after.start, r.start)) after = after.previous;
    if (after === undefined) this.lost.prepend(r);
    else this.lost.insertAfter(after, r);
  }
  /** Everything that is not selectively acknowledged (RFC 6298 §5.4, RFC 8985 §6.3). */
  markAllLost(): void {
    this.lost.clear();
    this.flight.clear();
    for (let i = 0; i < this.#count; i++) {
      const r = this.#at(i);
      if (r.sacked) continue;
      r.lost = true;
      this.lost.append(r);
    }
  }
  /** Undo: what was marked lost is in flight again, in order of its transmission. */
  unmarkAllLost(): void {
    for (let r = this.lost.head; r !== undefined; r = this.lost.head) {
      this.lost.remove(r);
      r.lost = false;
      let before = this.flight.head;
      // Lost records are older than what is in flight, so the place is near the head.
      while (before !== undefined && before.sentAt <= r.sentAt) before = before.following;
      if (before === undefined) this.flight.append(r);
      else if (before.previous === undefined) this.flight.prepend(r);
      else this.flight.insertAfter(before.previous, r);
    }
  }
  /** Renege: the peer may have thrown away what it had selectively acknowledged (RFC 2018 §8). */
  forgetSacks(): void {
    this.#sacked.length = 0;
    this.sackedOctets = 0;
    for (let i = 0; i < this.#count; i++) this.#at(i).sacked = false;
  }

  /** Cumulative ACK. @returns octets acknowledged for the first time (selectively or not), the SYN and FIN included */
  acknowledge(una: Seq, listener: DeliveryListener): number {
    let fresh = 0;
    while (this.#count > 0) {
      const r = this.#at(0);
      if (gt(r.end, una)) {
        if (lt(r.start, una)) {
          if (!r.sacked) {
            fresh += diff(r.start, una);
            listener.delivered(r);
          } else this.sackedOctets -= diff(r.start, una);
          if (r.list !== undefined) r.list.octets -= diff(r.start, una);
          r.start = una;
        }
        break;
      }
      if (r.sacked) this.sackedOctets -= r.length;
      else {
        fresh += r.length;
        listener.delivered(r);
      }
      r.list?.remove(r);
      this.#ring[this.#head] = undefined;
      this.#head = (this.#head + 1) & (this.#ring.length - 1);
      this.#count--;
      if (spare.length < SPARE_MAX) spare.push(r);
    }
    while (this.#sacked.length > 0 && leq((this.#sacked[0] as { end: Seq }).end, una)) this.#sacked.shift();
    const low = this.#sacked[0];
    if (low !== undefined && lt(low.start, una)) low.start = una;
    if (this.#count === 0 && this.#ring.length > 64) {
      this.#ring = [];
      this.#head = 0;
    }
    return fresh;
  }

  /** A SACK block, within SND.UNA and SND.NXT. Only what was not covered before is looked at. @returns octets new */
  selectivelyAcknowledge(start: Seq, end: Seq, listener: DeliveryListener): number {
    let fresh = 0;
    let from = start;
    const ranges = this.#sacked;
    let i = 0;
    if (ranges.length > 8) {
      let low = 0,
        high = ranges.length;
      while (low < high) {
        const mid = (low + high) >> 1;
        if (lt((ranges[mid] as { end: Seq }).end, start)) low = mid + 1;
        else high = mid;
      }
      i = low;
    }
    for (; i < ranges.length && lt(from, end); i++) {
      const known = ranges[i] as { start: Seq; end: Seq };
      if (leq(known.end, from)) continue;
      if (geq(known.start, end)) break;
      if (lt(from, known.start)) fresh += this.#sack(from, min(known.start, end), listener);
      from = max(from, known.end);
    }
    if (lt(from, end)) fresh += this.#sack(from, end, listener);
    if (fresh > 0) this.#mergeSacked(start, end);
    return fresh;
  }

  /** Splits a record so that one begins at `at`; used where a SACK edge or a budget falls inside. @returns the upper part */
  split(index: number, at: Seq): Sent {
    const r = this.#at(index);
    const upper = spare.pop() ?? new Sent();
    upper.start = at;
    upper.end = r.end;
    upper.ctl = r.ctl & 1; // FIN is at the end of a record, SYN at the start of one
    upper.sentAt = r.sentAt;
    upper.firstSentAt = r.firstSentAt;
    upper.transmissions = r.transmissions;
    upper.sacked = r.sacked;
    upper.lost = r.lost;
    const list = r.list;
    if (list !== undefined) list.octets -= diff(at, r.end);
    r.end = at;
    r.ctl &= ~1;
    upper.list = undefined;
    list?.insertAfter(r, upper);
    this.#insertAt(index + 1, upper);
    return upper;
  }
  splitRecord(r: Sent, at: Seq): Sent {
    return this.split(this.indexOf(r.start), at);
  }

  /** Index of the record that holds `at`; `count` when it lies beyond. */
  indexOf(at: Seq): number {
    let low = 0,
      high = this.#count;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (leq(this.#at(mid).end, at)) low = mid + 1;
      else high = mid;
    }
    return low;
  }
  record(index: number): Sent {
    return this.#at(index);
  }

  clear(): void {
    if (this.#ring.length === 0) return;
    for (let i = 0; i < this.#count; i++) {
      const r = this.#at(i);
      r.list = undefined;
      r.previous = undefined;
      r.following = undefined;
      if (spare.length < SPARE_MAX) spare.push(r);
    }
    this.#ring = [];
    this.#head = 0;
    this.#count = 0;
    this.flight.clear();
    this.lost.clear();
    if (this.#sacked.length > 0) this.#sacked.length = 0;
    this.sackedOctets = 0;
  }

  #at(i: number): Sent {
    return this.#ring[(this.#head + i) & (this.#ring.length - 1)] as Sent;
  }

  #sack(start: Seq, end: Seq, listener: DeliveryListener): number {
    let fresh = 0;
    for (let i = this.indexOf(start); i < this.#count; i++) {
      let r = this.#at(i);
      if (geq(r.start, end)) break;
      if (lt(r.start, start)) {
        r = this.split(i, start);
        i++;
      }
      if (gt(r.end, end)) this.split(i, end);
      if (r.sacked) continue;
      r.list?.remove(r);
      r.sacked = true;
      this.sackedOctets += r.length;
      fresh += r.length;
      listener.delivered(r);
      r.lost = false;
    }
    return fresh;
  }
  #mergeSacked(start: Seq, end: Seq): void {
    const ranges = this.#sacked;
    let i = 0;
    while (i < ranges.length && lt((ranges[i] as { end: Seq }).end, start)) i++;
    let j = i;
    while (j < ranges.length && leq((ranges[j] as { start: Seq }).start, end)) {
      const r = ranges[j] as { start: Seq; end: Seq };
      start = min(start, r.start);
      end = max(end, r.end);
      j++;
    }
    ranges.splice(i, j - i, { start, end });
  }

  #append(r: Sent): void {
    if (this.#count === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#count) & (this.#ring.length - 1)] = r;
    this.#count++;
  }
  #insertAt(index: number, r: Sent): void {
    if (this.#count === this.#ring.length) this.#grow();
    const mask = this.#ring.length - 1;
    for (let i = this.#count; i > index; i--) this.#ring[(this.#head + i) & mask] = this.#ring[(this.#head + i - 1) & mask];
    this.#ring[(this.#head + index) & mask] = r;
    this.#count++;
  }
  #grow(): void {
    const larger = new Array<Sent | undefined>(Math.max(4, this.#ring.length * 2));
    for (let i = 0; i < this.#count; i++) larger[i] = this.#at(i);
    this.#ring = larger;
    this.#head = 0;
  }
}

/** Whether octets up to `a` (sent at `aAt`) were sent after those up to `b` (RFC 8985 §6.1). */
export const sentAfter = (aAt: Millis, aEnd: Seq, bAt: Millis, bEnd: Seq): boolean => aAt > bAt || (aAt === bAt && gt(aEnd, bEnd));
