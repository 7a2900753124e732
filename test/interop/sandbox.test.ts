/** sandbox and demo as a user meets them: exit codes, signals, nothing left behind, the host untouched, no root needed. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { netnsMissing, netnsMode } from "../support/netns.js";

const MAIN = join(import.meta.dirname, "../../dist/src/cli/main.js");
const NODE = process.execPath;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}
function collect(child: ChildProcess): Promise<Ended> {
  let stdout = "",
    stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => void (stdout += chunk));
  child.stderr?.on("data", (chunk: Buffer) => void (stderr += chunk));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code: code ?? (signal === "SIGKILL" ? 137 : -1), stdout, stderr }));
  });
}
const glasstcp = (args: readonly string[], options: { env?: NodeJS.ProcessEnv } = {}): ChildProcess =>
  spawn(NODE, [MAIN, ...args], { stdio: ["pipe", "pipe", "pipe"], env: { ...(options.env ?? process.env), NO_COLOR: "1" } });
async function run(args: readonly string[], options: { env?: NodeJS.ProcessEnv } = {}): Promise<Ended> {
  const child = glasstcp(args, options);
  child.stdin?.end();
  return collect(child);
}
/** Processes that live in a network namespace. */
function inhabitants(netns: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readlinkSync(`/proc/${pid}/ns/net`) === netns && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return false; // gone meanwhile
    }
  });
}
/** Signals reach the last process of a chain a moment after the first has ended. */
async function deserted(netns: string): Promise<void> {
  await expect.poll(() => inhabitants(netns), { timeout: 60_000, interval: 50 }).toEqual([]);
}
/** A sandbox whose command says in which namespace it is and then waits for the end of its input. */
async function waiting(...options: string[]): Promise<{ child: ChildProcess; ended: Promise<Ended>; netns: string }> {
  const child = glasstcp(["sandbox", "-q", ...options, "--", "sh", "-c", "readlink /proc/self/ns/net; read x"]);
  const ended = collect(child);
  const stdout = child.stdout;
  if (stdout === null) throw new Error("no stdout");
  const [netns] = await Promise.race([
    once(stdout, "data"),
    ended.then((e): never => {
      throw new Error(`sandbox ended with ${e.code}: ${e.stderr}`);
    }),
  ]);
  return { child, ended, netns: String(netns).trim() };
}
const links = (): string =>
  readFileSync("/proc/net/dev", "utf8")
    .split("\n")
    .slice(2)
    .map((line) => line.split(":")[0]?.trim())
    .join(" ");

describe.skipIf(netnsMissing("curl", "nc"))("sandbox", () => {
  test("COMMAND reaches the daemon, its exit code and its output pass through, transitions go to stderr", async () => {
    const { code, stdout, stderr } = await run(["sandbox", "--", "sh", "-c", "curl -sS -o /dev/null -w '%{http_code}' http://10.77.0.2/; exit 7"]);
    expect({ code, stdout }).toEqual({ code: 7, stdout: "200" });
    expect(stderr).toMatch(/LISTEN → SYN-RECEIVED/);
    expect(stderr).toMatch(/SYN-RECEIVED → ESTABLISHED/);
  });
  test("-q: only COMMAND speaks", async () => {
    expect(await run(["sandbox", "-q", "--", "sh", "-c", "printf hello | nc -N -w 5 10.77.0.2 7"])).toEqual({ code: 0, stdout: "hello", stderr: "" });
  });
  test("inside, glasstcp is this program and finds this daemon", async () => {
    const { code, stdout, stderr } = await run(["sandbox", "-q", "--", "sh", "-c", "glasstcp ss -tln"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/LISTEN.*:80\b/);
  });
  test("options of serve reach it", async () => {
    const { code, stdout } = await run([
      "sandbox",
      "-q",
      "--address",
      "10.77.0.9",
      "--service",
      "echo:4000",
      "--",
      "sh",
      "-c",
      "printf x | nc -N -w 5 10.77.0.9 4000",
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "x" });
  });
  test("a daemon that does not come up: its own line and exit code", async () => {
    const { code, stdout, stderr } = await run(["sandbox", "--mtu", "7", "--", "echo", "not run"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^glasstcp: --mtu 7[^\n]*\n$/);
  });
  test("no such program: 127 as in a shell; killed by a signal: 128 + n", async () => {
    expect((await run(["sandbox", "-q", "--", "no-such-program"])).code).toBe(127);
    expect((await run(["sandbox", "-q", "--", "sh", "-c", "kill -TERM $$"])).code).toBe(143);
  });
  test("the host sees no interface of ours, and nobody stays in the namespace", async () => {
    const before = links();
    const { child, ended, netns } = await waiting();
    expect(netns).not.toBe(readlinkSync("/proc/self/ns/net"));
    expect(inhabitants(netns).length).toBeGreaterThan(1);
    expect(links()).toBe(before);
    child.stdin?.end();
    expect(await ended).toMatchObject({ code: 1 }); // `read` meets the end of its input
    await deserted(netns);
    expect(links()).toBe(before);
  });
  test("an environment that claims to be inside already is not believed", async () => {
    const here = readlinkSync("/proc/self/ns/net");
    const { code, stdout } = await run(["sandbox", "-q", "--", "readlink", "/proc/self/ns/net"], { env: { ...process.env, GLASSTCP_LEFT_NETNS: here } });
    expect(code).toBe(0);
    expect(stdout.trim()).not.toBe(here);
  });
  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
    ["SIGHUP", 129],
  ] as const)("%s ends COMMAND, daemon and namespace", async (signal, code) => {
    const { child, ended, netns } = await waiting();
    child.kill(signal);
    expect(await ended).toMatchObject({ code });
    await deserted(netns);
  });
  test("SIGKILL of the outermost process leaves nothing behind either", async (ctx) => {
    if (spawnSync("setpriv", ["--pdeathsig", "KILL", "true"]).status !== 0) ctx.skip("setpriv of util-linux is missing or too old");
    const { child, ended, netns } = await waiting();
    child.kill("SIGKILL");
    await deserted(netns);
    await ended;
  });
});

