/**
 * Faults of the host beside those in serve.test.ts: a real disk that is full and has room again, a clock that jumps, a process
 * that is stopped with many connections, an address that goes away, too few descriptors from the start.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { CountersAnswer, DaemonStatus } from "../../src/control/contract.js";
import { serveIn, SOON_MS, TestDaemon } from "../support/daemon.js";
import { inNetns, type Netns, netnsMissing, realRoot } from "../support/netns.js";

const missing = netnsMissing("curl", "nc");
const ask = async <T>(ns: Netns, daemon: TestDaemon, route: string): Promise<T> =>
  JSON.parse(await ns.must("curl", ["-sS", "--unix-socket", daemon.control, `http://localhost${route}`])) as T;
/** The same namespace, in which what is spawned has these words before it. */
const before = (ns: Netns, ...words: string[]): Netns => {
  const [first = "", ...rest] = words;
  return { run: ns.run.bind(ns), spawn: (command: string, args: readonly string[]) => ns.spawn(first, [...rest, command, ...args]) } as unknown as Netns;
};
/** An echo connection that can be asked whether it lives. */
class Echo {
  readonly #child: ReturnType<Netns["spawn"]>;
  #heard = "";
  constructor(ns: Netns) {
    this.#child = ns.spawn("nc", ["10.77.0.2", "7"]);
    this.#child.stdout?.on("data", (c: Buffer) => {
      this.#heard += c;
    });
  }
  async says(word: string): Promise<void> {
    this.#child.stdin?.write(`${word}\n`);
    while (!this.#heard.includes(`${word}\n`)) {
      if (this.#child.exitCode !== null) throw new Error(`the connection ended before "${word}" came back`);
      await new Promise((resolve) => {
        this.#child.stdout?.once("data", resolve).once("close", resolve);
      });
    }
  }
}
const pause = (ms: number): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, ms));

const noMount = missing !== undefined || !realRoot();
if (missing === undefined && noMount) console.warn("SKIPPED: only root can mount a small disk for the log");
test.skipIf(noMount)("the log's disk of 16 KiB fills: clients do not notice, lines are counted as lost; when there is room again, whole lines follow", () =>
  inNetns(async (ns) => {
    const dir = mkdtempSync(join(tmpdir(), "glasstcp-disk-"));
    try {
      const mounted = before(ns, "unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=16k none "$0" && exec "$@"', dir);
      const daemon = new TestDaemon(mounted, ["--log-file", join(dir, "log")]);
      const log = (): string => join(`/proc/${daemon.child.pid}/root`, dir, "log");
      const shut = AbortSignal.timeout(60_000);
      for (;;) {
        if ((await ns.run("curl", ["-s", "-o", "/dev/null", "--max-time", "5", "http://10.77.0.2/"])).code === 0) break;
        if (shut.aborted) throw new Error(`the daemon does not answer: ${daemon.stderr}`);
        await pause(50);
      }
      for (let i = 0; i < 40; i++) await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
      const full = await ask<CountersAnswer>(ns, daemon, "/v1/counters");
      expect(full.log["errors"]).toBeGreaterThan(0);
      expect(readFileSync(log()).length).toBeLessThanOrEqual(16_384);
      truncateSync(log(), 0);
      for (let i = 0; i < 3; i++) await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
      const linesNow = (): string[] => readFileSync(log(), "utf8").split("\0").at(-1)?.split("\n") ?? [];
      // The daemon tries a full disk again a few times a second.
      await expect.poll(() => linesNow().filter((l) => l.includes('"to":"ESTABLISHED"')).length, { timeout: 60_000, interval: 20 }).toBeGreaterThan(0);
      const lines = linesNow();
      // What was begun on the full disk may lack its front; every later line is whole.
      for (const line of lines.slice(1, -1)) expect(() => JSON.parse(line) as unknown).not.toThrow();
      expect(await daemon.stop()).toMatchObject({ code: 0 });
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }),
);

test.skipIf(missing)("the clock of the host jumps a day ahead and back: no timer runs early or late, only the log's time follows", () =>
  inNetns(async (ns) => {
    const jump = "const now = Date.now.bind(Date); let by = 0; Date.now = () => now() + by; process.on('SIGUSR2', () => { by = by === 0 ? 864e5 : -864e5; });";
    const daemon = new TestDaemon(before(ns, "env", `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(jump)}`), [
      "--set",
      "idleTimeout=1h",
      "--set",
      "keepAlive=on",
      "--set",
      "timeWait=60s",
    ]);
    await daemon.event("ready");
    const echo = new Echo(ns);
    await echo.says("before");
    await ns.must("nc", ["-d", "10.77.0.2", "13"]);
    await daemon.event("transition", { to: "TIME-WAIT" });
    const download = ns.run("curl", ["-sS", "--limit-rate", "8M", "-o", "/dev/null", "-w", "%{size_download}", "http://10.77.0.2/bytes/16000000"]);
    for (const sign of [1, -1]) {
      daemon.child.kill("SIGUSR2");
      await pause(300);
      await echo.says(`after ${sign}`);
      await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
      await expect
        .poll(() => daemon.lines.filter((l) => sign * (l.time - Date.now()) > 80_000_000).length, { timeout: 60_000, interval: 20 })
        .toBeGreaterThan(0);
    }
    expect(await download).toMatchObject({ code: 0, stdout: "16000000" });
    const { stack, rules } = await ask<CountersAnswer>(ns, daemon, "/v1/counters");
    expect(stack).toMatchObject({ keepAliveProbes: 0, timeWait: 1 });
    expect(rules["limit-idle"] ?? 0).toBe(0);
    expect(await daemon.stop()).toMatchObject({ code: 0 });
  }),
);

const STOPPED = Number(process.env["STOP_SECONDS"] ?? 3) * 1_000;
test.skipIf(missing)(
  "stopped for seconds with 40 connections and a transfer each way: all of them go on, every octet is there",
  () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      const echoes = Array.from({ length: 40 }, () => new Echo(ns));
      await Promise.all(echoes.map((e) => e.says("before")));
      const text = "0123456789abcdef".repeat(1 << 18);
      const both = ns.run("curl", ["-sS", "-H", "Expect:", "--limit-rate", "4M", "--data-binary", "@-", "http://10.77.0.2/echo"], {
        input: text,
      });
      await daemon.line((l) => l.to === "ESTABLISHED" && l.local === "10.77.0.2:80");
      daemon.child.kill("SIGSTOP");
      await pause(STOPPED);
      daemon.child.kill("SIGCONT");
      await Promise.all(echoes.map((e) => e.says("after")));
      expect((await both).stdout === text).toBe(true);
      expect(daemon.lines.filter((l) => l.event === "closed" && l.by !== "peer" && l.by !== "local" && l.by !== "both")).toEqual([]);
      await daemon.stop();
    }),
  180_000 + STOPPED,
);

