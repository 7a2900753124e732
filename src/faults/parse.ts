/**
 * The fault language: one grammar for `fault add`, `serve --fault`, the control API, presets and the test library.
 *
 *   faults    = [ { condition } ":" ] rule { ( ";" | "then" ) rule }
 *   rule      = { condition } action { condition }           the scope before ":" holds for every rule
 *   condition = port 80 | in | out | match synack | synack | nth 1,2 | byte 100000 | …   (table CONDITIONS)
 *   action    = drop | delay 200ms jitter 50ms | rst | …                           (table ACTIONS)
 *
 * `--port 80`, `--port=80` and `port=80` say the same as `port 80`. A bare class is a condition; `fin` and `rst` are
 * classes when another action stands in the rule, else the action.
 */
import { parseState } from "../tcp/state.js";
import { parsePrefix } from "../wire/ipv4.js";
import { ACK, CWR, ECE, FIN, PSH, RST, SYN, URG } from "../wire/segment.js";
import { type Action, CLASSES, type FaultSpec, FIELDS, ICMP_CODES, type IcmpWhat, type Match, type SegmentClass } from "./spec.js";
import { FaultSpecError, nearest, parseDuration, parseRate, parseShare, parseSize, parseSpan, parseWhole, type Span, type Word, words } from "./words.js";

type Draft = { -readonly [K in keyof Match]: Match[K] };

/** Walks the words of one spec and knows how to complain about each. */
class Reader {
  readonly text: string;
  readonly #words: readonly Word[];
  #next = 0;
  constructor(text: string) {
    this.text = text;
    this.#words = words(text);
  }
  peek(): Word | undefined {
    return this.#words[this.#next];
  }
  take(): Word | undefined {
    return this.#words[this.#next++];
  }
  get scopeEnd(): number {
    return this.#words.findIndex((w) => w.text === ":");
  }
  get position(): number {
    return this.#next;
  }
  fail(word: Word | undefined, why: string): never {
    const at = word?.at ?? this.text.trimEnd().length;
    throw new FaultSpecError(this.text, at, word?.text.length ?? 1, why);
  }
  /** The value after `key`, read by `read`; `what` names what would have been right. */
  value<T>(key: Word, what: string, read: (text: string) => T | undefined): T {
    const word = this.take();
    if (word === undefined || isBreak(word)) return this.fail(word, `"${key.text}" wants ${what}`);
    const value = read(word.text);
    return value === undefined ? this.fail(word, `"${key.text}" wants ${what}, not "${word.text}"`) : value;
  }
  /** The value after `key` if the next word reads as one. */
  optional<T>(read: (text: string) => T | undefined): T | undefined {
    const word = this.peek();
    const value = word === undefined ? undefined : read(word.text);
    if (value !== undefined) this.#next++;
    return value;
  }
}

const isBreak = (w: Word): boolean => w.text === ";" || w.text === "then" || w.text === ":";

const spans =
  (one: (t: string) => number | undefined, max: number, min = 0) =>
  (text: string): Span[] | undefined => {
    const out: Span[] = [];
    for (const part of text.split(",")) {
      const span = parseSpan(part, one);
      if (span === undefined || span.low < min || (span.high !== Infinity && span.high > max)) return undefined;
      out.push(span);
    }
    return out;
  };
const portSpans = spans(parseWhole, 65_535);
const counts = spans(parseWhole, Number.MAX_SAFE_INTEGER, 1);
const whole =
  (min: number, max: number) =>
  (text: string): number | undefined => {
    const n = parseWhole(text);
    return n === undefined || n < min || n > max ? undefined : n;
  };
const size =
  (min: number, max: number) =>
  (text: string): number | undefined => {
    const n = parseSize(text);
    return n === undefined || n < min || n > max ? undefined : n;
  };

