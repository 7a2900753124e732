/** RFC 9293 §3.10.8, timeouts: its three, and those that later RFCs added. */
import { RST, SYN } from "../wire/segment.js";
import { ackNow } from "./acknowledge.js";
import { boundBroken } from "./bounds.js";
import { armKeepAlive } from "./keep-alive.js";
import { probeAlive, probeTail, probeWindow, resetHeader } from "./output.js";
import type { RuleId } from "./rules.js";
import { TELL_RETRANSMITTING, type Tcb } from "./tcb.js";
import { after, Millis } from "./time.js";
import type { TimerName } from "./timers.js";
import { reset } from "./user-calls.js";
import { keepAliveIdleOf, userTimeoutOf } from "./user-timeout.js";

/** Runs what is due, in the fixed order of TIMERS. */
export function timeouts(t: Tcb, now: Millis): void {
  for (let name = t.timers.takeExpired(now); name !== undefined; name = t.timers.takeExpired(now)) {
    t.env.causedByTimer(name);
    t.env.outlet.touched(t);
    run(t, name, now);
  }
}

function run(t: Tcb, name: TimerName, now: Millis): void {
  switch (name) {
    case "retransmit":
      return retransmission(t, now);
    case "tailLossProbe":
      return tailLoss(t, now);
    case "reorder":
      return t.recovery.reorderTimedOut(now);
    case "persist":
      return persist(t, now);
    case "delayedAck":
    case "pace":
      return ackNow(t);
    case "keepAlive":
      return keepAlive(t, now);
    case "user":
      return bounds(t, now);
    case "finWait2":
      return giveUp(t, "fin-wait-2-orphan", now);
    case "timeWait":
      return t.close(t.closedBy ?? "local", "9293-3.10.8-time-wait", now);
  }
}

function bounds(t: Tcb, now: Millis): void {
  const rule = boundBroken(t, now);
  if (rule !== undefined) reset(t, rule, now, "limit");
}

function tell(t: Tcb, timer: TimerName, n: number): void {
  if (t.env.wants("timer")) t.env.emit({ kind: "timer", conn: t.who(), timer, rto: t.rtt.rto, n });
}

/** Retransmission timeout: RFC 6298 §5.4 to §5.7. */
function retransmission(t: Tcb, now: Millis): void {
  t.retransmissions++;
  tell(t, "retransmit", t.retransmissions);
  if (t.state === "SYN-SENT" || t.state === "SYN-RECEIVED") return synTimedOut(t, now);
  // The peer took its window back to nothing: these are probes now, and while they are answered it lives (MUST-37, SHLD-17).
  const probing = t.snd.wnd === 0 && !t.orphan && now - t.lastReceivedAt <= 2 * t.rtt.rto;
  if (!probing && timedOutForGood(t, now)) return giveUp(t, userTimeoutOf(t) > 0 ? "9293-3.10.8-user" : "9293-3.8.3-R2", now);
  if (t.retransmissions === t.options.retries1) {
    t.env.hit("9293-3.8.3-R1");
    t.tell |= TELL_RETRANSMITTING;
  }
  t.stats.timeouts++;
  t.env.counters.timeouts++;
  t.pmtuSearch?.timedOut(t, now);
  t.recovery.timedOut(now);
  t.rtt.timedOut();
  // Not past the user timeout, which is to be kept to the instant (as Linux clamps it).
  t.timers.arm("retransmit", Millis(Math.min(after(now, t.rtt.rto), userDeadline(t))));
}
/** When the oldest unacknowledged octet has waited as long as the user allows; never, where retransmissions are counted. */
function userDeadline(t: Tcb): number {
  const limit = userTimeoutOf(t),
    first = t.board.first;
  return limit > 0 && first !== undefined ? first.firstSentAt + limit : Infinity;
}

