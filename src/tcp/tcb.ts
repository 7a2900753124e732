/** The transmission control block (RFC 9293 §3.3.1): the record of one connection, in the RFC's own names. */
import type { CongestionControl, Window } from "./congestion/congestion.js";
import { Cubic } from "./congestion/cubic.js";
import { Reno } from "./congestion/reno.js";
import type { Connection } from "./connection.js";
import type { Environment } from "./environment.js";
import type { ClosedBy, Who } from "./events.js";
import type { TcpOptions } from "./options.js";
import { PathMtuSearch } from "./pmtu.js";
import { ReceiveQueue } from "./receive-queue.js";
import { LossRecovery } from "./recovery/recovery.js";
import { RtoEstimator } from "./rto.js";
import type { RuleId } from "./rules.js";
import { Scoreboard } from "./scoreboard.js";
import { SendQueue } from "./send-queue.js";
import { add, diff, seq, type Seq } from "./seq.js";
import { isEdge, type State } from "./state.js";
import { after, type Millis } from "./time.js";
import { TimerTable } from "./timers.js";
import { Wake } from "./wake.js";

/** The two ends of a connection. The core passes it on and never looks inside. */
export interface Path {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** Send sequence variables (§3.3.1). */
export class SendVariables {
  una: Seq = seq(0);
  nxt: Seq = seq(0);
  /** Octets, scaling undone. */
  wnd = 0;
  /** SND.UP: sequence number after the last urgent octet; undefined outside urgent mode. */
  up: Seq | undefined;
  wl1: Seq = seq(0);
  wl2: Seq = seq(0);
  iss: Seq = seq(0);
  /** The largest window that the peer ever offered (RFC 9293 §3.8.6.2.1, RFC 5961 §5.2), octets. */
  maxWnd = 0;
  /** Snd.Wind.Shift (RFC 7323 §2.3). */
  wscale = 0;
  /** Effective send MSS without options, octets (§3.7.1). */
  mss = 536;
  /** What the peer asked for, octets. */
  peerMss = 536;
  /** Path MTU, octets. */
  pmtu = 1_500;
}

/** Receive sequence variables (§3.3.1). */
export class ReceiveVariables {
  nxt: Seq = seq(0);
  /** Right edge of the window that we last told: RCV.NXT + RCV.WND. */
  edge: Seq = seq(0);
  up: Seq | undefined;
  irs: Seq = seq(0);
  /** Rcv.Wind.Shift. */
  wscale = 0;
  /** The MSS that we announced, octets. */
  mss = 1_460;
  /** The largest segment seen, octets: what "full-sized" means for delayed ACKs. */
  seenMss = 0;
  /** What is told of the window at most, octets: below the buffer while it grows (option growWindow). */
  limit = Infinity;
  finReceived = false;
  /** Number of a FIN that came before what it follows (SHLD-31). */
  finAt: Seq | undefined;
  get wnd(): number {
    return Math.max(0, diff(this.nxt, this.edge));
  }
}

/** Timestamps (RFC 7323): TS.Recent, Last.ACK.sent. */
export class Timestamps {
  on = false;
  recent = 0;
  /** When TS.Recent was set; 24 days later it means nothing (§5.5). */
  recentAt = 0 as Millis;
  lastAckSent: Seq = seq(0);
  /** Added to the clock, so that values tell nobody how long the stack has run (§5.4). */
  offset = 0;
}

/** What the acknowledging side remembers between segments. */
export class Acknowledging {
  /** Send an ACK in this turn. */
  now = false;
  /** Duplicate ACKs owed to a peer without SACK, which counts them. */
  duplicates = 0;
  /** Octets received since the last ACK went out, and the segments that they came in. */
  octets = 0;
  segments = 0;
  /** ACKs that still go out at once. */
  quick = 0;
  /** A duplicate to report (RFC 2883 §4). */
  dsackStart: Seq | undefined;
  dsackEnd: Seq = seq(0);
  /** When an ACK last answered something unacceptable. */
  invalidAt = -Infinity;
}

export class Statistics {
  segmentsIn = 0;
  segmentsOut = 0;
  bytesReceived = 0;
  bytesSent = 0;
  bytesAcked = 0;
  retransmits = 0;
  bytesRetransmitted = 0;
  timeouts = 0;
  dsackDups = 0;
  outOfOrderIn = 0;
  dupAcksIn = 0;
  zeroWindowProbes = 0;
  keepAliveProbes = 0;
  busyMs = 0;
  rwndLimitedMs = 0;
  sndbufLimitedMs = 0;
}

/** Upcalls that a step owes to the user; the stack makes them when the step is complete. */
export const TELL_ESTABLISHED = 1,
  TELL_READABLE = 2,
  TELL_URGENT = 4,
  TELL_WRITABLE = 8,
  TELL_DRAINED = 16,
  TELL_ENDED = 32,
  TELL_ICMP = 64,
  TELL_RETRANSMITTING = 128,
  TELL_CLOSED = 256;

export class Tcb implements Window {
  readonly id: number;
  readonly path: Path;
  readonly env: Environment;
  readonly options: Readonly<TcpOptions>;
  /** Passive opens come from LISTEN and go back there (MUST-11). */
  readonly passive: boolean;
  state: State;
  connection!: Connection;

