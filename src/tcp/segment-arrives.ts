/** RFC 9293 §3.10.7, SEGMENT ARRIVES. One function per step, in the order and by the names of the RFC. */
import { ACK, CWR, FIN, RST, type Segment, SYN, URG } from "../wire/segment.js";
import { CE } from "../wire/ipv4.js";
import { ackNow, ackText, ackUnacceptable, challenge } from "./acknowledge.js";
import { armBounds } from "./bounds.js";
import type { Environment } from "./environment.js";
import { initializeCongestion, takeSynOptions } from "./handshake.js";
import { add, diff, gt, inWindow, leq, lt, seq, type Seq } from "./seq.js";
import { armKeepAlive } from "./keep-alive.js";
import { TELL_DRAINED, TELL_ENDED, TELL_ESTABLISHED, TELL_READABLE, TELL_URGENT, TELL_WRITABLE, type Tcb } from "./tcb.js";
import { after, type Millis } from "./time.js";
import { reset } from "./user-calls.js";
import { takeUserTimeout } from "./user-timeout.js";

/** A step either lets the segment go on or ends its processing ("drop the segment and return"). */
type Step = "go on" | "stop";

/** 24 days: a TS.Recent as old as this means nothing (RFC 7323 §5.5). */
const TS_RECENT_LIFE = 24 * 24 * 3_600_000;

/** §3.10.7.1: no connection. A reset answers everything but a reset. */
export function inClosed(env: Environment, seg: Segment): void {
  if (seg.ctl & RST) return env.drop(undefined, "9293-3.10.7.1-rst");
  env.hit("9293-3.10.7.1");
  if (seg.ctl & ACK) env.outlet.reply(seg, seg.acknowledgment, 0, RST);
  else env.outlet.reply(seg, 0, seg.sequence + seg.length, RST | ACK);
}

/** §3.10.7.2: a listener. @returns "open" when the segment asks for a connection: see `openPassively` */
export function inListen(env: Environment, seg: Segment): "open" | "done" {
  if (seg.ctl & RST) return env.drop(undefined, "9293-3.10.7.2/1"), "done"; // first
  if (seg.ctl & ACK) {
    // second
    env.drop(undefined, "9293-3.10.7.2/2");
    env.outlet.reply(seg, seg.acknowledgment, 0, RST);
    return "done";
  }
  if (seg.ctl & SYN) return "open"; // third
  return env.drop(undefined, "9293-3.10.7.2/4"), "done"; // fourth
}

/**
 * Whoever calls this lets the connection send afterwards, as after `Outlet.touched`.
 * @returns "reopen" when a new SYN ended TIME-WAIT (RFC 6191): the stack opens the connection again
 */
export function segmentArrives(t: Tcb, seg: Segment, now: Millis): "reopen" | undefined {
  t.env.causedBySegment(seg);
  t.stats.segmentsIn += seg.segments;
  t.lastReceivedAt = now;
  t.keepAliveSent = 0;
  if (t.state === "SYN-SENT") return inSynSent(t, seg, now), undefined; // §3.10.7.3
  return inOtherStates(t, seg, now); // §3.10.7.4, "Otherwise"
}