function synTimedOut(t: Tcb, now: Millis): void {
  const most = t.state === "SYN-SENT" ? t.options.synRetries + t.options.synLinearTimeouts : t.options.synAckRetries;
  if (t.retransmissions > most || (t.userTimeout > 0 && now - t.bornAt >= t.userTimeout)) {
    t.env.counters.attemptFails++;
    return t.close("timeout", "9293-3.8.3-syn", now);
  }
  // MUST-22: what a user is told of data's trouble goes for a SYN's as well.
  if (t.retransmissions === t.options.retries1) {
    t.env.hit("9293-3.8.3-R1");
    t.tell |= TELL_RETRANSMITTING;
  }
  t.stats.timeouts++;
  t.env.counters.timeouts++;
  if (t.state !== "SYN-SENT" || t.retransmissions > t.options.synLinearTimeouts) t.rtt.timedOut();
  const syn = t.board.first;
  if (syn !== undefined && syn.ctl & SYN) t.board.markLost(syn);
}

/** R2 (§3.8.3) as a count, or the user timeout (RFC 5482) as a time. */
function timedOutForGood(t: Tcb, now: Millis): boolean {
  if (userTimeoutOf(t) > 0) return now >= userDeadline(t);
  return t.retransmissions > (t.orphan ? t.options.orphanRetries : t.options.retries2);
}

function tailLoss(t: Tcb, now: Millis): void {
  tell(t, "tailLossProbe", 1);
  probeTail(t, now);
}

/** §3.8.6.1: probes go on as long as they are answered (MUST-37); those in a row that are not count like retransmissions. */
function persist(t: Tcb, now: Millis): void {
  // All that waited went out in the probes.
  if (t.board.isEmpty && t.sendQueue.length === 0 && (t.finSent || !t.closing)) return;
  // Not shut, only silly, or a cork: what fits goes out now, and the RTO takes over.
  if (t.snd.wnd > 0 && t.board.isEmpty) return probeWindow(t, now);
  t.probes++;
  if (t.troubleSince < 0) t.troubleSince = now;
  const most = t.orphan ? t.options.orphanRetries : t.options.retries2;
  const limit = userTimeoutOf(t);
  if (t.probes > most || (limit > 0 && now - t.troubleSince >= limit)) return giveUp(t, "9293-3.8.6.1", now);
  tell(t, "persist", t.probes);
  t.rtt.timedOut();
  // Armed before the probe goes out, for while it is no other timer is.
  t.timers.arm("persist", after(now, t.rtt.rto));
  probeWindow(t, now);
}

/** §3.8.4; only when nothing is outstanding (MUST-26). */
function keepAlive(t: Tcb, now: Millis): void {
  const quiet = now - t.lastReceivedAt;
  if (!t.board.isEmpty || t.sendQueue.length > 0) return armKeepAlive(t, now);
  // Something came since the timer was armed: only the rest of the idle time is left. From when it came, for what is left
  // of it now may be too little to move the clock, and the timer would be due for ever.
  const due = after(t.lastReceivedAt as Millis, keepAliveIdleOf(t));
  if (t.keepAliveSent === 0 && due > now) return t.timers.arm("keepAlive", due);
  // With the option the idle time alone is longer than the limit (RFC 5482 §4.2): the probes are counted.
  const limit = t.options.userTimeoutOption ? 0 : userTimeoutOf(t);
  const expired = limit > 0 ? t.keepAliveSent > 0 && quiet >= limit : t.keepAliveSent >= t.keepAliveProbes;
  if (expired) return giveUp(t, "9293-3.8.4", now);
  t.keepAliveSent++;
  tell(t, "keepAlive", t.keepAliveSent);
  probeAlive(t, now);
  t.timers.arm("keepAlive", after(now, t.keepAliveInterval));
}

/** The connection is given up; one RST tells a peer that may still be there (state matrix D14). */
export function giveUp(t: Tcb, rule: RuleId, now: Millis): void {
  const header = resetHeader(t);
  if (t.state !== "SYN-SENT" && (header.ctl & RST) !== 0 && t.state !== "FIN-WAIT-2") {
    t.env.counters.resetsOut++;
    t.env.outlet.segment(t, header, t.snd.nxt, 0, false);
  }
  t.close("timeout", rule, now);
}