const LIVE = Number(process.env["STOP_CONNECTIONS"] ?? 2_000);
/** Opens `count` echo connections, 64 at a time, says so, and then how many of them were reset when all are gone. */
const CROWD = `
const net = require("net"), count = Number(process.argv[1]);
let left = count, open = 0, reset = 0, gone = 0;
const dial = () => {
  if (left-- <= 0) return;
  const s = net.connect({ port: 7, host: "10.77.0.2" });
  s.on("connect", () => { if (++open === count) console.log("open"); dial(); });
  s.on("error", (e) => { if (e.code === "ECONNRESET") reset++; });
  s.on("close", () => { if (++gone === count) console.log("reset " + reset); });
};
for (let i = 0; i < 64; i++) dial();`;
test.skipIf(missing)(
  `SIGTERM with ${LIVE} live connections: every peer hears of it, every one has its line, and the process is gone at once`,
  () =>
    inNetns(async (ns) => {
      const dir = mkdtempSync(join(tmpdir(), "glasstcp-live-"));
      try {
        const log = join(dir, "log"),
          daemon = new TestDaemon(ns, ["--log-file", log]);
        await expect.poll(() => existsSync(log) && readFileSync(log, "utf8").includes('"event":"ready"'), { timeout: 60_000, interval: 20 }).toBe(true);
        const crowd = ns.spawn(process.execPath, ["-e", CROWD, `${LIVE}`]);
        const said: string[] = [];
        crowd.stdout?.setEncoding("utf8").on("data", (text: string) => said.push(...text.trim().split("\n")));
        await expect.poll(() => said, { timeout: 60_000, interval: 10 }).toContain("open");
        await expect
          .poll(async () => (await ask<DaemonStatus>(ns, daemon, "/v1/status")).connections.byState.ESTABLISHED, { timeout: 60_000, interval: 50 })
          .toBe(LIVE);
        const { code, ms } = await daemon.stop();
        expect(code).toBe(0);
        expect(ms).toBeLessThan(SOON_MS);
        await expect.poll(() => said, { timeout: 60_000, interval: 10 }).toContain(`reset ${LIVE}`);
        expect(readFileSync(log, "utf8").split('"by":"shutdown"').length - 1).toBe(LIVE);
        if (process.env["STOP_CONNECTIONS"] !== undefined) console.log(JSON.stringify({ connections: LIVE, stoppedAfterMs: Math.round(ms) }));
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    }),
  180_000,
);

test.skipIf(missing)("the kernel's address is taken off the link and put back: connections of before go on", () =>
  inNetns(async (ns) => {
    const daemon = await serveIn(ns);
    const echo = new Echo(ns);
    await echo.says("before");
    ns.sh("ip addr del 10.77.0.1/24 dev glass0");
    expect((await ns.run("curl", ["-sS", "-m", "1", "http://10.77.0.2/"])).code).not.toBe(0);
    ns.sh("ip addr add 10.77.0.1/24 dev glass0");
    await echo.says("after");
    await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
    expect(daemon.lines.some((l) => l.event === "device-failed")).toBe(false);
    await daemon.stop();
  }),
);

test.skipIf(missing)("too few descriptors to start: one line that says so and an exit code, no stack trace, nothing left behind", () =>
  inNetns(async (ns) => {
    for (const limit of [24, 30, 42, 60, 100]) {
      const daemon = new TestDaemon(before(ns, "prlimit", `--nofile=${limit}`), []);
      const outcome = await Promise.race([
        daemon.exited.then((e) => e.code),
        daemon.event("ready").then(
          () => "ready" as const,
          () => daemon.exited.then((e) => e.code),
        ),
      ]);
      if (outcome === "ready") {
        await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
        expect(await daemon.stop()).toMatchObject({ code: 0 });
        continue;
      }
      expect(outcome).toBe(1);
      expect(daemon.stderr, `--nofile=${limit}`).toMatch(/^glasstcp: .*; .*ulimit -n 1024\n$/);
      expect((await ns.run("ip", ["link", "show", "glass0"])).code).not.toBe(0);
    }
  }),
);
