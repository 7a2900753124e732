/** The way out: headers into the device's slots, text by reference, checksums completed here or by the device. */
import { emitIpv4, ECT_0, IPV4_HEADER, PROTOCOL_ICMP, PROTOCOL_TCP } from "../wire/ipv4.js";
import type { Offload, TxRing } from "../wire/frames.js";
import { emitEchoReplyHeader, emitIcmpError } from "../wire/icmp.js";
import type { Memory } from "../wire/memory.js";
import { emitTcp, finishChecksum, SegmentHeader } from "../wire/tcp.js";
import type { Segment } from "../wire/segment.js";
import type { Seq } from "../tcp/seq.js";
import type { Tcb } from "../tcp/tcb.js";
import type { Flow } from "./flow.js";

const TTL = 64;
/** The largest TCP and IP headers, octets: what a frame spends at most before its text. */
const HEADERS_MAX = 80;

export class Transmitter {
  readonly #tx: TxRing;
  readonly #offload: Offload;
  /** Largest text of a super-segment, octets; 0 where the device cuts none. */
  readonly maxText: number;
  /** Without options, and with no window. */
  readonly #reply = new SegmentHeader();

  constructor(tx: TxRing, offload: Offload, mtu: number) {
    this.#tx = tx;
    this.#offload = offload;
    this.maxText = offload.maxFrame > mtu ? offload.maxFrame - HEADERS_MAX : 0;
  }

  segment(t: Tcb, header: SegmentHeader, from: Seq, textLength: number, retransmission: boolean): void {
    const flow = t.path as Flow;
    header.sourcePort = flow.localPort;
    header.destinationPort = flow.remotePort;
    // RFC 3168 §6.1.4 to §6.1.6: new data only; neither pure ACKs, retransmissions nor window probes.
    const tos = (t.options.diffserv << 2) | (t.ecn && textLength > 0 && !retransmission && !t.timers.isArmed("persist") ? ECT_0 : 0);
    const tx = this.#tx,
      b = tx.memory.bytes,
      ip = tx.begin(),
      tcp = ip + IPV4_HEADER;
    const headerLength = emitTcp(b, tcp, header);
    let sum = 0;
    const partial = this.#offload.checksum;
    if (textLength > 0) sum = t.sendQueue.gather(tx, from, textLength, !partial);
    finishChecksum(b, tcp, headerLength, textLength, flow.local, flow.remote, sum, partial);
    emitIpv4(b, ip, IPV4_HEADER + headerLength + textLength, tos, t.options.ttl, PROTOCOL_TCP, flow.local, flow.remote);
    const size =
      t.pmtuSearch?.sending === true ? textLength : t.mss - (header.sackCount > 0 ? 4 + 8 * header.sackCount : 0) - (header.userTimeoutSeconds > 0 ? 4 : 0);
    tx.end(IPV4_HEADER + headerLength, textLength > size ? size : 0, partial);
  }

  /** `<SEQ=sequence><ACK=acknowledgment><CTL=ctl>` to whoever sent `to`, without a connection. */
  reply(to: Segment, local: number, remote: number, sequence: number, acknowledgment: number, ctl: number): void {
    const h = this.#reply;
    h.sourcePort = to.destinationPort;
    h.destinationPort = to.sourcePort;
    h.sequence = sequence;
    h.acknowledgment = acknowledgment;
    h.ctl = ctl;
    this.bare(h, local, remote);
  }
  /** A segment without text and without a connection. */
  bare(h: SegmentHeader, local: number, remote: number): void {
    const tx = this.#tx,
      b = tx.memory.bytes,
      ip = tx.begin(),
      tcp = ip + IPV4_HEADER;
    const headerLength = emitTcp(b, tcp, h);
    const partial = this.#offload.checksum;
    finishChecksum(b, tcp, headerLength, 0, local, remote, 0, partial);
    emitIpv4(b, ip, IPV4_HEADER + headerLength, 0, TTL, PROTOCOL_TCP, local, remote);
    tx.end(IPV4_HEADER + headerLength, 0, partial);
  }

  /** Echo reply: the data goes back from where it arrived (RFC 1122 §3.2.2.6). */
  echoReply(memory: Memory, offset: number, length: number, local: number, remote: number, tos: number): void {
    const tx = this.#tx,
      ip = tx.begin();
    emitEchoReplyHeader(tx.memory.bytes, ip + IPV4_HEADER, memory.bytes, offset);
    if (length > 8) tx.text(memory, offset + 8, length - 8);
    emitIpv4(tx.memory.bytes, ip, IPV4_HEADER + length, tos, TTL, PROTOCOL_ICMP, local, remote);
    tx.end(IPV4_HEADER + 8, 0, false);
    // The request lies in the ring that the next read fills.
    tx.flush();
  }

  /** ICMP error about the datagram at `offset`: its header and 8 octets are quoted. */
  icmpError(type: number, code: number, datagram: Uint8Array, offset: number, quote: number, local: number, remote: number): void {
    const tx = this.#tx,
      ip = tx.begin();
    const length = emitIcmpError(tx.memory.bytes, ip + IPV4_HEADER, type, code, datagram, offset, quote);
    emitIpv4(tx.memory.bytes, ip, IPV4_HEADER + length, 0xc0, TTL, PROTOCOL_ICMP, local, remote);
    tx.end(IPV4_HEADER + length, 0, false);
  }

  submit(): void {
    this.#tx.submit();
  }
  flush(): void {
    this.#tx.flush();
  }
}
