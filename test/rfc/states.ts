/** How the tests reach each state: by segments and calls, from both kinds of open. The numbers are what the exchange makes them. */
import { active, idle, type PeerOptions, type Peers, tcp } from "../support/peer.js";

export interface StateInfo {
  /** As requirement ids write it. */
  readonly id: string;
  readonly name: string;
  /** RCV.NXT, SND.NXT, SND.UNA and RCV.NXT + RCV.WND once there. */
  readonly letters: { readonly R: number; readonly N: number; readonly A: number; readonly W: number };
  make(o?: PeerOptions): Peers;
  /** The same with 100 octets of ours outstanding before the FIN, if we sent one. */
  withText?(o?: PeerOptions): Peers;
  /** The same with our window full and shut. */
  withShutWindow?(o?: PeerOptions): Peers;
  /** The same with 100 octets of ours unsent behind the peer's shut window. */
  blocked?(o?: PeerOptions): Peers;
}

export const WINDOW = 10_000;
const quiet = { receiveBuffer: WINDOW, invalidAckInterval: 0, quickAcks: 0, windowScaling: false };
/** Settings under which a row sees one rule at a time: no limit on ACKs, no quick ACKs. */
const plain = (o: PeerOptions = {}): PeerOptions => ({ ...o, options: { ...quiet, ...o.options } });
const W = 1 + WINDOW;

const opened = (o?: PeerOptions): Peers => tcp(plain(o)).established();
const small = (o: PeerOptions = {}): PeerOptions => ({ reads: false, ...o, options: { receiveBuffer: 1_000, ...o.options } });
const FULL = "+0 < P. 1:1001(1000) ack 1\n+.04 > . 1:1(0) ack 1001 win 0";
const FULL_FIN = "+0 < F. 1:1000(999) ack 1\n+0 > . 1:1(0) ack 1001 win 0";

