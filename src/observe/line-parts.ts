/** What the lines of all connections have in common, cut out of a line that `eventLine` made: the words stand there and nowhere else. */
import type { TcpEvent } from "../tcp/events.js";
import { KIND_END, KIND_NONE, KIND_THOUSANDTHS, KIND_WHOLE } from "./line-module.js";
import { eventLine } from "./lines.js";

/** Events of connections that nothing goes wrong with. */
export type Lined = Extract<TcpEvent, { kind: "transition" | "closed" }>;

/** A text, and the kind of what follows it. */
export interface Part {
  readonly text: string;
  readonly kind: number;
}

/** What every line begins with, and the digits of the time that follows: from 2001 to 2286. */
export const STAMP = '{"level":30,"time":',
  DIGITS = 13;

/** Numbers that no text has. */
const MARK = 4_000_000_000,
  MARKED_WHO = { id: MARK, local: "L", remote: "R" },
  MARKS = /4000000000,"local":"L","remote":"R"|4000000\.001|4000000002/g;

function marked(e: Lined): Lined {
  const ms = (MARK + 1) / 1_000,
    n = MARK + 2;
  if (e.kind === "closed") return { ...e, conn: MARKED_WHO, ms, rxBytes: n, txBytes: n, retransmits: n };
  const c = e.cause;
  return { ...e, conn: MARKED_WHO, ms, cause: c.kind === "segment" ? { ...c, seq: n, ack: n, len: c.len > 0 ? n : 0, win: n } : c };
}

/**
 * The line of such an event behind its time, in the order of the line: what stands before who the connection is, an empty part for
 * that, what stands before the first number, and so on. Numbers are, with a segment, seq, ack, len if there is text, win, ms, and len
 * again if there is text; with another cause ms; at the end ms, rxBytes, txBytes, retransmits, and the last three again.
 */
export function partsOf(e: Lined): Part[] {
  const line = eventLine(marked(e), 10 ** (DIGITS - 1)).slice(STAMP.length + DIGITS),
    parts: Part[] = [];
  let from = 0;
  for (const found of line.matchAll(MARKS)) {
    const isWho = parts.length === 0;
    parts.push({ text: line.slice(from, found.index), kind: isWho ? KIND_NONE : found[0].includes(".") ? KIND_THOUSANDTHS : KIND_WHOLE });
    if (isWho) parts.push({ text: "", kind: KIND_NONE });
    from = found.index + found[0].length;
  }
  parts.push({ text: line.slice(from), kind: KIND_END });
  return parts;
}
