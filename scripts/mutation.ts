/** Takes the rules out of the core one at a time and looks whether a test notices: see HELP. */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { makeCopy } from "./mutation/copy.js";
import type { Mutant } from "./mutation/operators.js";
import { formatScore, hashSources, keysOf, readEquivalents, readKillers, readMutation, writeKillers } from "./mutation/result.js";
import type { Job, Told } from "./mutation/worker.js";

const HELP = `npm run mutation [-- OPTIONS]

Takes the rules out of src/wire, src/tcp and src/stack one at a time (a condition that never holds, a statement or case
left out) and looks whether a test notices. Prints what nobody noticed, then the score. A whole run is stored in
spec/mutation.json, and which test noticed what in spec/mutation-killers.json: the next run asks that one first.

  --again          only what the stored run lists as survived, in whatever line it stands now; stores nothing
  --only A[,B...]  only mutants in files whose path holds one of these; stores nothing
  --tests A[,B..]  only test files and packet scripts whose path holds one of these; stores nothing
  --details        changes rules too: a condition that always holds, one side of && and ||, < for =<, + for -, the next
                   number; and queues and tables, which say how and not what; stores nothing
  --budget S       processor time for each mutant, seconds (20, in which nearly always every test has looked)
  --workers N      processes side by side (as many as processors, 4 at most)
  --list           prints the mutants and runs nothing
  --verdicts FILE  writes who noticed each mutant, by its key, as JSON

spec/mutation-equivalent.tsv names mutants that make no difference anybody could observe (file, operator, text, reason;
of several with one text, the second is "text #2"). They are run too: one that is noticed, or is no longer there, fails
the run, and so does a test that fails without any mutant.
`;

const ROOT = resolve(import.meta.dirname, "..");
/** Queues, tables and lists: how it is done and not what is done. Looked at with --details. */
const MECHANISM = /(?:demux|wheel|scoreboard|send-queue|receive-queue|pages|timers|listener|ports|rate|flow|wake|state|environment|seq|isn|connection)\.ts$/;
/** A worker that says nothing for so long is caught in a mutant that does not end, milliseconds. */
const SILENCE = 60_000;

const args = process.argv.slice(2);
const option = (name: string): string | undefined => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
const list = (name: string): string[] => option(name)?.split(",") ?? [];
const details = args.includes("--details"),
  again = args.includes("--again"),
  only = list("--only"),
  onlyTests = list("--tests"),
  budget = Number(option("--budget") ?? 20);

const children = new Set<ChildProcess>();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    for (const c of children) c.kill("SIGKILL");
    process.exit(1);
  });

