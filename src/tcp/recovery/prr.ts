/** Proportional Rate Reduction (RFC 6937): the window shrinks by the ACK clock during recovery. Octets. */
export class Prr {
  delivered = 0;
  out = 0;
  /** RecoverFS: FlightSize when recovery began. */
  recoverFs = 0;

  start(flightSize: number): void {
    this.delivered = 0;
    this.out = 0;
    this.recoverFs = Math.max(1, flightSize);
  }

  /** @returns cwnd after an ACK that delivered `delivered` octets; `progress`: SND.UNA moved and nothing more was lost */
  acknowledged(delivered: number, pipe: number, ssthresh: number, mss: number, progress: boolean): number {
    this.delivered += delivered;
    let sendCount: number;
    if (pipe > ssthresh) sendCount = Math.ceil((this.delivered * ssthresh) / this.recoverFs) - this.out;
    else {
      // Slow start reduction bound where the flow makes progress, conservative reduction bound where it does not.
      const limit = progress ? Math.max(this.delivered - this.out, delivered) + mss : Math.max(this.delivered - this.out, delivered);
      sendCount = Math.min(ssthresh - pipe, limit);
    }
    // The first retransmission always goes out (§3: "force a fast retransmit").
    if (this.out === 0) sendCount = Math.max(sendCount, mss);
    return pipe + Math.max(0, sendCount);
  }
}
