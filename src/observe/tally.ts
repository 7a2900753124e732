/** Counts what only events tell: transitions, and how connections ended. Drops and segments are counted by the core itself. */
import type { ClosedBy, EventKind, Observer, TcpEvent } from "../tcp/events.js";

const COUNTED: Partial<Record<EventKind, true>> = { transition: true, closed: true, flood: true, limit: true, fault: true };

export class Tally implements Observer {
  /** "LISTEN>SYN-RECEIVED" */
  readonly transitions: Record<string, number> = {};
  readonly closed: Partial<Record<ClosedBy, number>> = {};
  readonly events: Partial<Record<EventKind, number>> = {};
  /** Octets of connections that have ended. */
  rxBytes = 0;
  txBytes = 0;

  wants(kind: EventKind): boolean { return COUNTED[kind] === true; }

  event(e: TcpEvent): void {
    this.events[e.kind] = (this.events[e.kind] ?? 0) + 1;
    switch (e.kind) {
      case "transition": {
        const edge = `${e.from}>${e.to}`;
        this.transitions[edge] = (this.transitions[edge] ?? 0) + 1;
        break;
      }
      case "closed":
        this.closed[e.by] = (this.closed[e.by] ?? 0) + 1;
        this.rxBytes += e.rxBytes;
        this.txBytes += e.txBytes;
        break;
    }
  }
}
