/** What a congestion control decides: by how much the window grows, and where it falls back to. Windows in octets. */
import type { Millis } from "../time.js";

/** The sender's figures that a congestion control reads and writes. */
export interface Window {
  cwnd: number;
  ssthresh: number;
  /** SMSS. */
  readonly mss: number;
  /** FlightSize: SND.NXT - SND.UNA. */
  readonly flightSize: number;
  /** Milliseconds; negative before the first sample. */
  readonly srtt: number;
}

export interface CongestionControl {
  readonly name: "reno" | "cubic";
  /** New octets were acknowledged outside of recovery, while the window was what held the sender back. */
  acknowledged(w: Window, octets: number, now: Millis): void;
  /** A loss or ECN episode begins. @returns the new ssthresh */
  reduce(w: Window, now: Millis): number;
  /** The retransmission timer ran out (RFC 9438 §4.8). @returns the new ssthresh */
  timedOut(w: Window, now: Millis): number;
  /** The last reduction was for nothing (RFC 9438 §4.9.1). */
  undo(w: Window): void;
  /** The sender had nothing to send for a while (RFC 9438 §4.2, last paragraph but one). */
  idle(now: Millis, idleMs: number): void;
}

/**
 * Slow start: the window grows by all that an ACK covers, up to ssthresh. RFC 5681 §3.1 says at most one SMSS per ACK and
 * RFC 3465 two; Linux and QUIC (RFC 9002 §7.3.1) grow as here, for one ACK of a modern receiver covers many segments.
 * @returns octets left over
 */
export function slowStart(w: Window, octets: number): number {
  const room = Math.max(0, w.ssthresh - w.cwnd);
  const growth = Math.min(octets, room);
  w.cwnd += growth;
  return octets - growth;
}
