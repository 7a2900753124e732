/**
 * The little language of the tests by RFC: packetdrill's segments, a word for each user call, and the state.
 *
 *     +0    <  R   5:5(0) ack 1 win 0        a segment arrives (times are seconds after the line before)
 *     +.2   >  .   1:1(0) ack 1 win 9000     one leaves, at just that time; what leaves and is not written fails the script
 *     +0    <  icmp 3/4 1 mtu 1000           an ICMP error that quotes our sequence number 1
 *     +0    send 100 -> 100                  a user call and what it returns
 *     +3                                     time passes, and nothing is sent in it
 *     =  ESTABLISHED                         the state
 *
 * Sequence numbers count from the sender's ISN, so a SYN is 0. A number is a sum: `R+5`, `N`, `A-1`, with the letters that
 * the caller gives. `win`, `urg` of what leaves are compared when written. Options of what leaves are compared always,
 * `<*>` takes any; the timestamps that both ends agreed on need not be written.
 */
import { ACK, CWR, ECE, FIN, PSH, RST, SYN, URG } from "../../src/wire/segment.js";

export interface Options {
  readonly mss?: number;
  readonly wscale?: number;
  readonly sackOk?: boolean;
  readonly ts?: { readonly val: number | undefined; readonly ecr: number | undefined } | "none";
  readonly sack?: readonly (readonly [number, number])[];
  /** Octets as they stand, in hexadecimal: what no well-behaved peer sends. */
  readonly raw?: string;
  readonly uto?: number;
}
export interface SegmentLine {
  readonly kind: "segment";
  readonly ctl: number;
  /** PSH is compared only when the script writes it. */
  readonly psh: boolean;
  readonly seq: number;
  readonly length: number;
  readonly ack: number | undefined;
  readonly win: number | undefined;
  readonly urg: number | undefined;
  readonly ce: number | undefined;
  readonly options: Options | "any" | undefined;
}
export interface IcmpLine {
  readonly kind: "icmp";
  readonly type: number;
  readonly code: number;
  readonly seq: number;
  readonly mtu: number;
}
export type Line =
  | { readonly text: string; readonly after: number; readonly is: "in" | "out"; readonly packet: SegmentLine | IcmpLine }
  | {
      readonly text: string;
      readonly after: number;
      readonly is: "call";
      readonly call: string;
      readonly args: readonly string[];
      readonly result: number | string | undefined;
    }
  | { readonly text: string; readonly after: number; readonly is: "pass" }
  | { readonly text: string; readonly after: 0; readonly is: "state"; readonly state: string };

const LETTERS: Readonly<Record<string, number>> = { F: FIN, S: SYN, R: RST, P: PSH, ".": ACK, U: URG, E: ECE, W: CWR };

export function parse(script: string, letters: Readonly<Record<string, number>> = {}): Line[] {
  return script.split("\n").flatMap((raw) => {
    const text = raw.replace(/\/\/.*$/, "").trim();
    if (text === "") return [];
    try {
      return [line(text, (sum) => number(sum, letters))];
    } catch (e) {
      throw new Error(`"${text}": ${(e as Error).message}`);
    }
  });
}

function line(text: string, n: (sum: string) => number): Line {
  if (text.startsWith("=")) return { text, after: 0, is: "state", state: text.slice(1).trim() };
  const m = /^\+(\d*\.?\d*)\s*(.*)$/.exec(text);
  if (m === null || m[1] === "") throw new Error("a line starts with +SECONDS or =");
  const after = Number(m[1]) * 1_000,
    rest = m[2] as string;
  if (rest === "") return { text, after, is: "pass" };
  if (rest.startsWith("<") || rest.startsWith(">")) return { text, after, is: rest.startsWith("<") ? "in" : "out", packet: packet(rest.slice(1).trim(), n) };
  const [before = "", result] = rest.split("->").map((part) => part.trim());
  const [call = "", ...args] = before.split(/\s+/);
  return { text, after, is: "call", call, args, result: result === undefined ? undefined : /^[-\d]/.test(result) ? Number(result) : result };
}

function packet(text: string, n: (sum: string) => number): SegmentLine | IcmpLine {
  const icmp = /^icmp\s+(\d+)\/(\d+)(?:\s+(\S+))?(?:\s+mtu\s+(\d+))?$/.exec(text);
  if (icmp !== null) return { kind: "icmp", type: Number(icmp[1]), code: Number(icmp[2]), seq: n(icmp[3] ?? "0"), mtu: Number(icmp[4] ?? 0) };
  const m = /^([FSRP.UEW]+|-)\s+([^\s:]+):([^\s(]+)\((\d+)\)((?:\s+(?:ack|win|urg|ecn)\s+\S+)*)(?:\s+<([^>]*)>)?$/.exec(text);
  if (m === null) throw new Error("not a segment");
  let ctl = 0;
  for (const letter of m[1] === "-" ? "" : (m[1] as string)) ctl |= LETTERS[letter] as number;
  const seq = n(m[2] as string),
    length = Number(m[4]);
  if (n(m[3] as string) - seq !== length) throw new Error("end, start and length do not agree");
  const fields = new Map<string, number>();
  for (const [, name = "", value = ""] of (m[5] as string).matchAll(/(ack|win|urg|ecn)\s+(\S+)/g)) fields.set(name, n(value));
  return {
    kind: "segment",
    ctl,
    psh: (ctl & PSH) !== 0,
    seq,
    length,
    ack: fields.get("ack"),
    win: fields.get("win"),
    urg: fields.get("urg"),
    ce: fields.get("ecn"),
    options: m[6] === undefined ? undefined : m[6].trim() === "*" ? "any" : options(m[6], n),
  };
}

export function options(text: string, n: (sum: string) => number = Number): Options {
  const out: { -readonly [K in keyof Options]: Options[K] } = {};
  for (const part of text.split(",").map((p) => p.trim())) {
    const [name = "", ...args] = part.split(/\s+/);
    switch (name) {
      case "mss":
        out.mss = n(args[0] as string);
        break;
      case "wscale":
        out.wscale = n(args[0] as string);
        break;
      case "sackOK":
        out.sackOk = true;
        break;
      case "nots":
        out.ts = "none";
        break;
      case "uto":
        out.uto = n(args[0] as string);
        break;
      case "TS":
        out.ts = {
          val: args[1] === undefined || args[1] === "_" ? undefined : n(args[1]),
          ecr: args[3] === undefined || args[3] === "_" ? undefined : n(args[3]),
        };
        break;
      case "sack":
        out.sack = args.map((block) => {
          const [left = "", right = ""] = block.split(":");
          return [n(left), n(right)] as const;
        });
        break;
      case "raw":
        out.raw = args.join("");
        break;
      default:
        throw new Error(`unknown option "${part}"`);
    }
  }
  return out;
}

function number(sum: string, letters: Readonly<Record<string, number>>): number {
  let total = 0;
  for (const [whole, sign, term = ""] of sum.matchAll(/([+-]?)([A-Z]|\d+)/g)) {
    const value = /\d/.test(term) ? Number(term) : letters[term];
    if (value === undefined) throw new Error(`the letter ${term} stands for nothing here`);
    total += sign === "-" ? -value : value;
    if (whole === "") break;
  }
  if (!/^([+-]?([A-Z]|\d+))+$/.test(sum)) throw new Error(`"${sum}" is not a number`);
  return total;
}
