/** What an application is: something that serves on sockets in the manner of node:net, ours or Node's own. */
import type { AddressInfo, Socket } from "node:net";
import type { Connection, ConnectionUser } from "../sockets/direct.js";
import { type Placed, Roster } from "./roster.js";

/** The part of `node:net` that applications use, and the extensions that they use where they are there. */
export interface NetLike {
  createServer(options: { allowHalfOpen?: boolean; noDelay?: boolean }, onConnection: (socket: Socket) => void): ServerLike;
  /** Ours only: octets that are sent by reference. */
  share?(bytes: Uint8Array): Buffer;
  /** Ours only: connections without sockets. */
  accept?(
    where: { port: number; host?: string | undefined; backlog?: number | undefined },
    open: (conn: Connection) => ConnectionUser,
  ): { readonly port: number | "any"; close(): void };
}
export interface ServerLike {
  listen(where: { port: number; host?: string | undefined; backlog?: number | undefined }): unknown;
  close(callback?: (error?: Error) => void): unknown;
  address(): AddressInfo | string | null;
  once(event: string, listener: (...args: never[]) => void): unknown;
  off(event: string, listener: (...args: never[]) => void): unknown;
}

export interface Where {
  /** Default: the service's own port. */
  readonly port?: number | undefined;
  /** Default: every address. */
  readonly host?: string | undefined;
  readonly backlog?: number | undefined;
}

export interface RunningService {
  readonly name: string;
  readonly port: number;
  /** Accepts no more, and ends the connections that are open. */
  close(): Promise<void>;
}

export interface Service {
  readonly name: string;
  readonly defaultPort: number;
  /** One line for help texts. */
  readonly summary: string;
  /** Starts listening. @throws what `listen` reports: EADDRINUSE, EADDRNOTAVAIL */
  start(net: NetLike, where?: Where): Promise<RunningService>;
}

interface Definition {
  readonly name: string;
  readonly defaultPort: number;
  readonly summary: string;
  readonly allowHalfOpen?: boolean;
  readonly noDelay?: boolean;
  /** Called once for each start; gives what serves a connection, and what is to be ended beside the connections. */
  open(net: NetLike): { serve(socket: Socket): void; stop?(): void };
  /** The same on a bare connection, where the net has them: `closed` is to be called when the connection is. */
  direct?(conn: Connection, closed: (conn: Connection) => void, net: NetLike): ConnectionUser & Placed;
}

/** A service from what it does with a connection. */
export function service(definition: Definition): Service {
  const { name, defaultPort, summary, allowHalfOpen = false, noDelay = false } = definition;
  return {
    name,
    defaultPort,
    summary,
    async start(net, where = {}) {
      if (definition.direct !== undefined && net.accept !== undefined) return startDirect(definition, definition.direct, net, net.accept, where);
      const { serve, stop } = definition.open(net);
      const sockets = new Roster<Socket>((socket) => socket as Placed);
      function onClose(this: Socket): void {
        sockets.delete(this);
      }
      const server = net.createServer({ allowHalfOpen, noDelay }, (socket) => {
        sockets.add(socket);
        socket.on("error", ignore);
        socket.on("close", onClose);
        serve(socket);
      });
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.once("listening", () => {
          server.off("error", reject);
          resolve();
        });
        server.listen({ port: where.port ?? defaultPort, host: where.host, backlog: where.backlog });
      });
      return {
        name,
        port: (server.address() as AddressInfo).port,
        async close() {
          stop?.();
          await new Promise<void>((resolve) => {
            server.close(() => resolve());
            for (const socket of sockets.items()) socket.destroy();
          });
        },
      };
    },
  };
}

function startDirect(
  definition: Definition,
  direct: NonNullable<Definition["direct"]>,
  net: NetLike,
  accept: NonNullable<NetLike["accept"]>,
  where: Where,
): RunningService {
  const connections = new Roster<Connection>((conn) => conn.user as Placed);
  const forget = (conn: Connection): void => {
    connections.delete(conn);
  };
  const listener = accept({ port: where.port ?? definition.defaultPort, host: where.host, backlog: where.backlog }, (conn) => {
    if (definition.noDelay === true) conn.setNoDelay(true);
    conn.user = direct(conn, forget, net);
    connections.add(conn);
    return conn.user;
  });
  return {
    name: definition.name,
    port: listener.port as number,
    async close() {
      listener.close();
      for (const conn of connections.items()) conn.release();
    },
  };
}

/** How a connection ends is in its `closed` event; a service has nothing to add. */
function ignore(): void {}
