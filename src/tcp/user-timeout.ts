/** The user timeout and its option (RFC 5482): how long sent text may stay unacknowledged. Milliseconds. */
import type { Segment } from "../wire/segment.js";
import type { SegmentHeader } from "../wire/tcp.js";
import { isSynchronized } from "./state.js";
import type { Tcb } from "./tcb.js";

/** L_LIMIT and U_LIMIT (§3.1): what a peer may make of our timeout. */
const LOWER = 100_000,
  UPPER = 24 * 3_600_000;

/**
 * The timeout in force; 0 when retransmissions are counted instead (R2). Asked for in synchronized states only, as §3.3 wants
 * it: a SYN has its own bounds.
 */
export function userTimeoutOf(t: Tcb): number {
  // §3.1: what the application sets stands, whatever the peer asks for.
  if (!t.options.userTimeoutOption || !t.userTimeoutChangeable || t.peerUserTimeout === 0) return t.userTimeout;
  // L_LIMIT lies above the RTO (MUST), or a path slower than 100 s would never see a retransmission.
  return Math.min(UPPER, Math.max(t.userTimeout, t.peerUserTimeout, LOWER, t.rtt.rto + 1));
}

/**
 * Idle time before the first keep-alive probe. §4.2: above the user timeout where the option is in use, or keep-alives would
 * end what the timeout lets live.
 */
export function keepAliveIdleOf(t: Tcb): number {
  return t.options.userTimeoutOption ? Math.max(t.keepAliveIdle, userTimeoutOf(t) + 1) : t.keepAliveIdle;
}

/** §3.4: zero is reserved and means nothing. */
export function takeUserTimeout(t: Tcb, seg: Segment): void {
  if (t.options.userTimeoutOption && seg.userTimeoutMs > 0) t.peerUserTimeout = seg.userTimeoutMs;
}

/** Octets that the option takes from the text of the next segment. */
export const userTimeoutRoom = (t: Tcb): number => (owesUserTimeout(t) ? 4 : 0);
const owesUserTimeout = (t: Tcb): boolean => t.options.userTimeoutOption && t.userTimeout > 0 && t.userTimeoutTold !== t.userTimeout;

/** §3: in the SYN, in the first segment after it, and whenever a new value is taken into use. SACK blocks may leave no room. */
export function offerUserTimeout(t: Tcb, header: SegmentHeader): void {
  if (!owesUserTimeout(t) || header.sackCount > 0 || t.pmtuSearch?.sending === true) return;
  header.userTimeoutSeconds = Math.max(1, Math.ceil(t.userTimeout / 1_000));
  // A SYN may come without it at the other end (§3.2), so the segment after it says it again.
  if (isSynchronized(t.state)) t.userTimeoutTold = t.userTimeout;
}
