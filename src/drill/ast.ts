/** What a script says, read but not yet run. Times are microseconds, sequence numbers the script's own. */
import type { Position } from "./errors.js";
import type { Code } from "./python.js";

export type Time =
  | { readonly kind: "relative" | "absolute"; readonly us: number }
  | { readonly kind: "relativeRange" | "absoluteRange"; readonly us: number; readonly endUs: number }
  | { readonly kind: "any" };

export interface Script {
  readonly options: readonly ScriptOption[];
  readonly init: readonly Command[];
  readonly events: readonly ScriptEvent[];
  readonly cleanup: readonly Command[];
}

export interface ScriptOption extends Position {
  readonly name: string;
  /** "" where none is given. */
  readonly value: string;
}

export interface ScriptEvent extends Position {
  readonly time: Time;
  readonly action: Action;
}
export type Action = TcpAction | IcmpAction | CallAction | Command | CodeAction;

export interface Command extends Position {
  readonly kind: "command";
  readonly text: string;
}
export interface CodeAction {
  readonly kind: "code";
  readonly code: Code;
}

export type EcnMark = "noecn" | "ect0" | "ect1" | "ce" | "ect01";
export interface IpInfo {
  readonly ecn?: EcnMark;
  readonly tos?: number;
  readonly ttl?: number;
}

/** AE, the ninth control bit; the other eight are those of wire/segment.ts. */
export const AE = 256;

export interface SequenceRange {
  /** mapped: relative to the ISN; absolute: as on the wire (N's `!`); any: not checked. */
  readonly mode: "mapped" | "absolute" | "any";
  readonly first: number;
  readonly length: number;
}

export type TcpOption =
  | { readonly kind: "nop" | "eol" | "sackOK" }
  | { readonly kind: "mss" | "wscale"; readonly value: number }
  | { readonly kind: "sack"; readonly blocks: readonly (readonly [left: number, right: number])[] }
  | { readonly kind: "TS"; readonly val: number; readonly ecr: number }
  | { readonly kind: "raw"; readonly number: number; readonly data: Uint8Array };

export interface TcpAction {
  readonly kind: "tcp";
  readonly direction: "in" | "out";
  readonly ip: IpInfo;
  readonly ports: { readonly source: number; readonly destination: number } | undefined;
  /** Control bits. */
  readonly flags: number;
  readonly seq: SequenceRange;
  readonly ack: { readonly value: number; readonly absolute: boolean } | undefined;
  readonly window: number | undefined;
  readonly urgent: number;
  /** "any" is `<...>`; an empty list means that the packet has no options. */
  readonly options: readonly TcpOption[] | "any";
  /** As written, for messages. */
  readonly text: string;
}

export interface IcmpAction {
  readonly kind: "icmp";
  readonly ip: IpInfo;
  readonly type: number;
  readonly code: number;
  /** Next-hop MTU; undefined where the message has none. */
  readonly mtu: number | undefined;
  /** Sequence number of the segment that is quoted. */
  readonly quoted: SequenceRange;
  readonly text: string;
}

export interface CallAction {
  readonly kind: "call";
  readonly name: string;
  readonly args: readonly Expression[];
  readonly result: Expression;
  readonly errno: string | undefined;
  /** When a blocking call returns; undefined for a call that returns at once. */
  readonly end: Time | undefined;
  readonly text: string;
}

export type Expression = Position &
  (
    | { readonly kind: "ellipsis" }
    | { readonly kind: "number"; readonly value: number }
    | { readonly kind: "name"; readonly name: string }
    | { readonly kind: "string"; readonly value: string }
    | { readonly kind: "or"; readonly parts: readonly Expression[] }
    | { readonly kind: "list"; readonly items: readonly Expression[] }
    | { readonly kind: "struct"; readonly fields: readonly StructField[] }
    | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] }
  );
/** `events=POLLIN`, `msg_iov(2)=[…]`, or a bare value as in an iovec. */
export interface StructField {
  readonly name: string | undefined;
  readonly args: readonly Expression[];
  readonly value: Expression;
}
