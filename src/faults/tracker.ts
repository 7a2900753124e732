/**
 * Follows connections from outside, as far as faults need it: what each segment is in the life of its connection
 * (handshake, stream position, close), and which numbers either end would accept. Knows nothing of our TCP's insides.
 */
import { ACK, FIN, RST, SYN } from "../wire/segment.js";
import type { ConnectionNumbers } from "./rule.js";
import type { SegmentView } from "./segment.js";
import type { Direction, SegmentClass } from "./spec.js";

const ahead = (a: number, b: number): number => (b - a) | 0;
export const later = (a: number, b: number): number => (ahead(a, b) > 0 ? b : a);

/** One direction of a connection. Sequence numbers are int32. */
export class Flow {
  /** ISN; undefined until the SYN was seen or the numbers were learnt otherwise. */
  isn: number | undefined;
  /** After the highest octet seen: SND.NXT of the sender. */
  next: number | undefined;
  /** The place of `next` in the stream, from 0. Sequence numbers come round every 4 GiB, this does not. */
  nextAt = 0;
  /** After the last octet that was handed on without a gap: RCV.NXT of the receiver, or below it. */
  delivered: number | undefined;
  /** What was handed on beyond a gap, [start, end), in order and apart from each other. */
  beyond: { start: number; end: number }[] = [];
  /** The number that the FIN has; undefined until seen. */
  fin: number | undefined;
  /** What this direction acknowledged last, and with which window. */
  acked: number | undefined;
  window = 1;
  /** The TSval that it sent last (RFC 7323); undefined where it sends none. */
  timestamp: number | undefined;
  /** Window scale shift of the SYN, and whether it offered one. */
  scale = 0;
  scaling = false;
}

/** What a rule remembers of one connection. */
export interface Memo {
  hits: number;
  /** When the last delayed segment of each direction leaves. */
  releaseIn: number;
  releaseOut: number;
}

export class Tracked {
  readonly in = new Flow();
  readonly out = new Flow();
  /** Milliseconds. */
  since: number;
  lastSeen: number;
  opener: Direction | undefined;
  synAck = false;
  established = false;
  reset = false;
  /** Set by the actions rst, fin, blackhole: this connection's segments no longer reach the rules. */
  fate: "cut" | "ghost" | "black" | undefined;
  /** The rule that sealed the fate, by its order: a name may be used again. */
  fateBy: number | undefined;
  /** Its number in our stack; 0 until known. */
  id = 0;
  /** What the peer takes for our ISN, less what it is (action isn). */
  shift = 0;
  /** By the order of the rule. */
  readonly memos = new Map<number, Memo>();

  constructor(now: number) {
    this.since = now;
    this.lastSeen = now;
  }
  flow(d: Direction): Flow {
    return d === "in" ? this.in : this.out;
  }
  against(d: Direction): Flow {
    return d === "in" ? this.out : this.in;
  }
  get over(): boolean {
    return this.reset || (this.in.fin !== undefined && this.out.fin !== undefined && acksFin(this.in, this.out) && acksFin(this.out, this.in));
  }
}

const acksFin = (acker: Flow, closer: Flow): boolean => closer.fin !== undefined && acker.acked !== undefined && ahead(closer.fin, acker.acked) > 0;

export const keyOf = (s: SegmentView): string => `${s.localAddress}:${s.localPort}:${s.remoteAddress}:${s.remotePort}`;

/** Connections by their four numbers, the longest unseen leaving first when there are too many. */
export class Tracker {
  readonly #connections = new Map<string, Tracked>();
  readonly #limit: number;
  constructor(limit = 16_384) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#connections.size;
  }
  clear(): void {
    this.#connections.clear();
  }

  /** The connection of a segment, made when it is new; a SYN that begins a new life of the four numbers starts afresh. */
  find(s: SegmentView, now: number): Tracked {
    const key = keyOf(s);
    let c = this.#connections.get(key);
    if (c !== undefined && s.has(SYN) && !s.has(ACK) && (c.over || c.established || c.fate !== undefined) && s.sequence !== c.flow(s.direction).isn)
      c = undefined;
    if (c === undefined) {
      c = new Tracked(now);
      if (this.#connections.size >= this.#limit) this.#connections.delete(this.#connections.keys().next().value as string);
    } else this.#connections.delete(key);
    c.lastSeen = now;
    this.#connections.set(key, c);
    return c;
  }
}

/**
 * Takes up a connection that is older than the faults, as our stack knows it at the first segment that passes them. Of an
 * incoming one the stack knows nothing yet; an outgoing one it counts as sent already, so that it is told from what was sent before
 * by its own number.
 */
export function learn(c: Tracked, direction: Direction, sequence: number, n: ConnectionNumbers): void {
  c.since = n.bornAt;
  c.established = c.synAck = true;
  c.out.isn = n.iss | 0;
  c.in.isn = n.irs | 0;
  c.in.next = c.in.delivered = n.rcvNxt | 0;
  c.out.next = direction === "in" ? n.sndNxt | 0 : sequence;
  for (const f of [c.in, c.out]) f.nextAt = ahead((f.isn as number) + 1, f.next as number) >>> 0;
  c.in.acked = n.sndUna | 0;
  if (direction === "in") c.out.acked = n.rcvNxt | 0;
  if (n.sndWnd === 0) c.in.window = 0;
  if (n.rcvWnd === 0) c.out.window = 0;
  if (n.finReceived) c.in.fin = (n.rcvNxt - 1) | 0;
  if (n.finSent) c.out.fin = (n.sndNxt - 1) | 0;
  c.in.scaling = c.out.scaling = n.scales !== undefined;
  c.in.scale = n.scales?.snd ?? 0;
  c.out.scale = n.scales?.rcv ?? 0;
}

