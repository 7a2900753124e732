/**
 * Between one connection and its socket: takes octets out when the reader wants them, puts octets in as the send queue
 * takes them, and turns upcalls into the socket's events. What a libuv handle is to node:net.
 *
 * RCV.WND follows what is taken here, and nothing else closes it: while the reader is paused or full, octets stay in the
 * connection.
 */
import { AsyncResource } from "node:async_hooks";
import type { Connection } from "../tcp/connection.js";
import type { ClosedBy } from "../tcp/events.js";
import type { ConnectionUser } from "../tcp/user.js";
import type { Memory } from "../wire/memory.js";
import { BLOCK, type Context } from "./context.js";
import { codeOf, errnoError } from "./errors.js";
import type { Server } from "./server.js";
import type { Socket } from "./socket.js";

/** A chunk that is sent by reference carries the memory that it lies in. */
export const SHARED = Symbol("glasstcp.shared");
export interface SharedChunk extends Buffer {
  [SHARED]?: { readonly memory: Memory; readonly offset: number };
}

type Done = (error?: Error | null) => void;
/** What the stream machinery hands to `_writev`. */
export interface Piece {
  readonly chunk: Uint8Array | string;
  readonly encoding: BufferEncoding;
}

/** Readable octets from which a chunk is handed over within the upcall, straight out of the device's ring. */
const LARGE = 16_384;
/** Largest chunk that a flowing reader gets. */
const CHUNK = 262_144;

/** Node's `onread`: octets go into the reader's own buffer, and no event or stream buffer is involved. */
export interface OnRead {
  buffer: Uint8Array | (() => Uint8Array);
  callback(bytesRead: number, buffer: Uint8Array): boolean;
}

/** What runs for this socket sees the AsyncLocalStorage of where it was made, and not of whoever woke the stack. */
export const socketResource = (): AsyncResource => new AsyncResource("GLASSTCPSOCKET", { requireManualDestroy: true });

export class Handle implements ConnectionUser {
  readonly context: Context;
  resource: AsyncResource;
  socket: Socket | undefined;
  conn: Connection | undefined;
  /** Accepts the connection once it is established. */
  server: Server | undefined;
  /** The reader has room: take what arrives. */
  reading = false;
  bytesRead = 0;
  bytesWritten = 0;
  /** Errno name of what ended the connection, until the reader or a writer has been told. */
  failure: string | undefined;
  /** The same, from the moment that it happened. */
  #cause: string | undefined;
  onread: OnRead | undefined;
  #userBuffer: Uint8Array | undefined;

  #queued = false;
  #pumping = false;
  #eof = false;
  /** Octets of this connection in the context's block, from `#start` on. */
  #gathered = 0;
  #start = 0;
  #from: Buffer | undefined;
  #keepsAlive = false;
  #referenced = true;

  #chunk: Uint8Array | undefined;
  #offset = 0;
  #rest: readonly Piece[] | undefined;
  #next = 0;
  #done: Done | undefined;

  constructor(context: Context, resource: AsyncResource) {
    this.context = context;
    this.resource = resource;
  }

  // ——— lifetime ———

  /** From here on the process stays alive for this connection, unless `unref`'d. */
  activate(): void {
    if (this.#keepsAlive || !this.#referenced) return;
    this.#keepsAlive = true;
    this.context.lifetime.hold();
  }
  ref(): void {
    this.#referenced = true;
    if (this.conn !== undefined) this.activate();
  }
  unref(): void {
    this.#referenced = false;
    this.#deactivate();
  }
  #deactivate(): void {
    if (!this.#keepsAlive) return;
    this.#keepsAlive = false;
    this.context.lifetime.letGo();
  }

  /** The socket lets go: FIN follows what is queued; what is unread, or comes later, earns an RST (RFC 9293 §3.6.1). */
  close(): void {
    this.#detach()?.release();
  }
  /** The socket aborts: RST. */
  reset(): void {
    this.#detach()?.abort();
  }
  #detach(): Connection | undefined {
    const conn = this.conn;
    this.conn = undefined;
    this.socket = undefined;
    this.server = undefined;
    this.reading = false;
    this.#gathered = 0;
    this.#chunk = undefined;
    this.#rest = undefined;
    this.#deactivate();
    const done = this.#done;
    if (done !== undefined) {
      this.#done = undefined;
      // As with node:net, a write that is cut off is called back without an error of its own: the socket has it.
      setImmediate(done, null);
    }
    return conn;
  }

