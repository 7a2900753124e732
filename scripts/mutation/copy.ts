/** The instrumented copy of the core and of the tests that look at it, in dist/. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { instrument, type Mutant } from "./operators.js";
import { MUTATED } from "./result.js";

/** Tables and types, in which nothing is decided, and the block of memory that other tests hold to its plain form. */
const LEFT_OUT = /(?:options|rules|events|status|user|limits|frames|memory|errors|segment-text|upcalls|describe)\.ts$|wasm-memory\.ts$/;
/** Those that run in virtual time. The packet scripts come besides. */
const TESTS = ["rfc", "tcp", "wire", "stack", "support"];
const PREFIX = ".mutation-";

const files = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? files(join(dir, e.name)) : [join(dir, e.name)]));

const lives = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch (e) {
    return (e as NodeJS.ErrnoException).code === "EPERM";
  }
};

/** @returns where the copy is; it goes when this process ends, and so do those of runs that were killed */
export function makeCopy(root: string, mutants: Mutant[]): string {
  const dist = join(root, "dist"),
    copy = join(dist, `${PREFIX}${process.pid}`);
  mkdirSync(dist, { recursive: true });
  for (const name of readdirSync(dist).filter((f) => f.startsWith(PREFIX)))
    if (!lives(Number(name.slice(PREFIX.length)))) rmSync(join(dist, name), { recursive: true, force: true });
  rmSync(copy, { recursive: true, force: true });
  process.on("exit", () => {
    rmSync(copy, { recursive: true, force: true });
  });
  cpSync(join(root, "src"), join(copy, "src"), { recursive: true });
  cpSync(join(root, "test/drill/scripts"), join(copy, "test/drill/scripts"), { recursive: true });
  for (const dir of TESTS.filter((d) => existsSync(join(root, "test", d)))) {
    for (const file of files(join(root, "test", dir)).filter((f) => f.endsWith(".ts"))) {
      const to = join(copy, relative(root, file)),
        shim = relative(dirname(to), join(copy, "shim.js"));
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, readFileSync(file, "utf8").replaceAll('from "vitest"', `from "${shim}"`));
    }
  }
  for (const name of ["shim.ts", "worker.ts"]) cpSync(join(root, "scripts/mutation", name), join(copy, name));
  for (const dir of MUTATED) {
    for (const file of files(join(root, dir)).filter((f) => f.endsWith(".ts") && !LEFT_OUT.test(f))) {
      writeFileSync(
        join(copy, relative(root, file)),
        instrument(relative(root, file), readFileSync(file, "utf8"), () => mutants.length, mutants),
      );
    }
  }
  return copy;
}
