/** What the flags -o, -e, -m and -i of ss add to a row, in its own words and order. */
import type { ConnectionRow } from "../../control/contract.js";
import type { State } from "../../tcp/state.js";
import type { TimerName } from "../../tcp/timers.js";
import type { Row } from "./row.js";

/** Times as ss prints them: 48 → "048ms", 1200 → "1.200ms", 59000 → "59sec", 7140000 → "119min". */
export function timerTime(ms: number): string {
  const total = Math.max(0, Math.round(ms));
  const minutes = Math.floor(total / 60_000);
  let seconds = Math.floor(total / 1_000) % 60,
    rest = total % 1_000;
  let text = "";
  if (minutes > 0) {
    rest = 0;
    text = `${minutes}min`;
    if (minutes > 9) seconds = 0;
  }
  if (seconds > 0) {
    if (seconds > 9) rest = 0;
    text += `${seconds}${rest > 0 ? "." : "sec"}`;
  }
  return rest > 0 ? `${text}${String(rest).padStart(3, "0")}ms` : text;
}

/** A span of time for people: 850ms, 12.3s, 5min, 2.5h. */
export const span = (ms: number): string =>
  ms < 1_000
    ? `${Math.round(ms)}ms`
    : ms < 60_000
      ? `${(ms / 1_000).toFixed(1)}s`
      : ms < 3_600_000
        ? `${Math.round(ms / 60_000)}min`
        : `${(ms / 3_600_000).toFixed(1)}h`;

/** ss knows on, keepalive, timewait and persist; the rest are timers that the kernel does not show. */
const TIMER_NAMES: Readonly<Record<TimerName, string>> = {
  retransmit: "on",
  tailLossProbe: "on",
  reorder: "on",
  persist: "persist",
  keepAlive: "keepalive",
  timeWait: "timewait",
  finWait2: "timewait",
  delayedAck: "delack",
  pace: "pace",
  user: "user",
};

export function timerText(c: ConnectionRow): string | undefined {
  return c.timer === undefined ? undefined : `timer:(${TIMER_NAMES[c.timer.name]},${timerTime(c.timer.inMs)},${c.backoff})`;
}

/** Which directions are still open, as ss draws it: "<->", "-->" after the peer's FIN, "<--" after ours. */
const ARROWS: Readonly<Record<State, string>> = {
  "CLOSED": "---",
  "LISTEN": "<->",
  "SYN-SENT": "<->",
  "SYN-RECEIVED": "<->",
  "ESTABLISHED": "<->",
  "FIN-WAIT-1": "<--",
  "FIN-WAIT-2": "<--",
  "CLOSE-WAIT": "-->",
  "CLOSING": "---",
  "LAST-ACK": "---",
  "TIME-WAIT": "---",
};

/** -e: our connection id stands where the kernel's inode does. */
export const extendedText = (row: Row): string =>
  `ino:${row.connection?.id ?? 0} sk:${(row.connection?.id ?? 0).toString(16)} ${ARROWS[row.state]}${row.connection?.orphan === true ? " orphan" : ""}`;

export interface BufferSizes {
  readonly receiveBuffer: number;
  readonly sendBuffer: number;
}

/** -m: octets received and not read (r), receive buffer (rb), send buffer (tb), octets in the send queue (w). */
export const memoryText = (row: Row, sizes: BufferSizes): string =>
  `skmem:(r${row.connection === undefined ? 0 : row.recvQ + row.connection.outOfOrder},rb${sizes.receiveBuffer},t0,tb${sizes.sendBuffer},f0,w${row.connection === undefined ? 0 : row.sendQ},o0,bl0,d0)`;

/** As printf's %g prints a time in milliseconds of which microseconds are known. */
const g = (ms: number): string => String(Number(ms.toFixed(3)));
const percent = (part: number, of: number): string => `(${((100 * part) / of).toFixed(1)}%)`;
const segments = (octets: number, mss: number): number => Math.ceil(octets / Math.max(1, mss));