interface DemoReport {
  readonly ok: boolean;
  readonly states: readonly string[];
  readonly steps: readonly {
    readonly command: string;
    readonly ok: boolean;
    readonly exitCode: number;
    readonly connections: readonly { readonly path: string }[];
  }[];
}

describe.skipIf(netnsMissing("curl", "nc"))("demo", () => {
  test("everything works: exit 0, and each client's output stands beside our transitions", async () => {
    const { code, stdout, stderr } = await run(["demo"]);
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/Everything worked/);
    expect(stdout).toMatch(/nc +\| hello/);
    expect(stdout).toMatch(/FIN-WAIT-\d → TIME-WAIT/);
    expect(stdout).toMatch(/RFC 9293 §3\.10\.7\.2 step 3/);
  });
  test("--json: one object with every step", async () => {
    const { code, stdout } = await run(["demo", "--json"]);
    const report = JSON.parse(stdout) as DemoReport;
    expect(code).toBe(0);
    expect(report.ok).toBe(true);
    expect(report.steps.map((s) => s.exitCode)).toEqual([0, 0, 0, 0, 7]);
    expect(report.states).toContain("TIME-WAIT");
  });
  test("where nc is missing, one line names the Debian package", async () => {
    const bin = mkdtempSync(join(tmpdir(), "no-nc-"));
    try {
      for (const program of ["curl", "unshare", "sh"])
        symlinkSync(spawnSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).stdout.trim(), join(bin, program));
      const { code, stdout, stderr } = await run(["demo"], { env: { PATH: bin } });
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/^glasstcp: nc is missing[^\n]*apt-get install -y netcat-openbsd\n$/);
    } finally {
      rmSync(bin, { recursive: true });
    }
  });
  test("as a plain user, in a user namespace", async (ctx) => {
    const how = netnsMode();
    if (!how.ok || !how.root) ctx.skip("every other test here ran as a plain user already");
    if (spawnSync("setpriv", ["--reuid", "65534", "unshare", "-Urn", "true"]).status !== 0) ctx.skip("this machine gives plain users no namespaces");
    // A device node that everybody may open, as most distributions have it, seen by this test alone.
    const dir = mkdtempSync(join(tmpdir(), "tun-node-"));
    try {
      const script = `set -e; mount -t tmpfs none ${dir}; mknod ${dir}/tun c 10 200; chmod 666 ${dir}/tun; mount --bind ${dir}/tun /dev/net/tun; exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"`;
      const child = spawn("unshare", ["--mount", "sh", "-c", script, "sh", NODE, MAIN, "demo", "--json"], { stdio: ["ignore", "pipe", "pipe"] });
      const { code, stdout, stderr } = await collect(child);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect((JSON.parse(stdout) as DemoReport).ok).toBe(true);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
  test("without a right to the TUN node: exit 3, and the mend in one line", async (ctx) => {
    const how = netnsMode();
    if (!how.ok || !how.root) ctx.skip("needs root, to take the right away");
    if ((spawnSync("stat", ["-c", "%a", "/dev/net/tun"], { encoding: "utf8" }).stdout ?? "").trim().endsWith("6"))
      ctx.skip("/dev/net/tun is open to everybody here");
    const child = spawn("setpriv", ["--reuid", "65534", "--regid", "65534", "--clear-groups", NODE, MAIN, "demo"], { stdio: ["ignore", "pipe", "pipe"] });
    const { code, stdout, stderr } = await collect(child);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toMatch(/^glasstcp: \/dev\/net\/tun cannot be opened \(EACCES\); sudo chmod 666 \/dev\/net\/tun\n$/);
  });
});

describe.skipIf(netnsMissing("curl", "nc"))("doctor", () => {
  test("in a rootless namespace it says so, and finds the right to make an interface", () => {
    const { status, stdout } = spawnSync("unshare", ["--user", "--map-root-user", "--net", NODE, MAIN, "doctor", "--json"], { encoding: "utf8" });
    const report = JSON.parse(stdout) as { ok: boolean; place: string; checks: { name: string; verdict: string }[] };
    expect(report.place).toBe("rootless");
    expect(report.checks.find((c) => c.name === "right")?.verdict).toBe("ok");
    expect(status).toBe(report.ok ? 0 : 1);
  });
});
