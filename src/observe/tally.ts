/** Counts what only events tell: transitions, and how connections ended. Drops and segments are counted by the core itself. */
import { bitOf, type ClosedBy, type EventKind, type Observer, type TcpEvent } from "../tcp/events.js";
import { placeOf, type State, STATES } from "../tcp/state.js";

const COUNTED = bitOf("transition") | bitOf("closed") | bitOf("flood") | bitOf("limit") | bitOf("fault");

const edge = (from: State, to: State): number => placeOf(from) * STATES.length + placeOf(to);

export class Tally implements Observer {
  /** A row for each old state. */
  readonly #edges = new Float64Array(STATES.length * STATES.length);
  readonly closed: Partial<Record<ClosedBy, number>> = {};
  readonly events: Partial<Record<EventKind, number>> = {};
  /** Octets of connections that have ended. */
  rxBytes = 0;
  txBytes = 0;

  /** How often each edge was taken: "LISTEN>SYN-RECEIVED". */
  get transitions(): Record<string, number> {
    const taken: Record<string, number> = {};
    for (const from of STATES)
      for (const to of STATES) {
        const count = this.#edges[edge(from, to)] as number;
        if (count > 0) taken[`${from}>${to}`] = count;
      }
    return taken;
  }

  wants(kind: EventKind): boolean {
    return (COUNTED & bitOf(kind)) !== 0;
  }

  event(e: TcpEvent): void {
    this.events[e.kind] = (this.events[e.kind] ?? 0) + 1;
    switch (e.kind) {
      case "transition":
        (this.#edges[edge(e.from, e.to)] as number)++;
        break;
      case "closed":
        this.closed[e.by] = (this.closed[e.by] ?? 0) + 1;
        this.rxBytes += e.rxBytes;
        this.txBytes += e.txBytes;
        break;
    }
  }
}
