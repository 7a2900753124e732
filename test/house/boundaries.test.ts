/** The layout is the architecture: arrows point inward, and the core knows neither the clock nor chance nor Node. */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, test } from "vitest";

/** Rooms that a room may import, besides itself. Types and values count alike; what is not listed here may import everything. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  tcp: ["wire"],
  stack: ["wire", "tcp"],
  device: ["wire"],
  faults: ["wire", "tcp", "stack", "device"],
  sockets: ["wire", "tcp", "stack", "device", "daemon"],
  observe: ["wire", "tcp", "stack"],
};
/** The metrics are another form of what the control API answers; its shapes are plain data. */
const EXCEPTIONS = new Set(["src/observe/metrics.ts imports ../control/contract.js"]);
const FORBIDDEN: readonly [RegExp, string][] = [
  [/\bDate\s*\.\s*now\b|\bnew Date\b/, "the clock"],
  [/\bperformance\b/, "the clock"],
  [/\bset(Timeout|Interval|Immediate)\b/, "timers of the host"],
  [/\bMath\s*\.\s*random\b|\bcrypto\b/, "chance"],
  [/from "node:|import\("node:|\bprocess\./, "Node"],
  [/\bpino\b|\bconsole\./, "logging"],
];
const CORE = ["wire", "tcp", "stack"];

const sources = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? sources(join(dir, entry.name)) : entry.name.endsWith(".ts") ? [join(dir, entry.name)] : [],
  );
/** Comments may name what the code may not do. */
const code = (file: string): string =>
  readFileSync(file, "utf8")
    .replaceAll(/\/\*[^]*?\*\//g, "")
    .replaceAll(/(^|[\s;{}(),])\/\/[^\n]*/g, "$1");

describe("rooms", () => {
  test.each(Object.keys(MAY_IMPORT))("src/%s imports only what stands inward of it", (room) => {
    const allowed = new Set([room, ...(MAY_IMPORT[room] ?? [])]);
    const wrong: string[] = [];
    for (const file of sources(`src/${room}`)) {
      for (const [, target = ""] of code(file).matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)) {
        const [top, into] = posix.join(posix.dirname(file), target).split("/");
        if (top !== "src" || into === undefined || !allowed.has(into)) wrong.push(`${file} imports ${target}`);
      }
    }
    expect(wrong.filter((w) => !EXCEPTIONS.has(w))).toEqual([]);
  });
  test.each(CORE)("src/%s knows neither clock nor chance nor Node", (room) => {
    const wrong = sources(`src/${room}`).flatMap((file) =>
      FORBIDDEN.filter(([pattern]) => pattern.test(code(file))).map(([, what]) => `${file} knows ${what}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe("packages", () => {
  const lock = readFileSync("package-lock.json", "utf8");
  test("the lock file names no registry, so that it installs from whichever one is configured", () => {
    expect(lock).not.toMatch(/"resolved": "https?:/);
  });
  test("no package that runs at run time has an install script: none would be run where npm forbids them", () => {
    const packages = (JSON.parse(lock) as { packages: Record<string, { hasInstallScript?: boolean; dev?: boolean; optional?: boolean }> }).packages;
    const scripted = Object.entries(packages)
      .filter(([, p]) => p.hasInstallScript === true && p.dev !== true)
      .map(([name]) => name);
    // koffi's script only looks for its prebuilt binary, which its optional platform package brings.
    expect(scripted.filter((name) => name !== "node_modules/koffi")).toEqual([]);
  });
});
