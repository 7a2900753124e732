/**
 * What an ACK means for what is in flight: delivered, reordered or lost, and what the congestion window becomes by it.
 * RACK (RFC 8985), or RFC 6675 with RACK off, or NewReno (RFC 6582) without SACK; PRR (RFC 6937); undo (RFC 3522,
 * RFC 3708, RFC 5682).
 *
 *   open ──▶ disorder ──▶ recovery ──▶ open          (lost by duplicate ACKs, SACK or RACK)
 *     └────────▶ cwr ──▶ open                        (ECN)
 *   any  ──▶ loss ──▶ open                           (retransmission timeout)
 */
import { ECE, FIN, type Segment, SYN } from "../../wire/segment.js";
import type { RuleId } from "../rules.js";
import type { DeliveryListener, Sent } from "../scoreboard.js";
import { add, diff, geq, gt, leq, lt, seq, type Seq } from "../seq.js";
import type { CongestionPhase } from "../status.js";
import type { Tcb } from "../tcb.js";
import { after, type Millis } from "../time.js";
import { ForwardRto } from "./frto.js";
import { Prr } from "./prr.js";
import { Rack } from "./rack.js";
import { TailLossProbe } from "./tlp.js";

export class LossRecovery implements DeliveryListener {
  phase: CongestionPhase = "open";
  /** RecoveryPoint: SND.NXT when the episode began. */
  point: Seq = seq(0);
  /** Duplicate ACKs in a row; stays zero with SACK, which says more. */
  dupAcks = 0;
  readonly rack = new Rack();
  readonly prr = new Prr();
  readonly tlp = new TailLossProbe();
  readonly frto = new ForwardRto();

  /** Where SND.UNA was when the window was reduced; undefined when there is nothing to take back. */
  #undoFrom: Seq | undefined;
  /** Retransmissions since then less D-SACKs for them, and the timestamp of the first (RFC 3522 §3.2 RetransmitTS). */
  #undoOpen = 0;
  #undoAny = false;
  #undoStamp: number | undefined;

  // Gathered while one ACK is worked through.
  #now = 0 as Millis;
  #echo = -1;
  #oldestSample = -1;
  #newestSample = -1;
  /** When the RTO would run out while a probe is scheduled in its place. */
  #rtoDue = 0 as Millis;

  readonly #tcb: Tcb;
  constructor(tcb: Tcb) {
    this.#tcb = tcb;
  }

  /** FlightSize less what has left the network (RFC 6675 §4); without SACK each duplicate ACK stands for a segment. */
  get pipe(): number {
    const t = this.#tcb;
    return Math.max(0, t.board.pipe - this.dupAcks * t.mss);
  }

