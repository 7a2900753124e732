/** What to send now, and is it worth a segment (RFC 9293 §3.7, §3.8). Called once per turn for a connection that was touched. */
import { ACK, CWR, ECE, FIN, PSH, RST, SYN, URG } from "../wire/segment.js";
import { SegmentHeader } from "../wire/tcp.js";
import { acknowledged, advertise } from "./acknowledge.js";
import { windowIsShut } from "./bounds.js";
import { initialWindow } from "./handshake.js";
import type { Range } from "./receive-queue.js";
import type { Sent } from "./scoreboard.js";
import { add, diff, gt, leq, lt, min, type Seq } from "./seq.js";
import type { Tcb } from "./tcb.js";
import { after, type Millis } from "./time.js";
import { offerUserTimeout, userTimeoutRoom } from "./user-timeout.js";

/** Filled for each segment; the outlet reads it before the next is made. */
const header = new SegmentHeader();

export function output(t: Tcb, now: Millis): void {
  if (t.isClosed) return;
  switch (t.state) {
    case "SYN-SENT":
    case "SYN-RECEIVED":
      return sendSyn(t, now);
    case "TIME-WAIT":
      if (t.ack.now) sendAck(t, now);
      return;
    default:
      retransmit(t, now);
      sendNew(t, now);
      if (t.ack.now) sendAcks(t, now);
  }
}

/** SYN or SYN,ACK, for the first time or because it was marked lost. */
function sendSyn(t: Tcb, now: Millis): void {
  const first = t.board.first;
  const again = first !== undefined;
  if (again && !first.lost) {
    if (t.ack.now && t.state === "SYN-RECEIVED") sendAck(t, now);
    return;
  }
  const received = t.state === "SYN-RECEIVED",
    o = t.options;
  header.clear();
  header.sequence = t.snd.iss as unknown as number;
  header.acknowledgment = received ? (t.rcv.nxt as unknown as number) : 0;
  header.ctl = received ? SYN | ACK : SYN;
  header.window = initialWindow(t);
  header.mss = t.rcv.mss;
  header.windowScale = (received ? t.windowScaling : o.windowScaling) ? t.rcv.wscale : -1;
  header.sackPermitted = received ? t.sackOk : o.sack;
  header.hasTimestamps = received ? t.ts.on : o.timestamps;
  header.tsVal = t.tsNow(now);
  header.tsEcr = received ? t.ts.recent : 0;
  // RFC 3168 §6.1.1; without ECN from the second try on, as a middlebox may not like it (§6.1.1.1).
  if (received ? t.ecn : o.ecn === "on" && !again) header.ctl |= received ? ECE : ECE | CWR;
  offerUserTimeout(t, header);
  if (first !== undefined) {
    t.board.sentAgain(first, now);
    countRetransmission(t, 0);
  } else {
    t.board.push(t.snd.iss, add(t.snd.iss, 1), SYN, now);
    t.snd.nxt = add(t.snd.iss, 1);
  }
  t.env.outlet.segment(t, header, t.snd.nxt, 0, again);
  acknowledged(t);
  t.timers.arm("retransmit", after(now, t.rtt.rto));
}

/** Lost records go first, in order of sequence, as far as the window allows. */
function retransmit(t: Tcb, now: Millis): void {
  const board = t.board;
  if (t.recovery.frto.holdsBack) return;
  for (let r = board.lost.head; r !== undefined; r = board.lost.head) {
    if (t.timers.isArmed("persist")) return;
    const room = t.cwnd - t.recovery.pipe;
    if (room < Math.min(t.mss, r.length)) return;
    // Only what the peer has room for; the first octet goes even then (RFC 9293 §3.8.6.1).
    const usable = diff(r.start, add(t.snd.una, t.snd.wnd));
    if (usable <= 0 && r.start !== t.snd.una) return;
    resend(t, r, Math.min(room, Math.max(usable, 1)), now);
  }
}

