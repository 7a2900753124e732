/**
 * Network namespaces for tests: each is made by `unshare`, lives as long as a pipe to it is open, and is therefore gone
 * even when the test process is killed. As root a plain network namespace, else one inside a user namespace.
 *
 *   describeUnless(netnsMissing("curl"), "against the kernel", () => {
 *     test("…", () => inNetns(async (ns) => {
 *       const tun = ns.enter(() => openTun({ … }));        // this thread, for the length of a synchronous call
 *       const daemon = ns.spawn("node", ["dist/src/cli/main.js", "serve"]);
 *       const { stdout } = await ns.run("curl", ["-s", "http://10.77.0.2/"]);
 *     }));
 *   });
 */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import koffi from "koffi";

export interface RunResult {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Written to standard input, which is then closed; without it standard input is empty. */
  readonly input?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** After this many milliseconds the command is killed and the promise rejects. Default 120,000: less than a test may take, so that the command is named. */
  readonly timeoutMs?: number;
}

type Mode = { readonly ok: true; readonly root: boolean } | { readonly ok: false; readonly why: string };

let mode: Mode | undefined;

/** Whether this machine lets this user make a network namespace, and how. Looked up once. */
export function netnsMode(): Mode {
  mode ??= probe();
  return mode;
}

function probe(): Mode {
  if (process.platform !== "linux") return { ok: false, why: "network namespaces need Linux" };
  const root = process.getuid?.() === 0;
  const flag = root ? "-n" : "-Urn";
  const tried = spawnSync("unshare", [flag, "true"], { encoding: "utf8" });
  if (tried.error !== undefined) return { ok: false, why: "the program unshare is missing: apt-get install util-linux" };
  if (tried.status !== 0) return { ok: false, why: `unshare ${flag} is refused here: ${tried.stderr.trim()}` };
  return { ok: true, root };
}

const DEBIAN_PACKAGE: Readonly<Record<string, string>> = {
  ip: "iproute2",
  ss: "iproute2",
  tc: "iproute2",
  nft: "nftables",
  nc: "netcat-openbsd",
  curl: "curl",
  ping: "iputils-ping",
  tcpdump: "tcpdump",
  tshark: "tshark",
  ab: "apache2-utils",
  h2load: "nghttp2-client",
};

/**
 * Why tests in a namespace cannot run here, or undefined when they can. Says it aloud, once per reason, so that a
 * skipped test never goes unnoticed.
 * @param programs what the tests call beside `ip`
 */
export function netnsMissing(...programs: string[]): string | undefined {
  const how = netnsMode();
  let why: string | undefined;
  if (!how.ok) why = how.why;
  else {
    try {
      closeSync(openSync("/dev/net/tun", "r+"));
    } catch (error) {
      why = `/dev/net/tun cannot be opened: ${(error as NodeJS.ErrnoException).code}`;
    }
    for (const program of ["ip", "nsenter", ...programs]) {
      if (why === undefined && spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0) {
        why = `the program ${program} is missing: apt-get install ${DEBIAN_PACKAGE[program] ?? program}`;
      }
    }
  }
  if (why !== undefined && !said.has(why)) {
    said.add(why);
    console.warn(`SKIPPED: ${why}`);
  }
  return why;
}
const said = new Set<string>();

/** Why this very thread cannot step into a namespace ({@link Netns.enter}), or undefined when it can; said aloud. */
export function enterMissing(...programs: string[]): string | undefined {
  const why = netnsMissing(...programs);
  if (why !== undefined) return why;
  // Coming back is what needs the right: to enter where this thread is already shows whether it has it.
  const home = openSync("/proc/thread-self/ns/net", "r");
  try {
    setns(home);
    return undefined;
  } catch {
    const reason = "stepping into a namespace and back is not allowed: run as root, or all of it under `unshare -Urn`";
    if (!said.has(reason)) console.warn(`SKIPPED: ${reason}`);
    said.add(reason);
    return reason;
  } finally {
    closeSync(home);
  }
}

/** Whether this is root of the machine, and not of a user namespace, who may do less. */
export function realRoot(): boolean {
  return process.getuid?.() === 0 && /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync("/proc/self/uid_map", "utf8"));
}

const CLONE_NEWNET = 0x40000000;

export class Netns {
  /** Process that holds the namespace. */
  readonly pid: number;
  readonly #holder: ChildProcess;
  readonly #root: boolean;
  readonly #children = new Set<ChildProcess>();

  constructor(holder: ChildProcess, root: boolean) {
    this.#holder = holder;
    this.pid = holder.pid as number;
    this.#root = root;
  }