/** What the segment is, and where in its direction's stream its text lies. */
export interface Reading {
  readonly classes: ReadonlySet<SegmentClass>;
  /** Octets of the stream before this text; undefined when the ISN is unknown. */
  readonly offset: number | undefined;
}

/** Reads a segment against what was seen before it, then counts it as seen. Call once a segment. */
export function observe(c: Tracked, s: SegmentView): Reading {
  const mine = c.flow(s.direction),
    other = c.against(s.direction);
  const { ctl, sequence, acknowledgment, textLength, end } = s;
  const classes = new Set<SegmentClass>();
  const syn = (ctl & SYN) !== 0,
    fin = (ctl & FIN) !== 0,
    rst = (ctl & RST) !== 0,
    ack = (ctl & ACK) !== 0;

  mine.timestamp = s.timestamp ?? (syn ? undefined : mine.timestamp);
  // Another ISN: whoever opens begins anew.
  if (syn && !rst && mine.isn !== sequence) mine.next = undefined;
  if (rst) classes.add("rst");
  else if (syn) classes.add(ack ? "synack" : "syn");
  const pure = ack && !syn && !fin && !rst && textLength === 0;
  const asks = !syn && !fin && !rst && textLength <= 1 && isBelow(other.acked, sequence);
  const closed = other.acked !== undefined && other.window === 0;
  const asksWindow = closed && textLength === 1 && !syn && !rst && sequence === other.acked;
  if (asksWindow || asks) classes.add(closed ? "probe" : "keepalive");
  else if (textLength > 0 && !rst) classes.add("data");
  if (fin && !rst) classes.add("fin");
  if (pure && !asks) {
    classes.add("ack");
    const shook = c.synAck && c.opener === s.direction && mine.isn !== undefined && other.isn !== undefined;
    if (
      shook &&
      sequence === (((mine.isn as number) + 1) | 0) &&
      acknowledgment === (((other.isn as number) + 1) | 0) &&
      mine.next === sequence &&
      other.next === acknowledgment
    )
      classes.add("ack3");
    const outstanding = other.next !== undefined && ahead(acknowledgment, other.next) > 0;
    if (outstanding && mine.acked === acknowledgment && mine.window === s.window && c.established) classes.add("dupack");
  }
  if (ack && !rst && other.fin !== undefined && ahead(other.fin, acknowledgment) > 0) {
    classes.add("finack");
    if (mine.fin !== undefined && !fin) classes.add("lastack");
  }
  if (s.length > 0 && mine.next !== undefined && !asks && !asksWindow && ahead(sequence, mine.next) > 0) classes.add("rexmit");

  if (syn && !rst) {
    mine.isn = sequence;
    const scale = s.option(3);
    mine.scaling = scale?.length === 1;
    mine.scale = scale?.length === 1 ? Math.min(14, s.frame.memory.bytes[scale.at] as number) : 0;
    if (ack) {
      c.synAck = true;
      c.opener ??= s.direction === "in" ? "out" : "in";
    } else c.opener ??= s.direction;
  }
  const at = mine.isn === undefined ? undefined : placeOf(mine, syn ? (sequence + 1) | 0 : sequence);
  if (mine.next === undefined || ahead(mine.next, end) > 0) {
    if (mine.isn !== undefined) mine.nextAt = placeOf(mine, end);
    mine.next = end;
  }
  if (fin && !rst) mine.fin = (end - 1) | 0;
  if (ack && !rst) {
    mine.acked = mine.acked === undefined ? acknowledgment : later(mine.acked, acknowledgment);
    mine.window = s.window;
    if (!syn && c.synAck) c.established = true;
  }
  if (rst) c.reset = true;
  return { classes, offset: at };
}

/** Where a sequence number lies in the stream; near what was seen last, or in the first 4 GiB if nothing was. */
const placeOf = (f: Flow, sequence: number): number => (f.next === undefined ? ahead((f.isn ?? 0) + 1, sequence) >>> 0 : f.nextAt + ahead(f.next, sequence));

const isBelow = (acked: number | undefined, sequence: number): boolean => acked !== undefined && ahead(sequence, acked) === 1;

/** Gaps of one direction that are remembered; a peer that makes more is no longer followed exactly. */
const MAX_BEYOND = 256;

/** Counts a segment as handed to its receiver, after all faults. */
export function countDelivered(c: Tracked, s: SegmentView): void {
  const f = c.flow(s.direction);
  if (f.delivered === undefined) {
    f.delivered = s.end;
    return;
  }
  if (ahead(s.sequence, f.delivered) < 0) {
    let start = s.sequence,
      end = s.end;
    if (start === end) return;
    f.beyond = f.beyond.filter((b) => {
      const apart = ahead(b.end, start) > 0 || ahead(end, b.start) > 0;
      if (!apart) {
        if (ahead(b.start, start) > 0) start = b.start;
        end = later(end, b.end);
      }
      return apart;
    });
    const at = f.beyond.findIndex((b) => ahead(start, b.start) > 0);
    f.beyond.splice(at < 0 ? f.beyond.length : at, 0, { start, end });
    if (f.beyond.length > MAX_BEYOND) f.beyond.pop();
    return;
  }
  f.delivered = later(f.delivered, s.end);
  for (let next = f.beyond[0]; next !== undefined && ahead(next.start, f.delivered) >= 0; next = f.beyond[0]) {
    f.delivered = later(f.delivered, next.end);
    f.beyond.shift();
  }
}
