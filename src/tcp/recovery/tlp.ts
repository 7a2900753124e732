/** Tail loss probe (RFC 8985 §7): when the tail of a flight is lost, something after it must be sent to hear of it. */
import { geq, gt, type Seq } from "../seq.js";
import type { Tcb } from "../tcb.js";
import { after, type Millis } from "../time.js";

/** WCDelAckT (§7.2): how long a peer may hold back the ACK of a lone segment. */
const WORST_DELAYED_ACK = 200;

export class TailLossProbe {
  /** TLP.end_seq: SND.NXT when the probe went out; undefined when none is out. */
  end: Seq | undefined;
  isRetransmission = false;

  /** §7.2: whether a probe may be scheduled at all. */
  eligible(t: Tcb): boolean {
    return (
      t.options.tailLossProbe &&
      t.options.rack &&
      t.sackOk &&
      t.recovery.phase === "open" &&
      this.end === undefined &&
      t.board.sackedOctets === 0 &&
      t.board.lost.octets === 0 &&
      t.rtt.hasSample &&
      t.retransmissions === 0
    );
  }
  /** §7.2 PTO. */
  timeout(t: Tcb): number {
    let pto = 2 * t.rtt.srtt;
    if (t.flightSize <= t.mss) pto += WORST_DELAYED_ACK;
    return Math.max(pto, 2);
  }
  schedule(t: Tcb, now: Millis, rtoDeadline: Millis): void {
    const at = after(now, this.timeout(t));
    t.timers.arm("tailLossProbe", at < rtoDeadline ? at : rtoDeadline);
    t.timers.disarm("retransmit");
  }
  sent(nxt: Seq, isRetransmission: boolean): void {
    this.end = nxt;
    this.isRetransmission = isRetransmission;
  }

  /**
   * §7.4.2: an ACK while a probe is out.
   * @returns true when the probe repaired a loss that nothing else will tell of: the window must be reduced
   */
  acknowledged(ack: Seq, dsackEnd: Seq | undefined, plainDuplicate: boolean): boolean {
    if (this.end === undefined || !geq(ack, this.end)) return false;
    if (!this.isRetransmission || dsackEnd === this.end) {
      this.end = undefined;
      return false;
    }
    if (gt(ack, this.end)) {
      this.end = undefined;
      return true;
    }
    if (plainDuplicate) this.end = undefined;
    return false;
  }
}
