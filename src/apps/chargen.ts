/** RFC 864: sends characters for as long as somebody takes them. */
import { service } from "./service.js";

const FIRST = 0x20, KINDS = 95, LINE = 72, LINE_OCTETS = LINE + 2;
/** Octets after which the pattern begins anew. */
export const CYCLE = KINDS * LINE_OCTETS;

/** `octets` of the pattern of RFC 864 §2 from its beginning: lines of 72 of the 95 printable characters, each line one further. */
export function pattern(octets: number): Buffer {
  const bytes = Buffer.allocUnsafe(octets);
  for (let i = 0; i < octets; i++) {
    const line = Math.floor(i / LINE_OCTETS), column = i % LINE_OCTETS;
    bytes[i] = column === LINE ? 0x0d : column === LINE + 1 ? 0x0a : FIRST + (line + column) % KINDS;
  }
  return bytes;
}

/** Close to 1 MiB, and whole cycles, so that it can be sent again and again. */
const BLOCK = CYCLE * 149;

export const chargen = service({
  name: "chargen", defaultPort: 19, summary: "sends characters without end (RFC 864)",
  open: (net) => {
    const block = net.share?.(pattern(BLOCK)) ?? pattern(BLOCK);
    return {
      serve(socket) {
        const fill = (): void => { while (!socket.destroyed && socket.writable && socket.write(block)); };
        socket.on("drain", fill);
        // RFC 864: what is received is thrown away.
        socket.resume();
        fill();
      },
    };
  },
});
