/** Opening (RFC 9293 §3.5): what a SYN carries, what both ends agreed on, and where the windows start. */
import { ACK, CWR, ECE, type Segment, SYN } from "../wire/segment.js";
import { add, seq, type Seq } from "./seq.js";
import type { Tcb } from "./tcb.js";
import type { Millis } from "./time.js";
import { takeUserTimeout } from "./user-timeout.js";

/** Largest shift (RFC 7323 §2.3): more is taken as 14. */
export const WSCALE_MAX = 14;
/** RFC 9293 §3.7.1 MUST-15. */
const DEFAULT_MSS = 536;

/** Starts the send side at an initial sequence number. */
export function startSequence(t: Tcb, iss: Seq): void {
  t.snd.iss = iss;
  t.snd.una = iss;
  t.snd.nxt = iss;
  t.smallSentEnd = iss;
  t.startText();
}

/** The window that the SYN tells, octets: no scaling in a SYN (RFC 7323 §2.2). */
export function initialWindow(t: Tcb): number {
  const cap = t.options.initialReceiveWindow;
  return Math.min(65_535, t.options.receiveBuffer, cap > 0 ? cap : 65_535);
}

/** §3.10.7.2, third step: a listener's child takes the SYN. RCV.NXT=SEG.SEQ+1, IRS=SEG.SEQ; text on a SYN is not kept. */
export function openPassively(t: Tcb, seg: Segment, iss: Seq, now: Millis): void {
  t.env.causedBySegment(seg);
  t.env.counters.passiveOpens++;
  startSequence(t, iss);
  t.stats.segmentsIn++;
  t.rcv.irs = seq(seg.sequence);
  t.rcv.nxt = add(t.rcv.irs, 1);
  t.receiveQueue.start(t.rcv.nxt);
  t.rcv.edge = add(t.rcv.nxt, initialWindow(t));
  takeSynOptions(t, seg, now);
  t.setState("SYN-RECEIVED", "9293-3.10.7.2/3", now, "S.");
}

/**
 * RFC 4987 §3.6: the ACK of a SYN,ACK that nobody remembers. The TCB is made as if it had been in SYN-RECEIVED all along;
 * the ACK itself is processed after this.
 */
export function openFromCookie(
  t: Tcb,
  ack: Segment,
  offered: { readonly mss: number; readonly windowScale: number; readonly sack: boolean; readonly ecn: boolean },
  now: Millis,
): void {
  t.env.causedBySegment(ack);
  t.env.counters.passiveOpens++;
  startSequence(t, add(seq(ack.acknowledgment), -1));
  t.rcv.irs = add(seq(ack.sequence), -1);
  t.rcv.nxt = seq(ack.sequence);
  t.receiveQueue.start(t.rcv.nxt);
  t.rcv.edge = add(t.rcv.nxt, initialWindow(t));
  t.snd.peerMss = Math.max(offered.mss, t.options.minMss);
  t.ts.on = t.options.timestamps && ack.hasTimestamps;
  t.ts.recent = ack.tsVal;
  t.ts.lastAckSent = t.rcv.nxt;
  const options = t.ts.on;
  t.sackOk = options && t.options.sack && offered.sack;
  t.ecn = options && t.options.ecn !== "off" && offered.ecn;
  t.snd.wscale = options && offered.windowScale >= 0 ? offered.windowScale : 0;
  t.windowScaling = options && offered.windowScale >= 0;
  if (!t.windowScaling) t.rcv.wscale = 0;
  setMss(t);
  // Counted as sent twice, so that nothing is timed by it (Karn).
  const syn = t.board.push(t.snd.iss, add(t.snd.iss, 1), SYN, now);
  syn.transmissions = 2;
  t.snd.nxt = add(t.snd.iss, 1);
  t.setState("SYN-RECEIVED", "4987-cookie", now);
}

/** §3.10.1, active OPEN: `<SEQ=ISS><CTL=SYN>`. */
export function openActively(t: Tcb, iss: Seq, now: Millis): void {
  t.env.causedByCall("OPEN");
  t.env.counters.activeOpens++;
  startSequence(t, iss);
  t.rcv.edge = add(t.rcv.nxt, initialWindow(t));
  t.setState("SYN-SENT", "9293-3.10.1", now, "S");
}

/** Takes what the peer's SYN offers; an option is on when both ends want it. */
export function takeSynOptions(t: Tcb, seg: Segment, now: Millis): void {
  const o = t.options;
  t.snd.peerMss = seg.mss > 0 ? Math.max(seg.mss, o.minMss) : DEFAULT_MSS;
  t.ts.on = o.timestamps && seg.hasTimestamps;
  if (t.ts.on) {
    t.ts.recent = seg.tsVal;
    t.ts.recentAt = now;
    t.ts.lastAckSent = t.rcv.nxt;
  }
  t.sackOk = o.sack && seg.sackPermitted;
  t.windowScaling = o.windowScaling && seg.windowScale >= 0;
  if (t.windowScaling) t.snd.wscale = Math.min(seg.windowScale, WSCALE_MAX);
  else t.rcv.wscale = 0;
  takeUserTimeout(t, seg);
  // RFC 3168 §6.1.1: SYN with ECE and CWR asks; SYN,ACK with ECE alone agrees.
  const asks = (seg.ctl & (ECE | CWR)) === (ECE | CWR),
    agrees = (seg.ctl & (ECE | CWR)) === ECE;
  t.ecn = t.state === "SYN-SENT" && seg.ctl & ACK ? o.ecn === "on" && agrees : o.ecn !== "off" && asks;
  setMss(t);
}

/** §3.7.1: Eff.snd.MSS = min(SendMSS, MMS_S): the peer's limit and the path's, without options (RFC 6691 §2). */
export function setMss(t: Tcb): void {
  const own = t.options.mss > 0 ? Math.min(t.options.mss, t.snd.pmtu - 40) : t.snd.pmtu - 40;
  t.snd.mss = Math.max(t.ts.on ? 20 : 8, Math.min(t.snd.peerMss, own));
}

/** RFC 6928 §2, RFC 5681 §3.1: the initial window; one segment after a lost SYN (RFC 5681 §3.1 says MUST). */
export function initializeCongestion(t: Tcb): void {
  const segments = t.stats.timeouts > 1 ? 1 : t.options.initialWindow;
  t.cwnd = segments * t.mss;
  if (t.stats.timeouts > 0) t.rtt.afterSynTimeout();
}
