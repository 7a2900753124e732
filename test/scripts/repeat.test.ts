/** `npm run repeat`: a test counts as stable only if it ran and passed every time. */
import { expect, test } from "vitest";
import { count, held, type Report, type Tally, text } from "../../scripts/repeat.js";

const report = (...tests: [name: string, status: string, message?: string][]): Report => ({
  testResults: [
    {
      name: "a.test.ts",
      status: tests.some(([, status]) => status === "failed") ? "failed" : "passed",
      assertionResults: tests.map(([fullName, status, message], i) => ({
        fullName,
        status,
        duration: 1000 * (i + 1),
        ...(message === undefined ? {} : { failureMessages: [message] }),
      })),
    },
  ],
});
const tallied = (...reports: Report[]): Tally[] => {
  const into = new Map<string, Tally>();
  reports.forEach((r, i) => void count(into, r, i + 1));
  return [...into.values()];
};

test("all passed each time: it holds, and one line says so", () => {
  const all = tallied(report(["x", "passed"], ["y", "passed"]), report(["x", "passed"], ["y", "passed"]));
  expect(held(all, 2)).toBe(true);
  expect(text(all, 2, false)).toBe("a.test.ts: 2 tests 2 times, 4 of 4 passed");
  expect(text(all, 2, true)).toContain("2 of 2  2.00 to 2.00 s    y");
});
test("one failure in one run is told with its run and its first line", () => {
  const all = tallied(report(["x", "passed"]), report(["x", "failed", "no row\nat somewhere"]));
  expect(held(all, 2)).toBe(false);
  expect(text(all, 2, false).split("\n").slice(1)).toEqual([expect.stringMatching(/^ {4}1 of 2 .*x$/), "      run 2: no row"]);
});
test.each([
  ["skipped", report(["x", "skipped"])],
  ["missing in a run", { testResults: [] }],
  ["in a file that does not load", { testResults: [{ name: "a.test.ts", status: "failed", message: "SyntaxError", assertionResults: [] }] }],
])("a test that is %s does not hold", (_, second) => {
  expect(held(tallied(report(["x", "passed"]), second), 2)).toBe(false);
});
test("of a file only the tests that are asked for count", () => {
  const into = new Map<string, Tally>();
  count(into, report(["state is held", "passed"], ["other", "skipped"]), 1, undefined, /is held/);
  expect(held([...into.values()], 1)).toBe(true);
  expect(into.size).toBe(1);
});
test("no test at all holds nothing", () => expect(held([], 1)).toBe(false));
