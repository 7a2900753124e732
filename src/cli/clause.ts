/** A rule id in words: which sentence of which RFC decided. */
import { RULES } from "../tcp/rules.js";

/** "9293-3.10.7.4/5-established" as "RFC 9293 §3.10.7.4 step 5"; an id that names no RFC stays as it is. */
export function clauseOf(rule: string): string {
  const rfc = /^(\d{3,4})(?:-(.+))?$/.exec(rule);
  if (rfc === null) return rule;
  const [, number = "", rest = ""] = rfc;
  const requirement = /^(MUST|SHLD|MAY|REC)-\d+/.exec(rest);
  if (requirement !== null) return `RFC ${number} ${requirement[0]}`;
  const place = /^([A-Z]?[\d.]+)(?:\/(\d+))?/.exec(rest);
  if (place === null) return `RFC ${number}`;
  return `RFC ${number} §${place[1]}${place[2] === undefined ? "" : ` step ${place[2]}`}`;
}

/** What the rule says, from the table that the core goes by; empty for an id that is not in it. */
export const ruleWords = (rule: string): string => (RULES as Readonly<Record<string, string>>)[rule] ?? "";
