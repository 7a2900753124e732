/** Packets as bytes and back: what is injected is built here, what the host sends is taken apart and its checksums verified. */
import { fold, sumHeader } from "../wire/checksum.js";
import { emitIpv4, IPV4_HEADER, PROTOCOL_ICMP, PROTOCOL_TCP, parseIpv4, Ipv4Header, readInt32, readUint16, writeInt32, writeUint16 } from "../wire/ipv4.js";
import { finishChecksum, TCP_HEADER } from "../wire/tcp.js";
import { plainMemory } from "../wire/wasm-memory.js";
import type { TcpOption } from "./ast.js";
import { optionOctets } from "./parse-packet.js";

/** A TCP segment with its addresses; all numbers unsigned, sequence numbers as on the wire. */
export interface Packet {
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  /** Control bits, AE included. */
  readonly flags: number;
  readonly window: number;
  readonly urgent: number;
  readonly options: readonly TcpOption[];
  readonly length: number;
  readonly tos: number;
  readonly ttl: number;
}

export interface Captured extends Packet {
  /** When the host sent it, microseconds of script time. */
  readonly at: number;
  /** What is wrong with it in itself: a checksum, a length, a reserved bit, an octet that is not zero; undefined if nothing. */
  readonly fault: string | undefined;
}

const KIND = { eol: 0, nop: 1, mss: 2, wscale: 3, sackOK: 4, sack: 5, TS: 8 } as const;

export function encodeOptions(options: readonly TcpOption[]): Uint8Array {
  const out = new Uint8Array(options.reduce((n, o) => n + optionOctets(o), 0));
  let i = 0;
  for (const o of options) {
    const length = optionOctets(o);
    out[i] = o.kind === "raw" ? o.number : KIND[o.kind];
    if (length > 1) out[i + 1] = length;
    switch (o.kind) {
      case "mss":
        writeUint16(out, i + 2, o.value);
        break;
      case "wscale":
        out[i + 2] = o.value;
        break;
      case "sack":
        o.blocks.forEach(([left, right], k) => {
          writeInt32(out, i + 2 + 8 * k, left);
          writeInt32(out, i + 6 + 8 * k, right);
        });
        break;
      case "TS":
        writeInt32(out, i + 2, o.val);
        writeInt32(out, i + 6, o.ecr);
        break;
      case "raw":
        out.set(o.data, i + 2);
        break;
      default:
    }
    i += length;
  }
  return out;
}

/** @returns what is wrong with the list instead, as text */
export function decodeOptions(b: Uint8Array, from: number, end: number): TcpOption[] | string {
  const out: TcpOption[] = [];
  for (let i = from; i < end; ) {
    const kind = b[i] as number;
    if (kind === KIND.eol || kind === KIND.nop) {
      out.push({ kind: kind === KIND.eol ? "eol" : "nop" });
      i++;
      continue;
    }
    const length = i + 1 < end ? (b[i + 1] as number) : 0;
    if (length < 2 || i + length > end) return `option ${kind} with a length of ${length}`;
    const data = b.slice(i + 2, i + length);
    if (kind === KIND.mss && length === 4) out.push({ kind: "mss", value: readUint16(data, 0) });
    else if (kind === KIND.wscale && length === 3) out.push({ kind: "wscale", value: data[0] as number });
    else if (kind === KIND.sackOK && length === 2) out.push({ kind: "sackOK" });
    else if (kind === KIND.sack && (length - 2) % 8 === 0) {
      const blocks: [number, number][] = [];
      for (let k = 0; k < data.length; k += 8) blocks.push([readInt32(data, k) >>> 0, readInt32(data, k + 4) >>> 0]);
      out.push({ kind: "sack", blocks });
    } else if (kind === KIND.TS && length === 10) out.push({ kind: "TS", val: readInt32(data, 0) >>> 0, ecr: readInt32(data, 4) >>> 0 });
    else out.push({ kind: "raw", number: kind, data });
    i += length;
  }
  return out;
}

