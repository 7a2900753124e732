/** Whether a packet that the host sent is the one that the script expects (language §3, §6). */
import { ACK, CWR, ECE, FIN, PSH, RST, SYN, URG } from "../wire/segment.js";
import type { EcnMark, TcpAction, TcpOption } from "./ast.js";
import { formatFlags, formatOption } from "./format.js";
import { optionOctets } from "./parse-packet.js";
import type { Captured, Packet } from "./wire.js";

export interface MatchRules {
  /** Compare PSH. */
  readonly psh: boolean;
  /** Options of a SYN must come in the order written. */
  readonly synOptionOrder: boolean;
  readonly compareWindow: boolean;
  readonly compareSynOptions: boolean;
}

/** Bits in which a segment of a burst must agree with the one before it. */
const SAME = SYN | RST | ACK | URG | ECE;

/** Whether `next` continues `burst` (language §6.6); `lastLength` is the length of the segment taken last. */
export function continues(burst: Captured, next: Captured, lastLength: number): boolean {
  return (
    next.sequence === (burst.sequence + burst.length) % 2 ** 32 &&
    next.acknowledgment === burst.acknowledgment &&
    next.window === burst.window &&
    (next.flags & SAME) === (burst.flags & SAME) &&
    (burst.flags & FIN) === 0 &&
    next.length > 0 &&
    next.length <= lastLength &&
    octets(next.options) === octets(burst.options)
  );
}
const octets = (options: readonly TcpOption[]): number => options.reduce((n, o) => n + optionOctets(o), 0);

/** What is compared of a burst: numbers and CWR of the first, FIN, PSH, options and time of the last. */
export function join(burst: Captured, next: Captured): Captured {
  return {
    ...next,
    sequence: burst.sequence,
    length: burst.length + next.length,
    flags: (next.flags & ~CWR) | (burst.flags & CWR),
    fault: burst.fault ?? next.fault,
  };
}

const MARKS: Readonly<Record<EcnMark, readonly number[]>> = { noecn: [0], ect1: [1], ect0: [2], ce: [3], ect01: [1, 2] };

/** @param got in script numbers; timestamps as on the wire. @returns the first thing that differs, or undefined */
export function mismatch(want: TcpAction, got: Packet, rules: MatchRules): string | undefined {
  const { seq } = want;
  if (want.seq.length !== got.length) return `expected ${want.seq.length} octets of text, got ${got.length}`;
  const ignored = rules.psh ? 0 : PSH;
  if (((want.flags ^ got.flags) & ~ignored) !== 0) return `flags differ: wanted ${formatFlags(want.flags)}, got ${formatFlags(got.flags)}`;
  if (seq.mode !== "any" && seq.first !== got.sequence) return `sequence number differs: wanted ${seq.first}, got ${got.sequence}`;
  if ((want.ack?.value ?? 0) !== got.acknowledgment) return `acknowledgment differs: wanted ${want.ack?.value ?? "none (0)"}, got ${got.acknowledgment}`;
  if (want.window !== undefined && rules.compareWindow && want.window !== got.window) return `window differs: wanted ${want.window}, got ${got.window}`;
  if (want.urgent !== got.urgent) return `urgent pointer differs: wanted ${want.urgent}, got ${got.urgent}`;
  if (want.ports !== undefined && (want.ports.source !== got.sourcePort || want.ports.destination !== got.destinationPort)) {
    return `ports differ: wanted ${want.ports.source} > ${want.ports.destination}, got ${got.sourcePort} > ${got.destinationPort}`;
  }
  const { ip } = want;
  if (ip.ecn !== undefined && !MARKS[ip.ecn].includes(got.tos & 3))
    return `ECN field differs: wanted ${ip.ecn}, got ${["noecn", "ect1", "ect0", "ce"][got.tos & 3]}`;
  if (ip.tos !== undefined && ip.tos !== got.tos) return `type of service differs: wanted 0x${ip.tos.toString(16)}, got 0x${got.tos.toString(16)}`;
  if (ip.ttl !== undefined && ip.ttl !== got.ttl) return `time to live differs: wanted ${ip.ttl}, got ${got.ttl}`;
  return optionMismatch(want, got, rules);
}

function optionMismatch(want: TcpAction, got: Packet, rules: MatchRules): string | undefined {
  if (want.options === "any") return undefined;
  const syn = (got.flags & SYN) !== 0;
  if (syn && !rules.compareSynOptions) return undefined;
  let wanted = want.options,
    present = got.options;
  if (syn && !rules.synOptionOrder) {
    // Which padding goes where on a SYN is the host's choice; what it says is not.
    wanted = sorted(wanted);
    present = sorted(present);
  }
  const count = Math.max(wanted.length, present.length);
  for (let i = 0; i < count; i++) {
    const a = wanted[i],
      b = present[i];
    if (a === undefined) return `option "${formatOption(b as TcpOption)}" is not wanted`;
    if (b === undefined) return `option "${formatOption(a)}" is missing`;
    // Timestamp values have rules of their own.
    if (a.kind === "TS" && b.kind === "TS") continue;
    if (formatOption(a) !== formatOption(b)) return `option differs: wanted "${formatOption(a)}", got "${formatOption(b)}"`;
  }
  return undefined;
}
function sorted(options: readonly TcpOption[]): TcpOption[] {
  return options.filter((o) => o.kind !== "nop" && o.kind !== "eol").sort((a, b) => (a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : 0));
}

export const stampOf = (options: readonly TcpOption[] | "any"): { val: number; ecr: number } | undefined => {
  if (options === "any") return undefined;
  for (const o of options) if (o.kind === "TS") return o;
  return undefined;
};
