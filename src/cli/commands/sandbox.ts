/** `glasstcp sandbox [-- COMMAND …]`: a private network with the daemon inside, and a shell or a command beside it. */
import { spawn } from "node:child_process";
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { prettifier } from "../../observe/pretty.js";
import { SERVE_OPTIONS, type ServeOption } from "../../daemon/config.js";
import { type LogLine, startDaemonProcess } from "../daemon-process.js";
import { withSbin } from "../environment.js";
import { followed, inPrivateNetwork, interruptible, ownCommand } from "../namespace.js";
import { isColoured, print } from "../output.js";

/** What the sandbox decides itself: the log comes to it, and the control socket lies in its own folder. */
const OWN = new Set(["logFormat", "logFile", "control"]);

interface Options {
  readonly quiet?: true;
  readonly logFile?: string;
  readonly here?: true;
  readonly [serve: string]: unknown;
}

/** pino's number. */
const WARN = 40;

const collect = (value: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), value];

const EXAMPLES = `
Examples:
  $ glasstcp sandbox                                        a shell; try curl http://10.77.0.2/
  $ glasstcp sandbox -- curl -sv http://10.77.0.2/
  $ glasstcp sandbox -q -- sh -c 'printf hello | nc -N 10.77.0.2 7'
  $ glasstcp sandbox --set timeWait=1s -- nc 10.77.0.2 13`;

export function register(program: Command): void {
  const sandbox = program
    .command("sandbox")
    .summary("a shell, or COMMAND, in a private network with the daemon inside")
    .description(
      "Makes a private network namespace (no root where the system allows it), starts the daemon in it, and runs COMMAND, or your " +
        "shell, beside it. The host's own interfaces are out of reach. What our TCP does goes to stderr, one line per transition. Ends " +
        "with COMMAND, whose exit code it passes on; the daemon and its interface are gone then. Inside, ss and trace find the daemon.",
    )
    .argument("[command...]", "what to run, after --; without it $SHELL")
    .passThroughOptions()
    .option("-q, --quiet", "print no transitions")
    .option("--log-file <path>", "append the log to a file, as JSON lines")
    .option("--here", "use the network namespace that we are in, for example a container's own");
  for (const [key, option] of Object.entries<ServeOption>(SERVE_OPTIONS)) {
    if (OWN.has(key)) continue;
    const help = option.default === undefined ? option.help : `${option.help} (default: ${option.default})`;
    if (option.repeatable === true) sandbox.option(option.flags, help, collect);
    else sandbox.option(option.flags, help);
  }
  sandbox.addHelpText("after", EXAMPLES).action(async (command: readonly string[], options: Options) => {
    process.exitCode = await inPrivateNetwork(options.here === true, () => interruptible((signal) => run(command, options, signal)));
  });
}

/** The options of serve that were given, as serve takes them. */
export function serveArguments(options: Options): string[] {
  const given: string[] = [];
  for (const [key, option] of Object.entries<ServeOption>(SERVE_OPTIONS)) {
    if (OWN.has(key)) continue;
    const flag = option.flags.split(" ")[0] ?? "";
    const value = options[key];
    for (const one of Array.isArray(value) ? (value as string[]) : value === undefined ? [] : [String(value)]) given.push(flag, one);
  }
  return given;
}

async function run(command: readonly string[], options: Options, signal: AbortSignal): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), "glasstcp-sandbox-"));
  const pretty = prettifier(isColoured(process.stderr));
  const control = join(dir, "control.sock");
  try {
    const show = (line: LogLine, text: string): void => {
      if (options.logFile !== undefined) appendFileSync(options.logFile, `${text}\n`);
      // What concerns a connection, and what went wrong; that the daemon comes and goes is no news here.
      if (options.quiet !== true && (line.conn !== undefined || line.level >= WARN)) process.stderr.write(pretty(text));
    };
    const daemon = await startDaemonProcess(["--control", control, ...serveArguments(options)], show, signal);
    try {
      const shell = process.env["SHELL"] ?? "/bin/sh";
      if (command.length === 0 && process.stdin.isTTY) {
        const address = firstAddress(daemon.ready);
        print(`The daemon answers at ${address}; leave with exit or Ctrl-D. Try: curl http://${address}/`, process.stderr);
      }
      signal.throwIfAborted();
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

/** The first address of the ready line, as a client types it. */
function firstAddress(ready: LogLine): string {
  const { address } = ready;
  const first = String(Array.isArray(address) ? address[0] : (address ?? SERVE_OPTIONS.address.default));
  return first.split("/")[0] ?? first;
}
