/**
 * npm run mutation [-- --details] [--only FILE] [--tests FILE] [--workers N] [--list]: takes the rules out of the core one at a time and looks whether
 * a test notices. Prints what nobody noticed and the score; a whole run is stored in spec/mutation.json.
 */
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import { instrument, type Mutant } from "./mutation/operators.js";
import { hashSources, MUTATED } from "./mutation/result.js";

const ROOT = resolve(import.meta.dirname, ".."),
  COPY = join(ROOT, `dist/.mutation-${process.pid}`);
/** Tables and types, in which nothing is decided, and the block of memory that other tests hold to its plain form. */
const LEFT_OUT = /(?:options|rules|events|status|user|limits|frames|memory|errors|segment-text|upcalls|describe)\.ts$|wasm-memory\.ts$/;
/** Queues, tables and lists: how it is done and not what is done. Looked at with --details. */
const MECHANISM = /(?:demux|wheel|scoreboard|send-queue|receive-queue|pages|timers|listener|ports|rate|flow|wake|state|environment|seq|isn|connection)\.ts$/;
const TESTS = ["rfc", "tcp", "wire", "stack", "support"];
/** A worker that says nothing for so long is caught in a mutant that does not end, milliseconds. */
const SILENCE = 30_000;

const args = process.argv.slice(2);
const option = (name: string): string | undefined => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
const details = args.includes("--details"),
  only = option("--only"),
  onlyTests = option("--tests");

const files = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? files(join(dir, e.name)) : [join(dir, e.name)]));

const mutants: Mutant[] = [];
rmSync(COPY, { recursive: true, force: true });
cpSync(join(ROOT, "src"), join(COPY, "src"), { recursive: true });
cpSync(join(ROOT, "test/drill/scripts"), join(COPY, "test/drill/scripts"), { recursive: true });
for (const dir of TESTS.filter((d) => existsSync(join(ROOT, "test", d)))) {
  for (const file of files(join(ROOT, "test", dir)).filter((f) => f.endsWith(".ts"))) {
    const to = join(COPY, relative(ROOT, file)),
      shim = relative(dirname(to), join(COPY, "shim.js"));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, readFileSync(file, "utf8").replaceAll('from "vitest"', `from "${shim}"`));
  }
}
for (const name of ["shim.ts", "worker.ts"]) cpSync(join(ROOT, "scripts/mutation", name), join(COPY, name));
for (const dir of MUTATED) {
  for (const file of files(join(ROOT, dir)).filter((f) => f.endsWith(".ts") && !LEFT_OUT.test(f))) {
    writeFileSync(
      join(COPY, relative(ROOT, file)),
      instrument(relative(ROOT, file), readFileSync(file, "utf8"), () => mutants.length, mutants),
    );
  }
}
const chosen = mutants.filter((m) => (details || (m.set === "rule" && !MECHANISM.test(m.file))) && (only === undefined || m.file.includes(only)));
const place = (m: Mutant): string => `${m.file}:${m.line} ${m.operator}: ${m.text}`;

interface Told {
  readonly begin?: number;
  readonly id?: number;
  readonly killed?: boolean;
  readonly by?: string;
  readonly broken?: string;
  readonly why?: string;
  readonly done?: boolean;
  readonly covering?: number;
}
const verdicts = new Map<number, Told>();
const broken = new Set<string>();

/** Works through `ids`, in a new process whenever the old one got stuck or was spoilt. */
async function work(ids: number[]): Promise<void> {
  let left = ids;
  while (left.length > 0) {
    let current: number | undefined;
    await new Promise<void>((ended) => {
      const child = spawn(process.execPath, ["--import", "tsx", join(COPY, "worker.ts"), COPY, "run", onlyTests ?? "", ...left.map(String)], {
        cwd: ROOT,
        stdio: ["ignore", "pipe", "inherit"],
      });
      const stuck = (): void => {
        if (current !== undefined) verdicts.set(current, { id: current, killed: true, by: "it does not end" });
        child.kill("SIGKILL");
      };
      let watch = setTimeout(stuck, 4 * SILENCE);
      createInterface({ input: child.stdout }).on("line", (text) => {
        if (!text.startsWith("{")) return;
        const told = JSON.parse(text) as Told;
        clearTimeout(watch);
        watch = setTimeout(stuck, SILENCE);
        if (told.broken !== undefined) broken.add(`${told.broken}: ${told.why}`);
        if (told.begin !== undefined) current = told.begin;
        if (told.id !== undefined) {
          verdicts.set(told.id, told);
          current = undefined;
          if (verdicts.size % 100 === 0) console.error(`${verdicts.size} of ${chosen.length}`);
        }
      });
      child.once("close", () => {
        clearTimeout(watch);
        // One that ended the process without a verdict was noticed as surely as by a failing test.
        if (current !== undefined && !verdicts.has(current)) verdicts.set(current, { id: current, killed: true, by: "the process ended" });
        ended();
      });
    });
    const rest = left.filter((id) => !verdicts.has(id));
    if (rest.length === left.length) throw new Error("the worker does nothing");
    left = rest;
  }
}

if (args.includes("--list")) for (const m of chosen) console.log(place(m));
else {
  const begin = Date.now(),
    workers = Number(option("--workers") ?? Math.min(4, cpus().length));
  await Promise.all(Array.from({ length: workers }, (_, w) => work(chosen.filter((_m, i) => i % workers === w).map((m) => m.id))));
  const survivors = chosen.filter((m) => verdicts.get(m.id)?.killed !== true);
  for (const b of broken) console.log(`BROKEN without any mutant: ${b}`);
  for (const m of survivors) console.log(`${(verdicts.get(m.id)?.covering ?? 0) === 0 ? "UNREACHED" : "SURVIVED "} ${place(m)}`);
  const killed = chosen.length - survivors.length;
  console.log(`\n${killed} of ${chosen.length} noticed, ${((100 * killed) / chosen.length).toFixed(1)} %, in ${((Date.now() - begin) / 1_000).toFixed(0)} s`);
  if (only === undefined && onlyTests === undefined && !details)
    writeFileSync(
      join(ROOT, "spec/mutation.json"),
      `${JSON.stringify({ sources: hashSources(ROOT), killed, survived: survivors.length, survivors: survivors.map(place) }, null, 1)}\n`,
    );
  if (option("--verdicts") !== undefined) writeFileSync(option("--verdicts") as string, JSON.stringify([...verdicts.values()]));
  process.exitCode = broken.size > 0 ? 1 : 0;
}
rmSync(COPY, { recursive: true, force: true });
