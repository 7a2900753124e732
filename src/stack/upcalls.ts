/** What a step owes to the user of a connection, told when the step is complete and in the order of `ConnectionUser`. */
import {
  type Tcb,
  TELL_CLOSED,
  TELL_DRAINED,
  TELL_ENDED,
  TELL_ESTABLISHED,
  TELL_ICMP,
  TELL_READABLE,
  TELL_RETRANSMITTING,
  TELL_URGENT,
  TELL_WRITABLE,
} from "../tcp/tcb.js";

/** @param accepted called when a listener's child is established: gives it to the listener's user */
export function tellUser(t: Tcb, accepted: (t: Tcb) => void): void {
  const conn = t.connection;
  // An upcall may owe the next one.
  while (t.tell !== 0) {
    const tell = t.tell;
    t.tell = 0;
    if (tell & TELL_ESTABLISHED) {
      if (t.listener !== undefined) accepted(t);
      t.toldEstablished = true;
      conn.user.established(conn);
    }
    // A child that never got that far belongs to nobody.
    if (t.passive && !t.toldEstablished) continue;
    if (t.toldClosed) continue;
    if (tell & TELL_URGENT) conn.user.urgent?.(conn);
    if (tell & TELL_READABLE && conn.readable > 0) conn.user.readable(conn);
    if (tell & TELL_WRITABLE) conn.user.writable(conn);
    if (tell & TELL_DRAINED) conn.user.drained?.(conn);
    if (tell & TELL_ENDED) conn.user.ended(conn);
    if (tell & TELL_ICMP) conn.user.advised?.(conn, "icmp");
    if (tell & TELL_RETRANSMITTING) conn.user.advised?.(conn, "retransmitting");
    if (tell & TELL_CLOSED) {
      t.toldClosed = true;
      conn.user.closed(conn, t.closedBy ?? "local");
    }
  }
}
