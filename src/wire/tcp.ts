/** TCP headers and options (RFC 9293 §3.1, §3.2; RFC 7323, RFC 2018, RFC 5482): parse and emit. */
import { fold, pseudoHeaderSum, sumHeader } from "./checksum.js";
import { PROTOCOL_TCP, readInt32, readUint16, writeInt32, writeUint16 } from "./ipv4.js";
import type { Memory } from "./memory.js";
import type { WireRule } from "./rules.js";
import { type Segment, SYN } from "./segment.js";

export const TCP_HEADER = 20;
const KIND_END = 0,
  KIND_NOP = 1,
  KIND_MSS = 2,
  KIND_WSCALE = 3,
  KIND_SACK_OK = 4,
  KIND_SACK = 5,
  KIND_TIMESTAMPS = 8,
  KIND_UTO = 28;

/**
 * Reads the segment of `length` octets at `offset`; `trusted` skips the checksum (the kernel vouches for it).
 * @returns why it must be dropped, or undefined
 */
export function parseTcp(
  memory: Memory,
  offset: number,
  length: number,
  source: number,
  destination: number,
  trusted: boolean,
  out: Segment,
): WireRule | undefined {
  const b = memory.bytes;
  if (length < TCP_HEADER) return "tcp-short";
  const headerLength = ((b[offset + 12] as number) >> 4) << 2;
  if (headerLength < TCP_HEADER || headerLength > length) return "9293-3.1-data-offset";
  if (!trusted && fold(pseudoHeaderSum(source, destination, PROTOCOL_TCP, length) + memory.sum(offset, length)) !== 0xffff) return "9293-MUST-3";
  out.sourcePort = readUint16(b, offset);
  out.destinationPort = readUint16(b, offset + 2);
  out.sequence = readInt32(b, offset + 4);
  out.acknowledgment = readInt32(b, offset + 8);
  out.ctl = b[offset + 13] as number;
  out.window = readUint16(b, offset + 14);
  out.urgentPointer = readUint16(b, offset + 18);
  out.memory = memory;
  out.textOffset = offset + headerLength;
  out.textLength = length - headerLength;
  return parseOptions(b, offset + TCP_HEADER, offset + headerLength, out);
}

/** §3.2. MSS, window scale and SACK-permitted count only with SYN; unknown kinds are skipped by their length (MUST-6). */
function parseOptions(b: Uint8Array, from: number, end: number, out: Segment): WireRule | undefined {
  out.mss = 0;
  out.windowScale = -1;
  out.sackPermitted = false;
  out.hasTimestamps = false;
  out.sackCount = 0;
  out.userTimeoutMs = -1;
  // NOP NOP TS alone is what nearly every data segment carries.
  if (end - from === 12 && b[from] === 1 && b[from + 1] === 1 && b[from + 2] === KIND_TIMESTAMPS && b[from + 3] === 10) {
    out.hasTimestamps = true;
    out.tsVal = readInt32(b, from + 4);
    out.tsEcr = readInt32(b, from + 8);
    return undefined;
  }
  const syn = (out.ctl & SYN) !== 0;
  for (let i = from; i < end; ) {
    const kind = b[i];
    if (kind === KIND_END) return undefined;
    if (kind === KIND_NOP) {
      i++;
      continue;
    }
    if (i + 1 >= end) return "9293-MUST-7";
    const len = b[i + 1] as number;
    if (len < 2 || i + len > end) return "9293-MUST-7";
    switch (kind) {
      case KIND_MSS:
        if (len === 4 && syn) out.mss = readUint16(b, i + 2);
        break;
      case KIND_WSCALE:
        if (len === 3 && syn) out.windowScale = b[i + 2] as number;
        break;
      case KIND_SACK_OK:
        if (len === 2 && syn) out.sackPermitted = true;
        break;
      case KIND_SACK:
        if ((len - 2) % 8 === 0 && !syn) {
          const n = Math.min(4, (len - 2) >> 3);
          for (let k = 0; k < 2 * n; k++) out.sackEdges[k] = readInt32(b, i + 2 + 4 * k);
          out.sackCount = n;
        }
        break;
      case KIND_TIMESTAMPS:
        if (len === 10) {
          out.hasTimestamps = true;
          out.tsVal = readInt32(b, i + 2);
          out.tsEcr = readInt32(b, i + 6);
        }
        break;
      case KIND_UTO:
        if (len === 4) {
          const v = readUint16(b, i + 2);
          out.userTimeoutMs = (v & 0x7fff) * (v & 0x8000 ? 60_000 : 1000);
        }
        break;
      default:
    }
    i += len;
  }
  return undefined;
}

