/** At a limit the newest or least valuable goes, and one line a second at most says so. */
import type { Environment } from "../tcp/environment.js";
import type { Tcb } from "../tcp/tcb.js";
import type { Millis } from "../tcp/time.js";
import { reset } from "../tcp/user-calls.js";
import type { Flow } from "./flow.js";
import type { StackLimits } from "./limits.js";

export class Shedding {
  readonly #env: Environment;
  readonly #limits: Readonly<StackLimits>;
  readonly #timeWaits = new TimeWaits();
  /** The second in which each kind of limit was last told of, and what was shed since. */
  readonly #told = new Map<string, { second: number; shed: number }>();
  orphans = 0;

  constructor(env: Environment, limits: Readonly<StackLimits>) {
    this.#env = env;
    this.#limits = limits;
  }

  get timeWaits(): number {
    return this.#timeWaits.size;
  }

  /** Looks at what a turn made of a connection. @returns a connection that had to go for it */
  account(t: Tcb, now: Millis): Tcb | undefined {
    if (t.state === "TIME-WAIT" && !t.countedTimeWait) return this.#enterTimeWait(t, now);
    if (t.orphan && !t.countedOrphan && !t.isClosed && t.state !== "TIME-WAIT") this.#countOrphan(t, now);
    return undefined;
  }
  removed(t: Tcb): void {
    if (t.countedTimeWait) this.#timeWaits.remove(t);
    if (t.countedOrphan) this.orphans--;
  }

  /** A `limit` event for the operator, if none came in this second: its value, and how many were shed since the last one. */
  tell(limit: string, value: number, now: Millis, count = 1): void {
    const shed = this.#oncePerSecond(limit, now, count);
    if (shed > 0 && this.#env.wants("limit")) this.#env.emit({ kind: "limit", limit, value, shed });
  }
  /** The same for a full SYN backlog. */
  flood(halfOpen: number, connections: Iterable<Tcb>, cookiesSent: number, now: Millis): void {
    if (!this.#env.wants("flood") || this.#oncePerSecond("flood", now, 1) === 0) return;
    const sources = new Set<number>();
    for (const t of connections) if (t.state === "SYN-RECEIVED") sources.add((t.path as Flow).remote);
    this.#env.emit({ kind: "flood", halfOpen, sources: sources.size, cookiesSent });
  }

  /** @returns the counts since it last said yes, or 0 for no */
  #oncePerSecond(what: string, now: Millis, count: number): number {
    const second = Math.floor(now / 1_000);
    let told = this.#told.get(what);
    if (told === undefined) this.#told.set(what, (told = { second: -1, shed: 0 }));
    told.shed += count;
    if (told.second === second) return 0;
    const shed = told.shed;
    told.second = second;
    told.shed = 0;
    return shed;
  }

  /** Beyond the limit the oldest goes: its 2 MSL are nearly over. */
  #enterTimeWait(t: Tcb, now: Millis): Tcb | undefined {
    t.countedTimeWait = true;
    this.#timeWaits.add(t);
    if (t.countedOrphan) {
      t.countedOrphan = false;
      this.orphans--;
    }
    if (this.#timeWaits.size <= this.#limits.maxTimeWait) return undefined;
    const { oldest } = this.#timeWaits;
    this.tell("maxTimeWait", this.#limits.maxTimeWait, now);
    oldest?.close(oldest.closedBy ?? "local", "limit-time-wait", now);
    return oldest;
  }
  #countOrphan(t: Tcb, now: Millis): void {
    t.countedOrphan = true;
    if (++this.orphans <= this.#limits.maxOrphans) return;
    this.tell("maxOrphans", this.#limits.maxOrphans, now);
    reset(t, "limit-orphans", now, "limit");
  }
}

/**
 * Connections in TIME-WAIT in the order in which they came there, linked through themselves. Not a Set: V8 makes its table
 * anew every so many deletions, the old one points to the new one, and once one such table is old, young connections
 * that are gone are kept for its sake until the whole heap is marked.
 */
class TimeWaits {
  size = 0;
  oldest: Tcb | undefined;
  #newest: Tcb | undefined;

  add(t: Tcb): void {
    this.size++;
    t.olderTimeWait = this.#newest;
    if (this.#newest === undefined) this.oldest = t;
    else this.#newest.newerTimeWait = t;
    this.#newest = t;
  }
  remove(t: Tcb): void {
    this.size--;
    const { olderTimeWait: older, newerTimeWait: newer } = t;
    if (older === undefined) this.oldest = newer;
    else older.newerTimeWait = newer;
    if (newer === undefined) this.#newest = older;
    else newer.olderTimeWait = older;
    t.olderTimeWait = undefined;
    t.newerTimeWait = undefined;
  }
}
