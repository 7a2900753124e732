/**
 * npm run repeat -- TIMES FILE... [-t PATTERN] [--under COMMAND] [--each] [--json]: runs test files so often, one run after the other, and says of
 * each test how often it passed and how long it took. Nothing is tried again: exit 1 if any test failed, or was not run, even once.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { Command, InvalidArgumentError } from "commander";

/** What vitest's JSON reporter writes, as far as it is read here. */
export interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly duration?: number | null;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

export interface Tally {
  readonly file: string;
  readonly test: string;
  passed: number;
  failed: number;
  skipped: number;
  /** Milliseconds of the shortest and the longest run that passed. */
  minMs: number;
  maxMs: number;
  /** The first line of each failure, with the number of the run. */
  readonly failures: { readonly run: number; readonly message: string }[];
}

const firstLine = (text: string | undefined): string => (text ?? "").trim().split("\n")[0] ?? "";

/**
 * Adds one run, of the tests that `wanted` finds. A file that did not load, or failed outside of its tests, counts as a test
 * that failed.
 */
export function count(into: Map<string, Tally>, report: Report, run: number, file: (path: string) => string = (path) => path, wanted = /^/): void {
  const of = (path: string, test: string): Tally => {
    const key = `${file(path)} ${test}`;
    let t = into.get(key);
    if (t === undefined) into.set(key, (t = { file: file(path), test, passed: 0, failed: 0, skipped: 0, minMs: Infinity, maxMs: 0, failures: [] }));
    return t;
  };
  const fail = (t: Tally, message: string | undefined): void => {
    t.failed++;
    t.failures.push({ run, message: firstLine(message) });
  };
  for (const suite of report.testResults) {
    let failed = 0;
    for (const a of suite.assertionResults.filter((result) => wanted.test(result.fullName))) {
      const t = of(suite.name, a.fullName);
      if (a.status === "failed") {
        failed++;
        fail(t, a.failureMessages?.[0]);
      } else if (a.status === "passed") {
        t.passed++;
        t.minMs = Math.min(t.minMs, a.duration ?? 0);
        t.maxMs = Math.max(t.maxMs, a.duration ?? 0);
      } else t.skipped++;
    }
    if (suite.status === "failed" && failed === 0) fail(of(suite.name, "(the file itself)"), suite.message);
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(2);

/** Files with their totals, then each test that did not pass every time, with what it said; all tests if `each`. */
export function text(tallies: readonly Tally[], times: number, each: boolean): string {
  const lines: string[] = [];
  for (const file of new Set(tallies.map((t) => t.file))) {
    const mine = tallies.filter((t) => t.file === file);
    const passed = mine.reduce((n, t) => n + t.passed, 0);
    lines.push(`${file}: ${mine.length} tests ${times} times, ${passed} of ${mine.length * times} passed`);
    for (const t of mine) {
      if (each || t.passed < times)
        lines.push(
          `  ${String(t.passed).padStart(3)} of ${times}  ${t.passed === 0 ? "" : `${seconds(t.minMs)} to ${seconds(t.maxMs)} s`.padEnd(18)}${t.test}`,
        );
      for (const f of t.failures) lines.push(`      run ${f.run}: ${f.message}`);
      if (t.skipped > 0) lines.push(`      skipped ${t.skipped} times`);
    }
  }
  return lines.join("\n");
}

export const held = (tallies: readonly Tally[], times: number): boolean => tallies.length > 0 && tallies.every((t) => t.passed === times);

async function once(args: readonly string[], under: readonly string[], dir: string): Promise<Report> {
  const out = join(dir, "report.json");
  rmSync(out, { force: true });
  const [program = "", ...line] = [...under, process.execPath, "node_modules/vitest/vitest.mjs", "run", "--reporter=json", `--outputFile=${out}`, ...args];
  const said = await new Promise<string>((resolve, reject) => {
    const child = spawn(program, line, { stdio: ["ignore", "pipe", "pipe"] });
    let log = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        log += chunk;
      });
    child.once("error", reject).once("close", () => resolve(log));
  });
  try {
    return JSON.parse(readFileSync(out, "utf8")) as Report;
  } catch {
    throw new Error(`vitest left no report; it said:\n${said}`);
  }
}

async function main(): Promise<void> {
  const whole = (word: string): number => {
    const n = Number(word);
    if (!Number.isInteger(n) || n < 1) throw new InvalidArgumentError("a whole number from 1 is wanted");
    return n;
  };
  const program = new Command("repeat")
    .argument("<times>", "how often", whole)
    .argument("<files...>", "test files")
    .option("-t, --name <pattern>", "only tests whose full name this regular expression finds")
    .option("--under <command>", "what each run is started under, such as 'nice -n 10'", "")
    .option("--each", "print every test, not only those that failed")
    .option("--json", "for programs")
    .parse();
  const [times, files] = program.processedArgs as [number, string[]];
  const { name, under, each, json } = program.opts<{ name?: string; under: string; each?: true; json?: true }>();
  const args = name === undefined ? files : [...files, "-t", name];
  const words = under.split(" ").filter((w) => w !== "");
  const wanted = name === undefined ? undefined : new RegExp(name);
  const tallies = new Map<string, Tally>();
  const dir = mkdtempSync(join(tmpdir(), "repeat-"));
  const began = performance.now();
  try {
    for (let run = 1; run <= times; run++) {
      count(tallies, await once(args, words, dir), run, (path) => relative(".", path), wanted);
      const failed = [...tallies.values()].reduce((n, t) => n + t.failed, 0);
      process.stderr.write(`run ${run} of ${times}: ${failed === 0 ? "no failure" : `${failed} failures`} so far, ${seconds(performance.now() - began)} s\n`);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  const all = [...tallies.values()];
  process.stdout.write(`${json ? JSON.stringify({ times, tests: all }) : text(all, times, each ?? false)}\n`);
  process.exitCode = held(all, times) ? 0 : 1;
}

if (process.argv[1]?.endsWith("repeat.ts") === true) await main();
