/**
 * SYN cookies (RFC 4987 §3.6): the whole half-open connection in the SYN,ACK that we send, so a flood holds no memory.
 * The initial sequence number carries a minute count and a keyed hash with the MSS in it; where the peer sends timestamps,
 * ours carries window scale, SACK and ECN in its low bits.
 *
 *   ISS:    | count ^ h(tuple) : 8 | mac(tuple, IRS, count) + index of MSS : 24 |
 *   TSval:  | clock, low six bits replaced : 26 | ECN : 1 | SACK : 1 | wscale, 15 for none : 4 |
 */
import { keyedHash } from "../tcp/isn.js";

/** How long a secret and a count last; a cookie is taken for two of them. */
const PERIOD = 64_000;
/** The values that real paths use; the largest that is not above the peer's own is taken (RFC 4987 §3.6). */
const MSS_TABLE = [536, 1_220, 1_300, 1_380, 1_400, 1_440, 1_448, 1_460] as const;
const NO_SCALE = 15;

export interface CookieOptions {
  mss: number;
  /** -1: no scaling. */
  windowScale: number;
  sack: boolean;
  ecn: boolean;
}

export class SynCookies {
  readonly #random: () => number;
  /** One secret per period, the last four of them. */
  readonly #secrets: (Uint32Array | undefined)[] = [undefined, undefined, undefined, undefined];
  readonly #mask: Uint32Array;
  #newest = -1;
  #lastSentAt = -Infinity;
  sent = 0;
  received = 0;
  failed = 0;

  constructor(random: () => number, mask: Uint32Array) {
    this.#random = random;
    this.#mask = mask;
  }

  /** Whether an ACK for no connection may be a cookie: only while some were sent lately. */
  expects(now: number): boolean {
    return now - this.#lastSentAt < 2 * PERIOD;
  }

  make(local: number, remote: number, ports: number, irs: number, mss: number, now: number): number {
    const count = Math.floor(now / PERIOD);
    this.#lastSentAt = now;
    this.sent++;
    let index = 0;
    for (let i = 1; i < MSS_TABLE.length; i++) if ((MSS_TABLE[i] as number) <= mss) index = i;
    const tuple = keyedHash(this.#mask, local, remote, ports, 0x636b);
    return (((count ^ tuple) & 0xff) << 24) | ((this.#mac(tuple, irs, count) + index) & 0xffffff);
  }

  /** Checks what a peer acknowledged. @returns the MSS that it stands for, or 0 if this is no cookie of ours */
  check(local: number, remote: number, ports: number, irs: number, iss: number, now: number): number {
    const tuple = keyedHash(this.#mask, local, remote, ports, 0x636b),
      current = Math.floor(now / PERIOD);
    const age = (current - ((iss >>> 24) ^ (tuple & 0xff))) & 0xff;
    if (age <= 2 && current - age >= 0) {
      const index = ((iss & 0xffffff) - this.#mac(tuple, irs, current - age)) & 0xffffff;
      if (index < MSS_TABLE.length) {
        this.received++;
        return MSS_TABLE[index] as number;
      }
    }
    this.failed++;
    return 0;
  }

  #mac(tuple: number, irs: number, count: number): number {
    return keyedHash(this.#secret(count), tuple, irs, count, 0) & 0xffffff;
  }
  #secret(count: number): Uint32Array {
    for (; this.#newest < count; this.#newest++) {
      if (count - this.#newest > 4) this.#newest = count - 4;
      this.#secrets[(this.#newest + 1) & 3] = new Uint32Array([this.#random(), this.#random(), this.#random(), this.#random()]);
    }
    return this.#secrets[count & 3] as Uint32Array;
  }
}

/** Puts options into the low bits of a timestamp, which never runs ahead of the clock by it. */
export function timestampWith(tsNow: number, o: CookieOptions): number {
  const bits = (o.ecn ? 32 : 0) | (o.sack ? 16 : 0) | (o.windowScale < 0 ? NO_SCALE : o.windowScale);
  let ts = (tsNow & ~63) | bits;
  if (((tsNow - ts) | 0) < 0) ts = (ts - 64) | 0;
  return ts;
}
export function optionsIn(tsEcr: number, mss: number): CookieOptions {
  const scale = tsEcr & 15;
  return { mss, windowScale: scale === NO_SCALE ? -1 : scale, sack: (tsEcr & 16) !== 0, ecn: (tsEcr & 32) !== 0 };
}
