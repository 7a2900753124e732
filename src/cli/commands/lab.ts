/** `glasstcp lab STATE|EXPERIMENT`: a real kernel client in any TCP state, and small experiments, in a private network. */
import type { Command } from "commander";
import { usageError } from "../errors.js";
import { inPrivateNetwork } from "../namespace.js";
import { print, printJson, table } from "../output.js";

interface Flags {
  readonly hold: string;
  readonly lang: string;
  readonly list?: true;
  readonly json?: true;
  readonly here?: true;
}

export function register(program: Command): void {
  program
    .command("lab")
    .summary("put a real kernel client into any TCP state and hold it there; small experiments")
    .description(
      "Puts a real kernel client into a TCP state, proves it by the kernel's own ss, says what it means, how long it normally lasts and\n" +
        "whose bug it is when it stays, and holds it. Or runs a small experiment. All of it in a private network: nothing of the host is touched.",
    )
    .argument("[what]", "a state in any usual spelling, or an experiment; --list shows them")
    .argument("[command...]", "after --: the client, instead of one of the lab's own; {url}, {address} and {port} are filled in")
    .option("--hold <time>", "how long to hold the state, such as 30s or 2m", "5s")
    .option("--lang <en|zh>", "language of the explanations", "en")
    .option("--list", "list states and experiments")
    .option("--json", "for programs")
    .option("--here", "use the network namespace that we are in, for example a container's own")
    .addHelpText(
      "after",
      "\nExamples:\n  $ glasstcp lab closing --hold 30s\n  $ glasstcp lab fin-wait-2 -- curl -s {url}\n  $ glasstcp lab two-generals --lang zh\n  $ glasstcp lab --list\n" +
        "\nExit code 0: ss showed the state in every look of the hold, or the experiment showed what it claims.",
    )
    .action(async (what: string | undefined, command: readonly string[], flags: Flags, self: Command) => {
      process.exitCode = await lab(what, command, flags, self.getOptionValueSource("hold") === "cli");
    });
}

async function lab(what: string | undefined, command: readonly string[], flags: Flags, holdGiven: boolean): Promise<number> {
  const lang = flags.lang;
  if (lang !== "en" && lang !== "zh") throw usageError(`--lang ${lang} is neither en nor zh`);
  const { LAB_STATES, STATE_TEXTS } = await import("../../lab/texts.js");
  const { EXPERIMENTS } = await import("../../lab/experiments.js");
  if (flags.list === true || what === undefined) {
    if (what !== undefined) throw usageError("--list stands alone");
    const entries = [...LAB_STATES.map((s) => [s, STATE_TEXTS[s].means[lang]] as const), ...EXPERIMENTS.map((e) => [e.name, e.about[lang]] as const)];
    if (flags.json) printJson(entries.map(([name, about]) => ({ name, about })));
    else print(table(entries));
    return flags.list === true ? 0 : 2;
  }
  const { parseState } = await import("../../tcp/state.js");
  const { nearest, parseDuration } = await import("../../faults/words.js");
  const holdMs = parseDuration(flags.hold);
  if (holdMs === undefined) throw usageError(`--hold wants a time such as 30s or 2m, not "${flags.hold}"`);
  const experiment = EXPERIMENTS.find((e) => e.name === what.toLowerCase());
  const state = LAB_STATES.find((s) => s === parseState(what));
  if (experiment === undefined && state === undefined) {
    const near = nearest(what, [...LAB_STATES.map((s) => s.toLowerCase()), ...EXPERIMENTS.map((e) => e.name)]);
    const known = parseState(what);
    throw usageError(
      known === undefined ? `there is no state and no experiment called "${what}"` : `nobody is put into ${known}: it is where there is no connection`,
      near === undefined ? "glasstcp lab --list shows them" : `did you mean ${near}?`,
    );
  }
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  return inPrivateNetwork(flags.here === true, async () => {
    const stop = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
    let proved = true;
    if (state !== undefined) {
      const { stateLab } = await import("../../lab/state-lab.js");
      proved = await stateLab(state, { holdMs, lang, json: flags.json === true, command, say, signal: stop.signal });
    }
    // `time-wait` names both: whoever asks for the state alone says for how long, or with which client.
    if (experiment !== undefined && (state === undefined || !(holdGiven || flags.json === true || command.length > 0))) {
      const { runExperiment } = await import("../../lab/experiments.js");
      if (state !== undefined) say("");
      await runExperiment(experiment, lang, say);
    }
    return proved ? 0 : 1;
  });
}
