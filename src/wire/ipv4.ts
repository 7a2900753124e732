/** IPv4 headers (RFC 791, RFC 1122 §3.2.1): parse and emit. Addresses are 32-bit integers, as `| 0` makes them. */
import { fold, sumHeader } from "./checksum.js";
import type { WireRule } from "./rules.js";

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const IPV4_HEADER = 20;

/** ECN field of the IP header (RFC 3168 §5). */
export const NOT_ECT = 0,
  ECT_1 = 1,
  ECT_0 = 2,
  CE = 3;

/** A parsed header; one instance is filled again and again. */
export class Ipv4Header {
  headerLength = 0;
  totalLength = 0;
  tos = 0;
  identification = 0;
  dontFragment = false;
  moreFragments = false;
  /** Octets. */
  fragmentOffset = 0;
  ttl = 0;
  protocol = 0;
  source = 0;
  destination = 0;
}

/** Reads the header at `offset` of a frame of `length` octets. @returns why it must be dropped, or undefined */
export function parseIpv4(b: Uint8Array, offset: number, length: number, out: Ipv4Header): WireRule | undefined {
  if (length < IPV4_HEADER) return "ip-short";
  const first = b[offset] as number;
  if (first >> 4 !== 4) return "ip-version";
  const headerLength = (first & 15) << 2;
  if (headerLength < IPV4_HEADER || headerLength > length) return "1122-3.2.1.2";
  if (fold(sumHeader(b, offset, headerLength, 0)) !== 0xffff) return "1122-3.2.1.2";
  const totalLength = ((b[offset + 2] as number) << 8) | (b[offset + 3] as number);
  if (totalLength < headerLength || totalLength > length) return "791-total-length";
  const frag = ((b[offset + 6] as number) << 8) | (b[offset + 7] as number);
  out.headerLength = headerLength;
  out.totalLength = totalLength;
  out.tos = b[offset + 1] as number;
  out.identification = ((b[offset + 4] as number) << 8) | (b[offset + 5] as number);
  out.dontFragment = (frag & 0x4000) !== 0;
  out.moreFragments = (frag & 0x2000) !== 0;
  out.fragmentOffset = (frag & 0x1fff) << 3;
  out.ttl = b[offset + 8] as number;
  out.protocol = b[offset + 9] as number;
  out.source = readInt32(b, offset + 12);
  out.destination = readInt32(b, offset + 16);
  return undefined;
}

/**
 * Writes a 20-octet header with DF set and its checksum. RFC 6864 §4.1: an atomic datagram's ID means nothing, so it is
 * 0 unless given.
 */
export function emitIpv4(
  b: Uint8Array,
  offset: number,
  totalLength: number,
  tos: number,
  ttl: number,
  protocol: number,
  source: number,
  destination: number,
  identification = 0,
): void {
  b[offset] = 0x45;
  b[offset + 1] = tos;
  b[offset + 2] = totalLength >> 8;
  b[offset + 3] = totalLength;
  b[offset + 4] = identification >> 8;
  b[offset + 5] = identification;
  b[offset + 6] = 0x40;
  b[offset + 7] = 0;
  b[offset + 8] = ttl;
  b[offset + 9] = protocol;
  b[offset + 10] = 0;
  b[offset + 11] = 0;
  writeInt32(b, offset + 12, source);
  writeInt32(b, offset + 16, destination);
  const sum = ~fold(sumHeader(b, offset, IPV4_HEADER, 0));
  b[offset + 10] = sum >> 8;
  b[offset + 11] = sum;
}

export const readInt32 = (b: Uint8Array, o: number): number =>
  ((b[o] as number) << 24) | ((b[o + 1] as number) << 16) | ((b[o + 2] as number) << 8) | (b[o + 3] as number);
export const readUint16 = (b: Uint8Array, o: number): number => ((b[o] as number) << 8) | (b[o + 1] as number);
export function writeInt32(b: Uint8Array, o: number, v: number): void {
  b[o] = v >>> 24;
  b[o + 1] = v >>> 16;
  b[o + 2] = v >>> 8;
  b[o + 3] = v;
}
export function writeUint16(b: Uint8Array, o: number, v: number): void {
  b[o] = v >>> 8;
  b[o + 1] = v;
}

/** "10.77.0.2" to an integer; undefined if it is not a dotted quad. */
export function parseAddress(text: string): number | undefined {
  const m = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (m === null) return undefined;
  let n = 0;
  for (let i = 1; i <= 4; i++) {
    const part = Number(m[i]);
    if (part > 255) return undefined;
    n = (n << 8) | part;
  }
  return n;
}
export const formatAddress = (a: number): string => `${a >>> 24}.${(a >>> 16) & 255}.${(a >>> 8) & 255}.${a & 255}`;

/** A block of addresses in CIDR notation. */
export interface Prefix {
  readonly address: number;
  readonly mask: number;
  readonly bits: number;
}

/** "10.77.0.2" (one address) or "10.77.0.0/24"; undefined if neither. */
export function parsePrefix(text: string): Prefix | undefined {
  const [quad = "", bitsText, more] = text.split("/");
  const address = parseAddress(quad);
  if (address === undefined || more !== undefined) return undefined;
  if (bitsText !== undefined && !/^\d{1,2}$/.test(bitsText)) return undefined;
  const bits = bitsText === undefined ? 32 : Number(bitsText);
  if (bits > 32) return undefined;
  return { address, mask: bits === 0 ? 0 : -1 << (32 - bits), bits };
}
export const contains = (p: Prefix, address: number): boolean => ((address ^ p.address) & p.mask) === 0;

/** Multicast, limited broadcast, class E, 0/8 (RFC 1122 §3.2.1.3): never a peer of a TCP connection. */
export function isUnusablePeer(a: number): boolean {
  const top = a >>> 24;
  return top === 0 || top >= 224 || top === 127;
}
