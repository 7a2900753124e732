/** Writes the words of the fault language into docs/misbehaviour*.md, from the tables that read them. `tsx scripts/fault-words.ts` */
import { readFileSync, writeFileSync } from "node:fs";
import { behaviourWords, faultWords } from "../src/faults/help.js";
import { zh } from "./fault-words.zh.js";

export const PAGES = ["docs/misbehaviour.md", "docs/misbehaviour.zh.md"] as const;

/** The page with its two blocks as they should be, in its language. */
export function withWords(file: string, page: string): string {
  const language = file.endsWith(".zh.md") ? zh : undefined;
  for (const [name, words] of [
    ["fault words", faultWords(language)],
    ["behaviour words", behaviourWords(language)],
  ] as const) {
    const begin = `<!-- begin: ${name} -->`,
      end = `<!-- end: ${name} -->`;
    const from = page.indexOf(begin),
      to = page.indexOf(end);
    if (from < 0 || to < from) throw new Error(`the page has no block "${name}"`);
    page = `${page.slice(0, from + begin.length)}\n\`\`\`\n${words}\n\`\`\`\n${page.slice(to)}`;
  }
  return page;
}

if (process.argv[1]?.endsWith("fault-words.ts") === true) for (const file of PAGES) writeFileSync(file, withWords(file, readFileSync(file, "utf8")));
