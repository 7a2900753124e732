/**
 * A socket in the manner of `net.Socket` on a connection of ours: the same events in the same order, the same arguments
 * and errors. What differs on purpose is listed in docs/sockets.md.
 */
import { lookup as dnsLookup, ADDRCONFIG } from "node:dns";
import { isIP, type AddressInfo, type BlockList, type LookupFunction, type SocketConnectOpts, type SocketReadyState } from "node:net";
import { addAbortSignal, Duplex } from "node:stream";
import type { TcpOptions } from "../tcp/options.js";
import { isSynchronized } from "../tcp/state.js";
import type { Status } from "../tcp/status.js";
import type { Context, StackLike } from "./context.js";
import { codeOfThrown, hostPortError } from "./errors.js";
import { Handle, socketResource, type OnRead, type Piece } from "./handle.js";
import {
  badPort,
  checkBoolean,
  checkDuration,
  checkFunction,
  checkInt32,
  checkNumber,
  checkPort,
  closedBeforeConnection,
  endedByPeer,
  invalidArgType,
  invalidArgValue,
  invalidFamily,
  invalidIp,
  ipBlocked,
  missingArgs,
  socketClosed,
} from "./node-errors.js";
import type { Server } from "./server.js";
import { shared } from "./shared.js";

/** Options of `new Socket()`; those of `net.Socket` but for `fd`. */
export interface SocketOptions {
  /** Keep the writable side open when the peer has ended. Default false. */
  allowHalfOpen?: boolean | undefined;
  readable?: boolean | undefined;
  writable?: boolean | undefined;
  signal?: AbortSignal | undefined;
  onread?: OnRead | null | undefined;
  highWaterMark?: number | undefined;
  readableHighWaterMark?: number | undefined;
  writableHighWaterMark?: number | undefined;
  /** Turns the Nagle algorithm off (RFC 9293 §3.7.4). Default false. */
  noDelay?: boolean | undefined;
  /** Probes when idle (RFC 9293 §3.8.4). Default false. */
  keepAlive?: boolean | undefined;
  /** Idle time before the first probe, milliseconds; whole seconds count. 0: the stack's `keepAliveIdle`. */
  keepAliveInitialDelay?: number | undefined;
}

/** Options of `connect()`. */
export interface ConnectOptions extends SocketOptions {
  port: number | string;
  /** Name or address. Default "localhost". */
  host?: string | undefined;
  localAddress?: string | undefined;
  localPort?: number | undefined;
  family?: number | string | undefined;
  hints?: number | undefined;
  lookup?: LookupFunction | undefined;
  /** Milliseconds of silence before `timeout`. */
  timeout?: number | undefined;
  blockList?: BlockList | undefined;
  autoSelectFamily?: boolean | undefined;
  autoSelectFamilyAttemptTimeout?: number | undefined;
  path?: string | undefined;
  /** Options of the TCP core for this connection. */
  tcp?: Partial<TcpOptions> | undefined;
}

export type WriteCallback = (error?: Error | null) => void;

interface Destination {
  readonly address: string;
  readonly port: number;
  readonly family: number;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
}

/** `[options, callback]` from any of the forms that `connect` and `listen` take. */
export function normalizeArgs(args: readonly unknown[]): [options: Record<string, unknown>, callback: ((...a: never[]) => void) | undefined] {
  const first = args[0],
    last = args.at(-1);
  let options: Record<string, unknown> = {};
  if (typeof first === "object" && first !== null) options = first as Record<string, unknown>;
  else if (typeof first === "string" && !(Number(first) >= 0)) options.path = first;
  else if (args.length > 0) {
    options.port = first;
    if (typeof args[1] === "string") options.host = args[1];
  }
  return [options, typeof last === "function" ? (last as (...a: never[]) => void) : undefined];
}

const DUPLEX_DEFAULTS = { emitClose: false, autoDestroy: true, decodeStrings: false };

export class Socket extends Duplex {
  /** Set on the prototype of the class that `createNet` makes. */
  declare readonly context: Context;

