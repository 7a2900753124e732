/**
 * What is kept of a whole run of `npm run mutation`: spec/mutation.json (the survivors, and which sources it was about) and
 * spec/mutation-killers.json (which test noticed each mutant, so that the next run asks that one first); and
 * spec/mutation-equivalent.tsv, written by hand: mutants that nobody can notice, each with the reason.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Mutant } from "./operators.js";

/** What is mutated. */
export const MUTATED = ["src/wire", "src/tcp", "src/stack"];

export interface MutationResult {
  readonly sources: string;
  readonly killed: number;
  readonly survived: number;
  /** Left out of the two above: what spec/mutation-equivalent.tsv gives a reason for. */
  readonly equivalent: number;
  /** Each survivor as `file:line operator: what was there`. */
  readonly survivors: readonly string[];
}

const sources = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true })
    .flatMap((e) => (e.isDirectory() ? sources(join(dir, e.name)) : e.name.endsWith(".ts") ? [join(dir, e.name)] : []))
    .sort();

/** Of the code that is mutated. Tests may grow without making a result worthless: they can only kill more. */
export function hashSources(root: string): string {
  const h = createHash("sha256");
  for (const dir of MUTATED) for (const file of sources(join(root, dir))) h.update(file.slice(root.length)).update(readFileSync(file));
  return h.digest("hex").slice(0, 16);
}

export function readMutation(root: string): (MutationResult & { readonly stale: boolean }) | undefined {
  const file = join(root, "spec/mutation.json");
  if (!existsSync(file)) return undefined;
  const r = JSON.parse(readFileSync(file, "utf8")) as MutationResult;
  return { ...r, equivalent: r.equivalent ?? 0, stale: r.sources !== hashSources(root) };
}

/** "1,650 of 1,700 noticed, 97.1 %, and 12 equivalent, with reasons". */
export function formatScore(killed: number, survived: number, equivalent: number): string {
  const n = (x: number): string => x.toLocaleString("en-US");
  const all = killed + survived;
  return `${n(killed)} of ${n(all)} noticed, ${((100 * killed) / all).toFixed(1)} %${equivalent === 0 ? "" : `, and ${n(equivalent)} equivalent, with reasons`}`;
}

/** Names that outlive a change of lines: the file, the operator and the text; of several such, the second has " #2" behind it. */
export function keysOf(mutants: readonly Mutant[]): ReadonlyMap<number, string> {
  const so = new Map<string, number>(),
    keys = new Map<number, string>();
  for (const m of mutants) {
    const key = `${m.file} ${m.operator}: ${m.text}`,
      n = (so.get(key) ?? 0) + 1;
    so.set(key, n);
    keys.set(m.id, n === 1 ? key : `${key} #${n}`);
  }
  return keys;
}

const short = (key: string): string => createHash("sha256").update(key).digest("hex").slice(0, 10);
const KILLERS = "spec/mutation-killers.json";
/** @returns the test that noticed the mutant of this key in the last whole run */
export function readKillers(root: string): (key: string) => string | undefined {
  const file = join(root, KILLERS);
  const byTest = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Record<string, string[]>) : {};
  const killer = new Map(Object.entries(byTest).flatMap(([test, keys]) => keys.map((k) => [k, test] as const)));
  return (key) => killer.get(short(key));
}
/** @param killers by key, the test's name */
export function writeKillers(root: string, killers: ReadonlyMap<string, string>): void {
  const byTest: Record<string, string[]> = {};
  for (const [key, test] of [...killers].sort(([, a], [, b]) => (a < b ? -1 : 1))) {
    byTest[test] ??= [];
    byTest[test].push(short(key));
  }
  const lines = Object.entries(byTest).map(([test, keys]) => `${JSON.stringify(test)}: ${JSON.stringify(keys.sort())}`);
  writeFileSync(join(root, KILLERS), `{\n${lines.join(",\n")}\n}\n`);
}

/** The lines of spec/mutation-equivalent.tsv: the key of the mutant, and why nobody can notice. */
export function readEquivalents(root: string): ReadonlyMap<string, string> {
  const file = join(root, "spec/mutation-equivalent.tsv"),
    reasons = new Map<string, string>();
  for (const line of readFileSync(file, "utf8").split("\n").slice(1)) {
    if (line === "") continue;
    const [path = "", operator = "", text = "", reason = ""] = line.split("\t");
    if (reason.length < 20) throw new Error(`${file}: no reason: ${line}`);
    reasons.set(`${path} ${operator}: ${text}`, reason);
  }
  return reasons;
}
