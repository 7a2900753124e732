/** The diagram cannot lie: the README's is the one that the code's own table draws, and completion knows every command. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { blockOf } from "../../scripts/readme-block.js";
import { bash, fish, wordsOf, zsh } from "../../src/cli/commands/completion.js";
import { mermaid, stateTable } from "../../src/cli/commands/states.js";
import { program } from "../../src/cli/program.js";
import { COMMANDS } from "../../src/cli/registry.js";
import { EDGES, STATES } from "../../src/tcp/state.js";

describe("states", () => {
  test("the README shows the diagram of src/tcp/state.ts (if not: npm run docs:states)", () => {
    expect(blockOf("states").block).toBe(`\`\`\`mermaid\n${mermaid()}\n\`\`\`\n`);
  });
  test("the diagram has each edge once, and no other", () => {
    const drawn = mermaid()
      .split("\n")
      .flatMap((line) => /^ {2}(\w+) --> (\w+)$/.exec(line)?.slice(1, 3).join(" ").replaceAll("_", "-") ?? []);
    expect(drawn.sort()).toEqual(STATES.flatMap((from) => EDGES[from].map((to) => `${from} ${to}`)).sort());
  });
  test("the table has a line per state", () => {
    expect(
      stateTable()
        .split("\n")
        .map((line) => line.split(/\s+/)[0]),
    ).toEqual(["STATE", ...STATES]);
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
