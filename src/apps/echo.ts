/** RFC 862: sends back what it gets, and ends when the peer has. */
import { service } from "./service.js";

export const echo = service({
  name: "echo", defaultPort: 7, summary: "sends back what it gets (RFC 862)", allowHalfOpen: true, noDelay: true,
  open: () => ({
    serve(socket) {
      // By hand and not by pipe(): one listener less in the path of an octet.
      socket.on("data", (chunk) => { if (!socket.write(chunk)) socket.pause(); });
      socket.on("drain", () => { socket.resume(); });
      socket.on("end", () => { socket.end(); });
    },
  }),
});