  readonly snd = new SendVariables();
  readonly rcv = new ReceiveVariables();
  readonly ts = new Timestamps();
  readonly ack = new Acknowledging();
  readonly stats = new Statistics();
  readonly timers = new TimerTable();
  readonly rtt: RtoEstimator;
  readonly sendQueue: SendQueue;
  readonly receiveQueue: ReceiveQueue;
  readonly board = new Scoreboard();
  readonly recovery: LossRecovery;
  readonly congestion: CongestionControl;
  /** Only where it is asked for (RFC 4821). */
  readonly pmtuSearch: PathMtuSearch | undefined;

  cwnd = 0;
  ssthresh = Infinity;
  sackOk = false;
  /** Both SYNs bear the window scale option (RFC 7323 §2.2). */
  windowScaling = false;
  ecn = false;
  /** ECN (RFC 3168 §6.1): we owe the peer ECE until its CWR; we owe it CWR with the next new data. */
  ecnEcho = false;
  ecnReduced = false;

  /** CLOSE was called: FIN follows the last octet. */
  closing = false;
  finSent = false;
  /** The application has let go. */
  orphan = false;
  noDelay: boolean;
  cork = false;
  /** What is queued goes out once even under a cork (Linux: TCP_NODELAY on a corked socket). */
  pushed = false;
  /** End of the last segment sent that was shorter than the MSS (Nagle with Minshall's change). */
  smallSentEnd: Seq = seq(0);
  keepAlive: boolean;
  keepAliveIdle: number;
  keepAliveInterval: number;
  keepAliveProbes: number;
  keepAliveSent = 0;
  userTimeout: number;
  /** CHANGEABLE of RFC 5482 §3.1: false once the application has set the timeout. */
  userTimeoutChangeable = true;
  /** The value that the peer was last told; 0 for none. */
  userTimeoutTold = 0;
  /** RFC 5482: what the peer advertised, ms; 0 if nothing. */
  peerUserTimeout = 0;
  wantsDrain = false;
  /** `send` took less than it was offered. */
  wantsSpace = false;

  /** Timeouts in a row without anything acknowledged. */
  retransmissions = 0;
  /** Window probes in a row that were not answered; those of an orphan all count. */
  probes = 0;
  /** When the first of the window probes that run went out; -1 when none did. */
  troubleSince = -1;
  /** Since when something waits before a shut window; -1 when nothing does. */
  shutSince = -1;
  /** The period of minSendRate that runs, and the `bytesAcked` that it must reach. */
  periodStart = -1;
  periodTarget = 0;
  /** What held the sender back when it last stopped, and since when. */
  limitedBy: "app" | "rwnd" | "cwnd" | "none" = "none";
  limitedSince = 0;
  cwndLimited = false;
  /** The most that was in flight within this window of data, octets, and where the window ends (RFC 7661 §4.3). */
  mostInFlight = 0;
  mostUntil: Seq = seq(0);

  bornAt: Millis;
  stateSince: Millis;
  lastDataSentAt = -1;
  lastDataReceivedAt = -1;
  lastReceivedAt = -1;
  lastAckReceivedAt = -1;

  /** Upcalls owed: the bits above. */
  tell = 0;
  closedBy: ClosedBy | undefined;
  /** The last ICMP error about this connection, for the user to ask. */
  icmpError: { readonly type: number; readonly code: number } | undefined;
  /** For the stack: whether this is in its list of touched connections, and when its timer wakes it. */
  touched = false;
  #who: Who | undefined;
  removed = false;
  /** For the stack: whether it is counted as an orphan, and as a TIME-WAIT entry. */
  countedOrphan = false;
  countedTimeWait = false;
  /** For the stack: its neighbours in the order in which connections came to TIME-WAIT. */
  olderTimeWait: Tcb | undefined;
  newerTimeWait: Tcb | undefined;
  /** The listener that this is a half-open child of; opaque to the core. */
  listener: unknown;
  toldEstablished = false;
  toldClosed = false;
  wake = new Wake(this);

  constructor(id: number, path: Path, env: Environment, options: Readonly<TcpOptions>, passive: boolean, mtu: number, now: Millis) {
    this.id = id;
    this.path = path;
    this.env = env;
    this.options = options;
    this.passive = passive;
    this.state = passive ? "LISTEN" : "CLOSED";
    this.rtt = new RtoEstimator(options);
    this.sendQueue = new SendQueue(env.pages, options.sendBuffer);
    this.receiveQueue = new ReceiveQueue(env.pages, options.outOfOrderRanges);
    this.recovery = new LossRecovery(this);
    this.congestion = options.congestion === "cubic" ? new Cubic() : new Reno();
    this.pmtuSearch = options.pmtuProbing ? new PathMtuSearch() : undefined;
    this.noDelay = options.noDelay;
    this.keepAlive = options.keepAlive;
    this.keepAliveIdle = options.keepAliveIdle;
    this.keepAliveInterval = options.keepAliveInterval;
    this.keepAliveProbes = options.keepAliveProbes;
    this.userTimeout = options.userTimeout;
    this.ack.quick = options.quickAcks;
    this.snd.pmtu = mtu;
    this.rcv.mss = options.mss > 0 ? Math.min(options.mss, mtu - 40) : mtu - 40;
    this.rcv.wscale = wscaleFor(options);
    if (options.growWindow) this.rcv.limit = options.initialReceiveWindow > 0 ? Math.min(65_535, options.initialReceiveWindow) : 65_535;
    this.bornAt = now;
    this.stateSince = now;
  }

