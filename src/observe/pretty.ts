/** Log lines for a person: one line each, colours where wanted, the RFC clause at the end. pino-pretty does the rest. */
import pinoPretty from "pino-pretty";
import { LEVEL_OF } from "./levels.js";

interface Line {
  readonly event?: string;
  readonly conn?: number;
  readonly local?: string;
  readonly remote?: string;
  readonly rule?: string;
  readonly reason?: string;
  readonly ms?: number;
  readonly msg?: string;
  readonly [key: string]: unknown;
}

/** Keys that need no repeating behind the sentence of a line that belongs to no connection. */
const SHOWN_ELSEWHERE = new Set(["level", "time", "event", "msg", "reason", "signal", "connections", "code", "stack"]);

/** Turns one JSON line into one line for a person, newline included. */
export function prettifier(colour: boolean): (line: string) => string {
  const prettify = pinoPretty.prettyFactory({
    colorize: colour,
    translateTime: "SYS:HH:MM:ss.l",
    hideObject: true,
    singleLine: true,
    // The sentence is coloured here, part by part.
    customColors: "message:reset",
    useOnlyCustomProps: false,
    messageFormat: (log, _key, _label, { colors }) => {
      const line = log as Line;
      const msg = (line.msg ?? line.event ?? "").replaceAll(/\s*\n\s*/g, " ");
      const clause = line.rule ?? line.reason;
      const because = clause === undefined ? "" : ` ${colors.gray(`[${clause}]`)}`;
      if (line.conn === undefined) {
        if (Object.hasOwn(LEVEL_OF, line.event ?? "")) return msg + because;
        const rest = Object.entries(line)
          .filter(([k]) => !SHOWN_ELSEWHERE.has(k))
          .map(([k, v]) => `${k}=${typeof v === "object" ? JSON.stringify(v) : String(v)}`);
        return rest.length === 0 ? msg : `${msg} ${colors.gray(rest.join(" "))}`;
      }
      return `${line.conn > 0 ? `${colors.cyan(`#${line.conn}`)} ` : ""}${line.remote} ${colors.gray(">")} ${line.local?.slice(line.local.lastIndexOf(":"))} ${msg}${because}${line.event === "transition" && line.ms !== undefined && line.ms > 0 ? colors.gray(` after ${Math.round(line.ms)} ms`) : ""}`;
    },
  });
  return (line) => `${prettify(line).trimEnd()}\n`;
}
