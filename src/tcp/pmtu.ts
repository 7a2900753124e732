/**
 * Packetization layer path MTU discovery (RFC 4821): finds the path's MTU where no ICMP comes back. It sleeps until
 * timeouts suggest a black hole, falls back to a size that is likely to work, and searches upwards from there with single
 * larger segments. Sizes are of the whole IP packet, octets (§5.1).
 */
import { setMss } from "./handshake.js";
import type { Sent } from "./scoreboard.js";
import { diff, geq, type Seq } from "./seq.js";
import type { Tcb } from "./tcb.js";
import { after, type Millis } from "./time.js";

/** IPv4's least MTU (§7.7, RFC 791 §3.1). */
const LEAST = 68;
/** The search is over when the range is this small. */
const CONVERGED = 16;
/** Probing anew: 10 minutes (§7.3; 5 are the least). */
const ANEW = 600_000;
/** Timeouts in a row that mean that nothing gets through (§7.7). */
const FULL_STOP = 2;
const HEADERS = 40;
/** Octets of text that a probe has at most, segments (§10.1): three, or what came twice by it would look like loss. */
const PROBE_MAX = 3;
/** How much longer than after a probe that failed to wait when a timeout told of it (§7.6.3). */
const AFTER_TIMEOUT = 5;

export class PathMtuSearch {
  low = 0;
  high = 0;
  /** A black hole was met: the search runs. */
  active = false;
  /** The probe that is out. */
  #probe: { readonly start: Seq; readonly end: Seq } | undefined;
  /** Its packet size. */
  #probeMtu = 0;
  /** The segment that goes out now is a probe: it is sent whole, whatever the MSS. */
  sending = false;
  #notBefore = -Infinity as Millis;

  /** Another timeout: a second one in a row is a black hole (§7.7); later ones halve down to the least that IP promises. */
  timedOut(t: Tcb, now: Millis): void {
    if (this.#probe !== undefined) this.#notBefore = after(now, AFTER_TIMEOUT * headway(t));
    this.#probe = undefined;
    if (t.retransmissions < FULL_STOP || t.snd.pmtu <= LEAST) return;
    if (!this.active) {
      this.active = true;
      this.high = Math.min(t.snd.pmtu, t.snd.peerMss + HEADERS);
      this.low = Math.min(t.options.basePmtu, t.snd.pmtu);
    } else if (t.snd.pmtu <= this.low) this.low = Math.max(LEAST, this.low >> 1);
    this.#use(t, this.low);
    t.env.hit("4821-7.7");
  }

  /** §7.4. @returns text of the probe to send now, octets; 0 for none */
  probeText(t: Tcb, available: number, usable: number, room: number, now: Millis): number {
    if (!this.active || this.#probe !== undefined || now < this.#notBefore || t.recovery.phase !== "open") return 0;
    if (this.high - this.low <= CONVERGED) {
      // §7.3: after ten minutes the path may have become another one.
      this.high = Math.max(this.high, Math.min(t.env.linkMtu, t.snd.peerMss + HEADERS));
      this.#notBefore = after(now, ANEW);
      return 0;
    }
    const mtu = Math.min(this.high, Math.max(this.low + 1, (this.low + this.high + 1) >> 1));
    const text = Math.min(mtu - HEADERS - (t.ts.on ? 12 : 0), PROBE_MAX * t.mss);
    // Enough behind it that its loss is seen by what arrives after it (§7.4).
    const behind = (t.options.dupThresh + 1) * t.mss;
    if (available < text + behind || usable < text + behind || room < text + behind) return 0;
    this.#probeMtu = text + HEADERS + (t.ts.on ? 12 : 0);
    return text;
  }
  sent(start: Seq, end: Seq): void {
    this.#probe = { start, end };
  }

  /** §7.6.1: the probe arrived. The window stays what it is in octets (§4). */
  acknowledged(t: Tcb, una: Seq): void {
    if (this.#probe === undefined || !geq(una, this.#probe.end)) return;
    this.low = this.#probeMtu;
    this.#probe = undefined;
    this.#use(t, this.low);
    t.env.hit("4821-7.6.1");
  }

  /**
   * Something was marked lost and is to be sent again. A probe that is lost alone says that it was too large and nothing
   * of congestion (§7.6.2); with others it says nothing (§7.6.4). @returns whether it was the probe alone
   */
  lost(t: Tcb, now: Millis): boolean {
    const probe = this.#probe;
    if (probe === undefined) return false;
    const lost = t.board.lost,
      first = (lost.head as Sent).start,
      last = (lost.tail as Sent).end;
    const alone = geq(first, probe.start) && geq(probe.end, last) && diff(probe.start, probe.end) >= lost.octets;
    // Also where only something before it was: in recovery its text may go again in pieces, whose ACK would say nothing.
    if (geq(probe.end, first)) this.#probe = undefined;
    if (!alone) return false;
    this.high = Math.max(this.low, this.#probeMtu - 1);
    this.#notBefore = after(now, headway(t));
    t.env.hit("4821-7.6.2");
    return true;
  }

  #use(t: Tcb, mtu: number): void {
    t.snd.pmtu = mtu;
    setMss(t);
  }
}

/** §4: the suppressed reductions stay rarer than the losses that congestion control lives with: a round trip for each packet of the window. */
const headway = (t: Tcb): number => Math.max(t.rtt.rto, (t.rtt.srtt * t.cwnd) / t.mss);
