/** Node's own http server on whatever sockets it is given: a page that shows this very connection, and paths for tests. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { pattern } from "./chargen.js";
import { connectionPage, connectionText } from "./http-page.js";
import { service } from "./service.js";

/** Octets of one write of `/bytes/N`. */
const BLOCK = 256 * 1_024;
const LONGEST_WAIT = 3_600_000;

export interface HttpOptions {
  /** Makes octets that are sent by reference, where the sockets can. */
  share?: ((bytes: Uint8Array) => Buffer) | undefined;
}

/** The request listener. */
export function httpApp(options: HttpOptions = {}): (request: IncomingMessage, response: ServerResponse) => void {
  let block: Buffer | undefined;
  const bytes = (): Buffer => (block ??= options.share?.(pattern(BLOCK)) ?? pattern(BLOCK));
  return (request, response) => {
    const path = (request.url ?? "/").split("?", 1)[0] as string;
    response.setHeader("Server", "glasstcp");
    const [, name = "", argument] = path.split("/");
    switch (name) {
      case "":
        return index(request, response);
      case "healthz":
        return text(request, response, 200, "ok\n");
      case "echo":
        return echo(request, response);
      case "bytes":
        return sendBytes(request, response, argument, bytes());
      case "slow":
        return slow(request, response, argument);
      default:
        return text(request, response, 404, `${path} is not here; there are /, /bytes/N, /echo, /slow/MS and /healthz\n`);
    }
  };
}

function text(request: IncomingMessage, response: ServerResponse, status: number, body: string, type = "text/plain"): void {
  response.writeHead(status, { "Content-Type": `${type}; charset=utf-8`, "Content-Length": Buffer.byteLength(body), "Cache-Control": "no-store" });
  response.end(request.method === "HEAD" ? undefined : body);
}

function index(request: IncomingMessage, response: ServerResponse): void {
  const asHtml = /\btext\/html\b/.test(request.headers.accept ?? "");
  response.setHeader("Vary", "Accept");
  text(request, response, 200, asHtml ? connectionPage(request.socket) : connectionText(request.socket), asHtml ? "text/html" : "text/plain");
}

function echo(request: IncomingMessage, response: ServerResponse): void {
  const { "content-type": type = "application/octet-stream", "content-length": length } = request.headers;
  response.writeHead(200, { "Content-Type": type, ...(length === undefined ? {} : { "Content-Length": length }) });
  request.pipe(response);
}

function sendBytes(request: IncomingMessage, response: ServerResponse, argument: string | undefined, block: Buffer): void {
  const total = /^\d{1,15}$/.test(argument ?? "") ? Number(argument) : -1;
  if (total < 0) return text(request, response, 400, "a number of octets is needed, as in /bytes/1000000\n");
  response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Length": total });
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  let left = total;
  const fill = (): void => {
    while (left > 0 && !response.destroyed) {
      const part = left < block.length ? block.subarray(0, left) : block;
      left -= part.length;
      if (!response.write(part)) return;
    }
    if (left === 0) response.end();
  };
  response.on("drain", fill);
  fill();
}

function slow(request: IncomingMessage, response: ServerResponse, argument: string | undefined): void {
  const ms = /^\d{1,9}$/.test(argument ?? "") ? Number(argument) : -1;
  if (ms < 0 || ms > LONGEST_WAIT) return text(request, response, 400, `a time in milliseconds up to ${LONGEST_WAIT} is needed, as in /slow/500\n`);
  const timer = setTimeout(() => text(request, response, 200, `${ms} ms later\n`), ms);
  response.on("close", () => {
    clearTimeout(timer);
  });
}

export const http = service({
  name: "http",
  defaultPort: 80,
  summary: "Node's http server: / shows the connection; /bytes/N, /echo, /slow/MS, /healthz",
  allowHalfOpen: true,
  noDelay: true,
  open: (net) => {
    const server = createServer(httpApp({ share: net.share }));
    // Node starts its watch over slow headers and idle connections when a server listens; this one is handed connections.
    server.emit("listening");
    return {
      serve(socket) {
        server.emit("connection", socket);
      },
      stop() {
        server.close();
      },
    };
  },
});
