/** docs/misbehaviour in both languages: the words come from the tables, every port is there, every command line reads. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { PAGES, withWords } from "../../scripts/fault-words.js";
import { ZH } from "../../scripts/fault-words.zh.js";
import { parseBehaviour } from "../../src/faults/behaviours.js";
import { behaviourWords, faultWords } from "../../src/faults/help.js";
import { parseFaults } from "../../src/faults/parse.js";
import { PRESETS } from "../../src/faults/presets.js";
import { STATE_TEXTS } from "../../src/lab/texts.js";
import { CLIENT_TABLE } from "./client-table.js";

const keep = (text: string): string => `‹${text}›`;

describe.each(PAGES)("%s", (file) => {
  const page = readFileSync(file, "utf8");
  test("has the words of the code (tsx scripts/fault-words.ts writes them)", () => {
    expect(page).toBe(withWords(file, page));
  });
  test("has every port of the preset, by number and name", () => {
    for (const p of PRESETS["chaos"]?.ports ?? []) expect(page).toContain(`${p.port} \`${p.name}\``);
  });
  test("shows only faults and behaviours that read", () => {
    const specs = [...page.matchAll(/glasstcp fault add (?:'([^']+)'|(.+))$/gm)].map((m) => (m[1] ?? m[2]) as string);
    const behaviours = [...page.matchAll(/--behave '\d+:([^']+)'|behaviour: "([^"]+)"/g)].map((m) => (m[1] ?? m[2]) as string);
    expect(specs.length).toBeGreaterThan(1);
    expect(behaviours.length).toBeGreaterThan(2);
    for (const spec of specs) expect(() => parseFaults(spec), spec).not.toThrow();
    for (const b of behaviours) expect(() => parseBehaviour(b), b).not.toThrow();
  });
});

test("the Chinese words translate what is there, and nothing else", () => {
  const there = new Set([...faultWords(keep).matchAll(/‹(.+?)›/g), ...behaviourWords(keep).matchAll(/‹(.+?)›/g)].map((m) => m[1]));
  expect(new Set(Object.keys(ZH))).toEqual(there);
  for (const [en, text] of Object.entries(ZH)) expect(text, en).toMatch(/[\u4e00-\u9fff]/);
});

test("both pages tell the same: as many headings, rows, list items and blocks", () => {
  const shape = (text: string): number[] => [/^#/gm, /^\|/gm, /^- /gm, /^```/gm, /^ {4}\S/gm].map((pattern) => text.match(pattern)?.length ?? 0);
  const [en, zh] = PAGES.map((file) => readFileSync(file, "utf8")) as [string, string];
  expect(shape(zh)).toEqual(shape(en));
});

test("every state of the lab has all its texts in both languages", () => {
  for (const [state, texts] of Object.entries(STATE_TEXTS)) {
    for (const text of Object.values(texts)) {
      expect(text.en, state).toMatch(/[a-z]/);
      expect(text.zh, state).toMatch(/[\u4e00-\u9fff]/);
    }
  }
});

test("every row of the table of real clients is shown by a port of the preset, or named by a test with a client of its own", () => {
  const titles = ["clients", "chaos"].map((name) => readFileSync(`test/interop/${name}.test.ts`, "utf8")).join("");
  for (const [row, shownBy] of Object.entries(CLIENT_TABLE)) {
    if (shownBy === "own") expect(titles, row).toMatch(new RegExp(`(?:row|tableRow)\\("${row}"\\)`));
    else
      expect(
        PRESETS["chaos"]?.ports.map((p) => p.name),
        row,
      ).toContain(shownBy);
  }
});
