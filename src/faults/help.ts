/** The fault language as text, from the tables that read it: for `fault add --help` and docs/misbehaviour.md. */
import { FAILINGS, SERVICES } from "./behaviours.js";
import { ACTIONS, CONDITIONS } from "./parse.js";
import { CLASSES } from "./spec.js";

const COLUMN = 34;
/** Gives the text of an entry in another language. */
type Translate = (english: string) => string;
const english: Translate = (text) => text;

const line = (usage: string, about: string): string => `  ${usage.padEnd(COLUMN)}${usage.length > COLUMN ? `\n${" ".repeat(COLUMN + 2)}` : ""} ${about}`;
const entries = (of: Readonly<Record<string, { readonly usage: string; readonly about: string }>>, t: Translate): string =>
  Object.values(of)
    .map((e) => line(e.usage, t(e.about)))
    .join("\n");
const pairs = (of: Readonly<Record<string, string>>, t: Translate): string =>
  Object.entries(of)
    .map(([word, about]) => line(word, t(about)))
    .join("\n");

/** Conditions, kinds of segments and actions, a line each. */
export const faultWords = (t = english): string => `${t("Which segments (all conditions must hold):")}
${entries(CONDITIONS, t)}

${t("Kinds of segments:")}
${pairs(CLASSES, t)}

${t("What happens to them:")}
${entries(ACTIONS, t)}`;

/** Services and how they fail, a line each. */
export const behaviourWords = (t = english): string => `${t("A service:")}
${pairs(SERVICES, t)}

${t("How it fails:")}
${entries(FAILINGS, t)}`;