/** Sends a record again, or as much of it as `limit` octets allow in whole segments. */
export function resend(t: Tcb, r: Sent, limit: number, now: Millis): void {
  const text = textLength(t, r);
  const size = segmentSize(t);
  let length = Math.min(text, Math.max(limit, 1), maxText(t));
  if (length < text && length > size) length -= length % size;
  if (length < text) t.board.splitRecord(r, add(r.start, length));
  const fin = (r.ctl & FIN) !== 0;
  t.board.sentAgain(r, now);
  countRetransmission(t, length);
  t.recovery.retransmitted(r.length, now);
  sendText(t, r.start, length, fin, true, now);
}
const textLength = (t: Tcb, r: Sent): number => diff(r.start, gt(r.end, t.end) ? t.end : r.end);

function countRetransmission(t: Tcb, octets: number): void {
  t.stats.retransmits++;
  t.stats.bytesRetransmitted += octets;
  t.env.counters.retransmits++;
}

/** Text that each segment carries now: SACK blocks take their room from it (RFC 6691 §2). */
export function segmentSize(t: Tcb): number {
  const blocks = t.sackOk ? sackBlocks(t) : 0;
  return blocks === 0 ? t.mss - userTimeoutRoom(t) : Math.max(1, t.mss - 4 - 8 * blocks);
}
/** Largest text to hand over at once: a super-segment of whole segments where the device cuts, else one segment. */
function maxText(t: Tcb): number {
  const size = segmentSize(t),
    most = t.env.outlet.maxText;
  return most > size ? most - (most % size) : size;
}
function sackBlocks(t: Tcb): number {
  // On a path of the least MTU they give way to the text: 8 octets of it always fit.
  const most = Math.max(0, Math.min(t.ts.on ? 3 : 4, (t.mss - 12) >> 3));
  return Math.min(most, t.receiveQueue.recent.length + (t.ack.dsackStart !== undefined ? 1 : 0));
}

/** New text and FIN: min of what there is, what the peer allows and what the network allows. */
function sendNew(t: Tcb, now: Millis): void {
  restartIfIdle(t, now);
  t.cwndLimited = false;
  const size = segmentSize(t),
    most = maxText(t);
  for (;;) {
    const available = diff(t.snd.nxt, t.end);
    const finDue = t.closing && !t.finSent;
    if (available <= 0 && !finDue) return limited(t, "app", now);
    let room = t.cwnd - pipeForNew(t);
    if (t.board.lost.octets > 0) {
      // Only what F-RTO sends to find out overtakes what is to go again.
      room = Math.min(room, t.recovery.frto.room);
      if (room < size) {
        t.cwndLimited = true;
        return limited(t, "cwnd", now);
      }
    }
    const usable = diff(t.snd.nxt, add(t.snd.una, t.snd.wnd));
    const probe = t.pmtuSearch?.probeText(t, available, usable, room, now) ?? 0;
    if (probe > 0 && t.sendQueue.reach(t.snd.nxt, probe) === probe) {
      sendProbe(t, probe, now);
      continue;
    }
    let length = Math.min(available, usable, most);
    if (length > room) {
      // A whole segment or nothing: silly windows of the network's are as silly as the peer's.
      length = room - (room % size);
      if (length <= 0) {
        t.cwndLimited = true;
        return limited(t, "cwnd", now);
      }
    }
    if (length < available && length > size) length -= length % size;
    if (length < 0 || (length === 0 && available > 0) || (available === 0 && usable < 1)) return windowShut(t, now);
    let fin = finDue && length === available && length < usable;
    if (length > 0) {
      if (length > size && length % size !== 0 && !fin && !mayTail(t)) length -= length % size;
      if (!worthASegment(t, length, size, available, usable, fin)) {
        // A cork holds no longer than the timer that also overrides a silly window (§3.8.6.2.1 (4)).
        if (length < size && (usable < available || t.cork) && t.board.isEmpty) windowShut(t, now);
        return limited(t, "app", now);
      }
      const reach = t.sendQueue.reach(t.snd.nxt, length);
      if (reach < length) {
        length = reach > size ? reach - (reach % size) : reach;
        fin = false;
      }
    }
    transmitNew(t, length, size, fin, now);
  }
}

