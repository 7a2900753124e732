/** The words of `--impair loss=1%,delay=20ms,…`: read with errors that point at the word they mean. */
import { DeviceError } from "./errors.js";

/** What a link does to frames, each direction alike and apart. Probabilities are 0 to 1, times milliseconds. */
export interface Impairment {
  /** Frames that vanish. */
  readonly loss: number;
  /** Every frame takes this long. */
  readonly delayMs: number;
  /** The delay varies evenly by up to this much either way, so frames may overtake each other. */
  readonly jitterMs: number;
  /** Frames that skip the delay and so overtake those before them. */
  readonly reorder: number;
  /** Frames that arrive twice. */
  readonly duplicate: number;
  /** Frames with one bit turned over. */
  readonly corrupt: number;
  /** Bits a second; Infinity: as fast as it goes. */
  readonly rateBps: number;
  /** Frames that are on their way in one direction at most; more are lost. */
  readonly limit: number;
  readonly direction: "both" | "in" | "out";
  /** The same seed gives the same fate to the same frames. */
  readonly seed: number;
}

export class ImpairSyntaxError extends DeviceError {
  /** The text that was given, and where in it the wrong word stands. */
  readonly text: string;
  readonly at: number;
  readonly length: number;

  constructor(text: string, at: number, length: number, message: string, mend: string) {
    super("EINVAL", "usage", message, mend);
    this.text = text;
    this.at = at;
    this.length = length;
  }

  /** Two lines: the text, and carets under the wrong word. */
  get pointer(): string {
    return `${this.text}\n${" ".repeat(this.at)}${"^".repeat(Math.max(1, this.length))}`;
  }
}

const EXAMPLE = "loss=1%,delay=20ms,jitter=5ms,reorder=1%,duplicate=1%,corrupt=0.1%,rate=10mbit,limit=1000,direction=both,seed=7";

type Read = (value: string) => number | string | undefined;
const scaled =
  (pattern: RegExp, scale: Readonly<Record<string, number>>): Read =>
  (value) => {
    const match = pattern.exec(value.toLowerCase());
    return match === null ? undefined : Number(match[1]) * (scale[match[2] as string] as number);
  };
const percent: Read = (value) => {
  const match = /^(\d+(?:\.\d+)?|\.\d+)%$/.exec(value);
  return match !== null && Number(match[1]) <= 100 ? Number(match[1]) / 100 : undefined;
};
const time = scaled(/^(\d+(?:\.\d+)?)(us|ms|s)$/, { us: 0.001, ms: 1, s: 1000 });
const positive =
  (read: Read): Read =>
  (value) => {
    const n = read(value);
    return n === 0 ? undefined : n;
  };
const rate = positive(scaled(/^(\d+(?:\.\d+)?)(bit|kbit|mbit|gbit)$/, { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 }));
const whole =
  (least: number, most: number): Read =>
  (value) =>
    /^\d{1,10}$/.test(value) && Number(value) >= least && Number(value) <= most ? Number(value) : undefined;

const WORDS: Readonly<Record<string, { readonly field: keyof Impairment; readonly read: Read; readonly form: string }>> = {
  loss: { field: "loss", read: percent, form: "a percentage from 0% to 100%, such as 1%" },
  delay: { field: "delayMs", read: time, form: "a time such as 20ms, 500us or 1.5s" },
  jitter: { field: "jitterMs", read: time, form: "a time such as 5ms" },
  reorder: { field: "reorder", read: percent, form: "a percentage from 0% to 100%, such as 1%" },
  duplicate: { field: "duplicate", read: percent, form: "a percentage from 0% to 100%, such as 1%" },
  corrupt: { field: "corrupt", read: percent, form: "a percentage from 0% to 100%, such as 0.1%" },
  rate: { field: "rateBps", read: rate, form: "bits a second, such as 10mbit, 64kbit or 1gbit" },
  limit: { field: "limit", read: whole(1, 1_000_000), form: "a number of frames from 1 to 1000000" },
  direction: { field: "direction", read: (value) => (["both", "in", "out"].includes(value) ? value : undefined), form: "both, in (to us) or out (from us)" },
  seed: { field: "seed", read: whole(0, 0xffffffff), form: "a whole number from 0 to 4294967295" },
};

/**
 * @param text words parted by commas, each `name=value`; every name at most once
 * @param seed used when the text names none
 * @throws ImpairSyntaxError
 */
export function parseImpair(text: string, seed = 1): Impairment {
  const found: Record<string, number | string> = {};
  const places: Record<string, { at: number; length: number }> = {};
  let at = 0;
  for (const part of text.split(",")) {
    const lead = part.length - part.trimStart().length,
      word = part.trim(),
      start = at + lead;
    at += part.length + 1;
    const equals = word.indexOf("="),
      name = (equals < 0 ? word : word.slice(0, equals)).trim().toLowerCase(),
      known = Object.hasOwn(WORDS, name) ? WORDS[name] : undefined;
    if (word === "") throw new ImpairSyntaxError(text, start, 1, "a word is missing", `write it as ${EXAMPLE}, any of them`);
    if (known === undefined) {
      const near = nearest(name);
      throw new ImpairSyntaxError(
        text,
        start,
        equals < 0 ? word.length : equals,
        `"${name}" is nothing a link can do`,
        near === undefined ? `choose of ${Object.keys(WORDS).join(", ")}` : `did you mean ${near}?`,
      );
    }
    if (places[name] !== undefined) throw new ImpairSyntaxError(text, start, word.length, `${name} is given twice`, "leave one of them away");
    if (equals < 0) throw new ImpairSyntaxError(text, start, word.length, `${name} needs a value`, `give ${known.form}`);
    const value = word.slice(equals + 1).trim(),
      valueAt = start + word.length - word.slice(equals + 1).trimStart().length;
    const read = known.read(value);
    if (read === undefined) throw new ImpairSyntaxError(text, valueAt, value.length, `${name}: "${value}" does not do`, `give ${known.form}`);
    found[known.field] = read;
    places[name] = { at: start, length: word.length };
  }
  const result = {
    loss: 0,
    delayMs: 0,
    jitterMs: 0,
    reorder: 0,
    duplicate: 0,
    corrupt: 0,
    rateBps: Infinity,
    limit: 1000,
    direction: "both",
    seed,
    ...found,
  } as Impairment;
  const reorder = places["reorder"],
    jitter = places["jitter"];
  if (reorder !== undefined && result.reorder > 0 && result.delayMs === 0) {
    throw new ImpairSyntaxError(text, reorder.at, reorder.length, "reorder needs delay: without it there is nothing to overtake", "add delay=10ms");
  }
  if (jitter !== undefined && result.jitterMs > result.delayMs) {
    throw new ImpairSyntaxError(
      text,
      jitter.at,
      jitter.length,
      "jitter is larger than delay: a frame would arrive before it is sent",
      `add delay=${result.jitterMs}ms or more`,
    );
  }
  return result;
}

/** The known word with at most two letters changed, left away, added or swapped. */
function nearest(name: string): string | undefined {
  let best: string | undefined,
    least = 3;
  for (const word of Object.keys(WORDS)) {
    const d = distance(name, word);
    if (d < least && d < word.length) [best, least] = [word, d];
  }
  return best;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
