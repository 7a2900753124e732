/** RFC 864: sends characters for as long as somebody takes them. */
import { type Connection, type ConnectionUser, type Memory, memoryOf } from "../sockets/direct.js";
import { PLACE, type Placed } from "./roster.js";
import { service } from "./service.js";

const FIRST = 0x20,
  KINDS = 95,
  LINE = 72,
  LINE_OCTETS = LINE + 2;
/** Octets after which the pattern begins anew. */
export const CYCLE = KINDS * LINE_OCTETS;

/** `octets` of the pattern of RFC 864 §2 from its beginning: lines of 72 of the 95 printable characters, each line one further. */
export function pattern(octets: number): Buffer {
  const bytes = Buffer.allocUnsafe(octets);
  for (let i = 0; i < octets; i++) {
    const line = Math.floor(i / LINE_OCTETS),
      column = i % LINE_OCTETS;
    bytes[i] = column === LINE ? 0x0d : column === LINE + 1 ? 0x0a : FIRST + ((line + column) % KINDS);
  }
  return bytes;
}

/** Close to 64 KiB, so that it stays in the cache it is copied from; and whole cycles, so that it can be sent again and again. */
const BLOCK = CYCLE * 9;

export const chargen = service({
  name: "chargen",
  defaultPort: 19,
  summary: "sends characters without end (RFC 864)",
  open: (net) => {
    const block = net.share?.(pattern(BLOCK)) ?? pattern(BLOCK);
    return {
      serve(socket) {
        const fill = (): void => {
          while (!socket.destroyed && socket.writable && socket.write(block));
        };
        socket.on("drain", fill);
        // RFC 864: what is received is thrown away.
        socket.resume();
        fill();
      },
    };
  },
  direct: (_, closed, net) => new Chargen(memoryOf((shared ??= net.share?.(pattern(BLOCK)) ?? pattern(BLOCK))), closed),
});
let shared: Uint8Array | undefined;

/** Keeps the send queue full of the same block, which is never copied. */
class Chargen implements ConnectionUser, Placed {
  [PLACE] = -1;
  readonly closed: (conn: Connection) => void;
  readonly #block: Memory;
  /** Where in the block the next octet is: the queue may take less than was offered. */
  #at = 0;
  constructor(block: Memory, closed: (conn: Connection) => void) {
    this.#block = block;
    this.closed = closed;
  }

  established(conn: Connection): void {
    this.writable(conn);
  }
  readable(conn: Connection): void {
    conn.skip(conn.readable);
  }
  writable(conn: Connection): void {
    for (;;) {
      const offered = BLOCK - this.#at,
        taken = conn.sendShared(this.#block, this.#at, offered);
      this.#at = (this.#at + taken) % BLOCK;
      if (taken < offered) return;
    }
  }
  ended(conn: Connection): void {
    conn.release();
  }
}
