/** STATUS as Linux's `struct tcp_info`, for code blocks and `getsockopt(TCP_INFO)`. */
import type { Connection } from "../tcp/connection.js";
import type { CongestionPhase } from "../tcp/status.js";
import type { State } from "../tcp/state.js";
import type { Millis } from "../tcp/time.js";
import type { Lookup } from "./python.js";

export const TCP_STATES: Readonly<Record<State, number>> = {
  "ESTABLISHED": 1,
  "SYN-SENT": 2,
  "SYN-RECEIVED": 3,
  "FIN-WAIT-1": 4,
  "FIN-WAIT-2": 5,
  "TIME-WAIT": 6,
  "CLOSED": 7,
  "CLOSE-WAIT": 8,
  "LAST-ACK": 9,
  "LISTEN": 10,
  "CLOSING": 11,
};
const PHASES: Readonly<Record<CongestionPhase, number>> = { open: 0, disorder: 1, cwr: 2, recovery: 3, loss: 4 };

/** Names that every block may read: Linux's, and FreeBSD's for states. */
export const INFO_CONSTANTS: Readonly<Record<string, number>> = {
  TCP_ESTABLISHED: 1,
  TCP_SYN_SENT: 2,
  TCP_SYN_RECV: 3,
  TCP_FIN_WAIT1: 4,
  TCP_FIN_WAIT2: 5,
  TCP_TIME_WAIT: 6,
  TCP_CLOSE: 7,
  TCP_CLOSE_WAIT: 8,
  TCP_LAST_ACK: 9,
  TCP_LISTEN: 10,
  TCP_CLOSING: 11,
  TCP_CA_Open: 0,
  TCP_CA_Disorder: 1,
  TCP_CA_CWR: 2,
  TCP_CA_Recovery: 3,
  TCP_CA_Loss: 4,
  TCPI_OPT_TIMESTAMPS: 1,
  TCPI_OPT_SACK: 2,
  TCPI_OPT_WSCALE: 4,
  TCPI_OPT_ECN: 8,
  TCPI_OPT_ECN_SEEN: 16,
  TCPI_OPT_SYN_DATA: 32,
};
/** FreeBSD numbers its states otherwise; names map to the same states here, as nothing compares the numbers. */
const BSD_STATES: Readonly<Record<string, State>> = {
  CLOSED: "CLOSED",
  LISTEN: "LISTEN",
  SYN_SENT: "SYN-SENT",
  SYN_RECEIVED: "SYN-RECEIVED",
  ESTABLISHED: "ESTABLISHED",
  CLOSE_WAIT: "CLOSE-WAIT",
  FIN_WAIT_1: "FIN-WAIT-1",
  CLOSING: "CLOSING",
  LAST_ACK: "LAST-ACK",
  FIN_WAIT_2: "FIN-WAIT-2",
  TIME_WAIT: "TIME-WAIT",
};
for (const [name, state] of Object.entries(BSD_STATES)) {
  for (const prefix of ["TCPI_", "TCPS_"]) (INFO_CONSTANTS as Record<string, number>)[prefix + name] = TCP_STATES[state];
}

const INFINITE_SSTHRESH = 0x7fffffff;

export type TcpInfo = Readonly<Record<string, number>>;

/** @param state what the socket is in where it has no connection (yet or any more) */
export function tcpInfo(conn: Connection | undefined, state: State, now: Millis): TcpInfo {
  if (conn === undefined) {
    return {
      tcpi_state: TCP_STATES[state],
      tcpi_ca_state: 0,
      tcpi_unacked: 0,
      tcpi_sacked: 0,
      tcpi_lost: 0,
      tcpi_retrans: 0,
      tcpi_snd_cwnd: 10,
      tcpi_snd_ssthresh: INFINITE_SSTHRESH,
      tcpi_backoff: 0,
      tcpi_probes: 0,
      tcpi_options: 0,
    };
  }
  const s = conn.status(now),
    t = conn.tcb,
    mss = Math.max(1, s.mss);
  const segments = (octets: number): number => Math.ceil(octets / mss);
  const us = (ms: number | undefined): number => Math.round((ms ?? 0) * 1_000);
  let retransmitted = 0;
  for (let r = t.board.flight.head; r !== undefined; r = r.following) if (r.transmissions > 1) retransmitted++;
  return {
    tcpi_state: TCP_STATES[s.state],
    tcpi_ca_state: PHASES[s.phase],
    tcpi_retransmits: s.backoff,
    tcpi_probes: t.probes,
    tcpi_backoff: s.backoff,
    tcpi_options: (s.timestamps ? 1 : 0) | (s.sack ? 2 : 0) | (t.windowScaling ? 4 : 0) | (s.ecn ? 8 : 0),
    tcpi_snd_wscale: s.sndWscale,
    tcpi_rcv_wscale: s.rcvWscale,
    tcpi_rto: us(s.rto),
    tcpi_ato: us(t.options.delayedAck),
    tcpi_snd_mss: s.mss,
    tcpi_rcv_mss: Math.max(t.rcv.seenMss, 0) || Math.min(536, s.advmss),
    tcpi_advmss: s.advmss,
    tcpi_pmtu: s.pmtu,
    tcpi_unacked: t.board.count,
    tcpi_sacked: segments(s.sacked),
    tcpi_lost: segments(s.lost),
    tcpi_retrans: retransmitted,
    tcpi_total_retrans: s.retransmits,
    tcpi_last_data_sent: Math.round(s.lastDataSentMs ?? 0),
    tcpi_last_data_recv: Math.round(s.lastDataReceivedMs ?? 0),
    tcpi_last_ack_recv: Math.round(s.lastAckReceivedMs ?? 0),
    tcpi_rtt: us(s.srtt),
    tcpi_rttvar: us(s.rttvar),
    tcpi_min_rtt: us(s.minRtt),
    tcpi_rcv_space: s.rcvWnd,
    tcpi_snd_wnd: s.sndWnd,
    tcpi_rcv_wnd: s.rcvWnd,
    tcpi_snd_cwnd: Math.floor(s.cwnd / mss),
    tcpi_snd_ssthresh: s.ssthresh === undefined ? INFINITE_SSTHRESH : Math.floor(s.ssthresh / mss),
    tcpi_reordering: s.reordering,
    tcpi_bytes_acked: s.bytesAcked,
    tcpi_bytes_received: s.bytesReceived,
    tcpi_bytes_sent: s.bytesSent,
    tcpi_bytes_retrans: s.bytesRetransmitted,
    tcpi_segs_out: s.segmentsOut,
    tcpi_segs_in: s.segmentsIn,
    tcpi_notsent_bytes: Math.max(0, s.sendQ - s.inFlight),
    tcpi_dsack_dups: s.dsackDups,
    tcpi_rcv_ooopack: s.outOfOrderIn,
    tcpi_total_rto: s.timeouts,
    tcpi_busy_time: us(s.busyMs),
    tcpi_rwnd_limited: us(s.rwndLimitedMs),
    tcpi_sndbuf_limited: us(s.sndbufLimitedMs),
  };
}

/** How a code block resolves its names. A tcpi_ name that is not kept here skips the assert that reads it. */
export function infoLookup(info: TcpInfo): Lookup {
  return (name) => info[name] ?? INFO_CONSTANTS[name] ?? (/^tcpi_\w+$/.test(name) ? "missing" : "unknown");
}
