/**
 * What happens, as values: the one source of the log, the counters, `trace`, `ss` and tests. An event is built only when
 * somebody listens for its kind. The core emits events and never text.
 */
import type { CongestionPhase } from "./status.js";
import type { RuleId } from "./rules.js";
import type { State } from "./state.js";
import type { TimerName } from "./timers.js";

/** Why a step was taken: a segment arrived, the application called, or a timer fired. */
export type Cause =
  | { readonly kind: "segment"; readonly flags: string; readonly seq: number; readonly ack: number; readonly len: number; readonly win: number }
  | { readonly kind: "call"; readonly call: "OPEN" | "SEND" | "RECEIVE" | "CLOSE" | "ABORT" }
  | { readonly kind: "timer"; readonly timer: TimerName }
  | { readonly kind: "icmp"; readonly type: number; readonly code: number };

/** How a connection ended, as `closed` lines and sockets tell it. */
export type ClosedBy =
  | "local" // we closed first and the peer agreed
  | "peer" // the peer closed first and we agreed
  | "both" // simultaneous close
  | "reset" // the peer sent RST
  | "abort" // the application aborted, or closed with text unread (RFC 9293 §3.6.1)
  | "refused" // RST in answer to our SYN
  | "timeout" // retransmissions, the user timeout, keep-alive or FIN-WAIT-2 ran out
  | "unreachable" // ICMP in SYN-SENT or SYN-RECEIVED
  | "limit" // shed at a limit of the stack
  | "shutdown"; // the stack is going away

/** Names a connection in events: id and addresses as text ("10.77.0.2:80"), made on demand. */
export interface Who {
  readonly id: number;
  readonly local: string;
  readonly remote: string;
}

export type TcpEvent =
  | {
      readonly kind: "transition";
      readonly conn: Who;
      readonly from: State;
      readonly to: State;
      readonly cause: Cause;
      readonly rule: RuleId /** milliseconds in the old state */;
      readonly ms: number /** what was or will be sent in the same step, as flags ("S.", ".", "R") or "" */;
      readonly sent: string;
    }
  | {
      readonly kind: "closed";
      readonly conn: Who;
      readonly by: ClosedBy /** lifetime, milliseconds */;
      readonly ms: number;
      readonly rxBytes: number;
      readonly txBytes: number;
      readonly retransmits: number;
    }
  /** A SYN that nobody listens for, answered by RST; or our own SYN refused. */
  | { readonly kind: "refused"; readonly conn: Who; readonly rule: RuleId; readonly cause: Cause }
  /** An RST was sent or accepted on a live connection. */
  | { readonly kind: "reset"; readonly conn: Who; readonly direction: "in" | "out"; readonly rule: RuleId }
  | { readonly kind: "drop"; readonly conn: Who | undefined; readonly rule: RuleId; readonly detail: Cause | undefined }
  /** A retransmission timer, persist, keep-alive, ... fired. n counts firings in a row, from 1. */
  | { readonly kind: "timer"; readonly conn: Who; readonly timer: TimerName; readonly rto: number; readonly n: number }
  | {
      readonly kind: "segment";
      readonly conn: Who;
      readonly dir: "in" | "out";
      readonly flags: string;
      readonly seq: number;
      readonly ack: number;
      readonly len: number;
      readonly win: number /** numbers relative to the ISNs */;
      readonly relSeq: number;
      readonly relAck: number;
      readonly options: string /** TCP segments that a super-segment stands for; 1 for an ordinary one */;
      readonly segments: number;
      readonly retransmission: boolean;
    }
  | {
      readonly kind: "congestion";
      readonly conn: Who;
      readonly phase: CongestionPhase;
      readonly cwnd: number;
      readonly ssthresh: number;
      readonly rule: RuleId;
    }
  /** At most one a second while a limit is hit. */
  | { readonly kind: "flood"; readonly halfOpen: number; readonly sources: number; readonly cookiesSent: number }
  | { readonly kind: "limit"; readonly limit: string; readonly value: number; readonly shed: number }
  /** A fault acted on a frame (src/faults). */
  | { readonly kind: "fault"; readonly fault: string; readonly act: string; readonly conn: Who | undefined; readonly detail: string };

export type EventKind = TcpEvent["kind"];

/** A bit for each kind, so that several are one number. A switch, for with a constant name it costs nothing once compiled. */
export function bitOf(kind: EventKind): number {
  switch (kind) {
    case "transition":
      return 1;
    case "closed":
      return 2;
    case "refused":
      return 4;
    case "reset":
      return 8;
    case "drop":
      return 16;
    case "timer":
      return 32;
    case "segment":
      return 64;
    case "congestion":
      return 128;
    case "flood":
      return 256;
    case "limit":
      return 512;
    case "fault":
      return 1024;
  }
}

/** Receives events. `wants` is asked before an event is built, once per kind and step; it must be cheap. */
export interface Observer {
  wants(kind: EventKind): boolean;
  event(event: TcpEvent): void;
}
