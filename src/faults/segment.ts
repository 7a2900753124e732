/** A TCP segment as the faults see it: a frame and where its fields lie. Alters fields and makes segments of its own. */
import { Frame } from "../device/frame.js";
import { emitIpv4, formatAddress, IPV4_HEADER, PROTOCOL_ICMP, PROTOCOL_TCP, readInt32, readUint16, writeInt32, writeUint16 } from "../wire/ipv4.js";
import { fold, sumHeader } from "../wire/checksum.js";
import { ACK, FIN, SYN } from "../wire/segment.js";
import { TCP_HEADER } from "../wire/tcp.js";
import type { Direction } from "./spec.js";

export class SegmentView {
  readonly frame: Frame;
  readonly direction: Direction;
  readonly ipHeader: number;
  readonly headerLength: number;
  /** A fault made the checksum wrong: it stays wrong whatever later faults alter. */
  #spoiled: boolean;

  private constructor(frame: Frame, direction: Direction, ipHeader: number, headerLength: number, spoiled = false) {
    this.frame = frame;
    this.direction = direction;
    this.ipHeader = ipHeader;
    this.headerLength = headerLength;
    this.#spoiled = spoiled;
  }

  /** Undefined for what is not one whole TCP segment over IPv4 (a later fragment, ICMP, nonsense): faults let it pass. */
  static of(frame: Frame, direction: Direction): SegmentView | undefined {
    const b = frame.memory.bytes,
      o = frame.offset;
    if (frame.length < IPV4_HEADER + TCP_HEADER || (b[o] as number) >> 4 !== 4 || b[o + 9] !== PROTOCOL_TCP) return undefined;
    const ip = ((b[o] as number) & 15) << 2;
    if (ip < IPV4_HEADER || frame.length < ip + TCP_HEADER || (readUint16(b, o + 6) & 0x3fff) !== 0) return undefined;
    const tcp = ((b[o + ip + 12] as number) >> 4) << 2;
    if (tcp < TCP_HEADER || ip + tcp > frame.length || readUint16(b, o + 2) !== frame.length) return undefined;
    return new SegmentView(frame, direction, ip, ip + tcp);
  }

