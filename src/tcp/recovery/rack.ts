/** RACK (RFC 8985 §6.2): what was sent long enough before something that arrived is lost. */
import type { Scoreboard, Sent } from "../scoreboard.js";
import { sentAfter } from "../scoreboard.js";
import { gt, lt, seq, type Seq } from "../seq.js";
import type { Tcb } from "../tcb.js";
import type { Millis } from "../time.js";

/** Recoveries for which a larger reordering window stays (§6.2 step 4). */
const PERSIST = 16;

export class Rack {
  /** RACK.xmit_ts and RACK.end_seq: the newest transmission that was delivered. */
  sentAt = -Infinity as Millis;
  end: Seq = seq(0);
  /** RACK.rtt. */
  rtt = 0;
  /** RACK.fack: highest sequence number delivered. */
  fack: Seq | undefined;
  reorderingSeen = false;
  #multiplier = 1;
  #persist = PERSIST;
  #dsackRound: Seq | undefined;

  /** Steps 1 to 3: a record was delivered. `echo`: TSecr of the ACK as milliseconds of our clock, or -1. */
  delivered(r: Sent, now: Millis, minRtt: number, echo: number): void {
    if (this.fack === undefined || gt(r.end, this.fack)) this.fack = r.end;
    else if (r.transmissions === 1 && lt(r.end, this.fack)) this.reorderingSeen = true;
    const rtt = now - r.sentAt;
    if (r.transmissions > 1) {
      // Step 2: an ACK that may be for the original says nothing about the retransmission.
      if (echo >= 0 && echo < Math.floor(r.sentAt)) return;
      if (rtt < minRtt) return;
    }
    this.rtt = rtt;
    if (sentAfter(r.sentAt, r.end, this.sentAt, this.end)) {
      this.sentAt = r.sentAt;
      this.end = r.end;
    }
  }

  /** Step 4: a D-SACK shows that the window was too small; once per round trip it grows. */
  duplicateReported(una: Seq, nxt: Seq): void {
    if (this.#dsackRound !== undefined && lt(una, this.#dsackRound)) return;
    this.#dsackRound = nxt;
    this.#multiplier++;
    this.#persist = PERSIST;
  }
  recovered(): void {
    if (--this.#persist <= 0) this.#multiplier = 1;
  }

  reorderingWindow(t: Tcb): number {
    const r = t.recovery;
    if (!this.reorderingSeen && (r.phase === "recovery" || r.phase === "loss" || t.board.sackedOctets >= t.options.dupThresh * t.mss)) return 0;
    const minRtt = Number.isFinite(t.rtt.minRtt) ? t.rtt.minRtt : 0;
    return Math.min((this.#multiplier * minRtt) / 4, Math.max(0, t.rtt.srtt));
  }

  /**
   * Step 5. Looks only at records that are due, oldest transmission first.
   * @returns milliseconds until the next one is due if nothing more arrives, 0 if none is waiting
   */
  detect(t: Tcb, now: Millis): number {
    const board: Scoreboard = t.board,
      window = this.reorderingWindow(t);
    for (let r = board.flight.head; r !== undefined; r = board.flight.head) {
      if (!sentAfter(this.sentAt, this.end, r.sentAt, r.end)) return 0;
      const remaining = r.sentAt + this.rtt + window - now;
      if (remaining > 0) return remaining;
      board.markLost(r);
    }
    return 0;
  }
}