/** §3.10.7.3. */
function inSynSent(t: Tcb, seg: Segment, now: Millis): void {
  const ackBit = (seg.ctl & ACK) !== 0,
    ack = seq(seg.acknowledgment);
  if (ackBit && (leq(ack, t.snd.iss) || gt(ack, t.snd.nxt))) {
    // first
    if (seg.ctl & RST) return t.env.drop(t, "9293-3.10.7.3/1-rst");
    t.env.drop(t, "9293-3.10.7.3/1");
    return t.env.outlet.reply(seg, seg.acknowledgment, 0, RST);
  }
  if (seg.ctl & RST) {
    // second. The ACK alone is judged, for RCV.NXT is not set yet (state matrix D2).
    if (!ackBit) return t.env.drop(t, "9293-3.10.7.3/2-no-ack");
    t.env.counters.resetsIn++;
    t.env.counters.attemptFails++;
    if (t.env.wants("refused")) t.env.emit({ kind: "refused", conn: t.who(), rule: "9293-3.10.7.3/2", cause: t.env.cause() });
    return t.close("refused", "9293-3.10.7.3/2", now);
  }
  /* security: not supported */ // third
  if (!(seg.ctl & SYN)) return t.env.drop(t, "9293-3.10.7.3/5"); // fifth
  const offered = t.rcv.wnd;
  t.rcv.irs = seq(seg.sequence); // fourth
  t.rcv.nxt = add(t.rcv.irs, 1);
  t.receiveQueue.start(t.rcv.nxt);
  t.rcv.edge = add(t.rcv.nxt, offered);
  takeSynOptions(t, seg, now);
  if (ackBit) {
    // D13: the window comes with this segment, unscaled (RFC 7323 §2.2).
    setWindow(t, seg, seg.window);
    t.recovery.ackArrives(seg, false, now);
    initializeCongestion(t);
    t.setState("ESTABLISHED", "9293-3.10.7.3/4", now, ".");
    established(t, now);
    ackNow(t);
    fromSixthStep(t, seg, 1, now);
  } else {
    t.setState("SYN-RECEIVED", "9293-3.10.7.3/4-simultaneous", now, "S.");
    setWindow(t, seg, seg.window);
    // <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>: the SYN is sent again, now with an ACK.
    const syn = t.board.first;
    if (syn !== undefined) t.board.markLost(syn);
  }
}

function inOtherStates(t: Tcb, seg: Segment, now: Millis): "reopen" | undefined {
  if (t.state === "TIME-WAIT" && (seg.ctl & (SYN | RST | ACK)) === SYN && t.options.reuseTimeWait) return inTimeWaitSyn(t, seg, now);
  if (checkTimestamps(t, seg, now) === "stop") return; // RFC 7323 §5.3, before the first
  if (checkSequence(t, seg, now) === "stop") return; // first
  if (checkReset(t, seg, now) === "stop") return; // second
  /* security and compartment: not supported */ // third
  if (checkSyn(t, seg, now) === "stop") return; // fourth
  if (checkAck(t, seg, now) === "stop") return; // fifth
  takeUserTimeout(t, seg);
  fromSixthStep(t, seg, trimmed, now); // sixth to eighth: URG, text, FIN
}

/** RFC 6191 §2 and MAY-2: a SYN that is certainly newer opens the connection again (state matrix D5). */
function inTimeWaitSyn(t: Tcb, seg: Segment, now: Millis): "reopen" | undefined {
  const newerSequence = gt(seq(seg.sequence), t.rcv.nxt);
  let accept: boolean;
  if (t.ts.on && seg.hasTimestamps) {
    const step = (seg.tsVal - t.ts.recent) | 0;
    accept = step > 0 || (step === 0 && newerSequence);
  } else accept = (!t.ts.on && seg.hasTimestamps) || newerSequence;
  if (!accept) return t.env.drop(t, "6191-2-old"), undefined;
  t.close("local", "6191-2", now);
  return "reopen";
}

/** RFC 7323 §5.3 R1, §3.2. */
function checkTimestamps(t: Tcb, seg: Segment, now: Millis): Step {
  if (!t.ts.on || seg.ctl & RST) return "go on";
  if (!seg.hasTimestamps) {
    // A SYN sent again in SYN-RECEIVED carries them, everything later must (§3.2: SHOULD drop).
    t.env.drop(t, "7323-3.2-missing");
    return "stop";
  }
  if (((seg.tsVal - t.ts.recent) | 0) < 0 && now - t.ts.recentAt < TS_RECENT_LIFE) {
    t.env.counters.pawsDrops++;
    t.env.drop(t, "7323-5.3-R1");
    noteDuplicate(t, seg);
    ackUnacceptable(t, now);
    return "stop";
  }
  return "go on";
}

