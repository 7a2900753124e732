/** `glasstcp fault add|ls|rm|clear|release`: misbehaviour of a running daemon. */
import type { Command } from "commander";
import type { FaultInfo } from "../../faults/faults.js";
import { faultWords } from "../../faults/help.js";
import { parseFaults } from "../../faults/parse.js";
import { FaultSpecError } from "../../faults/words.js";
import { ControlClient, defaultControlPath } from "../../control/client.js";
import { CliError, EXIT } from "../errors.js";
import { print, printJson, table } from "../output.js";

interface Flags {
  readonly control: string;
  readonly json?: true;
}

export function register(program: Command): void {
  const fault = program
    .command("fault")
    .summary("misbehave on demand, by TCP meaning")
    .description(
      "Misbehaviour of a running daemon. A fault says which segments it means and what happens to them; faults look at a segment in\nthe order in which they were added. Each act of a fault is a log line with its id.",
    );

  common(fault.command("add"))
    .summary("add faults")
    .description("Adds what the words say. --port 80, --port=80, port=80 and plain port 80 mean the same.")
    .argument("[words...]", "conditions and an action")
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText("after", languageHelp)
    .action(async (_words: readonly string[], flags: Flags, command: Command) => {
      const { words, control, json } = ownFlags(command.args, flags);
      const spec = words.join(" ");
      checkSpec(spec);
      const { faults } = await new ControlClient(control).post<{ faults: FaultInfo[] }>("/v1/faults", { spec });
      if (json) printJson({ faults });
      else print(faults.map((f) => `${f.id}: ${f.spec}`).join("\n"));
    });

  common(fault.command("ls"))
    .summary("list them, with how often each has acted")
    .action(async (flags: Flags) => {
      const { faults } = await new ControlClient(flags.control).get<{ faults: FaultInfo[] }>("/v1/faults");
      if (flags.json) return printJson({ faults });
      if (faults.length === 0) return print("no faults; add one with: glasstcp fault add --port 80 --match synack --nth 1,2 drop", process.stderr);
      print(table([["ID", "HITS", "HELD", "FAULT"], ...faults.map((f) => [f.id, String(f.hits), String(f.held), f.spec])]));
    });

  common(fault.command("rm"))
    .summary("take faults away; what they hold goes on")
    .argument("<id...>", "as fault ls shows them")
    .action(async (ids: readonly string[], flags: Flags) => {
      const client = new ControlClient(flags.control);
      for (const id of ids) await client.delete(`/v1/faults/${encodeURIComponent(id)}`);
      if (flags.json) printJson({ removed: ids.length });
    });

  common(fault.command("clear"))
    .summary("take all away")
    .action(async (flags: Flags) => {
      const answer = await new ControlClient(flags.control).delete<{ removed: number }>("/v1/faults");
      if (flags.json) printJson(answer);
      else print(`${answer.removed} removed`);
    });

  common(fault.command("release"))
    .summary("let go what a hold keeps, or all of them")
    .argument("[id]", "as fault ls shows it")
    .action(async (id: string | undefined, flags: Flags) => {
      const answer = await new ControlClient(flags.control).post<{ released: number }>("/v1/faults/release", id === undefined ? {} : { id });
      if (flags.json) printJson(answer);
      else print(`${answer.released} segments released`);
    });
}

const common = (command: Command): Command =>
  command.option("--json", "for programs").option("--control <path>", "the daemon's control socket", defaultControlPath());

/** `--control` and `--json` may stand anywhere among the words of the fault, whose own options commander does not know. */
function ownFlags(args: readonly string[], flags: Flags): { words: string[]; control: string; json: boolean } {
  const words: string[] = [];
  let control = flags.control,
    json = flags.json === true;
  for (let i = 0; i < args.length; i++) {
    const word = args[i] as string;
    if (word === "--json") json = true;
    else if (word === "--control") control = args[++i] ?? control;
    else if (word.startsWith("--control=")) control = word.slice("--control=".length);
    else words.push(word);
  }
  return { words, control, json };
}

/** @throws CliError, exit 2, after showing the wrong word */
export function checkSpec(spec: string): void {
  try {
    parseFaults(spec);
  } catch (error) {
    if (!(error instanceof FaultSpecError)) throw error;
    if (spec.trim() !== "") process.stderr.write(`${error.pointer}\n`);
    throw new CliError(error.message, { exitCode: EXIT.usage });
  }
}

function languageHelp(): string {
  return `
${faultWords()}

Several faults: put "then" or ";" between them; conditions before a ":" hold for all of them. as NAME gives a fault its id.

Examples:
  $ glasstcp fault add --port 80 --match synack --nth 1,2 drop
  $ glasstcp fault add --port 80 --out --byte 100000 rst
  $ glasstcp fault add 'port 80: synack nth 1,2 drop; loss 5%; out byte 100000 rst'
  $ glasstcp fault add as late in fin hold        then: glasstcp fault release late
  $ glasstcp fault add --port 80 --state ESTABLISHED blackhole after 10kB`;
}
