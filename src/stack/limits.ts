/** What the stack as a whole will hold and answer, each with its reason. At a limit the newest or least valuable goes. */
import type { OptionSpec } from "../tcp/options.js";

const num = (
  dflt: number,
  min: number,
  max: number,
  unit: "ms" | "octets" | "segments" | "times" | "per second" | "count",
  source: string,
  why: string,
): OptionSpec & { kind: "number" } => ({ kind: "number", default: dflt, min, max, unit, source, why });

export const LIMITS = {
  memory: num(256 * 1024 * 1024, 2 * 1024 * 1024, 2 ** 31, "octets", "hard bound", "pages for all connections together; taken from the system only when used"),
  maxConnections: num(
    262_144,
    1,
    4_194_304,
    "count",
    "RFC 9293 §3.10.1 (insufficient resources)",
    "connections in every state but TIME-WAIT; a SYN above it is dropped",
  ),
  maxPerSource: num(0, 0, 4_194_304, "count", "full-connection attacks", "connections of one address; 0: no limit"),
  synBacklog: num(1_024, 1, 1_048_576, "count", "RFC 4987 §3.2; Linux tcp_max_syn_backlog", "half-open connections of all listeners before cookies"),
  acceptBacklog: num(
    511,
    1,
    65_535,
    "count",
    "node:net listen(backlog); Linux somaxconn",
    "established connections that the application of one listener has not taken; above it SYNs are dropped and last ACKs ignored",
  ),
  maxTimeWait: num(65_536, 0, 4_194_304, "count", "Linux tcp_max_tw_buckets", "TIME-WAIT entries; the oldest goes"),
  maxOrphans: num(8_192, 0, 4_194_304, "count", "Linux tcp_max_orphans", "connections that no application holds; above it they are reset"),
  maxFragments: num(4 * 1024 * 1024, 0, 2 ** 30, "octets", "Linux ipfrag_high_thresh", "fragments that wait for the rest of their datagram"),
  fragmentTimeout: num(30_000, 1, 120_000, "ms", "RFC 1122 §3.3.2 (60 to 120 s); Linux 30 s", "how long they wait"),
  icmpRate: num(1_000, 0, 1_000_000, "per second", "RFC 1812 §4.3.2.8; Linux icmp_msgs_per_sec", "ICMP errors that we send; echo replies are not limited"),
  resetRate: num(10_000, 0, 10_000_000, "per second", "BSD net.inet.icmp.icmplim", "RSTs for segments that belong to no connection"),
} as const satisfies Record<string, OptionSpec>;
export type LimitName = keyof typeof LIMITS;
export type StackLimits = { -readonly [K in LimitName]: number };
export const LIMIT_DEFAULTS: Readonly<StackLimits> = Object.freeze(Object.fromEntries(Object.entries(LIMITS).map(([k, o]) => [k, o.default])) as StackLimits);

/** SYN cookies (RFC 4987 §3.6): when the SYN backlog is full, never, or for every SYN. */
export type SynCookies = "auto" | "off" | "always";
