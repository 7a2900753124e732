/**
 * Live events for many readers (`GET /v1/events`): each event becomes text once, each reader has a filter and a bounded
 * buffer. A reader that is too slow loses events and is told how many; memory never grows with it.
 */
import type { EventKind, Observer, TcpEvent, Who } from "../tcp/events.js";
import type { State } from "../tcp/state.js";
import { EVENT_KINDS, LEVELS, LEVEL_OF, type Level } from "../observe/levels.js";
import { eventLine } from "../observe/lines.js";

export interface EventFilter {
  readonly conn?: number | undefined;
  readonly events?: readonly EventKind[] | undefined;
  /** Local or remote port. */
  readonly port?: number | undefined;
  /** The old or the new state of a transition; other kinds pass only when no state is asked for. */
  readonly state?: State | undefined;
  readonly level?: Level | undefined;
}

/** Where a reader's text goes: an HTTP response. */
export interface Sink {
  write(text: string): boolean;
  /** Octets accepted and not yet taken by the kernel. */
  readonly writableLength: number;
}

/** Octets that wait for one reader; then it loses events. */
export const READER_LIMIT = 256 * 1024;

const portOf = (endpoint: string): number => Number(endpoint.slice(endpoint.lastIndexOf(":") + 1));
const connOf = (e: TcpEvent): Who | undefined => ("conn" in e ? e.conn : undefined);

export class EventReader {
  readonly kinds: Readonly<Record<EventKind, boolean>>;
  readonly #filter: EventFilter;
  readonly #sink: Sink;
  #waiting = "";
  #scheduled = false;
  #lost = 0;

  constructor(filter: EventFilter, sink: Sink) {
    this.#filter = filter;
    this.#sink = sink;
    const least = LEVELS[filter.level ?? (filter.events === undefined ? "info" : "trace")];
    this.kinds = Object.fromEntries(
      EVENT_KINDS.map((k) => [
        k,
        LEVELS[LEVEL_OF[k]] >= least && (filter.events === undefined || filter.events.includes(k)) && (filter.state === undefined || k === "transition"),
      ]),
    ) as Record<EventKind, boolean>;
  }

  matches(e: TcpEvent): boolean {
    if (!this.kinds[e.kind]) return false;
    const { conn, port, state } = this.#filter;
    if (conn === undefined && port === undefined && state === undefined) return true;
    const who = connOf(e);
    if (conn !== undefined && who?.id !== conn) return false;
    if (port !== undefined && (who === undefined || (portOf(who.local) !== port && portOf(who.remote) !== port))) return false;
    return state === undefined || (e.kind === "transition" && (e.from === state || e.to === state));
  }

  /** @param line a JSON line with its newline */
  offer(line: string): void {
    if (this.#waiting.length + this.#sink.writableLength + line.length > READER_LIMIT) {
      this.#lost++;
      return;
    }
    this.#tellLost();
    this.#waiting += `data: ${line}\n`;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  /** The sink took what it had. */
  drained(): void {
    this.#tellLost();
    if (this.#waiting !== "") this.#flush();
  }

  #tellLost(): void {
    if (this.#lost === 0) return;
    this.#waiting += `event: lost\ndata: {"event":"lost","lost":${this.#lost}}\n\n`;
    this.#lost = 0;
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    const text = this.#waiting;
    this.#waiting = "";
    if (text !== "") this.#sink.write(text);
  };
}

/** Joins the observers of the stack while somebody reads, and leaves when nobody does: no reader, no cost. */
export class EventFeed implements Observer {
  readonly #join: (o: Observer) => () => void;
  readonly #readers = new Set<EventReader>();
  readonly #clock: () => number;
  #leave: (() => void) | undefined;
  #wanted: Partial<Record<EventKind, boolean>> = {};

  constructor(join: (o: Observer) => () => void, clock: () => number = Date.now) {
    this.#join = join;
    this.#clock = clock;
  }

  get readers(): number {
    return this.#readers.size;
  }

  add(reader: EventReader): () => void {
    this.#readers.add(reader);
    this.#refresh();
    return () => {
      this.#readers.delete(reader);
      this.#refresh();
    };
  }

  wants(kind: EventKind): boolean {
    return this.#wanted[kind] === true;
  }

  event(e: TcpEvent): void {
    let line: string | undefined;
    for (const reader of this.#readers) {
      if (!reader.matches(e)) continue;
      line ??= eventLine(e, this.#clock());
      reader.offer(line);
    }
  }

  #refresh(): void {
    this.#wanted = Object.fromEntries(EVENT_KINDS.map((k) => [k, [...this.#readers].some((r) => r.kinds[k])]));
    if (this.#readers.size > 0) this.#leave ??= this.#join(this);
    else {
      this.#leave?.();
      this.#leave = undefined;
    }
  }
}
