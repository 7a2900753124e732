/** `glasstcp fault` and `serve --preset chaos` as an operator has them: one daemon, the command line beside it, and the log that explains each act. */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { PRESETS } from "../../src/faults/presets.js";
import { makeNetns, type Netns, netnsMissing, type RunResult } from "../support/netns.js";

const MAIN = ["--import", "tsx", "src/cli/main.ts"];
interface Line {
  readonly event?: string;
  readonly fault?: string;
  readonly act?: string;
  readonly detail?: string;
  readonly msg?: string;
  readonly remote?: string;
  readonly conn?: number;
  readonly from?: string;
  readonly to?: string;
}

describe.skipIf(netnsMissing("curl"))("a daemon that misbehaves", () => {
  let ns: Netns, daemon: ChildProcess;
  const dir = mkdtempSync(join(tmpdir(), "glasstcp-faults-")),
    control = join(dir, "control.sock");
  const lines: Line[] = [];
  const fault = (...args: string[]): Promise<RunResult> => ns.run(process.execPath, [...MAIN, "fault", ...args, "--control", control]);
  /** The log is written when the daemon has time: waits for a line. */
  const logged = async (wanted: (line: Line) => boolean): Promise<Line> => {
    for (let found = lines.find(wanted); ; found = lines.find(wanted)) {
      if (found !== undefined) return found;
      await new Promise((resolve) => (daemon.stdout as NodeJS.ReadableStream).once("data", () => setImmediate(resolve)));
    }
  };

  beforeAll(async () => {
    ns = await makeNetns();
    daemon = ns.spawn(process.execPath, [
      ...MAIN,
      "serve",
      "--preset",
      "chaos",
      "--behave",
      "9100:http body 1000 fin body 10",
      "--log-format",
      "json",
      "--control",
      control,
    ]);
    let complaint = "";
    daemon.stderr?.on("data", (chunk: Buffer) => {
      complaint += chunk;
    });
    await new Promise<void>((resolve, reject) => {
      daemon.once("exit", (code) => reject(new Error(`serve ended with ${code}: ${complaint}`)));
      createInterface({ input: daemon.stdout as NodeJS.ReadableStream }).on("line", (text) => {
        const line = JSON.parse(text) as Line;
        lines.push(line);
        if (line.event === "ready") resolve();
      });
    });
  });
  afterEach(async () => {
    await fault("clear");
    lines.length = 0;
  });
  afterAll(async () => {
    daemon?.kill("SIGTERM");
    await ns?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test("the preset's ports behave as its table says, and their faults are listed by their names", async () => {
    const cut = await ns.run("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2:8012/"]);
    expect([cut.code, cut.stderr]).toEqual([18, expect.stringContaining("900 bytes remaining to read")]);
    const { stdout } = await fault("ls", "--json");
    const { faults } = JSON.parse(stdout) as { faults: { id: string }[] };
    for (const p of PRESETS["chaos"]?.ports ?? []) if (p.faults !== undefined) expect(faults.map((f) => f.id)).toContain(p.name);
  });

  test("fault add --port 80 --match synack --nth 1,2 drop: the client connects late, the log says why, ls counts", async () => {
    const added = await fault("add", "--port", "80", "--match", "synack", "--nth", "1,2", "drop");
    expect([added.code, added.stdout]).toEqual([0, expect.stringMatching(/^f\d+: port 80 match synack nth 1,2 drop$/m)]);
    const id = added.stdout.split(":")[0] ?? "";
    const { stdout } = await ns.run("curl", ["-sS", "-o", "/dev/null", "-w", "%{http_code} %{time_connect}", "http://10.77.0.2/"]);
    const [status, connect] = stdout.split(" ").map(Number);
    expect(status).toBe(200);
    expect(connect).toBeGreaterThan(0.9);
    await logged((l) => l.event === "closed");
    const acts = lines.filter((l) => l.event === "fault");
    expect(acts.map((l) => [l.fault, l.act])).toEqual([
      [id, "drop"],
      [id, "drop"],
    ]);
    expect(acts[0]).toMatchObject({
      detail: expect.stringMatching(/^out S\. 0:0\(0\) ack 1/),
      remote: expect.stringMatching(/^10\.77\.0\.1:/),
      msg: expect.stringContaining(id),
    });
    expect(acts[0]?.conn).toBeGreaterThan(0);
    const list = await fault("ls");
    expect(list.stdout).toMatch(new RegExp(`^ID +HITS +HELD +FAULT\\n${id} +2 +0 +port 80 match synack nth 1,2 drop$`, "m"));
    expect((await fault("rm", id)).code).toBe(0);
    expect(await fault("rm", id)).toMatchObject({ code: 1, stderr: expect.stringContaining("glasstcp fault ls") });
  });

  // The RST comes late enough that the loss, which is by chance, has met some of 700 segments.
  test("one command, three faults: SYN,ACK dropped twice, then 5 % loss, then RST at octet 1,000,000; the log explains each", async () => {
    const added = await fault("add", "port 19: synack nth 1,2 drop; data loss 5%; out byte 1000000 rst", "--json");
    const ids = (JSON.parse(added.stdout) as { faults: { id: string }[] }).faults.map((f) => f.id);
    const got = await ns.run("curl", ["-sS", "--http0.9", "-o", "/dev/null", "-w", "%{size_download}", "http://10.77.0.2:19/"]);
    expect([got.code, got.stdout]).toEqual([56, "1000000"]);
    const rst = await logged((l) => l.fault === ids[2] && l.act === "rst");
    expect(rst.detail).toMatch(/^out \S+ 1000001:.*: at octet 1000000, an RST to each end$/);
    const acts = lines.filter((l) => l.event === "fault");
    expect(acts.filter((l) => l.fault === ids[0]).map((l) => l.act)).toEqual(["drop", "drop"]);
    expect(acts.some((l) => l.fault === ids[1] && l.act === "drop" && l.detail?.endsWith(": loss 5%"))).toBe(true);
  });

  test("hold and release from another terminal", async () => {
    await fault("add", "as", "late", "--port", "13", "out", "data", "hold");
    const waiting = ns.run("curl", ["-sS", "--http0.9", "http://10.77.0.2:13/"]);
    for (let held = 0; held === 0; )
      held = (JSON.parse((await fault("ls", "--json")).stdout) as { faults: { id: string; held: number }[] }).faults.find((f) => f.id === "late")?.held ?? 0;
    expect((await fault("release", "late")).stdout).toMatch(/^\d+ segments released/);
    expect(await waiting).toMatchObject({ code: 0, stdout: expect.stringMatching(/20\d\d/) });
  });

  test("serve --behave: an endpoint of one's own", async () => {
    const got = await ns.run("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2:9100/"]);
    expect([got.code, got.stderr]).toEqual([18, expect.stringContaining("990 bytes remaining to read")]);
    const serve = (behave: string): Promise<RunResult> =>
      ns.run(process.execPath, [...MAIN, "serve", "--tun", "glass1", "--behave", behave, "--control", join(dir, "other.sock")]);
    expect(await serve("9100:htpp")).toMatchObject({ code: 2, stderr: expect.stringMatching(/--behave: .*did you mean "http"/) });
    expect(await serve("http")).toMatchObject({ code: 2, stderr: expect.stringMatching(/--behave http: a port, a colon and a behaviour are wanted/) });
  });

  test("usage errors point at the word, before any daemon is asked; without a daemon exit 4", async () => {
    const wrong = await fault("add", "--port", "80", "--match", "sinack", "drop");
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("--port 80 --match sinack drop\n                  ^^^^^^\n");
    expect(wrong.stderr).toContain('did you mean "synack"?');
    expect((await fault("add")).code).toBe(2);
    expect((await ns.run(process.execPath, [...MAIN, "fault", "ls", "--control", join(dir, "none.sock")])).code).toBe(4);
  });
});