/** How many sequence numbers at the front of the segment being processed were there before (set by checkSequence). */
let trimmed = 0;

/**
 * First step: SEG.SEQ =< RCV.NXT+RCV.WND and so on (Table 6). What lies before RCV.NXT is trimmed (`trimmed` says how much,
 * the SYN included); what lies beyond the window is cut where the text is taken.
 */
function checkSequence(t: Tcb, seg: Segment, now: Millis): Step {
  const first = seq(seg.sequence),
    length = seg.length,
    wnd = t.rcv.wnd;
  trimmed = 0;
  if (t.state === "SYN-RECEIVED" && seg.ctl & SYN && first === t.rcv.irs) return checkSynAgain(t, seg, now);
  let acceptable: boolean;
  if (length === 0) acceptable = wnd === 0 ? first === t.rcv.nxt : inWindow(first, t.rcv.nxt, wnd);
  else if (wnd === 0) {
    // MUST-66: the text is not taken, but ACK, URG and RST of a segment at RCV.NXT are.
    acceptable = first === t.rcv.nxt;
    if (acceptable && !(seg.ctl & RST)) {
      t.env.drop(t, "9293-MUST-66");
      ackUnacceptable(t, now);
      trimmed = length;
      return "go on";
    }
  } else acceptable = inWindow(first, t.rcv.nxt, wnd) || inWindow(add(first, length - 1), t.rcv.nxt, wnd);
  if (!acceptable) {
    if (seg.ctl & RST) return t.env.drop(t, "9293-3.10.7.4/1-rst"), "stop";
    t.env.drop(t, "9293-3.10.7.4/1");
    unacceptable(t, seg, now);
    return "stop";
  }
  if (lt(first, t.rcv.nxt)) trimmed = diff(first, t.rcv.nxt);
  return "go on";
}

function unacceptable(t: Tcb, seg: Segment, now: Millis): void {
  if (seg.ctl & SYN) {
    t.env.hit("5961-4.2");
    // D15: never throttled where the peer's handshake cannot finish without it, as for a SYN,ACK that comes again.
    if (seg.ctl & ACK) return ackNow(t);
    return challenge(t, now);
  }
  if (seg.ctl & FIN && t.state === "TIME-WAIT") {
    // The FIN again: its ACK was lost (fifth step, TIME-WAIT).
    t.env.hit("9293-3.10.7.4/5-time-wait");
    t.timers.arm("timeWait", after(now, t.options.timeWait));
  }
  if (seg.textLength > 0 || seg.ctl & FIN) {
    t.env.counters.duplicatesIn++;
    noteDuplicate(t, seg);
    return ackNow(t);
  }
  ackUnacceptable(t, now);
}

/** State matrix D4: a SYN again in SYN-RECEIVED gets the SYN,ACK again; the SYN,ACK of a simultaneous open counts by its ACK. */
function checkSynAgain(t: Tcb, seg: Segment, now: Millis): Step {
  trimmed = 1;
  if (seg.ctl & RST) return t.env.drop(t, "9293-3.10.7.4/1-rst"), "stop";
  if (seg.ctl & ACK) return "go on";
  t.env.drop(t, "9293-A.2");
  if (now - t.ack.invalidAt >= t.options.invalidAckInterval) {
    t.ack.invalidAt = now;
    const syn = t.board.first;
    if (syn !== undefined && syn.ctl & SYN) t.board.markLost(syn);
  }
  return "stop";
}

/** RFC 2883 §4.1: the next ACK's first SACK block names what came twice. */
function noteDuplicate(t: Tcb, seg: Segment): void {
  if (!t.sackOk || !t.options.dsack || seg.textLength === 0) return;
  const start = add(seq(seg.sequence), seg.ctl & SYN ? 1 : 0),
    end = add(start, seg.textLength);
  const known = lt(end, t.rcv.nxt) ? end : t.rcv.nxt;
  if (lt(start, known)) {
    t.ack.dsackStart = start;
    t.ack.dsackEnd = known;
  }
}

