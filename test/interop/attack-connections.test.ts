/** Full-connection attacks (handshake complete, then as expensive as they can be) on the real daemon: each is bounded by a setting, and a newcomer is served meanwhile. */
import type { ChildProcess } from "node:child_process";
import { describe, expect, test } from "vitest";
import type { CountersAnswer, DaemonStatus } from "../../src/control/contract.js";
import { type Line, serveIn, type TestDaemon } from "../support/daemon.js";
import { inNetns, netnsMissing, type Netns } from "../support/netns.js";

/** Opens `count` connections, sends `first` on each and then `more` every 200 ms, and never reads. Says when all that could be are open. */
const ATTACKER = `
const net = require("net"), [port, count, first, more] = process.argv.slice(1);
let left = Number(count);
const settled = () => { if (--left === 0) console.log("open"); };
for (let i = 0; i < Number(count); i++) {
  const s = net.connect({ port: Number(port), host: "10.77.0.2" });
  let once = () => { once = () => {}; settled(); };
  s.on("connect", () => { once(); s.write(first); if (more !== "") setInterval(() => s.write(more), 200); s.pause(); });
  s.on("error", () => once()).on("close", () => once());
}
setTimeout(() => {}, 60_000);`;

async function attack(ns: Netns, port: number, count: number, first = "", more = ""): Promise<ChildProcess> {
  const child = ns.spawn(process.execPath, ["-e", ATTACKER, `${port}`, `${count}`, first, more]);
  let errors = "";
  child.stderr?.on("data", (c: Buffer) => {
    errors += c;
  });
  await new Promise((resolve, reject) => {
    child.stdout?.once("data", resolve);
    child.once("exit", () => reject(new Error(`the attacker ended: ${errors}`)));
  });
  return child;
}
const ask = async <T>(ns: Netns, daemon: TestDaemon, route: string): Promise<T> =>
  JSON.parse(await ns.must("curl", ["-sS", "--unix-socket", daemon.control, `http://localhost${route}`])) as T;
const limit = (s: DaemonStatus, name: string): { limit: number; shed: number | undefined } | undefined => s.limits.find((l) => l.name === name);
/** Seconds that a client takes which comes now: no retry of a SYN (1 s, then 2 s more) may be among them, but a busy machine may. */
const newcomer = async (ns: Netns): Promise<number> =>
  Number(await ns.must("curl", ["-sS", "-m", "30", "-o", "/dev/null", "-w", "%{time_total}", "http://10.77.0.2/"]));
const SOON = 3;
/** Until so many lines match. */
const lines = (daemon: TestDaemon, count: number, matches: (l: Line) => boolean): Promise<Line> =>
  daemon.line(() => daemon.lines.filter(matches).length >= count);
const ended = (daemon: TestDaemon, count: number): Promise<Line> => lines(daemon, count, (l) => l.event === "closed" && l.by === "limit");

