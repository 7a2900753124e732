/** The daemon as a child process: started, waited for until it is ready, its JSON log lines read, and ended without a trace. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { CliError } from "./errors.js";
import { dieWithParent, exitCodeOf, ownCommand } from "./namespace.js";

/** One log line of `serve --log-format json`; which fields there are depends on `event`. */
export interface LogLine {
  readonly level: number;
  readonly time: number;
  readonly msg?: string;
  readonly event?: string;
  readonly conn?: number;
  readonly local?: string;
  readonly remote?: string;
  readonly from?: string;
  readonly to?: string;
  readonly rule?: string;
  readonly [field: string]: unknown;
}

export interface DaemonProcess {
  readonly pid: number;
  /** The `ready` line. */
  readonly ready: LogLine;
  /** Rejects with a CliError when the daemon ends before `stop` was called; never resolves otherwise. */
  readonly failure: Promise<never>;
  /** SIGTERM, after 3 s SIGKILL. A second call waits for the same end. @returns the exit code */
  stop(): Promise<number>;
}

const READY_MS = 15_000;
const STOP_MS = 3_000;

/**
 * Starts `glasstcp serve --log-format json` with further options.
 * @param onLine called for each log line, `ready` included
 * @param signal gives up waiting for `ready`, and rejects with the signal's reason
 * @throws CliError with the daemon's own words and exit code if it does not come up
 */
export async function startDaemonProcess(
  options: readonly string[],
  onLine: (line: LogLine, text: string) => void,
  signal?: AbortSignal,
): Promise<DaemonProcess> {
  const [node, args] = ownCommand();
  const [command, all] = dieWithParent(node, [...args, "serve", "--log-format", "json", ...options], "KILL");
  // A group of its own: the terminal's Ctrl-C is for the command in the foreground, and we end the daemon ourselves.
  const child = spawn(command, all, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  const complaints: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => void (complaints.push(line) > 20 && complaints.shift()));
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(exitCodeOf(code, signal)));
  });
  let stopping = false;
  const failure = ended.then((code): never | Promise<never> => {
    if (stopping) return new Promise<never>(() => {});
    const words =
      complaints
        .filter((line) => line.startsWith("glasstcp: "))
        .at(-1)
        ?.slice("glasstcp: ".length) ?? complaints.join(" | ");
    throw new CliError(words === "" ? `the daemon ended with exit code ${code}` : words, { exitCode: code === 0 ? 1 : code });
  });
  failure.catch(() => {});

  const ready = new Promise<LogLine>((resolve) => {
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = parseLine(text);
      if (line === undefined) return;
      onLine(line, text);
      if (line.event === "ready") resolve(line);
    });
  });
  const stop = (): Promise<number> => {
    stopping = true;
    return endOf(child, ended);
  };
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CliError(`the daemon was not ready within ${READY_MS / 1000} s`)), READY_MS);
  });
  const given = new Promise<never>((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true }));
  try {
    signal?.throwIfAborted();
    return { pid: child.pid ?? -1, ready: await Promise.race([ready, failure, late, given]), failure, stop };
  } catch (e) {
    await stop();
    throw e;
  } finally {
    clearTimeout(timer);
  }
}

async function endOf(child: ChildProcess, ended: Promise<number>): Promise<number> {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  try {
    return await ended;
  } finally {
    clearTimeout(timer);
  }
}

/** Undefined for what is no JSON object: nothing that the daemon's children print may break the reader. */
export function parseLine(text: string): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as LogLine) : undefined;
  } catch {
    return undefined;
  }
}