  /** Command and arguments that run `command` inside, for whoever spawns it himself. */
  wrap(command: string, args: readonly string[]): [string, string[]] {
    const into = this.#root ? ["-t", `${this.pid}`, "-n"] : ["-t", `${this.pid}`, "-U", "-n", "--preserve-credentials"];
    return ["nsenter", [...into, "--", command, ...args]];
  }

  /** Starts a program inside. It is killed when the namespace closes; until then it is the caller's. */
  spawn(command: string, args: readonly string[] = [], options: SpawnOptions = {}): ChildProcess {
    const child = spawn(...this.wrap(command, args), { stdio: ["pipe", "pipe", "pipe"], ...options });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    child.once("error", () => this.#children.delete(child));
    return child;
  }

  /** Runs a program inside to its end. Never rejects for an exit code; see {@link must}. */
  run(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
    const child = this.spawn(command, args, {
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    return new Promise((resolve, reject) => {
      const out: Buffer[] = [],
        err: Buffer[] = [];
      const limit = options.timeoutMs ?? 120_000;
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        reject(new Error(`${command} ${args.join(" ")} did not end within ${limit} ms; it said: ${Buffer.concat(err)}${Buffer.concat(out).subarray(0, 2000)}`));
      }, limit);
      child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
      child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
      child.stdin?.on("error", () => {});
      child.stdin?.end(options.input ?? "");
      child.once("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      child.once("close", (code, signal) => {
        clearTimeout(timer);
        resolve({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
      });
    });
  }

  /** As {@link run}, but rejects with what the program said unless it exits 0. @returns its standard output */
  async must(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<string> {
    const result = await this.run(command, args, options);
    if (result.code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${result.code ?? result.signal}: ${result.stderr}${result.stdout}`);
    return result.stdout;
  }

  /** Runs a command line of the shell inside, synchronously, and returns its output. For set-up: `ns.sh("ip link …")`. */
  sh(line: string): string {
    return execFileSync(...this.wrap("sh", ["-ec", line]), { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }

  /**
   * Runs `work` with this thread inside the namespace: an interface opened there stays there. Synchronous on purpose,
   * since other tests of this process must not run inside by accident. Needs CAP_SYS_ADMIN, see {@link enterMissing}.
   */
  enter<T>(work: () => T): T {
    const home = openSync("/proc/thread-self/ns/net", "r");
    const there = openSync(`/proc/${this.pid}/ns/net`, "r");
    try {
      setns(there);
      try {
        const result = work();
        if (result instanceof Promise) throw new TypeError("Netns.enter runs synchronous work only");
        return result;
      } finally {
        setns(home);
      }
    } finally {
      closeSync(home);
      closeSync(there);
    }
  }

  /** Kills what was spawned inside and lets the namespace go. */
  async close(): Promise<void> {
    const gone = [...this.#children, this.#holder].map(
      (child) =>
        new Promise<void>((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) resolve();
          else child.once("exit", () => resolve());
        }),
    );
    for (const child of this.#children) child.kill("SIGKILL");
    this.#holder.stdin?.end();
    await Promise.all(gone);
  }
}

function setns(fd: number): void {
  const call = koffi.load(null).func("setns", "int", ["int", "int"]) as (fd: number, kind: number) => number;
  if (call(fd, CLONE_NEWNET) < 0) throw new Error(`setns failed with errno ${koffi.errno()}`);
}

/** Makes a namespace with its loopback up. The caller closes it; {@link inNetns} does so by itself. */
export async function makeNetns(): Promise<Netns> {
  const how = netnsMode();
  if (!how.ok) throw new Error(how.why);
  // cat ends when our end of its input closes, by whatever way this process ends, and the namespace with it.
  const holder = spawn("unshare", [how.root ? "-n" : "-Urn", "--", "sh", "-c", "ip link set lo up && echo ready && exec cat >/dev/null"], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  await new Promise<void>((resolve, reject) => {
    let said = "";
    holder.stderr.on("data", (chunk: Buffer) => {
      said += chunk;
    });
    holder.stdout.once("data", () => resolve());
    holder.once("error", reject);
    holder.once("exit", (code) => reject(new Error(`no network namespace (${code}): ${said}`)));
  });
  return new Netns(holder, how.root);
}

/** Runs `work` with a fresh namespace and closes it afterwards, whatever happens. */
export async function inNetns<T>(work: (ns: Netns) => Promise<T>): Promise<T> {
  const ns = await makeNetns();
  try {
    return await work(ns);
  } finally {
    await ns.close();
  }
}