let jobs = 0;
/** One process of the worker, until it ends or says nothing for too long. */
function worker(copy: string, job: Omit<Job, "root" | "only" | "budget">, tell: (t: Told) => void): Promise<"ended" | "failed" | "hung"> {
  const file = join(copy, `job-${jobs++}.json`);
  writeFileSync(file, JSON.stringify({ ...job, root: copy, only: onlyTests, budget } satisfies Job));
  return new Promise((resolve) => {
    let isHung = false;
    const child = spawn(process.execPath, ["--import", "tsx", join(copy, "worker.ts"), file], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
    children.add(child);
    const stuck = (): void => {
      isHung = true;
      child.kill("SIGKILL");
    };
    let watch = setTimeout(stuck, 4 * SILENCE);
    createInterface({ input: child.stdout }).on("line", (text) => {
      if (!text.startsWith("{")) return;
      clearTimeout(watch);
      watch = setTimeout(stuck, SILENCE);
      tell(JSON.parse(text) as Told);
    });
    child.once("close", (code) => {
      clearTimeout(watch);
      children.delete(child);
      resolve(isHung ? "hung" : code === 0 ? "ended" : "failed");
    });
  });
}

async function main(): Promise<number> {
  const mutants: Mutant[] = [],
    // Of what is copied now: the sources may change while this runs.
    sources = hashSources(ROOT),
    equivalents = readEquivalents(ROOT);
  const copy = makeCopy(ROOT, mutants);
  const keys = keysOf(mutants),
    keyOf = (m: Mutant): string => keys.get(m.id) as string;
  const stored = new Set(again ? readMutation(ROOT)?.survivors.map((s) => s.replace(/^(\S+):\d+ /, "$1 ")) : []);
  const chosen = mutants.filter(
    (m) =>
      (details || (m.set === "rule" && !MECHANISM.test(m.file))) &&
      (only.length === 0 || only.some((part) => m.file.includes(part))) &&
      (!again || stored.has(`${m.file} ${m.operator}: ${m.text}`)),
  );
  const place = (m: Mutant): string => `${m.file}:${m.line} ${m.operator}: ${m.text}`;
  if (args.includes("--list")) {
    for (const m of chosen) console.log(place(m));
    return 0;
  }

  const begin = Date.now(),
    broken = new Set<string>(),
    verdicts = new Map<number, Told>(),
    killerOf = readKillers(ROOT);
  const survey = await worker(copy, { mode: "survey", mutants: [] }, (t) => {
    if (t.broken !== undefined) broken.add(`${t.broken}: ${t.why}`);
  });
  if (survey !== "ended") throw new Error("the tests do not run without any mutant");
  /** Works through these, in a new process whenever the old one got stuck or was spoilt. */
  const work = async (ours: Mutant[]): Promise<void> => {
    for (let left = ours; left.length > 0; ) {
      let current: number | undefined;
      const todo = left.map((m) => ({ id: m.id, killer: killerOf(keyOf(m)) ?? "" }));
      const end = await worker(copy, { mode: "run", mutants: todo }, (t) => {
        if (t.begin !== undefined) current = t.begin;
        if (t.id === undefined) return;
        verdicts.set(t.id, t);
        current = undefined;
        if (verdicts.size % 100 === 0) console.error(`${verdicts.size} of ${chosen.length}`);
      });
      // One that ended the process without a verdict was noticed as surely as by a failing test.
      if (current !== undefined) verdicts.set(current, { id: current, killed: true, by: end === "hung" ? "it does not end" : "the process ended" });
      const rest = left.filter((m) => !verdicts.has(m.id));
      if (rest.length === left.length) throw new Error("the worker does nothing");
      left = rest;
    }
  };
  const workers = Number(option("--workers") ?? Math.min(4, cpus().length));
  await Promise.all(Array.from({ length: workers }, (_, w) => work(chosen.filter((_m, i) => i % workers === w))));

  const isKilled = (m: Mutant): boolean => verdicts.get(m.id)?.killed === true,
    equivalent = chosen.filter((m) => equivalents.has(keyOf(m))),
    counted = chosen.filter((m) => !equivalents.has(keyOf(m)));
  const survivors = counted.filter((m) => !isKilled(m)),
    killed = counted.length - survivors.length;
  const all = new Set(keys.values());
  const stale = [
    ...[...equivalents.keys()].filter((k) => !all.has(k)).map((k) => `no such mutant: ${k}`),
    ...equivalent.filter(isKilled).map((m) => `noticed by "${verdicts.get(m.id)?.by}": ${keyOf(m)}`),
  ];
  for (const b of broken) console.log(`BROKEN without any mutant: ${b}`);
  for (const s of stale) console.log(`NOT EQUIVALENT ${s}`);
  for (const m of survivors) {
    const { covering = 0, looked = 0 } = verdicts.get(m.id) ?? {};
    console.log(`${covering === 0 ? "UNREACHED" : looked < covering ? "NO TIME  " : "SURVIVED "} ${place(m)}`);
  }
  console.log(`\n${formatScore(killed, survivors.length, equivalent.length)}, in ${((Date.now() - begin) / 1_000).toFixed(0)} s`);
  const failed = broken.size > 0 || stale.length > 0;
  if (only.length === 0 && onlyTests.length === 0 && !details && !again && !failed) {
    const result = { sources, killed, survived: survivors.length, equivalent: equivalent.length, survivors: survivors.map(place) };
    writeFileSync(join(ROOT, "spec/mutation.json"), `${JSON.stringify(result, null, 1)}\n`);
    writeKillers(ROOT, new Map(chosen.flatMap((m) => (isKilled(m) ? [[keyOf(m), verdicts.get(m.id)?.by ?? ""] as const] : []))));
  }
  const verdictsTo = option("--verdicts");
  if (verdictsTo !== undefined) writeFileSync(verdictsTo, JSON.stringify(Object.fromEntries(chosen.map((m) => [keyOf(m), verdicts.get(m.id)])), null, 1));
  return failed ? 1 : 0;
}

if (args.includes("--help")) console.log(HELP);
else process.exit(await main());