  get #bytes(): Uint8Array {
    return this.frame.memory.bytes;
  }
  get #ip(): number {
    return this.frame.offset;
  }
  get #tcp(): number {
    return this.frame.offset + this.ipHeader;
  }

  get source(): number {
    return readInt32(this.#bytes, this.#ip + 12);
  }
  get destination(): number {
    return readInt32(this.#bytes, this.#ip + 16);
  }
  get sourcePort(): number {
    return readUint16(this.#bytes, this.#tcp);
  }
  get destinationPort(): number {
    return readUint16(this.#bytes, this.#tcp + 2);
  }
  get sequence(): number {
    return readInt32(this.#bytes, this.#tcp + 4);
  }
  get acknowledgment(): number {
    return readInt32(this.#bytes, this.#tcp + 8);
  }
  get ctl(): number {
    return this.#bytes[this.#tcp + 13] as number;
  }
  get window(): number {
    return readUint16(this.#bytes, this.#tcp + 14);
  }
  get textLength(): number {
    return this.frame.length - this.headerLength;
  }
  /** SEG.LEN: text, SYN and FIN. */
  get length(): number {
    return this.textLength + ((this.ctl & SYN) >> 1) + (this.ctl & FIN);
  }
  /** The sequence number after the last octet, as int32. */
  get end(): number {
    return (this.sequence + this.length) | 0;
  }
  has(bits: number): boolean {
    return (this.ctl & bits) === bits;
  }

  get localAddress(): number {
    return this.direction === "in" ? this.destination : this.source;
  }
  get localPort(): number {
    return this.direction === "in" ? this.destinationPort : this.sourcePort;
  }
  get remoteAddress(): number {
    return this.direction === "in" ? this.source : this.destination;
  }
  get remotePort(): number {
    return this.direction === "in" ? this.sourcePort : this.destinationPort;
  }

  /** Offset and value of an option, so that it may be altered; undefined where absent or broken. */
  option(kind: number): { readonly at: number; readonly length: number } | undefined {
    const b = this.#bytes,
      end = this.#ip + this.headerLength;
    for (let i = this.#tcp + TCP_HEADER; i < end; ) {
      const k = b[i];
      if (k === 0) return undefined;
      if (k === 1) {
        i++;
        continue;
      }
      const length = b[i + 1] ?? 0;
      if (length < 2 || i + length > end) return undefined;
      if (k === kind) return { at: i + 2, length: length - 2 };
      i += length;
    }
    return undefined;
  }

  /** TSval (RFC 7323 §3), as int32; undefined without the option. */
  get timestamp(): number | undefined {
    const ts = this.option(8);
    return ts?.length === 8 ? readInt32(this.#bytes, ts.at) : undefined;
  }

  setSequence(v: number): void {
    writeInt32(this.#bytes, this.#tcp + 4, v);
  }
  setAcknowledgment(v: number): void {
    writeInt32(this.#bytes, this.#tcp + 8, v);
  }
  setWindow(v: number): void {
    writeUint16(this.#bytes, this.#tcp + 14, v);
  }
  setUrgent(v: number): void {
    writeUint16(this.#bytes, this.#tcp + 18, v);
  }
  setTtl(v: number): void {
    this.#bytes[this.#ip + 8] = v;
  }
  setMss(v: number): boolean {
    const mss = this.option(2);
    if (mss?.length !== 2) return false;
    writeUint16(this.#bytes, mss.at, v);
    return true;
  }

  /** Moves what the peer acknowledges, SACK blocks (RFC 2018 §3) included, by `octets`. */
  shiftAcknowledged(octets: number): void {
    const b = this.#bytes;
    if ((this.ctl & ACK) !== 0) this.setAcknowledgment((this.acknowledgment + octets) | 0);
    const sack = this.option(5);
    if (sack !== undefined) for (let i = 0; i + 4 <= sack.length; i += 4) writeInt32(b, sack.at + i, (readInt32(b, sack.at + i) + octets) | 0);
    this.seal();
  }

  /** Makes the checksums fit what was altered, but for one that a fault made wrong. */
  seal(): void {
    this.frame.seal();
    if (this.#spoiled) this.#distort();
  }

  /** The TCP checksum field is made wrong; a device that would complete it no longer may. */
  spoilChecksum(): void {
    this.frame.gsoSize = 0;
    this.frame.complete();
    if (!this.#spoiled) this.#distort();
    this.#spoiled = true;
  }
  #distort(): void {
    const b = this.#bytes,
      at = this.#tcp + 16;
    // Another value than the right one, and than its other form of zero.
    writeUint16(b, at, readUint16(b, at) ^ 0x5555);
  }

  /** Flips bits behind the back of the checksum. */
  corrupt(bits: number, random: () => number): void {
    this.frame.gsoSize = 0;
    this.frame.complete();
    this.flip(bits, random);
    this.#spoiled = true;
  }

  /** Flips bits chosen by `random` (0 to 1) in the text, or in the sequence number where there is none. */
  flip(bits: number, random: () => number): void {
    const from = this.textLength > 0 ? this.#ip + this.headerLength : this.#tcp + 4;
    const octets = this.textLength > 0 ? this.textLength : 4;
    const total = octets * 8;
    const chosen = new Set<number>();
    while (chosen.size < Math.min(bits, total)) chosen.add(Math.floor(random() * total));
    for (const bit of chosen) {
      const at = from + (bit >> 3);
      this.#bytes[at] = (this.#bytes[at] as number) ^ (1 << (bit & 7));
    }
  }

  /** A segment of its own with the octets of text from `from` to before `to`; SYN stays with the first, FIN and PSH with the last. */
  slice(from: number, to: number): SegmentView {
    const text = this.textLength,
      header = this.headerLength;
    const bytes = new Uint8Array(header + to - from);
    bytes.set(this.frame.bytes.subarray(0, header));
    bytes.set(this.frame.bytes.subarray(header + from, header + to), header);
    writeUint16(bytes, 2, bytes.length);
    writeInt32(bytes, this.ipHeader + 4, (this.sequence + (from > 0 && (this.ctl & SYN) !== 0 ? 1 : 0) + from) | 0);
    let ctl = this.ctl;
    if (from > 0) ctl &= ~SYN;
    if (to < text) ctl &= ~(FIN | 8);
    bytes[this.ipHeader + 13] = ctl;
    const frame = Frame.of(bytes);
    frame.partial = this.frame.partial;
    const piece = new SegmentView(frame, this.direction, this.ipHeader, header, this.#spoiled);
    piece.seal();
    return piece;
  }

  /** The same, in memory of its own. */
  own(): SegmentView {
    return new SegmentView(this.frame.own(), this.direction, this.ipHeader, this.headerLength, this.#spoiled);
  }

  /** The segments that a super-segment stands for. */
  segments(): SegmentView[] {
    if (this.frame.gsoSize === 0) return [this];
    return this.frame.split().map((f) => (f === this.frame ? this : new SegmentView(f, this.direction, this.ipHeader, this.headerLength)));
  }

  get #localText(): string {
    return `${formatAddress(this.localAddress)}:${this.localPort}`;
  }
  get #remoteText(): string {
    return `${formatAddress(this.remoteAddress)}:${this.remotePort}`;
  }
  get local(): string {
    return this.#localText;
  }
  get remote(): string {
    return this.#remoteText;
  }
}

/** TSval and TSecr (RFC 7323 §3), as int32. */
export interface Stamp {
  readonly val: number;
  readonly ecr: number;
}

/** Makes a segment without text, and without options but timestamps. */
export function forge(
  source: number,
  sourcePort: number,
  destination: number,
  destinationPort: number,
  ctl: number,
  sequence: number,
  acknowledgment: number,
  window: number,
  stamp?: Stamp,
): Frame {
  const bytes = new Uint8Array(IPV4_HEADER + TCP_HEADER + (stamp === undefined ? 0 : 12));
  emitIpv4(bytes, 0, bytes.length, 0, 64, PROTOCOL_TCP, source, destination);
  writeUint16(bytes, 20, sourcePort);
  writeUint16(bytes, 22, destinationPort);
  writeInt32(bytes, 24, sequence);
  writeInt32(bytes, 28, ctl & ACK ? acknowledgment : 0);
  bytes[32] = 0x50;
  if (stamp !== undefined) {
    bytes[32] = 0x80;
    bytes.set([1, 1, 8, 10], 40);
    writeInt32(bytes, 44, stamp.val);
    writeInt32(bytes, 48, stamp.ecr);
  }
  bytes[33] = ctl;
  writeUint16(bytes, 34, window);
  const frame = Frame.of(bytes);
  frame.seal();
  return frame;
}

/** Makes the ICMP destination unreachable (RFC 792) that answers `segment`: its headers and 8 octets more. */
export function forgeUnreachable(segment: SegmentView, code: number, mtu: number): Frame {
  const quoted = segment.frame.bytes.subarray(0, Math.min(segment.frame.length, segment.ipHeader + 8));
  const bytes = new Uint8Array(IPV4_HEADER + 8 + quoted.length);
  emitIpv4(bytes, 0, bytes.length, 0xc0, 64, PROTOCOL_ICMP, segment.destination, segment.source);
  bytes[20] = 3;
  bytes[21] = code;
  writeUint16(bytes, 26, mtu);
  bytes.set(quoted, 28);
  const sum = ~fold(sumHeader(bytes, 20, bytes.length - 20, 0));
  writeUint16(bytes, 22, sum);
  return Frame.of(bytes);
}
