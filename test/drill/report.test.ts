/** What `glasstcp drill` prints: a line per script, JSON lines, TAP, a summary, and the exit code. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { register } from "../../src/cli/commands/drill.js";

const PASS = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 close(3) = 0\n";
const FAIL = "0 < S 0:0(0) win 9\n+0 > R. 0:0(0) ack 2\n";
const SKIP = "--ip_version=ipv6\n0 close(3) = 0\n";
const BAD = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 nonsense\n";
let dir = "";
const file = (name: string): string => join(dir, name);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "drill-"));
  for (const [name, text] of Object.entries({ "pass.pkt": PASS, "fail.pkt": FAIL, "skip.pkt": SKIP, "bad.pkt": BAD, "macro.pkt": "0 close(FD) = 0" }))
    writeFileSync(file(name), text);
});
afterAll(() => rmSync(dir, { recursive: true }));
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = 0;
});

async function run(...args: string[]): Promise<{ out: string; err: string; code: number | string | undefined }> {
  let out = "",
    err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((err += String(text)), true));
  const program = new Command().exitOverride();
  register(program);
  await program.parseAsync(["drill", ...args], { from: "user" });
  const code = process.exitCode ?? undefined;
  vi.restoreAllMocks();
  return { out: out.replaceAll(`${dir}/`, ""), err, code };
}

test("a line per script, and a summary", async () => {
  const { out, code } = await run(file("pass.pkt"), file("fail.pkt"), file("skip.pkt"), file("bad.pkt"));
  expect(out.split("\n")).toEqual([
    "PASS pass.pkt",
    "FAIL fail.pkt:2 acknowledgment differs: wanted 2, got 1, wanted R. 0:0(0) ack 2, got R. 0:0(0) ack 1 win 0",
    "SKIP skip.pkt IPv6 is not supported (line 1)",
    'FAIL bad.pkt:3 cannot be read: unexpected end of the script, wanted "(" after "nonsense" (column 1)',
    "4 scripts: 1 passed, 2 failed, 1 skipped",
    "",
  ]);
  expect(code).toBe(1);
});
test("exit 0 where nothing fails", async () => expect((await run(file("pass.pkt"), file("skip.pkt"))).code).toBe(0));
test("one JSON object a line and script", async () => {
  const { out, code } = await run("--json", file("pass.pkt"), file("fail.pkt"), file("skip.pkt"), file("bad.pkt"), file("none.pkt"));
  const objects = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(objects.map((o) => [o["file"], o["result"], o["line"]])).toEqual([
    ["pass.pkt", "PASS", null],
    ["fail.pkt", "FAIL", 2],
    ["skip.pkt", "SKIP", 1],
    ["bad.pkt", "FAIL", 3],
    [expect.stringContaining("none.pkt"), "FAIL", 1],
  ]);
  expect(objects[0]?.["reason"]).toBeNull();
  expect(objects[1]?.["reason"]).toContain("acknowledgment differs");
  expect(objects[4]?.["reason"]).toContain("ENOENT");
  expect(code).toBe(1);
});
test("TAP", async () => {
  const { out } = await run("--tap", file("pass.pkt"), file("skip.pkt"), file("fail.pkt"));
  expect(out.split("\n").slice(0, 5)).toEqual([
    "TAP version 13",
    "1..3",
    "ok 1 - pass.pkt",
    "ok 2 - skip.pkt # SKIP IPv6 is not supported",
    "not ok 3 - fail.pkt",
  ]);
});
test("--trace shows each packet in the script's own numbers, to standard error", async () => {
  const { err } = await run("--trace", file("fail.pkt"));
  expect(err).toContain("0.0 < S 0:0(0) win 9\n0.0 > R. 0:0(0) ack 1 win 0\n");
});
test("-D replaces a bare word", async () => {
  writeFileSync(file("macro.pkt"), "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = FD\n+0 close(FD) = 0\n");
  expect((await run("-D", "FD=6", file("macro.pkt"))).out).toContain("PASS macro.pkt");
  expect((await run(file("macro.pkt"))).out).toContain('unknown name "FD"');
});
test("an unknown profile or a bad define is a usage error", async () => {
  await expect(run("--profile", "windows", file("pass.pkt"))).rejects.toMatchObject({ code: "commander.invalidArgument" });
  await expect(run("-D", "=x", file("pass.pkt"))).rejects.toMatchObject({ code: "commander.invalidArgument" });
});
