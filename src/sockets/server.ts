/** A server in the manner of `net.Server` on listeners of our stack, and as an async iterator of its connections. */
import { lookup as dnsLookup } from "node:dns";
import { AsyncResource } from "node:async_hooks";
import { EventEmitter } from "node:events";
import { isIP, type AddressInfo, type BlockList, type DropArgument } from "node:net";
import { getDefaultHighWaterMark } from "node:stream";
import type { Connection } from "../tcp/connection.js";
import type { TcpOptions } from "../tcp/options.js";
import type { Context, ListenerLike } from "./context.js";
import { codeOfThrown, listenError } from "./errors.js";
import { Handle, socketResource, type OnRead } from "./handle.js";
import { alreadyListening, checkNumber, checkPort, checkSignal, invalidArgType, invalidArgValue, notRunning } from "./node-errors.js";
import { familyOf, named, normalizeArgs, type Socket, type SocketOptions } from "./socket.js";

/** Options of `createServer()`; those of node:net, and the extensions `onread`, `blockList` and `tcp`. */
export interface ServerOptions {
  /** Keep our side of an accepted socket open when the peer has ended. Default false. */
  allowHalfOpen?: boolean | undefined;
  /** Accepted sockets start paused: nothing is read, and the window closes. Default false. */
  pauseOnConnect?: boolean | undefined;
  noDelay?: boolean | undefined;
  keepAlive?: boolean | undefined;
  /** Milliseconds; whole seconds count. */
  keepAliveInitialDelay?: number | undefined;
  highWaterMark?: number | undefined;
  /** Addresses that are not served: such a connection is closed and no event tells of it. */
  blockList?: BlockList | undefined;
  /** Extension: accepted sockets are read into this buffer, as `onread` does for clients. */
  onread?: OnRead | undefined;
  /** Extension: options of the TCP core for accepted connections. */
  tcp?: Partial<TcpOptions> | undefined;
}

export interface ListenOptions {
  /** Extension: "any" accepts on every port that has no listener of its own. */
  port?: number | string | "any" | null | undefined;
  /** Name or address. Extensions: "any" and a list. Default: every address of the stack. */
  host?: string | readonly string[] | undefined;
  /** Connections that wait to be accepted; the stack's default is 511. */
  backlog?: number | undefined;
  signal?: AbortSignal | undefined;
  path?: string | undefined;
  exclusive?: boolean | undefined;
  ipv6Only?: boolean | undefined;
  readableAll?: boolean | undefined;
  writableAll?: boolean | undefined;
}

const ANY = new Set(["any", "0.0.0.0", "::"]);
/** From 21 on, `maxConnections = 0` means none; before, no limit. We do as the Node that runs us. */
const ZERO_MEANS_NONE = Number(process.versions.node.split(".", 1)[0]) >= 21;
const count = (value: unknown): number | undefined => (Number(value) >= 0 ? Number(value) || undefined : undefined);

export class Server extends EventEmitter {
  /** Set on the prototype of the class that `createNet` makes. */
  declare readonly context: Context;
  /** The class of accepted sockets; on the prototype too. */
  declare readonly SocketClass: new (
    options: SocketOptions,
    handle: Handle,
  ) => Socket;

  readonly allowHalfOpen: boolean;
  readonly pauseOnConnect: boolean;
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
  /** Seconds, as node:net keeps it. */
  readonly keepAliveInitialDelay: number;
  readonly highWaterMark: number;
  /** Connections above this are closed at once, and `drop` tells of each. */
  declare maxConnections: number;
  /** As node:net: of use in a cluster only, where this stack does not live. */
  declare dropMaxConnection: boolean;
  declare connections: number;

  _connections = 0;
  #listeners: ListenerLike[] | undefined;
  #where: AddressInfo | undefined;
  /** Makes a lookup that comes back after another `listen` or `close` void. */
  #attempt = 0;
  #referenced = true;
  #resource: AsyncResource | undefined;
  readonly #onread: OnRead | undefined;
  readonly #tcp: Partial<TcpOptions> | undefined;
  readonly #blockList: BlockList | undefined;
  readonly #socketOptions: SocketOptions;

