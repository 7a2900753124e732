/**
 * Runs in the instrumented copy. `survey` runs each test alone and notes what it costs and which mutants it comes by; `run`
 * takes, for each mutant, the tests that do until one fails. Tells what it does line by line, so that whoever started it
 * knows which mutant hung it.
 */
import { readdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Test, tests } from "./shim.js";

/** What a worker is to do, in the copy's job-N.json. */
export interface Job {
  readonly root: string;
  readonly mode: "survey" | "run";
  /** Names of test files, any part of; all if empty. */
  readonly only: readonly string[];
  /** Processor time that one mutant gets, seconds. */
  readonly budget: number;
  /** The mutants, and the test that noticed each the last time. */
  readonly mutants: readonly { readonly id: number; readonly killer?: string }[];
}
/** What it says, a line each. */
export interface Told {
  readonly begin?: number;
  readonly id?: number;
  readonly killed?: boolean;
  readonly by?: string;
  /** Tests that have looked, of those that come by. */
  readonly looked?: number;
  readonly covering?: number;
  readonly broken?: string;
  readonly why?: string;
}

const job = JSON.parse(readFileSync(process.argv[2] as string, "utf8")) as Job;
const { root } = job;
function say(o: Told): void {
  const line = Buffer.from(`${JSON.stringify(o)}\n`);
  for (let at = 0; at < line.length; ) {
    try {
      at += writeSync(1, line, at);
    } catch (e) {
      // Whoever reads is busy; what this says must not be lost when the process is killed.
      if ((e as NodeJS.ErrnoException).code !== "EAGAIN") throw e;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

(globalThis as { oneIsn?: boolean }).oneIsn = true;
let active = -1,
  hits = 0,
  limit = Infinity;
let seen: Set<number> | undefined;
(globalThis as unknown as { __m: (id: number) => boolean }).__m = (id) => {
  if (++hits > limit) throw new Error("it does not end");
  seen?.add(id);
  return id === active;
};
const processor = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const files = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? files(join(dir, e.name)) : [join(dir, e.name)]));
const isWanted = (file: string): boolean => job.only.length === 0 || job.only.some((part) => file.includes(part));
(globalThis as unknown as { __seq: unknown }).__seq = await import(pathToFileURL(join(root, "src/tcp/seq.ts")).href);
for (const file of files(join(root, "test"))
  .filter((f) => f.endsWith(".test.ts") && isWanted(f))
  .sort())
  await import(pathToFileURL(file).href);
const { drill } = (await import(pathToFileURL(join(root, "src/drill/drill.ts")).href)) as { drill: (name: string, source: string) => { result: string } };
for (const file of files(join(root, "test/drill/scripts")).filter(isWanted).sort()) {
  const source = readFileSync(file, "utf8");
  tests.push({
    name: file.slice(root.length + 1),
    run: () => {
      if (drill(file, source).result === "FAIL") throw new Error("failed");
    },
  });
}

/** @returns undefined when the test passes */
async function failure(t: Test): Promise<string | undefined> {
  hits = 0;
  try {
    await t.run();
    return undefined;
  } catch (e) {
    return String((e as Error).message).slice(0, 200);
  }
}

/** What the survey notes of a test, for all workers: by its place among the tests. */
interface Noted {
  readonly test: number;
  /** Processor time, seconds. */
  readonly cost: number;
  /** Mutants passed. */
  readonly hits: number;
  /** A bit for each mutant. */
  readonly seen: string;
}
const SURVEY = join(root, "survey.json");

async function survey(): Promise<void> {
  const noted: Noted[] = [];
  for (const [i, test] of tests.entries()) {
    seen = new Set();
    const begin = processor(),
      wrong = await failure(test),
      cost = processor() - begin;
    if (wrong !== undefined) {
      say({ broken: test.name, why: wrong });
      continue;
    }
    const bits = Buffer.alloc((Math.max(0, ...seen) >> 3) + 1);
    for (const id of seen) bits[id >> 3] = (bits[id >> 3] as number) | (1 << (id & 7));
    noted.push({ test: i, cost, hits, seen: bits.toString("base64") });
  }
  writeFileSync(SURVEY, JSON.stringify(noted));
}

interface Known {
  readonly test: Test;
  readonly hits: number;
  readonly seen: Buffer;
}

async function run(): Promise<void> {
  const noted = JSON.parse(readFileSync(SURVEY, "utf8")) as Noted[];
  // The cheap ones first: hundreds of them look in the time of one that moves megabytes.
  const known: Known[] = noted.sort((a, b) => a.cost - b.cost).map((n) => ({ test: tests[n.test] as Test, hits: n.hits, seen: Buffer.from(n.seen, "base64") }));
  const byName = new Map(known.map((k) => [k.test.name, k]));
  /** Who noticed something nearby, newest first. */
  const lately: Known[] = [];
  for (const { id, killer } of job.mutants) {
    say({ begin: id });
    const first = byName.get(killer ?? "");
    const candidates = [...new Set([...(first === undefined ? [] : [first]), ...lately, ...known])].filter(
      (k) => (((k.seen[id >> 3] ?? 0) >> (id & 7)) & 1) === 1,
    );
    let by: string | undefined,
      looked = 0;
    const begin = processor();
    for (const k of candidates) {
      if (processor() - begin > job.budget) break;
      looked++;
      active = id;
      limit = k.hits > 1_000_000 ? 4 * k.hits : 20 * k.hits + 20_000;
      const wrong = await failure(k.test);
      active = -1;
      limit = Infinity;
      if (wrong === undefined) continue;
      by = k.test.name;
      // What a mutant leaves behind in shared state must not look like the next one's doing.
      if ((await failure(k.test)) !== undefined) {
        say({ id, killed: true, by, looked, covering: candidates.length });
        return;
      }
      if (lately.includes(k)) lately.splice(lately.indexOf(k), 1);
      lately.unshift(k);
      if (lately.length > 20) lately.pop();
      break;
    }
    say({ id, killed: by !== undefined, looked, covering: candidates.length, ...(by !== undefined && { by }) });
  }
}

await (job.mode === "survey" ? survey() : run());
process.exit(0);
