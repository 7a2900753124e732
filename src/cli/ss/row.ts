/** One line of `ss`: a connection or a listener in the columns that both have, and the names that ss and netstat give to states. */
import type { ConnectionRow, Endpoint, ListenerRow } from "../../control/contract.js";
import type { State } from "../../tcp/state.js";

export interface Row {
  readonly state: State;
  readonly recvQ: number;
  readonly sendQ: number;
  readonly local: Endpoint;
  /** Undefined for a listener. */
  readonly remote: Endpoint | undefined;
  readonly service: string | undefined;
  /** Undefined for a listener. */
  readonly connection: ConnectionRow | undefined;
}

export const rowOfConnection = (c: ConnectionRow): Row => ({
  state: c.state,
  recvQ: c.recvQ,
  sendQ: c.sendQ,
  local: c.local,
  remote: c.remote,
  service: c.service,
  connection: c,
});
export const rowOfListener = (l: ListenerRow): Row => ({
  state: "LISTEN",
  recvQ: l.recvQ,
  sendQ: l.sendQ,
  local: l.local,
  remote: undefined,
  service: l.service,
  connection: undefined,
});

/** As ss prints them. */
export const SS_NAMES: Readonly<Record<State, string>> = {
  "CLOSED": "UNCONN",
  "LISTEN": "LISTEN",
  "SYN-SENT": "SYN-SENT",
  "SYN-RECEIVED": "SYN-RECV",
  "ESTABLISHED": "ESTAB",
  "FIN-WAIT-1": "FIN-WAIT-1",
  "FIN-WAIT-2": "FIN-WAIT-2",
  "CLOSE-WAIT": "CLOSE-WAIT",
  "CLOSING": "CLOSING",
  "LAST-ACK": "LAST-ACK",
  "TIME-WAIT": "TIME-WAIT",
};

/** As netstat prints them. */
export const NETSTAT_NAMES: Readonly<Record<State, string>> = {
  "CLOSED": "CLOSE",
  "LISTEN": "LISTEN",
  "SYN-SENT": "SYN_SENT",
  "SYN-RECEIVED": "SYN_RECV",
  "ESTABLISHED": "ESTABLISHED",
  "FIN-WAIT-1": "FIN_WAIT1",
  "FIN-WAIT-2": "FIN_WAIT2",
  "CLOSE-WAIT": "CLOSE_WAIT",
  "CLOSING": "CLOSING",
  "LAST-ACK": "LAST_ACK",
  "TIME-WAIT": "TIME_WAIT",
};
