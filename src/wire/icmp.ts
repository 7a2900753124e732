/** ICMP (RFC 792, RFC 1122 §3.2.2): what a host must answer and what TCP must hear. */
import { fold, sumHeader } from "./checksum.js";
import { IPV4_HEADER, readInt32, readUint16, writeInt32, writeUint16 } from "./ipv4.js";
import type { Memory } from "./memory.js";
import type { WireRule } from "./rules.js";

export const ICMP_ECHO_REPLY = 0,
  ICMP_UNREACHABLE = 3,
  ICMP_SOURCE_QUENCH = 4,
  ICMP_REDIRECT = 5,
  ICMP_ECHO_REQUEST = 8,
  ICMP_TIME_EXCEEDED = 11,
  ICMP_PARAMETER_PROBLEM = 12;
export const UNREACHABLE_PROTOCOL = 2,
  UNREACHABLE_PORT = 3,
  UNREACHABLE_FRAGMENTATION_NEEDED = 4;
const ICMP_HEADER = 8;

/** An ICMP message; for errors also the TCP header that it quotes (the first 8 octets of it: RFC 792). */
export class IcmpMessage {
  type = 0;
  code = 0;
  /** Next-hop MTU of fragmentation needed (RFC 1191 §4), 0 if the router does not say. */
  mtu = 0;
  /** Quoted datagram: addresses, protocol, ports and SEG.SEQ; `quoted` is false where there is none. */
  quoted = false;
  quotedSource = 0;
  quotedDestination = 0;
  quotedProtocol = 0;
  quotedSourcePort = 0;
  quotedDestinationPort = 0;
  quotedSequence = 0;
}

export const isIcmpError = (type: number): boolean =>
  type === ICMP_UNREACHABLE || type === ICMP_SOURCE_QUENCH || type === ICMP_REDIRECT || type === ICMP_TIME_EXCEEDED || type === ICMP_PARAMETER_PROBLEM;

export function parseIcmp(memory: Memory, offset: number, length: number, out: IcmpMessage): WireRule | undefined {
  const b = memory.bytes;
  if (length < ICMP_HEADER) return "icmp-short";
  if (memory.sum(offset, length) !== 0xffff) return "icmp-checksum";
  out.type = b[offset] as number;
  out.code = b[offset + 1] as number;
  out.mtu = 0;
  out.quoted = false;
  if (!isIcmpError(out.type)) return undefined;
  if (out.type === ICMP_UNREACHABLE && out.code === UNREACHABLE_FRAGMENTATION_NEEDED) out.mtu = readUint16(b, offset + 6);
  const q = offset + ICMP_HEADER,
    room = length - ICMP_HEADER;
  if (room < IPV4_HEADER || (b[q] as number) >> 4 !== 4) return undefined;
  const headerLength = ((b[q] as number) & 15) << 2;
  // A fragment other than the first quotes no ports.
  if (headerLength < IPV4_HEADER || room < headerLength + 8 || (readUint16(b, q + 6) & 0x1fff) !== 0) return undefined;
  out.quotedProtocol = b[q + 9] as number;
  out.quotedSource = readInt32(b, q + 12);
  out.quotedDestination = readInt32(b, q + 16);
  out.quotedSourcePort = readUint16(b, q + headerLength);
  out.quotedDestinationPort = readUint16(b, q + headerLength + 2);
  out.quotedSequence = readInt32(b, q + headerLength + 4);
  out.quoted = true;
  return undefined;
}

/**
 * Writes the 8-octet header of the reply to the echo request at `from` (RFC 1122 §3.2.2.6). The data follows by
 * reference, so the checksum is the request's with type 8 taken out (RFC 1624).
 */
export function emitEchoReplyHeader(b: Uint8Array, offset: number, request: Uint8Array, from: number): void {
  b[offset] = ICMP_ECHO_REPLY;
  b[offset + 1] = 0;
  writeUint16(b, offset + 2, fold(readUint16(request, from + 2) + 0x0800));
  writeInt32(b, offset + 4, readInt32(request, from + 4));
}

/**
 * Writes an ICMP error that quotes `quoteLength` octets of the datagram at `quote` (RFC 1122 §3.2.2: at least the IP
 * header and 8 octets). @returns octets of the ICMP message
 */
export function emitIcmpError(b: Uint8Array, offset: number, type: number, code: number, from: Uint8Array, quote: number, quoteLength: number): number {
  b[offset] = type;
  b[offset + 1] = code;
  writeUint16(b, offset + 2, 0);
  writeInt32(b, offset + 4, 0);
  for (let i = 0; i < quoteLength; i++) b[offset + ICMP_HEADER + i] = from[quote + i] as number;
  const length = ICMP_HEADER + quoteLength;
  writeUint16(b, offset + 2, ~fold(sumHeader(b, offset, length, 0)));
  return length;
}