const BITS: Readonly<Record<string, number>> = { S: SYN, F: FIN, R: RST, P: PSH, U: URG, E: ECE, W: CWR, ".": ACK, A: ACK };
/** tcpdump's letters: `S.`, `FPA`; `none` for no bit at all. */
function parseCtl(text: string): number | undefined {
  if (text === "none") return 0;
  let ctl = 0;
  for (const letter of text.toUpperCase()) {
    const bit = BITS[letter];
    if (bit === undefined) return undefined;
    ctl |= bit;
  }
  return ctl;
}
function listOf<T>(one: (t: string) => T | undefined): (text: string) => T[] | undefined {
  return (text) => {
    const items = text.split(",").map(one);
    return items.includes(undefined) ? undefined : (items as T[]);
  };
}
const readClass = (text: string): SegmentClass | undefined => (Object.hasOwn(CLASSES, text) ? (text as SegmentClass) : undefined);

interface Entry<R> {
  readonly usage: string;
  readonly about: string;
  readonly read: R;
}
type ReadCondition = (r: Reader, key: Word, m: Draft) => void;
type ReadAction = (r: Reader, key: Word, m: Draft) => Action;
const say = <R>(usage: string, about: string, read: R): Entry<R> => ({ usage, about, read });

/** Every condition: how it is written and what it means. Help texts and docs print this table. */
export const CONDITIONS: Readonly<Record<string, Entry<ReadCondition>>> = {
  port: say("port 80,8000-8010", "our port", (r, k, m) => {
    m.ports = r.value(k, "ports, such as 80 or 8000-8010", portSpans);
  }),
  source: say("source 10.77.0.0/24", "the peer's address", (r, k, m) => {
    m.source = r.value(k, "an IPv4 address or prefix", parsePrefix);
  }),
  "source-port": say("source-port 40000..", "the peer's port", (r, k, m) => {
    m.sourcePorts = r.value(k, "ports", portSpans);
  }),
  conn: say("conn 12", "connection number, as ss and trace show it", (r, k, m) => {
    m.conns = r.value(k, "connection numbers, such as 12 or 3-5", counts);
  }),
  in: say("in", "from the peer to us", (_r, _k, m) => {
    m.direction = "in";
  }),
  out: say("out", "from us to the peer", (_r, _k, m) => {
    m.direction = "out";
  }),
  dir: say("dir in", "the same, with a key", (r, k, m) => {
    m.direction = r.value(k, "in or out", (t) => (t === "in" || t === "out" ? t : undefined));
  }),
  match: say("match synack,data", `one of ${Object.keys(CLASSES).join(" ")}; the bare word does too`, (r, k, m) => {
    const word = r.peek();
    for (const part of word?.text.split(",") ?? []) {
      if (readClass(part) === undefined && word !== undefined) {
        const near = nearest(part, Object.keys(CLASSES));
        r.fail(
          { text: part, at: word.at + word.text.indexOf(part) },
          `no kind of segment is called "${part}"${near ? `; did you mean "${near}"?` : `: ${Object.keys(CLASSES).join(" ")}`}`,
        );
      }
    }
    m.classes = [...(m.classes ?? []), ...r.value(k, "kinds of segments", listOf(readClass))];
  }),
  flags: say("flags S.", "exactly these control bits, in tcpdump's letters (S F R P U E W .)", (r, k, m) => {
    m.flags = r.value(k, "control bits in tcpdump's letters, such as S. or FP.", parseCtl);
  }),
  has: say("has P", "at least these control bits", (r, k, m) => {
    m.has = r.value(k, "control bits in tcpdump's letters", (t) => parseCtl(t) || undefined);
  }),
  len: say("len >1000", "octets of text", (r, k, m) => {
    m.length = r.value(k, "a length, such as 0, >1000 or 10..20", (t) => parseSpan(t, parseSize));
  }),
  state: say("state FIN-WAIT-1", "our state at that moment, in any usual spelling", (r, k, m) => {
    m.states = r.value(k, "TCP states, such as FIN-WAIT-1", listOf(parseState));
  }),
  byte: say("byte 100000", "holds this octet of its direction's stream (from 0), or octets 1000..1999; the segment is cut to fit", (r, k, m) => {
    m.bytes = r.value(k, "an octet of the stream, such as 100000 or 10kB..", (t) => parseSpan(t, parseSize));
  }),
  time: say("time 2s..5s", "how old the connection is", (r, k, m) => {
    m.time = r.value(k, "a time such as 5s.. or 2s..5s", (t) => parseSpan(t, parseDuration));
  }),
  nth: say("nth 1,2", "which of the matching segments of a connection, from 1; each connection counts for itself", (r, k, m) => {
    m.nth = r.value(k, "counts from 1, such as 1,2 or 3..", counts);
  }),
  every: say("every 10", "every tenth of them", (r, k, m) => {
    m.every = r.value(k, "a count from 1", whole(1, 1e9));
  }),
  probability: say("probability 5%", "with this chance", (r, k, m) => {
    m.probability = r.value(k, "a chance such as 5% or 0.05", parseShare);
  }),
  times: say("times 3", "acts so often in all, then never again", (r, k, m) => {
    m.times = r.value(k, "a count from 1", whole(1, 1e9));
  }),
  for: say("for 30s", "only so long after it was added", (r, k, m) => {
    m.lifeMs = r.value(k, "a time such as 30s", parseDuration);
  }),
};

