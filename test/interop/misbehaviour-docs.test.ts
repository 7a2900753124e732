/** Every command of docs/misbehaviour.md, in both languages, is run as it stands there: none may be a word that our program does not know. */
import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PAGES } from "../../scripts/fault-words.js";
import { netnsMissing } from "../support/netns.js";
import { describeUnless } from "../support/skip.js";

/** Lines of code that call our program, without root's sudo, for here a namespace stands for it, and without their comments. */
const commands = (file: string): string[] =>
  [...readFileSync(file, "utf8").matchAll(/^(?: {4}|\$ )(?:sudo )?(glasstcp .*?)(?: +# .*)?$/gm)].map((m) => m[1] as string);

/** How a command of the page is run: `serve` would never end, and a hold is shortened. */
const asRun = (command: string): string => command.replace(/^glasstcp serve (.*)$/, "glasstcp sandbox -q $1 -- true").replace("--hold 30s", "--hold 1s");

describeUnless(netnsMissing("curl", "ss"), "commands", () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "glasstcp-docs-"));
    const file = join(dir, "glasstcp");
    writeFileSync(file, `#!/bin/sh\nexec ${process.execPath} --import ${resolve("node_modules/tsx/dist/loader.mjs")} ${resolve("src/cli/main.ts")} "$@"\n`);
    chmodSync(file, 0o755);
  });
  afterAll(() => rmSync(dir, { recursive: true }));
  const sh = (line: string): Promise<{ exit: number; output: string }> =>
    new Promise((done) => {
      execFile("sh", ["-c", line], { encoding: "utf8", env: { ...process.env, PATH: `${dir}:${process.env["PATH"]}` } }, (error, stdout, stderr) =>
        done({ exit: error === null ? 0 : Number(error.code), output: stdout + stderr }),
      );
    });

  const all = [...new Set(PAGES.flatMap(commands))];
  const faults = all.filter((c) => c.startsWith("glasstcp fault "));
  const others = all.filter((c) => !faults.includes(c));
  test("are found", () => expect([faults.length, others.length]).toEqual([5, 9]));
  test.concurrent.each(others)("%s", async (command) => {
    const { exit, output } = await sh(asRun(command));
    expect(output).not.toMatch(/^glasstcp: /m);
    // What the page shows curl to end with.
    expect([0, 18, 56], output).toContain(exit);
  });
  test("glasstcp fault ..., one after the other on one daemon", async () => {
    writeFileSync(join(dir, "faults.sh"), faults.join("\n"));
    expect(await sh(`glasstcp sandbox -q -- sh -ex ${join(dir, "faults.sh")}`)).toMatchObject({ exit: 0 });
  });
});
