/** The fault language as text, from the tables that read it: for `fault add --help` and docs/misbehaviour.md. */
import { FAILINGS, SERVICES } from "./behaviours.js";
import { ACTIONS, CONDITIONS } from "./parse.js";
import { CLASSES } from "./spec.js";

const COLUMN = 34;
const entries = (of: Readonly<Record<string, { readonly usage: string; readonly about: string }>>): string =>
  Object.values(of)
    .map((e) => `  ${e.usage.padEnd(COLUMN)} ${e.about}`)
    .join("\n");
const pairs = (of: Readonly<Record<string, string>>): string =>
  Object.entries(of)
    .map(([word, about]) => `  ${word.padEnd(COLUMN)} ${about}`)
    .join("\n");

/** Conditions, kinds of segments and actions, a line each. */
export const faultWords = (): string => `Which segments (all conditions must hold):
${entries(CONDITIONS)}

Kinds of segments:
${pairs(CLASSES)}

What happens to them:
${entries(ACTIONS)}`;

/** Services and how they fail, a line each. */
export const behaviourWords = (): string => `A service:
${pairs(SERVICES)}

How it fails:
${entries(FAILINGS)}`;
