/** The timers of a connection: a table of deadlines. It starts nothing; it answers "when next?". */
import { NEVER, type Millis } from "./time.js";

/** In the order in which timers that are due at the same instant run. */
export const TIMERS = [
  "retransmit", // RFC 6298; also SYN and FIN
  "tailLossProbe", // RFC 8985 §7
  "reorder", // RFC 8985 §6.3, the RACK reordering timer
  "persist", // RFC 9293 §3.8.6.1
  "delayedAck", // RFC 9293 §3.8.6.3
  "pace", // room in the window that silly-window avoidance holds back (RFC 9293 §3.8.6.2.1 override), cork
  "keepAlive", // RFC 9293 §3.8.4
  "user", // what the operator allows a connection: idle time, stalls, age (bounds.ts)
  "finWait2", // an orphan in FIN-WAIT-2
  "timeWait", // 2 MSL
] as const;
export type TimerName = (typeof TIMERS)[number];

/** Place of a timer in the table. A switch, for with a constant name it costs nothing once compiled; a look-up by key would. */
function place(name: TimerName): number {
  switch (name) {
    case "retransmit":
      return 0;
    case "tailLossProbe":
      return 1;
    case "reorder":
      return 2;
    case "persist":
      return 3;
    case "delayedAck":
      return 4;
    case "pace":
      return 5;
    case "keepAlive":
      return 6;
    case "user":
      return 7;
    case "finWait2":
      return 8;
    case "timeWait":
      return 9;
  }
}

export class TimerTable {
  // A literal of doubles: a typed array would cost five times as much to make, for every connection.
  readonly #due: number[] = [Infinity, Infinity, Infinity, Infinity, Infinity, Infinity, Infinity, Infinity, Infinity, Infinity];
  /** The earliest deadline; NEVER when none is armed. */
  next: Millis = NEVER;

  arm(name: TimerName, at: Millis): void {
    const i = place(name),
      before = this.#due[i] as number;
    this.#due[i] = at;
    if (at <= this.next) this.next = at;
    else if (before === this.next) this.#refresh();
  }
  disarm(name: TimerName): void {
    const i = place(name),
      before = this.#due[i] as number;
    if (before === Infinity) return;
    this.#due[i] = Infinity;
    if (before === this.next) this.#refresh();
  }
  isArmed(name: TimerName): boolean {
    return this.#due[place(name)] !== Infinity;
  }
  deadline(name: TimerName): Millis {
    return this.#due[place(name)] as Millis;
  }
  /** Takes the first due timer, in the order of TIMERS; undefined when none is due. */
  takeExpired(now: Millis): TimerName | undefined {
    if (this.next > now) return undefined;
    for (let i = 0; i < TIMERS.length; i++) {
      if ((this.#due[i] as number) > now) continue;
      this.#due[i] = Infinity;
      this.#refresh();
      return TIMERS[i];
    }
    return undefined;
  }
  /** The timer that is due next. */
  soonest(): TimerName | undefined {
    if (this.next === NEVER) return undefined;
    return TIMERS.find((t) => this.deadline(t) === this.next);
  }
  clear(): void {
    if (this.next === NEVER) return;
    this.#due.fill(Infinity);
    this.next = NEVER;
  }
  #refresh(): void {
    let next = Infinity;
    for (let i = 0; i < TIMERS.length; i++) {
      const d = this.#due[i] as number;
      if (d < next) next = d;
    }
    this.next = next as Millis;
  }
}