  connecting = false;
  /** Our end; undefined without a connection. */
  declare readonly localAddress?: string;
  declare readonly localPort?: number;
  declare readonly localFamily?: string;
  static {
    // Optional, as in Node's types, which an accessor cannot be.
    Object.defineProperties(this.prototype, {
      localAddress: {
        enumerable: true,
        get(this: Socket) {
          return this.#handle?.conn?.localAddress;
        },
      },
      localPort: {
        enumerable: true,
        get(this: Socket) {
          return this.#handle?.conn?.localPort;
        },
      },
      localFamily: {
        enumerable: true,
        get(this: Socket) {
          return familyOf(this.localAddress);
        },
      },
    });
  }
  /** Milliseconds given to `setTimeout`; undefined before. */
  declare timeout?: number;
  declare autoSelectFamilyAttemptedAddresses: string[];
  declare allowHalfOpen: boolean;
  /** The server that accepted it. Node's http hangs its own server here. */
  server: unknown = null;
  _server: Server | null = null;
  _parent: Socket | null = null;

  #handle: Handle | null = null;
  #timer: NodeJS.Timeout | undefined;
  #onread: OnRead | undefined;
  #noDelay = false;
  #keepAlive = false;
  #keepAliveDelay = 0;
  #resetting = false;
  /** What waits for the connection. */
  #pending: readonly Piece[] | undefined;
  #to: Destination | undefined;
  #read = 0;
  #written = 0;
  #peerName: AddressInfo | undefined;
  /** The last seen number of octets waiting in the handle: a write that moves is not idle. */
  #lastWaiting = 0;

  /** @param handle an accepted connection; internal */
  constructor(options?: SocketOptions | null, handle?: Handle) {
    super(handle !== undefined ? (options as object) : duplexOptions(options));
    this.on("end", onEnd);
    if (handle !== undefined) {
      this.#handle = handle;
      handle.socket = this;
      return;
    }
    if (options == null) return;
    this.#onread = usableOnRead(options.onread);
    this.#noDelay = Boolean(options.noDelay);
    this.#keepAlive = Boolean(options.keepAlive);
    this.#keepAliveDelay = seconds(options.keepAliveInitialDelay);
    if (options.signal) addAbortSignal(options.signal, this);
  }

  /** Takes over an accepted connection. Internal. */
  accept(server: Server, onread: OnRead | undefined, paused: boolean): void {
    const handle = this.#handle as Handle;
    this.server = server;
    this._server = server;
    handle.onread = usableOnRead(onread);
    this.#onread = handle.onread;
    if (server.noDelay) {
      this.#noDelay = true;
      handle.conn?.setNoDelay(true);
    }
    if (server.keepAlive) this.setKeepAlive(true, server.keepAliveInitialDelay * 1_000);
    handle.activate();
    if (paused) super.pause();
    else this.read(0);
  }

  /** STATUS (RFC 9293 §3.10.6): the live facts that `ss -i` prints. Undefined without a connection. */
  get tcp(): Status | undefined {
    return this.#handle?.conn?.status(this.context.now());
  }

  // ——— opening ———

  connect(options: ConnectOptions | SocketConnectOpts, connectionListener?: () => void): this;
  connect(port: number | string, host: string, connectionListener?: () => void): this;
  connect(port: number | string, connectionListener?: () => void): this;
  connect(...args: unknown[]): this {
    const [raw, listener] = normalizeArgs(args);
    const options = raw as Partial<ConnectOptions>;
    if (listener !== undefined) this.once("connect", listener as () => void);
    if (this._parent?.connecting === true) return this;
    if (options.port === undefined && options.path == null) throw missingArgs(["options", "port", "path"]);
    if (options.path) throw invalidArgValue("options.path", options.path, "is a local socket, and this stack speaks TCP");
    if (Object.hasOwn(this, "write")) delete (this as { write?: unknown }).write;
    if (this.destroyed) {
      this.#handle = null;
      this.#peerName = undefined;
    }
    if (this.#handle === null) {
      // A closed socket may be opened again.
      (this as unknown as { _undestroy(): void })._undestroy();
      const handle = new Handle(this.context, socketResource());
      handle.socket = this;
      handle.onread = this.#onread;
      this.#handle = handle;
    }
    this._unrefTimer();
    this.connecting = true;
    this.#lookup(options);
    return this;
  }

