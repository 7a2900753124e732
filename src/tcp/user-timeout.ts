/** The user timeout and its option (RFC 5482): how long sent text may stay unacknowledged. Milliseconds. */
import type { Segment } from "../wire/segment.js";
import type { SegmentHeader } from "../wire/tcp.js";
import { isSynchronized } from "./state.js";
import type { Tcb } from "./tcb.js";

/** L_LIMIT and U_LIMIT (§3.1): what a peer may make of our timeout. */
const LOWER = 100_000,
  UPPER = 24 * 3_600_000;

/** The timeout in force; 0 when retransmissions are counted instead (R2). §3.3: only in synchronized states does the option matter. */
export function userTimeoutOf(t: Tcb): number {
  // §3.1: what the application sets stands, whatever the peer asks for.
  if (!t.options.userTimeoutOption || !t.userTimeoutChangeable || t.peerUserTimeout === 0 || !isSynchronized(t.state)) return t.userTimeout;
  return Math.min(UPPER, Math.max(t.userTimeout, t.peerUserTimeout, LOWER, t.rtt.rto));
}

/** §3.4: zero is reserved and means nothing. */
export function takeUserTimeout(t: Tcb, seg: Segment): void {
  if (t.options.userTimeoutOption && seg.userTimeoutMs > 0) t.peerUserTimeout = seg.userTimeoutMs;
}

/** §3: in the SYN, in the first segment after it, and whenever a new value is taken into use. */
export function offerUserTimeout(t: Tcb, header: SegmentHeader): void {
  if (!t.options.userTimeoutOption || t.userTimeout <= 0 || t.userTimeoutTold === t.userTimeout) return;
  header.userTimeoutSeconds = Math.max(1, Math.ceil(t.userTimeout / 1_000));
  // A SYN may come without it at the other end (§3.2), so the segment after it says it again.
  if (isSynchronized(t.state)) t.userTimeoutTold = t.userTimeout;
}