/** Every action. */
export const ACTIONS: Readonly<Record<string, Entry<ReadAction>>> = {
  drop: say("drop", "the segment vanishes", () => ({ do: "drop" })),
  loss: say("loss 5%", "each vanishes with this chance", (r, k) => ({ do: "loss", share: r.value(k, "a chance such as 5%", parseShare) })),
  burst: say(
    "burst 1% 30%",
    "bursts of loss (Gilbert-Elliott): chance to go bad, to go good again; then loss in the bad (100%) and the good state (0%)",
    (r, k) => {
      const toBad = r.value(k, "the chance to turn bad, such as 1%", parseShare);
      const toGood = r.value(k, "the chance to turn good again, such as 30%", parseShare);
      const lossBad = r.optional(parseShare) ?? 1;
      return { do: "burst", model: { toBad, toGood, lossBad, lossGood: r.optional(parseShare) ?? 0 } };
    },
  ),
  delay: say("delay 200ms jitter 50ms", "comes later; order is kept", (r, k) => {
    const ms = r.value(k, "a time such as 200ms", parseDuration);
    const jitter = r.peek();
    if (jitter?.text !== "jitter") return { do: "delay", ms, jitterMs: 0 };
    r.take();
    return { do: "delay", ms, jitterMs: r.value(jitter, "a time such as 50ms", parseDuration) };
  }),
  duplicate: say("duplicate 2", "comes again, so many more times (1)", (r) => ({ do: "duplicate", copies: r.optional(whole(1, 100)) ?? 1 })),
  reorder: say("reorder 3 within 50ms", "so many later segments (1) overtake it; waits no longer than that (50ms)", (r) => {
    const by = r.optional(whole(1, 1000)) ?? 1;
    const within = r.peek();
    if (within?.text !== "within") return { do: "reorder", by, withinMs: 50 };
    r.take();
    return { do: "reorder", by, withinMs: r.value(within, "a time such as 50ms", parseDuration) };
  }),
  corrupt: say("corrupt 1", "so many bits (1) of the text flip; the checksum shows it", (r) => ({ do: "corrupt", bits: r.optional(whole(1, 1000)) ?? 1 })),
  mangle: say("mangle 1", "the same, and the checksum is mended: the application gets wrong octets", (r) => ({
    do: "mangle",
    bits: r.optional(whole(1, 1000)) ?? 1,
  })),
  badsum: say("badsum", "the TCP checksum is wrong, all else is right", () => ({ do: "badsum" })),
  truncate: say("truncate 10", "keeps so many octets of text (0)", (r) => ({ do: "truncate", to: r.optional(size(0, 65_535)) ?? 0 })),
  split: say("split 1", "comes in pieces of so many octets", (r, k) => ({ do: "split", size: r.value(k, "octets, from 1", size(1, 65_535)) })),
  rst: say("rst", "an RST answers it, and both ends are reset", () => ({ do: "rst" })),
  fin: say("fin", "a FIN answers it: the peer sees the end of the stream here", () => ({ do: "fin" })),
  answer: say("answer rst|fin", "the same, with a key", (r, k) => ({ do: r.value(k, "rst or fin", (t) => (t === "rst" || t === "fin" ? t : undefined)) })),
  icmp: say("icmp host|net|port|protocol|admin|frag 1280", "an ICMP destination unreachable answers it; frag says which MTU would fit", (r, k) => {
    const what = r.value(k, `one of ${Object.keys(ICMP_CODES).join(" ")}`, (t) => (Object.hasOwn(ICMP_CODES, t) ? (t as IcmpWhat) : undefined));
    return { do: "icmp", what, mtu: what === "frag" ? r.value(k, "an MTU from 68", whole(68, 65_535)) : 0 };
  }),
  set: say("set window 0", `a header field becomes this, or +N or -N more than it was: ${FIELDS.join(" ")}`, (r, k) => {
    const field = r.value(k, `one of ${FIELDS.join(" ")}`, (t) => FIELDS.find((f) => f === t));
    return { do: "set", field, ...r.value(k, "a number, +N or -N", parseChange) };
  }),
  window: say("window 0", "short for set window", (r, k) => ({ do: "set", field: "window", ...r.value(k, "octets", parseChange) })),
  isn: say("isn 4294967280", "the peer is given this initial sequence number of ours (also 0xfffffff0); numbers are translated both ways", (r, k) => ({
    do: "isn",
    value: r.value(k, "a number from 0 to 4294967295", (t) => {
      const n = /^0x[0-9a-f]{1,8}$/i.test(t) ? Number(t) : parseWhole(t);
      return n === undefined || n > 0xffffffff ? undefined : n;
    }),
  })),
  hold: say("hold 4s", "kept until released, or for so long", (r) => ({ do: "hold", ms: r.optional(parseDuration) ?? Infinity })),
  rate: say("rate 1mbit queue 100", "leaves no faster than that; what the queue cannot take is dropped", (r, k) => {
    const bits = r.value(k, "a rate such as 10mbit or 100kB/s", (t) => parseRate(t) || undefined);
    const queue = r.peek();
    if (queue?.text !== "queue") return { do: "rate", bits, queue: 100 };
    r.take();
    return { do: "rate", bits, queue: r.value(queue, "segments, from 1", whole(1, 100_000)) };
  }),
  blackhole: say("blackhole after 10kB", "from the first match on nothing passes either way; after so many octets of a direction, or so long", (r, _k, m) => {
    const after = r.peek();
    if (after?.text === "after") {
      r.take();
      const age = r.optional(parseDuration);
      if (age !== undefined) m.time = { low: age, high: Infinity };
      else m.bytes = { low: r.value(after, "octets or a time, such as 10kB or 5s", parseSize), high: Infinity };
    }
    return { do: "blackhole" };
  }),
};

