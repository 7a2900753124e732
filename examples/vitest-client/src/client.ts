/** The thing under test: a small HTTP client that fetches a text whole, or says clearly why it could not. */
import http from "node:http";

export type Failure = "refused" | "unreachable" | "connect-timeout" | "reset" | "cut-short" | "timeout" | "not-http" | "damaged";

export class FetchError extends Error {
  readonly failure: Failure;
  constructor(failure: Failure, cause?: unknown) {
    super(failure, { cause });
    this.failure = failure;
  }
}

export interface Options {
  /** Milliseconds to connect, and without any octet afterwards. */
  readonly connectMs?: number;
  readonly idleMs?: number;
  /** How often a GET that was cut off is tried again. */
  readonly retries?: number;
  readonly agent?: http.Agent;
}

const BY_CODE: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: "refused",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ECONNRESET: "reset",
  EPIPE: "reset",
  ETIMEDOUT: "timeout",
};

export async function fetchText(url: string, options: Options = {}): Promise<string> {
  for (let left = options.retries ?? 0; ; left--) {
    try {
      return await once(url, options);
    } catch (error) {
      if (left <= 0 || !(error instanceof FetchError) || (error.failure !== "reset" && error.failure !== "cut-short")) throw error;
    }
  }
}

function once(url: string, { connectMs = 1000, idleMs = 1000, agent }: Options): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, agent === undefined ? { agent: false } : { agent });
    const fail = (failure: Failure, cause?: unknown): void => {
      request.destroy();
      reject(new FetchError(failure, cause));
    };
    const connecting = setTimeout(() => fail("connect-timeout"), connectMs);
    request.on("socket", (socket) => {
      if (!socket.connecting) clearTimeout(connecting);
      else socket.once("connect", () => clearTimeout(connecting));
    });
    request.setTimeout(connectMs + idleMs, () => fail("timeout"));
    request.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(connecting);
      if (error.code?.startsWith("HPE_")) fail("not-http", error);
      else fail(BY_CODE[error.code ?? ""] ?? "reset", error);
    });
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve(Buffer.concat(chunks).toString()));
      // Node says ECONNRESET for a body that ended too early, however it ended.
      response.on("error", (error) => fail("cut-short", error));
    });
  });
}
