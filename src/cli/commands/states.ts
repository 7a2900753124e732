/** `glasstcp states`: the state machine, drawn from the table that the code itself goes by. */
import type { Command } from "commander";
import { EDGES, STATES } from "../../tcp/state.js";
import { clauseOf, ruleWords } from "../clause.js";
import { print, printJson, table } from "../output.js";
import { edges } from "../state-reasons.js";

/** A Mermaid state diagram of EDGES; the README carries it between markers. */
export function mermaid(): string {
  const id = (state: string): string => state.replaceAll("-", "_");
  const lines = ["stateDiagram-v2"];
  for (const state of STATES) if (id(state) !== state) lines.push(`  state "${state}" as ${id(state)}`);
  lines.push("  [*] --> CLOSED");
  // A colon or a semicolon within a label would end it.
  for (const { from, to, when } of edges()) lines.push(`  ${id(from)} --> ${id(to)}: ${when.replaceAll(/[:;]/g, ",")}`);
  return lines.join("\n");
}

/** One line per edge: the states, what leads there, and the clauses; the first three of many. */
export function stateTable(): string {
  const rows = edges().map(({ from, to, when, rules }, i, all) => {
    const clauses = [...new Set(rules.map(clauseOf))];
    const shown = clauses.length > 3 ? [...clauses.slice(0, 3), `and ${clauses.length - 3} more`] : clauses;
    return [all[i - 1]?.from === from ? "" : from, to, when, shown.join(", ")];
  });
  return table([["STATE", "NEXT", "WHEN", "CLAUSE"], ...rows]);
}

/** State → next state → when and by which rules. */
export const stateJson = (): Record<string, Record<string, { when: string; rules: { id: string; clause: string; text: string }[] }>> =>
  Object.fromEntries(
    STATES.map((state) => [
      state,
      Object.fromEntries(
        edges()
          .filter((e) => e.from === state)
          .map(({ to, when, rules }) => [to, { when, rules: rules.map((rule) => ({ id: rule, clause: clauseOf(rule), text: ruleWords(rule) })) }]),
      ),
    ]),
  );

export function register(program: Command): void {
  program
    .command("states")
    .summary("the state machine, from the code's own table")
    .description(
      `The ${STATES.length} states of RFC 9293 §3.3.2, the ${Object.values(EDGES).flat().length} edges that this TCP allows (src/tcp/state.ts), what leads along each, and by which clause. ` +
        "The ids in --json are those of the log's rule field.",
    )
    .option("--table", "as a table (the default)")
    .option("--mermaid", "as a Mermaid state diagram")
    .option("--json", "as JSON: state, next state, then when and rules")
    .addHelpText(
      "after",
      "\nExamples:\n  $ glasstcp states\n  $ glasstcp states --mermaid > states.mmd\n  $ glasstcp states --json | jq '.\"FIN-WAIT-1\" | keys'",
    )
    .action((options: { table?: true; mermaid?: true; json?: true }) => {
      if (options.json) printJson(stateJson());
      else if (options.mermaid) print(mermaid());
      else print(stateTable());
    });
}
