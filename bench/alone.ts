/** Figures of ours alone: processor time of doing nothing, idle connections, the log's price, and octets that arrive as they were sent. */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { DaemonStatus } from "../src/control/contract.js";
import { ControlClient } from "../src/control/client.js";
import { take, warmUp } from "./figures.js";
import type { BenchOptions } from "./options.js";
import type { ExactResult, IdleResult, LogResult, MemoryResult } from "./result.js";
import { type Answer, ours, Server, type ServerPlan } from "./server.js";
import type { Tools } from "./tools.js";

type Say = (line: string) => void;

async function withServer<T>(plan: ServerPlan, tools: Tools, folder: string, work: (server: Server) => Promise<T>): Promise<T> {
  const server = await Server.start(plan, tools, folder);
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}

/** Share of a core over a while. */
async function idleShare(server: Server, seconds: number): Promise<number> {
  const cpu = server.cpu(),
    at = performance.now();
  await sleep(seconds * 1_000);
  return ((server.cpu() - cpu) * 1_000) / (performance.now() - at);
}

/** Processor time without a connection, after work: spinning must have ended, too. */
export async function idle(options: BenchOptions, tools: Tools, folder: string, say: Say): Promise<IdleResult[]> {
  const plans: [string, ServerPlan][] =
    options.server.length > 0
      ? [["as given", { name: "server", command: options.server }]]
      : (
          [
            ["offload", []],
            ["plain", ["--offload", "off"]],
            ["--spin-us 20", ["--spin-us", "20"]],
          ] as const
        ).map(([mode, more]) => [mode, ours(`idle ${mode}`, folder, more)]);
  const found: IdleResult[] = [];
  const seconds = options.quick ? 0.3 : 10;
  for (const [mode, plan] of plans) {
    const core = await withServer(plan, tools, folder, async (server) => {
      await take(server, "pp", { ...options, quick: true });
      // Some ten seconds after the last work V8 collects once, for some 80 ms, and then no more.
      await sleep(options.quick ? 200 : 15_000);
      return idleShare(server, seconds);
    });
    say(`idle, ${mode}: ${(core * 100).toFixed(2)} % of a core`);
    found.push({ mode, seconds, core });
  }
  return found;
}

const COLLECTOR = fileURLToPath(new URL("collect-garbage.js", import.meta.url));
/** Both answer on the bare connection; discard keeps no octets for the way back. */
const HELD = [
  ["echo", 7],
  ["discard", 9],
] as const;

/** What idle connections cost: memory by the daemon's own account, and processor time. */
export async function memory(options: BenchOptions, tools: Tools, folder: string, say: Say): Promise<MemoryResult[]> {
  const found: MemoryResult[] = [];
  const seconds = options.quick ? 0.3 : 10,
    connections = options.idle,
    settle = options.quick ? 200 : 2_000;
  for (const [service, port] of HELD) {
    const plan = ours(`memory ${service}`, folder, [], ["--expose-gc", "--import", COLLECTOR]);
    found.push(
      await withServer(plan, tools, folder, async (server) => {
        const status = async (): Promise<DaemonStatus> => {
          server.signal("SIGUSR2");
          await sleep(settle);
          return new ControlClient(plan.control).get<DaemonStatus>("/v1/status");
        };
        // A few connections first: what is made once is not counted a hundred thousand times.
        await (await server.hold(port, 500)).end();
        await sleep(settle);
        await status();
        const coreBefore = await idleShare(server, seconds),
          before = await status();
        say(`memory, ${service}: opening ${connections.toLocaleString("en")} connections`);
        const held = await server.hold(port, connections);
        await status();
        const coreAfter = await idleShare(server, seconds),
          after = await status();
        await held.end();
        const more = after.connections.total - before.connections.total;
        if (more < connections) throw new Error(`only ${more} of ${connections} connections were there`);
        const counted = ({ memory: m }: DaemonStatus): number => m.heapUsed + m.external;
        const octetsEach = (counted(after) - counted(before)) / more;
        say(
          `memory, ${service}: ${octetsEach.toFixed(0)} octets each; ${(coreBefore * 100).toFixed(2)} % of a core before, ${(coreAfter * 100).toFixed(2)} % with them`,
        );
        return {
          service,
          connections: more,
          octetsEach,
          rssEach: (after.memory.rss - before.memory.rss) / more,
          coreBefore,
          coreAfter,
          openedPerSecond: connections / held.seconds,
        };
      }),
    );
  }
  return found;
}

/** Connections a second with transition lines in a file beside none, in turn. */
export async function logPrice(options: BenchOptions, tools: Tools, folder: string, say: Say): Promise<LogResult> {
  return withServer(ours("log info", folder, ["--log-level", "info"]), tools, folder, (info) =>
    withServer(ours("log warn", folder, ["--log-level", "warn"]), tools, folder, async (warn) => {
      const result = { info: { rate: [] as number[], cost: [] as number[] }, warn: { rate: [] as number[], cost: [] as number[] } };
      const note = (into: { rate: number[]; cost: number[] }, a: Answer): void => {
        into.rate.push(a["rate"] ?? Number.NaN);
        into.cost.push(((a["serverCpu"] ?? Number.NaN) / (a["n"] ?? Number.NaN)) * 1e6);
      };
      for (const server of [info, warn]) for (let i = 0; i < (options.quick ? 1 : 2); i++) await warmUp(server, ["par"], options);
      // The noise of one measurement is as large as what is sought: four times the runs, and who begins changes.
      for (let run = 0; run < options.runs * 4; run++) {
        for (const server of run % 2 === 0 ? [info, warn] : [warn, info]) note(server === info ? result.info : result.warn, await take(server, "par", options));
        say(
          `log, run ${run + 1} of ${options.runs * 4}: ${Math.round(result.info.rate[run] as number)}/s with lines, ${Math.round(result.warn.rate[run] as number)}/s without`,
        );
      }
      return result;
    }),
  );
}

const STREAMS = 4,
  GIB = 2 ** 30;

/** Four streams at once through echo: each octet must come back as it went. The client compares. */
export async function exact(options: BenchOptions, tools: Tools, folder: string, say: Say): Promise<ExactResult[]> {
  const found: ExactResult[] = [];
  for (const [mode, more] of [
    ["offload", []],
    ["plain", ["--offload", "off"]],
  ] as const) {
    if (options.plain && mode === "offload") continue;
    const answer = await withServer(ours(`exact ${mode}`, folder, more), tools, folder, (server) =>
      server.measure("exact", 7, ["-C", options.cc, "-c", String(STREAMS), "-n", String((options.quick ? GIB / 256 : GIB) / STREAMS)]),
    );
    say(`exact, ${mode}: ${answer["octets"]} octets came back as they went, ${(answer["gbps"] ?? Number.NaN).toFixed(2)} Gbit/s each way`);
    found.push({ mode, octets: answer["octets"] ?? Number.NaN, streams: STREAMS, gbps: answer["gbps"] ?? Number.NaN });
  }
  return found;
}
