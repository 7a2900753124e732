/** One fault at work: whether a segment is meant by it, and how often it has acted. */
import type { State } from "../tcp/state.js";
import { contains } from "../wire/ipv4.js";
import { seeded } from "./random.js";
import type { SegmentView } from "./segment.js";
import { type FaultSpec, formatFault, type Match } from "./spec.js";
import type { Memo, Reading, Tracked } from "./tracker.js";
import type { Span } from "./words.js";

/** What our stack knows of a connection; asked only where a fault needs it. */
export interface ConnectionFacts {
  readonly id: number;
  readonly state: State;
  /** Undefined before both ISNs are known. */
  readonly numbers?: ConnectionNumbers;
}

/** Where a connection stands (RFC 9293 §3.3.1), sequence numbers in any integer form. */
export interface ConnectionNumbers {
  readonly iss: number;
  readonly irs: number;
  readonly sndUna: number;
  readonly sndNxt: number;
  readonly rcvNxt: number;
  /** SND.WND and RCV.WND, octets. */
  readonly sndWnd: number;
  readonly rcvWnd: number;
  /** Shifts of SND.WND and RCV.WND; undefined: windows are not scaled. */
  readonly scales: { readonly snd: number; readonly rcv: number } | undefined;
  readonly finSent: boolean;
  readonly finReceived: boolean;
  /** When it began, milliseconds on the clock of the faults. */
  readonly bornAt: number;
}

/** A segment that a rule keeps back. */
export interface Kept {
  readonly c: Tracked;
  readonly s: SegmentView;
  readonly reading: Reading;
  left: number;
}

const inSpans = (spans: readonly Span[], n: number): boolean => spans.some((s) => n >= s.low && n <= s.high);

export class Rule {
  readonly id: string;
  /** Rules look at a segment in this order; what a rule let go continues behind it. */
  readonly order: number;
  readonly spec: FaultSpec;
  readonly text: string;
  readonly addedAt: number;
  readonly random: () => number;
  /** Segments it acted on. */
  hits = 0;
  lastHit: number | undefined;
  /** `hold`: until released. */
  released = false;
  held: Kept[] = [];
  /** `rate`: when the line is free again; `rate` and `delay`: how many wait. */
  freeAt = 0;
  queued = 0;
  /** `burst`: in the bad state. */
  bad = false;

  constructor(id: string, order: number, spec: FaultSpec, addedAt: number, seed: number) {
    this.id = id;
    this.order = order;
    this.spec = spec;
    this.text = formatFault(spec);
    this.addedAt = addedAt;
    this.random = seeded(seed ^ Math.imul(order, 0x9e3779b1));
  }

  /** Whether it may ever mean a segment of this connection. */
  concerns(s: SegmentView): boolean {
    const m = this.spec.match;
    return (
      (m.ports === undefined || inSpans(m.ports, s.localPort)) &&
      (m.source === undefined || contains(m.source, s.remoteAddress)) &&
      (m.sourcePorts === undefined || inSpans(m.sourcePorts, s.remotePort))
    );
  }

  /** All that can be told without counting. */
  means(c: Tracked, s: SegmentView, reading: Reading, now: number, facts: () => ConnectionFacts | undefined): boolean {
    const m = this.spec.match;
    if (m.direction !== undefined && m.direction !== s.direction) return false;
    if (!this.concerns(s)) return false;
    if (m.classes !== undefined && !m.classes.some((k) => reading.classes.has(k))) return false;
    if (m.flags !== undefined && m.flags !== s.ctl) return false;
    if (m.has !== undefined && !s.has(m.has)) return false;
    if (m.length !== undefined && (s.textLength < m.length.low || s.textLength > m.length.high)) return false;
    if (m.lifeMs !== undefined && now - this.addedAt > m.lifeMs) return false;
    if (m.time !== undefined && (now - c.since < m.time.low || now - c.since > m.time.high)) return false;
    if (m.times !== undefined && this.hits >= m.times) return false;
    if (m.states !== undefined || m.conns !== undefined) {
      const known = facts();
      if (known === undefined) return false;
      if (m.states !== undefined && !m.states.includes(known.state)) return false;
      if (m.conns !== undefined && !inSpans(m.conns, known.id)) return false;
    }
    return true;
  }

  /** The conditions that count or throw dice. Call once a segment that is meant. */
  chosen(c: Tracked): boolean {
    const m = this.spec.match;
    if (m.nth !== undefined || m.every !== undefined) {
      const n = ++this.memo(c).hits;
      if (m.nth !== undefined && !inSpans(m.nth, n)) return false;
      if (m.every !== undefined && n % m.every !== 0) return false;
    }
    return m.probability === undefined || this.random() < m.probability;
  }

  memo(c: Tracked): Memo {
    let memo = c.memos.get(this.order);
    if (memo === undefined) c.memos.set(this.order, (memo = { hits: 0, releaseIn: 0, releaseOut: 0 }));
    return memo;
  }
}

/**
 * Which part of the text a `byte` condition means, as offsets into the text: [from, to). A single octet means the rest of
 * its segment. Undefined when the segment has none of it.
 */
export function bytePart(m: Match, s: SegmentView, reading: Reading): { readonly from: number; readonly to: number } | undefined {
  const span = m.bytes;
  if (span === undefined || reading.offset === undefined || s.textLength === 0) return undefined;
  const start = reading.offset,
    end = start + s.textLength;
  if (span.low >= end || span.high < start) return undefined;
  const from = Math.max(0, span.low - start);
  return { from, to: span.low === span.high ? s.textLength : Math.min(s.textLength, span.high + 1 - start) };
}
