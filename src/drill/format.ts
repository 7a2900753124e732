/** Packets as scripts write them, for messages and `--trace`. */
import { ACK, CWR, ECE, FIN, PSH, RST, SYN, URG } from "../wire/segment.js";
import { AE, type TcpOption } from "./ast.js";
import type { Packet } from "./wire.js";

const LETTERS: readonly (readonly [bit: number, letter: string])[] = [
  [SYN, "S"],
  [FIN, "F"],
  [RST, "R"],
  [PSH, "P"],
  [URG, "U"],
  [ECE, "E"],
  [CWR, "W"],
  [AE, "A"],
  [ACK, "."],
];

export function formatFlags(flags: number): string {
  const text = LETTERS.filter(([bit]) => flags & bit)
    .map(([, letter]) => letter)
    .join("");
  return text === "" ? "-" : text;
}

export function formatOption(o: TcpOption): string {
  switch (o.kind) {
    case "mss":
    case "wscale":
      return `${o.kind} ${o.value}`;
    case "TS":
      return `TS val ${o.val} ecr ${o.ecr}`;
    case "sack":
      return `sack ${o.blocks.map(([l, r]) => `${l}:${r}`).join(" ")}`;
    case "raw":
      return `gen-${o.number}${o.data.length > 0 ? ` 0x${Buffer.from(o.data).toString("hex")}` : ""}`;
    default:
      return o.kind;
  }
}
export const formatOptions = (options: readonly TcpOption[]): string => (options.length === 0 ? "" : ` <${options.map(formatOption).join(",")}>`);

const ECN = ["", "[ect1] ", "[ect0] ", "[ce] "];

/** `P. 1:1001(1000) ack 1 win 257 <nop,nop,TS val 10 ecr 5>`. */
export function formatPacket(p: Packet): string {
  const last = (p.sequence + p.length) % 2 ** 32;
  return `${ECN[p.tos & 3]}${formatFlags(p.flags)} ${p.sequence}:${last}(${p.length})${p.flags & ACK || p.acknowledgment !== 0 ? ` ack ${p.acknowledgment}` : ""} win ${p.window}${p.flags & URG || p.urgent !== 0 ? ` urg ${p.urgent}` : ""}${formatOptions(p.options)}`;
}

/** Microseconds as seconds, with no more digits than it takes. */
export const formatTime = (us: number): string => (Math.round(us) / 1e6).toFixed(6).replace(/0{1,5}$/, "");
