/** What scripts/bench can be told. */
import { Command, InvalidArgumentError, Option } from "commander";

export const PARTS = ["rx", "tx", "pp", "seq", "par", "idle", "memory", "log", "exact"] as const;
export type Part = (typeof PARTS)[number];

export interface BenchOptions {
  readonly runs: number;
  /** Seconds of each measurement. */
  readonly secs: number;
  readonly only: readonly Part[];
  /** Measure only plain frames: no offload on our side, and the limit without it. */
  readonly plain: boolean;
  readonly json: string | undefined;
  /** Congestion control of the client. */
  readonly cc: string;
  /** Idle connections of `memory`. */
  readonly idle: number;
  readonly quick: boolean;
  /** Another server to measure instead of ours; empty for ours. */
  readonly server: readonly string[];
}

/** Numbers that show that everything works, and nothing about speed. */
const QUICK = { runs: 1, secs: 0.3, idle: 2_000 };

const positive = (text: string): number => {
  const n = Number(text);
  if (!(n > 0)) throw new InvalidArgumentError("not a number above 0.");
  return n;
};
const parts = (text: string): Part[] =>
  text.split(",").map((word) => {
    const part = PARTS.find((p) => p === word);
    if (part === undefined) throw new InvalidArgumentError(`"${word}" is not one of ${PARTS.join(", ")}.`);
    return part;
  });

export function parseOptions(argv: readonly string[]): BenchOptions {
  const program = new Command("scripts/bench")
    .description(
      "Measures our TCP with an ordinary kernel client: with offload, without it, and with --spin-us 20; beside, in turn and in the same run, " +
        "the kernel's own TCP over veth and the limit of the TUN path (a C program that answers with next to no TCP). Everything lives in network namespaces of its own. " +
        "Prints medians, ratios first. With a SERVER after --, that one is measured instead of ours: it makes tun0, gives the kernel 10.77.0.1/24, " +
        "and answers at 10.77.0.2 on echo 7, discard 9 and chargen 19.",
    )
    .argument("[server...]", "command of another server, after --")
    .option("--runs <n>", "rounds; the medians of them are printed (default: 5)", positive)
    .option("--secs <s>", "seconds of each measurement (default: 2)", positive)
    .option("--only <parts>", `some of ${PARTS.join(",")}`, parts)
    .option("--plain", "plain frames only", false)
    .option("--cc <name>", "congestion control of the client", "cubic")
    .option("--idle <n>", "idle connections of the part memory (default: 100000)", positive)
    .option("--json <file>", "every single figure, and the machine")
    .addOption(new Option("--quick", "tiny numbers: shows that it works, and nothing about speed").default(false))
    .addHelpText(
      "after",
      `
Parts: rx and tx one stream each way; pp round trips of one octet; seq and par connections a second, one at a time and 32 in
flight; idle processor time of doing nothing; memory of idle connections, and their processor time; log the price of transition
lines; exact 1 GiB each way in four streams, compared octet by octet.

Examples:
  $ sudo scripts/bench
  $ sudo scripts/bench --only rx,tx --plain --runs 7
  $ sudo scripts/bench --only log
  $ sudo scripts/bench --only rx,tx,pp,seq,par -- ./my-server tun0

Exit code 1 when a figure could not be taken.`,
    )
    .parse(argv, { from: "user" });
  const given = program.opts<{ runs?: number; secs?: number; only?: Part[]; plain: boolean; cc: string; idle?: number; json?: string; quick: boolean }>();
  const base = given.quick ? QUICK : { runs: 5, secs: 2, idle: 100_000 };
  const server = program.args;
  const known: readonly Part[] = server.length > 0 ? ["rx", "tx", "pp", "seq", "par", "idle"] : PARTS;
  return {
    runs: Math.ceil(given.runs ?? base.runs),
    secs: given.secs ?? base.secs,
    only: (given.only ?? PARTS).filter((p) => known.includes(p)),
    plain: given.plain,
    json: given.json,
    cc: given.cc,
    idle: Math.ceil(given.idle ?? base.idle),
    quick: given.quick,
    server,
  };
}
