/** A TCP segment as parsed (RFC 9293 §3.1). One instance is filled again and again; text stays where it arrived. */
import type { Memory } from "./memory.js";

/** Control bits. */
export const FIN = 1,
  SYN = 2,
  RST = 4,
  PSH = 8,
  ACK = 16,
  URG = 32,
  ECE = 64,
  CWR = 128;

export class Segment {
  sourcePort = 0;
  destinationPort = 0;
  /** SEG.SEQ and SEG.ACK as int32; `seq()` of tcp/seq.ts makes them points on the circle. */
  sequence = 0;
  acknowledgment = 0;
  /** SEG.WND as the header carries it, unscaled. */
  window = 0;
  urgentPointer = 0;
  /** CTL: the bits above. */
  ctl = 0;
  /** Where SEG.TEXT lies. */
  memory!: Memory;
  textOffset = 0;
  textLength = 0;

  /** MSS option, octets; 0 if absent. */
  mss = 0;
  /** Window scale shift; -1 if absent. */
  windowScale = -1;
  sackPermitted = false;
  hasTimestamps = false;
  /** As int32. */
  tsVal = 0;
  tsEcr = 0;
  /** SACK blocks: left and right edges as int32, `sackCount` pairs. */
  sackCount = 0;
  readonly sackEdges = new Int32Array(8);
  /** User timeout option (RFC 5482), milliseconds; -1 if absent. */
  userTimeoutMs = -1;

  /** ECN field of the IP header (RFC 3168). */
  ecn = 0;
  /** Text octets of each TCP segment that a super-segment stands for; 0 for an ordinary one. */
  gsoSize = 0;

  /** SEG.LEN: text, SYN and FIN. */
  get length(): number {
    return this.textLength + ((this.ctl & SYN) >> 1) + (this.ctl & FIN);
  }
  /** TCP segments that this one stands for. */
  get segments(): number {
    return this.gsoSize > 0 && this.textLength > this.gsoSize ? Math.ceil(this.textLength / this.gsoSize) : 1;
  }
}

const LETTERS: readonly (readonly [number, string])[] = [
  [SYN, "S"],
  [FIN, "F"],
  [RST, "R"],
  [PSH, "P"],
  [URG, "U"],
  [ECE, "E"],
  [CWR, "W"],
  [ACK, "."],
];
/** For each of the 256 combinations, once it was asked for: several events of every connection name one. */
const WORDS: string[] = [];
/** Control bits as tcpdump writes them: "S", "S.", "F.", "P.", ".", "R". */
export const formatCtl = (ctl: number): string => (WORDS[ctl & 0xff] ??= LETTERS.map(([bit, letter]) => (ctl & bit ? letter : "")).join(""));
