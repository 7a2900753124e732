/**
 * npm run sim -- --seeds 1..10000 [--jobs 2]: simulates two stacks over a bad link, and one against a hostile peer, once
 * per seed. npm run sim -- --seed N: replays one with everything that happens. Exit 1 if an invariant was violated.
 */
import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import { type Outcome, simulate } from "../test/sim/simulate.js";
import { simulateHostile } from "../test/sim/hostile.js";

type Kind = "link" | "hostile";
const RUNS = { link: simulate, hostile: simulateHostile } as const;

/** A run that takes longer than this hangs, ms of real time. */
const HANG = 60_000;

const whole = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("give a whole number");
  return Number(text);
};
const range = (text: string): [number, number] => {
  const m = /^(\d+)\.\.(\d+)$/.exec(text);
  if (m === null || Number(m[1]) > Number(m[2])) throw new InvalidArgumentError("give two whole numbers such as 1..1000");
  return [Number(m[1]), Number(m[2])];
};
const kind = (text: string): Kind => {
  if (text !== "link" && text !== "hostile") throw new InvalidArgumentError("give link or hostile");
  return text;
};

const command = new Command("sim")
  .description("simulates TCP connections in virtual time, from seeds, and checks every invariant after every event")
  .option("--seeds <from..to>", "seeds to run, each once over a bad link and once against a hostile peer", range, [1, 1_000])
  .option("--seed <n>", "replay one, with a trace", whole)
  .option("--kind <kind>", "link: two stacks over a bad link; hostile: one against a peer that breaks the rules", kind)
  .option("--jobs <n>", "processes at a time", whole, Math.min(2, availableParallelism()))
  .option("--quiet", "with --seed: without the trace")
  .addHelpText("after", "\nExamples:\n  npm run sim -- --seeds 1..10000\n  npm run sim -- --seed 1063 --kind link")
  .parse();
const options = command.opts<{ seeds: [number, number]; seed?: number; kind?: Kind; jobs: number; quiet?: boolean }>();
const kinds: readonly Kind[] = options.kind === undefined ? ["link", "hostile"] : [options.kind];

if (options.seed !== undefined) {
  for (const k of kinds) {
    const outcome = RUNS[k](options.seed, options.quiet === true ? {} : { trace: (line) => console.log(line) });
    console.log(summary(k, outcome));
    if (outcome.violation !== undefined) process.exitCode = 1;
  }
} else await all();

function summary(k: Kind, o: Outcome): string {
  const what = `${k} seed ${o.seed}: ${o.connections} connections, ${o.octets} octets, ${o.events} events, ${(o.ms / 1_000).toFixed(1)} s of virtual time, ${o.retransmits} retransmissions`;
  return o.violation === undefined ? `${what}: no violation` : `${what}\n  VIOLATION ${o.violation}\n  replay: npm run sim -- --seed ${o.seed} --kind ${k}`;
}

async function all(): Promise<void> {
  const [from, to] = options.seeds,
    started = performance.now();
  const total = { runs: 0, connections: 0, octets: 0, events: 0, ms: 0, retransmits: 0, timeouts: 0, violations: 0 };
  const work: { kind: Kind; seed: number }[] = [];
  for (let seed = from; seed <= to; seed++) for (const k of kinds) work.push({ kind: k, seed });
  let next = 0,
    said = started;
  const note = (k: Kind, o: Outcome): void => {
    total.runs++;
    total.connections += o.connections;
    total.octets += o.octets;
    total.events += o.events;
    total.ms += o.ms;
    total.retransmits += o.retransmits;
    total.timeouts += o.timeouts;
    if (o.violation !== undefined) {
      total.violations++;
      console.log(summary(k, o));
    }
    if (performance.now() - said > 30_000) {
      said = performance.now();
      console.log(`… ${total.runs} of ${work.length} runs, ${total.violations} violations`);
    }
  };
  const worker = (): Promise<void> =>
    new Promise((resolve) => {
      let current: { kind: Kind; seed: number } | undefined, watchdog: NodeJS.Timeout | undefined;
      const child = fork(fileURLToPath(new URL("./sim-worker.ts", import.meta.url)), { execArgv: ["--import", "tsx"] });
      const give = (): void => {
        clearTimeout(watchdog);
        current = work[next++];
        if (current === undefined) return child.disconnect();
        child.send(current);
        watchdog = setTimeout(() => child.kill("SIGKILL"), HANG);
      };
      child.once("spawn", give);
      child.on("message", (o: Outcome) => {
        if (current !== undefined) note(current.kind, o);
        give();
      });
      // A process that hangs or dies costs its seed, not the run.
      child.once("exit", (code, signal) => {
        clearTimeout(watchdog);
        if (current !== undefined)
          note(current.kind, {
            seed: current.seed,
            violation: signal === "SIGKILL" ? `still running after ${HANG} ms of real time` : `ended with ${code ?? signal}`,
            connections: 0,
            octets: 0,
            events: 0,
            ms: 0,
            readMs: 0,
            retransmits: 0,
            timeouts: 0,
          });
        void (next < work.length ? worker().then(resolve) : resolve());
      });
    });
  await Promise.all(Array.from({ length: Math.max(1, options.jobs) }, worker));
  const seconds = (performance.now() - started) / 1_000;
  console.log(
    `seeds ${from} to ${to}: ${total.runs} runs, ${total.connections} connections, ${total.octets} octets checked, ${total.events} events, ${(total.ms / 3_600_000).toFixed(1)} h of virtual time`,
  );
  console.log(
    `${total.retransmits} retransmissions, ${total.timeouts} timeouts; ${seconds.toFixed(1)} s, ${Math.round((total.connections / seconds) * 60)} connections a minute with ${options.jobs} processes`,
  );
  console.log(total.violations === 0 ? "no violation" : `${total.violations} violations`);
  process.exitCode = total.violations === 0 ? 0 : 1;
}