/** RFC 2883 §4.1.2: of text beyond a gap, the part that is there already. */
function noteDuplicateAbove(t: Tcb, start: Seq, length: number): void {
  if (!t.sackOk || !t.options.dsack) return;
  const end = add(start, length);
  for (const r of t.receiveQueue.ranges) {
    if (leq(end, r.start)) return;
    if (leq(r.end, start)) continue;
    t.ack.dsackStart = lt(start, r.start) ? r.start : start;
    t.ack.dsackEnd = lt(end, r.end) ? end : r.end;
    return;
  }
}

/** Second step, with RFC 5961 §3.2. */
function checkReset(t: Tcb, seg: Segment, now: Millis): Step {
  if (!(seg.ctl & RST)) return "go on";
  if (t.state === "TIME-WAIT" && t.options.ignoreTimeWaitReset && seq(seg.sequence) === t.rcv.nxt) return t.env.drop(t, "1337-F1"), "stop";
  if (t.options.strictReset && seq(seg.sequence) !== t.rcv.nxt) {
    t.env.drop(t, "5961-3.2");
    challenge(t, now);
    return "stop";
  }
  t.env.counters.resetsIn++;
  if (t.env.wants("reset")) t.env.emit({ kind: "reset", conn: t.who(), direction: "in", rule: "9293-3.10.7.4/2" });
  if (t.state === "SYN-RECEIVED") {
    t.env.counters.attemptFails++;
    if (t.passive) {
      // D16: the child goes, the listener was never gone.
      t.close("reset", "9293-3.10.7.4/2-listen", now);
    } else t.close("refused", "9293-3.10.7.4/2-refused", now);
    return "stop";
  }
  t.close("reset", "9293-3.10.7.4/2", now);
  return "stop";
}

/** Fourth step, with RFC 5961 §4.2. */
function checkSyn(t: Tcb, seg: Segment, now: Millis): Step {
  // A SYN that the first step trimmed goes on only as that of a simultaneous open; else its number does not matter (RFC 5961 §4.2).
  if (!(seg.ctl & SYN) || (trimmed > 0 && t.state === "SYN-RECEIVED")) return "go on";
  if (t.state === "SYN-RECEIVED" && t.passive) {
    t.close("reset", "9293-3.10.7.4/4", now);
    return "stop";
  }
  if (t.options.strictSyn) {
    t.env.drop(t, "5961-4.2");
    challenge(t, now);
    return "stop";
  }
  t.env.outlet.reply(seg, seg.ctl & ACK ? seg.acknowledgment : 0, seg.ctl & ACK ? 0 : seg.sequence + seg.length, seg.ctl & ACK ? RST : RST | ACK);
  t.close("reset", "793-3.9-syn", now, "R");
  return "stop";
}

