/**
 * F-RTO (RFC 5682): was a retransmission timeout for nothing? After the ACK of the one segment that was sent again, two new
 * ones go out in place of all that counts as lost. If the next ACK is for something that was not sent again, the originals
 * still arrive. Only without timestamps, whose echo tells it one ACK earlier (RFC 3522).
 */
import { add, diff, geq, gt, type Seq } from "../seq.js";
import type { Tcb } from "../tcb.js";

/** New segments in step 2b. */
const NEW_SEGMENTS = 2;
/** The most that the window may be where the timeout was for good, segments (step 3a). */
const WINDOW_AFTER = 3;

export class ForwardRto {
  /** The step of §2.1 and §3.1 that the next ACK is for; 0 when nothing is looked for. */
  #step: 0 | 2 | 3 = 0;
  #room = 0;

  /** Step 2b: new text that may go out before what is marked lost, octets. */
  get room(): number {
    return this.#step === 3 ? this.#room : 0;
  }
  /** What is marked lost waits for the verdict. */
  get holdsBack(): boolean {
    return this.#step === 3;
  }
  /** Step 1. Not where something else was sent again before: its ACK would look like an original's. */
  begin(t: Tcb): void {
    this.#step = t.options.undo && !t.ts.on ? 2 : 0;
  }
  end(): void {
    this.#step = 0;
  }
  sentNew(octets: number): void {
    this.#room -= octets;
  }

  /**
   * Steps 2 and 3. SND.UNA is set already. `point`: SND.NXT at the timeout; `advanced` and `fresh`: octets that the ACK
   * covers in order, and for the first time.
   * @returns whether the timeout was for nothing
   */
  acknowledged(t: Tcb, point: Seq, advanced: number, fresh: number, duplicate: boolean): boolean {
    switch (this.#step) {
      case 2:
        if (advanced > 0) this.#first(t, point);
        // §3.1: with SACK duplicates may come before the ACK of the retransmission; without, one ends it (§2.1).
        else if (duplicate && !t.sackOk) this.end();
        return false;
      case 3: {
        const beyond = t.sackOk && (gt(t.snd.una, point) || (t.board.highestSacked !== undefined && gt(t.board.highestSacked, point)));
        if (!beyond && (t.sackOk ? fresh : advanced) > 0) return true;
        if (beyond || duplicate) {
          this.end();
          t.cwnd = Math.min(t.cwnd, WINDOW_AFTER * t.mss);
        }
        return false;
      }
      default:
        return false;
    }
  }

  #first(t: Tcb, point: Seq): void {
    const usable = diff(t.snd.nxt, add(t.snd.una, t.snd.wnd));
    if (geq(t.snd.una, point) || Math.min(usable, diff(t.snd.nxt, t.end)) < t.mss) return this.end();
    this.#step = 3;
    this.#room = NEW_SEGMENTS * t.mss;
  }
}
