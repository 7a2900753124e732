/**
 * npm run bench:micro [-- --json] [--update] [--quick] [--only TEXT] [--tolerance 1.5]: times small pieces of the code and compares
 * them with bench/micro/baseline.json. Exit 1 when one is slower than its baseline by more than the tolerance; what is new has
 * no baseline until --update.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Effort, type Timing, time, type Work } from "./runner.js";
import { works } from "./works.js";

const BASELINE = new URL("baseline.json", import.meta.url);
const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    update: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    tolerance: { type: "string", default: "1.5" },
  },
});
const tolerance = Number(options.tolerance);
if (!(tolerance >= 1)) throw new RangeError(`--tolerance ${options.tolerance} is not a number from 1 on`);

const baseline = JSON.parse(readFileSync(BASELINE, "utf8")) as Record<string, number>;
const chosen = works().filter((w) => w.name.includes(options.only));
const effort: Effort = options.quick ? { turns: 3, turnMs: 2 } : { turns: 40, turnMs: 10 };
const compared = (t: Timing): Timing & { baseline: number | undefined; change: number | undefined } => {
  const before = baseline[t.name];
  return { ...t, baseline: before, change: before === undefined ? undefined : t.ratio / before };
};
const isSlow = (r: { change: number | undefined }): boolean => r.change !== undefined && r.change > tolerance;
let rows = time(chosen, effort).map(compared);
// A neighbour on the same core can double a figure; a slower program stays slow. The best of three counts.
for (let again = 0; again < 2 && !options.quick && rows.some(isSlow); again++) {
  rows = rows.map((row, i) => {
    if (!isSlow(row)) return row;
    const [repeated = row] = time([chosen[i] as Work], effort);
    return repeated.ratio < row.ratio ? compared(repeated) : row;
  });
}
const slow = rows.filter(isSlow);

if (options.json) console.log(JSON.stringify({ node: process.version, tolerance, slow: slow.map((r) => r.name), rows }));
else {
  console.log(`${"".padEnd(62)}${"ns".padStart(10)}${"units".padStart(10)}${"/baseline".padStart(11)}`);
  for (const r of rows)
    console.log(`${r.name.padEnd(62)}${r.ns.toFixed(0).padStart(10)}${r.ratio.toFixed(3).padStart(10)}${(r.change?.toFixed(2) ?? "new").padStart(11)}`);
  for (const r of slow) console.log(`slower than its baseline by more than ${tolerance}: ${r.name}`);
}
if (options.update) {
  const updated = { ...baseline, ...Object.fromEntries(rows.map((r) => [r.name, Number(r.ratio.toPrecision(4))])) };
  writeFileSync(BASELINE, `${JSON.stringify(updated, undefined, 2)}\n`);
} else if (slow.length > 0 && !options.quick) process.exitCode = 1;
