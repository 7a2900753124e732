/** `glasstcp sandbox [-- COMMAND …]`: a private network with the daemon inside, and a shell or a command beside it. */
import { spawn } from "node:child_process";
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { prettifier } from "../../observe/pretty.js";
import { startDaemonProcess } from "../daemon-process.js";
import { withSbin } from "../environment.js";
import { usageError } from "../errors.js";
import { followed, inPrivateNetwork, ownCommand } from "../namespace.js";
import { isColoured, print } from "../output.js";

interface Options {
  readonly tun: string;
  readonly host: string;
  readonly address: string;
  readonly serve: readonly string[];
  readonly quiet?: true;
  readonly log?: string;
  readonly here?: true;
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export function register(program: Command): void {
  program
    .command("sandbox")
    .summary("a shell, or COMMAND, in a private network with the daemon inside")
    .description(
      "Makes a private network namespace (no root where the system allows it), starts the daemon in it, and runs COMMAND, or your\n" +
        "shell, beside it. The host's own interfaces are out of reach. What our TCP does goes to stderr, one line per transition. Ends\n" +
        "with COMMAND, whose exit code it passes on; the daemon and its interface are gone then. Inside, ss and trace find the daemon.",
    )
    .argument("[command...]", "what to run, after --; without it $SHELL")
    .passThroughOptions()
    .option("--tun <name>", "name of the interface", "glass0")
    .option("--host <cidr>", "the kernel's side of it", "10.77.0.1/24")
    .option("--address <ip|cidr>", "our side of it", "10.77.0.2")
    .option("--serve <options>", "further options of serve, in one word as the shell quotes them; repeatable", collect, [])
    .option("--log <file>", "write the log to a file as JSON lines")
    .option("-q, --quiet", "print no transitions")
    .option("--here", "use the network namespace that we are in, for example a container's own")
    .addHelpText(
      "after",
      "\nExamples:\n  $ glasstcp sandbox                                        a shell; try curl http://10.77.0.2/\n  $ glasstcp sandbox -- curl -sv http://10.77.0.2/\n" +
        "  $ glasstcp sandbox -q -- sh -c 'printf hello | nc -N 10.77.0.2 7'\n  $ glasstcp sandbox --serve '--preset chaos' -- curl http://10.77.0.2/",
    )
    .action(async (command: readonly string[], options: Options) => {
      process.exitCode = await inPrivateNetwork(options.here === true, () => sandbox(command, options));
    });
}

async function sandbox(command: readonly string[], options: Options): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), "glasstcp-sandbox-"));
  const pretty = prettifier(isColoured(process.stderr));
  const control = join(dir, "control.sock");
  try {
    const daemon = await startDaemonProcess(
      ["--tun", options.tun, "--host", options.host, "--address", options.address, "--control", control, ...options.serve.flatMap(words)],
      (_line, text) => {
        if (options.log !== undefined) appendFileSync(options.log, `${text}\n`);
        if (options.quiet !== true) process.stderr.write(pretty(text));
      },
    );
    try {
      const shell = process.env["SHELL"] ?? "/bin/sh";
      if (command.length === 0 && process.stdin.isTTY) {
        print(`The daemon answers at ${options.address}; leave with exit or Ctrl-D. Try: curl http://${options.address.split("/")[0]}/`, process.stderr);
      }
      const child = spawn(command[0] ?? shell, command.slice(1), { stdio: "inherit", env: environment(dir, control) });
      const died = daemon.failure.catch((e: unknown) => {
        child.kill("SIGHUP");
        throw e;
      });
      return await Promise.race([followed(child), died]);
    } finally {
      await daemon.stop();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Inside, `glasstcp` is this very program and finds this very daemon. */
function environment(dir: string, control: string): NodeJS.ProcessEnv {
  const bin = join(dir, "bin"),
    file = join(bin, "glasstcp");
  const [node, args] = ownCommand();
  mkdirSync(bin);
  writeFileSync(file, `#!/bin/sh\nexec ${[node, ...args].map((a) => `'${a.replaceAll("'", "'\\''")}'`).join(" ")} "$@"\n`);
  chmodSync(file, 0o755);
  const env = withSbin(process.env);
  return { ...env, PATH: `${bin}:${env["PATH"]}`, GLASSTCP_CONTROL: control };
}

/** Splits as a shell does, quotes included, without anything else of a shell. */
export function words(text: string): string[] {
  const found: string[] = [];
  const rest = text.replaceAll(/\s*((?:[^\s'"\\]|\\[^]|'[^']*'|"(?:[^"\\]|\\[^])*")+)/g, (_all, word: string) => {
    found.push(
      word.replaceAll(
        /'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])/g,
        (_part, single?: string, double?: string, escaped?: string) => single ?? double?.replaceAll(/\\(["\\$`])/g, "$1") ?? escaped ?? "",
      ),
    );
    return "";
  });
  if (rest.trim() !== "") throw usageError(`--serve: unfinished quote in ${rest.trim()}`);
  return found;
}
