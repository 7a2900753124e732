/** The demo for a person: what the client said, beside it what our TCP did and by which clause. */
import { clauseOf, ruleWords } from "../clause.js";
import type { LogLine } from "../daemon-process.js";
import { padEnd, type Palette, visibleWidth } from "../output.js";
import type { Step } from "./steps.js";
import type { Connection, Outcome } from "./story.js";

const MAX_LINES = 14;

export function renderStep(n: number, step: Step, outcome: Outcome, complaint: string | undefined, paint: Palette, width: number): string {
  const out: string[] = ["", `${paint.bold(`${n}  ${step.title}`)}`, `   ${paint.dim("$")} ${paint.cyan(step.shell)}`];
  const room = width - 12;
  const said = [...linesOf(outcome.stdout).map((line) => clip(line, room)), ...linesOf(outcome.stderr).map((line) => paint.yellow(clip(line, room)))];
  const shown = said.slice(0, MAX_LINES);
  if (said.length > shown.length) shown.push(paint.dim(`(${said.length - shown.length} more lines)`));
  for (const [i, line] of shown.entries()) out.push(`${padEnd(i === 0 ? `   ${step.program}` : "", 10)}${paint.dim("|")} ${line}`);
  for (const connection of outcome.connections) out.push(...renderConnection(connection, paint, width));
  for (const line of outcome.lines) if (line.event === "refused") out.push(`   ${padEnd("tcp", 7)}${paint.dim("|")} ${refusal(line, paint)}`);
  out.push(`   ${paint.dim(step.look)}`);
  out.push(
    complaint === undefined
      ? `   ${paint.green("ok")}     ${step.program} exit ${outcome.exitCode}, ${Math.round(outcome.ms)} ms`
      : `   ${paint.red("FAILED")} ${complaint}`,
  );
  return out.join("\n");
}

function renderConnection(connection: Connection, paint: Palette, width: number): string[] {
  const edges = connection.transitions.map((t) => `${t.from} → ${t.to}`);
  const causes = connection.transitions.map(causeOf);
  const edgeWidth = Math.max(...edges.map(visibleWidth)),
    causeWidth = Math.max(...causes.map(visibleWidth));
  return connection.transitions.map((t, i) => {
    const edge = padEnd(edges[i] ?? "", edgeWidth).replaceAll(/[A-Z][A-Z0-9-]+/g, (state) => paint.bold(state));
    const rule = t.rule ?? "";
    const line = `${edge}  ${padEnd(causes[i] ?? "", causeWidth)}  ${paint.magenta(clauseOf(rule))}`;
    const words = ruleWords(rule);
    // The table's words come along where they fit: the clause is the reason, the words are a convenience.
    const full = words === "" ? line : `${line}${paint.dim(`  ${words}`)}`;
    return `${padEnd(i === 0 ? `   tcp #${connection.id}` : "", 10)}${paint.dim("|")} ${visibleWidth(full) <= width - 12 ? full : line}`;
  });
}

const refusal = (line: LogLine, paint: Palette): string =>
  `${line.local?.replace(/^.*:/, "port ")}  ${line.msg ?? "refused"}  ${paint.magenta(clauseOf(line.rule ?? ""))}${paint.dim(`  ${ruleWords(line.rule ?? "")}`)}`;

/** The log's own sentence without the states, which stand beside it already. */
const causeOf = (line: LogLine): string => (line.msg ?? "").replace(/^[A-Z0-9-]+ → [A-Z0-9-]+: /, "");

// What a client prints must not steer the terminal.
const linesOf = (text: string): string[] =>
  text
    .replaceAll(/[\x00-\x08\x0b-\x1f\x7f]/g, "")
    .split("\n")
    .map((l) => l.trimEnd())
    .filter((l, i, all) => l !== "" || i < all.length - 1);

const clip = (line: string, width: number): string => (visibleWidth(line) <= width ? line : `${[...line].slice(0, width - 1).join("")}…`);
