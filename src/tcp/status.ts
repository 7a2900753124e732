/** STATUS (RFC 9293 §3.10.6), widened to the facts of `ss -i`. Plain data, safe to turn into JSON. */
import type { State } from "./state.js";
import type { TimerName } from "./timers.js";

/** Slow start, congestion avoidance, fast recovery (RFC 5681), loss after a timeout, and CWR after ECN (RFC 3168). */
export type CongestionPhase = "open" | "disorder" | "cwr" | "recovery" | "loss";

export interface Status {
  readonly id: number;
  readonly state: State;
  readonly local: { readonly address: string; readonly port: number };
  readonly remote: { readonly address: string; readonly port: number };
  /** Opened by us (connect) or by a listener. */
  readonly passive: boolean;
  /** Milliseconds since the connection was made, and since it entered its state. */
  readonly ageMs: number;
  readonly stateMs: number;
  /** Octets received in order and not yet taken by the application (ss: Recv-Q). */
  readonly recvQ: number;
  /** Octets written and not yet acknowledged (ss: Send-Q). */
  readonly sendQ: number;
  /** Octets held out of order. */
  readonly outOfOrder: number;
  readonly iss: number;
  readonly irs: number;
  /** SND.UNA, SND.NXT, RCV.NXT relative to the ISNs, octets. */
  readonly sndUna: number;
  readonly sndNxt: number;
  readonly rcvNxt: number;
  /** Windows in octets, scaling undone. */
  readonly sndWnd: number;
  readonly rcvWnd: number;
  readonly sndWscale: number;
  readonly rcvWscale: number;
  readonly timestamps: boolean;
  readonly sack: boolean;
  readonly ecn: boolean;
  /** Effective send MSS and the MSS we announced, octets of text. */
  readonly mss: number;
  readonly advmss: number;
  readonly pmtu: number;
  /** Milliseconds; srtt is undefined before the first sample. */
  readonly srtt: number | undefined;
  readonly rttvar: number | undefined;
  readonly minRtt: number | undefined;
  readonly rto: number;
  readonly backoff: number;
  readonly congestion: "reno" | "cubic";
  readonly phase: CongestionPhase;
  /** Octets. ssthresh is undefined while it is still "infinite". */
  readonly cwnd: number;
  readonly ssthresh: number | undefined;
  /** FlightSize and the estimate of RFC 6675 §4, octets. */
  readonly inFlight: number;
  readonly pipe: number;
  readonly sacked: number;
  readonly lost: number;
  readonly retransOut: number;
  readonly reordering: number;
  /** Counts over the life of the connection. */
  readonly segmentsIn: number;
  readonly segmentsOut: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly bytesAcked: number;
  readonly retransmits: number;
  readonly bytesRetransmitted: number;
  readonly timeouts: number;
  readonly dsackDups: number;
  readonly outOfOrderIn: number;
  readonly dupAcksIn: number;
  readonly zeroWindowProbes: number;
  readonly keepAliveProbes: number;
  /** Milliseconds busy sending, and of these limited by the peer's window or by our send buffer. */
  readonly busyMs: number;
  readonly rwndLimitedMs: number;
  readonly sndbufLimitedMs: number;
  /** What holds the sender back now. */
  readonly limitedBy: "app" | "rwnd" | "cwnd" | "none";
  /** The next timer: which and in how many milliseconds; undefined if none is armed. */
  readonly timer: { readonly name: TimerName; readonly inMs: number } | undefined;
  readonly lastDataSentMs: number | undefined;
  readonly lastDataReceivedMs: number | undefined;
  readonly lastAckReceivedMs: number | undefined;
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
  /** The user timeout that the peer advertised (RFC 5482 §3.1), milliseconds; undefined where it did not. */
  readonly peerUserTimeout: number | undefined;
  /** The application has let go; the stack finishes alone. */
  readonly orphan: boolean;
}
