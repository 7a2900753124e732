/**
 * The control API: HTTP over a Unix socket that only its owner may open. `curl --unix-socket /run/glasstcp.sock
 * http://localhost/v1/status` works. It listens on a TCP port of the host only for metrics, and only when asked.
 */
import { accessSync, chmodSync, chownSync, constants, lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import fastify, { type FastifyInstance } from "fastify";
import { EVENT_KINDS, type Level } from "../observe/levels.js";
import type { EventKind } from "../tcp/events.js";
import { parseState } from "../tcp/state.js";
import type { ControlTarget } from "./contract.js";
import { EventFeed, EventReader } from "./feed.js";
import { SCHEMAS } from "./schemas.js";

/** A wrong request: 4xx with a word for programs and a sentence for people. */
class RequestError extends Error {
  readonly statusCode: number;
  readonly word: string;
  constructor(statusCode: number, word: string, message: string) {
    super(message);
    this.statusCode = statusCode;
    this.word = word;
  }
}

interface EventsQuery {
  conn?: number;
  event?: string;
  port?: number;
  state?: string;
  level?: Level;
}
type IdParams = { Params: { id: number } };

/** Comments on an idle event stream, so that both ends notice when the other is gone. */
const HEARTBEAT_MS = 15_000;

/** The API without a socket; `inject` of fastify works on it. */
export function controlApp(target: ControlTarget): FastifyInstance {
  const app = fastify({ logger: false, bodyLimit: 64 * 1024, forceCloseConnections: true });
  const feed = new EventFeed((o) => target.addObserver(o));

  app.setErrorHandler((thrown, _request, reply) => {
    const e = thrown as Error & { statusCode?: number; validation?: unknown };
    const status = e instanceof RangeError ? 400 : (e.statusCode ?? 500);
    return reply.status(status).send({ error: e instanceof RequestError ? e.word : status < 500 ? "bad-request" : "internal", message: e.message });
  });
  app.setNotFoundHandler((request, reply) =>
    reply.status(404).send({ error: "no-route", message: `no route ${request.method} ${request.url}; see /v1/status` }),
  );

  app.get("/v1/status", { schema: SCHEMAS.status }, () => target.status());
  app.get("/v1/sockets", { schema: SCHEMAS.sockets }, (_request, reply) =>
    reply.type("application/json; charset=utf-8").send(Readable.from(socketsText(target), { objectMode: false })),
  );
  app.get<IdParams>("/v1/sockets/:id", { schema: SCHEMAS.socket }, (request) => {
    const row = target.socket(request.params.id);
    if (row === undefined) throw new RequestError(404, "no-connection", `no connection ${request.params.id}`);
    return row;
  });
  app.delete<IdParams>("/v1/sockets/:id", { schema: SCHEMAS.abort }, (request) => {
    if (!target.abort(request.params.id)) throw new RequestError(404, "no-connection", `no connection ${request.params.id}`);
    return { aborted: request.params.id };
  });
  app.get("/v1/counters", { schema: SCHEMAS.counters }, () => target.counters());
  app.get("/metrics", async (_request, reply) => reply.type("text/plain; version=0.0.4; charset=utf-8").send(await target.metrics()));

  app.get("/v1/options", { schema: SCHEMAS.options }, () => ({ options: target.options() }));
  app.patch<{ Body: Record<string, string> }>("/v1/options", { schema: SCHEMAS.setOptions }, (request) => ({
    options: Object.entries(request.body).map(([name, value]) => target.setOption(name, value)),
  }));

  app.get("/v1/faults", { schema: SCHEMAS.faults }, () => ({ faults: target.faults.list() }));
  app.post<{ Body: { spec: string } }>("/v1/faults", { schema: SCHEMAS.addFault }, (request, reply) => {
    try {
      return reply.status(201).send({ faults: target.faults.add(request.body.spec) });
    } catch (error) {
      throw new RequestError(400, "bad-fault", (error as Error).message);
    }
  });
  app.post<{ Body: { id?: string } }>("/v1/faults/release", { schema: SCHEMAS.releaseFaults }, (request) => ({
    released: target.faults.release(request.body.id),
  }));
  app.delete("/v1/faults", { schema: SCHEMAS.clearFaults }, () => ({ removed: target.faults.clear() }));
  app.delete<{ Params: { id: string } }>("/v1/faults/:id", { schema: SCHEMAS.removeFault }, (request) => {
    if (!target.faults.remove(request.params.id)) throw new RequestError(404, "no-fault", `no fault ${request.params.id}; list them with: glasstcp fault ls`);
    return { removed: 1 };
  });

  app.get<{ Querystring: EventsQuery }>("/v1/events", { schema: SCHEMAS.events }, (request, reply) => {
    const { conn, port, level } = request.query;
    const filter = { conn, port, level, events: parseKinds(request.query.event), state: parseStateName(request.query.state) };
    reply.hijack();
    const response = reply.raw;
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(": glasstcp events\n\n");
    const reader = new EventReader(filter, response);
    const leave = feed.add(reader);
    const heartbeat = setInterval(() => {
      if (response.writableLength === 0) response.write(":\n\n");
    }, HEARTBEAT_MS);
    heartbeat.unref();
    response.on("drain", () => reader.drained());
    response.on("error", () => response.destroy());
    response.on("close", () => {
      clearInterval(heartbeat);
      leave();
    });
  });
  return app;
}

/** Rows that are turned into text before others in the process have their turn. */
const SLICE = 200;

/** `SocketsAnswer` as text, piece by piece: a hundred thousand rows at once would stop TCP for a second. */
async function* socketsText(target: ControlTarget): AsyncGenerator<string> {
  const { connections, ...head } = target.sockets();
  let text = `${JSON.stringify(head).slice(0, -1)},"connections":[`,
    rows = 0;
  for (const row of connections) {
    text += (rows > 0 ? "," : "") + JSON.stringify(row);
    if (++rows % SLICE === 0) {
      yield text;
      text = "";
      await new Promise(setImmediate);
    }
  }
  yield `${text}]}`;
}

function parseKinds(text: string | undefined): EventKind[] | undefined {
  if (text === undefined) return undefined;
  return text.split(",").map((word) => {
    const kind = EVENT_KINDS.find((k) => k === word.trim());
    if (kind === undefined) throw new RequestError(400, "bad-filter", `"${word}" is no event; there are ${EVENT_KINDS.join(", ")}`);
    return kind;
  });
}

function parseStateName(text: string | undefined): ReturnType<typeof parseState> {
  if (text === undefined) return undefined;
  const state = parseState(text);
  if (state === undefined) throw new RequestError(400, "bad-filter", `"${text}" is no state of TCP`);
  return state;
}

/** Why the control socket cannot be had; `mend` says what to do. */
export class ControlError extends Error {
  override readonly name = "ControlError";
  readonly exitCode = 1;
  readonly mend: string;
  constructor(message: string, mend: string) {
    super(message);
    this.mend = mend;
  }
}

export interface ControlServer {
  readonly path: string;
  /** Hands the socket file, and its directory if that was made for it, to the user that the daemon becomes. */
  chown(uid: number, gid: number): void;
  /** Whether this process may remove the socket file: a matter of its directory, which `--user` may have put out of reach. */
  mayRemove(): boolean;
  /** Ends open requests and removes the socket file. */
  close(): Promise<void>;
}

/**
 * Starts the API on a Unix socket, mode 0600. A file that a dead daemon left is replaced.
 * @param mayMakeDirectory a missing last directory of the path is made, for the user that `chown` will name
 * @throws ControlError when a daemon is alive there, or the file cannot be made
 */
export async function serveControl(target: ControlTarget, path: string, mayMakeDirectory = false): Promise<ControlServer> {
  await makeRoom(path);
  const directory = dirname(path),
    madeDirectory = mayMakeDirectory && makeDirectory(directory);
  const app = controlApp(target);
  await app.ready();
  // bind() makes the file with the mode that umask leaves: set before, there is no instant at which others could connect.
  const umask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      app.server.once("error", reject);
      app.server.listen(path, () => {
        app.server.off("error", reject);
        resolve();
      });
    });
  } catch (error) {
    const e = error as NodeJS.ErrnoException;
    if (e.code === "EADDRINUSE") throw inUse(path);
    throw new ControlError(`the control socket ${path} cannot be made: ${e.code ?? e.message}`, "choose another with --control PATH");
  } finally {
    process.umask(umask);
  }
  chmodSync(path, 0o600);
  const made = lstatSync(path).ino;
  return {
    path,
    chown(uid, gid) {
      if (madeDirectory) chownSync(directory, uid, gid);
      chownSync(path, uid, gid);
    },
    mayRemove() {
      try {
        accessSync(directory, constants.W_OK | constants.X_OK);
        return true;
      } catch {
        return false;
      }
    },
    async close() {
      app.server.closeAllConnections();
      // A later daemon may have taken the path over: its socket is not ours to remove.
      try {
        if (lstatSync(path).ino === made) unlinkSync(path);
      } catch {
        // Gone already, or the directory is no longer ours after --user: the next daemon replaces a dead socket.
      }
      await app.close();
    },
  };
}

