/** RFC 862: sends back what it gets, and ends when the peer has. */
import type { Connection, ConnectionUser } from "../sockets/direct.js";
import { PLACE, type Placed } from "./roster.js";
import { service } from "./service.js";

export const echo = service({
  name: "echo",
  defaultPort: 7,
  summary: "sends back what it gets (RFC 862)",
  allowHalfOpen: true,
  noDelay: true,
  open: () => ({
    serve(socket) {
      // By hand and not by pipe(): one listener less in the path of an octet.
      socket.on("data", (chunk) => {
        if (!socket.write(chunk)) socket.pause();
      });
      socket.on("drain", () => {
        socket.resume();
      });
      socket.on("end", () => {
        socket.end();
      });
    },
  }),
  direct: (_, closed) => new Echo(closed),
});

/** Octets go from the one queue to the other; what the other has no room for stays, and shuts the window. */
class Echo implements ConnectionUser, Placed {
  [PLACE] = -1;
  readonly closed: (conn: Connection) => void;
  constructor(closed: (conn: Connection) => void) {
    this.closed = closed;
  }

  established(): void {}
  readable(conn: Connection): void {
    while (conn.readable > 0) {
      const octets = conn.peek(),
        taken = conn.send(octets);
      conn.skip(taken);
      if (taken < octets.length) return;
    }
    if (conn.ended) conn.release();
  }
  writable(conn: Connection): void {
    this.readable(conn);
  }
  ended(conn: Connection): void {
    if (conn.readable === 0) conn.release();
  }
}