/** -i. @param options -o as well: the negotiated options come first then, as ss does it */
export function infoText(c: ConnectionRow, options: boolean): string {
  const out: string[] = [];
  const add = (text: string): void => void out.push(text);
  const count = (name: string, n: number | undefined): void => {
    if (n !== undefined && n > 0) out.push(`${name}:${n}`);
  };
  if (options) {
    if (c.timestamps) add("ts");
    if (c.sack) add("sack");
    if (c.ecn) add("ecn");
  }
  add(c.congestion);
  if (c.sndWscale > 0 || c.rcvWscale > 0) add(`wscale:${c.sndWscale},${c.rcvWscale}`);
  add(`rto:${g(c.rto)}`);
  count("backoff", c.backoff);
  if (c.srtt !== undefined) add(`rtt:${g(c.srtt)}/${g(c.rttvar ?? 0)}`);
  add(`mss:${c.mss}`);
  add(`pmtu:${c.pmtu}`);
  add(`advmss:${c.advmss}`);
  add(`cwnd:${Math.max(1, Math.floor(c.cwnd / Math.max(1, c.mss)))}`);
  if (c.ssthresh !== undefined) add(`ssthresh:${Math.max(1, Math.floor(c.ssthresh / Math.max(1, c.mss)))}`);
  count("bytes_sent", c.bytesSent);
  count("bytes_retrans", c.bytesRetransmitted);
  count("bytes_acked", c.bytesAcked);
  count("bytes_received", c.bytesReceived);
  count("segs_out", c.segmentsOut);
  count("segs_in", c.segmentsIn);
  if (c.srtt !== undefined && c.srtt > 0) add(`send ${Math.round((c.cwnd * 8_000) / c.srtt)}bps`);
  if (c.lastDataSentMs !== undefined) add(`lastsnd:${Math.round(c.lastDataSentMs)}`);
  if (c.lastDataReceivedMs !== undefined) add(`lastrcv:${Math.round(c.lastDataReceivedMs)}`);
  if (c.lastAckReceivedMs !== undefined) add(`lastack:${Math.round(c.lastAckReceivedMs)}`);
  if (c.limitedBy === "app") add("app_limited");
  if (c.busyMs >= 1) {
    add(`busy:${Math.round(c.busyMs)}ms`);
    if (c.rwndLimitedMs >= 1) add(`rwnd_limited:${Math.round(c.rwndLimitedMs)}ms${percent(c.rwndLimitedMs, c.busyMs)}`);
    if (c.sndbufLimitedMs >= 1) add(`sndbuf_limited:${Math.round(c.sndbufLimitedMs)}ms${percent(c.sndbufLimitedMs, c.busyMs)}`);
  }
  count("unacked", segments(c.inFlight, c.mss));
  if (c.retransmits > 0 || c.retransOut > 0) add(`retrans:${segments(c.retransOut, c.mss)}/${c.retransmits}`);
  count("lost", segments(c.lost, c.mss));
  count("sacked", segments(c.sacked, c.mss));
  count("dsack_dups", c.dsackDups);
  if (c.reordering !== 3) count("reordering", c.reordering);
  count("notsent", c.sendQ - c.inFlight);
  if (c.minRtt !== undefined) add(`minrtt:${g(c.minRtt)}`);
  count("rcv_ooopack", c.outOfOrderIn);
  add(`snd_wnd:${c.sndWnd}`);
  // What the kernel does not tell: who holds the sender back, the phase of congestion control, ages.
  add(`limited:${c.limitedBy}`);
  if (c.phase !== "open") add(`phase:${c.phase}`);
  add(`rcv_wnd:${c.rcvWnd}`);
  add(`age:${span(c.ageMs)}`);
  return out.join(" ");
}

/** Milliseconds after which a state that should pass is worth a look. */
const CLOSE_WAIT_MS = 60_000,
  FIN_WAIT_1_MS = 10_000,
  SYN_RECEIVED_MS = 3_000;

/** Why a person should look at this row; undefined if nothing is the matter. */
export function attentionTo(row: Row): string | undefined {
  if (row.connection !== undefined) return attention(row.connection);
  return row.recvQ >= row.sendQ ? "the accept queue is full: the application does not accept" : undefined;
}

/** Why a person should look at this connection; undefined if nothing is the matter. */
export function attention(c: ConnectionRow): string | undefined {
  if (c.sendQ > 0 && c.sndWnd === 0) return "the peer's window is zero: its application does not read";
  if (c.rcvWnd === 0 && c.recvQ > 0) return "our window is zero: our application does not read";
  if (c.backoff > 0 && c.timer?.name === "retransmit") return `retransmitting: ${c.backoff} timeouts in a row, the peer does not answer`;
  if (c.phase === "loss" || c.phase === "recovery") return `repairing loss (${c.phase})`;
  if (c.state === "CLOSE-WAIT" && c.stateMs > CLOSE_WAIT_MS) return `the peer closed ${span(c.stateMs)} ago and our application has not`;
  if (c.state === "FIN-WAIT-1" && c.stateMs > FIN_WAIT_1_MS) return `our FIN is unacknowledged for ${span(c.stateMs)}`;
  if (c.state === "SYN-RECEIVED" && c.stateMs > SYN_RECEIVED_MS) return `half-open for ${span(c.stateMs)}: the last ACK of the handshake is missing`;
  return undefined;
}
