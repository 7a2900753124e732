/** The last lines of a daemon that ends in any way but SIGKILL. Each case is a process of its own. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "glasstcp-end-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const source = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);

/** Runs `body` in a process with a log of 20,000 lines under way and a daemon whose stop is said by `stop`. */
async function run(
  body: string,
  stop = "async () => {}",
): Promise<{ code: number | null; lines: { event: string; n?: number }[]; stderr: string; ms: number }> {
  const log = join(dir, "log"),
    script = join(dir, "script.ts");
  writeFileSync(
    script,
    `
    import { Log } from ${source("observe/log.ts")};
    import { untilShutdown } from ${source("daemon/shutdown.ts")};
    const log = new Log({ level: "info", format: "json", to: ${JSON.stringify(log)} });
    const daemon = { stop: ${stop}, failed: new Promise((r) => { globalThis.fail = r; }), tun: "glass0", stack: { connections: () => [] } };
    untilShutdown(daemon as never, log).then((code) => process.exit(code));
    const keep = setInterval(() => {}, 1_000);
    for (let n = 0; n < 20_000; n++) log.logger.info({ event: "line", n }, "x".repeat(50));
    process.send?.("written");
    setImmediate(() => { ${body} });
  `,
  );
  const tsx = fileURLToPath(new URL("../../node_modules/tsx/dist/loader.mjs", import.meta.url));
  const start = performance.now();
  const child = spawn(process.execPath, ["--import", tsx, script], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let stderr = "",
    written = start;
  child.stderr?.on("data", (c: Buffer) => {
    stderr += c;
  });
  child.once("message", () => {
    written = performance.now();
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return {
    code,
    stderr,
    ms: performance.now() - written,
    lines: readFileSync(log, "utf8")
      .trimEnd()
      .split("\n")
      .map((l) => JSON.parse(l) as { event: string; n?: number }),
  };
}
const numbers = (lines: readonly { event: string; n?: number }[]): (number | undefined)[] => lines.filter((l) => l.event === "line").map((l) => l.n);
const ALL = Array.from({ length: 20_000 }, (_, n) => n);

describe("no line is lost", () => {
  test("at SIGTERM", async () => {
    const { code, lines } = await run('process.kill(process.pid, "SIGTERM");');
    expect(code).toBe(0);
    expect(numbers(lines)).toEqual(ALL);
    expect(lines.at(-1)?.event).toBe("shutdown");
  });
  test("when we crash: the line with the stack comes last, exit 1", async () => {
    const { code, lines, stderr } = await run('throw new Error("what cannot be");');
    expect(code).toBe(1);
    expect(numbers(lines)).toEqual(ALL);
    expect(lines.at(-1)).toMatchObject({ event: "crash", level: 60, msg: "what cannot be", stack: expect.stringContaining("script.ts") as string });
    expect(stderr).toContain("please report it");
  });
  test("when the device fails", async () => {
    const { code, lines } = await run('globalThis.fail({ code: "EBADFD", message: "the interface glass0 was deleted" });');
    expect(code).toBe(1);
    expect(numbers(lines)).toEqual(ALL);
    expect(lines.at(-1)?.event).toBe("device-failed");
  });
});

describe("the end comes in time", () => {
  test("a stop that hangs is cut off within a second", async () => {
    const { code, ms } = await run('process.kill(process.pid, "SIGTERM");', "() => new Promise(() => {})");
    expect(code).toBe(0);
    // It would never end; how far behind the deadline of 0.9 s it is, is the machine's.
    expect(ms).toBeLessThan(30_000);
  });
  test("a second signal ends it at once", async () => {
    const { code } = await run(
      'process.kill(process.pid, "SIGINT"); setTimeout(() => process.kill(process.pid, "SIGINT"), 100);',
      "() => new Promise(() => {})",
    );
    // The deadline for the first signal would have ended it with 0.
    expect(code).toBe(130);
  });
});
