/** Real clients, run to their end, and what each of them reported: for tests against ports that misbehave. */
import { execFile } from "node:child_process";
import http from "node:http";
import { request } from "undici";

export interface Curl {
  readonly exit: number;
  readonly stderr: string;
  readonly status: number;
  readonly connectS: number;
  readonly totalS: number;
  readonly octets: number;
  readonly body: string;
}

const run = (program: string, args: readonly string[], input = ""): Promise<{ exit: number; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    const child = execFile(program, [...args], { encoding: "latin1", maxBuffer: 1 << 24 }, (error, stdout, stderr) =>
      resolve({ exit: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr }),
    );
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });

/** curl, quiet but for its error; what it wrote about the transfer is read from the last line. */
export async function curl(url: string, ...more: string[]): Promise<Curl> {
  const { exit, stdout, stderr } = await run("curl", ["-sS", "-w", "\n%{http_code} %{time_connect} %{time_total} %{size_download}", ...more, url]);
  const at = stdout.lastIndexOf("\n");
  const [status = 0, connectS = 0, totalS = 0, octets = 0] = stdout
    .slice(at + 1)
    .split(" ")
    .map(Number);
  return { exit, stderr: stderr.trim(), status, connectS, totalS, octets, body: stdout.slice(0, at) };
}

/** What a call ended with: its value, or the code (else name, else message) of its error. */
export async function outcome<T>(call: Promise<T>): Promise<T | string> {
  try {
    return await call;
  } catch (thrown) {
    const error = thrown as Error & { code?: string; cause?: Error & { code?: string } };
    // A DOMException (AbortSignal.timeout) has a number for a code, and says more by its name.
    const code = [error.cause?.code, error.code].find((c) => typeof c === "string");
    return code ?? error.cause?.message ?? (error.name === "Error" || error.name === "TypeError" ? error.message : error.name);
  }
}

/** Node's http: octets of the body, or the code of the error. */
export const nodeHttp = (url: string, options: http.RequestOptions = {}, body = ""): Promise<number | string> =>
  outcome(
    new Promise<number>((resolve, reject) => {
      const req = http.request(url, { agent: false, ...options }, (res) => {
        let octets = 0;
        res.on("data", (chunk: Buffer) => {
          octets += chunk.length;
        });
        res.on("end", () => resolve(octets));
        res.on("error", reject);
      });
      req.on("timeout", () => req.destroy(Object.assign(new Error("timeout"), { code: "TIMEOUT" })));
      req.on("error", reject);
      req.end(body);
    }),
  );

export const fetched = (url: string, timeoutMs = 30_000, init: RequestInit = {}): Promise<number | string> =>
  outcome(
    fetch(url, { signal: AbortSignal.timeout(timeoutMs), ...init })
      .then((r) => r.arrayBuffer())
      .then((b) => b.byteLength),
  );

export const undiciRequest = (url: string, timeoutMs = 5000): Promise<number | string> =>
  outcome(
    request(url, { headersTimeout: timeoutMs, bodyTimeout: timeoutMs, reset: true, signal: AbortSignal.timeout(timeoutMs + 1000) })
      .then((r) => r.body.arrayBuffer())
      .then((b) => b.byteLength),
  );

const PYTHON = `
import http.client, sys
host, port, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
try:
    c = http.client.HTTPConnection(host, port, timeout=timeout)
    c.request("GET", "/")
    r = c.getresponse()
    print(len(r.read()))
except Exception as e:
    print(type(e).__name__)
`;
/** Python's http.client: octets of the body, or the name of the exception. */
export async function python(host: string, port: number, timeoutS = 5): Promise<number | string> {
  const { stdout } = await run("python3", ["-c", PYTHON, host, String(port), String(timeoutS)]);
  const word = stdout.trim();
  return /^\d+$/.test(word) ? Number(word) : word;
}

export const nc = (host: string, port: number, input: string, ...more: string[]): Promise<{ exit: number; stdout: string; stderr: string }> =>
  run("nc", [...more, host, String(port)], input);

/** The kernel's own rows for connections to a port, as ss prints them. */
export async function ssRows(address: string, port: number, ...flags: string[]): Promise<string[]> {
  const { stdout } = await run("ss", ["-tanoH", ...flags, "dst", `${address}:${port}`]);
  return stdout
    .split("\n")
    .map((line) => line.replace(/\s+/g, " ").trim())
    .filter((line) => line !== "");
}

/** Looks until a row matches, and returns it; else rejects with the last look. */
export async function ssSees(address: string, port: number, pattern: RegExp, timeoutMs = 30_000, ...flags: string[]): Promise<string> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const rows = await ssRows(address, port, ...flags);
    const found = rows.find((row) => pattern.test(row));
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`ss shows no ${pattern} for port ${port} within ${timeoutMs} ms, but: ${rows.join(" | ") || "nothing"}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Looks until the kernel has no row left. */
export async function ssGone(address: string, port: number, timeoutMs = 30_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const rows = await ssRows(address, port);
    if (rows.length === 0) return;
    if (Date.now() > end) throw new Error(`ss still shows after ${timeoutMs} ms: ${rows.join(" | ")}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
