/** What all connections of a stack share: settings, memory, chance, the way out, and who listens. */
import type { SegmentHeader } from "../wire/tcp.js";
import type { Segment } from "../wire/segment.js";
import { formatCtl } from "../wire/segment.js";
import type { Cause, EventKind, Observer, TcpEvent } from "./events.js";
import type { PagePool } from "./pages.js";
import { RULES, type RuleId } from "./rules.js";
import type { Seq } from "./seq.js";
import type { Tcb } from "./tcb.js";
import type { Millis } from "./time.js";
import type { TimerName } from "./timers.js";

/** Where segments go; the stack. */
export interface Outlet {
  /** Sends a segment of a connection: its header, and `textLength` octets of its send queue from `from`. */
  segment(tcb: Tcb, header: SegmentHeader, from: Seq, textLength: number, retransmission: boolean): void;
  /** Answers the segment being processed by `<SEQ=sequence><ACK=acknowledgment><CTL=ctl>` without a connection. */
  reply(to: Segment, sequence: number, acknowledgment: number, ctl: number): void;
  /** Largest text that one super-segment may carry with segmentation offload; 0 without it: no segment above the MSS. */
  readonly maxText: number;
  /** The connection was touched: it may have something to send, to tell or to schedule. */
  touched(tcb: Tcb): void;
  /** Returns when the device has read all text that was sent: its memory may then hold something else before it is acknowledged. */
  settle(): void;
  /** Whether the accept queue of a passive open's listener has room; asked once the last ACK of the handshake is found good. */
  mayEstablish(tcb: Tcb): boolean;
}

/** Counts of the core; plain numbers that only grow. */
export interface TcpCounters {
  activeOpens: number;
  passiveOpens: number;
  established: number;
  attemptFails: number;
  resetsIn: number;
  resetsOut: number;
  segmentsIn: number;
  segmentsOut: number;
  retransmits: number;
  fastRetransmits: number;
  timeouts: number;
  tailLossProbes: number;
  spuriousRecoveries: number;
  challengeAcks: number;
  challengeAcksLimited: number;
  pawsDrops: number;
  zeroWindowProbes: number;
  keepAliveProbes: number;
  outOfOrderIn: number;
  duplicatesIn: number;
  memoryDrops: number;
  /** Segments beyond a gap that were one range too many (outOfOrderRanges). */
  gapDrops: number;
  /** SENDs that took less than there was room for, because the pages were short. */
  memoryWaits: number;
}

export class Environment {
  readonly pages: PagePool;
  /** MTU of our own link, octets. */
  linkMtu = 1_500;
  readonly random: () => number;
  outlet!: Outlet;
  /** The time of the turn that runs, or of the last one. */
  now = 0 as Millis;
  /** What user calls go by, for they bring no time of their own: the last turn's, unless whoever drives the stack knows better. */
  time: () => Millis = () => this.now;
  readonly counters: TcpCounters = {
    activeOpens: 0,
    passiveOpens: 0,
    established: 0,
    attemptFails: 0,
    resetsIn: 0,
    resetsOut: 0,
    segmentsIn: 0,
    segmentsOut: 0,
    retransmits: 0,
    fastRetransmits: 0,
    timeouts: 0,
    tailLossProbes: 0,
    spuriousRecoveries: 0,
    challengeAcks: 0,
    challengeAcksLimited: 0,
    pawsDrops: 0,
    zeroWindowProbes: 0,
    keepAliveProbes: 0,
    outOfOrderIn: 0,
    duplicatesIn: 0,
    memoryDrops: 0,
    gapDrops: 0,
    memoryWaits: 0,
  };
  /** A Map of counts that are never replaced: one look-up a hit, where an object of so many names takes two, and slower ones. */
  readonly #hits = new Map<RuleId, { times: number }>((Object.keys(RULES) as RuleId[]).map((id) => [id, { times: 0 }]));

  #observers: Observer[] = [];
  // Why the step that runs now is taken; read only when an event is built.
  #segment: Segment | undefined;
  #call: "OPEN" | "SEND" | "RECEIVE" | "CLOSE" | "ABORT" | undefined;
  #timer: TimerName | undefined;
  #icmp: { type: number; code: number } | undefined;