/** Fifth step. */
function checkAck(t: Tcb, seg: Segment, now: Millis): Step {
  if (!(seg.ctl & ACK)) return t.env.drop(t, "9293-3.10.7.4/5-no-ack"), "stop";
  const ack = seq(seg.acknowledgment);
  if (t.state === "SYN-RECEIVED") {
    // D3: any unacceptable ACK is answered by RST here; RFC 5961's range begins with ESTABLISHED.
    if (!(lt(t.snd.una, ack) && leq(ack, t.snd.nxt))) {
      t.env.drop(t, "9293-3.10.7.4/5-syn-received");
      t.env.outlet.reply(seg, seg.acknowledgment, 0, RST);
      return "stop";
    }
    if (t.passive && !t.env.outlet.mayEstablish(t)) return acceptQueueFull(t, now);
    acceptTimestamp(t, seg, now);
    setWindow(t, seg, seg.ctl & SYN ? seg.window : seg.window << t.snd.wscale);
    t.recovery.ackArrives(seg, false, now);
    initializeCongestion(t);
    t.setState("ESTABLISHED", "9293-3.10.7.4/5-established", now);
    established(t, now);
    // CLOSE came before the handshake was complete (§3.10.4): its FIN is due now.
    if (t.closing) t.setState("FIN-WAIT-1", "9293-3.10.4", now, "F.");
    return "go on";
  }
  if (gt(ack, t.snd.nxt) || (t.options.strictAckRange && diff(ack, t.snd.una) > t.snd.maxWnd)) {
    t.env.drop(t, "5961-5.2");
    challenge(t, now);
    return "stop";
  }
  t.lastAckReceivedAt = now;
  // MUST-37: probes of a shut window may go on for ever while they are answered; but not for an application that has let go.
  if (!t.orphan) t.probes = 0;
  acceptTimestamp(t, seg, now);
  if (t.state === "TIME-WAIT") return "go on";
  if (lt(ack, t.snd.una)) return "go on"; // old duplicate: its ACK says nothing
  const windowChanged = updateWindow(t, seg, ack);
  const queued = t.sendQueue.length;
  t.recovery.ackArrives(seg, windowChanged, now);
  if (t.sendQueue.length < queued) spaceFreed(t);
  if (t.finAcknowledged) return ourFinAcknowledged(t, seg, now);
  return "go on";
}

/**
 * Nobody takes the connections that wait: as if the ACK were lost. Our SYN,ACK goes out again in its time, and the peer's
 * answer to that, or its text, finds the queue as it is then (Linux's tcp_check_req).
 */
function acceptQueueFull(t: Tcb, now: Millis): Step {
  if (t.options.abortOnOverflow) reset(t, "accept-backlog", now, "limit");
  else t.env.drop(t, "accept-backlog");
  return "stop";
}

function ourFinAcknowledged(t: Tcb, seg: Segment, now: Millis): Step {
  switch (t.state) {
    case "FIN-WAIT-1":
      // With the peer's FIN in the same segment: straight to TIME-WAIT in the eighth step (Figure 5, note 2).
      if (seg.ctl & FIN && leq(seq(seg.sequence), t.rcv.nxt) && t.receiveQueue.ranges.length === 0) return "go on";
      t.setState("FIN-WAIT-2", "9293-3.10.7.4/5-fin-wait-1", now);
      // D12: only an orphan is timed out; a half-close may last.
      if (t.orphan) t.timers.arm("finWait2", after(now, t.options.finWait2));
      return "go on";
    case "CLOSING":
      t.enterTimeWait("both", "9293-3.10.7.4/5-closing", now);
      return "stop";
    case "LAST-ACK":
      t.close("peer", "9293-3.10.7.4/5-last-ack", now);
      return "stop";
    default:
      return "go on";
  }
}

/** RFC 7323 §4.3: TS.Recent follows the segment that covers Last.ACK.sent. */
function acceptTimestamp(t: Tcb, seg: Segment, now: Millis): void {
  // §5.5: one that is too old to mean anything is replaced by whatever comes.
  const newer = ((seg.tsVal - t.ts.recent) | 0) >= 0 || now - t.ts.recentAt >= TS_RECENT_LIFE;
  if (t.ts.on && newer && leq(seq(seg.sequence), t.ts.lastAckSent)) {
    t.ts.recent = seg.tsVal;
    t.ts.recentAt = now;
  }
}

function setWindow(t: Tcb, seg: Segment, window: number): void {
  t.snd.wnd = window;
  if (window > t.snd.maxWnd) t.snd.maxWnd = window;
  t.snd.wl1 = seq(seg.sequence);
  t.snd.wl2 = seq(seg.acknowledgment);
}