export const CLOSED: StateInfo = { id: "CLS", name: "CLOSED", letters: { R: 0, N: 0, A: 0, W: 0 }, make: (o) => idle(plain(o)) };
export const LISTEN: StateInfo = { id: "LIS", name: "LISTEN", letters: { R: 0, N: 0, A: 0, W: 0 }, make: (o) => tcp(plain(o)) };
export const SYN_SENT: StateInfo = {
  id: "SS",
  name: "SYN-SENT",
  letters: { R: 0, N: 1, A: 0, W: 0 },
  make: (o) => active(plain(o)).play("+0 > S 0:0(0) <*>\n= SYN-SENT"),
};
export const SYN_RECEIVED: StateInfo = {
  id: "SR",
  name: "SYN-RECEIVED",
  letters: { R: 1, N: 1, A: 0, W },
  make: (o) => tcp(plain(o)).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n= SYN-RECEIVED"),
};
/** By simultaneous open (Figure 7). */
export const SYN_RECEIVED_ACTIVE: StateInfo = {
  ...SYN_RECEIVED,
  make: (o) => active(plain(o)).play("+0 > S 0:0(0) <*>\n+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n= SYN-RECEIVED"),
};
export const ESTABLISHED: StateInfo = {
  id: "EST",
  name: "ESTABLISHED",
  letters: { R: 1, N: 1, A: 1, W },
  make: opened,
  withText: (o) => opened(o).play("+0 send 100 -> 100\n+0 > P. 1:101(100) ack 1"),
  withShutWindow: (o) => opened(small(o)).play(FULL),
  blocked: (o) => opened(o).play("+0 < . 1:1(0) ack 1 win 0\n+0 send 100 -> 100"),
};
export const FIN_WAIT_1: StateInfo = {
  id: "FW1",
  name: "FIN-WAIT-1",
  letters: { R: 1, N: 2, A: 1, W },
  make: (o) => opened(o).play("+0 close\n+0 > F. 1:1(0) ack 1\n= FIN-WAIT-1"),
  withText: (o) => opened(o).play("+0 send 100\n+0 > P. 1:101(100) ack 1\n+0 close\n+0 > F. 101:101(0) ack 1\n= FIN-WAIT-1"),
  withShutWindow: (o) => opened(small(o)).play(`${FULL}\n+0 close\n+0 > F. 1:1(0) ack 1001 win 0\n= FIN-WAIT-1`),
  blocked: (o) => opened(o).play("+0 < . 1:1(0) ack 1 win 0\n+0 send 100\n+0 close\n= FIN-WAIT-1"),
};
export const FIN_WAIT_2: StateInfo = {
  id: "FW2",
  name: "FIN-WAIT-2",
  letters: { R: 1, N: 2, A: 2, W },
  make: (o) => FIN_WAIT_1.make(o).play("+0 < . 1:1(0) ack 2\n= FIN-WAIT-2"),
  withShutWindow: (o) => opened(small(o)).play(`${FULL}\n+0 close\n+0 > F. 1:1(0) ack 1001 win 0\n+0 < . 1001:1001(0) ack 2\n= FIN-WAIT-2`),
};
export const CLOSE_WAIT: StateInfo = {
  id: "CW",
  name: "CLOSE-WAIT",
  letters: { R: 2, N: 1, A: 1, W },
  make: (o) => opened(o).play("+0 < F. 1:1(0) ack 1\n+0 > . 1:1(0) ack 2\n= CLOSE-WAIT"),
  withText: (o) => CLOSE_WAIT.make(o).play("+0 send 100 -> 100\n+0 > P. 1:101(100) ack 2"),
  withShutWindow: (o) => opened(small(o)).play(`${FULL_FIN}\n= CLOSE-WAIT`),
  blocked: (o) => CLOSE_WAIT.make(o).play("+0 < . 2:2(0) ack 1 win 0\n+0 send 100 -> 100"),
};
export const CLOSING: StateInfo = {
  id: "CLG",
  name: "CLOSING",
  letters: { R: 2, N: 2, A: 1, W },
  make: (o) => FIN_WAIT_1.make(o).play("+0 < F. 1:1(0) ack 1\n+0 > . 2:2(0) ack 2\n= CLOSING"),
  withText: (o) => FIN_WAIT_1.withText?.(o).play("+0 < F. 1:1(0) ack 1\n+0 > . 102:102(0) ack 2\n= CLOSING") as Peers,
  withShutWindow: (o) => opened(small(o)).play("+0 close\n+0 > F. 1:1(0) ack 1\n+0 < F. 1:1000(999) ack 1\n+0 > . 2:2(0) ack 1001 win 0\n= CLOSING"),
  blocked: (o) => (FIN_WAIT_1.blocked as (o?: PeerOptions) => Peers)(o).play("+0 < F. 1:1(0) ack 1 win 0\n+0 > . 1:1(0) ack 2\n= CLOSING"),
};
export const LAST_ACK: StateInfo = {
  id: "LA",
  name: "LAST-ACK",
  letters: { R: 2, N: 2, A: 1, W },
  make: (o) => CLOSE_WAIT.make(o).play("+0 close\n+0 > F. 1:1(0) ack 2\n= LAST-ACK"),
  withText: (o) => CLOSE_WAIT.withText?.(o).play("+0 close\n+0 > F. 101:101(0) ack 2\n= LAST-ACK") as Peers,
  withShutWindow: (o) => opened(small(o)).play(`${FULL_FIN}\n+0 close\n+0 > F. 1:1(0) ack 1001 win 0\n= LAST-ACK`),
  blocked: (o) => CLOSE_WAIT.blocked?.(o).play("+0 close\n= LAST-ACK") as Peers,
};
export const TIME_WAIT: StateInfo = {
  id: "TW",
  name: "TIME-WAIT",
  letters: { R: 2, N: 2, A: 2, W },
  make: (o) => FIN_WAIT_2.make(o).play("+0 < F. 1:1(0) ack 2\n+0 > . 2:2(0) ack 2\n= TIME-WAIT"),
  withShutWindow: (o) =>
    opened(small(o)).play("+0 close\n+0 > F. 1:1(0) ack 1\n+0 < . 1:1(0) ack 2\n+0 < F. 1:1000(999) ack 2\n+0 > . 2:2(0) ack 1001 win 0\n= TIME-WAIT"),
};

export const SYNCHRONIZED = [ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, CLOSE_WAIT, CLOSING, LAST_ACK, TIME_WAIT];
/** The eight that "Otherwise" of §3.10.7.4 speaks of. */
export const OTHERWISE = [SYN_RECEIVED, ...SYNCHRONIZED];
export const RECEIVING = [ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2];
export const AFTER_FIN = [CLOSE_WAIT, CLOSING, LAST_ACK, TIME_WAIT];
/** Our FIN, or text, may be outstanding. */
export const SENDING = [ESTABLISHED, FIN_WAIT_1, CLOSE_WAIT, CLOSING, LAST_ACK];
export const EVERY = [CLOSED, LISTEN, SYN_SENT, ...OTHERWISE];
