/**
 * Every decision has a name: the clause that drops a segment, answers it or moves a connection. Log, counters and tests
 * share the id, so an operator sees which sentence was applied, and a report lists those that no test has hit.
 * "9293-3.10.7.4/5" reads: RFC 9293 §3.10.7.4, fifth step.
 */
import { WIRE_RULES } from "../wire/rules.js";

export const TCP_RULES = {
  // User calls
  "9293-3.10.1": "OPEN",
  "9293-3.10.4": "CLOSE: FIN follows what is queued",
  "9293-3.10.5": "ABORT: RST, TCB deleted",
  "9293-3.10.5-quiet": "ABORT where no RST is due: TCB deleted",
  "9293-3.6.1-unread": "closed with text unread, or text came for an application that has let go: RST, so that the peer knows",
  "stack-shutdown": "the stack is going away: RST",

  // Segments for no connection
  "9293-3.10.7.1": "no connection: RST",
  "9293-3.10.7.1-rst": "RST for no connection: dropped",
  "9293-3.10.7.2/1": "RST to LISTEN: dropped",
  "9293-3.10.7.2/2": "ACK to LISTEN: RST",
  "9293-3.10.7.2/3": "SYN to LISTEN: SYN,ACK",
  "9293-3.10.7.2/4": "neither SYN, ACK nor RST to LISTEN: dropped",
  "4987-backlog": "SYN backlog full: SYN dropped or answered by a cookie",
  "4987-cookie": "ACK carries a valid SYN cookie: connection made",
  "accept-backlog": "accept backlog full: SYN dropped, last ACK of a handshake not taken yet or answered by RST",
  "limit-connections": "limit of connections: SYN or cookie dropped",
  "limit-per-source": "limit of connections of one address: SYN or cookie dropped",
  "limit-time-wait": "limit of TIME-WAIT entries: the oldest goes",
  "limit-orphans": "limit of orphans: RST",
  "limit-age": "older than maxAge: RST",
  "limit-idle": "no text for idleTimeout: RST",
  "limit-zero-window": "text waited before a shut window for zeroWindowTimeout: RST",
  "limit-slow-reader": "less was acknowledged than minSendRate: RST",
  "limit-gaps": "limit of outOfOrderRanges: text beyond another gap dropped, the peer sends it again",
  "limit-rate": "limit of replies per second: not answered",

  // SYN-SENT
  "9293-3.10.7.3/1": "SYN-SENT: ACK outside of ISS to SND.NXT: RST",
  "9293-3.10.7.3/1-rst": "SYN-SENT: the same with RST: dropped",
  "9293-3.10.7.3/2": "SYN-SENT: RST with a good ACK: refused",
  "9293-3.10.7.3/2-no-ack": "SYN-SENT: RST without ACK: dropped",
  "9293-3.10.7.3/4": "SYN-SENT: SYN,ACK: ESTABLISHED",
  "9293-3.10.7.3/4-simultaneous": "SYN-SENT: SYN: simultaneous open",
  "9293-3.10.7.3/5": "SYN-SENT: neither SYN nor RST: dropped",

  // Every other state, in the order of the steps
  "7323-5.3-R1": "timestamp older than TS.Recent (PAWS): ACK, dropped",
  "7323-3.2-missing": "timestamps agreed but missing: dropped",
  "9293-3.10.7.4/1": "sequence number outside the window: ACK unless RST, dropped",
  "9293-3.10.7.4/1-rst": "RST outside the window: dropped",
  "9293-MUST-66": "window zero: text dropped; ACK, URG and RST processed",
  "9293-3.10.7.4/2": "RST at RCV.NXT: connection reset",
  "9293-3.10.7.4/2-listen": "RST in SYN-RECEIVED from LISTEN: back to LISTEN",
  "9293-3.10.7.4/2-refused": "RST in SYN-RECEIVED from SYN-SENT: refused",
  "5961-3.2": "RST in the window but not at RCV.NXT: challenge ACK, dropped",
  "1337-F1": "RST in TIME-WAIT: ignored",
  "9293-3.10.7.4/4": "SYN in SYN-RECEIVED from LISTEN: back to LISTEN",
  "5961-4.2": "SYN on a live connection: challenge ACK, dropped",
  "793-3.9-syn": "SYN in the window, strictSyn off: connection reset",
  "6191-2": "newer SYN in TIME-WAIT: opened again",
  "6191-2-old": "older SYN in TIME-WAIT: dropped",
  "9293-A.2": "SYN again in SYN-RECEIVED: SYN,ACK again",
  "9293-3.10.7.4/5-no-ack": "no ACK bit: dropped",
  "5961-5.2": "ACK older than MAX.SND.WND or beyond SND.NXT: ACK, dropped",
  "9293-3.10.7.4/5-established": "SYN acknowledged: ESTABLISHED",
  "9293-3.10.7.4/5-syn-received": "SYN-RECEIVED: unacceptable ACK: RST",
  "9293-3.10.7.4/5-fin-wait-1": "our FIN acknowledged: FIN-WAIT-2",
  "9293-3.10.7.4/5-closing": "our FIN acknowledged: TIME-WAIT",
  "9293-3.10.7.4/5-last-ack": "our FIN acknowledged: CLOSED",
  "9293-3.10.7.4/5-time-wait": "FIN again in TIME-WAIT: ACK, 2 MSL again",
  "9293-3.10.7.4/7-after-fin": "text after the peer's FIN: ignored",
  "9293-3.8.6-memory": "no memory: text dropped, the peer sends it again",
  "9293-3.10.7.4/8": "FIN: CLOSE-WAIT",
  "9293-3.10.7.4/8-closing": "FIN before the ACK of ours: CLOSING",
  "9293-3.10.7.4/8-time-wait": "FIN: TIME-WAIT",

  // Timers
  "9293-3.10.8-user": "user timeout",
  "9293-3.8.3-R2": "retransmitted too often: given up",
  "9293-3.8.3-R1": "retransmitted R1 times: the user is told",
  "9293-3.8.3-syn": "SYN or SYN,ACK unanswered: given up",
  "9293-3.8.4": "keep-alive probes unanswered: given up",
  "9293-3.8.6.1": "zero-window probes unanswered: given up",
  "9293-3.10.8-time-wait": "2 MSL passed",
  "fin-wait-2-orphan": "FIN-WAIT-2 of an orphan timed out",

  // ICMP
  "9293-3.9.2.2-hard": "hard ICMP error before the handshake is complete: given up",
  "5927-5.2": "hard ICMP error on a synchronized connection: told to the user only",
  "5927-4.1": "ICMP quotes a sequence number that is not outstanding: dropped",
  "9293-3.9.2.2-soft": "soft ICMP error: told to the user",
  "1191-3": "too big for the path: smaller segments",
  "4821-7.7": "nothing gets through: a smaller path MTU is assumed",
  "4821-7.6.1": "a larger probe arrived: the path takes it",
  "4821-7.6.2": "a larger probe was lost alone: too large for the path, and no congestion",
  "6633": "source quench: dropped",

  // Congestion and recovery
  "5681-3.1": "slow start and congestion avoidance",
  "5681-4.1": "idle for an RTO: restart window",
  "5681-3.2": "third duplicate ACK: fast retransmit",
  "6582-3.2": "partial ACK in recovery: the next one is lost",
  "6675-5": "SACK says that it is lost: fast retransmit",
  "8985-6.2": "sent before something delivered: lost (RACK)",
  "8985-7.3": "tail loss probe",
  "8985-7.4": "the tail loss probe repaired a loss",
  "6298-5.4": "retransmission timer ran out",
  "6937-3": "recovery complete",
  "3522-3.2": "the reduction was for nothing: undone",
  "5682-3": "what was not sent again still arrives: the timeout was for nothing, undone",
  "3168-6.1.2": "ECN-Echo: window reduced",
} as const;

export const RULES = { ...WIRE_RULES, ...TCP_RULES };
export type RuleId = keyof typeof RULES;
