/**
 * A hostile peer: speaks just enough TCP to come into any state, then breaks every rule that it can reach. What it sends
 * at one sequence number is always the same octet, so that overlaps agree and the application can check what it gets.
 */
import { fold, sumHeader } from "../../src/wire/checksum.js";
import { emitIcmpError } from "../../src/wire/icmp.js";
import { emitIpv4, IPV4_HEADER, Ipv4Header, parseIpv4, PROTOCOL_ICMP, PROTOCOL_TCP, writeUint16 } from "../../src/wire/ipv4.js";
import { ACK, FIN, PSH, RST, Segment, SYN, URG } from "../../src/wire/segment.js";
import { emitTcp, finishChecksum, parseTcp, SegmentHeader } from "../../src/wire/tcp.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { PATTERN, patternOffset } from "./pattern.js";
import type { Random } from "./random.js";

const MSS = 1_460;
const header = new SegmentHeader();

export class HostilePeer {
  readonly #random: Random;
  readonly #send: (packet: Uint8Array) => void;
  readonly #us: number;
  readonly #them: number;
  readonly #ourPort: number;
  readonly #theirPort: number;
  /** Stream that its octets are taken from. */
  readonly #stream: number;
  readonly #iss: number;
  /** Sequence number that its stream begins at. */
  readonly origin: number;
  readonly #scale: number;
  #theirIss = 0;
  #synSeen = false;
  /** As the stack has them: its SND.NXT, its SND.UNA as we told it, its RCV.NXT, its window. */
  #theirNext = 0;
  #told = 0;
  #theirAck: number;
  #theirWindow = 65_535;
  #timestamps: boolean;
  #tsRecent = 0;
  #tsClock: number;

