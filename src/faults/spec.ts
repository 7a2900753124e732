/** What a fault is: which segments it means (`Match`) and what happens to them (`Action`). Plain data; parse.ts makes it from text. */
import type { State } from "../tcp/state.js";
import type { Prefix } from "../wire/ipv4.js";
import { formatAddress } from "../wire/ipv4.js";
import { formatCtl } from "../wire/segment.js";
import { formatDuration, formatRate, formatShare, formatSpan, type Span } from "./words.js";

/** `in`: from the peer to our stack. `out`: from our stack to the peer. */
export type Direction = "in" | "out";

/** What a segment is in the life of its connection. A segment can be several: a FIN with text is `data` and `fin`. */
export const CLASSES = {
  syn: "SYN without ACK: somebody opens",
  synack: "SYN,ACK: the answer to it",
  ack3: "the pure ACK that completes the handshake",
  data: "carries text (probes excepted)",
  fin: "carries FIN",
  finack: "acknowledges a FIN",
  lastack: "acknowledges a FIN when both sides have sent theirs: the last step of a close",
  rst: "carries RST",
  ack: "a pure ACK: no text, no SYN, FIN or RST",
  dupack: "a pure ACK that repeats the one before while text is outstanding (RFC 5681 §2)",
  probe: "asks a closed window whether it has opened (RFC 9293 §3.8.6.1)",
  keepalive: "asks an idle peer whether it is there (RFC 9293 §3.8.4)",
  rexmit: "was sent before: text, SYN or FIN at sequence numbers already seen",
} as const;
export type SegmentClass = keyof typeof CLASSES;

export interface Match {
  /** Our ports. */
  ports?: readonly Span[];
  /** The peer's address and ports. */
  source?: Prefix;
  sourcePorts?: readonly Span[];
  /** Connection numbers, as `ss` and `trace` show them. */
  conns?: readonly Span[];
  direction?: Direction;
  classes?: readonly SegmentClass[];
  /** All control bits, exactly; or some that must be there. */
  flags?: number;
  has?: number;
  /** Octets of text. */
  length?: Span;
  /** Our state when the segment passes. */
  states?: readonly State[];
  /** Octets of the direction's stream, from 0. A segment is cut so that the match begins (and ends) exactly there. */
  bytes?: Span;
  /** Milliseconds since the connection's first segment. */
  time?: Span;
  /** Which of the matching segments of each connection, from 1. */
  nth?: readonly Span[];
  every?: number;
  /** 0 to 1. */
  probability?: number;
  /** Acts at most so often, over all connections. */
  times?: number;
  /** Milliseconds since the fault was added. */
  lifeMs?: number;
}

/** Two-state loss (Gilbert 1960, Elliott 1963): chances to go bad, to go good again, and of loss in each state. */
export interface GilbertElliott {
  readonly toBad: number;
  readonly toGood: number;
  readonly lossBad: number;
  readonly lossGood: number;
}

export const FIELDS = ["window", "ack", "seq", "ttl", "mss", "urgent"] as const;
export type Field = (typeof FIELDS)[number];

export type Action =
  | { readonly do: "drop" }
  | { readonly do: "loss"; readonly share: number }
  | { readonly do: "burst"; readonly model: GilbertElliott }
  | { readonly do: "delay"; readonly ms: number; readonly jitterMs: number }
  | { readonly do: "duplicate"; readonly copies: number }
  /** Lets `by` later segments overtake it; waits no longer than `withinMs`. */
  | { readonly do: "reorder"; readonly by: number; readonly withinMs: number }
  /** Flips bits of the text (of the header if there is none). The checksum then betrays it, unless it is mended: `mangle`. */
  | { readonly do: "corrupt" | "mangle"; readonly bits: number }
  | { readonly do: "badsum" }
  | { readonly do: "truncate"; readonly to: number }
  | { readonly do: "split"; readonly size: number }
  | { readonly do: "rst" | "fin" }
  | { readonly do: "icmp"; readonly what: IcmpWhat; readonly mtu: number }
  | { readonly do: "set"; readonly field: Field; readonly relative: boolean; readonly value: number }
  /** The peer is given this initial sequence number instead of our own; all numbers are translated both ways. */
  | { readonly do: "isn"; readonly value: number }
  | { readonly do: "hold"; readonly ms: number }
  /** One queue for all that matches, `queue` segments deep. */
  | { readonly do: "rate"; readonly bits: number; readonly queue: number }
  /** From the first match on, nothing of the connection passes either way. */
  | { readonly do: "blackhole" };

