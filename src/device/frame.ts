/**
 * One whole IP packet in a block of memory, as wrappers see it: pcap, impair, faults. Knows just enough of IP and TCP to
 * make checksums right and to cut a super-segment into the segments it stands for.
 */
import { fold, pseudoHeaderSum, sumHeader } from "../wire/checksum.js";
import type { Memory } from "../wire/memory.js";
import { createMemory, plainMemory } from "../wire/wasm-memory.js";

const TCP = 6,
  UDP = 17,
  ICMPV6 = 58;
const FIN = 1,
  PSH = 8,
  CWR = 128;

export class Frame {
  memory: Memory;
  offset: number;
  length: number;
  /** Octets of text per segment if this is a super-segment, else 0. */
  gsoSize: number;
  /** The transport checksum field means nothing: who takes the frame takes its octets on trust, or completes it. */
  partial: boolean;

  constructor(memory: Memory, offset: number, length: number, gsoSize = 0, partial = false) {
    this.memory = memory;
    this.offset = offset;
    this.length = length;
    this.gsoSize = gsoSize;
    this.partial = partial;
  }

  /** A frame of its own around `bytes`, which it keeps. */
  static of(bytes: Uint8Array): Frame {
    return new Frame(plainMemory(bytes), 0, bytes.length);
  }

  /** The packet, live: what is written here is what goes on. */
  get bytes(): Uint8Array {
    return this.memory.bytes.subarray(this.offset, this.offset + this.length);
  }

  /** A copy in memory of its own, for who keeps a frame longer than the call it came in. */
  own(): Frame {
    return new Frame(plainMemory(this.bytes.slice()), 0, this.length, this.gsoSize, this.partial);
  }

  /** TCP segments that it stands for. */
  get segments(): number {
    const text = this.length - this.headerLength;
    return this.gsoSize > 0 && text > this.gsoSize ? Math.ceil(text / this.gsoSize) : 1;
  }

  /** Octets of IP and, where it is TCP, TCP header; never more than the frame has, nor than 120. */
  get headerLength(): number {
    const ip = this.#ip();
    if (ip === 0) return Math.min(this.length, 40);
    const bytes = this.memory.bytes,
      at = this.offset + ip;
    if (this.#protocol() !== TCP || this.length < ip + 20) return Math.min(ip, this.length);
    return Math.min(ip + Math.max(20, ((bytes[at + 12] as number) >> 4) * 4), this.length);
  }

  /** Completes the transport checksum of an ordinary packet, so that {@link partial} no longer holds. */
  complete(): void {
    if (!this.partial) return;
    this.#transport();
    this.partial = false;
  }

  /** Makes all checksums right after fields were altered on purpose. */
  seal(): void {
    const bytes = this.memory.bytes,
      at = this.offset,
      ip = this.#ip();
    if (ip === 0 || this.length < ip) return;
    if ((bytes[at] as number) >> 4 === 4) {
      bytes[at + 10] = bytes[at + 11] = 0;
      put16(bytes, at + 10, ~fold(sumHeader(bytes, at, ip, 0)));
    }
    if (this.gsoSize > 0) this.partial = true;
    if (this.partial) this.#pseudo();
    else this.#transport();
  }

  /**
   * The segments that a super-segment stands for, each with its checksums complete, in memory of their own; an ordinary
   * frame gives itself. FIN and PSH go to the last, CWR to the first (RFC 3168 §6.1.2), as the kernel does it.
   */
  split(): Frame[] {
    const header = this.headerLength,
      ip = this.#ip(),
      text = this.length - header;
    if (this.gsoSize === 0 || text <= this.gsoSize || ip === 0 || header < ip + 20) return [this];
    const from = this.bytes,
      v4 = (from[0] as number) >> 4 === 4;
    const count = Math.ceil(text / this.gsoSize),
      stride = header + this.gsoSize;
    const block = plainMemory(new Uint8Array(count * stride));
    const sequence = read32(from, ip + 4),
      identification = v4 ? read16(from, 4) : 0,
      ctl = from[ip + 13] as number;
    const out: Frame[] = [];
    for (let i = 0; i < count; i++) {
      const start = i * this.gsoSize,
        length = header + Math.min(this.gsoSize, text - start);
      const frame = new Frame(block, i * stride, length),
        bytes = frame.bytes;
      bytes.set(from.subarray(0, header));
      bytes.set(from.subarray(header + start, start + length), header);
      if (v4) {
        put16(bytes, 2, length);
        put16(bytes, 4, identification + i);
      } else put16(bytes, 4, length - 40);
      put32(bytes, ip + 4, sequence + start);
      bytes[ip + 13] = ctl & ~((i < count - 1 ? FIN | PSH : 0) | (i > 0 ? CWR : 0));
      frame.seal();
      out.push(frame);
    }
    return out;
  }

  /** Octets of IP header, or 0 when it is none that can be read. Extension headers of IPv6 are not walked. */
  #ip(): number {
    if (this.length < 20) return 0;
    const first = this.memory.bytes[this.offset] as number;
    if (first >> 4 === 4) {
      const ip = (first & 15) * 4;
      return ip >= 20 && ip <= this.length ? ip : 0;
    }
    return first >> 4 === 6 && this.length >= 40 ? 40 : 0;
  }

