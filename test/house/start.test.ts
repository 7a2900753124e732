/** scripts/start: installs and builds only what is missing or stale, passes its arguments on, and says in one line what a machine lacks. */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const TOOLS = ["sh", "dirname", "cmp", "find", "head", "mkdir", "mv", "cp", "rm", "chmod", "cat"];
let root: string, bin: string;

const write = (file: string, text: string, mode = 0o644): void => {
  const path = join(root, file);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
};
/** Its time of change, in seconds from now. */
const touch = (file: string, seconds: number): void => {
  const time = Date.now() / 1_000 + seconds;
  utimesSync(join(root, file), time, time);
};
const link = (name: string, to: string): void => symlinkSync(to, join(bin, name));
const start = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(join(root, "scripts/start"), args, { encoding: "utf8", cwd: bin, env: { PATH: bin } });

/** A repository whose compiler and npm only leave a note that they were called. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "start-"));
  bin = join(root, "bin");
  mkdirSync(bin);
  for (const tool of TOOLS) link(tool, spawnSync("sh", ["-c", `command -v ${tool}`], { encoding: "utf8" }).stdout.trim());
  link("node", process.execPath);
  mkdirSync(join(root, "scripts"));
  for (const script of ["start", "prepare"]) cpSync(join("scripts", script), join(root, "scripts", script));
  write("package.json", "{}");
  write(
    "package-lock.json",
    '{"packages":{"":{},"node_modules/typescript":{"version":"1.0.0"},"node_modules/other-platform":{"version":"1.0.0","optional":true}}}',
  );
  write("tsconfig.json", "{}");
  write("tsconfig.build.json", "{}");
  write("src/a.ts", "");
  const main = "console.log(JSON.stringify([process.argv.slice(2), process.cwd()]))";
  const tsc = `const fs = require("fs"); fs.appendFileSync("tsc.log", "tsc\\n"); fs.mkdirSync("dist/src/cli", { recursive: true }); fs.writeFileSync("dist/src/cli/main.js", ${JSON.stringify(main)}); process.exit(fs.existsSync("broken") ? 2 : 0)`;
  const install = `mkdir -p node_modules/typescript/bin; cat >node_modules/typescript/bin/tsc <<'EOF'\n${tsc}\nEOF\ncp package-lock.json node_modules/.package-lock.json; echo "$@" >>npm.log`;
  write("bin/npm", `#!/bin/sh\n${install}\n`, 0o755);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const ran = (log: string): number => (existsSync(join(root, log)) ? readFileSync(join(root, log), "utf8").trimEnd().split("\n").length : 0);

describe("scripts/start", () => {
  test("a fresh clone: npm ci, build, run; the second time: nothing but run", () => {
    const first = start("states", "--json");
    expect(first.stdout).toBe(`${JSON.stringify([["states", "--json"], bin])}\n`);
    expect(first.stderr).toBe("glasstcp: installing packages (npm ci) ...\nglasstcp: building ...\n");
    expect(start("states")).toEqual(expect.objectContaining({ status: 0, stderr: "" }));
    expect([ran("npm.log"), ran("tsc.log")]).toEqual([1, 1]);
  });
  test("without arguments it is serve", () => {
    expect(start().stdout).toBe(`${JSON.stringify([["serve"], bin])}\n`);
  });
  test("a changed source, or one that is gone, is built again; nothing is installed", () => {
    start("x");
    touch("src/a.ts", 5);
    expect(start("x").stderr).toBe("glasstcp: building ...\n");
    touch("dist/.built", 10);
    touch("src", 15);
    expect(start("x").stderr).toBe("glasstcp: building ...\n");
    expect([ran("npm.log"), ran("tsc.log")]).toEqual([1, 3]);
  });
  test("a changed lock file installs again only if other packages are asked for", () => {
    start("x");
    const lock = '{"packages":{"":{"name":"other"},"node_modules/typescript":{"version":"1.0.0"}}}';
    write("package-lock.json", lock);
    start("x");
    expect(ran("npm.log")).toBe(1);
    write("package-lock.json", lock.replace("1.0.0", "1.0.1"));
    start("x");
    expect(ran("npm.log")).toBe(2);
  });
  test("a build that fails is told, does not run, and is tried again", () => {
    write("broken", "");
    expect(start("x")).toMatchObject({ status: 1, stdout: "" });
    rmSync(join(root, "broken"));
    expect(start("x")).toMatchObject({ status: 0 });
  });
  test("Node.js missing, too old; npm missing: one line with the mend", () => {
    rmSync(join(bin, "npm"));
    expect(start("x")).toMatchObject({ status: 1, stderr: expect.stringMatching(/^glasstcp: npm is missing[^\n]+\n$/) });
    rmSync(join(bin, "node"));
    expect(start("x")).toMatchObject({ status: 1, stderr: expect.stringMatching(/^glasstcp: Node\.js is missing; install 20\.19 or newer[^\n]+\n$/) });
    write("bin/node", '#!/bin/sh\n[ "$1" = -p ] && echo 18.20.0\nexit 1\n', 0o755);
    expect(start("x")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^glasstcp: Node\.js 20\.19 or newer is needed and this is 18\.20\.0;[^\n]+\n$/),
    });
  });
});
