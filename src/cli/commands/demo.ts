/** `glasstcp demo`: the daemon in a private network, real curl and nc against it, and what our TCP did at each step and why. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { startDaemonProcess } from "../daemon-process.js";
import { renderStep } from "../demo/render.js";
import { type Step, stepsFor } from "../demo/steps.js";
import { type Connection, type Outcome, Story, visited } from "../demo/story.js";
import { TOOLS, toolMend, toolTrouble, withSbin } from "../environment.js";
import { CliError, EXIT } from "../errors.js";
import { exitCodeOf, inPrivateNetwork, interruptible } from "../namespace.js";
import { palette, print, printJson, terminalWidth } from "../output.js";

const TUN = "glass0",
  HOST = "10.77.0.1/24",
  ADDRESS = "10.77.0.2";
/** TIME-WAIT is cut short so that a newcomer sees its end. */
const TIME_WAIT_MS = 1_000;
const SETTLE_MS = 8_000;

interface StepReport {
  readonly title: string;
  readonly command: string;
  readonly ok: boolean;
  readonly why?: string;
  readonly exitCode: number;
  readonly ms: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly connections: readonly Connection[];
}

export function register(program: Command): void {
  program
    .command("demo")
    .summary("the whole thing in a minute: real curl and nc against our TCP, in a network of their own")
    .description(
      "Makes a private network namespace (no root where the system allows it), starts the daemon in it, runs real curl and nc " +
        "against it, and prints what each of them said beside what our TCP did and by which clause. Never touches the host's own " +
        "interfaces. Exits 0 only if every step worked: exit codes, bytes, and the path of states in the log.",
    )
    .option("--here", "use the network namespace that we are in, for example a container's own")
    .option("--json", "as one JSON object: ok, steps, states, ms")
    .addHelpText("after", "\nExamples:\n  $ glasstcp demo\n  $ glasstcp demo --json | jq '.steps[].connections[].path'")
    .action(async (options: { here?: true; json?: true }) => {
      const lacking = TOOLS.filter((t) => t.program !== "ip" && toolTrouble(t) !== undefined);
      if (lacking.length > 0)
        throw new CliError(`${lacking.map((t) => toolTrouble(t)).join(" and ")}, which the demo runs`, { mend: `install it with: ${toolMend(lacking)}` });
      process.exitCode = await inPrivateNetwork(options.here === true, () =>
        interruptible((signal) => demo(options.json === true, options.here === true, signal)),
      );
    });
}

async function demo(json: boolean, here: boolean, signal: AbortSignal): Promise<number> {
  const started = performance.now();
  const paint = palette(),
    width = Math.max(80, terminalWidth());
  const story = new Story();
  const dir = mkdtempSync(join(tmpdir(), "glasstcp-demo-"));
  const steps: StepReport[] = [];
  try {
    const daemon = await startDaemonProcess(
      ["--tun", TUN, "--host", HOST, "--address", ADDRESS, "--log-level", "info", "--set", `timeWait=${TIME_WAIT_MS}`, "--control", join(dir, "control.sock")],
      (line) => story.add(line),
      signal,
    );
    let stopped: number;
    try {
      if (!json)
        print(`${paint.bold("glasstcp demo")}: real curl and nc against our own TCP at ${ADDRESS}, in ${here ? "this" : "a private"} network namespace`);
      for (const [i, step] of stepsFor(ADDRESS).entries()) {
        if (signal.aborted) break;
        const outcome = await Promise.race([run(step, story, signal), daemon.failure]);
        const why = step.judge(outcome);
        steps.push({
          title: step.title,
          command: step.shell,
          ok: why === undefined,
          ...(why !== undefined && { why }),
          exitCode: outcome.exitCode,
          ms: outcome.ms,
          stdout: outcome.stdout,
          stderr: outcome.stderr,
          connections: outcome.connections,
        });
        if (!json && !signal.aborted) print(renderStep(i + 1, step, outcome, why, paint, width));
      }
    } finally {
      stopped = await daemon.stop();
    }
    signal.throwIfAborted();
    const left = readFileSync("/proc/net/dev", "utf8").includes(`${TUN}:`);
    const end = stopped !== 0 ? `the daemon ended with exit code ${stopped}` : left ? `the daemon left ${TUN} behind` : undefined;
    const ok = end === undefined && steps.every((s) => s.ok);
    const ms = Math.round(performance.now() - started),
      states = visited(story.all);
    if (json) printJson({ ok, ...(end !== undefined && { why: end }), address: ADDRESS, steps, states, ms });
    else {
      print(`\n${states.length} of the 11 states were seen: ${states.join(", ")}.`);
      print(end === undefined ? `The daemon has ended with exit code 0, and ${TUN} is gone.` : paint.red(end));
      print(
        ok
          ? `${paint.green(paint.bold("Everything worked"))}, in ${(ms / 1000).toFixed(1)} s. Next: ${paint.cyan("glasstcp sandbox")} for a shell beside the daemon, ${paint.cyan("glasstcp states")} for the table.`
          : paint.red(`${steps.filter((s) => !s.ok).length} of ${steps.length} steps failed.`),
      );
    }
    return ok ? EXIT.done : EXIT.failed;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Runs the client of one step to its end and waits for our side of it to be over. */
async function run(step: Step, story: Story, signal: AbortSignal): Promise<Outcome> {
  story.begin();
  const began = performance.now();
  // A proxy or a .curlrc of the user must not come between curl and us.
  const env = { ...withSbin(process.env), http_proxy: "", all_proxy: "", ALL_PROXY: "", CURL_HOME: "/nonexistent", HOME: "/nonexistent" };
  const child = spawn(step.program, step.args, { stdio: ["pipe", "pipe", "pipe"], env });
  const stop = (): void => void child.kill();
  signal.addEventListener("abort", stop, { once: true });
  const stdout: Buffer[] = [],
    stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on("error", () => {}); // the client may end before it has read all
  child.stdin.end(step.input ?? "");
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, killedBy) => resolve(exitCodeOf(code, killedBy)));
  });
  signal.removeEventListener("abort", stop);
  const ms = performance.now() - began;
  if (!signal.aborted) await story.settled(SETTLE_MS);
  return {
    exitCode,
    stdout: Buffer.concat(stdout).toString(),
    stderr: Buffer.concat(stderr).toString(),
    ms,
    lines: story.lines(),
    connections: story.connections(),
  };
}
