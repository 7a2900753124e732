/**
 * IPv4 reassembly (RFC 791 §3.2, RFC 815, RFC 1122 §3.3.2), with the care that it needs today: bounded memory, and a
 * datagram whose fragments overlap is dropped whole (RFC 5722 asks it for IPv6; nobody overlaps by accident).
 */
import { emitIpv4, IPV4_HEADER, type Ipv4Header } from "../wire/ipv4.js";
import type { Memory } from "../wire/memory.js";
import { type Millis, NEVER } from "../tcp/time.js";
import { plainMemory } from "../wire/wasm-memory.js";

const LARGEST = 65_535;
/** Fragments of one datagram: a path with an MTU of 576 makes 119 of the largest. */
const PIECES_MAX = 128;
/** What a datagram costs besides its octets, so that many small ones are bounded too. */
const OVERHEAD = 512;

interface Piece {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}
interface Datagram {
  readonly key: string;
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  readonly expiresAt: Millis;
  /** Undefined once fragments overlapped or there was no room: what still comes is thrown away until the time is over. */
  pieces: Piece[] | undefined;
  octets: number;
  /** Octets in all; -1 until the last fragment is there. */
  total: number;
  /** Header and 8 octets of the first fragment, for ICMP time exceeded. */
  quote: Uint8Array | undefined;
  tos: number;
}

/** What is to be done with a fragment's arrival. */
export type Reassembled =
  | { readonly kind: "waiting" }
  | { readonly kind: "dropped" }
  | { readonly kind: "whole"; readonly memory: Memory; readonly length: number };
const WAITING: Reassembled = { kind: "waiting" },
  DROPPED: Reassembled = { kind: "dropped" };

export class Reassembly {
  readonly #datagrams = new Map<string, Datagram>();
  readonly #limit: number;
  readonly #timeoutMs: number;
  #octets = 0;
  #whole: Memory | undefined;
  /** Datagrams and fragments given up at the limit. */
  shed = 0;

  constructor(limit: number, timeoutMs: number) {
    this.#limit = limit;
    this.#timeoutMs = timeoutMs;
  }

  get octets(): number {
    return this.#octets;
  }

  fragmentArrives(b: Uint8Array, offset: number, ip: Ipv4Header, now: Millis): Reassembled {
    const length = ip.totalLength - ip.headerLength,
      start = ip.fragmentOffset,
      end = start + length;
    // Every fragment but the last is a multiple of 8 octets (RFC 791 §3.2).
    if (length === 0 || end > LARGEST - IPV4_HEADER || (ip.moreFragments && length % 8 !== 0)) return DROPPED;
    const key = `${ip.source} ${ip.destination} ${ip.identification} ${ip.protocol}`;
    let d = this.#datagrams.get(key);
    if (d === undefined) {
      d = {
        key,
        source: ip.source,
        destination: ip.destination,
        protocol: ip.protocol,
        expiresAt: (now + this.#timeoutMs) as Millis,
        pieces: [],
        octets: 0,
        total: -1,
        quote: undefined,
        tos: ip.tos,
      };
      this.#datagrams.set(key, d);
      this.#octets += OVERHEAD;
    }
    const pieces = d.pieces;
    if (pieces === undefined) return DROPPED;
    if (pieces.some((p) => p.start === start && p.end === end)) return WAITING; // the very same again
    const overlaps = pieces.some((p) => start < p.end && p.start < end);
    const pastEnd = d.total >= 0 && end > d.total;
    const endMoves = !ip.moreFragments && pieces.some((p) => p.end > end);
    if (overlaps || pastEnd || endMoves || pieces.length >= PIECES_MAX) return this.#kill(d);
    if (this.#octets + length > this.#limit) {
      this.#shed(d);
      if (this.#octets + length > this.#limit) {
        this.shed++;
        return this.#kill(d);
      }
    }
    const at = offset + ip.headerLength;
    pieces.push({ start, end, bytes: b.slice(at, at + length) });
    d.octets += length;
    this.#octets += length;
    // RFC 3168 §5.3: a mark on any fragment is a mark on the datagram.
    if ((ip.tos & 3) === 3) d.tos |= 3;
    if (start === 0) d.quote = b.slice(offset, offset + ip.headerLength + Math.min(8, length));
    if (!ip.moreFragments) d.total = end;
    if (d.octets !== d.total) return WAITING;
    return this.#join(d, ip, pieces);
  }

  /** When the next datagram times out. They expire in the order in which they began. */
  next(): Millis {
    for (const d of this.#datagrams.values()) return d.expiresAt;
    return NEVER;
  }
  /** Drops what has waited too long. `exceeded` hears of those whose first fragment was there (RFC 1122 §3.3.2). */
  timeout(now: Millis, exceeded: (quote: Uint8Array, source: number, destination: number) => void): void {
    for (const d of this.#datagrams.values()) {
      if (d.expiresAt > now) return;
      this.#forget(d);
      if (d.quote !== undefined && d.pieces !== undefined) exceeded(d.quote, d.source, d.destination);
    }
  }

  #join(d: Datagram, ip: Ipv4Header, pieces: readonly Piece[]): Reassembled {
    this.#forget(d);
    const whole = (this.#whole ??= plainMemory(new Uint8Array(LARGEST)));
    for (const p of pieces) whole.bytes.set(p.bytes, IPV4_HEADER + p.start);
    const length = IPV4_HEADER + d.total;
    emitIpv4(whole.bytes, 0, length, d.tos, ip.ttl, d.protocol, d.source, d.destination, ip.identification);
    return { kind: "whole", memory: whole, length };
  }
  #kill(d: Datagram): Reassembled {
    this.#octets -= d.octets;
    d.octets = 0;
    d.pieces = undefined;
    return DROPPED;
  }
  /** At the limit the oldest go: they are the least likely to be completed. */
  #shed(keep: Datagram): void {
    for (const d of this.#datagrams.values()) {
      if (this.#octets <= this.#limit * 0.75) return;
      if (d === keep) continue;
      this.shed++;
      this.#forget(d);
    }
  }
  #forget(d: Datagram): void {
    this.#octets -= d.octets + OVERHEAD;
    this.#datagrams.delete(d.key);
  }
}