  constructor(random: Random, send: (packet: Uint8Array) => void, us: number, ourPort: number, them: number, theirPort: number, stream: number) {
    this.#random = random;
    this.#send = send;
    this.#us = us;
    this.#them = them;
    this.#ourPort = ourPort;
    this.#theirPort = theirPort;
    this.#stream = stream;
    this.#iss = random.chance(0.3) ? -random.int(0, 5_000) : random.uint32() | 0;
    this.origin = (this.#iss - 2 ** 24) | 0;
    this.#theirAck = (this.#iss + 1) | 0;
    this.#scale = random.int(0, 14);
    this.#timestamps = random.chance(0.6);
    this.#tsClock = random.uint32() | 0;
  }

  /** Asks for a connection, decently or not. */
  open(): void {
    const r = this.#random;
    if (r.chance(0.1)) this.#segment(r.pick([SYN | FIN, SYN | RST, SYN | URG | PSH, SYN | ACK, FIN, 0, ACK]), this.#iss, r.uint32() | 0);
    const text = r.chance(0.1) ? r.int(1, MSS) : 0;
    this.#segment(SYN, this.#iss, 0, { syn: true, text });
    if (r.chance(0.1)) this.#segment(SYN, (this.#iss + r.int(-2, 2)) | 0, 0, { syn: true });
  }

  /** Hears a frame of the stack's. */
  hear(frame: Uint8Array): void {
    const ip = new Ipv4Header(),
      seg = new Segment(),
      memory = plainMemory(frame);
    if (parseIpv4(frame, 0, frame.length, ip) !== undefined || ip.protocol !== PROTOCOL_TCP) return;
    if (parseTcp(memory, ip.headerLength, ip.totalLength - ip.headerLength, ip.source, ip.destination, true, seg) !== undefined) return;
    if (seg.sourcePort !== this.#theirPort || seg.destinationPort !== this.#ourPort || seg.ctl & RST) return;
    if (seg.ctl & SYN) {
      this.#theirIss = seg.sequence;
      if (!this.#synSeen) this.#theirNext = (seg.sequence + 1) | 0;
      this.#synSeen = true;
      this.#timestamps &&= seg.hasTimestamps;
    }
    if (!this.#synSeen) return;
    const end = (seg.sequence + seg.length) | 0;
    if (((end - this.#theirNext) | 0) > 0) this.#theirNext = end;
    if (seg.ctl & ACK) this.#theirAck = seg.acknowledgment;
    this.#theirWindow = seg.window;
    if (seg.hasTimestamps) this.#tsRecent = seg.tsVal;
    if (seg.ctl & SYN) this.#answerSyn((seg.ctl & ACK) !== 0);
  }

  #answerSyn(isAnswer: boolean): void {
    const r = this.#random;
    if (r.chance(0.15))
      this.#segment(r.pick([ACK, SYN | ACK, RST, RST | ACK, FIN | ACK]), (this.#iss + r.int(-3, 3)) | 0, (this.#theirIss + r.int(-3, 5)) | 0, { syn: true });
    if (isAnswer) return this.#segment(ACK, this.#iss + 1, this.#theirNext);
    if (r.chance(0.15)) this.#segment(SYN, this.#iss, 0, { syn: true });
    this.#segment(SYN | ACK, this.#iss, this.#theirNext, { syn: true, text: r.chance(0.1) ? r.int(1, MSS) : 0 });
  }

  /** Does something, most of it wrong. */
  act(): void {
    const r = this.#random,
      next = this.#theirAck;
    if (!this.#synSeen) return this.open();
    const nearSeq = (next + r.pick([-1, 0, 0, 0, 1, r.int(-3_000, 3_000), r.int(-70_000, 70_000), this.#theirWindow, r.uint32()])) | 0;
    const nearAck = (this.#theirNext + r.pick([0, 0, 0, 1, -1, r.int(-3_000, 3_000), r.int(-70_000, 70_000), r.uint32()])) | 0;
    switch (r.int(0, 15)) {
      case 0:
      case 1:
        return this.#text(this.#theirAck, r.int(1, MSS), this.#theirNext);
      case 2:
        return this.#text(this.#theirAck + r.int(-2_000, 20_000), r.int(1, MSS), this.#theirNext);
      case 3: {
        const at = this.#theirAck + r.int(1, 40_000);
        for (let i = r.int(1, 40); i > 0; i--) this.#text(at + i * r.int(2, 400), r.int(1, 300), this.#theirNext);
        return;
      }
      case 4:
        this.#told = this.#theirNext;
        return this.#segment(ACK, next, this.#theirNext);
      case 5:
        return this.#segment(ACK, next, this.#theirNext, { window: r.pick([0, 0, 1, r.int(0, 65_535)]) });
      case 6:
        return this.#segment(ACK, next, nearAck);
      case 7:
        return this.#segment(ACK, next, r.chance(0.5) ? this.#told : nearAck, { sack: true });
      case 8:
        return this.#segment(r.int(0, 255), nearSeq, nearAck);
      case 9:
        return this.#segment(r.pick([RST, RST | ACK]), r.chance(0.03) ? next : nearSeq, nearAck);
      case 10:
        return this.#segment(r.pick([SYN, SYN | ACK]), nearSeq, nearAck, { syn: true });
      case 11:
        return this.#segment(FIN | ACK, r.chance(0.1) ? next : nearSeq, this.#theirNext);
      case 12:
        return this.#segment(ACK | URG, next, this.#theirNext, { urgent: r.int(0, 65_535), text: r.int(0, 100) });
      case 13:
        return this.#icmp();
      case 14:
        return this.#garbage(next);
      default:
        for (let i = r.int(1, 30), ack = this.#theirNext - r.int(0, 5_000); i > 0; i--) this.#segment(ACK, next, ack | 0, r.chance(0.5) ? { sack: true } : {});
    }
  }

  /** Octets of the stream, at their true place. */
  #text(at: number, length: number, ack: number): void {
    this.#segment(ACK | (this.#random.chance(0.2) ? PSH : 0), at, ack, { text: length });
  }

  #segment(ctl: number, sequence: number, ack: number, more: { syn?: boolean; text?: number; window?: number; sack?: boolean; urgent?: number } = {}): void {
    const r = this.#random,
      h = header;
    h.clear();
    h.sourcePort = this.#ourPort;
    h.destinationPort = this.#theirPort;
    h.sequence = sequence | 0;
    h.acknowledgment = ack | 0;
    h.ctl = ctl;
    h.window = more.window ?? r.pick([65_535, 65_535, 4_096, r.int(0, 65_535)]);
    h.urgentPointer = more.urgent ?? 0;
    if (more.syn === true) {
      h.mss = r.pick([MSS, 536, 0, 1, 65_535]);
      h.windowScale = r.chance(0.7) ? this.#scale : -1;
      h.sackPermitted = r.chance(0.7);
    }
    if (this.#timestamps && r.chance(0.97)) {
      h.hasTimestamps = true;
      this.#tsClock = (this.#tsClock + r.int(0, 20)) | 0;
      h.tsVal = r.chance(0.03) ? r.uint32() | 0 : this.#tsClock;
      h.tsEcr = r.chance(0.05) ? r.uint32() | 0 : this.#tsRecent;
    }
    if (more.sack === true) {
      h.sackCount = r.int(1, h.hasTimestamps ? 3 : 4);
      for (let i = 0; i < h.sackCount; i++) {
        const from = (this.#theirNext - r.int(-100, 20_000)) | 0;
        h.sackEdges[2 * i] = from;
        h.sackEdges[2 * i + 1] = r.chance(0.05) ? r.uint32() | 0 : (from + r.int(-10, 5_000)) | 0;
      }
    }
    const text = more.text ?? 0,
      b = new Uint8Array(IPV4_HEADER + 60 + text);
    const n = emitTcp(b, IPV4_HEADER, h);
    if (text > 0) {
      const at = patternOffset(this.#stream, (sequence + (ctl & SYN ? 1 : 0) - this.origin) >>> 0);
      b.set(PATTERN.bytes.subarray(at, at + text), IPV4_HEADER + n);
    }
    finishChecksum(b, IPV4_HEADER, n, text, this.#us, this.#them, plainMemory(b).sum(IPV4_HEADER + n, text), false);
    emitIpv4(b, 0, IPV4_HEADER + n + text, r.chance(0.05) ? r.int(0, 3) : 0, 64, PROTOCOL_TCP, this.#us, this.#them);
    const packet = b.subarray(0, IPV4_HEADER + n + text);
    if (text > 64 && r.chance(0.05)) this.#fragments(packet);
    else this.#send(packet);
  }

  /** RFC 791 §3.2: the datagram in pieces, in any order, some twice, some not at all. */
  #fragments(packet: Uint8Array): void {
    const r = this.#random,
      size = 8 * r.int(1, 60),
      id = r.int(1, 65_535),
      pieces: Uint8Array[] = [];
    for (let at = IPV4_HEADER; at < packet.length; at += size) {
      const piece = packet.subarray(at, at + size),
        b = new Uint8Array(IPV4_HEADER + piece.length);
      emitIpv4(b, 0, b.length, 0, 64, PROTOCOL_TCP, this.#us, this.#them, id);
      writeUint16(b, 6, ((at - IPV4_HEADER) >> 3) | (at + size < packet.length ? 0x2000 : 0));
      sealIp(b);
      b.set(piece, IPV4_HEADER);
      pieces.push(b);
    }
    for (; pieces.length > 0; ) {
      const [piece] = pieces.splice(r.int(0, pieces.length - 1), 1);
      if (r.chance(0.9)) this.#send(piece as Uint8Array);
      if (r.chance(0.1)) this.#send(piece as Uint8Array);
    }
  }

  /** An error about a segment of the stack's, or about none. */
  #icmp(): void {
    const r = this.#random,
      quote = new Uint8Array(IPV4_HEADER + 28);
    header.clear();
    header.sourcePort = this.#theirPort;
    header.destinationPort = this.#ourPort;
    header.sequence = (this.#theirNext - r.pick([0, 1, r.int(0, 3_000), r.uint32()])) | 0;
    emitTcp(quote, IPV4_HEADER, header);
    emitIpv4(quote, 0, 1_500, 0, 64, PROTOCOL_TCP, this.#them, this.#us);
    const b = new Uint8Array(IPV4_HEADER + 8 + quote.length);
    const [type, code] = r.pick([
      [3, 4],
      [3, 4],
      [3, 1],
      [3, 3],
      [3, 13],
      [4, 0],
      [11, 0],
      [12, 0],
      [5, 1],
      [8, 0],
      [r.int(0, 255), r.int(0, 255)],
    ] as const);
    const length = emitIcmpError(b, IPV4_HEADER, type, code, quote, 0, r.pick([28, 28, quote.length, 8, 0]));
    writeUint16(b, IPV4_HEADER + 2, 0);
    writeUint16(b, IPV4_HEADER + 6, r.pick([0, 68, 296, 576, 1_400, 1_499, 1_500, 9_000, r.int(0, 65_535)]));
    writeUint16(b, IPV4_HEADER + 2, ~fold(sumHeader(b, IPV4_HEADER, length, 0)));
    emitIpv4(b, 0, IPV4_HEADER + length, 0, 64, PROTOCOL_ICMP, this.#us, this.#them);
    this.#send(b.subarray(0, IPV4_HEADER + length));
  }

  /** A segment with octets turned over, with its checksum made right again more often than not. */
  #garbage(next: number): void {
    const r = this.#random,
      length = IPV4_HEADER + 20 + r.int(0, 40),
      b = new Uint8Array(length);
    header.clear();
    header.sourcePort = this.#ourPort;
    header.destinationPort = this.#theirPort;
    header.sequence = next;
    header.acknowledgment = this.#theirNext;
    header.ctl = ACK;
    header.window = 65_535;
    emitTcp(b, IPV4_HEADER, header);
    // Options of any kind and length, past the header's end as well.
    b[IPV4_HEADER + 12] = r.pick([0, 4, 15, Math.ceil((length - IPV4_HEADER) / 4)]) << 4;
    for (let i = IPV4_HEADER + 20; i < length; i++) b[i] = r.chance(0.5) ? r.int(0, 9) : r.int(0, 255);
    if (r.chance(0.8)) finishChecksum(b, IPV4_HEADER, length - IPV4_HEADER, 0, this.#us, this.#them, 0, false);
    emitIpv4(b, 0, length, 0, 64, r.chance(0.9) ? PROTOCOL_TCP : r.int(0, 255), this.#us, this.#them);
    if (r.chance(0.2)) b[r.int(0, 19)] = r.int(0, 255);
    if (r.chance(0.7)) sealIp(b);
    this.#send(r.chance(0.1) ? b.subarray(0, r.int(1, length)) : b);
  }
}

function sealIp(b: Uint8Array): void {
  writeUint16(b, 10, 0);
  writeUint16(b, 10, ~fold(sumHeader(b, 0, IPV4_HEADER, 0)));
}