  /** Connections that could queue nothing for lack of pages: no ACK will come to tell them when to try again. */
  readonly starved = new Set<Tcb>();

  /** The current second of the challenge ACK limit, and what is left of its jittered allowance. */
  #challengeSecond = -1;
  #challengesLeft = 0;
  readonly #challengeAckLimit: number;

  constructor(pages: PagePool, random: () => number, challengeAckLimit: number) {
    this.pages = pages;
    this.random = random;
    this.#challengeAckLimit = challengeAckLimit;
  }

  addObserver(o: Observer): () => void {
    this.#observers = [...this.#observers, o];
    return () => {
      this.#observers = this.#observers.filter((x) => x !== o);
    };
  }
  wants(kind: EventKind): boolean {
    for (let i = 0; i < this.#observers.length; i++) if ((this.#observers[i] as Observer).wants(kind)) return true;
    return false;
  }
  emit(event: TcpEvent): void {
    const observers = this.#observers;
    for (let i = 0; i < observers.length; i++) {
      const o = observers[i] as Observer;
      if (o.wants(event.kind)) o.event(event);
    }
  }

  causedBySegment(s: Segment): void {
    this.#segment = s;
    this.#call = undefined;
    this.#timer = undefined;
    this.#icmp = undefined;
  }
  causedByCall(c: "OPEN" | "SEND" | "RECEIVE" | "CLOSE" | "ABORT"): void {
    this.#segment = undefined;
    this.#call = c;
  }
  causedByTimer(t: TimerName): void {
    this.#segment = undefined;
    this.#call = undefined;
    this.#timer = t;
  }
  causedByIcmp(type: number, code: number): void {
    this.#segment = undefined;
    this.#call = undefined;
    this.#timer = undefined;
    this.#icmp = { type, code };
  }
  cause(): Cause {
    const s = this.#segment;
    if (s !== undefined)
      return { kind: "segment", flags: formatCtl(s.ctl), seq: s.sequence >>> 0, ack: s.acknowledgment >>> 0, len: s.textLength, win: s.window };
    if (this.#call !== undefined) return { kind: "call", call: this.#call };
    if (this.#timer !== undefined) return { kind: "timer", timer: this.#timer };
    return { kind: "icmp", type: this.#icmp?.type ?? 0, code: this.#icmp?.code ?? 0 };
  }

  /** How often each rule was applied. */
  get ruleHits(): Readonly<Record<RuleId, number>> {
    return Object.fromEntries([...this.#hits].map(([rule, { times }]) => [rule, times])) as Record<RuleId, number>;
  }
  hit(rule: RuleId): void {
    (this.#hits.get(rule) as { times: number }).times++;
  }

  /** A segment, or what it asks for, is dropped: counted, and told to whoever wants to know. */
  drop(tcb: Tcb | undefined, rule: RuleId): void {
    this.hit(rule);
    if (this.wants("drop")) this.emit({ kind: "drop", conn: tcb?.who(), rule, detail: this.#segment === undefined ? undefined : this.cause() });
  }

  /** A SEND took less than there was room for. */
  memoryShort(t: Tcb): void {
    this.counters.memoryWaits++;
    if (t.sendQueue.length === 0) this.starved.add(t);
  }

  /**
   * RFC 5961 §7: a limit for the whole stack, jittered by half, so that counting the answers tells an attacker nothing.
   * @returns false when this second's allowance is used up
   */
  mayChallenge(now: Millis): boolean {
    const second = Math.floor(now / 1_000);
    if (second !== this.#challengeSecond) {
      this.#challengeSecond = second;
      this.#challengesLeft = Math.ceil(this.#challengeAckLimit / 2) + ((this.random() >>> 0) % Math.max(1, this.#challengeAckLimit));
    }
    if (this.#challengesLeft <= 0) {
      this.counters.challengeAcksLimited++;
      return false;
    }
    this.#challengesLeft--;
    this.counters.challengeAcks++;
    return true;
  }
}
