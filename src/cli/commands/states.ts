/** `glasstcp states`: the state machine, drawn from the table that the code itself goes by. */
import type { Command } from "commander";
import { EDGES, STATES } from "../../tcp/state.js";
import { print, printJson, table } from "../output.js";

/** A Mermaid state diagram of EDGES; the README carries it between markers. */
export function mermaid(): string {
  const id = (state: string): string => state.replaceAll("-", "_");
  const lines = ["stateDiagram-v2"];
  for (const state of STATES) if (id(state) !== state) lines.push(`  state "${state}" as ${id(state)}`);
  lines.push("  [*] --> CLOSED");
  for (const from of STATES) for (const to of EDGES[from]) lines.push(`  ${id(from)} --> ${id(to)}`);
  return lines.join("\n");
}

export const stateTable = (): string => table([["STATE", "NEXT"], ...STATES.map((from) => [from, EDGES[from].join(" ")])]);

export function register(program: Command): void {
  program
    .command("states")
    .summary("the state machine, from the code's own table")
    .description("The states of RFC 9293 §3.3.2 and every edge that this TCP takes, from the table in src/tcp/state.ts.")
    .option("--table", "as a table (the default)")
    .option("--mermaid", "as a Mermaid state diagram")
    .option("--json", "as JSON: an object from each state to the states that may follow")
    .addHelpText("after", "\nExamples:\n  $ glasstcp states\n  $ glasstcp states --mermaid > states.mmd\n  $ glasstcp states --json | jq '.\"FIN-WAIT-1\"'")
    .action((options: { table?: true; mermaid?: true; json?: true }) => {
      if (options.json) printJson(EDGES);
      else if (options.mermaid) print(mermaid());
      else print(stateTable());
    });
}