  // ——— upcalls ———

  established(conn: Connection): void {
    this.conn = conn;
    const server = this.server;
    if (server !== undefined) {
      this.server = undefined;
      this.#run(() => server.accepted(this));
    } else this.#run(() => this.socket?.connected(undefined));
  }

  readable(conn: Connection): void {
    if (!this.reading) return;
    const socket = this.socket as Socket;
    if (this.onread === undefined) {
      if (discards(socket)) {
        this.#discard(conn);
        socket._unrefTimer();
        return;
      }
      if (conn.readable < LARGE) {
        this.#gather(conn, socket);
        return;
      }
    }
    this.pump();
  }

  writable(_conn: Connection): void {
    if (this.#chunk !== undefined) this.#run(() => this.#flush());
  }

  ended(_conn: Connection): void {
    this.#soon();
  }

  closed(conn: Connection, by: ClosedBy): void {
    const socket = this.socket;
    if (socket === undefined) {
      this.conn = undefined;
      return;
    }
    if (by === "shutdown") {
      // Whoever closed the stack meant it: no socket has anything to complain of.
      setImmediate(() => {
        socket.destroy();
      });
      return;
    }
    if (socket.connecting) {
      this.conn = undefined;
      this.#run(() => socket.connected(codeOf(by, true, conn.tcb.icmpError) ?? "ECONNABORTED"));
      return;
    }
    // Where both sides have ended there is no error; what is unread stays in the connection until the reader takes it.
    const failure = codeOf(by, false, conn.tcb.icmpError) ?? (conn.ended ? undefined : "ECONNABORTED");
    if (failure === undefined) {
      this.#soon();
      return;
    }
    this.pump();
    this.#cause = failure;
    // One turn may bring the connection and its end. Whoever waits for `connection` with a promise is to come first, as
    // the kernel's sockets let him: an error that nobody listens for yet would be an uncaught exception.
    setImmediate(() => {
      this.failure = failure;
      this.pump();
      if (this.#done !== undefined) this.#run(() => this.#failWrite());
    });
  }

  /** Upcalls must not throw: what user code throws becomes an uncaught exception, as it does from any event of Node's. */
  #run(step: () => void): void {
    try {
      this.resource.runInAsyncScope(step);
    } catch (error) {
      rethrow(error);
    }
  }

  // ——— reading ———

  /** The reader wants octets. They are never given from inside its call. */
  read(): void {
    if (this.reading) return;
    this.reading = true;
    const conn = this.conn;
    if (conn !== undefined && (conn.readable > 0 || conn.ended || this.failure !== undefined)) process.nextTick(pump, this);
  }

  #soon(): void {
    if (!this.reading || this.#queued) return;
    this.#queued = true;
    this.context.atEndOfTurn(this);
  }

  /** Hands over what there is, as far as the reader takes it; then the end, or what went wrong. */
  pump(): void {
    this.#queued = false;
    // A listener may lead back here: where it enters native code of Node's (TLS, http2) from a turn that the device began,
    // ticks run before it returns. The call below it goes on with the work.
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      this.resource.runInAsyncScope(this.#handOver, this);
    } catch (error) {
      rethrow(error);
      // Where the exception is survived, what is left still has its turn.
      process.nextTick(pump, this);
    }
    this.#pumping = false;
  }

  #handOver(): void {
    const conn = this.conn,
      socket = this.socket;
    if (conn === undefined || socket === undefined) return;
    if (this.#gathered > 0) this.#giveGathered(socket);
    while (this.reading && conn === this.conn && conn.readable > 0) {
      if (this.onread !== undefined) this.#giveToUser(conn, this.onread);
      else if (discards(socket)) this.#discard(conn);
      else this.#give(conn, socket);
    }
    if (this.reading && conn === this.conn && conn.readable === 0) this.#finish(conn, socket);
  }

  #give(conn: Connection, socket: Socket): void {
    const readable = conn.readable;
    let most = CHUNK;
    if (!flows(socket)) {
      const mark = socket.readableHighWaterMark;
      const room = mark - socket.readableLength;
      // Asked for with the buffer full (`read(n)` counts on what it is about to take away): one more chunk is owed.
      most = room > 0 ? room : Math.max(mark, LARGE);
    }
    const chunk = Buffer.allocUnsafe(readable < most ? readable : most);
    this.#deliver(socket, chunk, conn.receive(chunk, 0, chunk.length));
  }