  constructor(options?: ServerOptions | ((socket: Socket) => void) | null, connectionListener?: (socket: Socket) => void) {
    super();
    if (typeof options === "function") {
      this.on("connection", options);
      options = {};
    } else if (options != null && typeof options !== "object") throw invalidArgType("options", "Object", options);
    else if (typeof connectionListener === "function") this.on("connection", connectionListener);
    const given = options ?? {};
    if (given.keepAliveInitialDelay !== undefined) checkNumber(given.keepAliveInitialDelay, "options.keepAliveInitialDelay");
    if (given.highWaterMark !== undefined) checkNumber(given.highWaterMark, "options.highWaterMark");
    this.allowHalfOpen = Boolean(given.allowHalfOpen);
    this.pauseOnConnect = Boolean(given.pauseOnConnect);
    this.noDelay = Boolean(given.noDelay);
    this.keepAlive = Boolean(given.keepAlive);
    this.keepAliveInitialDelay = ~~(Math.max(0, given.keepAliveInitialDelay ?? 0) / 1_000);
    const mark = given.highWaterMark;
    this.highWaterMark = mark === undefined || mark < 0 ? getDefaultHighWaterMark(false) : mark;
    this.#onread = given.onread;
    this.#tcp = given.tcp;
    this.#blockList = given.blockList;
    this.#socketOptions = {
      allowHalfOpen: this.allowHalfOpen,
      readableHighWaterMark: this.highWaterMark,
      writableHighWaterMark: this.highWaterMark,
      ...{ emitClose: false, autoDestroy: true, decodeStrings: false },
    };
  }

  listen(port?: number | string, hostname?: string, backlog?: number, listeningListener?: () => void): this;
  listen(port?: number | string, hostname?: string, listeningListener?: () => void): this;
  listen(port?: number | string, backlog?: number, listeningListener?: () => void): this;
  listen(port?: number | string | null, listeningListener?: () => void): this;
  listen(listeningListener?: () => void): this;
  listen(options: ListenOptions, listeningListener?: () => void): this;
  listen(...args: unknown[]): this {
    const [raw, listener] = normalizeArgs(args);
    const options = raw as ListenOptions & { fd?: unknown; handle?: unknown; _handle?: unknown };
    if (this.#listeners !== undefined) throw alreadyListening();
    if (listener !== undefined) this.once("listening", listener as () => void);
    this.#attempt++;
    if ((options.fd !== undefined && typeof options.fd === "number" && options.fd >= 0) || options.handle != null || options._handle != null) {
      throw invalidArgValue("options", options, "is a handle of the kernel's, and this stack has none");
    }
    this.#heed(options.signal);
    const anyPort = typeof args[0] !== "string" && options.port === "any";
    let port: number | "any" | undefined;
    if (anyPort) port = "any";
    else if (args.length === 0 || typeof args[0] === "function" || options.port === null || (options.port === undefined && "port" in options)) port = 0;
    else if (typeof options.port === "number" || typeof options.port === "string") port = checkPort(options.port, "options.port");
    if (port === undefined) {
      if (!("port" in options) && !("path" in options)) throw invalidArgValue("options", options, 'must have the property "port" or "path"');
      if (typeof options.path === "string") throw invalidArgValue("options.path", options.path, "is a local socket, and this stack speaks TCP");
      throw invalidArgValue("options", options);
    }
    const backlog = options.backlog || count(args[1]) || count(args[2]);
    if (Array.isArray(options.host)) this.#resolveAll(options.host as readonly string[], port, backlog);
    else if (options.host && options.host !== "any") this.#resolveAll([options.host as string], port, backlog);
    else this.#bind([undefined], port, backlog);
    return this;
  }

  #heed(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    checkSignal(signal, "options.signal");
    const onAbort = (): void => {
      this.close();
    };
    if (signal.aborted) process.nextTick(onAbort);
    else {
      signal.addEventListener("abort", onAbort, { once: true });
      this.once("close", () => signal.removeEventListener("abort", onAbort));
    }
  }

  #resolveAll(hosts: readonly string[], port: number | "any", backlog: number | undefined): void {
    const attempt = this.#attempt;
    const found: string[] = [];
    const next = (): void => {
      const host = hosts[found.length];
      if (host === undefined) {
        this.#bind(
          found.map((a) => (ANY.has(a) ? undefined : a)),
          port,
          backlog,
          found[0],
        );
        return;
      }
      const lookup = (isIP(host) === 0 ? this.context.lookup : undefined) ?? dnsLookup;
      lookup(host, { family: isIP(host) === 0 ? 4 : 0, all: false }, (error: Error | null, address: unknown) => {
        if (attempt !== this.#attempt) return;
        if (error) {
          this.emit("error", error);
          return;
        }
        found.push(address as string);
        next();
      });
    };
    next();
  }

  #bind(addresses: readonly (string | undefined)[], port: number | "any", backlog: number | undefined, asked?: string): void {
    const bound: ListenerLike[] = [];
    let actual = port;
    try {
      if (this.context.closed) throw Object.assign(new Error("the stack is closed"), { code: "ENETDOWN" });
      for (const address of addresses) {
        const listener = this.context.stack.listen(
          {
            ...(address === undefined ? {} : { address }),
            port: actual,
            ...(backlog === undefined ? {} : { backlog: Math.floor(backlog) }),
            ...(this.#tcp === undefined ? {} : { options: this.#tcp }),
          },
          this.#accept,
        );
        bound.push(listener);
        actual = listener.port; // an ephemeral port is the same on every address of the list
      }
    } catch (thrown) {
      for (const listener of bound) listener.close();
      const error = listenError(
        codeOfThrown(thrown),
        addresses.length === 1 ? (addresses[0] ?? asked ?? "0.0.0.0") : addresses[bound.length],
        port === "any" ? undefined : port,
      );
      process.nextTick(() => this.emit("error", error));
      return;
    }
    this.#listeners = bound;
    this.context.servers.add(this);
    this.#resource = new AsyncResource("GLASSTCPSERVER", { requireManualDestroy: true });
    this.#where = named(addresses[0] ?? asked ?? "0.0.0.0", actual === "any" ? 0 : actual);
    if (this.#referenced) this.context.lifetime.hold();
    process.nextTick(() => {
      if (this.#listeners === bound) this.emit("listening");
    });
  }

  readonly #accept = (conn: Connection): Handle => {
    const handle = new Handle(this.context, this.#resource as AsyncResource);
    handle.conn = conn;
    handle.server = this;
    return handle;
  };

  /** A connection is established. Internal. */
  accepted(handle: Handle): void {
    const conn = handle.conn as Connection;
    const limit = this.maxConnections;
    if (limit != null && (limit > 0 || ZERO_MEANS_NONE) && this._connections >= limit) {
      const { localAddress, localPort, remoteAddress, remotePort } = conn;
      const data = { localAddress, localPort, localFamily: familyOf(localAddress), remoteAddress, remotePort, remoteFamily: familyOf(remoteAddress) };
      this.emit("drop", data as DropArgument);
      handle.close();
      return;
    }
    const { remoteAddress } = conn;
    if (this.#blockList?.check(remoteAddress, remoteAddress.includes(":") ? "ipv6" : "ipv4") === true) {
      handle.close();
      return;
    }
    handle.resource = socketResource();
    const socket = new this.SocketClass(this.#socketOptions, handle);
    this._connections++;
    socket.accept(this, this.#onread, this.pauseOnConnect);
    this.emit("connection", socket);
  }

  /** A socket of ours is destroyed. Internal. */
  socketGone(): void {
    this._connections--;
    this._emitCloseIfDrained();
  }

  get listening(): boolean {
    return this.#listeners !== undefined;
  }

  /** Where the server listens; null when it does not. With port "any" the port reads 0. */
  address(): AddressInfo | null {
    return this.#listeners === undefined || this.#where === undefined ? null : { ...this.#where };
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(callback, null, this._connections);
    return this;
  }

  /** Accepts no more; `close` comes when the last connection is gone. */
  close(callback?: (error?: Error) => void): this {
    this.#attempt++;
    const listeners = this.#listeners;
    if (typeof callback === "function") {
      if (listeners === undefined) this.once("close", () => callback(notRunning()));
      else this.once("close", callback);
    }
    if (listeners !== undefined) {
      this.#listeners = undefined;
      this.context.servers.delete(this);
      for (const listener of listeners) listener.close();
      if (this.#referenced) this.context.lifetime.letGo();
    }
    this._emitCloseIfDrained();
    return this;
  }

  _emitCloseIfDrained(): void {
    if (this.#listeners !== undefined || this._connections > 0) return;
    process.nextTick(() => this.emit("close"));
  }

  ref(): this {
    if (!this.#referenced && this.#listeners !== undefined) this.context.lifetime.hold();
    this.#referenced = true;
    return this;
  }
  /** The process may end while this server listens. */
  unref(): this {
    if (this.#referenced && this.#listeners !== undefined) this.context.lifetime.letGo();
    this.#referenced = false;
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#listeners === undefined) return;
    await new Promise<void>((resolve, reject) => {
      this.close((error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  override [EventEmitter.captureRejectionSymbol](error: Error, event: string | symbol, ...args: unknown[]): void {
    if (event === "connection") (args[0] as Socket).destroy(error);
    else this.emit("error", error);
  }

  /**
   * Extension: the connections, one by one, until the server closes. Leaving the loop does not close the server;
   * connections that nobody has taken by then are destroyed. A loop that is slow fills the accept queue: with `backlog`
   * connections waiting SYNs are dropped.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Socket, void, void> {
    const waiting: Socket[] = [];
    let wake = (): void => {};
    let closed = false,
      failed: Error | undefined;
    // The accept queue of each address: the loop takes from all of them in turn.
    const count = (): void => {
      for (const listener of this.#listeners ?? []) listener.waiting = waiting.length;
    };
    const onConnection = (socket: Socket): void => {
      waiting.push(socket);
      count();
      wake();
    };
    const onClose = (): void => {
      closed = true;
      wake();
    };
    const onError = (error: Error): void => {
      failed = error;
      wake();
    };
    this.on("connection", onConnection).on("close", onClose).on("error", onError);
    try {
      for (;;) {
        const socket = waiting.shift();
        count();
        if (socket !== undefined) yield socket;
        else if (failed !== undefined) throw failed;
        else if (closed) return;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      this.off("connection", onConnection).off("close", onClose).off("error", onError);
      for (const socket of waiting.splice(0)) socket.destroy();
      count();
    }
  }
}
