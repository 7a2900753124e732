/** A vitest reporter: says aloud which tests were skipped and why, and leaves the totals as JSON in $TOTALS_FILE for scripts/test. */
import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

export default class SkipsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    let passed = 0,
      failed = 0,
      skipped = 0;
    const reasons = new Map<string, number>();
    for (const module of modules) {
      let tests = 0;
      for (const test of module.children.allTests()) {
        tests++;
        const result = test.result();
        if (result.state === "passed") passed++;
        else if (result.state === "failed") failed++;
        else if (result.state === "skipped") {
          skipped++;
          const key = `${module.relativeModuleId}: ${result.note ?? "see the SKIPPED line above"}`;
          reasons.set(key, (reasons.get(key) ?? 0) + 1);
        }
      }
      // A file that does not load, or whose suite fails outside of a test, must not vanish from the totals.
      const suiteErrors = module.errors().length + [...module.children.allSuites()].reduce((n, s) => n + s.errors().length, 0);
      if (suiteErrors > 0 || (tests === 0 && module.state() === "failed")) failed += Math.max(1, suiteErrors);
    }
    failed += unhandled.length;
    for (const [where, n] of reasons) console.log(`skipped: ${n} in ${where}`);
    const file = process.env["TOTALS_FILE"];
    if (file !== undefined) writeFileSync(file, JSON.stringify({ passed, failed, skipped }));
  }
}
