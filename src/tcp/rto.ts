/** The retransmission timeout (RFC 6298): SRTT, RTTVAR, RTO and the exponential back-off. Times in milliseconds. */
import type { TcpOptions } from "./options.js";

export class RtoEstimator {
  srtt = -1;
  rttvar = 0;
  minRtt = Infinity;
  /** Doublings in force (§5.5); cleared by the next sample. */
  backoff = 0;
  /** Without the back-off. */
  #base: number;
  readonly #options: TcpOptions;

  constructor(options: TcpOptions) {
    this.#options = options;
    this.#base = options.initialRto;
  }

  get hasSample(): boolean {
    return this.srtt >= 0;
  }
  get rto(): number {
    const slop = this.srtt < 0 && this.backoff === 0 ? 0 : this.#options.rtoSlop;
    return Math.min(this.#options.maxRto, this.#base * 2 ** this.backoff + slop);
  }
  /** Without the back-off. */
  get base(): number {
    return this.#base;
  }

  /** §2.2, §2.3. `flightSegments` spreads the gains when several samples come per round trip (RFC 7323 §4.2, appendix G). */
  sample(rtt: number, flightSegments: number): void {
    if (rtt < this.minRtt) this.minRtt = rtt;
    if (this.srtt < 0) {
      this.srtt = rtt;
      this.rttvar = rtt / 2;
    } else {
      const expected = Math.max(1, Math.ceil(flightSegments / 2));
      const alpha = 1 / (8 * expected),
        beta = 1 / (4 * expected);
      this.rttvar = (1 - beta) * this.rttvar + beta * Math.abs(this.srtt - rtt);
      this.srtt = (1 - alpha) * this.srtt + alpha * rtt;
    }
    // §2.4's floor lies under the variance and not under the whole, as Linux has it: where RTTVAR has fallen to nothing on a
    // steady path, an RTO of just SRTT would run out with every ACK that is a little late. It is never below G, 1 ms.
    this.#base = Math.min(this.#options.maxRto, this.srtt + Math.max(this.#options.minRto, 4 * this.rttvar));
    this.backoff = 0;
  }

  /** §5.5: the timer ran out. */
  timedOut(): void {
    if (this.rto < this.#options.maxRto) this.backoff++;
  }

  /** §5.7: the SYN was sent again, so the first data starts from 3 s. */
  afterSynTimeout(): void {
    if (this.srtt >= 0) return;
    this.#base = Math.max(this.#base, 3_000);
    this.backoff = 0;
  }
}
