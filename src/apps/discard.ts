/** RFC 863: throws away what it gets. */
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
});
