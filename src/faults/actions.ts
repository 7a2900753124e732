/** What the actions do to one segment. `taken`: it does not go on from here, or goes on another way. */
import { ACK, FIN, RST, SYN } from "../wire/segment.js";
import type { Faults } from "./faults.js";
import type { Rule } from "./rule.js";
import { forge, forgeUnreachable, type SegmentView } from "./segment.js";
import { ICMP_CODES } from "./spec.js";
import type { Reading, Tracked } from "./tracker.js";
import { formatDuration, formatShare } from "./words.js";

type Outcome = "pass" | "taken";

/** Segments that one rule keeps back at most; the next is lost, for a fault must not eat the memory. */
const MAX_KEPT = 16_384;

export function act(faults: Faults, rule: Rule, c: Tracked, s: SegmentView, reading: Reading): Outcome {
  const a = rule.spec.action,
    now = faults.clock.now();
  const later = (due: number, segment: SegmentView, then: () => void = () => {}): void =>
    faults.schedule.add(due, () => {
      then();
      faults.run(c, segment, reading, rule.order);
    });
  switch (a.do) {
    case "drop":
      return lost(faults, rule, c, s, "");

    case "loss":
      return rule.random() < a.share ? lost(faults, rule, c, s, `loss ${formatShare(a.share)}`) : "pass";

    case "burst": {
      const { toBad, toGood, lossBad, lossGood } = a.model;
      if (rule.random() < (rule.bad ? toGood : toBad)) rule.bad = !rule.bad;
      if (rule.random() >= (rule.bad ? lossBad : lossGood)) return "pass";
      return lost(faults, rule, c, s, rule.bad ? "burst" : "loss");
    }

    case "delay": {
      if (rule.queued >= MAX_KEPT) return lost(faults, rule, c, s, "too many wait");
      const jitter = a.jitterMs === 0 ? 0 : (2 * rule.random() - 1) * a.jitterMs;
      const memo = rule.memo(c),
        due = Math.max(now, now + a.ms + jitter, s.direction === "in" ? memo.releaseIn : memo.releaseOut);
      if (s.direction === "in") memo.releaseIn = due;
      else memo.releaseOut = due;
      faults.note(rule, c, s, "delay", formatDuration(Math.round(due - now)));
      rule.queued++;
      later(due, s.own(), () => {
        rule.queued--;
      });
      return "taken";
    }

    case "duplicate": {
      faults.note(rule, c, s, "duplicate", `${a.copies} more`);
      const copies = Array.from({ length: a.copies }, () => s.own());
      faults.run(c, s.own(), reading, rule.order);
      for (const copy of copies) faults.run(c, copy, reading, rule.order);
      return "taken";
    }

    case "reorder": {
      if (rule.held.length >= MAX_KEPT) return lost(faults, rule, c, s, "too many wait");
      faults.note(rule, c, s, "reorder", `behind the next ${a.by}`);
      const kept = { c, s: s.own(), reading, left: a.by };
      rule.held.push(kept);
      faults.schedule.add(now + a.withinMs, () => {
        const i = rule.held.indexOf(kept);
        if (i < 0) return;
        rule.held.splice(i, 1);
        faults.run(c, kept.s, reading, rule.order);
      });
      return "taken";
    }

    case "corrupt":
      s.corrupt(a.bits, rule.random);
      faults.note(rule, c, s, "corrupt", `${a.bits} bits`);
      return "pass";

    case "mangle":
      if (s.textLength === 0) return "pass";
      s.flip(a.bits, rule.random);
      s.seal();
      faults.note(rule, c, s, "mangle", `${a.bits} bits, checksum mended`);
      return "pass";

    case "badsum":
      s.spoilChecksum();
      faults.note(rule, c, s, "badsum");
      return "pass";

    case "truncate":
      if (s.textLength <= a.to) return "pass";
      faults.note(rule, c, s, "truncate", `to ${a.to} octets`);
      faults.run(c, s.slice(0, a.to), reading, rule.order);
      return "taken";

    case "split": {
      if (s.textLength <= a.size) return "pass";
      faults.note(rule, c, s, "split", `into ${Math.ceil(s.textLength / a.size)}`);
      const pieces: SegmentView[] = [];
      for (let at = 0; at < s.textLength; at += a.size) pieces.push(s.slice(at, Math.min(s.textLength, at + a.size)));
      for (const piece of pieces) faults.run(c, piece, reading, rule.order);
      return "taken";
    }

    case "set":
      if (!set(a.field, a.relative, a.value, c, s)) return "pass";
      s.seal();
      faults.note(rule, c, s, "set", `${a.field} ${a.relative && a.value >= 0 ? "+" : ""}${a.value}`);
      return "pass";

    case "isn":
      if (s.direction === "in" || !s.has(SYN)) return "pass";
      c.shift = (a.value - s.sequence) | 0;
      faults.note(rule, c, s, "isn", `${a.value >>> 0}`);
      return "pass";

    case "hold": {
      if (rule.held.length >= MAX_KEPT) return lost(faults, rule, c, s, "too many are held");
      faults.note(rule, c, s, "hold", a.ms === Infinity ? "until released" : formatDuration(a.ms));
      const kept = { c, s: s.own(), reading, left: 0 };
      rule.held.push(kept);
      if (a.ms !== Infinity)
        faults.schedule.add(now + a.ms, () => {
          const i = rule.held.indexOf(kept);
          if (i < 0) return;
          rule.held.splice(i, 1);
          faults.run(c, kept.s, reading, rule.order);
        });
      return "taken";
    }

    case "rate": {
      if (rule.queued >= a.queue) return lost(faults, rule, c, s, "the queue is full");
      rule.freeAt = Math.max(now, rule.freeAt) + (s.frame.length * 8000) / a.bits;
      rule.queued++;
      faults.note(rule, c, s, "rate", formatDuration(Math.round(rule.freeAt - now)));
      later(rule.freeAt, s.own(), () => {
        rule.queued--;
      });
      return "taken";
    }

    case "icmp": {
      faults.note(rule, c, s, "icmp", a.what);
      const answer = forgeUnreachable(s, ICMP_CODES[a.what], a.mtu);
      faults.send(s.direction === "in" ? "out" : "in", answer);
      return "taken";
    }

    case "rst":
      if (comesTooEarly(faults, rule, c, s)) return "taken";
      faults.note(rule, c, s, "rst", `${octet(rule, reading)}${stackKnows(c) ? "an RST to each end" : "an RST to the peer"}`);
      seal(rule, c, "cut");
      resetPeer(faults, c, s);
      resetStack(faults, c, s);
      return "taken";

    case "fin":
      if (comesTooEarly(faults, rule, c, s)) return "taken";
      faults.note(rule, c, s, "fin", `${octet(rule, reading)}a FIN to the peer, an RST to our end, and a stand-in acknowledges what the peer still says`);
      seal(rule, c, "ghost");
      sayToPeer(faults, c, s, FIN | ACK);
      resetStack(faults, c, s);
      return "taken";

    case "blackhole":
      faults.note(rule, c, s, "blackhole");
      seal(rule, c, "black");
      return "taken";
  }
}