/** A larger segment than the path is known to take (RFC 4821 §7.4): text in order, so that nothing is lost by trying. */
function sendProbe(t: Tcb, length: number, now: Millis): void {
  const search = t.pmtuSearch as NonNullable<Tcb["pmtuSearch"]>,
    start = t.snd.nxt;
  search.sending = true;
  transmitNew(t, length, length, false, now);
  search.sending = false;
  search.sent(start, t.snd.nxt);
}

/** Records and sends what follows SND.NXT. */
function transmitNew(t: Tcb, length: number, size: number, fin: boolean, now: Millis): void {
  const start = t.snd.nxt,
    end = add(start, length + (fin ? 1 : 0));
  if (t.snd.wnd > 0) t.timers.disarm("persist");
  t.board.push(start, end, fin ? FIN : 0, now);
  t.snd.nxt = end;
  if (end === t.end || fin) t.pushed = false;
  if (leq(t.mostUntil, t.snd.una) || t.flightSize > t.mostInFlight) {
    t.mostInFlight = t.flightSize;
    t.mostUntil = end;
  }
  if (fin) t.finSent = true;
  if (length % size !== 0) t.smallSentEnd = add(start, length);
  t.lastDataSentAt = now;
  if (t.options.pingPong && t.lastDataReceivedAt >= 0 && now - t.lastDataReceivedAt < t.options.delayedAck) t.ack.quick = 0;
  t.recovery.sentNew(length);
  sendText(t, start, length, fin, false, now);
  t.recovery.rearm(now, false);
}

/**
 * What counts as being in the network when new text is considered. Each duplicate ACK has taken a segment from the pipe,
 * which is the limited transmit of RFC 3042; without it that room is used only once recovery has begun.
 */
function pipeForNew(t: Tcb): number {
  if (t.options.limitedTransmit || t.recovery.phase !== "disorder") return t.recovery.pipe;
  return t.board.pipe + t.board.sackedOctets;
}

/** RFC 5681 §4.1: after an idle RTO the old window means nothing. */
function restartIfIdle(t: Tcb, now: Millis): void {
  if (!t.board.isEmpty || t.lastDataSentAt < 0) return;
  const idle = now - t.lastDataSentAt;
  if (idle <= t.rtt.rto) return;
  t.congestion.idle(now, idle);
  if (!t.options.slowStartAfterIdle) return;
  const restart = Math.min(t.cwnd, t.options.initialWindow * t.mss);
  if (restart < t.cwnd && diff(t.snd.nxt, t.end) > 0) {
    t.cwnd = restart;
    t.env.hit("5681-4.1");
  }
}

/** Nagle (§3.7.4) as Minshall changed it: a short segment waits only for another short one. */
function mayTail(t: Tcb): boolean {
  return t.noDelay || leq(t.smallSentEnd, t.snd.una);
}

/** §3.8.6.2.1, the sender's silly-window avoidance, with Nagle and cork. */
function worthASegment(t: Tcb, length: number, size: number, available: number, usable: number, fin: boolean): boolean {
  if (length >= size) return true; // (1) a full-sized segment
  if (fin) return true;
  if (length === available) {
    // (2) all that there is
    if (t.pushed) return true;
    if (t.cork) return false;
    if (mayTail(t)) return true;
  }
  // (3) half of the largest window that the peer ever offered
  return usable < available && length >= t.snd.maxWnd / 2 && mayTail(t);
}

/** How long silly-window avoidance may hold text back (§3.8.6.2.1), milliseconds. */
const OVERRIDE_LEAST = 100,
  OVERRIDE_MOST = 1_000;