/** What goes into a header; one instance is filled again and again. */
export class SegmentHeader {
  sourcePort = 0;
  destinationPort = 0;
  sequence = 0;
  acknowledgment = 0;
  ctl = 0;
  /** As the header carries it: already scaled. */
  window = 0;
  urgentPointer = 0;
  /** 0: no option. */
  mss = 0;
  /** -1: no option. */
  windowScale = -1;
  sackPermitted = false;
  hasTimestamps = false;
  tsVal = 0;
  tsEcr = 0;
  sackCount = 0;
  readonly sackEdges = new Int32Array(8);
  /** RFC 5482, seconds; 0: no option. */
  userTimeoutSeconds = 0;

  /** Forgets the options. */
  clear(): void {
    this.urgentPointer = 0;
    this.mss = 0;
    this.windowScale = -1;
    this.sackPermitted = false;
    this.hasTimestamps = false;
    this.sackCount = 0;
    this.userTimeoutSeconds = 0;
  }
}

/**
 * Writes the header with the checksum field zero; `finishChecksum` completes it.
 * Options in the order that Linux uses: MSS, SACK-permitted, timestamps, window scale.
 * @returns octets written
 */
export function emitTcp(b: Uint8Array, offset: number, h: SegmentHeader): number {
  writeUint16(b, offset, h.sourcePort);
  writeUint16(b, offset + 2, h.destinationPort);
  writeInt32(b, offset + 4, h.sequence);
  writeInt32(b, offset + 8, h.acknowledgment);
  b[offset + 13] = h.ctl;
  writeUint16(b, offset + 14, h.window);
  b[offset + 16] = 0;
  b[offset + 17] = 0;
  writeUint16(b, offset + 18, h.urgentPointer);
  let i = offset + TCP_HEADER;
  if (h.mss > 0) {
    b[i] = KIND_MSS;
    b[i + 1] = 4;
    writeUint16(b, i + 2, h.mss);
    i += 4;
  }
  if (h.sackPermitted) {
    if (!h.hasTimestamps) {
      b[i++] = KIND_NOP;
      b[i++] = KIND_NOP;
    }
    b[i++] = KIND_SACK_OK;
    b[i++] = 2;
  } else if (h.hasTimestamps) {
    b[i++] = KIND_NOP;
    b[i++] = KIND_NOP;
  }
  if (h.hasTimestamps) {
    b[i] = KIND_TIMESTAMPS;
    b[i + 1] = 10;
    writeInt32(b, i + 2, h.tsVal);
    writeInt32(b, i + 6, h.tsEcr);
    i += 10;
  }
  if (h.windowScale >= 0) {
    b[i] = KIND_NOP;
    b[i + 1] = KIND_WSCALE;
    b[i + 2] = 3;
    b[i + 3] = h.windowScale;
    i += 4;
  }
  if (h.userTimeoutSeconds > 0) {
    b[i] = KIND_UTO;
    b[i + 1] = 4;
    writeUint16(b, i + 2, h.userTimeoutSeconds > 0x7fff ? 0x8000 | Math.min(0x7fff, Math.round(h.userTimeoutSeconds / 60)) : h.userTimeoutSeconds);
    i += 4;
  }
  if (h.sackCount > 0) {
    b[i] = KIND_NOP;
    b[i + 1] = KIND_NOP;
    b[i + 2] = KIND_SACK;
    b[i + 3] = 2 + 8 * h.sackCount;
    i += 4;
    for (let k = 0; k < 2 * h.sackCount; k++, i += 4) writeInt32(b, i, h.sackEdges[k] as number);
  }
  b[offset + 12] = ((i - offset) >> 2) << 4;
  return i - offset;
}

/**
 * Writes the checksum of a header at `offset`. `textSum` is the folded sum of the text; with `partial` only the folded
 * pseudo-header sum goes in, for a device that completes it.
 */
export function finishChecksum(
  b: Uint8Array,
  offset: number,
  headerLength: number,
  textLength: number,
  source: number,
  destination: number,
  textSum: number,
  partial: boolean,
): void {
  let sum = pseudoHeaderSum(source, destination, PROTOCOL_TCP, headerLength + textLength);
  if (partial) sum = fold(sum);
  else sum = ~fold(sumHeader(b, offset, headerLength, sum + textSum));
  writeUint16(b, offset + 16, sum);
}
