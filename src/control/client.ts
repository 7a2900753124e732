/** The other end of the control API: what the commands of the command line use. */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { CliError, EXIT, noDaemonError } from "../cli/errors.js";

/** Where the daemon's socket is unless --control says otherwise; in a sandbox, GLASSTCP_CONTROL names the daemon inside. */
export const defaultControlPath = (env: NodeJS.ProcessEnv = process.env): string =>
  env["GLASSTCP_CONTROL"] ?? `${env["XDG_RUNTIME_DIR"] ? env["XDG_RUNTIME_DIR"].replace(/\/$/, "") : "/run"}/glasstcp.sock`;

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

export class ControlClient {
  readonly path: string;
  constructor(path: string = defaultControlPath()) {
    this.path = path;
  }

  get<T>(route: string): Promise<T> {
    return this.call("GET", route);
  }
  post<T>(route: string, body: unknown): Promise<T> {
    return this.call("POST", route, body);
  }
  patch<T>(route: string, body: unknown): Promise<T> {
    return this.call("PATCH", route, body);
  }
  delete<T>(route: string): Promise<T> {
    return this.call("DELETE", route);
  }

  /** @throws CliError: exit 4 when no daemon answers, 3 when the socket is not ours to open, 1 for an error of the API */
  async call<T>(method: Method, route: string, body?: unknown): Promise<T> {
    const response = await this.#request(method, route, body);
    const text = await readAll(response);
    if ((response.statusCode ?? 500) >= 400) throw apiError(text, response.statusCode);
    return (response.headers["content-type"]?.startsWith("application/json") ? JSON.parse(text) : text) as T;
  }

  /**
   * Follows `GET /v1/events` until the daemon ends it or the signal aborts. Yields the JSON text of each event, and of
   * `{"event":"lost","lost":N}` where this reader was too slow.
   */
  async *events(query: URLSearchParams, signal?: AbortSignal): AsyncGenerator<string> {
    const response = await this.#request("GET", `/v1/events?${query}`, undefined, signal);
    if ((response.statusCode ?? 500) >= 400) throw apiError(await readAll(response), response.statusCode);
    response.setEncoding("utf8");
    let rest = "";
    try {
      for await (const chunk of response as AsyncIterable<string>) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line.startsWith("data: ")) yield line.slice(6);
      }
    } catch (error) {
      // The daemon went away in the middle, or the user had enough: the stream is over either way.
      if (signal?.aborted !== true && (error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
    }
  }

  #request(method: Method, route: string, body?: unknown, signal?: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const request = httpRequest(
        {
          socketPath: this.path,
          method,
          path: route,
          ...(signal !== undefined && { signal }),
          headers: { host: "localhost", ...(text !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }) },
        },
        resolve,
      );
      request.on("error", (error: NodeJS.ErrnoException) => reject(this.#unreachable(error)));
      request.end(text);
    });
  }

  #unreachable(error: NodeJS.ErrnoException): Error {
    switch (error.code) {
      case "ENOENT":
        return noDaemonError(`no daemon: there is no control socket ${this.path}`, "start one with: glasstcp serve; or name its socket with --control PATH");
      case "ECONNREFUSED":
        return noDaemonError(`no daemon: nobody answers on ${this.path}`, "start one with: glasstcp serve");
      case "EACCES":
      case "EPERM":
        return new CliError(`the control socket ${this.path} belongs to another user`, {
          exitCode: EXIT.permission,
          mend: "run this command as the daemon's user, for example with sudo",
        });
      case "ECONNRESET":
        return noDaemonError(`the daemon on ${this.path} went away`);
      default:
        return error;
    }
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  response.setEncoding("utf8");
  let text = "";
  for await (const chunk of response as AsyncIterable<string>) text += chunk;
  return text;
}

function apiError(text: string, status: number | undefined): CliError {
  let message = text;
  try {
    message = (JSON.parse(text) as { message?: string }).message ?? text;
  } catch {
    // Not JSON: somebody else's HTTP server, whose words are as good as any.
  }
  return new CliError(message === "" ? `the daemon answered ${status}` : message);
}
