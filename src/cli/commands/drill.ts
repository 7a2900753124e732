/** `glasstcp drill`: packet scripts against our own stack, in virtual time. */
import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type DrillResult, drill } from "../../drill/drill.js";
import type { ProfileName } from "../../drill/profile.js";
import { count, newTally, resultJson, resultLine, resultTap, summary } from "../../drill/report.js";
import { EXIT } from "../errors.js";
import { palette, print, printJson } from "../output.js";

interface Options {
  json?: true;
  tap?: true;
  profile: ProfileName | "auto";
  strict?: true;
  define: ReadonlyMap<string, string>;
  trace?: true;
}

const EXAMPLES = `
Results: PASS file; FAIL file:line reason, wanted …, got …; SKIP file reason (the script asks for what is not supported).
A script that cannot be read is a FAIL that names line and token. Exits 1 if any script failed.

Examples:
  $ glasstcp drill handshake.pkt
  $ glasstcp drill --trace handshake.pkt         each packet, in the script's own numbers
  $ glasstcp drill --json tests/*.pkt | jq -r 'select(.result == "FAIL") | .file'
  $ glasstcp drill --profile freebsd rst/*.pkt   a host as FreeBSD is set up
  $ glasstcp drill --strict psh.pkt              PSH and the order of SYN options count too`;

export function register(program: Command): void {
  program
    .command("drill")
    .summary("packet scripts against this TCP, in virtual time")
    .description(
      "Runs packet scripts (the packetdrill language) in this process, against this stack and its socket calls. No root, no device, no waiting: hours of timers take milliseconds. Back-quoted commands are interpreted, never run.",
    )
    .argument("<file...>", 'scripts to run; "-" reads one from standard input')
    .option("--json", "one JSON object a line and script: file, result, line, reason, wanted, got, profile, notes")
    .option("--tap", "Test Anything Protocol")
    .addOption(
      new Option("--profile <name>", "the host that the scripts are for: its settings, and what is compared")
        .choices(["auto", "linux", "freebsd", "neutral"])
        .default("auto"),
    )
    .option("--strict", "compare PSH and the order of SYN options too")
    .addOption(
      new Option("-D, --define <name=text>", "put text where the bare word NAME stands; also defines NAME for #ifdef (repeatable)")
        .argParser(collect)
        .default(new Map<string, string>(), "none"),
    )
    .option("--trace", "each packet in the script's own numbers, to standard error")
    .addHelpText("after", EXAMPLES)
    .action((files: string[], options: Options) => run(files, options));
}

function collect(text: string, before: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const m = /^(\w+)(?:=(.*))?$/s.exec(text);
  if (m === null) throw new InvalidArgumentError("Wanted NAME=text.");
  return new Map([...before, [m[1] as string, m[2] ?? ""]]);
}

function run(files: readonly string[], options: Options): void {
  const tally = newTally(),
    paint = palette();
  const colours = { PASS: paint.green, FAIL: paint.red, SKIP: paint.yellow };
  if (options.tap) print(`TAP version 13\n1..${files.length}`);
  files.forEach((file, i) => {
    const result = runFile(file, options);
    count(tally, result);
    if (options.json) printJson(resultJson(result));
    else if (options.tap) print(resultTap(result, i + 1));
    else print(resultLine(result).replace(result.result, colours[result.result]));
  });
  if (!options.json) print(options.tap ? `# ${summary(tally)}` : summary(tally));
  process.exitCode = tally.failed > 0 ? EXIT.failed : EXIT.done;
}

function runFile(file: string, options: Options): DrillResult {
  let source: string;
  try {
    source = readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (e) {
    return { file, result: "FAIL", line: 1, reason: `cannot be read: ${(e as NodeJS.ErrnoException).code ?? "error"}`, unreadable: true };
  }
  if (options.trace) print(`# ${file}`, process.stderr);
  return drill(file, source, {
    ...(options.profile !== "auto" && { profile: options.profile }),
    ...(options.strict && { strict: true }),
    defines: options.define,
    ...(options.trace && { trace: (line: string) => print(line, process.stderr) }),
  });
}