  #deliver(socket: Socket, chunk: Buffer, octets: number): void {
    this.bytesRead += octets;
    socket._unrefTimer();
    if (!socket.push(chunk)) this.reading = false;
  }

  #discard(conn: Connection): void {
    const n = conn.readable;
    conn.skip(n);
    this.bytesRead += n;
  }

  /**
   * Takes a small segment out of the device's ring at once, and hands it over at the end of the turn: the reader gets
   * one chunk for all that came in a row, and what a reset follows within the same turn is not lost.
   */
  #gather(conn: Connection, socket: Socket): void {
    const { block } = this.context;
    if (block.owner !== this || block.used === BLOCK) {
      if (this.#gathered > 0) this.pump();
      if (!this.reading || conn !== this.conn) return;
      if (block.used + LARGE > BLOCK) block.renew();
      block.owner = this;
      this.#start = block.used;
      this.#from = block.bytes;
    }
    const room = flows(socket) ? LARGE : Math.max(socket.readableHighWaterMark, 1) - socket.readableLength - this.#gathered;
    const n = room > 0 ? conn.receive(block.bytes, block.used, Math.min(conn.readable, BLOCK - block.used, room)) : 0;
    block.used += n;
    this.#gathered += n;
    this.#soon();
  }

  #giveGathered(socket: Socket): void {
    const { block } = this.context,
      octets = this.#gathered;
    this.#gathered = 0;
    if (block.owner === this) block.owner = undefined;
    this.#deliver(socket, block.cut(this.#from as Buffer, this.#start, octets), octets);
  }

  #giveToUser(conn: Connection, onread: OnRead): void {
    const buffer = (this.#userBuffer ??= typeof onread.buffer === "function" ? onread.buffer() : onread.buffer);
    if (buffer.length === 0) {
      this.socket?.destroy(errnoError("ENOBUFS", "read"));
      return;
    }
    const n = conn.receive(buffer, 0, buffer.length);
    this.bytesRead += n;
    this.socket?._unrefTimer();
    if (onread.callback(n, buffer) === false) this.reading = false;
    if (typeof onread.buffer === "function") {
      const next = onread.buffer();
      if (next instanceof Uint8Array) this.#userBuffer = next;
    }
  }

  #finish(conn: Connection, socket: Socket): void {
    const failure = this.failure;
    if (conn.ended) {
      if (!this.#eof) {
        this.#eof = true;
        socket._unrefTimer();
        socket.push(null);
        socket.read(0);
      }
      return;
    }
    if (failure !== undefined) {
      this.reading = false;
      socket.destroy(errnoError(failure, "read"));
    }
  }

  // ——— writing ———

  /** Sends one chunk. `done` is called at once when all of it was taken, else when it is. */
  write(chunk: Uint8Array | string, encoding: BufferEncoding, done: Done): void {
    if (this.#isGone) {
      done(errnoError(this.#cause ?? "EPIPE", "write"));
      return;
    }
    this.#next = 0;
    if (this.#offer(chunk, encoding)) done();
    else this.#done = done;
  }

  writev(pieces: readonly Piece[], done: Done): void {
    if (this.#isGone) {
      done(errnoError(this.#cause ?? "EPIPE", "write"));
      return;
    }
    let i = 0;
    for (; i < pieces.length; i++) {
      const piece = pieces[i] as Piece;
      if (!this.#offer(piece.chunk, piece.encoding)) break;
    }
    if (i === pieces.length) {
      done();
      return;
    }
    this.#rest = pieces;
    this.#next = i + 1;
    for (i++; i < pieces.length; i++) {
      const { chunk, encoding } = pieces[i] as Piece;
      this.bytesWritten += typeof chunk === "string" ? Buffer.byteLength(chunk, encoding) : chunk.length;
    }
    this.#done = done;
  }

  /** @returns whether all was taken; else the rest is in `#chunk` from `#offset` on */
  #offer(chunk: Uint8Array | string, encoding: BufferEncoding, counted = false): boolean {
    const conn = this.conn as Connection;
    let bytes: Uint8Array, length: number;
    if (typeof chunk === "string") {
      const { scratch } = this.context;
      if (chunk.length * 3 <= scratch.length) {
        length = scratch.write(chunk, encoding);
        bytes = scratch;
      } else {
        bytes = Buffer.from(chunk, encoding);
        length = bytes.length;
      }
    } else {
      bytes = chunk;
      length = chunk.length;
    }
    if (!counted) this.bytesWritten += length;
    const taken = send(conn, bytes, 0, length);
    if (taken === length) return true;
    if (bytes === this.context.scratch) {
      this.#chunk = Buffer.from(bytes.subarray(taken, length));
      this.#offset = 0;
    } else {
      this.#chunk = bytes;
      this.#offset = taken;
    }
    return false;
  }

  /** The peer is gone, and the reader has not come to hear of it: nothing is taken any more. */
  get #isGone(): boolean {
    const { state } = this.conn as Connection;
    return state === "CLOSED" || state === "TIME-WAIT";
  }

  #failWrite(): void {
    const done = this.#done as Done;
    this.#done = undefined;
    this.#chunk = undefined;
    this.#rest = undefined;
    done(errnoError(this.#cause ?? "EPIPE", "write"));
  }

  #flush(): void {
    const conn = this.conn,
      chunk = this.#chunk;
    if (conn === undefined || chunk === undefined) return;
    this.#offset += send(conn, chunk, this.#offset, chunk.length - this.#offset);
    if (this.#offset < chunk.length) return;
    this.#chunk = undefined;
    const rest = this.#rest;
    if (rest !== undefined) {
      while (this.#next < rest.length) {
        const piece = rest[this.#next++] as Piece;
        if (!this.#offer(piece.chunk, piece.encoding, true)) return;
      }
      this.#rest = undefined;
    }
    const done = this.#done as Done;
    this.#done = undefined;
    this.socket?._unrefTimer();
    done();
  }

  /** Octets that were written and that the send queue has not taken. */
  get waiting(): number {
    return this.#chunk === undefined ? 0 : this.#chunk.length - this.#offset;
  }

  /** CLOSE: FIN follows what is queued. */
  shutdown(): void {
    this.conn?.close();
  }
}

function pump(handle: Handle): void {
  handle.pump();
}

function rethrow(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

function send(conn: Connection, bytes: Uint8Array, offset: number, length: number): number {
  const shared = (bytes as SharedChunk)[SHARED];
  return shared === undefined ? conn.send(bytes, offset, length) : conn.sendShared(shared.memory, shared.offset + offset, length);
}

/** Flowing, and nobody listens: what `resume()` without a listener means. */
const discards = (socket: Socket): boolean =>
  socket.listenerCount("data") === 0 && socket.readableFlowing === true && socket.readableLength === 0 && socket.listenerCount("readable") === 0;

/** A listener takes each chunk as it comes; nothing stays in the stream's buffer. */
const flows = (socket: Socket): boolean => socket.readableFlowing === true && socket.readableLength === 0;
