/** The words for what happened. The core emits values; this file alone turns them into sentences. */
import type { Cause, ClosedBy, TcpEvent } from "../tcp/events.js";
import type { TimerName } from "../tcp/timers.js";

const FLAG_NAMES: Readonly<Record<string, string>> = { S: "SYN", F: "FIN", R: "RST", P: "PSH", U: "URG", E: "ECE", W: "CWR", ".": "ACK" };
const flagWords = new Map<string, string>();

/** "S." as "SYN,ACK". */
export function wordsOf(flags: string): string {
  let words = flagWords.get(flags);
  if (words === undefined) {
    words = flags === "" ? "segment without flags" : [...flags].map((f) => FLAG_NAMES[f] ?? f).join(",");
    flagWords.set(flags, words);
  }
  return words;
}

const TIMER_WORDS: Readonly<Record<TimerName, string>> = {
  retransmit: "retransmission timer ran out",
  tailLossProbe: "tail loss probe is due",
  reorder: "reordering window is over",
  persist: "window probe is due",
  delayedAck: "delayed ACK is due",
  pace: "held-back segment is due",
  keepAlive: "keep-alive probe is due",
  user: "user timeout ran out",
  finWait2: "nobody waits for the peer's FIN any longer",
  timeWait: "2 MSL are over",
};

export function causeWords(cause: Cause): string {
  switch (cause.kind) {
    case "segment":
      return cause.len > 0 ? `${wordsOf(cause.flags)} with ${cause.len} octets arrived` : `${wordsOf(cause.flags)} arrived`;
    case "call":
      return `application called ${cause.call}`;
    case "timer":
      return TIMER_WORDS[cause.timer];
    case "icmp":
      return `ICMP type ${cause.type} code ${cause.code} arrived`;
  }
}

export const BY_WORDS: Readonly<Record<ClosedBy, string>> = {
  local: "closed by us first",
  peer: "closed by the peer first",
  both: "closed by both at once",
  reset: "reset by the peer",
  abort: "aborted by the application",
  refused: "refused by the peer",
  timeout: "given up: no answer in time",
  unreachable: "unreachable, says ICMP",
  limit: "shed at a limit",
  shutdown: "reset at shutdown",
};

/** What stands between the numbers of a `closed` line, in this order. */
export const CLOSED_WORDS = { rx: "; ", tx: " octets in, ", retransmits: " out, ", end: " retransmissions" } as const;

/** One sentence for an event: the `msg` of its log line. @param arrow how "→" is written, see lines.ts */
export function wording(e: TcpEvent, arrow = "→"): string {
  switch (e.kind) {
    case "transition":
      return e.sent === ""
        ? `${e.from} ${arrow} ${e.to}: ${causeWords(e.cause)}`
        : `${e.from} ${arrow} ${e.to}: ${causeWords(e.cause)}, sent ${wordsOf(e.sent)}`;
    case "closed":
      return `${BY_WORDS[e.by]}${CLOSED_WORDS.rx}${e.rxBytes}${CLOSED_WORDS.tx}${e.txBytes}${CLOSED_WORDS.retransmits}${e.retransmits}${CLOSED_WORDS.end}`;
    case "refused":
      return `refused: ${causeWords(e.cause)}`;
    case "reset":
      return e.direction === "in" ? "RST accepted" : "RST sent";
    case "drop":
      return e.detail === undefined ? "dropped" : `dropped: ${causeWords(e.detail)}`;
    case "timer":
      return `${TIMER_WORDS[e.timer]}${e.n > 1 ? `, ${e.n} in a row` : ""}`;
    case "segment":
      return `${e.dir === "in" ? "<" : ">"} ${e.flags} ${e.relSeq}:${e.relSeq + e.len}(${e.len}) ack ${e.relAck} win ${e.win}${e.options === "" ? "" : ` <${e.options}>`}${e.segments > 1 ? ` in ${e.segments} segments` : ""}${e.retransmission ? " again" : ""}`;
    case "congestion":
      return `congestion control: ${e.phase}, cwnd ${e.cwnd}`;
    case "flood":
      return `SYN flood suspected: ${e.halfOpen} half-open from ${e.sources} sources, ${e.cookiesSent} cookies sent`;
    case "limit":
      return `limit ${e.limit} (${e.value}) reached: ${e.shed} shed`;
    case "fault":
      return `fault ${e.fault}: ${e.act}${e.detail === "" ? "" : ` (${e.detail})`}`;
  }
}
