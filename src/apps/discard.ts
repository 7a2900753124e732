/** RFC 863: throws away what it gets. */
import type { Connection, ConnectionUser } from "../sockets/direct.js";
import { PLACE, type Placed } from "./roster.js";
import { service } from "./service.js";

export const discard = service({
  name: "discard",
  defaultPort: 9,
  summary: "throws away what it gets (RFC 863)",
  // On our stack, resume() without a listener frees the octets where they lie.
  open: () => ({
    serve(socket) {
      socket.resume();
    },
  }),
  direct: (_, closed) => new Discard(closed),
});

/** Frees the octets where they lie, and ends when the peer has. */
class Discard implements ConnectionUser, Placed {
  [PLACE] = -1;
  readonly closed: (conn: Connection) => void;
  constructor(closed: (conn: Connection) => void) {
    this.closed = closed;
  }

  established(): void {}
  readable(conn: Connection): void {
    conn.skip(conn.readable);
  }
  writable(): void {}
  ended(conn: Connection): void {
    conn.release();
  }
}