function parseChange(text: string): { relative: boolean; value: number } | undefined {
  const m = /^([+-]?)(\d[\d_]*[kKmM]?[iI]?[bB]?)$/.exec(text);
  const n = m === null ? undefined : parseSize(m[2] as string);
  if (m === null || n === undefined || n > 0xffffffff) return undefined;
  return { relative: m[1] !== "", value: m[1] === "-" ? -n : n };
}

const AMBIGUOUS = new Set(["fin", "rst"]);

/**
 * Reads a spec of one or more faults, in the order in which they will look at a segment.
 * @throws FaultSpecError that points at the first wrong word
 */
export function parseFaults(text: string): FaultSpec[] {
  const r = new Reader(text);
  const scope: Draft = {};
  const scopeEnd = r.scopeEnd;
  while (r.position < scopeEnd) {
    const word = r.take() as Word;
    if (!readCondition(r, word, scope))
      r.fail(word, Object.hasOwn(ACTIONS, word.text) ? `"${word.text}" is an action; only conditions stand before ":"` : unknown(word));
  }
  if (scopeEnd >= 0) r.take();
  const specs: FaultSpec[] = [];
  for (;;) {
    while (r.peek() !== undefined && (r.peek() as Word).text === ";") r.take();
    if (r.peek() === undefined) break;
    specs.push(readRule(r, scope));
  }
  return specs.length > 0 ? specs : r.fail(undefined, "no fault here: write conditions and an action, such as: port 80 synack nth 1,2 drop");
}

