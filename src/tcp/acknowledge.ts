/** The receiving side's words: when to acknowledge (RFC 9293 §3.8.6.3, RFC 5681 §4.2) and which window to tell (§3.8.6.2.2). */
import { add, diff, max, type Seq } from "./seq.js";
import type { Tcb } from "./tcb.js";
import { after, type Millis } from "./time.js";

/** An ACK goes out in this turn. */
export function ackNow(t: Tcb): void {
  t.ack.now = true;
  t.env.outlet.touched(t);
}

/** An ACK in answer to something unacceptable: at most one per `invalidAckInterval`, or two confused ends would never stop. */
export function ackUnacceptable(t: Tcb, now: Millis): void {
  if (now - t.ack.invalidAt < t.options.invalidAckInterval) return;
  t.ack.invalidAt = now;
  ackNow(t);
}

/** Challenge ACK (RFC 5961 §3.2, §4.2, §7). */
export function challenge(t: Tcb, now: Millis): void {
  if (now - t.ack.invalidAt < t.options.invalidAckInterval || !t.env.mayChallenge(now)) return;
  t.ack.invalidAt = now;
  ackNow(t);
}

/** In-order text arrived: acknowledge it now, with the second full-sized segment, or when the timer says. */
export function ackText(t: Tcb, octets: number, segments: number, now: Millis): void {
  const a = t.ack;
  a.octets += octets;
  a.segments += segments;
  const size = Math.ceil(octets / segments);
  if (size > t.rcv.seenMss) t.rcv.seenMss = Math.min(size, t.rcv.mss);
  if (
    a.quick > 0 ||
    t.options.delayedAck === 0 ||
    a.octets >= t.options.ackEvery * Math.max(1, t.rcv.seenMss) ||
    (t.options.strictAcks && a.segments >= t.options.ackEvery)
  ) {
    if (a.quick > 0) a.quick--;
    ackNow(t);
  } else if (!t.timers.isArmed("delayedAck")) {
    t.timers.arm("delayedAck", after(now, t.options.delayedAck));
  }
}

/** Everything that was owed went out with a segment. */
export function acknowledged(t: Tcb): void {
  const a = t.ack;
  a.now = false;
  a.octets = 0;
  a.segments = 0;
  a.duplicates = 0;
  a.dsackStart = undefined;
  t.timers.disarm("delayedAck");
}

/** Where the right edge would be if we told all the room that there is. */
function roomEdge(t: Tcb): Seq {
  return add(t.rcv.nxt, Math.max(0, Math.min(t.rcv.limit, t.options.receiveBuffer - t.receiveQueue.readable)));
}

/**
 * The window to put into a segment, octets; moves the right edge. Never back (SHLD-14), and forward only by a step that
 * is worth it (MUST-39: half the buffer or a segment).
 */
export function advertise(t: Tcb): number {
  const room = roomEdge(t);
  const step = diff(t.rcv.edge, room);
  const worth = Math.min(t.options.receiveBuffer / 2, t.rcv.mss);
  if (step >= worth || (step > 0 && !t.options.windowSteps && diff(t.rcv.nxt, room) >= worth)) t.rcv.edge = room;
  const unit = 1 << t.rcv.wscale;
  // Rounded up: rounding down would take back what an earlier segment promised (RFC 7323 §2.4).
  const field = Math.min(65_535, Math.ceil(t.rcv.wnd / unit));
  // A FIN is taken at a shut window too: then RCV.NXT has passed the edge.
  t.rcv.edge = max(t.rcv.edge, add(t.rcv.nxt, field * unit));
  return field;
}

/** The user took octets: tell the peer when the window was nearly shut, or opened by a good part of the buffer. */
export function windowOpened(t: Tcb): void {
  const step = diff(t.rcv.edge, roomEdge(t));
  if (step < Math.min(t.options.receiveBuffer / 2, t.rcv.mss)) return;
  if (t.rcv.wnd < 2 * t.rcv.mss || step >= t.options.receiveBuffer / 4) ackNow(t);
}