  #protocol(): number {
    const bytes = this.memory.bytes,
      at = this.offset;
    if ((bytes[at] as number) >> 4 === 6) return bytes[at + 6] as number;
    // A fragment's transport header is elsewhere, or its sum spans more than this frame.
    return (((bytes[at + 6] as number) & 0x3f) | (bytes[at + 7] as number)) !== 0 ? -1 : (bytes[at + 9] as number);
  }

  /** Where the transport checksum field lies from the frame's start; -1 when there is none known. */
  #field(): number {
    const ip = this.#ip();
    if (ip === 0) return -1;
    const protocol = this.#protocol();
    const field = ip + (protocol === TCP ? 16 : protocol === UDP ? 6 : protocol === ICMPV6 ? 2 : 70_000);
    return field + 2 <= this.length ? field : -1;
  }

  #pseudoSum(): number {
    const bytes = this.memory.bytes,
      at = this.offset,
      length = this.length - this.#ip(),
      protocol = this.#protocol();
    if ((bytes[at] as number) >> 4 === 4) return pseudoHeaderSum(read32(bytes, at + 12), read32(bytes, at + 16), protocol, length);
    return sumHeader(bytes, at + 8, 32, protocol + (length >>> 16) + (length & 0xffff));
  }

  #pseudo(): void {
    const field = this.#field();
    if (field >= 0) put16(this.memory.bytes, this.offset + field, fold(this.#pseudoSum()));
  }

  #transport(): void {
    const field = this.#field();
    if (field < 0) return;
    const bytes = this.memory.bytes,
      ip = this.#ip();
    put16(bytes, this.offset + field, 0);
    const sum = ~fold(this.#pseudoSum() + this.memory.sum(this.offset + ip, this.length - ip)) & 0xffff;
    // RFC 768: 0 means "no checksum" in UDP, so a sum of 0 is sent as its other face.
    put16(bytes, this.offset + field, sum === 0 && this.#protocol() === UDP ? 0xffff : sum);
  }
}

/** Space that frames are gathered in and forgotten at once: after `room` a reset starts at its beginning. */
export class Staging {
  readonly memory: Memory;
  #used = 0;

  constructor(octets: number) {
    this.memory = createMemory(octets);
  }

  /** @returns an offset with room for `length` octets, or -1 when the space must be reset first. */
  room(length: number): number {
    const at = this.#used;
    if (at + length > this.memory.bytes.length) return -1;
    this.#used = (at + length + 15) & ~15;
    return at;
  }

  get isEmpty(): boolean {
    return this.#used === 0;
  }
  reset(): void {
    this.#used = 0;
  }
}

function read16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

function read32(bytes: Uint8Array, at: number): number {
  return (read16(bytes, at) << 16) | read16(bytes, at + 2);
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, value >>> 16);
  put16(bytes, at + 2, value);
}
