/** `node:net`, made of one stack of ours: the same names, the same arguments. */
import * as nodeNet from "node:net";
import type { LookupFunction } from "node:net";
import type { EventEmitter } from "node:events";
import type { Connection } from "../tcp/connection.js";
import type { Millis } from "../tcp/time.js";
import type { ConnectionUser } from "../tcp/user.js";
import { Context, type ListenerLike, type StackLike } from "./context.js";
import { Server, type ListenOptions, type ServerOptions } from "./server.js";
import { share } from "./shared.js";
import { normalizeArgs, Socket, type ConnectOptions, type SocketOptions } from "./socket.js";

export interface NetOptions {
  /** The time of the stack's clock, milliseconds. */
  now: () => Millis;
  /** Resolves host names; default `dns.lookup`. Addresses never reach it. */
  lookup?: LookupFunction | undefined;
}

export interface SocketConstructor {
  new (options?: SocketOptions | null): Socket;
  (options?: SocketOptions | null): Socket;
  readonly prototype: Socket;
}
export interface ServerConstructor {
  new (options?: ServerOptions | ((socket: Socket) => void) | null, connectionListener?: (socket: Socket) => void): Server;
  (options?: ServerOptions | ((socket: Socket) => void) | null, connectionListener?: (socket: Socket) => void): Server;
  readonly prototype: Server;
}

interface Connect {
  (options: ConnectOptions, connectionListener?: () => void): Socket;
  (port: number | string, host?: string, connectionListener?: () => void): Socket;
  (port: number | string, connectionListener?: () => void): Socket;
}

export interface Net {
  createServer(connectionListener?: (socket: Socket) => void): Server;
  createServer(options?: ServerOptions | null, connectionListener?: (socket: Socket) => void): Server;
  readonly connect: Connect;
  readonly createConnection: Connect;
  readonly Server: ServerConstructor;
  readonly Socket: SocketConstructor;
  readonly Stream: SocketConstructor;
  readonly isIP: typeof nodeNet.isIP;
  readonly isIPv4: typeof nodeNet.isIPv4;
  readonly isIPv6: typeof nodeNet.isIPv6;
  readonly BlockList: typeof nodeNet.BlockList;
  readonly SocketAddress: typeof nodeNet.SocketAddress;
  readonly getDefaultAutoSelectFamily: () => boolean;
  readonly setDefaultAutoSelectFamily: (value: boolean) => void;
  readonly getDefaultAutoSelectFamilyAttemptTimeout: () => number;
  readonly setDefaultAutoSelectFamilyAttemptTimeout: (value: number) => void;
  /**
   * Extension: a copy of `bytes` that every socket of this API sends by reference, through whatever layers hand it on
   * whole (`socket.write`, `response.write`). It must never change.
   */
  share(bytes: Uint8Array): Buffer;
  /**
   * Extension: lets any server of Node's (http, https, http2, tls, or a framework's) serve connections of this stack.
   * @returns the listening side; closing it leaves `server` as it is
   */
  serve(server: EventEmitter, where: ListenOptions, options?: ServerOptions): Server;
  /**
   * Extension: connections as the stack has them, without a socket around each. For services that are made of little more
   * than their connections; a socket costs several times as much as what is under it.
   * @throws StackError EADDRINUSE, EADDRNOTAVAIL
   */
  accept(where: { port: number; host?: string | undefined; backlog?: number | undefined }, open: (conn: Connection) => ConnectionUser): ListenerLike;
}

/** Classes cannot be called; `net.Socket()` and `net.Server()` can. */
function callable<C extends new (...args: never[]) => object>(Class: C): C {
  const face: C = new Proxy(Class, {
    apply: (target, _this, args) => Reflect.construct(target, args) as object,
    // With the proxy itself as new.target the engine would make a hidden class for each object: a hundred times slower.
    construct: (target, args, newTarget) => Reflect.construct(target, args, newTarget === face ? target : newTarget) as object,
  });
  return face;
}

/** Makes the API for one stack. */
export function createNet(stack: StackLike, options: NetOptions): Net & { readonly context: Context } {
  const context = new Context(stack, options.now, options.lookup);
  class BoundSocket extends Socket {}
  class BoundServer extends Server {}
  Object.defineProperty(BoundSocket, "name", { value: "Socket" });
  Object.defineProperty(BoundServer, "name", { value: "Server" });
  Object.defineProperty(BoundSocket.prototype, "context", { value: context });
  Object.defineProperties(BoundServer.prototype, { context: { value: context }, SocketClass: { value: BoundSocket } });

  const connect = ((...args: unknown[]) => {
    const [given, listener] = normalizeArgs(args);
    const socket = new BoundSocket(given as SocketOptions);
    const timeout = (given as Partial<ConnectOptions>).timeout;
    if (timeout) socket.setTimeout(timeout);
    return socket.connect(given as unknown as ConnectOptions, listener as (() => void) | undefined);
  }) as Connect;
  const SocketFace = callable(BoundSocket) as unknown as SocketConstructor;
  const ServerFace = callable(BoundServer) as unknown as ServerConstructor;
  const createServer: Net["createServer"] = (a?: unknown, b?: (socket: Socket) => void) => new BoundServer(a as ServerOptions, b);
  return {
    context,
    createServer,
    connect,
    createConnection: connect,
    Server: ServerFace,
    Socket: SocketFace,
    Stream: SocketFace,
    isIP: nodeNet.isIP,
    isIPv4: nodeNet.isIPv4,
    isIPv6: nodeNet.isIPv6,
    BlockList: nodeNet.BlockList,
    SocketAddress: nodeNet.SocketAddress,
    getDefaultAutoSelectFamily: nodeNet.getDefaultAutoSelectFamily,
    setDefaultAutoSelectFamily: nodeNet.setDefaultAutoSelectFamily,
    getDefaultAutoSelectFamilyAttemptTimeout: nodeNet.getDefaultAutoSelectFamilyAttemptTimeout,
    setDefaultAutoSelectFamilyAttemptTimeout: nodeNet.setDefaultAutoSelectFamilyAttemptTimeout,
    share,
    serve: (server, where, serverOptions) => {
      // As http.Server sets its own sockets up: half open, so that a client may end its request, and without Nagle.
      const own = createServer({ allowHalfOpen: true, noDelay: true, ...serverOptions }, (socket) => {
        server.emit("connection", socket);
      });
      return own.listen(where);
    },
    accept: (where, open) => {
      const listener = stack.listen(
        { port: where.port, ...(where.host !== undefined && { address: where.host }), ...(where.backlog !== undefined && { backlog: where.backlog }) },
        open,
      );
      context.lifetime.hold();
      let closed = false;
      return {
        port: listener.port,
        get waiting() {
          return listener.waiting;
        },
        set waiting(n) {
          listener.waiting = n;
        },
        close() {
          if (closed) return;
          closed = true;
          context.lifetime.letGo();
          listener.close();
        },
      };
    },
  };
}
