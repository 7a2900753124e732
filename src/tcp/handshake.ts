/** Opening (RFC 9293 §3.5): what a SYN carries, what both ends agreed on, and where the windows start. */
import { CWR, ECE, type Segment, SYN } from "../wire/segment.js";
import { ackNow } from "./acknowledge.js";
import { add, seq, type Seq } from "./seq.js";
import type { Tcb } from "./tcb.js";
import type { Millis } from "./time.js";

/** Largest shift (RFC 7323 §2.3): more is taken as 14. */
const WSCALE_MAX = 14;
/** RFC 9293 §3.7.1 MUST-15. */
const DEFAULT_MSS = 536;

/** Starts the send side at an initial sequence number. */
export function startSequence(t: Tcb, iss: Seq): void {
  t.snd.iss = iss;
  t.snd.una = iss;
  t.snd.nxt = iss;
  t.smallSentEnd = iss;
  t.recovery.point = iss;
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
  t.lastReceivedAt = now;
  t.rcv.irs = seq(seg.sequence);
  t.rcv.nxt = add(t.rcv.irs, 1);
  t.receiveQueue.start(t.rcv.nxt);
  t.rcv.edge = add(t.rcv.nxt, initialWindow(t));
  takeSynOptions(t, seg, now);
  t.snd.wnd = seg.window;
  t.snd.maxWnd = seg.window;
  t.snd.wl1 = t.rcv.irs;
  t.setState("SYN-RECEIVED", "9293-3.10.7.2/3", now, "S.");
  ackNow(t);
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
  if (o.windowScaling && seg.windowScale >= 0) t.snd.wscale = Math.min(seg.windowScale, WSCALE_MAX);
  else {
    t.snd.wscale = 0;
    t.rcv.wscale = 0;
  }
  if (o.userTimeoutOption && seg.userTimeoutMs >= 0) t.peerUserTimeout = seg.userTimeoutMs;
  // RFC 3168 §6.1.1: SYN with ECE and CWR asks; SYN,ACK with ECE alone agrees.
  const asks = (seg.ctl & (ECE | CWR)) === (ECE | CWR), agrees = (seg.ctl & (ECE | CWR)) === ECE;
  t.ecn = t.state === "SYN-SENT" && seg.ctl & ~SYN & 16 ? o.ecn === "on" && agrees : o.ecn !== "off" && asks;
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
  if (t.retransmissions > 0) t.rtt.afterSynTimeout();
  t.retransmissions = 0;
  t.troubleSince = -1;
}
