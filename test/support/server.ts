/** A server of raw peers for the tests of the stack: it listens on port 80 and writes down what its user hears. */
import type { Connection } from "../../src/tcp/connection.js";
import type { ConnectionUser } from "../../src/tcp/user.js";
import { ACK, PSH, SYN } from "../../src/wire/segment.js";
import { type Fields, RawPeer, segment } from "./raw.js";

export const NOBODY: ConnectionUser = { established() {}, readable() {}, writable() {}, ended() {}, closed() {} };

/** A stack that listens on port 80, and what its user hears. */
export class Server extends RawPeer {
  readonly accepted: Connection[] = [];
  readonly heard: string[] = [];
  user: ConnectionUser = {
    established: () => this.heard.push("established"),
    readable: (c) => this.heard.push(`readable ${c.readable}`),
    writable: () => this.heard.push("writable"),
    ended: () => this.heard.push("ended"),
    closed: (_, by) => this.heard.push(`closed ${by}`),
  };
  readonly listener = this.stack.listen({ port: 80 }, (c) => {
    this.accepted.push(c);
    return this.user;
  });
  /** A whole handshake. @returns the peer's next number and ours */
  open(f: Partial<Fields> = {}): { seq: number; ack: number } {
    this.inject(segment({ ctl: SYN, seq: 1_000, mss: 1_460, ...f }));
    const ack = (this.sent().at(-1)?.seg.sequence ?? 0) + 1;
    this.inject(segment({ ...f, ctl: ACK, seq: 1_001, ack }));
    return { seq: 1_001, ack };
  }
  get conn(): Connection {
    return this.accepted.at(-1) as Connection;
  }
}
/** Peers apart by their ports. */
export const from = (i: number): Partial<Fields> => ({ sourcePort: 2_000 + i });
/** Control bits of what was sent, but for PSH. */
export const flags = (p: RawPeer): number[] => p.sent().map((s) => s.seg.ctl & ~PSH);
