/** npm run docs:operating: writes the tables of options, settings and limits into docs/operating.md, from the tables that the code goes by. A test compares. */
import { readFileSync, writeFileSync } from "node:fs";
import { SERVE_OPTIONS, type ServeOption } from "../src/daemon/config.js";
import { LIMITS } from "../src/stack/limits.js";
import { OPTIONS, type OptionSpec } from "../src/tcp/options.js";

const FILE = new URL("../docs/operating.md", import.meta.url);

const cell = (text: string): string => text.replaceAll("|", "\\|");
const row = (...cells: string[]): string => `| ${cells.map(cell).join(" | ")} |`;
const defaultOf = (spec: OptionSpec): string =>
  spec.kind === "boolean"
    ? spec.default
      ? "on"
      : "off"
    : spec.kind === "number"
      ? `${spec.default} ${spec.unit === "count" ? "" : spec.unit}`.trim()
      : spec.default;
const rangeOf = (spec: OptionSpec): string =>
  spec.kind === "number" ? `${spec.min} to ${spec.max}` : spec.kind === "choice" ? spec.choices.join(", ") : "on, off";
const settings = (specs: Readonly<Record<string, OptionSpec>>): string =>
  [
    "| key | default | allowed | why | source |",
    "|---|---|---|---|---|",
    ...Object.entries(specs).map(([name, s]) => row(`\`${name}\``, defaultOf(s), rangeOf(s), s.why, s.source)),
  ].join("\n");

const TABLES: Readonly<Record<string, string>> = {
  "serve-options": [
    "| option | default | |",
    "|---|---|---|",
    ...(Object.values(SERVE_OPTIONS) as ServeOption[]).map((o) => row(`\`${o.flags}\``, o.default ?? "", o.help)),
  ].join("\n"),
  "tcp-options": settings(OPTIONS),
  "limits": settings(LIMITS),
};

/** The page as it should be. */
export function operatingPage(text: string = readFileSync(FILE, "utf8")): string {
  return Object.entries(TABLES).reduce((page, [name, table]) => {
    const begin = `<!-- ${name}:begin -->\n`,
      from = page.indexOf(begin),
      to = page.indexOf(`<!-- ${name}:end -->`);
    if (from < 0 || to < from) throw new Error(`docs/operating.md lacks the markers of ${name}`);
    return `${page.slice(0, from + begin.length)}${table}\n${page.slice(to)}`;
  }, text);
}

if (process.argv[1]?.endsWith("operating-tables.ts") === true) writeFileSync(FILE, operatingPage());
