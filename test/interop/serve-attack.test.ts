/** The daemon under attack (RFC 4987, RFC 5961): floods from random sources, and blind injection into a connection between others. */
import { describe, expect, test } from "vitest";
import type { ConnectionRow, CountersAnswer, DaemonStatus } from "../../src/control/contract.js";
import { serveIn, type TestDaemon } from "../support/daemon.js";
import { flood, roomForAll } from "../support/flood.js";
import { inNetns, netnsMissing, type Netns } from "../support/netns.js";

const ask = async <T>(ns: Netns, daemon: TestDaemon, route: string): Promise<T> =>
  JSON.parse(await ns.must("curl", ["-sS", "--unix-socket", daemon.control, `http://localhost${route}`])) as T;

/** A connection to echo that says something when asked, and tells whether it came back. */
class Echo {
  readonly #child: ReturnType<Netns["spawn"]>;
  #heard = "";
  ended = false;
  constructor(ns: Netns) {
    this.#child = ns.spawn("nc", ["10.77.0.2", "7"]);
    this.#child.stdout?.on("data", (c: Buffer) => {
      this.#heard += c;
    });
    this.#child.once("exit", () => {
      this.ended = true;
    });
  }
  async says(word: string): Promise<void> {
    this.#child.stdin?.write(`${word}\n`);
    while (!this.#heard.includes(`${word}\n`)) {
      if (this.ended) throw new Error(`the connection ended before "${word}" came back`);
      await new Promise((resolve) => this.#child.stdout?.once("data", resolve).once("close", resolve));
    }
  }
  close(): void {
    this.#child.kill();
  }
}

describe.skipIf(netnsMissing("curl", "nc"))("under attack", () => {
  test("a SYN flood from random sources: a newcomer gets in within the first retry, an old connection goes on, memory is bounded, the log says so once a second", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      roomForAll(ns);
      const echo = new Echo(ns);
      await echo.says("before");
      const before = await ask<DaemonStatus>(ns, daemon, "/v1/status");
      // As fast as a machine that also runs other tests can be sure to answer; `scripts/flood.ts syn` without a rate sends all it can.
      const started = performance.now();
      const attack = flood(ns, "syn", "--port", "80", "--seconds", "4", "--rate", "10000");
      await daemon.event("flood");
      // A retry comes after 1 s, the next one 2 s later.
      const [code = "", connect = ""] = (
        await ns.must("curl", ["-sS", "-m", "30", "-o", "/dev/null", "-w", "%{http_code} %{time_connect}", "http://10.77.0.2/"])
      ).split(" ");
      expect(code).toBe("200");
      expect(Number(connect)).toBeLessThan(2.9);
      await echo.says("during");
      expect((await attack).perSecond).toBeGreaterThan(1_000);
      await echo.says("after");
      const after = await ask<DaemonStatus>(ns, daemon, "/v1/status");
      expect(after.connections.byState["SYN-RECEIVED"]).toBeLessThanOrEqual(1_024);
      expect(after.synCookies.sent).toBeGreaterThan(1_000);
      expect(after.memory.rss - before.memory.rss).toBeLessThan(96 * 1024 * 1024);
      const told = daemon.lines.filter((l) => l.event === "flood");
      expect(told.length).toBeLessThanOrEqual((performance.now() - started) / 1_000 + 1);
      expect(told.at(-1)).toMatchObject({ level: 40, halfOpen: 1_024 });
      echo.close();
      expect((await daemon.stop()).code).toBe(0);
    }));

  test("a scan of a closed port costs neither a flood of RSTs nor one of log lines", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      const { sent } = await flood(ns, "syn", "--port", "81", "--seconds", "2");
      await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
      const { stack, rules } = await ask<CountersAnswer>(ns, daemon, "/v1/counters");
      expect(rules["9293-3.10.7.1"]).toBeGreaterThan(Math.min(sent, 10_000) / 2);
      expect(stack["resetsOut"]).toBeLessThanOrEqual(40_000);
      expect(daemon.lines.filter((l) => l.event === "refused").length).toBeLessThanOrEqual(500);
      await daemon.stop();
    }));

  test.each(["rst", "spoofed-syn", "ack", "data"] as const)("100,000 blind frames (%s) into a connection: it goes on, and not an octet is added", (kind) =>
    inNetns(async (ns) => {
      // Without timestamps, whose absence alone would give the frames away (RFC 7323 §3.2).
      const daemon = await serveIn(ns, ["--set", "timestamps=off"]);
      const room = roomForAll(ns);
      const echo = new Echo(ns);
      await echo.says("before");
      const [row] = (await ask<{ connections: ConnectionRow[] }>(ns, daemon, "/v1/sockets")).connections;
      const { sent } = await flood(
        ns,
        kind,
        "--port",
        "7",
        "--source",
        `${row?.remote.address}:${row?.remote.port}`,
        "--count",
        "100000",
        "--rate",
        "40000",
        "--seconds",
        "100",
      );
      expect(sent).toBe(100_000);
      await echo.says("after");
      const { device } = await ask<CountersAnswer>(ns, daemon, "/v1/counters");
      // Where the queue cannot be widened, a busy machine loses some.
      expect(device["rxFrames"]).toBeGreaterThan(room ? 100_000 : 50_000);
      const [same] = (await ask<{ connections: ConnectionRow[] }>(ns, daemon, "/v1/sockets")).connections;
      expect(same).toMatchObject({ id: row?.id, state: "ESTABLISHED", bytesReceived: "before\nafter\n".length });
      expect(daemon.lines.some((l) => l.event === "closed" || l.event === "reset")).toBe(false);
      echo.close();
      await daemon.stop();
    }),
  );
});