  /** A record was acknowledged, in order or selectively, for the first time. */
  delivered(r: Sent): void {
    if (r.transmissions === 1) {
      if (this.#oldestSample < 0) this.#oldestSample = r.sentAt;
      if (r.sentAt > this.#newestSample) this.#newestSample = r.sentAt;
    }
    this.rack.delivered(r, this.#now, this.#tcb.rtt.minRtt, this.#echo);
  }

  /** RFC 9293 §3.10.7.4 fifth step, for an ACK with SND.UNA =< SEG.ACK =< SND.NXT. Sets SND.UNA. */
  ackArrives(seg: Segment, windowChanged: boolean, now: Millis): void {
    const t = this.#tcb,
      ack = seq(seg.acknowledgment),
      before = t.snd.una;
    this.#now = now;
    this.#oldestSample = -1;
    this.#newestSample = -1;
    this.#echo = t.ts.on && seg.hasTimestamps ? ((seg.tsEcr - t.ts.offset) | 0) >>> 0 : -1;
    const advanced = diff(before, ack);
    let fresh = advanced > 0 ? t.board.acknowledge(ack, this) : 0;
    if (advanced > 0) {
      t.snd.una = ack;
      // The FIN takes a sequence number but no place in the queue.
      t.sendQueue.acknowledge(gt(ack, t.end) ? t.end : ack);
      t.stats.bytesAcked += advanced;
      t.retransmissions = 0;
      t.probes = 0;
      t.troubleSince = -1;
    }
    let dsackEnd: Seq | undefined;
    if (t.sackOk && seg.sackCount > 0) {
      dsackEnd = this.#dsack(seg, ack, before);
      fresh += this.#sack(seg);
    }
    this.#sampleRtt(advanced, now);

    const duplicate = advanced === 0 && seg.textLength === 0 && (seg.ctl & (SYN | FIN)) === 0 && !windowChanged && !t.board.isEmpty;
    if (duplicate) t.stats.dupAcksIn++;
    if (advanced > 0) this.#countAcknowledged(advanced);
    else if (duplicate && !t.sackOk) {
      this.dupAcks++;
      fresh += Math.min(t.mss, t.board.pipe);
    }
    // On a SYN,ACK the bit is an agreement and no echo.
    if (t.ecn && (seg.ctl & (ECE | SYN)) === ECE) this.#echoArrives(now);
    if (this.tlp.acknowledged(ack, dsackEnd, duplicate && seg.sackCount === 0)) this.#reduceAfterProbe(now);

    if (advanced > 0) t.pmtuSearch?.acknowledged(t, ack);
    const reducing = this.phase === "recovery" || this.phase === "cwr";
    this.#advancePhase(ack, advanced, fresh, duplicate, now);
    // The ACK that ends a reduction leaves the window where it ends (RFC 5681 §4.3).
    if (!reducing) this.#grow(advanced, fresh, now);
    this.rearm(now, advanced > 0);
  }

  /** The retransmission timer ran out (RFC 6298 §5.4, RFC 5681 §3.1, RFC 8985 §6.3). */
  timedOut(now: Millis): void {
    const t = this.#tcb;
    // Once per loss of a flight: a second timeout of the same data leaves ssthresh alone (RFC 5681 §3.1).
    if (this.phase !== "loss") {
      t.ssthresh = t.congestion.timedOut(t, now);
      this.#startUndo();
    }
    // RFC 5682 §2.1 step 1: what recovery or an earlier timeout sent again would be taken for originals.
    if (this.phase === "loss" || this.phase === "recovery") this.frto.end();
    else this.frto.begin(t);
    t.cwnd = t.mss;
    this.point = t.snd.nxt;
    this.dupAcks = 0;
    this.tlp.end = undefined;
    // A peer may have thrown away what it had selectively acknowledged (RFC 2018 §8).
    if (t.board.first?.sacked === true) t.board.forgetSacks();
    t.board.markAllLost();
    this.enter("loss", "6298-5.4");
  }

  /** RFC 8985 §6.3: the reordering timer ran out. */
  reorderTimedOut(now: Millis): void {
    const lostBefore = this.#tcb.board.lost.octets;
    const wait = this.rack.detect(this.#tcb, now);
    if (wait > 0) this.#tcb.timers.arm("reorder", after(now, wait));
    if (this.#tcb.board.lost.octets > lostBefore && this.phase !== "recovery" && this.phase !== "loss") this.#lossFound("8985-6.2", 0, now);
  }

  /** Something was sent again; counts what an undo would have to hear of. */
  retransmitted(octets: number, now: Millis): void {
    if (this.phase === "recovery" || this.phase === "cwr") this.prr.out += octets;
    if (this.#undoFrom !== undefined) {
      this.#undoOpen++;
      this.#undoAny = true;
      if (this.#undoStamp === undefined && this.#tcb.ts.on) this.#undoStamp = this.#tcb.tsNow(now);
    }
  }
  sentNew(octets: number): void {
    this.frto.sentNew(octets);
    if (this.phase === "recovery" || this.phase === "cwr") this.prr.out += octets;
  }

  /** Arms the timer that the state of the scoreboard calls for: RTO, or a probe before it. */
  rearm(now: Millis, restart: boolean): void {
    const t = this.#tcb;
    if (t.board.isEmpty) {
      t.timers.disarm("retransmit");
      t.timers.disarm("tailLossProbe");
      t.timers.disarm("reorder");
      return;
    }
    if (t.timers.isArmed("persist")) return;
    const isProbing = t.timers.isArmed("tailLossProbe");
    // §5.3: restart when new data is acknowledged; §5.1: start when it is not running.
    if (!restart && t.timers.isArmed("retransmit")) return;
    if (restart || !isProbing) this.#rtoDue = after(now, t.rtt.rto);
    t.timers.arm("retransmit", this.#rtoDue);
    t.timers.disarm("tailLossProbe");
    // RFC 8985 §7.2: the probe starts anew with each new segment, but never lets the RTO slip.
    if (this.tlp.eligible(t)) this.tlp.schedule(t, now, this.#rtoDue);
  }

  /** The probe timer ran out: the RTO takes over whatever the probe could send. */
  afterProbe(now: Millis): void {
    const t = this.#tcb;
    t.timers.disarm("tailLossProbe");
    t.timers.arm("retransmit", after(now, t.rtt.rto));
  }

  enter(phase: CongestionPhase, rule: RuleId): void {
    const t = this.#tcb;
    this.phase = phase;
    t.env.hit(rule);
    if (t.env.wants("congestion")) t.env.emit({ kind: "congestion", conn: t.who(), phase, cwnd: t.cwnd, ssthresh: t.ssthresh, rule });
  }

  #sampleRtt(advanced: number, now: Millis): void {
    const t = this.#tcb;
    const segments = t.flightSize / t.mss;
    if (this.#newestSample >= 0) {
      // Karn's rule (RFC 6298 §3): only what was sent once. The oldest counts, for it waited for a delayed ACK.
      t.rtt.minRtt = Math.min(t.rtt.minRtt, now - this.#newestSample);
      t.rtt.sample(now - this.#oldestSample, segments);
    } else if (advanced > 0 && this.#echo > 0) {
      const rtt = (Math.floor(now) - this.#echo) | 0;
      if (rtt >= 0) t.rtt.sample(Math.max(1, rtt), segments);
    }
  }

  /** RFC 2883 §4: the first block names what arrived twice. @returns the end of it */
  #dsack(seg: Segment, ack: Seq, una: Seq): Seq | undefined {
    const t = this.#tcb;
    const left = seq(seg.sackEdges[0] as number),
      right = seq(seg.sackEdges[1] as number);
    const below = lt(left, ack);
    const inside = seg.sackCount > 1 && geq(left, seq(seg.sackEdges[2] as number)) && leq(right, seq(seg.sackEdges[3] as number));
    if (!(below || inside) || !lt(left, right) || gt(right, t.snd.nxt) || diff(left, una) > t.snd.maxWnd + t.flightSize + 65_536) return undefined;
    t.stats.dsackDups++;
    this.rack.duplicateReported(una, t.snd.nxt);
    if (this.#undoFrom !== undefined && this.#undoOpen > 0 && geq(left, this.#undoFrom)) this.#undoOpen--;
    return right;
  }

  /** A D-SACK is below SND.UNA, or within a block that says the same: it needs no leaving out. */
  #sack(seg: Segment): number {
    const t = this.#tcb;
    let fresh = 0;
    for (let i = 0; i < seg.sackCount; i++) {
      const left = seq(seg.sackEdges[2 * i] as number),
        right = seq(seg.sackEdges[2 * i + 1] as number);
      // Blocks that do not lie within what is outstanding are old or made up.
      if (!lt(left, right) || leq(right, t.snd.una) || gt(right, t.snd.nxt) || lt(left, t.snd.una)) continue;
      fresh += t.board.selectivelyAcknowledge(left, right, this);
    }
    return fresh;
  }

  /** RFC 6582 §3.2 and Linux: without SACK, acknowledged segments are taken from the duplicates counted before. */
  #countAcknowledged(advanced: number): void {
    if (this.phase === "recovery") this.dupAcks = Math.max(0, this.dupAcks - Math.max(0, Math.round(advanced / this.#tcb.mss) - 1));
    else this.dupAcks = 0;
  }

  #advancePhase(ack: Seq, advanced: number, fresh: number, duplicate: boolean, now: Millis): void {
    const t = this.#tcb;
    if (this.#undoFrom !== undefined && this.#spurious(advanced)) return this.#undo("3522-3.2");
    if (this.phase === "loss" && this.frto.acknowledged(t, this.point, advanced, fresh, duplicate)) return this.#undo("5682-3");
    if (advanced > 0 && geq(ack, this.point) && this.phase !== "open" && this.phase !== "disorder") {
      if (this.phase === "recovery" || this.phase === "cwr") t.cwnd = Math.min(t.cwnd, t.ssthresh);
      if (this.phase === "recovery") {
        this.rack.recovered();
        t.cwnd = Math.max(t.mss, t.ssthresh);
      }
      this.#undoFrom = undefined;
      this.dupAcks = 0;
      this.enter("open", "6937-3");
    }
    const lostBefore = t.board.lost.octets;
    const rule = this.#detect(advanced, now);
    const lostMore = t.board.lost.octets > lostBefore;
    if (this.phase === "recovery" || this.phase === "cwr") {
      t.cwnd = this.prr.acknowledged(fresh, this.pipe, t.ssthresh, t.mss, advanced > 0 && !lostMore);
      // RFC 6582 §3.2: a partial ACK sends the next hole at once. Without SACK nothing else may come that would.
      if (lostMore && !t.sackOk) t.cwnd = Math.max(t.cwnd, this.pipe + t.mss);
    } else if (this.phase !== "loss") {
      if (lostMore) this.#lossFound(rule, fresh, now);
      else this.phase = t.board.sackedOctets > 0 || this.dupAcks > 0 ? "disorder" : "open";
    }
  }

  /** Marks what is lost. @returns the rule that says so */
  #detect(advanced: number, now: Millis): RuleId {
    const t = this.#tcb;
    if (t.sackOk && t.options.rack) {
      const wait = this.rack.detect(t, now);
      if (wait > 0) t.timers.arm("reorder", after(now, wait));
      else t.timers.disarm("reorder");
      return "8985-6.2";
    }
    if (t.sackOk) {
      this.#detectBySack();
      return "6675-5";
    }
    if (this.phase === "recovery") {
      if (advanced > 0 && lt(t.snd.una, this.point)) this.#markFirstSegment();
      return "6582-3.2";
    }
    // RFC 6582 §4: after a timeout, duplicates of old data start nothing.
    if (this.phase !== "loss" && this.dupAcks >= t.options.dupThresh) this.#markFirstSegment();
    return "5681-3.2";
  }
  /** Something is out: an ACK below the recovery point said so, or a duplicate. */
  #markFirstSegment(): void {
    const t = this.#tcb,
      r = t.board.first as Sent;
    if (r.length > t.mss) t.board.splitRecord(r, add(r.start, t.mss));
    t.board.markLost(r);
  }

  /** RFC 6675 §4 IsLost: more than (DupThresh - 1) segments, or DupThresh separate blocks, were received above. */
  #detectBySack(): void {
    const t = this.#tcb,
      ranges = t.board.sackedRanges;
    let above = 0,
      edge: Seq | undefined;
    for (let i = ranges.length - 1, blocks = 1; i >= 0; i--, blocks++) {
      const r = ranges[i] as { start: Seq; end: Seq };
      above += diff(r.start, r.end);
      if (above > (t.options.dupThresh - 1) * t.mss || blocks >= t.options.dupThresh) {
        edge = r.start;
        break;
      }
    }
    if (edge === undefined) return;
    // Originals are in the list in order of sequence, so this stops at the first that lies above. What was sent again
    // is not judged again: RFC 6675 leaves it to the retransmission timer.
    for (let r = t.board.flight.head; r !== undefined && r.transmissions === 1 && leq(r.end, edge); r = t.board.flight.head) t.board.markLost(r);
  }

  /** RFC 4821 §7.6.2: a probe of the path's MTU that is lost alone is no sign of congestion. */
  #lossFound(rule: RuleId, fresh: number, now: Millis): void {
    if (this.#tcb.pmtuSearch?.lost(this.#tcb, now) === true) this.phase = "disorder";
    else this.#startRecovery(rule, fresh, now);
  }

  /** `fresh`: octets that the ACK which told of the loss delivered; they count (RFC 6937 §3.1). */
  #startRecovery(rule: RuleId, fresh: number, now: Millis): void {
    const t = this.#tcb;
    if (this.phase !== "cwr") {
      t.ssthresh = t.congestion.reduce(t, now);
      this.prr.start(t.flightSize);
    }
    this.point = t.snd.nxt;
    // RFC 8985 §7.1: else the ACK of what follows this recovery would be taken for the news of a repaired loss.
    this.tlp.end = undefined;
    this.#startUndo();
    t.env.counters.fastRetransmits++;
    this.enter("recovery", rule);
    t.cwnd = this.prr.acknowledged(fresh, this.pipe, t.ssthresh, t.mss, false);
  }
  #startUndo(): void {
    if (!this.#tcb.options.undo) return;
    this.#undoFrom = this.#tcb.snd.una;
    this.#undoOpen = 0;
    this.#undoAny = false;
    this.#undoStamp = undefined;
  }

  /** RFC 3522 §3.2: the ACK echoes a timestamp from before the retransmission; RFC 3708: all retransmissions came twice. */
  #spurious(advanced: number): boolean {
    if (advanced > 0 && this.#undoStamp !== undefined && this.#echo >= 0) {
      const echoed = (this.#echo + this.#tcb.ts.offset) | 0;
      if (((echoed - this.#undoStamp) | 0) < 0) return true;
    }
    return this.#undoAny && this.#undoOpen === 0;
  }
  #undo(rule: RuleId): void {
    const t = this.#tcb;
    t.congestion.undo(t);
    t.board.unmarkAllLost();
    t.rtt.backoff = 0;
    this.#undoFrom = undefined;
    this.dupAcks = 0;
    t.env.counters.spuriousRecoveries++;
    this.frto.end();
    this.enter("open", rule);
  }

  /** RFC 3168 §6.1.2: at most one reduction per window of data. */
  #echoArrives(now: Millis): void {
    const t = this.#tcb;
    if (this.phase === "recovery" || this.phase === "loss" || this.phase === "cwr") return;
    t.ssthresh = t.congestion.reduce(t, now);
    this.prr.start(t.flightSize);
    this.point = t.snd.nxt;
    t.ecnReduced = true;
    this.enter("cwr", "3168-6.1.2");
  }
  #reduceAfterProbe(now: Millis): void {
    const t = this.#tcb;
    if (this.phase !== "open" && this.phase !== "disorder") return;
    t.ssthresh = t.congestion.reduce(t, now);
    t.cwnd = Math.min(t.cwnd, t.ssthresh);
    t.env.hit("8985-7.4");
  }

  /** RFC 5681 §3.1 with RFC 7661's caution: a window that was not used does not grow. */
  #grow(advanced: number, fresh: number, now: Millis): void {
    const t = this.#tcb;
    if (advanced <= 0 || fresh <= 0) return;
    if (this.phase === "loss" ? t.cwnd < t.ssthresh || t.cwndLimited : this.phase === "open" || this.phase === "disorder") {
      if (t.cwndLimited || (t.cwnd < t.ssthresh && t.cwnd < 2 * t.mostInFlight)) t.congestion.acknowledged(t, fresh, now);
    }
  }
}
