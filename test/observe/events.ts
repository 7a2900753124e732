/** Events as the core makes them, for tests of what is built from events. */
import type { TcpEvent } from "../../src/tcp/events.js";

export const who = (id = 12) => ({ id, local: "10.77.0.2:80", remote: "10.77.0.1:48308" });

export const synArrived = (id = 12): TcpEvent => ({
  kind: "transition",
  conn: who(id),
  from: "LISTEN",
  to: "SYN-RECEIVED",
  cause: { kind: "segment", flags: "S", seq: 473_250_676, ack: 0, len: 0, win: 64_240 },
  rule: "9293-3.10.7.2/3" as never,
  ms: 0,
  sent: "S.",
});

/** One of each kind. */
export const everyKind: readonly TcpEvent[] = [
  synArrived(),
  {
    kind: "transition",
    conn: who(),
    from: "TIME-WAIT",
    to: "CLOSED",
    cause: { kind: "timer", timer: "timeWait" },
    rule: "9293-3.10.8" as never,
    ms: 60_000.1239,
    sent: "",
  },
  {
    kind: "transition",
    conn: who(),
    from: "ESTABLISHED",
    to: "FIN-WAIT-1",
    cause: { kind: "call", call: "CLOSE" },
    rule: "9293-3.10.4" as never,
    ms: 5,
    sent: "F.",
  },
  { kind: "closed", conn: who(), by: "peer", ms: 12.5, rxBytes: 78, txBytes: 512, retransmits: 0 },
  { kind: "refused", conn: who(), rule: "9293-3.10.7.1" as never, cause: { kind: "segment", flags: "S", seq: 1, ack: 0, len: 0, win: 1 } },
  { kind: "reset", conn: who(), direction: "in", rule: "5961-3.2" as never },
  { kind: "drop", conn: undefined, rule: "ip-short" as never, detail: undefined },
  { kind: "drop", conn: who(), rule: "5961-3.2" as never, detail: { kind: "icmp", type: 3, code: 4 } },
  { kind: "timer", conn: who(), timer: "retransmit", rto: 400, n: 2 },
  {
    kind: "segment",
    conn: who(),
    dir: "in",
    flags: "P.",
    seq: 7,
    ack: 9,
    len: 5,
    win: 100,
    relSeq: 1,
    relAck: 1,
    options: 'nop,"x"',
    segments: 2,
    retransmission: true,
  },
  { kind: "congestion", conn: who(), phase: "loss", cwnd: 1448, ssthresh: Number.POSITIVE_INFINITY, rule: "5681-3.1" as never },
  { kind: "flood", halfOpen: 900, sources: 871, cookiesSent: 5 },
  { kind: "limit", limit: "connections", value: 10, shed: 3 },
  { kind: "fault", fault: "f1", act: "drop", conn: who(), detail: 'a "quoted"\n line → ü' },
];
