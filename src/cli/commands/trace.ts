/** `glasstcp trace`: follows what happens in the daemon, one line each. */
import type { Command } from "commander";
import { ControlClient, defaultControlPath } from "../../control/client.js";
import { prettifier } from "../../observe/pretty.js";

interface TraceFlags {
  readonly control: string;
  readonly conn?: string;
  readonly event?: string;
  readonly port?: string;
  readonly state?: string;
  readonly level?: string;
  readonly segments?: boolean;
  readonly count?: string;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("trace")
    .summary("follow transitions, drops, timers and segments as they happen")
    .description("Follows transitions, drops, timers and segments of one connection or of all, each with the rule behind it.")
    .option("-c, --conn <id>", "one connection, by its number in log and ss -e")
    .option("-e, --event <kinds>", "these kinds only, with commas: transition, closed, refused, reset, drop, timer, segment, congestion, flood, limit, fault")
    .option("-p, --port <n>", "connections with this local or remote port")
    .option("--state <name>", "transitions from or to this state")
    .option("-l, --level <level>", "from this level on: trace, debug, info, warn (default: info)")
    .option("-s, --segments", "everything, each segment too; the same as --level trace")
    .option("-n, --count <n>", "end after so many lines")
    .option("--json", "JSON lines, as in the log")
    .option("--control <path>", "the daemon's control socket", defaultControlPath())
    .addHelpText(
      "after",
      `
Examples:
  $ glasstcp trace                          all transitions and ends of connections
  $ glasstcp trace --conn 12 --segments     all of one connection, segment by segment
  $ glasstcp trace --event drop --json | jq .reason
  $ glasstcp trace --port 80 --state time-wait`,
    )
    .action(async (flags: TraceFlags) => {
      const query = new URLSearchParams();
      for (const key of ["conn", "event", "port", "state"] as const) if (flags[key] !== undefined) query.set(key, flags[key]);
      const level = flags.segments === true ? "trace" : flags.level;
      if (level !== undefined) query.set("level", level);
      const stop = new AbortController();
      process.once("SIGINT", () => stop.abort());
      process.once("SIGTERM", () => stop.abort());
      const pretty = flags.json === true ? undefined : prettifier(process.stdout.isTTY === true && !process.env["NO_COLOR"]);
      let left = flags.count === undefined ? Number.POSITIVE_INFINITY : Number(flags.count);
      let enough = false;
      for await (const line of new ControlClient(flags.control).events(query, stop.signal)) {
        const lost = line.startsWith('{"event":"lost"') ? (JSON.parse(line) as { lost: number }).lost : undefined;
        const text = pretty === undefined ? `${line}\n` : lost === undefined ? pretty(line) : `… ${lost} events lost: this terminal is too slow\n`;
        if (!process.stdout.write(text)) await new Promise((resolve) => process.stdout.once("drain", resolve));
        enough = --left <= 0;
        if (enough) break;
      }
      if (!enough && !stop.signal.aborted) process.stderr.write("glasstcp: the daemon has ended\n");
    });
}
