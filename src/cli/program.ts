/** The command line as a commander tree: the named command in full, the others as names and summaries, so that starting is fast. */
import { Command } from "commander";
import { EXIT, tell } from "./errors.js";
import { COMMANDS } from "./registry.js";
import { version } from "./version.js";

const EXAMPLES = `
Examples:
  $ glasstcp demo                      the whole thing in a minute, without root where the system allows it
  $ sudo glasstcp serve                then, in another terminal: curl http://10.77.0.2/
  $ glasstcp sandbox -- curl -sv http://10.77.0.2/
  $ glasstcp doctor                    what is missing here, and what mends it

Exit codes: 0 done, 1 failed, 2 usage, 3 no permission (the message says what to do), 4 no daemon.`;

/** @param name the command to load in full; undefined: none; "*": all, for completion and documentation */
export async function program(name: string | undefined): Promise<Command> {
  const root = new Command("glasstcp");
  root
    .description("A TCP endpoint made of glass: its own TCP on a Linux TUN, every step with the reason for it.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help for a command")
    .configureHelp({ subcommandTerm: (c) => c.name() })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "glasstcp: ")) })
    .showHelpAfterError("(glasstcp --help lists the commands, glasstcp help COMMAND its options)")
    .enablePositionalOptions()
    .exitOverride()
    .addHelpText("after", EXAMPLES);
  for (const entry of COMMANDS) {
    if (name === "*" || entry.name === name) (await entry.load()).register(root);
    else root.command(entry.name).summary(entry.summary).description(entry.summary);
  }
  for (const command of root.commands) inherit(command, root);
  return root;
}

function inherit(command: Command, from: Command): void {
  command.copyInheritedSettings(from);
  for (const sub of command.commands) inherit(sub, command);
}

/** @returns the exit code; a command that sets `process.exitCode` has the word */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    // The root has no option that takes a value: the first word names the command, after `help` the second does.
    const words = argv.filter((word) => !word.startsWith("-"));
    const root = await program(words[0] === "help" ? words[1] : words[0]);
    if (argv.length === 0) {
      root.outputHelp({ error: true });
      return EXIT.usage;
    }
    await root.parseAsync(argv, { from: "user" });
    return typeof process.exitCode === "number" ? process.exitCode : EXIT.done;
  } catch (thrown) {
    // commander has already printed what was wrong; it would exit 1 where 2 means usage.
    if (isCommanderError(thrown)) return thrown.exitCode === 0 ? EXIT.done : EXIT.usage;
    const told = tell(thrown);
    if (told.text !== "") process.stderr.write(`${told.text}\n`);
    return told.exitCode;
  }
}

const isCommanderError = (e: unknown): e is { readonly code: string; readonly exitCode: number } =>
  e instanceof Error && String((e as { code?: unknown }).code).startsWith("commander.");
