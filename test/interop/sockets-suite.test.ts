/**
 * The behaviour suite of test/sockets once more, over a TUN: our servers with the kernel's clients, and the kernel's
 * servers with our clients. It runs in a vitest of its own, inside a network namespace.
 */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inNetns, netnsMissing } from "../support/netns.js";

const ROOT = join(import.meta.dirname, "../..");
const FILES = ["opening", "reading", "writing", "closing", "server"].map((name) => `test/sockets/${name}.test.ts`);

interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string; readonly failureMessages: readonly string[] }[];
  }[];
}

describe.skipIf(netnsMissing() !== undefined)("the behaviour suite over a TUN", () => {
  test("every case is green with the kernel at the other end", async () => {
    const { stdout, stderr } = await inNetns((ns) =>
      ns.run(process.execPath, [join(ROOT, "node_modules/vitest/vitest.mjs"), "run", "--project", "unit", "--reporter", "json", ...FILES], {
        cwd: ROOT,
        env: { ...process.env, GLASSTCP_SUITE: "kernel" },
        timeoutMs: 500_000,
      }),
    );
    let report: Report;
    try {
      report = JSON.parse(stdout.slice(stdout.indexOf("{"))) as Report;
    } catch {
      throw new Error(`no report: ${stdout.slice(-2_000)}${stderr.slice(-2_000)}`);
    }
    const failed = report.testResults.flatMap((file) =>
      file.assertionResults.filter((a) => a.status !== "passed").map((a) => `${a.fullName}: ${a.failureMessages.join(" ").slice(0, 400)}`),
    );
    expect(failed).toEqual([]);
    expect(report.numPassedTests).toBeGreaterThanOrEqual(360);
  }, 600_000);
});
