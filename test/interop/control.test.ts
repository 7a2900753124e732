/** The operator's tools against a real daemon with real clients of the kernel. */
import { describe, expect, test } from "vitest";
import type { CountersAnswer } from "../../src/control/contract.js";
import { MAIN, serveIn } from "../support/daemon.js";
import { inNetns, netnsMissing } from "../support/netns.js";

describe.skipIf(netnsMissing("curl", "nc", "ss"))("the operator's tools", () => {
  test("ss shows what the kernel's ss shows of the other end, row by row", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      const client = ns.spawn("nc", ["10.77.0.2", "7"]);
      client.stdin?.write("hello\n");
      await new Promise((resolve) => client.stdout?.once("data", resolve));
      const [, , , local, peer] = (await daemon.cli("ss", ["-tnH"])).stdout.trim().split(/\s+/);
      const kernel = (await ns.must("ss", ["-tnH", "dst", "10.77.0.2"])).trim().split(/\s+/);
      expect([peer, local]).toEqual([kernel[3], kernel[4]]);

      const pair = (await daemon.cli("ss", ["-tnoiH", "--pair"])).stdout.split("\n");
      expect(pair[0]).toMatch(/^ESTAB +0 +0 +10\.77\.0\.2:7 +10\.77\.0\.1:\d+/);
      expect(pair[1]).toMatch(/^\t ts sack cubic wscale:\d+,7 rto:[\d.]+ rtt:[\d.]+\/[\d.]+ mss:1448 .*bytes_sent:6 .*bytes_received:6 /);
      expect(pair[2]).toMatch(/^\t kernel: ESTAB Recv-Q 0 Send-Q 0 .*bytes_received:6 /);

      expect((await daemon.cli("ss", ["-tlnH"])).stdout.trim().split("\n")).toHaveLength(5);
      expect((await daemon.cli("netstat", ["-nap"])).stdout).toMatch(/10\.77\.0\.2:7 +10\.77\.0\.1:\d+ +ESTABLISHED \d+\/echo/);
      expect((await daemon.cli("ss", ["-s"])).stdout).toMatch(/^TCP: {3}6 \(estab 1, closed 0, orphaned 0, timewait 0\)$/m);

      const ended = new Promise<number | null>((resolve) => client.once("exit", resolve));
      expect((await daemon.cli("ss", ["-tnKH", "sport", "=", ":7"])).stdout).toMatch(/10\.77\.0\.2:7/);
      await daemon.event("closed", { by: "abort" });
      await ended;
      expect((await daemon.cli("ss", ["-tnH"])).stdout).toBe("");
      await daemon.stop();
    }));

  test("netstat -nap | grep SYN_RECV shows half-open connections, and so does the state filter of ss", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns, ["--fault", "port 7: in ack3 drop"]);
      const clients = [1, 2, 3].map(() => ns.spawn("nc", ["10.77.0.2", "7"]));
      while (daemon.lines.filter((l) => l.to === "SYN-RECEIVED").length < 3)
        await daemon.line((l) => l.event === "transition" && l.to === "SYN-RECEIVED" && l.conn === 3);
      const shell = `"$1" "$2" netstat --control "$3" -nap | grep SYN_RECV | wc -l`;
      expect((await ns.must("sh", ["-c", shell, "sh", process.execPath, MAIN, daemon.control])).trim()).toBe("3");
      expect((await daemon.cli("ss", ["-tnH", "state", "syn-recv"])).stdout.trim().split("\n")).toHaveLength(3);
      expect((await daemon.cli("ss", ["-s"])).stdout).toMatch(/^syn backlog +3 +1024 +0$/m);
      for (const c of clients) c.kill();
      await daemon.stop();
    }));

  test("an application that does not accept: Recv-Q of its listener grows to Send-Q, and ss -s, counters and log say what was dropped", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns, ["--behave", "9000:echo never-accept backlog 2"]);
      const clients = [1, 2].map(() => ns.spawn("nc", ["10.77.0.2", "9000"]));
      for (const conn of [1, 2]) await daemon.event("transition", { to: "ESTABLISHED", conn });
      clients.push(ns.spawn("nc", ["10.77.0.2", "9000"]));
      expect(await daemon.event("limit")).toMatchObject({ limit: "acceptBacklog", value: 2 });
      expect((await daemon.cli("ss", ["-tlnH", "sport", "=", ":9000"])).stdout).toMatch(/^LISTEN +2 +2 +0\.0\.0\.0:9000 .*! the accept queue is full/);
      expect((await daemon.cli("ss", ["-tnH", "state", "established"])).stdout.trim().split("\n")).toHaveLength(2);
      expect((await daemon.cli("ss", ["-s"])).stdout).toMatch(/^accept backlog +2 +511 +[1-9]\d*$/m);
      const { stack, rules } = JSON.parse(await ns.must("curl", ["-sS", "--unix-socket", daemon.control, "http://localhost/v1/counters"])) as CountersAnswer;
      expect(stack["listenOverflows"]).toBeGreaterThan(0);
      expect(rules["accept-backlog"]).toBe(stack["listenOverflows"]);
      for (const c of clients) c.kill();
      await daemon.stop();
    }));

  test("trace follows one request from SYN to the last ACK, segment by segment", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      const trace = ns.spawn(process.execPath, [MAIN, "trace", "--control", daemon.control, "--segments", "--json", "--port", "80"]);
      const lines: { event: string; conn?: number; dir?: string; flags?: string; from?: string; to?: string }[] = [];
      let rest = "";
      trace.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
        const parts = (rest + chunk).split("\n");
        rest = parts.pop() ?? "";
        for (const p of parts) lines.push(JSON.parse(p) as (typeof lines)[number]);
      });
      const closed = (conn: number): boolean => lines.some((l) => l.event === "closed" && l.conn === conn);
      // The trace is on when a request of ours shows in it from its first segment.
      let last = 0;
      do {
        await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
        last++;
        await daemon.event("closed", { conn: last });
      } while (!lines.some((l) => l.conn === last));
      await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
      last++;
      while (!closed(last)) await new Promise((resolve) => trace.stdout?.once("data", resolve));
      lines.splice(0, lines.length, ...lines.filter((l) => l.conn === last));
      const segments = lines.filter((l) => l.event === "segment").map((l) => `${l.dir} ${l.flags}`);
      expect(segments.slice(0, 4)).toEqual(["in S", "out S.", "in .", "in P."]);
      expect(lines.filter((l) => l.event === "transition").map((l) => l.to)).toEqual(["SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"]);
      const ended = new Promise<number | null>((resolve) => trace.once("exit", resolve));
      await daemon.stop();
      expect(await ended).toBe(0);
    }));

  test("sysctl changes what later connections do", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      expect((await daemon.cli("sysctl", ["timeWait=100ms", "net.ipv4.tcp_timestamps=0"])).stdout).toBe("timeWait = 100\nnet.ipv4.tcp_timestamps = 0\n");
      await ns.must("nc", ["10.77.0.2", "13"]);
      const over = await daemon.line((l) => l.event === "transition" && l.from === "TIME-WAIT");
      expect(over["ms"]).toBeLessThan(30_000); // and not the 60 s of before
      const client = ns.spawn("nc", ["10.77.0.2", "7"]);
      await daemon.event("transition", { to: "ESTABLISHED", conn: 2 });
      expect((await daemon.cli("ss", ["-tnoiH"])).stdout).toMatch(/\n\t sack cubic /);
      client.kill();
      await daemon.stop();
    }));

  test("without a daemon each tool is exit 4 and one line that names the mend", () =>
    inNetns(async (ns) => {
      for (const command of [["ss"], ["netstat"], ["trace"], ["sysctl", "-a"], ["fault", "ls"]]) {
        const { code, stderr, stdout } = await ns.run(process.execPath, [MAIN, ...command, "--control", "/nonexistent/s"]);
        expect([command, code, stdout]).toEqual([command, 4, ""]);
        expect(stderr).toMatch(/^glasstcp: no daemon: .*glasstcp serve.*\n$/);
      }
    }));

  test("metrics on a port of the host where asked, on the control socket always", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns, ["--metrics", "127.0.0.1:9101"]);
      await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
      await daemon.event("closed");
      const text = await ns.must("curl", ["-sS", "http://127.0.0.1:9101/metrics"]);
      expect(text).toContain('glasstcp_transitions_total{from="LISTEN",to="SYN-RECEIVED"} 1');
      expect(text).toContain('glasstcp_closed_total{by="peer"} 1');
      expect(await ns.must("curl", ["-sS", "--unix-socket", daemon.control, "http://localhost/metrics"])).toContain("glasstcp_info");
      expect(await ns.must("curl", ["-sS", "http://127.0.0.1:9101/healthz"])).toBe("ok\n");
      await daemon.stop();
    }));
});
