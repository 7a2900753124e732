/**
 * Runs in the instrumented copy: first each test alone, noting which mutants it comes by; then for each mutant the tests that
 * do, until one fails. Tells what it does line by line, so that whoever started it knows which mutant hung it.
 */
import { readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Test, tests } from "./shim.js";

const [root = "", mode = "", only = "", ...ids] = process.argv.slice(2);
function say(o: object): void {
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

/** Decisions that a test comes by at most; it would take seconds. */
const LONG = 3_000_000;
/** Processor time that one mutant gets, seconds. Tests that noticed something nearby look first, then all in a fixed disorder. */
const BUDGET = 2.5;
const processor = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const files = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? files(join(dir, e.name)) : [join(dir, e.name)]));
(globalThis as unknown as { __seq: unknown }).__seq = await import(pathToFileURL(join(root, "src/tcp/seq.ts")).href);
for (const file of files(join(root, "test"))
  .filter((f) => f.endsWith(".test.ts") && f.includes(only))
  .sort())
  await import(pathToFileURL(file).href);
const { drill } = (await import(pathToFileURL(join(root, "src/drill/drill.ts")).href)) as { drill: (name: string, source: string) => { result: string } };
for (const file of only === "" ? files(join(root, "test/drill/scripts")).sort() : []) {
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

interface Known {
  readonly test: Test;
  readonly hits: number;
  readonly seen: ReadonlySet<number>;
}
const known: Known[] = [];
for (const test of tests) {
  seen = new Set();
  limit = LONG;
  const wrong = await failure(test);
  // A long one would be run for nearly every mutant; the short ones must do without it.
  if (hits > LONG) continue;
  if (wrong !== undefined) say({ broken: test.name, why: wrong });
  else known.push({ test, hits, seen });
}
seen = undefined;
limit = Infinity;
const disorder = (text: string): number => {
  let h = 0;
  for (const c of text) h = Math.imul(h ^ c.charCodeAt(0), 0x9e3779b1);
  return h;
};
known.sort((a, b) => disorder(a.test.name) - disorder(b.test.name));
/** Newest first. */
const lately: Known[] = [];
if (mode === "count") say({ tests: known.length, reached: [...new Set(known.flatMap((k) => [...k.seen]))] });
else {
  for (const text of ids) {
    const id = Number(text);
    say({ begin: id });
    let by: string | undefined,
      covering = 0;
    const begin = processor();
    for (const k of new Set([...lately, ...known])) {
      if (!k.seen.has(id)) continue;
      if (processor() - begin > BUDGET) break;
      covering++;
      active = id;
      limit = 20 * k.hits + 20_000;
      const wrong = await failure(k.test);
      active = -1;
      limit = Infinity;
      if (wrong === undefined) continue;
      // What a mutant leaves behind in shared state must not look like the next one's doing.
      if ((await failure(k.test)) !== undefined) {
        say({ id, killed: true, by: k.test.name, poisoned: true });
        process.exit(0);
      }
      by = k.test.name;
      if (lately.includes(k)) lately.splice(lately.indexOf(k), 1);
      lately.unshift(k);
      if (lately.length > 20) lately.pop();
      break;
    }
    say({ id, killed: by !== undefined, by, covering });
  }
}
say({ done: true });
process.exit(0);
