/** The mutation run itself, in short: it instruments without changing anything, and a rule that is taken out is noticed. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { instrument, type Mutant } from "../../scripts/mutation/operators.js";

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

test("every rule of proportional rate reduction that is taken out is noticed", () => {
  const run = spawnSync(
    process.execPath,
    ["--import", "tsx", "scripts/mutation.ts", "--only", "recovery/prr", "--tests", "congestion.test", "--workers", "1"],
    { encoding: "utf8" },
  );
  expect(run.stderr).toBe("");
  expect(run.stdout).toMatch(/^\n(\d+) of \1 noticed, 100\.0 %/);
}, 120_000);
