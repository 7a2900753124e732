/** What the control API speaks: the shapes that its server fills, and that `ss`, `trace`, `fault` and the web page read. */
import type { Observer } from "../tcp/events.js";
import type { State } from "../tcp/state.js";
import type { Status } from "../tcp/status.js";
import type { LogCounters } from "../observe/log.js";

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** A connection: STATUS, and which service it belongs to. */
export interface ConnectionRow extends Status {
  readonly service: string | undefined;
}

/** A listener, in the columns of `ss`: recvQ is the accept queue, sendQ its limit. */
export interface ListenerRow {
  readonly state: "LISTEN";
  readonly local: Endpoint;
  readonly recvQ: number;
  readonly sendQ: number;
  readonly service: string | undefined;
}

export interface SocketsAnswer {
  /** Milliseconds since 1970, when the rows were taken. */
  readonly time: number;
  readonly pid: number;
  readonly listeners: readonly ListenerRow[];
  readonly connections: readonly ConnectionRow[];
}

/** A bound of the stack and how near it is. */
export interface LimitRow {
  readonly name: string;
  /** Undefined for rates, which hold nothing. */
  readonly used: number | undefined;
  readonly limit: number;
  /** How often something was shed here; undefined where nothing ever is, since the other side waits. */
  readonly shed: number | undefined;
}

export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly uptimeMs: number;
  readonly tun: {
    readonly name: string;
    readonly mtu: number;
    readonly driver: string;
    readonly offload: "on" | "off";
    readonly counters: Readonly<Record<string, number>>;
  };
  readonly host: string;
  readonly addresses: readonly string[];
  readonly services: readonly ServiceRow[];
  readonly connections: { readonly total: number; readonly byState: Readonly<Partial<Record<State, number>>>; readonly orphans: number };
  readonly limits: readonly LimitRow[];
  readonly synCookies: { readonly sent: number; readonly received: number; readonly failed: number };
  readonly faults: number;
  readonly log: LogCounters & { readonly level: string };
  /** Octets. */
  readonly memory: { readonly rss: number; readonly heapUsed: number; readonly external: number; readonly arrayBuffers: number };
  readonly eventLoopLagMs: { readonly mean: number; readonly p99: number; readonly max: number };
}

export interface ServiceRow {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

/** Counts by name, in groups; all only grow. */
export interface CountersAnswer {
  readonly stack: Readonly<Record<string, number>>;
  readonly device: Readonly<Record<string, number>>;
  /** Events seen, by kind. */
  readonly events: Readonly<Record<string, number>>;
  /** "LISTEN>SYN-RECEIVED" */
  readonly transitions: Readonly<Record<string, number>>;
  /** How connections ended. */
  readonly closed: Readonly<Record<string, number>>;
  /** How often each rule was applied, by its id: replies and transitions as well as drops. */
  readonly rules: Readonly<Record<string, number>>;
  readonly log: Readonly<Record<string, number>>;
}

/** One setting: a row of tcp/options.ts with its present value. */
export interface OptionRow {
  readonly name: string;
  readonly value: number | boolean | string;
  readonly default: number | boolean | string;
  readonly unit: string | undefined;
  readonly source: string;
  readonly why: string;
}

export interface FaultRow {
  readonly id: string;
  readonly spec: string;
  readonly hits: number;
}

/** Misbehaviour, as `src/faults` implements it. `add` throws an Error with a one-line message when the spec is wrong. */
export interface FaultRegistry {
  list(): readonly FaultRow[];
  /** One spec may hold several faults. */
  add(spec: string): readonly FaultRow[];
  /** False when there is none of that id. */
  remove(id: string): boolean;
  /** How many there were. */
  clear(): number;
  /** Lets go what a `hold` keeps, or all of them. @returns how many segments */
  release(id?: string): number;
}

/** What the server asks of the daemon. */
export interface ControlTarget {
  status(): DaemonStatus;
  /** All but the connections, which may be many and come one by one. */
  sockets(): Omit<SocketsAnswer, "connections"> & { readonly connections: Iterable<ConnectionRow> };
  socket(id: number): ConnectionRow | undefined;
  /** ABORT. False when there is no such connection. */
  abort(id: number): boolean;
  counters(): CountersAnswer;
  options(): readonly OptionRow[];
  /** Throws RangeError with a sentence for the user when name or value is wrong. */
  setOption(name: string, text: string): OptionRow;
  readonly faults: FaultRegistry;
  /** @returns how to stop observing */
  addObserver(observer: Observer): () => void;
  /** Prometheus text. */
  metrics(): Promise<string>;
}
