/**
 * npm run bench:results -- FILE: writes bench/RESULTS.md and the README's table of ratios from what `scripts/bench --json FILE` has
 * found. No figure is put in by hand.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { writeBlock } from "../scripts/readme-block.js";
import { short } from "./compare.js";
import { doubts, ratio, sentences } from "./report.js";
import type { Result, Row } from "./result.js";
import { median, spread } from "./statistics.js";

/** What issue and README promise: at least this ratio to the limit, or to the kernel. */
interface Goal {
  readonly figure: string;
  readonly mode: string;
  readonly limit?: number;
  readonly kernel?: number;
}
const GOALS: readonly Goal[] = [
  { figure: "receive", mode: "offload", limit: 0.9, kernel: 1 },
  { figure: "send", mode: "offload", limit: 0.9, kernel: 1.7 },
  { figure: "receive", mode: "plain", limit: 0.8 },
  { figure: "send", mode: "plain", limit: 1.2 },
  { figure: "round trip p50", mode: "offload", limit: 0.95 },
  { figure: "round trip p50", mode: "--spin-us 20", limit: 2.5 },
  { figure: "connections/s, one at a time", mode: "offload", kernel: 1 },
  { figure: "connections/s, 32 in flight", mode: "offload", kernel: 1.2 },
];

const goalOf = (row: Row): Goal | undefined => GOALS.find((g) => g.figure === row.figure && g.mode === row.mode);
const cells = (...texts: string[]): string => `| ${texts.join(" | ")} |`;
const against = (value: number, goal: number | undefined): string =>
  goal === undefined ? value.toFixed(2) : `**${value.toFixed(2)}** (goal ${goal}${value >= goal ? "" : ", missed"})`;

export function resultsPage(result: Result): string {
  const { machine: m } = result;
  const table = result.rows.map((r) => {
    const goal = goalOf(r);
    return cells(
      r.figure,
      r.mode,
      against(ratio(r, "limit"), goal?.limit),
      against(ratio(r, "kernel"), goal?.kernel),
      `${short(median(r.ours))} ±${(spread(r.ours) * 100).toFixed(0)} %`,
      short(median(r.limit)),
      short(median(r.kernel)),
      r.unit,
      `${median(r.cost.ours).toFixed(2)} / ${median(r.cost.limit).toFixed(2)} ${r.cost.unit}`,
    );
  });
  const notes = doubts(result);
  return `# One run of the benchmark

Written by \`npm run bench:results\` from the figures of this command, as root:

\`\`\`sh
${result.command}
\`\`\`

${result.date.slice(0, 16).replace("T", " ")} UTC; ${m.processor}, ${m.cores} cores (virtualization: ${m.virtual}), ${m.memoryGiB} GiB, ${m.kernel}, Node.js ${m.node}; nice ${m.nice}; load of the last minute
${m.loadBefore.toFixed(1)} before and ${m.loadAfter.toFixed(1)} after. ${notes.length === 0 ? "No other program took more than a little of the machine." : `Noise: ${notes.join("; ")}.`}

An ordinary kernel client (cubic, MTU 1500) on the same machine measures all servers in turn, in each round. *Limit* is a C program that
answers on the TUN with next to no TCP (\`bench/c/responder.c\`), in the same mode; *kernel* is the kernel's own TCP between two namespaces over
veth. Ours runs with everything on: loss recovery, congestion control, timestamps, SACK, PAWS, limits, and transition lines to a file.
Machines are noisy: read the ratios first. Above 1 is faster, for times too; medians over the rounds; ± is half of what lies between the quartiles.

| figure | mode | of the limit | of the kernel | ours | limit | kernel | | processor time of the server, ours / limit |
|---|---|---|---|---|---|---|---|---|
${table.join("\n")}

${sentences(result)
  .map((s) => `- ${s}`)
  .join("\n")}
`;
}

export function readmeTable(result: Result): string {
  const rows = result.rows
    .filter((r) => goalOf(r) !== undefined)
    .map((r) => cells(`${r.figure}, ${r.mode}`, ratio(r, "limit").toFixed(2), ratio(r, "kernel").toFixed(2), `${short(median(r.ours))} ${r.unit}`));
  const busy =
    doubts(result).length === 0
      ? ""
      : "\nThe machine had other work during this run, which weighs most on round trips and connections; RESULTS.md says how much.\n";
  return `| figure | of the limit of the TUN path | of the kernel's own TCP over veth | |\n|---|---|---|---|\n${rows.join("\n")}\n${busy}`;
}

if (process.argv[1]?.endsWith("bench/markdown.ts") === true) {
  const file = process.argv[2];
  if (file === undefined) throw new Error("give the file that scripts/bench --json has written");
  const result = JSON.parse(readFileSync(file, "utf8")) as Result;
  writeFileSync(new URL("RESULTS.md", import.meta.url), resultsPage(result));
  writeBlock("bench", readmeTable(result));
}
