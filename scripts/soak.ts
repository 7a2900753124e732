/**
 * npm run soak -- --minutes N: the built daemon and the kernel's TCP in a namespace, mixed traffic, a lossy link, every
 * octet checked. Memory and descriptors must be flat from a quarter of the run to its end, and at the end no connection
 * and no page may be left. Exit 1 if anything is not so.
 */
import { readdirSync } from "node:fs";
import { request } from "node:http";
import { fileURLToPath } from "node:url";
import type { CountersAnswer, DaemonStatus } from "../src/control/contract.js";
import { Command, InvalidArgumentError } from "commander";
import { serveIn, type TestDaemon } from "../test/support/daemon.js";
import { inNetns, type Netns, netnsMissing } from "../test/support/netns.js";

interface Sample {
  readonly heapUsed: number;
  readonly external: number;
  readonly rss: number;
  readonly fds: number;
  readonly connections: number;
}
export interface Soak {
  readonly connections: number;
  readonly octets: number;
  readonly byKind: Record<string, number>;
  readonly wrong: readonly string[];
  readonly samples: readonly Sample[];
  /** What is not as it must be; empty when all is well. */
  readonly faults: readonly string[];
}

const MIB = 1_048_576;
/** A client's only RST may be lost; then only this tells that nobody is there any more. */
const KEEP_ALIVE = ["keepAlive=on", "keepAliveIdle=5s", "keepAliveInterval=1s", "keepAliveProbes=5"].flatMap((s) => ["--set", s]);

function get<T>(daemon: TestDaemon, path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    request({ socketPath: daemon.control, path }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.once("end", () => resolve(JSON.parse(text) as T));
    })
      .once("error", reject)
      .end();
  });
}
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** @param atLeast connections; until there were so many it goes on, however long it takes */
export async function soak(ns: Netns, seconds: number, say: (line: string) => void = () => {}, atLeast = 0): Promise<Soak> {
  const daemon = await serveIn(ns, ["--log-level", "warn", "--impair", "loss=0.2%,delay=1ms,jitter=1ms,duplicate=0.1%", "--set", "timeWait=2s", ...KEEP_ALIVE]);
  const pid = daemon.child.pid as number,
    samples: Sample[] = [];
  const client = ns.spawn(process.execPath, ["--import", "tsx", fileURLToPath(new URL("./soak-client.ts", import.meta.url)), "12"]);
  let out = "",
    err = "";
  client.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    out += chunk;
  });
  client.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    err += chunk;
  });
  const ended = new Promise<void>((resolve) => client.once("close", () => resolve()));
  const sample = async (): Promise<Sample> => {
    const { memory, connections } = await get<DaemonStatus>(daemon, "/v1/status");
    return {
      heapUsed: memory.heapUsed,
      external: memory.external,
      rss: memory.rss,
      fds: readdirSync(`/proc/${pid}/fd`).length,
      connections: connections.total,
    };
  };
  const end = performance.now() + seconds * 1_000,
    every = Math.max(250, (seconds * 1_000) / 200);
  let said = 0,
    opened = 0;
  while ((performance.now() < end || opened < atLeast) && client.exitCode === null) {
    await sleep(every);
    const s = await sample();
    samples.push(s);
    opened = (await get<CountersAnswer>(daemon, "/v1/counters")).transitions["LISTEN>SYN-RECEIVED"] ?? 0;
    if (performance.now() - said > 30_000) {
      said = performance.now();
      say(
        `heap ${(s.heapUsed / MIB).toFixed(1)} MiB, external ${(s.external / MIB).toFixed(1)} MiB, rss ${(s.rss / MIB).toFixed(1)} MiB, ${s.fds} descriptors, ${s.connections} connections`,
      );
    }
  }
  client.stdin?.end();
  await ended;
  const faults: string[] = [];
  if (out === "") throw new Error(`the client ended without a word: ${err}`);
  const result = JSON.parse(out) as Omit<Soak, "samples" | "faults">;
  faults.push(...result.wrong, ...flat(samples));
  // TIME-WAIT is 2 s here; what hangs on longer is a leak.
  let left: CountersAnswer["stack"] = {};
  for (let tries = 0; tries < 60; tries++) {
    ({ stack: left } = await get<CountersAnswer>(daemon, "/v1/counters"));
    if (left["connections"] === 0 && left["pagesUsed"] === 0) break;
    await sleep(500);
  }
  for (const what of ["connections", "halfOpen", "orphans", "timeWait", "pagesUsed"])
    if (left[what] !== 0) faults.push(`${left[what]} ${what} left at the end`);
  if (left["connections"] !== 0) faults.push((await daemon.cli("ss", ["-tanoi"])).stdout);
  const { code } = await daemon.stop();
  if (code !== 0) faults.push(`the daemon ended with ${code}: ${daemon.stderr}`);
  return { ...result, samples, faults };
}

/** From a quarter of the run to its end. The least of each part is what is really held: the rest is garbage not yet collected. */
function flat(samples: readonly Sample[]): string[] {
  const part = (from: number, to: number): readonly Sample[] => samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to));
  const early = part(0.25, 0.5),
    late = part(0.75, 1),
    faults: string[] = [];
  const least = (of: readonly Sample[], what: keyof Sample): number => Math.min(...of.map((s) => s[what]));
  for (const [what, slack] of [
    ["heapUsed", 8 * MIB],
    ["external", 8 * MIB],
    ["fds", 2],
    ["connections", 200],
  ] as const) {
    const before = least(early, what),
      after = least(late, what);
    if (!(after <= before * 1.2 + slack)) faults.push(`${what} grew from ${before} to ${after}`);
  }
  return faults;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { minutes } = new Command("soak")
    .description("mixed traffic against the kernel; memory, descriptors and tables must stay flat, and every octet right. Needs npm run build")
    .option(
      "--minutes <n>",
      "how long",
      (text) => {
        if (!(Number(text) > 0)) throw new InvalidArgumentError("give a number of minutes, such as 10 or 0.5");
        return Number(text);
      },
      10,
    )
    .addHelpText("after", "\nExamples:\n  npm run build && npm run soak -- --minutes 30")
    .parse()
    .opts<{ minutes: number }>();
  const why = netnsMissing();
  if (why !== undefined) process.exit(3);
  const result = await inNetns((ns) => soak(ns, minutes * 60, (line) => console.log(line)));
  console.log(
    `${result.connections} connections in ${minutes} minutes, ${result.octets} octets there and back, each one checked: ${JSON.stringify(result.byKind)}`,
  );
  for (const fault of result.faults) console.log(`FAULT ${fault}`);
  console.log(result.faults.length === 0 ? "flat from a quarter to the end; nothing left" : `${result.faults.length} faults`);
  process.exitCode = result.faults.length === 0 ? 0 : 1;
}