/** A TCP segment whose text is zeros, as an IPv4 packet with valid checksums. */
export function encodeTcp(p: Packet): Uint8Array {
  const options = encodeOptions(p.options),
    header = TCP_HEADER + options.length;
  const bytes = new Uint8Array(IPV4_HEADER + header + p.length);
  emitIpv4(bytes, 0, bytes.length, p.tos, p.ttl, PROTOCOL_TCP, p.source, p.destination);
  const t = IPV4_HEADER;
  writeUint16(bytes, t, p.sourcePort);
  writeUint16(bytes, t + 2, p.destinationPort);
  writeInt32(bytes, t + 4, p.sequence);
  writeInt32(bytes, t + 8, p.acknowledgment);
  bytes[t + 12] = ((header >> 2) << 4) | ((p.flags >> 8) & 1);
  bytes[t + 13] = p.flags;
  writeUint16(bytes, t + 14, p.window);
  writeUint16(bytes, t + 18, p.urgent);
  bytes.set(options, t + TCP_HEADER);
  finishChecksum(bytes, t, header, p.length, p.source, p.destination, 0, false);
  return bytes;
}

export interface IcmpPacket {
  readonly source: number;
  readonly destination: number;
  readonly type: number;
  readonly code: number;
  readonly mtu: number;
  readonly tos: number;
  readonly ttl: number;
  /** The segment that it quotes; only addresses, ports, sequence and length count. */
  readonly quoted: Packet;
}

/** An ICMP error with the IP header and the first 8 octets of the segment that it is about (RFC 792). */
export function encodeIcmp(p: IcmpPacket): Uint8Array {
  const quote = encodeTcp(p.quoted).subarray(0, IPV4_HEADER + 8);
  const bytes = new Uint8Array(IPV4_HEADER + 8 + quote.length);
  emitIpv4(bytes, 0, bytes.length, p.tos, p.ttl, PROTOCOL_ICMP, p.source, p.destination);
  const i = IPV4_HEADER;
  bytes[i] = p.type;
  bytes[i + 1] = p.code;
  writeUint16(bytes, i + 6, p.mtu);
  bytes.set(quote, i + 8);
  writeUint16(bytes, i + 2, ~fold(sumHeader(bytes, i, bytes.length - i, 0)));
  return bytes;
}

const ip = new Ipv4Header();

/** @returns undefined for what is no TCP segment (an echo reply) */
export function decode(bytes: Uint8Array, at: number): Captured | undefined {
  const bad = parseIpv4(bytes, 0, bytes.length, ip);
  if (ip.protocol !== PROTOCOL_TCP && bad === undefined) return undefined;
  const t = ip.headerLength,
    end = ip.totalLength;
  const none: Packet = {
    source: ip.source,
    destination: ip.destination,
    sourcePort: 0,
    destinationPort: 0,
    sequence: 0,
    acknowledgment: 0,
    flags: 0,
    window: 0,
    urgent: 0,
    options: [],
    length: 0,
    tos: ip.tos,
    ttl: ip.ttl,
  };
  if (bad !== undefined) return { ...none, at, fault: `an IP header that breaks ${bad}` };
  const header = ((bytes[t + 12] as number) >> 4) << 2;
  if (end - t < TCP_HEADER || header < TCP_HEADER || header > end - t || end !== bytes.length)
    return { ...none, at, fault: "lengths of IP, TCP and frame that do not agree" };
  const options = decodeOptions(bytes, t + TCP_HEADER, t + header);
  const memory = plainMemory(bytes);
  const sum = fold(
    (ip.source >>> 16) + (ip.source & 0xffff) + (ip.destination >>> 16) + (ip.destination & 0xffff) + PROTOCOL_TCP + (end - t) + memory.sum(t, end - t),
  );
  let fault: string | undefined;
  if (sum !== 0xffff) fault = "a wrong TCP checksum";
  else if (((bytes[t + 12] as number) & 0x0e) !== 0) fault = "reserved bits that are not zero";
  else if (typeof options === "string") fault = options;
  else
    for (let i = t + header; i < end; i++)
      if (bytes[i] !== 0) {
        fault = `text whose octet ${i - t - header} is not zero`;
        break;
      }
  return {
    ...none,
    sourcePort: readUint16(bytes, t),
    destinationPort: readUint16(bytes, t + 2),
    sequence: readInt32(bytes, t + 4) >>> 0,
    acknowledgment: readInt32(bytes, t + 8) >>> 0,
    flags: (bytes[t + 13] as number) | (((bytes[t + 12] as number) & 1) << 8),
    window: readUint16(bytes, t + 14),
    urgent: readUint16(bytes, t + 18),
    options: typeof options === "string" ? [] : options,
    length: end - t - header,
    at,
    fault,
  };
}