function lost(faults: Faults, rule: Rule, c: Tracked, s: SegmentView, why: string): Outcome {
  faults.note(rule, c, s, "drop", why);
  return "taken";
}

/** Where in its stream a `byte` condition hit: the sequence number beside it counts the SYN as well. */
const octet = (rule: Rule, reading: Reading): string =>
  rule.spec.match.bytes === undefined || reading.offset === undefined ? "" : `at octet ${reading.offset}, `;

/** "At octet N" means after all octets before it: while one of them is missing, the segment is lost like those. */
function comesTooEarly(faults: Faults, rule: Rule, c: Tracked, s: SegmentView): boolean {
  const delivered = c.flow(s.direction).delivered;
  if (rule.spec.match.bytes === undefined || delivered === undefined || ((s.sequence - delivered) | 0) <= 0) return false;
  faults.note(rule, c, s, "drop", "octets before it are missing");
  return true;
}

function seal(rule: Rule, c: Tracked, fate: NonNullable<Tracked["fate"]>): void {
  c.fate = fate;
  c.fateBy = rule.order;
}

function set(field: string, relative: boolean, value: number, c: Tracked, s: SegmentView): boolean {
  const apply = (old: number): number => (relative ? old + value : value);
  switch (field) {
    case "window": {
      // The window in a SYN is not scaled (RFC 7323 §2.2), nor any if only one side offered scaling.
      const scaled = !s.has(SYN) && c.in.scaling && c.out.scaling;
      const scale = scaled ? c.flow(s.direction).scale : 0;
      s.setWindow(Math.min(0xffff, Math.max(0, apply(s.window << scale)) >>> scale));
      return true;
    }
    case "ack":
      s.setAcknowledgment(apply(s.acknowledgment) | 0);
      return true;
    case "seq":
      s.setSequence(apply(s.sequence) | 0);
      return true;
    case "ttl":
      s.setTtl(Math.min(255, Math.max(0, apply(s.frame.bytes[8] as number))));
      return true;
    case "mss":
      return s.has(SYN) && s.setMss(value & 0xffff);
    default:
      s.setUrgent(value & 0xffff);
      return true;
  }
}

/** A segment to the peer at the very number that it waits for; with timestamps where they are agreed, or it might be dropped (RFC 7323 §3.2). */
function sayToPeer(faults: Faults, c: Tracked, s: SegmentView, ctl: number, sequence = c.out.delivered ?? c.in.acked ?? c.out.next ?? 0): void {
  const val = c.out.timestamp,
    ecr = c.in.timestamp;
  const stamp = val === undefined || ecr === undefined ? undefined : { val, ecr };
  const at = (sequence + c.shift) | 0;
  faults.send("out", forge(s.localAddress, s.localPort, s.remoteAddress, s.remotePort, ctl, at, c.in.next ?? 0, 0xffff, stamp));
}

/** RFC 9293 §3.5.2: a SYN is answered by an RST that acknowledges it, anything else by one that sits at RCV.NXT (RFC 5961 §3.2). */
function resetPeer(faults: Faults, c: Tracked, s: SegmentView): void {
  sayToPeer(faults, c, s, RST | ACK);
}

/** False where the peer's SYN was the segment that we answered: our own stack never heard of the connection. */
const stackKnows = (c: Tracked): boolean => c.in.delivered !== undefined || c.out.acked !== undefined || c.out.next !== undefined;

/** Our own stack is told as well, or it would go on talking into the void. */
function resetStack(faults: Faults, c: Tracked, s: SegmentView): void {
  if (!stackKnows(c)) return;
  const sequence = c.in.delivered ?? c.out.acked;
  faults.send("in", forge(s.remoteAddress, s.remotePort, s.localAddress, s.localPort, RST | ACK, sequence ?? 0, c.out.next ?? 0, 0));
}

/** Stands in for our end after the action fin: acknowledges whatever the peer still says, so that it can close in peace. */
export function ghost(faults: Faults, c: Tracked, s: SegmentView): void {
  if (s.direction === "out" || s.has(RST) || s.length === 0) return;
  sayToPeer(faults, c, s, ACK, ((c.out.delivered ?? c.in.acked ?? 0) + 1) | 0);
}