/** Nothing fits: the persist timer probes a shut window, or sends what fits a silly one (§3.8.6.1, §3.8.6.2.1 (4)). */
function windowShut(t: Tcb, now: Millis): void {
  const wait = t.snd.wnd === 0 ? t.rtt.rto : Math.min(Math.max(t.rtt.rto, OVERRIDE_LEAST), OVERRIDE_MOST);
  if (t.board.isEmpty && !t.timers.isArmed("persist")) t.timers.arm("persist", after(now, wait));
  if (t.snd.wnd === 0) windowIsShut(t, now);
  limited(t, "rwnd", now);
}

function limited(t: Tcb, by: "app" | "rwnd" | "cwnd", now: Millis): void {
  const is = by === "app" && t.board.isEmpty ? "none" : by;
  const ms = now - t.limitedSince;
  if (t.limitedBy === "rwnd") t.stats.rwndLimitedMs += ms;
  if (t.limitedBy !== "none") t.stats.busyMs += ms;
  t.limitedBy = is;
  t.limitedSince = now;
}

/** Persist timer (§3.8.6.1): one octet of new data, or of what is outstanding, whatever the window says. */
export function probeWindow(t: Tcb, now: Millis): void {
  t.stats.zeroWindowProbes++;
  t.env.counters.zeroWindowProbes++;
  const usable = diff(t.snd.nxt, add(t.snd.una, t.snd.wnd));
  if (t.snd.wnd === 0 && !t.options.windowProbeText) {
    fill(t, add(t.snd.una, -1), ACK, now);
    return t.env.outlet.segment(t, header, t.snd.nxt, 0, false);
  }
  const first = t.board.first;
  if (first !== undefined) {
    t.board.sentAgain(first, now);
    const length = Math.max(0, textLength(t, first));
    if (length > 0 || first.ctl & FIN) sendText(t, first.start, length, (first.ctl & FIN) !== 0, true, now);
    return;
  }
  const available = diff(t.snd.nxt, t.end);
  if (available > 0) {
    const small = t.smallSentEnd;
    transmitNew(t, t.sendQueue.reach(t.snd.nxt, Math.min(available, Math.max(1, Math.min(usable, t.mss)))), t.mss, false, now);
    // The octet is TCP's own idea: what it belongs to does not wait for its ACK when the window opens (Nagle is about what
    // the user writes in small pieces).
    if (t.snd.wnd === 0) t.smallSentEnd = small;
  } else if (t.closing && !t.finSent) transmitNew(t, 0, t.mss, true, now);
}

/** Keep-alive probe (§3.8.4): SEG.SEQ = SND.NXT-1, no text. */
export function probeAlive(t: Tcb, now: Millis): void {
  t.stats.keepAliveProbes++;
  t.env.counters.keepAliveProbes++;
  fill(t, add(t.snd.nxt, -1), ACK, now);
  t.env.outlet.segment(t, header, t.snd.nxt, 0, false);
}

/** Tail loss probe (RFC 8985 §7.3): new data if there is some and the peer has room, else the last segment again. */
export function probeTail(t: Tcb, now: Millis): void {
  t.env.counters.tailLossProbes++;
  t.env.hit("8985-7.3");
  const size = segmentSize(t); // SACK blocks take their room from the text
  const available = diff(t.snd.nxt, t.end),
    usable = diff(t.snd.nxt, add(t.snd.una, t.snd.wnd));
  if (available > 0 && usable >= Math.min(available, size)) {
    const length = t.sendQueue.reach(t.snd.nxt, Math.min(available, size));
    const fin = t.closing && !t.finSent && length === available && length < usable;
    transmitNew(t, length, size, fin, now);
    t.recovery.tlp.sent(t.snd.nxt, false);
  } else {
    let last = t.board.last as Sent;
    if (last.length > size) last = t.board.splitRecord(last, add(last.end, -size));
    const text = textLength(t, last);
    t.board.sentAgain(last, now);
    countRetransmission(t, text);
    sendText(t, last.start, text, (last.ctl & FIN) !== 0, true, now);
    t.recovery.tlp.sent(t.snd.nxt, true);
  }
  t.recovery.afterProbe(now);
}