const inUse = (path: string): ControlError =>
  new ControlError(`another glasstcp daemon answers on ${path}`, "stop it, or give this one its own with --control PATH");

/** Makes the last directory of a path, for its owner alone. @returns whether it was missing and is there now */
function makeDirectory(path: string): boolean {
  try {
    mkdirSync(path, 0o700);
    return true;
  } catch {
    // It is there; or bind() will say what is wrong.
    return false;
  }
}

async function makeRoom(path: string): Promise<void> {
  let found: ReturnType<typeof lstatSync>;
  try {
    found = lstatSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw new ControlError(`the control socket ${path} cannot be made: ${(error as NodeJS.ErrnoException).code}`, "choose another with --control PATH");
  }
  if (!found.isSocket()) throw new ControlError(`${path} exists and is no socket`, "remove it, or choose another with --control PATH");
  if (await isAlive(path)) throw inUse(path);
  try {
    unlinkSync(path);
  } catch (error) {
    throw new ControlError(
      `the control socket ${path} of a dead daemon cannot be removed: ${(error as NodeJS.ErrnoException).code}`,
      "choose another with --control PATH",
    );
  }
}

/** Whether somebody accepts on the socket. A refused connection is the mark of a dead one; doubt counts as alive. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const done = (alive: boolean): void => {
      probe.destroy();
      resolve(alive);
    };
    probe.once("connect", () => done(true));
    probe.once("error", (error: NodeJS.ErrnoException) => done(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"));
  });
}
