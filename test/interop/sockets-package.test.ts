/** The package as a user gets it: packed, installed into an empty project, type-checked there, and run. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const run = (cwd: string, command: string, ...args: string[]): string => {
  try {
    return execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 300_000 });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(" ")}: ${stdout ?? ""}${stderr ?? ""}`);
  }
};
const TSC = join(ROOT, "node_modules/.bin/tsc");

/** Installing fetches dependencies; without a registry there is nothing to test. */
function registryMissing(): string | undefined {
  try {
    run(ROOT, "npm", "view", "commander", "version");
    return undefined;
  } catch {
    console.warn("SKIPPED: no npm registry can be reached, so the packed package cannot be installed");
    return "no registry";
  }
}

describe.skipIf(registryMissing() !== undefined)("the packed package", () => {
  let dir: string, project: string, files: string[];
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "glasstcp-pack-"));
    const pkg = join(dir, "package");
    mkdirSync(pkg);
    for (const name of readdirSync(ROOT))
      if (/^(package\.json|README|CHANGELOG|LICENSE)/.test(name)) cpSync(join(ROOT, name), join(pkg, name), { recursive: true });
    run(ROOT, TSC, "-p", "tsconfig.build.json", "--incremental", "false", "--outDir", join(pkg, "dist"));
    const [packed] = JSON.parse(run(pkg, "npm", "pack", "--json", "--ignore-scripts")) as [{ filename: string; files: { path: string }[] }];
    files = packed.files.map((f) => f.path);
    project = join(dir, "project");
    mkdirSync(project);
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
    run(project, "npm", "install", "--prefer-offline", "--no-audit", "--no-fund", join(pkg, packed.filename));
  }, 600_000);
  afterAll(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  test("carries the library with its types, and no tests", () => {
    expect(files).toEqual(
      expect.arrayContaining(["package.json", "dist/src/index.js", "dist/src/index.d.ts", "dist/src/testing/index.d.ts", "dist/src/cli/main.js"]),
    );
    expect(files.filter((f) => /(^|\/)(test|examples|scripts)\//.test(f))).toEqual([]);
  });

  test.each(["node16", "nodenext"])("type-checks under strict and %s resolution", (resolution) => {
    writeFileSync(
      join(project, "main.ts"),
      `
      import * as net from "node:net";
      import { createServer } from "node:http";
      import { createPair, createStack, type Socket, type TcpEvent } from "glasstcp";
      const { a } = createPair();
      const stack = createStack({ device: a, addresses: ["10.0.0.1"], options: { timeWait: 1_000 } });
      const socket: net.Socket = stack.net.connect({ port: 80, host: "10.0.0.2" });
      const server: net.Server = stack.net.createServer((s: Socket) => { s.end(String(s.tcp?.srtt)); });
      const own: Socket = stack.net.connect(80, "10.0.0.2", () => {});
      const state: string | undefined = own.tcp?.state;
      stack.on("event", (e: TcpEvent) => { if (e.kind === "transition") console.log(e.from, e.to); });
      stack.net.serve(createServer(), { port: "any", host: ["10.0.0.1"] });
      // @ts-expect-error a stack has addresses
      createStack({ device: a });
      // @ts-expect-error an option that there is not
      createStack({ device: a, addresses: [], options: { timeWeight: 1 } });
      export { socket, server, state };
    `,
    );
    writeFileSync(
      join(project, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          module: resolution,
          moduleResolution: resolution,
          target: "es2022",
          strict: true,
          noEmit: true,
          lib: ["es2023", "esnext.disposable"],
          typeRoots: [join(ROOT, "node_modules/@types")],
          types: ["node"],
          skipLibCheck: false,
        },
        files: ["main.ts"],
      }),
    );
    expect(run(project, TSC, "-p", "tsconfig.json")).toBe("");
  });

  test("runs: two stacks, an echo", () => {
    writeFileSync(
      join(project, "main.js"),
      `
      import { createPair, createStack } from "glasstcp";
      const { a, b } = createPair({ schedule: setImmediate });
      const one = createStack({ device: a, addresses: ["10.0.0.1"] }), two = createStack({ device: b, addresses: ["10.0.0.2"] });
      two.listen({ port: 7 }, { allowHalfOpen: true }, (s) => s.pipe(s));
      const socket = one.net.connect(7, "10.0.0.2");
      socket.end("installed");
      for await (const chunk of socket) console.log(String(chunk));
      one.close(); two.close();
    `,
    );
    expect(run(project, process.execPath, "main.js")).toBe("installed\n");
  });

  test("its command runs", () => {
    expect(run(project, join(project, "node_modules/.bin/glasstcp"), "--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