/** Sends text, with FIN or not. PSH where the text ends what is queued (MUST-61). */
function sendText(t: Tcb, from: Seq, length: number, fin: boolean, again: boolean, now: Millis): void {
  const end = add(from, length);
  let ctl = ACK | (fin ? FIN : 0);
  if (length > 0 && end === t.end) ctl |= PSH;
  fill(t, from, ctl, now);
  if (t.ecn && t.ecnReduced && !again && length > 0 && !t.timers.isArmed("persist")) {
    header.ctl |= CWR;
    t.ecnReduced = false;
  }
  t.stats.bytesSent += length;
  t.env.outlet.segment(t, header, from, length, again);
}

/** A pure ACK, and for a peer that counts duplicates as many as it is owed (RFC 5681 §4.2). */
function sendAcks(t: Tcb, now: Millis): void {
  const owed = t.sackOk ? 1 : Math.max(1, Math.min(t.ack.duplicates, t.options.dupThresh + 1));
  for (let i = 0; i < owed; i++) sendAck(t, now);
}
function sendAck(t: Tcb, now: Millis): void {
  const withFin = t.options.finInAcks && t.finSent && !t.finAcknowledged;
  fill(t, withFin ? add(t.snd.nxt, -1) : t.snd.nxt, withFin ? FIN | ACK : ACK, now);
  t.env.outlet.segment(t, header, t.snd.nxt, 0, false);
}

/** What every segment of a synchronized connection carries: ACK, window, timestamps, SACK, urgent pointer, ECN echo. */
function fill(t: Tcb, sequence: Seq, ctl: number, now: Millis): void {
  header.clear();
  header.sequence = sequence as unknown as number;
  header.acknowledgment = t.rcv.nxt as unknown as number;
  header.ctl = ctl;
  header.window = advertise(t);
  if (t.ts.on) {
    header.hasTimestamps = true;
    header.tsVal = t.tsNow(now);
    header.tsEcr = t.ts.recent;
    t.ts.lastAckSent = t.rcv.nxt;
  }
  if (t.sackOk) fillSack(t);
  if (t.options.userTimeoutOption) offerUserTimeout(t, header);
  if (t.snd.up !== undefined) {
    if (lt(sequence, t.snd.up)) {
      header.ctl |= URG;
      header.urgentPointer = Math.min(65_535, diff(sequence, t.snd.up));
    } else if (leq(t.snd.up, t.snd.una)) t.snd.up = undefined;
  }
  if (t.ecn && t.ecnEcho) header.ctl |= ECE;
  acknowledged(t);
}

/** RFC 2018 §4, RFC 2883 §4: a duplicate first, then what changed last. */
function fillSack(t: Tcb): void {
  const n = sackBlocks(t);
  if (n === 0) return;
  const edges = header.sackEdges;
  let i = 0;
  if (t.ack.dsackStart !== undefined) {
    edges[0] = t.ack.dsackStart as unknown as number;
    edges[1] = t.ack.dsackEnd as unknown as number;
    i = 1;
  }
  for (let k = 0; i < n; i++, k++) {
    const r = t.receiveQueue.recent[k] as Range;
    edges[2 * i] = r.start as unknown as number;
    edges[2 * i + 1] = r.end as unknown as number;
  }
  header.sackCount = i;
}

/** `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK>`: the reset of a live connection (§3.10.5). */
export function resetHeader(t: Tcb): SegmentHeader {
  header.clear();
  // Within the peer's window even when a probe went beyond it: RFC 5961 takes it at exactly RCV.NXT only.
  const edge = add(t.snd.una, t.snd.wnd);
  header.sequence = (t.state === "SYN-RECEIVED" || gt(edge, t.snd.una) ? t.snd.nxt : min(t.snd.nxt, t.snd.una)) as unknown as number;
  header.acknowledgment = t.rcv.nxt as unknown as number;
  header.ctl = RST | ACK;
  header.window = 0;
  return header;
}