/** Fifth step: SND.WL1 and SND.WL2 keep an old segment from setting the window. @returns whether SND.WND changed */
function updateWindow(t: Tcb, seg: Segment, ack: Seq): boolean {
  const s = seq(seg.sequence);
  // Linux and RFC 5681 §2: also a segment that acknowledges new data brings a newer window.
  if (!(gt(ack, t.snd.una) || lt(t.snd.wl1, s) || (t.snd.wl1 === s && leq(t.snd.wl2, ack)))) return false;
  const before = t.snd.wnd;
  setWindow(t, seg, seg.window << t.snd.wscale);
  if (t.snd.wnd === before) return false;
  if (t.snd.wnd > 0) t.shutSince = -1;
  if (t.snd.wnd > before && t.timers.isArmed("persist")) windowReopened(t);
  return true;
}

/** The peer opened a window that was shut: what the probes sent beyond it goes again. */
function windowReopened(t: Tcb): void {
  t.timers.disarm("persist");
  t.rtt.backoff = 0;
  for (let r = t.board.flight.head; r !== undefined; r = t.board.flight.head) t.board.markLost(r);
}

function spaceFreed(t: Tcb): void {
  // Room for a good piece, or the user would be called for every ACK.
  if (t.wantsSpace && t.sendQueue.space >= Math.min(t.sendQueue.limit >> 2, 4 * Math.max(t.mss, t.env.outlet.maxText))) {
    t.wantsSpace = false;
    t.tell |= TELL_WRITABLE;
  }
  if (t.wantsDrain && t.sendQueue.length === 0) {
    t.wantsDrain = false;
    t.tell |= TELL_DRAINED;
  }
}

function established(t: Tcb, now: Millis): void {
  t.env.counters.established++;
  t.tell |= TELL_ESTABLISHED;
  armBounds(t, now);
}

/** Sixth step and on. `skip`: sequence numbers at the front that were there before, the SYN included. */
function fromSixthStep(t: Tcb, seg: Segment, skip: number, now: Millis): void {
  if (t.ecn) noteCongestion(t, seg);
  if (t.keepAlive) armKeepAlive(t, now);
  checkUrgent(t, seg); // sixth
  const synLength = seg.ctl & SYN ? 1 : 0;
  takeText(t, seg, Math.max(0, skip - synLength), now); // seventh
  if (seg.ctl & FIN)
    checkFin(t, seg, now); // eighth
  else if (t.rcv.finAt === t.rcv.nxt && !t.rcv.finReceived) takeFin(t, now);
}

/** RFC 3168 §6.1.3: ECE on every ACK until the sender says CWR. */
function noteCongestion(t: Tcb, seg: Segment): void {
  if (seg.ctl & CWR) t.ecnEcho = false;
  if (seg.ecn === CE) {
    t.ecnEcho = true;
    t.ack.quick = Math.max(t.ack.quick, 2);
  }
}

/** Sixth step. The pointer names the octet after the last urgent one (RFC 6093 §2; RFC 9293 MUST-62). */
function checkUrgent(t: Tcb, seg: Segment): void {
  if (!(seg.ctl & URG) || seg.urgentPointer === 0) return;
  if (t.state !== "ESTABLISHED" && t.state !== "FIN-WAIT-1" && t.state !== "FIN-WAIT-2") return;
  const up = add(seq(seg.sequence), seg.urgentPointer);
  if (leq(up, t.receiveQueue.base) || (t.rcv.up !== undefined && leq(up, t.rcv.up))) return;
  t.rcv.up = up;
  t.tell |= TELL_URGENT;
}

