/** Why each edge of the state machine is taken: a few words, and the rules by which this TCP takes it. For `glasstcp states`. */
import type { RuleId } from "../tcp/rules.js";
import { EDGES, STATES, type State } from "../tcp/state.js";

export interface Reason {
  readonly when: string;
  /** Empty: an edge of Figure 5 that this TCP walks in another way, which `when` tells. */
  readonly rules: readonly RuleId[];
}

const why = (when: string, ...rules: readonly RuleId[]): Reason => ({ when, rules });

/** What ends a connection with both SYNs acknowledged, out of order: the same in all of these states. */
const BROKEN: readonly RuleId[] = [
  "9293-3.10.7.4/2",
  "9293-3.10.5",
  "9293-3.6.1-unread",
  "9293-3.8.3-R2",
  "9293-3.10.8-user",
  "9293-3.8.4",
  "9293-3.8.6.1",
  "limit-orphans",
  "stack-shutdown",
  "793-3.9-syn",
];
const broken = (...more: readonly RuleId[]): Reason => why("RST, ABORT or given up", ...BROKEN, ...more);

/** Keys are "FROM TO". A test holds them against EDGES, and the rules against what two stacks do. */
export const REASONS: Readonly<Record<string, Reason>> = {
  "CLOSED LISTEN": why("passive OPEN", "9293-3.10.1"),
  "CLOSED SYN-SENT": why("active OPEN: SYN sent", "9293-3.10.1"),
  "LISTEN SYN-RECEIVED": why("SYN: SYN,ACK sent", "9293-3.10.7.2/3", "4987-cookie"),
  "LISTEN SYN-SENT": why("active OPEN: here a connection of its own"),
  "LISTEN CLOSED": why("CLOSE", "9293-3.10.4"),
  "SYN-SENT ESTABLISHED": why("SYN,ACK: ACK sent", "9293-3.10.7.3/4"),
  "SYN-SENT SYN-RECEIVED": why("SYN (simultaneous open): SYN,ACK sent", "9293-3.10.7.3/4-simultaneous"),
  "SYN-SENT CLOSED": why(
    "CLOSE, ABORT, refused or given up",
    "9293-3.10.4",
    "9293-3.10.5-quiet",
    "9293-3.10.7.3/2",
    "9293-3.8.3-syn",
    "9293-3.9.2.2-hard",
    "9293-3.10.8-user",
    "stack-shutdown",
  ),
  "SYN-RECEIVED ESTABLISHED": why("ACK of our SYN", "9293-3.10.7.4/5-established"),
  "SYN-RECEIVED FIN-WAIT-1": why("CLOSE: here the FIN waits for ESTABLISHED"),
  "SYN-RECEIVED LISTEN": why("RST after a passive open: here CLOSED, the listener stays"),
  "SYN-RECEIVED CLOSED": why(
    "RST, SYN, ABORT or given up",
    "9293-3.10.7.4/2-listen",
    "9293-3.10.7.4/2-refused",
    "9293-3.10.7.4/4",
    "9293-3.10.5",
    "9293-3.8.3-syn",
    "9293-3.9.2.2-hard",
    "9293-3.10.8-user",
    "stack-shutdown",
  ),
  "ESTABLISHED FIN-WAIT-1": why("CLOSE: FIN sent", "9293-3.10.4"),
  "ESTABLISHED CLOSE-WAIT": why("FIN: ACK sent", "9293-3.10.7.4/8"),
  "ESTABLISHED CLOSED": broken(),
  "FIN-WAIT-1 FIN-WAIT-2": why("ACK of our FIN", "9293-3.10.7.4/5-fin-wait-1"),
  "FIN-WAIT-1 CLOSING": why("FIN before that ACK (simultaneous close): ACK sent", "9293-3.10.7.4/8-closing"),
  "FIN-WAIT-1 TIME-WAIT": why("FIN with the ACK of ours: ACK sent", "9293-3.10.7.4/8-time-wait"),
  "FIN-WAIT-1 CLOSED": broken(),
  "FIN-WAIT-2 TIME-WAIT": why("FIN: ACK sent", "9293-3.10.7.4/8-time-wait"),
  "FIN-WAIT-2 CLOSED": broken("fin-wait-2-orphan"),
  "CLOSE-WAIT LAST-ACK": why("CLOSE: FIN sent", "9293-3.10.4"),
  "CLOSE-WAIT CLOSED": broken(),
  "CLOSING TIME-WAIT": why("ACK of our FIN", "9293-3.10.7.4/5-closing"),
  "CLOSING CLOSED": broken("9293-3.10.5-quiet"),
  "LAST-ACK CLOSED": why("ACK of our FIN", "9293-3.10.7.4/5-last-ack", "9293-3.10.5-quiet", ...BROKEN),
  "TIME-WAIT CLOSED": why("2 MSL are over", "9293-3.10.8-time-wait", "6191-2", "limit-time-wait", "9293-3.10.7.4/2", "9293-3.10.5-quiet", "stack-shutdown"),
};

export interface Edge extends Reason {
  readonly from: State;
  readonly to: State;
}

/** Every edge of the code's own table, in its order. */
export const edges = (): readonly Edge[] => STATES.flatMap((from) => EDGES[from].map((to) => ({ from, to, ...(REASONS[`${from} ${to}`] ?? why("")) })));
