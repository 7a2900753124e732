/** scripts/bench: takes the figures that were asked for and prints them. Progress goes to standard error. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { netnsMissing } from "../test/support/netns.js";
import { exact, idle, logPrice, memory } from "./alone.js";
import { compare } from "./compare.js";
import { parseOptions } from "./options.js";
import { report } from "./report.js";
import { machine, type Result } from "./result.js";
import { buildTools } from "./tools.js";

const options = parseOptions(process.argv.slice(2));
const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

function fail(message: string, code: number): never {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(code);
}

if (process.getuid?.() !== 0) fail("network namespaces and a TUN interface need root; without it: unshare -Ur scripts/bench", 3);
const missing = netnsMissing("sysctl");
if (missing !== undefined) fail(missing, 3);

const folder = mkdtempSync(join(tmpdir(), "glasstcp-bench-"));
const interrupted = (): void => {
  rmSync(folder, { recursive: true, force: true });
  // Servers die with their namespaces, and those with this process.
  process.exit(130);
};
process.on("SIGINT", interrupted);
process.on("SIGTERM", interrupted);
try {
  const here = machine(),
    tools = buildTools(folder);
  const wants = (part: (typeof options.only)[number]): boolean => options.only.includes(part);
  const result: Result = {
    command: ["scripts/bench", ...process.argv.slice(2)].join(" ").replace(options.json ?? "--json", (path) => basename(path)),
    date: new Date().toISOString(),
    machine: here,
    rows: await compare(options, tools, folder, say),
    idle: wants("idle") ? await idle(options, tools, folder, say) : [],
    memory: wants("memory") ? await memory(options, tools, folder, say) : [],
    log: wants("log") ? await logPrice(options, tools, folder, say) : undefined,
    exact: wants("exact") ? await exact(options, tools, folder, say) : [],
  };
  here.loadAfter = loadavg()[0] as number;
  console.log(report(result));
  if (options.quick) console.log("note: --quick shows that everything works; these figures say nothing about speed");
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result)}\n`);
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
