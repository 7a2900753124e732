/**
 * Lines as octets, gathered in a block before they go on to the destination. Those of a connection that nothing goes wrong with,
 * which are nearly all, are put together here from what is the same for every connection; `eventLine` makes all others. Strings
 * would be the plainer way, but a line of thirty parts leaves a tree of strings behind, and at a hundred thousand lines a second
 * the garbage costs more than the lines.
 */
import type { TcpEvent, Who } from "../tcp/events.js";
import { FIRST_FREE, KIND_NONE, LENGTH, type LineModule, NUMBER, OVERSHOOT, STEP_WORDS, TEXT } from "./line-module.js";
import { DIGITS, type Lined, partsOf, STAMP } from "./line-parts.js";

const STEP = 4 * STEP_WORDS;
/** Octets of lines that are gathered, few enough for the nearest caches; no line is longer than LINE_MAX. */
const BLOCK = 32 * 1024,
  LINE_MAX = 1_024;

const STAMP_AT = FIRST_FREE,
  STAMP_END = STAMP_AT + STAMP.length + DIGITS;
/**
 * Who connections are, made with the first line of each for the five or so that follow. A table that is written over, and not a
 * WeakMap: entries for every connection are work for each garbage collection.
 */
const SLOTS = 1_024,
  SLOT = 96,
  SLOTS_AT = 512;
/** What is in a slot besides the two addresses. */
const SLOT_WORDS = 10 + ',"local":"","remote":""'.length;
/** When there are too many, of flags that nobody ever saw, they are forgotten and made anew. */
const TEMPLATES_AT = SLOTS_AT + SLOTS * SLOT,
  TEMPLATES_END = TEMPLATES_AT + 48 * 1024;
const BLOCK_AT = TEMPLATES_END,
  BLOCK_END = BLOCK_AT + BLOCK;

/** A line but for who the connection is and the numbers. */
interface Template {
  readonly from: string;
  readonly to: string;
  readonly what: string;
  readonly sent: string;
  readonly hasText: boolean;
  /** Offset of the first step, octets. */
  readonly steps: number;
  /** Where the step that tells who begins, and where the first number is, which the others follow step by step: indices of words. */
  readonly who: number;
  readonly numbers: number;
}

export class LineWriter {
  /** The memory that the module of a writer needs, octets. */
  static readonly octets = BLOCK_END + OVERSHOOT;

  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #run: (at: number, steps: number) => number;
  readonly #take: (octets: Uint8Array, lines: number) => void;
  /** End of what is gathered, an offset. */
  #at = BLOCK_AT;
  #lines = 0;
  /** The time in the stamp. */
  #time = 0;
  readonly #owners = new Array<Who | undefined>(SLOTS).fill(undefined);
  readonly #lengths = new Uint8Array(SLOTS);
  /** By rule, or by how a connection ended; the few of each differ in the states, in what caused the step and in what was sent. */
  readonly #templates = new Map<string, Template[]>();
  #free = TEMPLATES_AT;