/** Destination unreachable (RFC 792), by code. */
export const ICMP_CODES = { net: 0, host: 1, protocol: 2, port: 3, frag: 4, admin: 13 } as const;
export type IcmpWhat = keyof typeof ICMP_CODES;

export interface FaultSpec {
  readonly name?: string;
  readonly match: Match;
  readonly action: Action;
}

const list = <T>(items: readonly T[], one: (t: T) => string): string => items.map(one).join(",");

/** The canonical text of a fault; `parseFaults` reads it back to the same. */
export function formatFault(spec: FaultSpec): string {
  const m = spec.match;
  const out: string[] = [];
  if (spec.name !== undefined) out.push(`as ${spec.name}`);
  if (m.ports) out.push(`port ${list(m.ports, (s) => formatSpan(s))}`);
  if (m.source) out.push(`source ${formatAddress(m.source.address)}${m.source.bits === 32 ? "" : `/${m.source.bits}`}`);
  if (m.sourcePorts) out.push(`source-port ${list(m.sourcePorts, (s) => formatSpan(s))}`);
  if (m.conns) out.push(`conn ${list(m.conns, (s) => formatSpan(s))}`);
  if (m.direction) out.push(m.direction);
  if (m.classes) out.push(`match ${m.classes.join(",")}`);
  if (m.flags !== undefined) out.push(`flags ${formatCtl(m.flags) || "none"}`);
  if (m.has !== undefined) out.push(`has ${formatCtl(m.has)}`);
  if (m.length) out.push(`len ${formatSpan(m.length)}`);
  if (m.states) out.push(`state ${m.states.join(",")}`);
  if (m.bytes) out.push(`byte ${formatSpan(m.bytes)}`);
  if (m.time) out.push(`time ${formatSpan(m.time, formatDuration)}`);
  if (m.nth) out.push(`nth ${list(m.nth, (s) => formatSpan(s))}`);
  if (m.every !== undefined) out.push(`every ${m.every}`);
  if (m.probability !== undefined) out.push(`probability ${formatShare(m.probability)}`);
  if (m.times !== undefined) out.push(`times ${m.times}`);
  if (m.lifeMs !== undefined) out.push(`for ${formatDuration(m.lifeMs)}`);
  out.push(formatAction(spec.action));
  return out.join(" ");
}

export function formatAction(a: Action): string {
  switch (a.do) {
    case "drop":
    case "badsum":
    case "rst":
    case "fin":
    case "blackhole":
      return a.do;
    case "loss":
      return `loss ${formatShare(a.share)}`;
    case "burst":
      return `burst ${formatShare(a.model.toBad)} ${formatShare(a.model.toGood)} ${formatShare(a.model.lossBad)} ${formatShare(a.model.lossGood)}`;
    case "delay":
      return `delay ${formatDuration(a.ms)}${a.jitterMs > 0 ? ` jitter ${formatDuration(a.jitterMs)}` : ""}`;
    case "duplicate":
      return `duplicate ${a.copies}`;
    case "reorder":
      return `reorder ${a.by} within ${formatDuration(a.withinMs)}`;
    case "corrupt":
    case "mangle":
      return `${a.do} ${a.bits}`;
    case "truncate":
      return `truncate ${a.to}`;
    case "split":
      return `split ${a.size}`;
    case "icmp":
      return a.what === "frag" ? `icmp frag ${a.mtu}` : `icmp ${a.what}`;
    case "set":
      return `set ${a.field} ${a.relative && a.value >= 0 ? "+" : ""}${a.value}`;
    case "isn":
      return `isn ${a.value}`;
    case "hold":
      return a.ms === Infinity ? "hold" : `hold ${formatDuration(a.ms)}`;
    case "rate":
      return `rate ${formatRate(a.bits)} queue ${a.queue}`;
  }
}