  #lookup(options: Partial<ConnectOptions>): void {
    const { localAddress, localPort } = options;
    const host = options.host || "localhost";
    if (localAddress && isIP(localAddress) === 0) throw invalidIp(localAddress);
    if (localPort) checkNumber(localPort, "options.localPort");
    if (options.port !== undefined && typeof options.port !== "number" && typeof options.port !== "string") {
      throw invalidArgType("options.port", ["number", "string"], options.port);
    }
    const port = checkPort(options.port);
    if (options.autoSelectFamily != null) checkBoolean(options.autoSelectFamily, "options.autoSelectFamily");
    if (options.autoSelectFamilyAttemptTimeout != null) checkInt32(options.autoSelectFamilyAttemptTimeout, "options.autoSelectFamilyAttemptTimeout", 1);
    if (localPort && (localPort < 0 || localPort > 65_535)) throw badPort("options.localPort", localPort);

    const family = isIP(host);
    if (family !== 0) {
      process.nextTick(() => {
        if (this.connecting) this.#open(host, port, family, options);
      });
      return;
    }
    if (options.lookup != null) checkFunction(options.lookup, "options.lookup");
    const wanted = options.family === "IPv4" ? 4 : options.family === "IPv6" ? 6 : typeof options.family === "number" ? options.family : 0;
    const hints = options.hints || (wanted === 4 || wanted === 6 ? 0 : ADDRCONFIG);
    const lookup = options.lookup ?? this.context.lookup ?? (dnsLookup as LookupFunction);
    // An address that this stack can use is wanted, and it speaks IPv4 first.
    lookup(host, { family: wanted === 0 ? 4 : wanted, hints, all: false }, (error, found, foundFamily) => {
      const first = Array.isArray(found) ? found[0] : undefined;
      const ip = first !== undefined ? first.address : (found as string);
      const ipFamily = first !== undefined ? first.family : foundFamily;
      this.emit("lookup", error, ip, ipFamily, host);
      if (!this.connecting) return;
      if (error) process.nextTick(fail, this, error);
      else if (isIP(ip) === 0) process.nextTick(fail, this, invalidIp(ip));
      else if (ipFamily !== 4 && ipFamily !== 6) process.nextTick(fail, this, invalidFamily(ipFamily, options.host, options.port));
      else {
        this._unrefTimer();
        this.#open(ip, port, ipFamily, options);
      }
    });
  }

  #open(address: string, port: number, family: number, options: Partial<ConnectOptions>): void {
    const handle = this.#handle as Handle;
    const { localAddress, localPort } = options;
    if (options.blockList?.check(address, family === 6 ? "ipv6" : "ipv4") === true) {
      this.destroy(ipBlocked(address));
      return;
    }
    this.emit("connectionAttempt", address, port, family);
    if (!this.connecting) return;
    this.#to = { address, port, family, localAddress, localPort };
    if (this.context.closed) {
      this.destroy(hostPortError("ENETDOWN", "connect", address, port));
      return;
    }
    const before = handle.conn;
    if (before !== undefined) {
      // RFC 9293 §3.10.1: "connection already exists". As libuv has it, an open one is connected once more, and a
      // second attempt beside a running one fails.
      if (isSynchronized(before.state))
        setImmediate(() => {
          this.connected(undefined);
        });
      else this.destroy(hostPortError("EALREADY", "connect", address, port, `${before.localAddress}:${before.localPort}`));
      return;
    }
    const to: Parameters<StackLike["connect"]>[0] = { remoteAddress: address, remotePort: port };
    if (localAddress) to.localAddress = localAddress;
    if (localPort) to.localPort = localPort;
    if (options.tcp !== undefined) to.options = options.tcp;
    try {
      handle.conn = this.context.stack.connect(to, handle);
    } catch (thrown) {
      const code = codeOfThrown(thrown);
      const ours = (code === "EADDRINUSE" || code === "EADDRNOTAVAIL") && (Boolean(localAddress) || Boolean(localPort));
      this.destroy(
        ours ? hostPortError(code, "bind", localAddress || "0.0.0.0", localPort) : hostPortError(code, "connect", address, port, "undefined:undefined"),
      );
      return;
    }
    handle.activate();
  }
  /** The outcome of the active open: undefined, or an errno name. Internal. */
  connected(code: string | undefined): void {
    if (this.destroyed || !this.connecting) return;
    const to = this.#to as Destination;
    this.connecting = false;
    if (code !== undefined) {
      const local = to.localAddress && to.localPort ? `${to.localAddress}:${to.localPort}` : undefined;
      const error = hostPortError(code, "connect", to.address, to.port, local);
      if (local !== undefined) {
        error.localAddress = to.localAddress as string;
        error.localPort = to.localPort as number;
      }
      this.emit("connectionAttemptFailed", to.address, to.port, to.family, error);
      this.destroy(error);
      return;
    }
    this._unrefTimer();
    const conn = this.#handle?.conn;
    if (this.#noDelay) conn?.setNoDelay(true);
    if (this.#keepAlive) conn?.setKeepAlive(true, this.#keepAliveDelay > 0 ? this.#keepAliveDelay * 1_000 : undefined);
    this.emit("connect");
    this.emit("ready");
    if (!this.isPaused()) this.read(0);
  }

  // ——— reading ———

  override _read(size: number): void {
    if (this.connecting || this.#handle === null) this.once("connect", () => this._read(size));
    else this.#handle.read();
  }

  override pause(): this {
    if (this.#onread !== undefined && !this.connecting && this.#handle !== null) this.#handle.reading = false;
    return super.pause();
  }
  override resume(): this {
    if (this.#onread !== undefined && !this.connecting) this.#handle?.read();
    return super.resume();
  }
  override read(size?: number): ReturnType<Duplex["read"]> {
    if (this.#onread !== undefined && !this.connecting) this.#handle?.read();
    return super.read(size);
  }

  // ——— writing ———

  override _write(chunk: Uint8Array | string, encoding: BufferEncoding, done: WriteCallback): void {
    const handle = this.#handle;
    if (handle?.conn !== undefined && !this.connecting) {
      if (this.#timer !== undefined) this._unrefTimer();
      handle.write(chunk, encoding, done);
    } else this.#writeLater([{ chunk, encoding }], done, () => this._write(chunk, encoding, done));
  }

  override _writev(pieces: Piece[], done: WriteCallback): void {
    const handle = this.#handle;
    if (handle?.conn !== undefined && !this.connecting) {
      if (this.#timer !== undefined) this._unrefTimer();
      handle.writev(pieces, done);
    } else this.#writeLater(pieces, done, () => this._writev(pieces, done));
  }

  #writeLater(pieces: readonly Piece[], done: WriteCallback, again: () => void): void {
    if (!this.connecting) {
      done(socketClosed());
      return;
    }
    // The stream keeps what is written after this one until `done`.
    this.#pending = pieces;
    const onClose = (): void => done(closedBeforeConnection());
    this.once("connect", () => {
      this.off("close", onClose);
      this.#pending = undefined;
      again();
    });
    this.once("close", onClose);
  }

  /**
   * Writes by reference: the octets are sent from where they lie, and must never change afterwards. Otherwise as `write`.
   * An extension: node:net has no such thing. Octets that are sent more than once are best made by `net.share()`.
   * @param bytes memory that stays where it is (not a view of a buffer that is resized or transferred)
   * @returns false when the caller should wait for `drain`
   */
  writeShared(bytes: Uint8Array, done?: WriteCallback): boolean {
    return this.write(shared(bytes), done);
  }

  override _final(done: WriteCallback): void {
    if (this.pending) {
      this.once("connect", () => this._final(done));
      return;
    }
    this.#handle?.shutdown();
    // `finish` comes a turn of the event loop later, as with a descriptor: an error in between still goes first.
    setImmediate(done);
  }

  // ——— closing ———

  /** Ends, and destroys once all is handed to the stack. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", this.destroy);
  }

  /** ABORT (RFC 9293 §3.10.5): RST, then `close`. While connecting, once connected. */
  resetAndDestroy(): this {
    if (this.#handle === null) this.destroy(socketClosed());
    // Not from inside the event: the ACK that completes the handshake is to leave first, as the kernel's does.
    else if (this.connecting)
      this.once("connect", () => {
        process.nextTick(() => this.#reset());
      });
    else this.#reset();
    return this;
  }
  #reset(): void {
    this.#resetting = true;
    this.destroy();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.connecting = false;
    clearTimeout(this.#timer);
    const handle = this.#handle;
    if (handle !== null) {
      this.#read = handle.bytesRead;
      this.#written = handle.bytesWritten;
      this.#handle = null;
      if (this.#resetting) {
        this.#resetting = false;
        handle.reset();
      } else handle.close();
      setImmediate(emitClose, this, error !== null);
      done(error);
    } else {
      done(error);
      process.nextTick(emitClose, this);
    }
    this._server?.socketGone();
  }

  // ——— timing ———

  /** Emits `timeout` after so many milliseconds without traffic; 0 turns it off. Nothing is closed by it. */
  setTimeout(msecs: number, callback?: () => void): this {
    if (this.destroyed) return this;
    this.timeout = msecs;
    const duration = checkDuration(msecs, "msecs");
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (duration === 0) {
      if (callback !== undefined) {
        checkFunction(callback, "callback");
        this.removeListener("timeout", callback);
      }
      return this;
    }
    this.#timer = setTimeout(onTimeout, duration, this).unref();
    if (callback !== undefined) {
      checkFunction(callback, "callback");
      this.once("timeout", callback);
    }
    return this;
  }

  /** There was traffic: the idle time starts anew. Named as Node's, which TLS and http call. */
  _unrefTimer(): void {
    this.#timer?.refresh();
  }

  _onTimeout(): void {
    const waiting = this.#handle?.waiting ?? 0;
    if (waiting > 0 && waiting !== this.#lastWaiting) {
      this.#lastWaiting = waiting;
      this._unrefTimer();
      return;
    }
    this.emit("timeout");
  }

  /** Turns the Nagle algorithm off, or on again (RFC 9293 §3.7.4 MUST-17). */
  setNoDelay(enable?: boolean): this {
    const on = Boolean(enable === undefined ? true : enable);
    if (on === this.#noDelay) return this;
    this.#noDelay = on;
    if (!this.connecting) this.#handle?.conn?.setNoDelay(on);
    return this;
  }

  /** Probes an idle peer (RFC 9293 §3.8.4). @param initialDelay milliseconds, in whole seconds; 0: the stack's default */
  setKeepAlive(enable?: boolean, initialDelay?: number): this {
    const on = Boolean(enable),
      delay = seconds(initialDelay);
    if (on === this.#keepAlive && (!on || delay === this.#keepAliveDelay) && this.#handle !== null) return this;
    this.#keepAlive = on;
    this.#keepAliveDelay = delay;
    if (!this.connecting) this.#handle?.conn?.setKeepAlive(on, delay > 0 ? delay * 1_000 : undefined);
    return this;
  }

  ref(): this {
    if (this.#handle === null) this.once("connect", this.ref);
    else this.#handle.ref();
    return this;
  }
  /** The process may end while this socket is open. */
  unref(): this {
    if (this.#handle === null) this.once("connect", this.unref);
    else this.#handle.unref();
    return this;
  }

  // ——— facts ———

  get pending(): boolean {
    return this.#handle === null || this.connecting;
  }
  get _connecting(): boolean {
    return this.connecting;
  }
  get readyState(): SocketReadyState {
    if (this.connecting) return "opening";
    if (this.readable) return this.writable ? "open" : "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }
  get bufferSize(): number {
    return this.#handle === null ? (undefined as unknown as number) : this.writableLength;
  }
  get bytesRead(): number {
    return this.#handle === null ? this.#read : this.#handle.bytesRead;
  }
  get _bytesDispatched(): number {
    return this.#handle === null ? this.#written : this.#handle.bytesWritten;
  }
  get bytesWritten(): number {
    let bytes = this._bytesDispatched;
    const { writableBuffer } = this as unknown as { writableBuffer?: readonly Piece[] };
    for (const { chunk, encoding } of writableBuffer ?? []) bytes += octets(chunk, encoding);
    for (const { chunk, encoding } of this.#pending ?? []) bytes += octets(chunk, encoding);
    return bytes;
  }

  address(): AddressInfo | Record<string, never> {
    const conn = this.#handle?.conn;
    return conn === undefined ? {} : named(conn.localAddress, conn.localPort);
  }
  #peer(): AddressInfo | undefined {
    const conn = this.#handle?.conn;
    if (conn === undefined || this.connecting) return this.#peerName;
    return (this.#peerName ??= named(conn.remoteAddress, conn.remotePort));
  }
  get remoteAddress(): string | undefined {
    return this.#peer()?.address;
  }
  get remotePort(): number | undefined {
    return this.#peer()?.port;
  }
  get remoteFamily(): string | undefined {
    return this.#peer()?.family;
  }
}

export const familyOf = (address: string | undefined): "IPv4" | "IPv6" | undefined =>
  address === undefined ? undefined : address.includes(":") ? "IPv6" : "IPv4";
export const named = (address: string, port: number): AddressInfo => ({ address, family: familyOf(address) as string, port });

const octets = (chunk: Uint8Array | string, encoding?: BufferEncoding): number =>
  typeof chunk === "string" ? Buffer.byteLength(chunk, encoding) : chunk.length;
const seconds = (ms: number | undefined): number => ~~((ms as number) / 1_000);

function duplexOptions(options: SocketOptions | null | undefined): object {
  if (options == null) return DUPLEX_DEFAULTS_HALF_CLOSED;
  const given = options as SocketOptions & { objectMode?: unknown; readableObjectMode?: unknown; writableObjectMode?: unknown; fd?: unknown };
  for (const name of ["objectMode", "readableObjectMode", "writableObjectMode"] as const) {
    if (given[name]) throw invalidArgValue(`options.${name}`, given[name], "is not supported");
  }
  if (typeof options === "number" || given.fd !== undefined)
    throw invalidArgValue("options.fd", given.fd ?? options, "is a descriptor of the kernel's, and this stack has none");
  if (options.keepAliveInitialDelay !== undefined) checkNumber(options.keepAliveInitialDelay, "options.keepAliveInitialDelay");
  // The signal is heeded once the socket is whole: it may have been aborted already.
  // assign, and not two spreads: those make a slow object, and a slow stream of it.
  return Object.assign({}, options, DUPLEX_DEFAULTS, { allowHalfOpen: Boolean(options.allowHalfOpen), signal: undefined });
}
const DUPLEX_DEFAULTS_HALF_CLOSED = { ...DUPLEX_DEFAULTS, allowHalfOpen: false };

function usableOnRead(onread: OnRead | null | undefined): OnRead | undefined {
  if (onread === null || typeof onread !== "object" || typeof onread.callback !== "function") return undefined;
  return onread.buffer instanceof Uint8Array || typeof onread.buffer === "function" ? onread : undefined;
}

function onEnd(this: Socket): void {
  if (!this.allowHalfOpen) this.write = writeAfterEnd as Socket["write"];
}
/** Says whose doing it is that nothing more can be written; the stream's own words would blame the writer. */
function writeAfterEnd(this: Socket, chunk: Uint8Array | string, encoding?: BufferEncoding | WriteCallback, done?: WriteCallback): boolean {
  if (!this.writableEnded) return Duplex.prototype.write.call(this, chunk, encoding as BufferEncoding, done);
  const error = endedByPeer();
  const callback = typeof encoding === "function" ? encoding : done;
  if (typeof callback === "function") process.nextTick(callback, error);
  this.destroy(error);
  return false;
}
function onTimeout(socket: Socket): void {
  socket._onTimeout();
}
function fail(socket: Socket, error: Error): void {
  socket.destroy(error);
}
function emitClose(socket: Socket, hadError?: boolean): void {
  if (hadError === undefined) socket.emit("close");
  else socket.emit("close", hadError);
}
