/** What a peer remembers of its connections, from the events of the core. */
import type { Connection } from "../tcp/connection.js";
import type { ClosedBy, EventKind, Observer, TcpEvent, Who } from "../tcp/events.js";
import type { State } from "../tcp/state.js";
import type { Status } from "../tcp/status.js";

/** Events that a peer keeps, of all its connections together; the oldest go. */
const KEEP = 100_000;

/** A connection as a test sees it: goes on being readable after its end. */
export class PeerConnection {
  readonly id: number;
  readonly local: string;
  readonly remote: string;
  /** States in the order in which they were entered, the first one included. */
  readonly states: State[];
  readonly events: TcpEvent[] = [];
  /** How it ended; undefined while it has not. */
  closedBy: ClosedBy | undefined;
  retransmits = 0;
  /** RSTs that its peer sent, and that were sent in its name, by itself or by a fault. */
  resetsIn = 0;
  resetsOut = 0;
  /** A fault cut it: the RST by which our own end hears of that is not the peer's. */
  #cut = false;
  /** Acts of faults on it. */
  faults = 0;
  readonly #live: () => Connection | undefined;
  readonly #now: () => number;
  #waiting: (() => void)[] = [];

  constructor(who: Who, first: State, live: () => Connection | undefined, now: () => number) {
    this.id = who.id;
    this.local = who.local;
    this.remote = who.remote;
    this.states = [first];
    this.#live = live;
    this.#now = now;
  }

  get state(): State {
    return this.states.at(-1) as State;
  }
  /** STATUS of the core; undefined when it is gone. */
  get status(): Status | undefined {
    return this.#live()?.status(this.#now() as never);
  }
  /** The core's connection itself, to close, abort or read by hand. */
  get raw(): Connection | undefined {
    return this.#live();
  }

  /** Resolves when it enters (or has entered) the state. Rejects after `timeoutMs` (5000) with where it stands. */
  reached(state: State, timeoutMs = 5000): Promise<this> {
    return this.until(() => this.states.includes(state), `reached ${state}`, timeoutMs);
  }
  /** Resolves when it has ended. */
  ended(timeoutMs = 5000): Promise<this> {
    return this.until(() => this.closedBy !== undefined, "ended", timeoutMs);
  }
  /** Resolves when `holds` does; looked at after each event of the connection. */
  until(holds: (conn: this) => boolean, what = "came that far", timeoutMs = 5000): Promise<this> {
    if (holds(this)) return Promise.resolve(this);
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!holds(this)) return;
        clearTimeout(timer);
        this.#waiting = this.#waiting.filter((l) => l !== look);
        resolve(this);
      };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((l) => l !== look);
        reject(new Error(`connection ${this.id} has not ${what} within ${timeoutMs} ms: ${this.path}`));
      }, timeoutMs);
      this.#waiting.push(look);
    });
  }
  get path(): string {
    return this.states.join(" → ");
  }

  take(event: TcpEvent): void {
    this.events.push(event);
    switch (event.kind) {
      case "transition":
        this.states.push(event.to);
        break;
      case "closed":
        this.closedBy = event.by;
        this.retransmits = Math.max(this.retransmits, event.retransmits);
        break;
      case "reset":
        if (event.direction === "out") this.resetsOut++;
        else if (!this.#cut) this.resetsIn++;
        break;
      case "segment":
        if (event.retransmission) this.retransmits++;
        break;
      case "fault":
        this.faults++;
        if (event.act === "rst") this.resetsOut++;
        if (event.act === "rst" || event.act === "fin") this.#cut = true;
        break;
      default:
    }
    for (const look of [...this.#waiting]) look();
  }
}

const KINDS = new Set<EventKind>(["transition", "closed", "reset", "refused", "drop", "timer", "segment", "fault"]);

export class Recorder implements Observer {
  readonly connections: PeerConnection[] = [];
  readonly events: TcpEvent[] = [];
  readonly #byId = new Map<number, PeerConnection>();
  readonly #byEnds = new Map<string, PeerConnection>();
  readonly #find: (id: number) => Connection | undefined;
  readonly #now: () => number;
  #waiting: (() => void)[] = [];

  constructor(find: (id: number) => Connection | undefined, now: () => number) {
    this.#find = find;
    this.#now = now;
  }

  wants(kind: EventKind): boolean {
    return KINDS.has(kind);
  }

  event(event: TcpEvent): void {
    if (this.events.push(event) > KEEP) this.events.splice(0, KEEP / 10);
    const who = "conn" in event ? event.conn : undefined;
    if (who === undefined) return;
    let conn = who.id === 0 ? this.#byEnds.get(`${who.local} ${who.remote}`) : this.#byId.get(who.id);
    if (conn === undefined && event.kind === "transition") {
      conn = new PeerConnection(who, event.from, () => this.#find(who.id), this.#now);
      this.#byId.set(who.id, conn);
      this.#byEnds.set(`${who.local} ${who.remote}`, conn);
      this.connections.push(conn);
    }
    conn?.take(event);
    for (const look of [...this.#waiting]) look();
  }

  /** The nth connection, from 1, as soon as there is one. */
  connection(n: number, timeoutMs: number): Promise<PeerConnection> {
    const there = this.connections[n - 1];
    if (there !== undefined) return Promise.resolve(there);
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const conn = this.connections[n - 1];
        if (conn === undefined) return;
        clearTimeout(timer);
        this.#waiting = this.#waiting.filter((l) => l !== look);
        resolve(conn);
      };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((l) => l !== look);
        reject(new Error(`no connection ${n} within ${timeoutMs} ms; there are ${this.connections.length}`));
      }, timeoutMs);
      this.#waiting.push(look);
    });
  }
}
