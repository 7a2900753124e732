/** spec/mutation.json: what the last whole run of `npm run mutation` found, and which sources it was about. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What is mutated. */
export const MUTATED = ["src/wire", "src/tcp", "src/stack"];

export interface MutationResult {
  readonly sources: string;
  readonly killed: number;
  readonly survived: number;
  /** Each survivor as `file:line operator: what was there`. */
  readonly survivors: readonly string[];
}

const sources = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true })
    .flatMap((e) => (e.isDirectory() ? sources(join(dir, e.name)) : e.name.endsWith(".ts") ? [join(dir, e.name)] : []))
    .sort();

/** Of the code that is mutated. Tests may grow without making a result worthless: they can only kill more. */
export function hashSources(root: string): string {
  const h = createHash("sha256");
  for (const dir of MUTATED) for (const file of sources(join(root, dir))) h.update(file.slice(root.length)).update(readFileSync(file));
  return h.digest("hex").slice(0, 16);
}

export function readMutation(root: string): (MutationResult & { readonly stale: boolean }) | undefined {
  const file = join(root, "spec/mutation.json");
  if (!existsSync(file)) return undefined;
  const r = JSON.parse(readFileSync(file, "utf8")) as MutationResult;
  return { ...r, stale: r.sources !== hashSources(root) };
}
