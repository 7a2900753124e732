/** Who waits for connections on which address and port, and how many are half open. */
import type { Connection } from "../tcp/connection.js";
import type { TcpOptions } from "../tcp/options.js";
import type { ConnectionUser } from "../tcp/user.js";

export type Accept = (conn: Connection) => ConnectionUser;

export class Listener {
  /** Integer, or undefined for every address that is ours. */
  readonly address: number | undefined;
  /** Text of the address, "0.0.0.0" for every one. */
  readonly localAddress: string;
  readonly port: number | "any";
  /** Connections that may wait for the application to take them. */
  readonly backlog: number;
  options: Readonly<TcpOptions>;
  readonly accept: Accept;
  halfOpen = 0;
  accepted = 0;
  /**
   * The accept queue: connections that were handed over here and that the application has not taken. Whoever keeps them
   * counts them; one that is taken at once never comes by here.
   */
  waiting = 0;
  readonly #close: (l: Listener) => void;

  constructor(
    address: number | undefined,
    localAddress: string,
    port: number | "any",
    backlog: number,
    options: Readonly<TcpOptions>,
    accept: Accept,
    close: (l: Listener) => void,
  ) {
    this.address = address;
    this.localAddress = localAddress;
    this.port = port;
    this.backlog = backlog;
    this.options = options;
    this.accept = accept;
    this.#close = close;
  }
  get isFull(): boolean {
    return this.waiting >= this.backlog;
  }
  /** No new connections; those that were accepted live on, half-open ones are dropped. */
  close(): void {
    this.#close(this);
  }
}

/** Listeners by port: the exact address wins over every address, a port over "any". */
export class ListenerTable {
  readonly #byPort = new Map<number, Listener[]>();
  #anyPort: Listener[] = [];

  find(address: number, port: number): Listener | undefined {
    const list = this.#byPort.get(port);
    return (list === undefined ? undefined : match(list, address)) ?? match(this.#anyPort, address);
  }
  /** Whether `find` would return a listener made for exactly this. */
  has(address: number | undefined, port: number | "any"): boolean {
    const list = port === "any" ? this.#anyPort : (this.#byPort.get(port) ?? []);
    return list.some((l) => l.address === address || l.address === undefined || address === undefined);
  }
  usesPort(port: number): boolean {
    return this.#byPort.has(port);
  }
  add(l: Listener): void {
    if (l.port === "any") this.#anyPort = [...this.#anyPort, l];
    else this.#byPort.set(l.port, [...(this.#byPort.get(l.port) ?? []), l]);
  }
  delete(l: Listener): void {
    if (l.port === "any") {
      this.#anyPort = this.#anyPort.filter((x) => x !== l);
      return;
    }
    const rest = (this.#byPort.get(l.port) ?? []).filter((x) => x !== l);
    if (rest.length > 0) this.#byPort.set(l.port, rest);
    else this.#byPort.delete(l.port);
  }
  *values(): IterableIterator<Listener> {
    for (const list of this.#byPort.values()) yield* list;
    yield* this.#anyPort;
  }
}
function match(list: readonly Listener[], address: number): Listener | undefined {
  let every: Listener | undefined;
  for (let i = 0; i < list.length; i++) {
    const l = list[i] as Listener;
    if (l.address === address) return l;
    if (l.address === undefined) every = l;
  }
  return every;
}
