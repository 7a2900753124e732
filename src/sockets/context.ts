/** What the sockets of one stack share: the stack, the clock, the end of a turn, and what keeps the process alive. */
import type { LookupFunction } from "node:net";
import type { Connection } from "../tcp/connection.js";
import type { TcpOptions } from "../tcp/options.js";
import type { Millis } from "../tcp/time.js";
import type { ConnectionUser } from "../tcp/user.js";
import type { Handle } from "./handle.js";
import type { Server } from "./server.js";

/** A place that connections are accepted at. */
export interface ListenerLike {
  readonly port: number | "any";
  /** Connections that the application has not taken; with as many as the backlog there is no room for another. */
  waiting: number;
  close(): void;
}

/** What sockets need of a stack; `Stack` has it. */
export interface StackLike {
  listen(
    where: { address?: string; port: number | "any"; backlog?: number; options?: Partial<TcpOptions> },
    accept: (conn: Connection) => ConnectionUser,
  ): ListenerLike;
  connect(
    to: { remoteAddress: string; remotePort: number; localAddress?: string; localPort?: number; options?: Partial<TcpOptions> },
    user: ConnectionUser,
  ): Connection;
  /** Calls `fn` after each batch of arrivals and timers, before the stack sends. */
  onBatchEnd(fn: () => void): unknown;
}

/** Octets of the blocks that small segments of one turn are gathered in. */
export const BLOCK = 65_536;

export class Context {
  readonly stack: StackLike;
  readonly now: () => Millis;
  readonly lookup: LookupFunction | undefined;
  readonly lifetime = new Lifetime();
  /** The stack is closed: nothing opens or listens any more. */
  closed = false;
  /** Servers that listen. */
  readonly servers = new Set<Server>();
  /** Strings are encoded here on their way into a send queue. */
  readonly scratch = Buffer.allocUnsafeSlow(BLOCK);
  readonly block = new Block();
  #turn: Handle[] = [];

  constructor(stack: StackLike, now: () => Millis, lookup: LookupFunction | undefined) {
    this.stack = stack;
    this.now = now;
    this.lookup = lookup;
    stack.onBatchEnd(this.#endTurn);
  }

  /** Has `handle.pump()` called once at the end of the turn that is running. */
  atEndOfTurn(handle: Handle): void {
    // Timers make upcalls too, and they come after the batch.
    if (this.#turn.length === 0) process.nextTick(this.#endTurn);
    this.#turn.push(handle);
  }

  readonly #endTurn = (): void => {
    const turn = this.#turn;
    if (turn.length === 0) return;
    this.#turn = [];
    for (const handle of turn) handle.pump();
    this.block.rewind();
  };
}

/** Where small segments are gathered during a turn, each connection's in a row. */
class Block {
  bytes: Buffer = Buffer.allocUnsafeSlow(BLOCK);
  used = 0;
  /** Whose octets are at the end, and may be added to. */
  owner: Handle | undefined;
  #handedOut = false;

  /** A chunk for a reader to keep. A small one is copied out, so that it does not keep the block. */
  cut(from: Buffer, start: number, octets: number): Buffer {
    if (octets < BLOCK / 4) {
      const chunk = Buffer.allocUnsafe(octets);
      if (octets <= 32) for (let i = 0; i < octets; i++) chunk[i] = from[start + i] as number;
      else from.copy(chunk, 0, start, start + octets);
      return chunk;
    }
    if (from === this.bytes) this.#handedOut = true;
    return from.subarray(start, start + octets) as Buffer;
  }
  /** The block is full; connections that still have octets in the old one keep hold of it. */
  renew(): void {
    this.bytes = Buffer.allocUnsafeSlow(BLOCK);
    this.#handedOut = false;
    this.used = 0;
    this.owner = undefined;
  }
  /** The turn is over, and all that was gathered is handed over. */
  rewind(): void {
    if (this.#handedOut) this.renew();
    this.used = 0;
    this.owner = undefined;
  }
}

/**
 * Keeps the process alive while a socket or server is open that was not `unref`'d, as a descriptor in the event loop
 * would. One idle timer stands for all of them, whatever carries the frames.
 */
export class Lifetime {
  #held = 0;
  #timer: NodeJS.Timeout | undefined;

  hold(): void {
    if (this.#held++ > 0) return;
    if (this.#timer === undefined) this.#timer = setInterval(() => {}, 2 ** 30);
    else this.#timer.ref();
  }
  letGo(): void {
    if (--this.#held === 0) this.#timer?.unref();
  }
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
