/**
 * What a peer that has completed its handshake may cost over time. Each bound is off unless it is set, for RFC 9293 lets a
 * connection rest for ever; whoever serves strangers sets them. One timer per connection, and nothing to do per segment.
 */
import type { RuleId } from "./rules.js";
import type { Tcb } from "./tcb.js";
import { after, type Millis, NEVER } from "./time.js";

/** At ESTABLISHED. */
export function armBounds(t: Tcb, now: Millis): void {
  startPeriod(t, now);
  arm(t);
}

/** Text or a FIN waits before a shut window. */
export function windowIsShut(t: Tcb, now: Millis): void {
  if (t.shutSince >= 0) return;
  t.shutSince = now;
  arm(t);
}

/** The timer is due. @returns the bound that was broken; if none was, the timer runs again */
export function boundBroken(t: Tcb, now: Millis): RuleId | undefined {
  if (now >= ageOver(t)) return "limit-age";
  if (now >= idleOver(t)) return "limit-idle";
  if (t.shutSince >= 0 && t.sendQueue.length === 0 && !(t.closing && !t.finSent)) t.shutSince = -1;
  if (now >= shutOver(t)) return "limit-zero-window";
  if (now >= periodOver(t)) {
    if (t.stats.bytesAcked < t.periodTarget) return "limit-slow-reader";
    startPeriod(t, now);
  }
  arm(t);
  return undefined;
}

/** What must be acknowledged by the end of the period: its share of the rate, or all that waits where that is less. */
function startPeriod(t: Tcb, now: Millis): void {
  t.periodStart = now;
  t.periodTarget = t.stats.bytesAcked + Math.min(t.sendQueue.length, (t.options.minSendRate * t.options.minSendRatePeriod) / 1_000);
}

function arm(t: Tcb): void {
  t.timers.arm("user", Math.min(ageOver(t), idleOver(t), shutOver(t), periodOver(t)) as Millis);
}

const over = (since: number, time: number): Millis => (time > 0 && since >= 0 ? after(since as Millis, time) : NEVER);
const ageOver = (t: Tcb): Millis => over(t.bornAt, t.options.maxAge);
const idleOver = (t: Tcb): Millis => over(Math.max(t.lastDataReceivedAt, t.lastDataSentAt, t.stateSince), t.options.idleTimeout);
const shutOver = (t: Tcb): Millis => over(t.shutSince, t.options.zeroWindowTimeout);
const periodOver = (t: Tcb): Millis => (t.options.minSendRate > 0 ? over(t.periodStart, t.options.minSendRatePeriod) : NEVER);
