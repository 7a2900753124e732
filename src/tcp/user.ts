/** What a connection tells whoever uses it: the upcalls of RFC 9293 §3.9.1 ("TCP-to-user messages"). */
import type { ClosedBy } from "./events.js";
import type { Connection } from "./connection.js";

/**
 * Upcalls come after the step that caused them is complete and never from inside a user call, so the connection may be
 * used freely in them (send, receive, close, abort). They come in the order below when one step causes several.
 * They must not throw.
 */
export interface ConnectionUser {
  /** Both SYNs are acknowledged: ESTABLISHED (or beyond, if FIN came with it). Once. */
  established(conn: Connection): void;
  /**
   * Text arrived in order: `conn.readable` is above 0. While this runs the newest octets may still lie in the device's
   * ring: taking them now (`peek`/`skip`/`receive`) saves a copy; what is left is kept and the window closes by it.
   */
  readable(conn: Connection): void;
  /** The urgent pointer moved ahead: octets up to `conn.urgentOffset` of what is readable are urgent (RFC 6093). */
  urgent?(conn: Connection): void;
  /** Send space is available again after `send` took less than it was offered. */
  writable(conn: Connection): void;
  /** All octets queued so far are acknowledged (only if `conn.wantsDrain` was set; it is cleared). */
  drained?(conn: Connection): void;
  /** The peer's FIN arrived in order; nothing more to read after what is readable. Once. */
  ended(conn: Connection): void;
  /** A soft error worth knowing: ICMP unreachable, R1 reached (RFC 9293 §3.8.3, §3.9.2.2). */
  advised?(conn: Connection, what: "icmp" | "retransmitting"): void;
  /** The connection is gone from the stack, or (by local/both) entered TIME-WAIT: the user's part is over. Once, last. */
  closed(conn: Connection, by: ClosedBy): void;
}