  /** Effective send MSS: text that one segment carries besides the options that every segment has (§3.7.1, RFC 6691 §2). */
  get mss(): number {
    return this.snd.mss - (this.ts.on ? 12 : 0);
  }
  get flightSize(): number {
    return diff(this.snd.una, this.snd.nxt);
  }
  get srtt(): number {
    return this.rtt.srtt;
  }
  /** Sequence number after the last octet written; the FIN's own number. */
  get end(): Seq {
    return this.sendQueue.end;
  }
  get finAcknowledged(): boolean {
    return this.finSent && this.snd.una === this.snd.nxt;
  }

  get isClosed(): boolean {
    return this.state === "CLOSED";
  }

  /** Timestamp clock: 1 ms a tick (RFC 7323 §5.4). */
  tsNow(now: Millis): number {
    return (Math.floor(now) + this.ts.offset) | 0;
  }

  /** Made when an event first names the connection. */
  who(): Who {
    const p = this.path;
    return (this.#who ??= { id: this.id, local: `${p.localAddress}:${p.localPort}`, remote: `${p.remoteAddress}:${p.remotePort}` });
  }

  /** The only way from state to state; takes listed edges only. `sent`: flags of what goes out in the same step. */
  setState(to: State, rule: RuleId, now: Millis, sent = ""): void {
    const from = this.state;
    if (!isEdge(from, to)) throw new Error(`no edge ${from} to ${to} (rule ${rule})`);
    this.env.hit(rule);
    if (this.env.wants("transition")) {
      this.env.emit({ kind: "transition", conn: this.who(), from, to, cause: this.env.cause(), rule, ms: Math.max(0, now - this.stateSince), sent });
    }
    this.state = to;
    this.stateSince = now;
    this.env.outlet.touched(this);
  }

  /** Deletes the TCB: every timer and buffer goes (§3.10.8: none may be left). */
  close(by: ClosedBy, rule: RuleId, now: Millis, sent = ""): void {
    if (this.state === "CLOSED") return;
    this.setState("CLOSED", rule, now, sent);
    // TIME-WAIT has said already who closed.
    const finished = this.closedBy ?? by;
    this.closedBy = finished;
    this.timers.clear();
    this.board.clear();
    if (this.sendQueue.length > 0) this.env.outlet.settle();
    this.sendQueue.clear();
    // What was received in order stays for the user to take, unless the connection was reset.
    if (finished !== "local" && finished !== "peer" && finished !== "both" && !(finished === "reset" && this.options.keepTextOnReset))
      this.receiveQueue.clear();
    else this.receiveQueue.dropRanges();
    this.tell |= TELL_CLOSED;
    if (this.env.wants("closed")) {
      this.env.emit({
        kind: "closed",
        conn: this.who(),
        by: finished,
        ms: Math.max(0, now - this.bornAt),
        rxBytes: this.stats.bytesReceived,
        txBytes: this.stats.bytesSent - this.stats.bytesRetransmitted,
        retransmits: this.stats.retransmits,
      });
    }
  }

  /** §3.10.7.4: turns off the other timers, starts 2 MSL. The user's part is over. */
  enterTimeWait(by: ClosedBy, rule: RuleId, now: Millis): void {
    this.setState("TIME-WAIT", rule, now, ".");
    this.timers.clear();
    this.closedBy = by;
    this.tell |= TELL_CLOSED;
    // RFC 3168 §6.1.1: nothing follows that a mark could slow down.
    this.ecn = false;
    this.timers.arm("timeWait", after(now, this.options.timeWait));
  }

  /** Sequence number that a pure ACK carries: SND.NXT. */
  get ackSequence(): Seq {
    return this.snd.nxt;
  }
  relative(n: Seq, isn: Seq): number {
    return diff(isn, n) >>> 0;
  }
  /** First sequence number of text. */
  startText(): void {
    this.sendQueue.base = add(this.snd.iss, 1);
  }
}

/** RFC 7323 §2.3: the smallest shift by which 16 bits cover the buffer. */
export function wscaleFor(o: Readonly<TcpOptions>): number {
  if (o.windowScale >= 0) return o.windowScale;
  let shift = 0;
  while (shift < 14 && 65_535 << shift < o.receiveBuffer) shift++;
  return shift;
}
