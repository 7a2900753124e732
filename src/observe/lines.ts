/**
 * Events as JSON lines in pino's format. Written by hand because the log must keep up with tens of thousands of
 * connections a second: `scripts/bench-log.ts` measures this against pino's own serialiser. Only values that the core
 * makes itself (names, numbers, addresses) go in unescaped; free text goes through JSON.stringify.
 */
import type { Cause, TcpEvent, Who } from "../tcp/events.js";
import type { EventKind } from "../tcp/events.js";
import { EVENT_KINDS, LEVELS, LEVEL_OF } from "./levels.js";
import { wording } from "./wording.js";

const HEADS = Object.fromEntries(EVENT_KINDS.map((k) => [k, `{"level":${LEVELS[LEVEL_OF[k]]},"time":`])) as Record<EventKind, string>;

const who = (w: Who): string => `,"conn":${w.id},"local":"${w.local}","remote":"${w.remote}"`;
const number = (n: number | undefined): string => (n === undefined || !Number.isFinite(n) ? "null" : `${n}`);
/** Milliseconds to a thousandth: longer fractions are noise. */
export function millis(n: number): string {
  if (Number.isInteger(n)) return `${n}`;
  const thousandths = Math.round(n * 1_000);
  if (!(thousandths >= 0 && thousandths < 0x7fffffff)) return number(thousandths / 1_000);
  // Whole numbers become text several times faster than fractions do.
  const whole = (thousandths / 1_000) | 0,
    rest = thousandths - whole * 1_000;
  return rest === 0
    ? `${whole}`
    : rest % 100 === 0
      ? `${whole}.${rest / 100}`
      : rest % 10 === 0
        ? `${whole}.${rest < 100 ? "0" : ""}${rest / 10}`
        : `${whole}.${rest < 10 ? "00" : rest < 100 ? "0" : ""}${rest}`;
}

function cause(c: Cause): string {
  switch (c.kind) {
    case "segment":
      return `{"kind":"segment","flags":"${c.flags}","seq":${c.seq},"ack":${c.ack},"len":${c.len},"win":${c.win}}`;
    case "call":
      return `{"kind":"call","call":"${c.call}"}`;
    case "timer":
      return `{"kind":"timer","timer":"${c.timer}"}`;
    case "icmp":
      return `{"kind":"icmp","type":${c.type},"code":${c.code}}`;
  }
}

function body(e: TcpEvent): string {
  switch (e.kind) {
    case "transition":
      return `,"event":"transition"${who(e.conn)},"from":"${e.from}","to":"${e.to}","cause":${cause(e.cause)},"rule":"${e.rule}","ms":${millis(e.ms)}`;
    case "closed":
      return `,"event":"closed"${who(e.conn)},"by":"${e.by}","ms":${millis(e.ms)},"rxBytes":${e.rxBytes},"txBytes":${e.txBytes},"retransmits":${e.retransmits}`;
    case "refused":
      return `,"event":"refused"${who(e.conn)},"cause":${cause(e.cause)},"rule":"${e.rule}"`;
    case "reset":
      return `,"event":"reset"${who(e.conn)},"direction":"${e.direction}","rule":"${e.rule}"`;
    case "drop":
      return `,"event":"drop"${e.conn === undefined ? "" : who(e.conn)},"reason":"${e.rule}"${e.detail === undefined ? "" : `,"cause":${cause(e.detail)}`}`;
    case "timer":
      return `,"event":"timer"${who(e.conn)},"timer":"${e.timer}","rto":${millis(e.rto)},"n":${e.n}`;
    case "segment":
      return `,"event":"segment"${who(e.conn)},"dir":"${e.dir}","flags":"${e.flags}","seq":${e.seq},"ack":${e.ack},"len":${e.len},"win":${e.win},"options":${JSON.stringify(e.options)},"relSeq":${e.relSeq},"relAck":${e.relAck},"segments":${e.segments},"retransmission":${e.retransmission}`;
    case "congestion":
      return `,"event":"congestion"${who(e.conn)},"phase":"${e.phase}","cwnd":${e.cwnd},"ssthresh":${number(e.ssthresh)},"rule":"${e.rule}"`;
    case "flood":
      return `,"event":"flood","halfOpen":${e.halfOpen},"sources":${e.sources},"cookiesSent":${e.cookiesSent}`;
    case "limit":
      return `,"event":"limit","limit":${JSON.stringify(e.limit)},"value":${number(e.value)},"shed":${e.shed}`;
    case "fault":
      return `,"event":"fault"${e.conn === undefined ? "" : who(e.conn)},"fault":${JSON.stringify(e.fault)},"act":${JSON.stringify(e.act)},"detail":${JSON.stringify(e.detail)}`;
  }
}

/** Kinds whose words hold free text. */
const isFree = (e: TcpEvent): boolean => e.kind === "fault" || e.kind === "segment" || e.kind === "limit";

/**
 * One event as one line, newline included.
 * @param time milliseconds since 1970
 */
export function eventLine(e: TcpEvent, time: number): string {
  return `${HEADS[e.kind]}${time}${body(e)},"msg":${isFree(e) ? JSON.stringify(wording(e)) : `"${wording(e)}"`}}\n`;
}