/** Seventh step. */
function takeText(t: Tcb, seg: Segment, skip: number, now: Millis): void {
  if (seg.textLength === 0) return;
  if (t.state !== "ESTABLISHED" && t.state !== "FIN-WAIT-1" && t.state !== "FIN-WAIT-2") {
    if (seg.textLength > skip) t.env.drop(t, "9293-3.10.7.4/7-after-fin"); // D10
    return;
  }
  t.lastDataReceivedAt = now;
  if (skip > 0) noteDuplicate(t, seg);
  const at = add(seq(seg.sequence), (seg.ctl & SYN ? 1 : 0) + skip);
  const length = Math.min(seg.textLength - skip, diff(at, t.rcv.edge));
  if (length <= 0) return;
  if (t.orphan) return orphanHearsText(t, seg, now);
  const hadGap = t.receiveQueue.ranges.length > 0;
  if (hadGap) noteDuplicateAbove(t, at, length);
  const moved = t.receiveQueue.place(at, seg.memory, seg.textOffset + skip, length);
  if (moved < 0) {
    if (moved === -2) t.env.counters.gapDrops++;
    else t.env.counters.memoryDrops++;
    t.env.drop(t, moved === -2 ? "limit-gaps" : "9293-3.8.6-memory");
    return ackNow(t);
  }
  if (moved === 0) {
    // RFC 5681 §4.2: out of order: a duplicate ACK at once.
    t.stats.outOfOrderIn++;
    t.env.counters.outOfOrderIn++;
    t.ack.duplicates++;
    return ackNow(t);
  }
  t.rcv.nxt = t.receiveQueue.next;
  if (t.options.growWindow && length >= 128) t.rcv.limit = Math.min(t.options.receiveBuffer, t.rcv.limit + 2 * Math.max(t.rcv.mss, length));
  t.stats.bytesReceived += moved;
  t.tell |= TELL_READABLE;
  // §4.2: at once as well when the segment fills a gap, all of it or a part.
  if (hadGap) ackNow(t);
  ackText(t, length, seg.segments, now);
}

/** §3.6.1: nobody will read this, and the peer must know that it is lost. */
function orphanHearsText(t: Tcb, seg: Segment, now: Millis): void {
  t.env.drop(t, "9293-3.6.1-unread");
  // As without a connection (§3.10.7.1): at SEG.ACK, which is what the peer takes an RST at.
  t.env.outlet.reply(seg, seg.acknowledgment, 0, RST);
  t.close("abort", "9293-3.6.1-unread", now, "R");
}

/** Eighth step. A FIN counts once everything before it is there; one that comes early is held (SHLD-31). */
function checkFin(t: Tcb, seg: Segment, now: Millis): void {
  if (t.state === "CLOSED") return;
  const at = add(seq(seg.sequence), (seg.ctl & SYN ? 1 : 0) + seg.textLength);
  // D18: RCV.NXT does not move again. A FIN that comes again whole is unacceptable, and answered, in the first step.
  if (t.rcv.finReceived) return;
  if (at !== t.rcv.nxt) {
    if (t.state === "FIN-WAIT-1" && t.finAcknowledged) t.setState("FIN-WAIT-2", "9293-3.10.7.4/5-fin-wait-1", now);
    if (lt(t.rcv.nxt, at) && leq(at, t.rcv.edge)) t.rcv.finAt = at;
    return ackNow(t);
  }
  takeFin(t, now);
}
/** Everything before the FIN is there. */
function takeFin(t: Tcb, now: Millis): void {
  t.rcv.nxt = add(t.rcv.nxt, 1);
  t.rcv.finReceived = true;
  t.receiveQueue.dropRanges();
  t.tell |= TELL_ENDED;
  ackNow(t);
  switch (t.state) {
    case "SYN-RECEIVED":
    case "ESTABLISHED":
      return t.setState("CLOSE-WAIT", "9293-3.10.7.4/8", now, ".");
    case "FIN-WAIT-1":
      if (t.finAcknowledged) return t.enterTimeWait("local", "9293-3.10.7.4/8-time-wait", now);
      return t.setState("CLOSING", "9293-3.10.7.4/8-closing", now, ".");
    case "FIN-WAIT-2":
      return t.enterTimeWait("local", "9293-3.10.7.4/8-time-wait", now);
    default:
      return;
  }
}
