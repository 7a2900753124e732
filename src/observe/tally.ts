/** Counts what only events tell: transitions, and how connections ended. Drops and segments are counted by the core itself. */
import { bitOf, type ClosedBy, type EventKind, type Observer, type TcpEvent } from "../tcp/events.js";
import { type State, STATES } from "../tcp/state.js";

const COUNTED = bitOf("transition") | bitOf("closed") | bitOf("flood") | bitOf("limit") | bitOf("fault");

export class Tally implements Observer {
  // A row for each old state, made beforehand: counting takes no string and no new key.
  readonly #edges = Object.fromEntries(STATES.map((from) => [from, Object.fromEntries(STATES.map((to) => [to, 0]))])) as Record<State, Record<State, number>>;
  readonly closed: Partial<Record<ClosedBy, number>> = {};
  readonly events: Partial<Record<EventKind, number>> = {};
  /** Octets of connections that have ended. */
  rxBytes = 0;
  txBytes = 0;

  /** How often each edge was taken: "LISTEN>SYN-RECEIVED". */
  get transitions(): Record<string, number> {
    const taken: Record<string, number> = {};
    for (const from of STATES) for (const to of STATES) if (this.#edges[from][to] > 0) taken[`${from}>${to}`] = this.#edges[from][to];
    return taken;
  }

  wants(kind: EventKind): boolean {
    return (COUNTED & bitOf(kind)) !== 0;
  }

  event(e: TcpEvent): void {
    this.events[e.kind] = (this.events[e.kind] ?? 0) + 1;
    switch (e.kind) {
      case "transition":
        this.#edges[e.from][e.to]++;
        break;
      case "closed":
        this.closed[e.by] = (this.closed[e.by] ?? 0) + 1;
        this.rxBytes += e.rxBytes;
        this.txBytes += e.txBytes;
        break;
    }
  }
}