describe.skipIf(netnsMissing("curl"))("full-connection attacks", () => {
  test("500 idle connections, held to idleTimeout: all reset, ss -s counts them, a newcomer does not notice", () =>
    inNetns(async (ns) => {
      // Long enough that the first is still there when the last has come, on a busy machine too.
      const daemon = await serveIn(ns, ["--set", "idleTimeout=8s"]);
      const attacker = await attack(ns, 80, 500);
      await lines(daemon, 500, (l) => l.to === "ESTABLISHED");
      expect((await ask<DaemonStatus>(ns, daemon, "/v1/status")).connections.byState.ESTABLISHED).toBe(500);
      expect(await newcomer(ns)).toBeLessThan(SOON);
      await ended(daemon, 500);
      const after = await ask<DaemonStatus>(ns, daemon, "/v1/status");
      expect(limit(after, "idle ms")).toMatchObject({ limit: 8_000, shed: 500 });
      expect(after.connections.byState.ESTABLISHED ?? 0).toBe(0);
      expect((await daemon.cli("ss", ["-s"])).stdout).toMatch(/^idle ms +- +8000 +500$/m);
      attacker.kill();
      expect(await daemon.stop()).toMatchObject({ code: 0 });
    }));

  test("200 readers that stop reading, with 100 MB asked for by each: memory stays, zeroWindowTimeout ends them", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns, ["--set", "zeroWindowTimeout=3s"]);
      const before = await ask<DaemonStatus>(ns, daemon, "/v1/status");
      const attacker = await attack(ns, 80, 200, "GET /bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n");
      expect(await newcomer(ns)).toBeLessThan(SOON);
      await ended(daemon, 200);
      const after = await ask<DaemonStatus>(ns, daemon, "/v1/status");
      expect(limit(after, "zero window ms")?.shed).toBe(200);
      expect(after.memory.rss - before.memory.rss).toBeLessThan(200 * 1024 * 1024);
      expect((await ask<CountersAnswer>(ns, daemon, "/v1/counters")).stack["pagesUsed"]).toBe(0);
      attacker.kill();
      expect(await daemon.stop()).toMatchObject({ code: 0 });
    }));

  test("a reader of 64 octets a second is too slow for minSendRate, a reader of megabytes is not", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns, ["--set", "minSendRate=20k", "--set", "minSendRatePeriod=2s"]);
      const fair = ns.run("curl", ["-sS", "--limit-rate", "2M", "-o", "/dev/null", "-w", "%{size_download}", "http://10.77.0.2/bytes/12000000"]);
      const slow = ns.spawn("curl", ["-sS", "--limit-rate", "64", "-o", "/dev/null", "http://10.77.0.2/bytes/1000000000"]);
      await ended(daemon, 1);
      expect(await fair).toMatchObject({ code: 0, stdout: "12000000" });
      expect(limit(await ask<DaemonStatus>(ns, daemon, "/v1/status"), "slow reader octets/s")).toMatchObject({ limit: 20_000, shed: 1 });
      slow.kill();
      await daemon.stop();
    }));

  test("100 slow senders, an octet every 200 ms: not idle, and yet over after maxAge", () =>
    inNetns(async (ns) => {
      // Nobody may be idle for so long because the attacker did not get to send.
      const daemon = await serveIn(ns, ["--set", "idleTimeout=5s", "--set", "maxAge=8s"]);
      const attacker = await attack(ns, 80, 100, "GET / HTTP/1.1\r\nX: ", "x");
      expect(await newcomer(ns)).toBeLessThan(SOON);
      await ended(daemon, 100);
      const after = await ask<DaemonStatus>(ns, daemon, "/v1/status");
      expect(limit(after, "idle ms")?.shed).toBe(0);
      expect(limit(after, "age ms")?.shed).toBe(100);
      attacker.kill();
      await daemon.stop();
    }));

  test("300 connections of one address where 50 may be: 50 are, and one line a second tells of the others", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns, ["--set", "maxPerSource=50"]);
      ns.sh("ip addr add 10.77.0.9/24 dev glass0");
      const attacker = ns.spawn(process.execPath, ["-e", ATTACKER, "7", "300", "x", ""]);
      await daemon.event("limit", { limit: "maxPerSource", value: 50 });
      // Another address is not affected.
      expect(await ns.must("curl", ["-sS", "--interface", "10.77.0.9", "-o", "/dev/null", "-w", "%{http_code}", "http://10.77.0.2/"])).toBe("200");
      const now = (): Promise<DaemonStatus> => ask<DaemonStatus>(ns, daemon, "/v1/status");
      await expect.poll(async () => limit(await now(), "per source")?.shed, { timeout: 60_000, interval: 50 }).toBeGreaterThanOrEqual(250);
      await expect.poll(async () => (await now()).connections.byState.ESTABLISHED, { timeout: 60_000, interval: 50 }).toBe(50);
      const status = await now();
      const seconds = (Date.now() - status.startedAt) / 1_000;
      expect(daemon.lines.filter((l) => l.event === "limit").length).toBeLessThanOrEqual(seconds + 1);
      attacker.kill();
      await daemon.stop();
    }));

  test("half-open connections go after synAckRetries, and netstat shows them as long as they are there", () =>
    inNetns(async (ns) => {
      // The second retry comes after 3 s, and is given 4 s: so long netstat has to look.
      const daemon = await serveIn(ns, ["--set", "synAckRetries=2"]);
      // Answers to the SYNs are lost on their way: the clients never complete the handshake.
      ns.sh("nft add table ip t; nft add chain ip t in '{ type filter hook input priority 0; }'; nft add rule ip t in iifname glass0 drop");
      const attacker = ns.spawn(process.execPath, ["-e", ATTACKER, "80", "40", "", ""]);
      await lines(daemon, 40, (l) => l.to === "SYN-RECEIVED");
      expect((await daemon.cli("netstat", ["-nap"])).stdout.match(/SYN_RECV/g)).toHaveLength(40);
      attacker.kill();
      await lines(daemon, 40, (l) => l.to === "CLOSED" && l.from === "SYN-RECEIVED");
      expect((await ask<DaemonStatus>(ns, daemon, "/v1/status")).connections.byState["SYN-RECEIVED"] ?? 0).toBe(0);
      await daemon.stop();
    }));
});
