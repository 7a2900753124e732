/** Words and values of the fault language, and the error that points at the wrong one. */

/** A spec that cannot be read. `message` is one sentence; `pointer` shows the text with a caret under the wrong word. */
export class FaultSpecError extends Error {
  override readonly name = "FaultSpecError";
  /** The whole spec, and which octets of it are wrong. */
  readonly text: string;
  readonly at: number;
  readonly length: number;
  constructor(text: string, at: number, length: number, why: string) {
    super(why);
    this.text = text;
    this.at = at;
    this.length = Math.max(1, length);
  }
  /** The line of the spec and, under it, a caret for each character of the wrong word. */
  get pointer(): string {
    const from = this.text.lastIndexOf("\n", this.at - 1) + 1;
    const to = this.text.indexOf("\n", this.at);
    const line = this.text.slice(from, to < 0 ? undefined : to);
    return `${line}\n${" ".repeat(this.at - from)}${"^".repeat(this.length)}`;
  }
}

export interface Word {
  readonly text: string;
  readonly at: number;
}

/**
 * Cuts a spec into words. `--port=80`, `--port 80`, `port=80` and `port 80` are the same; `;` and line ends part rules,
 * and `:` after a word closes a scope. `#` starts a comment.
 */
export function words(text: string): Word[] {
  const out: Word[] = [];
  const pattern = /#[^\n]*|[;\n]|[^\s;=#]+|=/g;
  for (let m = pattern.exec(text); m !== null; m = pattern.exec(text)) {
    let word = m[0];
    let at = m.index;
    if (word.startsWith("#") || word === "=") continue;
    if (word === "\n") word = ";";
    if (word.startsWith("--") && word.length > 2) {
      word = word.slice(2);
      at += 2;
    }
    if (word.length > 1 && word.endsWith(":")) {
      out.push({ text: word.slice(0, -1), at }, { text: ":", at: at + word.length - 1 });
    } else out.push({ text: word, at });
  }
  return out;
}

/** What was probably meant: the nearest known word within two edits. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestCost = Math.min(3, word.length);
  for (const k of known) {
    const cost = edits(word.toLowerCase(), k);
    if (cost < bestCost) {
      best = k;
      bestCost = cost;
    }
  }
  return best;
}

/** Edit distance in which swapping two neighbours counts once, for that is what fingers do. */
function edits(a: string, b: string): number {
  let before: number[] = [];
  let last: number[] = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      let cost = Math.min((last[j] as number) + 1, (row[j - 1] as number) + 1, (last[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (before[j - 2] as number) + 1);
      row.push(cost);
    }
    before = last;
    last = row;
  }
  return last[b.length] as number;
}

/** `low` to `high`, both included. */
export interface Span {
  readonly low: number;
  readonly high: number;
}

const UNITS: Readonly<Record<string, number>> = { "": 1, b: 1, k: 1000, kb: 1000, kib: 1024, m: 1e6, mb: 1e6, mib: 1 << 20, g: 1e9, gb: 1e9, gib: 2 ** 30 };
/** Octets: `100`, `100_000`, `10kB`, `64KiB`, `1MB`. */
export function parseSize(text: string): number | undefined {
  const m = /^(\d[\d_]*(?:\.\d+)?)([a-z]*)$/i.exec(text);
  const unit = UNITS[m?.[2]?.toLowerCase() ?? "?"];
  return m === null || unit === undefined ? undefined : Math.round(Number((m[1] as string).replaceAll("_", "")) * unit);
}

const TIMES: Readonly<Record<string, number>> = { ms: 1, s: 1000, sec: 1000, m: 60_000, min: 60_000, h: 3_600_000, us: 0.001 };
/** Milliseconds: `200ms`, `3s`, `0.5s`, `2m`, `1h`. */
export function parseDuration(text: string): number | undefined {
  const m = /^(\d+(?:\.\d+)?)(us|ms|s|sec|m|min|h)$/i.exec(text);
  return m === null ? undefined : Number((Number(m[1]) * (TIMES[(m[2] as string).toLowerCase()] as number)).toPrecision(12));
}

/** A share from 0 to 1: `5%`, `0.05`. */
export function parseShare(text: string): number | undefined {
  const m = /^(\d+(?:\.\d+)?)(%?)$/.exec(text);
  if (m === null) return undefined;
  const share = Number((m[2] === "%" ? Number(m[1]) / 100 : Number(m[1])).toPrecision(12));
  return share <= 1 ? share : undefined;
}

/** Bits a second: `10mbit`, `500kbit`, `100B/s`, `10kB/s`. */
export function parseRate(text: string): number | undefined {
  const bits = /^(\d+(?:\.\d+)?)(|k|m|g)bit(?:\/s)?$/i.exec(text);
  if (bits !== null) return Number(bits[1]) * (UNITS[(bits[2] as string).toLowerCase()] as number);
  const octets = text.endsWith("/s") ? parseSize(text.slice(0, -2)) : undefined;
  return octets === undefined ? undefined : octets * 8;
}

/** `5`, `1-3`, `2..4`, `3..`, `..9`, `>5`, `<5` with the given reader for each end. */
export function parseSpan(text: string, one: (t: string) => number | undefined): Span | undefined {
  const compare = /^([<>]=?)(.+)$/.exec(text);
  if (compare !== null) {
    const n = one(compare[2] as string);
    if (n === undefined) return undefined;
    switch (compare[1]) {
      case "<":
        return { low: 0, high: n - 1 };
      case "<=":
        return { low: 0, high: n };
      case ">":
        return { low: n + 1, high: Infinity };
      default:
        return { low: n, high: Infinity };
    }
  }
  const cut = text.indexOf("..") >= 0 ? ".." : "-";
  const i = text.indexOf(cut);
  if (i < 0) {
    const n = one(text);
    return n === undefined ? undefined : { low: n, high: n };
  }
  const from = text.slice(0, i),
    to = text.slice(i + cut.length);
  const low = from === "" && cut === ".." ? 0 : one(from);
  const high = to === "" && cut === ".." ? Infinity : one(to);
  return low === undefined || high === undefined || low > high || text === cut ? undefined : { low, high };
}

export const parseWhole = (text: string): number | undefined => (/^\d[\d_]*$/.test(text) ? Number(text.replaceAll("_", "")) : undefined);

const trim = (n: number): string => String(Number(n.toPrecision(15)));
export const formatDuration = (ms: number): string => (ms >= 1000 && ms % 100 === 0 ? `${trim(ms / 1000)}s` : `${trim(ms)}ms`);
export const formatShare = (share: number): string => `${Number((share * 100).toPrecision(12))}%`;
export function formatRate(bits: number): string {
  for (const [unit, size] of [
    ["gbit", 1e9],
    ["mbit", 1e6],
    ["kbit", 1e3],
  ] as const)
    if (bits >= size && bits % (size / 1000) === 0) return `${trim(bits / size)}${unit}`;
  return `${trim(bits)}bit`;
}
export const formatSpan = (s: Span, one: (n: number) => string = String): string =>
  s.low === s.high ? one(s.low) : `${one(s.low)}..${s.high === Infinity ? "" : one(s.high)}`;
