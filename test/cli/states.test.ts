/** The diagram cannot lie: the README's is the one that the code's own table draws, and completion knows every command. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { blockOf } from "../../scripts/readme-block.js";
import { bash, fish, wordsOf, zsh } from "../../src/cli/commands/completion.js";
import { mermaid, stateJson, stateTable } from "../../src/cli/commands/states.js";
import { program } from "../../src/cli/program.js";
import { COMMANDS } from "../../src/cli/registry.js";
import { REASONS } from "../../src/cli/state-reasons.js";
import type { Connection } from "../../src/tcp/connection.js";
import { EDGES, STATES } from "../../src/tcp/state.js";
import type { ConnectionUser } from "../../src/tcp/user.js";
import { type World, world } from "../support/world.js";

describe("states", () => {
  test("the README shows the diagram of src/tcp/state.ts (if not: npm run docs:states)", () => {
    expect(blockOf("states").block).toBe(`\`\`\`mermaid\n${mermaid()}\n\`\`\`\n`);
  });
  test("the diagram has each edge once, and no other", () => {
    const drawn = mermaid()
      .split("\n")
      .flatMap((line) => /^ {2}(\w+) --> (\w+): [^:;]+$/.exec(line)?.slice(1, 3).join(" ").replaceAll("_", "-") ?? []);
    expect(drawn.sort()).toEqual(STATES.flatMap((from) => EDGES[from].map((to) => `${from} ${to}`)).sort());
  });
  test("every edge has its reason, and there is no reason without an edge", () => {
    expect(Object.keys(REASONS).sort()).toEqual(STATES.flatMap((from) => EDGES[from].map((to) => `${from} ${to}`)).sort());
  });
  test("JSON and table tell the same edges", () => {
    expect(Object.entries(stateJson()).flatMap(([from, next]) => Object.keys(next).map((to) => `${from} ${to}`))).toEqual(
      STATES.flatMap((from) => EDGES[from].map((to) => `${from} ${to}`)),
    );
    expect(stateTable().split("\n")).toHaveLength(1 + Object.values(EDGES).flat().length);
  });
  test("whatever two stacks do, each edge they take is taken by a rule that the table names", () => {
    const taken = new Map<string, Set<string>>();
    const keep = (w: World): void => {
      for (const e of [...w.events.a, ...w.events.b])
        if (e.kind === "transition") (taken.get(`${e.from} ${e.to}`) ?? taken.set(`${e.from} ${e.to}`, new Set()).get(`${e.from} ${e.to}`))?.add(e.rule);
    };
    const user: ConnectionUser = { established() {}, readable() {}, writable() {}, ended() {}, closed() {} };
    /** A connection between two stacks, both ends in hand. */
    const pair = (prepare?: (w: World) => void): { w: World; a: Connection; b: Connection } => {
      const w = world();
      prepare?.(w);
      let b: Connection | undefined;
      w.b.listen({ port: 80 }, (conn) => {
        b = conn;
        return user;
      });
      const a = w.a.connect({ remoteAddress: "10.0.0.2", remotePort: 80 }, user);
      w.run();
      if (b === undefined) throw new Error("not established");
      return { w, a, b };
    };
    const play = (act: (p: ReturnType<typeof pair>) => void): void => {
      const p = pair();
      act(p);
      p.w.run(p.w.now + 3_600_000);
      keep(p.w);
    };
    play(({ w, a, b }) => {
      a.close();
      w.run();
      b.close();
    });
    play(({ a, b }) => {
      a.close();
      b.close();
    });
    play(({ a }) => a.abort());
    play(({ w, a, b }) => {
      a.close();
      w.run();
      b.abort();
    });
    play(({ w, a, b }) => {
      b.close();
      w.run();
      a.abort();
    });
    play(({ w, a }) => w.a.shutdown(w.now) ?? a);
    const w = world();
    w.a.connect({ remoteAddress: "10.0.0.2", remotePort: 81 }, user); // refused
    w.run();
    w.a.connect({ remoteAddress: "10.0.0.2", remotePort: 82 }, user).abort();
    w.a.connect({ remoteAddress: "10.0.0.9", remotePort: 80 }, user); // nobody there
    w.run(w.now + 3_600_000);
    keep(w);
    const unknown = [...taken].flatMap(([edge, rules]) =>
      [...rules].filter((rule) => !(REASONS[edge]?.rules as readonly string[] | undefined)?.includes(rule)).map((rule) => `${edge} by ${rule}`),
    );
    expect(unknown).toEqual([]);
    expect(taken.size).toBeGreaterThan(12);
  });
});

describe("completion", () => {
  test.each([
    ["bash", bash],
    ["zsh", zsh],
    ["fish", fish],
  ] as const)("%s: every command and its --json are in the script", async (_shell, write) => {
    const script = write(wordsOf(await program("*")));
    for (const { name } of COMMANDS) expect(script).toContain(name);
    expect(script).toContain("json");
  });
  test("bash completes commands and options", async () => {
    const script = bash(wordsOf(await program("*")));
    const complete = (...words: string[]): string[] => {
      const run = spawnSync(
        "bash",
        ["-c", `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _glasstcp; printf '%s\\n' "\${COMPREPLY[@]}"`, "bash", "glasstcp", ...words],
        { encoding: "utf8" },
      );
      expect(run.stderr).toBe("");
      return run.stdout.trim().split("\n");
    };
    expect(complete("sta")).toEqual(["states"]);
    expect(complete("states", "--m")).toEqual(["--mermaid"]);
    expect(complete("completion", "z")).toEqual(["zsh"]);
  });
});

describe("documents", () => {
  const documents = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];
  test.each(documents)("%s: every relative link leads somewhere", (file) => {
    const text = readFileSync(file, "utf8");
    const links = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)\s#]+)/g)].map((m) => m[1] ?? "");
    for (const link of links) expect(() => statSync(join(dirname(file), link)), `${file}: ${link}`).not.toThrow();
  });
  test("CONTRIBUTING names every room of src", () => {
    const text = readFileSync("CONTRIBUTING.md", "utf8");
    const rooms = readdirSync("src", { withFileTypes: true })
      .filter((d) => d.isDirectory() && readdirSync(join("src", d.name)).length > 0)
      .map((d) => d.name);
    for (const room of rooms) expect(text, `src/${room}`).toContain(`\`${room}`);
  });
});
