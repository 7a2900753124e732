/** The built daemon as a child process inside a namespace: its log as values, its end with code and duration, and the other commands beside it. */
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Netns, RunOptions, RunResult } from "./netns.js";

export const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

/** Milliseconds within which a daemon that is told to end is gone, on a machine that lets it wait. Where it has the machine it takes a tenth. */
export const SOON_MS = 10_000;

export interface Line {
  readonly level: number;
  readonly time: number;
  readonly event: string;
  readonly msg: string;
  readonly conn?: number;
  readonly local?: string;
  readonly remote?: string;
  readonly from?: string;
  readonly to?: string;
  readonly rule?: string;
  readonly [key: string]: unknown;
}

export class TestDaemon {
  readonly control: string;
  readonly lines: Line[] = [];
  /** Lines of standard output that were no JSON; there must be none. */
  readonly noise: string[] = [];
  stderr = "";
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly child: ChildProcess;
  readonly #ns: Netns;
  readonly #dir: string;
  #waiters: (() => void)[] = [];

  constructor(ns: Netns, options: readonly string[]) {
    if (!existsSync(MAIN)) throw new Error("dist is missing: npm run build");
    this.#ns = ns;
    this.#dir = mkdtempSync(join(tmpdir(), "glasstcp-daemon-"));
    const given = options.indexOf("--control");
    this.control = given < 0 ? join(this.#dir, "s") : (options[given + 1] as string);
    this.child = ns.spawn(process.execPath, [MAIN, "serve", "--log-format", "json", ...(given < 0 ? ["--control", this.control] : []), ...options]);
    let rest = "";
    this.child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        try {
          this.lines.push(JSON.parse(line) as Line);
        } catch {
          this.noise.push(line);
        }
      }
      this.#wake();
    });
    this.child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      this.stderr += chunk;
    });
    this.exited = new Promise((resolve) =>
      this.child.once("close", (code, signal) => {
        resolve({ code, signal });
        rmSync(this.#dir, { recursive: true, force: true });
        this.#wake();
      }),
    );
  }

  #wake(): void {
    for (const w of this.#waiters.splice(0)) w();
  }

  /** The first line that matches, those of the past included. Rejects when the daemon ends first or the time is over. */
  async line(matches: (l: Line) => boolean, timeoutMs = 100_000): Promise<Line> {
    const late = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const found = this.lines.find(matches);
      if (found !== undefined) return found;
      if (late.aborted || this.child.exitCode !== null)
        throw new Error(
          `no such line; last: ${this.lines
            .slice(-3)
            .map((l) => l.msg)
            .join(" | ")}; stderr: ${this.stderr}`,
        );
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
        late.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }
  event(event: string, more: Partial<Line> = {}): Promise<Line> {
    return this.line((l) => l.event === event && Object.entries(more).every(([k, v]) => l[k] === v));
  }
  /** States that a connection went through. */
  path(conn: number): string[] {
    const steps = this.lines.filter((l) => l.event === "transition" && l.conn === conn);
    return steps.length === 0 ? [] : [String(steps[0]?.from), ...steps.map((l) => String(l.to))];
  }

  /** Runs another command of glasstcp against this daemon, inside the namespace. */
  cli(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
    return this.#ns.run(process.execPath, [MAIN, command, ...args], { ...options, env: { ...process.env, ...options.env, GLASSTCP_CONTROL: this.control } });
  }

  /** @returns exit code and how long it took, milliseconds */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<{ code: number | null; ms: number }> {
    const start = performance.now();
    this.child.kill(signal);
    const { code } = await this.exited;
    return { code, ms: performance.now() - start };
  }
}

/** Starts the daemon and waits until it is ready. */
export async function serveIn(ns: Netns, options: readonly string[] = []): Promise<TestDaemon> {
  const daemon = new TestDaemon(ns, options);
  await daemon.event("ready");
  return daemon;
}
