/**
 * The stacks that the behaviour suite runs on: Node's own sockets over the loopback interface, as the oracle, and ours,
 * two stacks linked in memory. A case sees only `World`. With GLASSTCP_SUITE=kernel (set by
 * test/interop/sockets-suite.test.ts, which provides the namespace) one end is ours and the other the kernel's.
 */
import { once } from "node:events";
import * as nodeNet from "node:net";
import { afterAll, afterEach, beforeAll } from "vitest";
import { createStack, type GlassStack } from "../../../src/index.js";
import { linkedStacks } from "./linked.js";

export type NetApi = typeof nodeNet;

export interface World {
  readonly title: string;
  /** Whose servers: where the two differ on purpose, a case asks for this. */
  readonly name: "node:net" | "glasstcp";
  /** Where servers live. */
  readonly server: NetApi;
  /** Where clients live. */
  readonly client: NetApi;
  /** Address of the servers' side. */
  readonly host: string;
  /** An address of the clients' side. */
  readonly clientHost: string;
}

type Ends = { readonly client: GlassStack; readonly server: GlassStack; close(): void };
const overKernel = process.env["GLASSTCP_SUITE"] === "kernel";
/** Files run side by side, each with an interface and a link of its own. */
const worker = Number(process.env["VITEST_POOL_ID"] ?? 1);
const KERNEL = `10.90.${worker}.1`,
  OURS = `10.90.${worker}.2`;

let ends: Ends | undefined;
function start(): Ends {
  if (!overKernel) return linkedStacks();
  const stack = createStack({ tun: { name: `suite${worker}`, host: `${KERNEL}/24` }, addresses: [OURS], options: { timeWait: 10 } });
  return {
    client: stack,
    server: stack,
    close: () => {
      stack.close();
    },
  };
}
const ours = (side: "client" | "server"): NetApi => (ends ??= start())[side].net as unknown as NetApi;

/** For `describe.each`. */
export const WORLDS: readonly World[] = overKernel
  ? [
      {
        title: "our server, the kernel's client",
        name: "glasstcp",
        get server() {
          return ours("server");
        },
        client: nodeNet,
        host: OURS,
        clientHost: KERNEL,
      },
      {
        title: "the kernel's server, our client",
        name: "node:net",
        server: nodeNet,
        get client() {
          return ours("client");
        },
        host: KERNEL,
        clientHost: OURS,
      },
    ]
  : [
      // A loopback address for each worker: a port that one has just closed is none that another may have opened meanwhile.
      { title: "node:net", name: "node:net", server: nodeNet, client: nodeNet, host: `127.0.${worker}.1`, clientHost: "127.0.0.1" },
      {
        title: "glasstcp",
        name: "glasstcp",
        get server() {
          return ours("server");
        },
        get client() {
          return ours("client");
        },
        host: "10.0.0.2",
        clientHost: "10.0.0.1",
      },
    ];

const servers = new Set<nodeNet.Server>(),
  sockets = new Set<nodeNet.Socket>();

/** Call once in each file: starts and ends the linked stacks, and closes what a case left open. */
export function useWorlds(): void {
  beforeAll(() => {
    ends ??= start();
  });
  afterEach(async () => {
    const closing = [...servers].map(
      (s) =>
        new Promise((done) => {
          s.close(done);
        }),
    );
    for (const s of sockets) {
      s.on("error", () => {});
      s.destroy();
    }
    sockets.clear();
    servers.clear();
    await Promise.all(closing);
  });
  afterAll(() => {
    ends?.close();
    ends = undefined;
  });
}

export const keep = <T extends nodeNet.Socket | nodeNet.Server>(it: T): T => {
  if ("listen" in it) {
    servers.add(it);
    it.on("connection", (socket: nodeNet.Socket) => {
      sockets.add(socket);
    });
  } else sockets.add(it);
  return it;
};

export const portOf = (server: nodeNet.Server): number => (server.address() as nodeNet.AddressInfo).port;

/** A server that listens on a port of the system's choice. */
export async function serve(
  world: World,
  options: nodeNet.ServerOpts & Record<string, unknown> = {},
  onConnection?: (socket: nodeNet.Socket) => void,
): Promise<{ server: nodeNet.Server; port: number }> {
  const server = keep(world.server.createServer(options, onConnection));
  server.listen(0, world.host);
  await once(server, "listening");
  return { server, port: portOf(server) };
}

export function dial(world: World, port: number, options: Record<string, unknown> = {}): nodeNet.Socket {
  return keep(world.client.connect({ port, host: world.host, ...options } as nodeNet.TcpNetConnectOpts));
}

export interface Pair {
  readonly server: nodeNet.Server;
  readonly port: number;
  readonly client: nodeNet.Socket;
  readonly accepted: nodeNet.Socket;
}
/** Both ends of an established connection. */
export async function pair(
  world: World,
  serverOptions: nodeNet.ServerOpts & Record<string, unknown> = {},
  clientOptions: Record<string, unknown> = {},
): Promise<Pair> {
  const { server, port } = await serve(world, serverOptions);
  const arrival = once(server, "connection");
  const client = dial(world, port, clientOptions);
  const [[accepted]] = await Promise.all([arrival, once(client, "connect")]);
  return { server, port, client, accepted: accepted as nodeNet.Socket };
}

/** A port that nobody listens on. */
export async function closedPort(world: World): Promise<number> {
  const server = world.server.createServer().listen(0, world.host);
  await once(server, "listening");
  const port = portOf(server);
  server.close();
  await once(server, "close");
  return port;
}

/** Writes down the events of a socket in their order. */
export function record(
  socket: nodeNet.Socket,
  only: readonly string[] = ["lookup", "connect", "ready", "end", "finish", "error", "close", "timeout"],
): string[] {
  const log: string[] = [];
  for (const event of only) {
    socket.on(event, (...args: unknown[]) => {
      log.push(event === "error" ? `error ${(args[0] as NodeJS.ErrnoException).code}` : event === "close" ? `close ${String(args[0])}` : event);
    });
  }
  return log;
}

/** All that comes until the end. */
export async function text(socket: nodeNet.Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "end");
  return Buffer.concat(chunks).toString();
}

export const closed = async (socket: nodeNet.Socket): Promise<boolean> => {
  const hush = (): void => {};
  socket.on("error", hush);
  return new Promise((resolve) => {
    socket.once("close", resolve);
  });
};
export const errorOf = async (emitter: nodeNet.Socket | nodeNet.Server): Promise<NodeJS.ErrnoException & { address?: string; port?: number }> =>
  new Promise((resolve) => {
    emitter.once("error", resolve);
  });
export const turns = async (n = 3): Promise<void> => {
  for (let i = 0; i < n; i++) await new Promise(setImmediate);
};
/**
 * Long enough for what is under way to arrive: milliseconds for a kernel, and rounds of the loop for two stacks in memory, of which
 * a busy machine may give none in that time.
 */
export async function settled(ms = 20): Promise<void> {
  await new Promise((done) => setTimeout(done, ms));
  await turns(30);
}
/** Resolves when `condition` holds; a case that waits for ever is ended by the runner. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((done) => setTimeout(done, 1));
}
/** What a call throws. */
export function thrown(call: () => unknown): { name: string; code: string; message: string } {
  try {
    call();
  } catch (error) {
    const { name, code, message } = error as NodeJS.ErrnoException;
    return { name, code: code as string, message };
  }
  throw new Error("nothing was thrown");
}
