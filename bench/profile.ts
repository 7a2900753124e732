/**
 * Where our daemon's time goes while one figure is taken: by perf, in kernel, JavaScript and Node itself.
 *
 *   npx tsx bench/profile.ts rx|tx|pp|seq|par [--secs 4] [--top 40] [--children] [--callers SYMBOL] [-- more options of serve, such as --offload off]
 *
 * As root, with the Debian package linux-perf. In the list, `JS:*` is optimised code, `JS:^` and `JS:~` are not.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { FIGURES, take, warmUp } from "./figures.js";
import { ours, Server } from "./server.js";
import { buildTools } from "./tools.js";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    secs: { type: "string", default: "4" },
    top: { type: "string", default: "40" },
    children: { type: "boolean", default: false },
    callers: { type: "string" },
  },
});
const [name, ...serve] = positionals;
const part = FIGURES.find((f) => f.part === name)?.part;
if (part === undefined) throw new Error(`give one of ${[...new Set(FIGURES.map((f) => f.part))].join(", ")}`);

const folder = mkdtempSync(join(tmpdir(), "glasstcp-profile-")),
  data = join(folder, "perf.data");
const tools = buildTools(folder);
const bench = { secs: Number(options.secs), cc: "cubic", quick: false };
const server = await Server.start(
  ours("profiled", folder, serve, [
    "--perf-basic-prof",
    "--interpreted-frames-native-stack",
    "--no-logfile-per-isolate",
    `--logfile=${join(folder, "v8.log")}`,
  ]),
  tools,
  folder,
);
let perf: ChildProcess | undefined;
try {
  for (let i = 0; i < 2; i++) await warmUp(server, [part], { ...bench, secs: 1 });
  const ended = new Promise((resolve) => {
    perf = spawn(
      "perf",
      ["record", "-o", data, "-F", "1999", "-e", "cpu-clock", ...(options.children || options.callers !== undefined ? ["-g"] : []), "-p", String(server.pid)],
      {
        stdio: "ignore",
      },
    );
    perf.once("exit", resolve);
    perf.once("error", () => {
      console.error("the program perf is missing: apt-get install linux-perf");
      resolve(undefined);
    });
  });
  await sleep(300);
  // A figure of connections ends when the ports of one address are used up.
  const until = performance.now() + bench.secs * 1_000;
  do console.log(JSON.stringify(await take(server, part, bench)));
  while (performance.now() < until);
  perf?.kill("SIGINT");
  await ended;
} finally {
  await server.stop();
}
const graph = options.children || options.callers !== undefined;
const report = (...args: string[]): string =>
  execFileSync("perf", ["report", "-i", data, "--stdio", ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], maxBuffer: 1 << 28 })
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"))
    .slice(0, Number(options.top))
    .join("\n");
const flat = graph ? ["--no-children", "-g", "none"] : [];
const main = ["--tid", String(server.pid)];
console.log(`\nby thread; ${server.pid} is the one that runs TCP, the others collect garbage, compile and write the log\n${report(...flat, "--sort", "pid")}`);
console.log(`\nthat thread, by program\n${report(...flat, ...main, "--sort", "dso")}`);
console.log(`\nby function\n${report(...(options.children ? ["--children", "-g", "none"] : flat), ...main, "--sort", "dso,sym")}`);
if (options.callers !== undefined)
  console.log(`\nwho calls ${options.callers}\n${report("--no-children", ...main, "-S", options.callers, "-g", "caller,0.5,callee", "--max-stack", "4")}`);
rmSync(folder, { recursive: true, force: true });
rmSync(`/tmp/perf-${server.pid}.map`, { force: true });
