/**
 * Events as JSON lines in pino's format. Written by hand because the log must keep up with tens of thousands of
 * connections a second: `scripts/bench-log.ts` measures this against pino's own serialiser. Only values that the core
 * makes itself (names, numbers, addresses) go in unescaped; free text goes through JSON.stringify.
 */
import type { Cause, TcpEvent, Who } from "../tcp/events.js";
import type { EventKind } from "../tcp/events.js";
import { EVENT_KINDS, LEVELS, LEVEL_OF } from "./levels.js";
import type { Octets } from "./octets.js";
import { BY_WORDS, CLOSED_WORDS, wording } from "./wording.js";

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

/**
 * The same line, as octets. The lines of a connection that nothing goes wrong with are put together from parts that are
 * the same for every connection; all others take the plain way.
 */
export function writeEvent(e: TcpEvent, time: number, into: Octets): void {
  into.lines++;
  if (e.kind === "transition" && e.cause.kind !== "icmp") return writeTransition(e, time, into);
  if (e.kind === "closed") return writeClosed(e, time, into);
  into.utf8(eventLine(e, time));
}

const encode = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
/**
 * Who a connection is, as octets, made with its first line for the five or so that follow. A table that is written over, and
 * not a WeakMap: entries for every connection are work for each garbage collection.
 */
const SLOTS = 1_024,
  SLOT = 160;
const slab = new Uint8Array(SLOTS * SLOT),
  lengths = new Uint8Array(SLOTS),
  owners = new Array<Who | undefined>(SLOTS).fill(undefined);

function putWho(w: Who, into: Octets): void {
  const slot = w.id & (SLOTS - 1),
    at = slot * SLOT;
  if (owners[slot] === w) return into.part(slab, at, lengths[slot] as number);
  const from = into.at;
  into.whole(w.id);
  into.ascii(',"local":"');
  into.ascii(w.local);
  into.ascii('","remote":"');
  into.ascii(w.remote);
  const length = into.at - from;
  if (length > SLOT) return;
  for (let i = 0; i < length; i++) slab[at + i] = into.bytes[from + i] as number;
  lengths[slot] = length;
  owners[slot] = w;
}

function writeTransition(e: Extract<TcpEvent, { kind: "transition" }>, time: number, into: Octets): void {
  const c = e.cause,
    t = templateOf(e);
  into.copy(headOf(time));
  putWho(e.conn, into);
  into.copy(t.states);
  if (c.kind === "segment") {
    into.whole(c.seq);
    into.ascii(',"ack":');
    into.whole(c.ack);
    into.ascii(',"len":');
    into.whole(c.len);
    into.ascii(',"win":');
    into.whole(c.win);
  }
  into.copy(t.rule);
  into.millis(e.ms);
  // With text the words tell how much, so they are not the same every time.
  if (c.kind === "segment" && c.len > 0) into.utf8(`,"msg":"${wording(e)}"}\n`);
  else into.copy(t.msg);
}

function writeClosed(e: Extract<TcpEvent, { kind: "closed" }>, time: number, into: Octets): void {
  into.ascii(HEADS.closed);
  into.whole(time);
  into.ascii(',"event":"closed","conn":');
  putWho(e.conn, into);
  into.ascii('","by":"');
  into.ascii(e.by);
  into.ascii('","ms":');
  into.millis(e.ms);
  into.ascii(',"rxBytes":');
  into.whole(e.rxBytes);
  into.ascii(',"txBytes":');
  into.whole(e.txBytes);
  into.ascii(',"retransmits":');
  into.whole(e.retransmits);
  into.ascii(',"msg":"');
  // The sentence of wording(), piece by piece; a test compares.
  into.ascii(BY_WORDS[e.by]);
  into.ascii(CLOSED_WORDS.rx);
  into.whole(e.rxBytes);
  into.ascii(CLOSED_WORDS.tx);
  into.whole(e.txBytes);
  into.ascii(CLOSED_WORDS.retransmits);
  into.whole(e.retransmits);
  into.ascii(CLOSED_WORDS.end);
  into.ascii('"}\n');
}

/** The parts of a transition's line that are the same for every connection. */
interface Template {
  readonly from: string;
  readonly to: string;
  readonly what: string;
  readonly sent: string;
  readonly states: Uint8Array;
  readonly rule: Uint8Array;
  readonly msg: Uint8Array;
}
/** By rule; the few of each rule differ in the states, in what caused the step and in what was sent. */
const templates = new Map<string, Template[]>();

function templateOf(e: Extract<TcpEvent, { kind: "transition" }>): Template {
  const c = e.cause,
    what = c.kind === "segment" ? c.flags : c.kind === "call" ? c.call : c.kind === "timer" ? c.timer : "";
  let list = templates.get(e.rule);
  if (list === undefined) templates.set(e.rule, (list = []));
  for (let i = 0; i < list.length; i++) {
    const t = list[i] as Template;
    if (t.from === e.from && t.to === e.to && t.what === what && t.sent === e.sent) return t;
  }
  const template: Template = {
    from: e.from,
    to: e.to,
    what,
    sent: e.sent,
    states: encode(`","from":"${e.from}","to":"${e.to}","cause":${c.kind === "segment" ? `{"kind":"segment","flags":"${c.flags}","seq":` : cause(c)}`),
    rule: encode(`${c.kind === "segment" ? "}" : ""},"rule":"${e.rule}","ms":`),
    msg: encode(`,"msg":"${wording(c.kind === "segment" ? { ...e, cause: { ...c, len: 0 } } : e)}"}\n`),
  };
  list.push(template);
  return template;
}

let lastTime = -1,
  lastHead = encode("");
/** Digits of a time since 1970 from 2001 to 2286, and where they stand in the head. */
const DIGITS = 13,
  DIGITS_AT = HEADS.transition.length;
/** What a transition's line begins with. Many lines share a millisecond, and two heads differ in few digits. */
function headOf(time: number): Uint8Array {
  if (time === lastTime) return lastHead;
  const isUsual = time >= 1e12 && time < 1e13 && Number.isInteger(time);
  if (!isUsual || lastTime < 1e12) lastHead = encode(`${HEADS.transition}${time},"event":"transition","conn":`);
  else
    for (let i = DIGITS_AT + DIGITS - 1, rest = time; i >= DIGITS_AT; i--) {
      const tens = Math.floor(rest / 10);
      lastHead[i] = 48 + (rest - tens * 10);
      rest = tens;
    }
  lastTime = isUsual ? time : -1;
  return lastHead;
}
