/** The mutation run itself, in short: it instruments without changing anything, and a rule that is taken out is noticed. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { instrument, type Mutant } from "../../scripts/mutation/operators.js";
import { formatScore, keysOf, readEquivalents, readKillers, writeKillers } from "../../scripts/mutation/result.js";

test("each mutant is behind its own switch, and without one the code does what it did", () => {
  const mutants: Mutant[] = [];
  const code =
    "function f(a, b) { let n = 0; if (a && b < 2) n = n + 1; else n = 9; switch (a) { case 1: n += 10; break; case 2: n += 20; } return a ? n : -n; }";
  const text = instrument("x.ts", code, () => mutants.length, mutants);
  const run = (active: number, a: number, b: number): number => new Function("__m", `${text}; return f(${a}, ${b});`)((id: number) => id === active) as number;
  const plain = new Function("a", "b", `${code}; return f(a, b);`) as (a: number, b: number) => number;
  const inputs = [
    [0, 0],
    [1, 1],
    [1, 2],
    [2, 1],
    [2, 2],
    [3, 5],
  ] as const;
  for (const [a, b] of inputs) expect(run(-1, a, b)).toBe(plain(a, b));
  for (const m of mutants.filter((x) => x.set === "rule"))
    expect(
      inputs.some(([a, b]) => run(m.id, a, b) !== plain(a, b)),
      m.operator,
    ).toBe(true);
  expect(mutants.length).toBeGreaterThan(10);
});

/** A root with nothing but these files of spec/. */
function withSpec<T>(files: Readonly<Record<string, string>>, look: (root: string) => T): T {
  const root = mkdtempSync(join(tmpdir(), "mutation-"));
  try {
    mkdirSync(join(root, "spec"));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(root, "spec", name), text);
    return look(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test("a mutant keeps its key when lines are added above, and two with one text have two", () => {
  const keys = (code: string): string[] => {
    const mutants: Mutant[] = [];
    instrument("x.ts", code, () => mutants.length, mutants);
    return [...keysOf(mutants).values()];
  };
  const code = "f(); f(); g();";
  expect(keys(code)).toEqual(["x.ts left out: f();", "x.ts left out: f(); #2", "x.ts left out: g();"]);
  expect(keys(`\n\n${code}`)).toEqual(keys(code));
});

test("who noticed what is found again by the key", () => {
  withSpec({}, (root) => {
    writeKillers(
      root,
      new Map([
        ["a", "one"],
        ["b", "other"],
        ["c", "one"],
      ]),
    );
    expect(["a", "b", "c", "d"].map(readKillers(root))).toEqual(["one", "other", "one", undefined]);
  });
});

test("a mutant is called equivalent with a reason only", () => {
  const table = (reason: string): Record<string, string> => ({ "mutation-equivalent.tsv": `file\toperator\ttext\treason\nx.ts\tif never\ta < b\t${reason}\n` });
  const reason = "a is never below b: the caller has looked.";
  expect(withSpec(table(reason), readEquivalents)).toEqual(new Map([["x.ts if never: a < b", reason]]));
  expect(() => withSpec(table(""), readEquivalents)).toThrow("no reason");
});

test("the score counts no equivalent mutant as noticed, and says how many there are", () => {
  expect(formatScore(950, 50, 0)).toBe("950 of 1,000 noticed, 95.0 %");
  expect(formatScore(950, 50, 7)).toBe("950 of 1,000 noticed, 95.0 %, and 7 equivalent, with reasons");
});

test("every rule of proportional rate reduction that is taken out is noticed", () => {
  const run = spawnSync(
    process.execPath,
    ["--import", "tsx", "scripts/mutation.ts", "--only", "recovery/prr", "--tests", "congestion.test", "--workers", "1"],
    { encoding: "utf8" },
  );
  expect(run.stderr).toBe("");
  expect(run.stdout).toMatch(/^\n(\d+) of \1 noticed, 100\.0 %/);
}, 600_000);
