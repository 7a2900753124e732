/** The benchmark works: every part of it in its shortest form. What it measures then says nothing about speed. */
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readmeTable, resultsPage } from "../../bench/markdown.js";
import type { Result } from "../../bench/result.js";
import { netnsMissing } from "../support/netns.js";
import { describeUnless } from "../support/skip.js";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "bench-test-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
const run = (command: string, ...args: string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(command, args, { encoding: "utf8", maxBuffer: 1 << 24 }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === "number" ? error.code : error === null ? 0 : 1, stdout, stderr }),
    );
  });
/** Root for whoever is not: the benchmark wants an interface and namespaces, and these are its own. */
const bench = (...args: string[]): Promise<Ended> =>
  process.getuid?.() === 0 ? run("scripts/bench", ...args) : run("unshare", "-Ur", "scripts/bench", ...args);
const missing = (): string | undefined =>
  spawnSync("cc", ["--version"]).status === 0 ? netnsMissing("sysctl") : "a C compiler is missing: apt-get install gcc libc6-dev";

describeUnless(missing(), "scripts/bench", () => {
  test("every part in its shortest form: figures of ours, of the limit and of the kernel, all above nothing", async () => {
    const file = join(dir, "result.json");
    const { code, stdout, stderr } = await bench("--quick", "--secs", "0.5", "--idle", "500", "--json", file);
    expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
    const result = JSON.parse(readFileSync(file, "utf8")) as Result;
    expect(new Set(result.rows.map((r) => `${r.figure}, ${r.mode}`)).size).toBe(14);
    for (const r of result.rows)
      for (const values of [r.ours, r.limit, r.kernel]) expect(values.length === 1 && values.every((v) => v > 0), `${r.figure}, ${r.mode}`).toBe(true);
    expect(result.memory.map((m) => m.connections)).toEqual([500, 500]);
    expect(result.exact.map((e) => [e.mode, e.octets])).toEqual([
      ["offload", 4 * 2 ** 20],
      ["plain", 4 * 2 ** 20],
    ]);
    expect(result.idle.map((i) => i.mode)).toEqual(["offload", "plain", "--spin-us 20"]);
    expect(result.log?.info.rate).toHaveLength(4);
    for (const r of result.rows) expect(stdout).toContain(r.figure);
    expect(resultsPage(result).match(/^\| receive \|/gm)).toHaveLength(2);
    expect(readmeTable(result).match(/^\|/gm)).toHaveLength(2 + 8);
  }, 600_000);

  test("a server that ends at once is named, with what it said, and the exit code is 1", async () => {
    const { code, stderr } = await bench("--quick", "--only", "rx", "--", "sh", "-c", "echo no device here; exit 3");
    expect(code).toBe(1);
    expect(stderr.trim().split("\n").at(-1)).toBe("bench: server ended: no device here");
  });

  test("a part that there is not is refused", async () => {
    const { code, stderr } = await bench("--only", "rx,speed");
    expect([code > 0, stderr.includes('"speed" is not one of rx, tx')]).toEqual([true, true]);
  });
});

describe("npm run bench:micro", () => {
  test("times every piece, and none of them lacks its baseline", async () => {
    const { stdout } = await run(process.execPath, "--import", "./node_modules/tsx/dist/loader.mjs", "bench/micro/main.ts", "--quick", "--json");
    const { rows } = JSON.parse(stdout) as { rows: { name: string; ns: number; ratio: number; baseline?: number }[] };
    expect(rows.length).toBeGreaterThan(10);
    for (const r of rows) expect([r.name, r.ns > 0, r.ratio > 0, r.baseline !== undefined]).toEqual([r.name, true, true, true]);
  });
});