  /** @param take given the lines that were gathered; the octets are good until it returns */
  constructor(module: LineModule, take: (octets: Uint8Array, lines: number) => void) {
    this.#bytes = module.bytes;
    this.#words = module.words;
    this.#run = module.run;
    this.#take = take;
    new TextEncoder().encodeInto(STAMP, this.#bytes.subarray(STAMP_AT));
  }

  /**
   * @param time milliseconds since 1970
   * @returns false when it is not one of the lines that are made here
   */
  add(e: TcpEvent, time: number): boolean {
    if (e.kind !== "transition" && e.kind !== "closed") return false;
    if (time !== this.#time && !this.#stamp(time)) return false;
    const thousandths = Math.round(e.ms * 1_000),
      slot = this.#slotOf(e.conn);
    if (slot < 0 || !isWord(thousandths)) return false;
    const t = e.kind === "closed" ? this.#closed(e, thousandths) : this.#transition(e, thousandths);
    if (t === undefined) return false;
    this.#words[t.who + TEXT] = SLOTS_AT + slot * SLOT;
    this.#words[t.who + LENGTH] = this.#lengths[slot] as number;
    if (this.#at > BLOCK_END - LINE_MAX) this.handOver();
    this.#at = this.#run(this.#at, t.steps);
    this.#lines++;
    return true;
  }

  handOver(): void {
    if (this.#lines === 0) return;
    this.#take(this.#bytes.subarray(BLOCK_AT, this.#at), this.#lines);
    this.#at = BLOCK_AT;
    this.#lines = 0;
  }

  #transition(e: Extract<Lined, { kind: "transition" }>, thousandths: number): Template | undefined {
    const c = e.cause,
      words = this.#words;
    if (c.kind === "icmp") return undefined;
    if (c.kind !== "segment") {
      const t = this.#find(e, e.rule, e.from, e.to, c.kind === "call" ? c.call : c.timer, e.sent, false);
      words[t.numbers] = thousandths;
      return t;
    }
    const t = this.#find(e, e.rule, e.from, e.to, c.flags, e.sent, c.len > 0);
    let n = t.numbers;
    words[n] = c.seq;
    words[(n += STEP_WORDS)] = c.ack;
    if (c.len > 0) words[(n += STEP_WORDS)] = c.len;
    words[(n += STEP_WORDS)] = c.win;
    words[(n += STEP_WORDS)] = thousandths;
    if (c.len > 0) words[n + STEP_WORDS] = c.len;
    return t;
  }

  #closed(e: Extract<Lined, { kind: "closed" }>, thousandths: number): Template | undefined {
    const { rxBytes, txBytes, retransmits } = e,
      words = this.#words;
    if (!isWord(rxBytes) || !isWord(txBytes) || !isWord(retransmits)) return undefined;
    const t = this.#find(e, e.by, "", "", "", "", false),
      n = t.numbers;
    words[n] = thousandths;
    words[n + STEP_WORDS] = words[n + 4 * STEP_WORDS] = rxBytes;
    words[n + 2 * STEP_WORDS] = words[n + 5 * STEP_WORDS] = txBytes;
    words[n + 3 * STEP_WORDS] = words[n + 6 * STEP_WORDS] = retransmits;
    return t;
  }

  /** Only the digits that differ: two times have most of them in common. @returns false when there are more or fewer than usual */
  #stamp(time: number): boolean {
    if (!(time >= 10 ** (DIGITS - 1) && time < 10 ** DIGITS && Number.isInteger(time))) return false;
    for (let i = STAMP_END - 1, rest = time, before = this.#time; rest !== before; i--) {
      const tens = Math.floor(rest / 10);
      this.#bytes[i] = ZERO + (rest - tens * 10);
      rest = tens;
      before = Math.floor(before / 10);
    }
    this.#time = time;
    return true;
  }

  /** @returns -1 when the names are longer than they ever are */
  #slotOf(w: Who): number {
    const slot = w.id & (SLOTS - 1);
    if (this.#owners[slot] === w) return slot;
    const { id, local, remote } = w,
      from = SLOTS_AT + slot * SLOT;
    if (!isWord(id) || SLOT_WORDS + local.length + remote.length > SLOT) return -1;
    let at = this.#whole(from, id);
    at = this.#ascii(at, ',"local":"');
    at = this.#ascii(at, local);
    at = this.#ascii(at, '","remote":"');
    at = this.#ascii(at, remote);
    at = this.#ascii(at, '"');
    this.#lengths[slot] = at - from;
    this.#owners[slot] = w;
    return slot;
  }
  #whole(at: number, n: number): number {
    let digits = 1;
    for (let limit = 10; n >= limit; limit *= 10) digits++;
    for (let i = at + digits - 1; i >= at; i--) {
      const tens = Math.floor(n / 10);
      this.#bytes[i] = ZERO + (n - tens * 10);
      n = tens;
    }
    return at + digits;
  }
  #ascii(at: number, text: string): number {
    for (let i = 0; i < text.length; i++) this.#bytes[at + i] = text.charCodeAt(i);
    return at + text.length;
  }

  #find(e: Lined, key: string, from: string, to: string, what: string, sent: string, hasText: boolean): Template {
    const list = this.#templates.get(key);
    if (list !== undefined)
      for (let i = 0; i < list.length; i++) {
        const t = list[i] as Template;
        if (t.from === from && t.to === to && t.what === what && t.sent === sent && t.hasText === hasText) return t;
      }
    const steps = this.#makeSteps(e),
      // The stamp, what there is between it and the connection, who that is, and what there is up to the first number.
      who = steps / 4 + 2 * STEP_WORDS,
      made = { from, to, what, sent, hasText, steps, who, numbers: who + STEP_WORDS + NUMBER };
    const others = this.#templates.get(key);
    if (others === undefined) this.#templates.set(key, [made]);
    else others.push(made);
    return made;
  }

  /** @returns the offset of the first */
  #makeSteps(e: Lined): number {
    const parts = partsOf(e).map(({ text, kind }) => ({ text: new TextEncoder().encode(text), kind }));
    const octets = parts.reduce((sum, part) => sum + part.text.length, (1 + parts.length) * STEP);
    if (this.#free + octets > TEMPLATES_END) {
      this.#templates.clear();
      this.#free = TEMPLATES_AT;
    }
    const steps = this.#free;
    let word = steps / 4,
      at = steps + (1 + parts.length) * STEP;
    this.#words.set([STAMP_AT, STAMP_END - STAMP_AT, KIND_NONE, 0], word);
    for (const { text, kind } of parts) {
      this.#words.set([at, text.length, kind, 0], (word += STEP_WORDS));
      this.#bytes.set(text, at);
      at += text.length;
    }
    this.#free = (at + 3) & ~3;
    return steps;
  }
}

const ZERO = 48;
/** Whether the module can write it. */
const isWord = (n: number): boolean => n >>> 0 === n;
