/** Puts generated text between two markers of the README, so that what it shows is what the code does. */
import { readFileSync, writeFileSync } from "node:fs";

const README = new URL("../README.md", import.meta.url);

/** @throws Error if the markers `<!-- NAME:begin -->` and `<!-- NAME:end -->` are not there, once each and in order */
export function blockOf(name: string, text: string = readFileSync(README, "utf8")): { before: string; block: string; after: string } {
  const begin = `<!-- ${name}:begin -->\n`,
    end = `<!-- ${name}:end -->`;
  const from = text.indexOf(begin),
    to = text.indexOf(end);
  if (from < 0 || to < from || text.indexOf(begin, from + 1) >= 0) throw new Error(`README.md needs the markers ${begin.trim()} and ${end}, once each`);
  return { before: text.slice(0, from + begin.length), block: text.slice(from + begin.length, to), after: text.slice(to) };
}

/** @returns whether the README changed */
export function writeBlock(name: string, block: string): boolean {
  const old = blockOf(name);
  if (old.block === block) return false;
  writeFileSync(README, old.before + block + old.after);
  return true;
}