/** Reads a spec that must hold exactly one fault. @throws FaultSpecError */
export function parseFault(text: string): FaultSpec {
  const [one, second] = parseFaults(text);
  if (second !== undefined) throw new FaultSpecError(text, 0, text.length, "one fault is wanted here, not several");
  return one as FaultSpec;
}

function readRule(r: Reader, scope: Draft): FaultSpec {
  const match: Draft = { ...scope };
  let action: Action | undefined;
  let actionWord: Word | undefined;
  let name: string | undefined;
  const doubtful: Word[] = [];
  for (let word = r.peek(); word !== undefined; word = r.peek()) {
    if (isBreak(word)) {
      if (word.text === ":") r.fail(word, `a scope with ":" comes once, before the first rule`);
      r.take();
      if (word.text === "then" && action === undefined && doubtful.length === 0) r.fail(word, "no action before this");
      break;
    }
    r.take();
    if (word.text === "as") {
      name = r.value(word, "a name of letters, digits and dashes", (t) => (/^[a-z][\w-]*$/i.test(t) ? t : undefined));
      continue;
    }
    if (AMBIGUOUS.has(word.text)) {
      doubtful.push(word);
      continue;
    }
    if (readCondition(r, word, match)) continue;
    const entry = Object.hasOwn(ACTIONS, word.text) ? ACTIONS[word.text] : undefined;
    if (entry === undefined) return r.fail(word, unknown(word));
    if (action !== undefined) return r.fail(word, `a second action, after "${(actionWord as Word).text}"; put "then" between two faults`);
    action = entry.read(r, word, match);
    actionWord = word;
  }
  if (action === undefined) {
    const last = doubtful.pop();
    if (last === undefined) return r.fail(undefined, `no action: one of ${Object.keys(ACTIONS).join(" ")}`);
    action = { do: last.text as "rst" | "fin" };
  }
  if (doubtful.length > 0) match.classes = [...(match.classes ?? []), ...doubtful.map((w) => w.text as SegmentClass)];
  return { ...(name === undefined ? {} : { name }), match, action };
}

function readCondition(r: Reader, word: Word, match: Draft): boolean {
  const entry = Object.hasOwn(CONDITIONS, word.text) ? CONDITIONS[word.text] : undefined;
  if (entry !== undefined) {
    entry.read(r, word, match);
    return true;
  }
  const classes = AMBIGUOUS.has(word.text) ? undefined : listOf(readClass)(word.text);
  if (classes === undefined) return false;
  match.classes = [...(match.classes ?? []), ...classes];
  return true;
}

function unknown(word: Word): string {
  const near = nearest(word.text, [...Object.keys(CONDITIONS), ...Object.keys(ACTIONS), ...Object.keys(CLASSES), "then", "as"]);
  return `"${word.text}" is no condition and no action${near === undefined ? "" : `; did you mean "${near}"?`}`;
}
