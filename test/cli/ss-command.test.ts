import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { main } from "../../src/cli/program.js";
import { type ControlServer, serveControl } from "../../src/control/server.js";
import { everyKind } from "../observe/events.js";
import { connectionRow, FakeDaemon, listenerRow } from "../control/fake.js";

let dir: string, path: string, daemon: FakeDaemon, server: ControlServer;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "glasstcp-ss-"));
  path = join(dir, "s");
  daemon = new FakeDaemon();
  daemon.listeners = [listenerRow(80, { service: "http" })];
  daemon.connections = [
    connectionRow(),
    connectionRow({ id: 2, state: "TIME-WAIT", remote: { address: "10.77.0.1", port: 5 }, timer: { name: "timeWait", inMs: 4_000 } }),
  ];
  server = await serveControl(daemon, path);
});
afterEach(async () => {
  await server.close();
  rmSync(dir, { recursive: true, force: true });
});

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = "",
    err = "";
  const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const stderr = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += String(text);
    return true;
  });
  try {
    return { code: await main([argv[0] as string, "--control", path, ...argv.slice(1)]), out, err };
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
}

describe("glasstcp ss", () => {
  test("flags may be joined, and the filter follows", async () => {
    const { code, out } = await run("ss", "-tanoieH", "dport", "=", ":48308");
    expect(code).toBe(0);
    expect(out).toMatch(/^ESTAB +0 +0 +10\.77\.0\.2:80 +10\.77\.0\.1:48308 ino:1 sk:1 <->\n\t ts sack cubic /);
  });
  test("state time-wait, as the documentation writes it", async () => {
    expect((await run("ss", "-tan", "state", "time-wait")).out.split("\n")).toEqual([
      expect.stringMatching(/^Recv-Q Send-Q/),
      expect.stringMatching(/^0 +0 +10\.77\.0\.2:80 +10\.77\.0\.1:5$/),
      "",
    ]);
  });
  test("ss -tulpn, as fingers type it, shows the listeners; -u alone shows nothing", async () => {
    expect((await run("ss", "-tulpn")).out).toMatch(
      /^Netid State .*\ntcp +LISTEN +0 +511 +10\.77\.0\.2:80 +0\.0\.0\.0:\* +users:\(\("http",pid=\d+,fd=0\)\)\n$/,
    );
    expect((await run("ss", "-uanH")).out).toBe("");
    expect((await run("netstat", "-tulpn")).out).toMatch(/LISTEN +\d+\/http/);
  });
  test("--json is one object a line", async () => {
    const rows = (await run("ss", "-a", "--json")).out
      .trim()
      .split("\n")
      .map((l) => JSON.parse(l) as { state: string });
    expect(rows.map((r) => r.state)).toEqual(["LISTEN", "ESTABLISHED", "TIME-WAIT"]);
  });
  test("-K aborts what matches, and nothing else", async () => {
    expect((await run("ss", "-tanKH", "dport", "=", ":5")).out).toContain("10.77.0.1:5");
    expect(daemon.aborted).toEqual([2]);
  });
  test("a wrong filter is usage, exit 2, one line", async () => {
    const { code, err } = await run("ss", "dport", "=", "nosuch");
    expect(code).toBe(2);
    expect(err).toMatch(/^glasstcp: filter: "nosuch" is not a port; .*\n$/);
  });
  test("no daemon is exit 4 with the mend", async () => {
    await server.close();
    const { code, err } = await run("ss");
    expect(code).toBe(4);
    expect(err).toMatch(/^glasstcp: no daemon: .*glasstcp serve.*\n$/);
  });
  test("-s shows totals and limits", async () => {
    expect((await run("ss", "-s")).out).toMatch(/^Total: 3\nTCP: .*\n[^]*connections +1 +100000/);
  });
});

test("glasstcp netstat -nap prints states as netstat does", async () => {
  const { out } = await run("netstat", "-nap");
  expect(out).toMatch(/^Active Internet connections \(servers and established\)\n/);
  expect(out).toMatch(/ESTABLISHED \d+\/http/);
  expect(out).toMatch(/TIME_WAIT/);
});

describe("glasstcp sysctl", () => {
  test("Linux's name and unit on our setting, read and written", async () => {
    expect((await run("sysctl", "net.ipv4.tcp_fin_timeout")).out).toBe("net.ipv4.tcp_fin_timeout = 60\n");
    expect((await run("sysctl", "net.ipv4.tcp_fin_timeout=5")).out).toBe("net.ipv4.tcp_fin_timeout = 5\n");
    expect(daemon.options().find((o) => o.name === "finWait2")?.value).toBe(5_000);
    expect((await run("sysctl", "-n", "/proc/sys/net/ipv4/tcp_fin_timeout")).out).toBe("5\n");
    expect((await run("sysctl", "-w", "net.ipv4.tcp_sack=0", "congestion=reno")).out).toBe("net.ipv4.tcp_sack = 0\ncongestion = reno\n");
  });
  test("every Linux name reads back what it shows", async () => {
    const shown = (await run("sysctl", "-a")).out.split("\n").filter((l) => l.startsWith("net."));
    expect(shown.length).toBeGreaterThan(20);
    for (const line of shown) {
      const [name, value] = line.split(" = ");
      expect((await run("sysctl", `${name}=${value}`)).out).toBe(`${line}\n`);
    }
  });
  test("what is wrong is one line", async () => {
    expect(await run("sysctl", "net.ipv4.nope")).toMatchObject({ code: 2, err: expect.stringContaining("sysctl -a") as string });
    expect(await run("sysctl", "net.ipv4.tcp_sack=maybe")).toMatchObject({ code: 2 });
    expect(await run("sysctl", "finWait2=soon")).toMatchObject({ code: 1, err: expect.stringContaining("a number from") as string });
    expect(await run("sysctl")).toMatchObject({ code: 2 });
  });
});

describe("glasstcp trace", () => {
  const emitWhenWatched = async (): Promise<void> => {
    while (daemon.observers.size === 0) await new Promise(setImmediate);
    for (const e of everyKind) daemon.emit(e);
  };
  test("one line for each event, with the words and the rule", async () => {
    const [{ code, out }] = await Promise.all([run("trace", "--count", "3"), emitWhenWatched()]);
    expect(code).toBe(0);
    const lines = out.trim().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain("LISTEN → SYN-RECEIVED: SYN arrived, sent SYN,ACK [9293-3.10.7.2/3]");
  });
  test("--json gives the log's own lines, filters pass", async () => {
    const [{ out }] = await Promise.all([run("trace", "--json", "--event", "drop", "--count", "2"), emitWhenWatched()]);
    expect(
      out
        .trim()
        .split("\n")
        .map((l) => (JSON.parse(l) as { event: string }).event),
    ).toEqual(["drop", "drop"]);
  });
  test("a wrong filter is one line", async () => {
    expect(await run("trace", "--event", "nonsense")).toMatchObject({ code: 1, err: expect.stringMatching(/^glasstcp: "nonsense" is no event/) as string });
  });
});
