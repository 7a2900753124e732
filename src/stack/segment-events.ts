/** Segments as events, for whoever listens: raw numbers, and the same relative to the initial ones. */
import type { TcpEvent } from "../tcp/events.js";
import { segmentSize } from "../tcp/output.js";
import { toWire } from "../tcp/seq.js";
import type { Tcb } from "../tcp/tcb.js";
import { ACK, formatCtl, type Segment } from "../wire/segment.js";
import type { SegmentHeader } from "../wire/tcp.js";

export function segmentIn(t: Tcb, seg: Segment): TcpEvent {
  return {
    kind: "segment",
    conn: t.who(),
    dir: "in",
    flags: formatCtl(seg.ctl),
    seq: seg.sequence >>> 0,
    ack: seg.acknowledgment >>> 0,
    len: seg.textLength,
    win: seg.window,
    relSeq: t.state === "LISTEN" ? 0 : (seg.sequence - toWire(t.rcv.irs)) >>> 0,
    relAck: seg.ctl & ACK ? (seg.acknowledgment - toWire(t.snd.iss)) >>> 0 : 0,
    options: describeOptions(seg),
    segments: seg.segments,
    retransmission: false,
  };
}

export function segmentOut(t: Tcb, h: SegmentHeader, textLength: number, retransmission: boolean): TcpEvent {
  const size = segmentSize(t);
  return {
    kind: "segment",
    conn: t.who(),
    dir: "out",
    flags: formatCtl(h.ctl),
    seq: h.sequence >>> 0,
    ack: h.acknowledgment >>> 0,
    len: textLength,
    win: h.window,
    relSeq: (h.sequence - toWire(t.snd.iss)) >>> 0,
    relAck: h.ctl & ACK ? (h.acknowledgment - toWire(t.rcv.irs)) >>> 0 : 0,
    options: describeOptions(h),
    segments: textLength > size ? Math.ceil(textLength / size) : 1,
    retransmission,
  };
}

interface WithOptions {
  readonly mss: number;
  readonly windowScale: number;
  readonly sackPermitted: boolean;
  readonly hasTimestamps: boolean;
  readonly tsVal: number;
  readonly tsEcr: number;
  readonly sackCount: number;
  readonly sackEdges: Int32Array;
}
/** "mss 1460,sackOK,TS val 1 ecr 0,wscale 7". */
function describeOptions(o: WithOptions): string {
  const parts: string[] = [];
  if (o.mss > 0) parts.push(`mss ${o.mss}`);
  if (o.sackPermitted) parts.push("sackOK");
  if (o.hasTimestamps) parts.push(`TS val ${o.tsVal >>> 0} ecr ${o.tsEcr >>> 0}`);
  if (o.windowScale >= 0) parts.push(`wscale ${o.windowScale}`);
  for (let i = 0; i < o.sackCount; i++)
    parts.push(`${i === 0 ? "sack " : ""}${(o.sackEdges[2 * i] as number) >>> 0}:${(o.sackEdges[2 * i + 1] as number) >>> 0}`);
  return parts.join(",");
}
