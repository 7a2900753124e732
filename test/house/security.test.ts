/** Pages that promise by naming tests: each file they name is there, and each title in quotes is in it. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const root = new URL("../../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");
/** A cell such as: `test/x.test.ts`, "a title", "another"; `test/y/` */
const named = (text: string): { file: string; titles: string[] }[] =>
  [...text.matchAll(/`((?:test|scripts)\/[\w./-]+)`((?:, "[^"]+")*)/g)].map((m) => ({
    file: m[1] as string,
    titles: [...(m[2] as string).matchAll(/"([^"]+)"/g)].map((t) => t[1] as string),
  }));

describe.each(["SECURITY.md", "docs/operating.md", "deploy/README.md"])("%s", (page) => {
  test.each(named(read(page)).map((n) => [n.file, n.titles] as const))("names %s %j, which is there", (file, titles) => {
    expect(existsSync(new URL(file, root))).toBe(true);
    if (titles.length > 0) for (const title of titles) expect(read(file)).toContain(title);
  });
});

test("every promise of SECURITY.md has a test behind it", () => {
  const [, rows = ""] = /## Promises[^|]*\|[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n)+)/.exec(read("SECURITY.md")) ?? [];
  const promises = rows.trim().split("\n");
  expect(promises.length).toBeGreaterThan(15);
  for (const row of promises) expect(named(row.split("|")[2] ?? "").length, row).toBeGreaterThan(0);
});

test("every run that docs/attacks.md quotes is of a test that is there, with a title that matches", () => {
  const runs = [...read("docs/attacks.md").matchAll(/vitest run --project interop (\S+?)`?(?: -t (?:"([^"]+)"|(\w+)))?`/g)];
  expect(runs.length).toBeGreaterThan(3);
  for (const [, file = "", quoted, word] of runs) expect(read(file)).toContain(quoted ?? word ?? "");
});
