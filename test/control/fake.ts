/** A daemon made of plain data, for tests of the control API and of the commands that read it. */
import type { ConnectionRow, ControlTarget, FaultRow, ListenerRow, OptionRow } from "../../src/control/contract.js";
import { OPTIONS, parseOption, type TcpOptions, DEFAULTS } from "../../src/tcp/options.js";
import type { Observer, TcpEvent } from "../../src/tcp/events.js";

export function connectionRow(over: Partial<ConnectionRow> = {}): ConnectionRow {
  return {
    id: 1,
    state: "ESTABLISHED",
    local: { address: "10.77.0.2", port: 80 },
    remote: { address: "10.77.0.1", port: 48_308 },
    passive: true,
    ageMs: 1_000,
    stateMs: 900,
    recvQ: 0,
    sendQ: 0,
    outOfOrder: 0,
    iss: 1,
    irs: 2,
    sndUna: 1,
    sndNxt: 1,
    rcvNxt: 1,
    sndWnd: 64_256,
    rcvWnd: 65_535,
    sndWscale: 7,
    rcvWscale: 7,
    timestamps: true,
    sack: true,
    ecn: false,
    mss: 1_448,
    advmss: 1_460,
    pmtu: 1_500,
    srtt: 0.05,
    rttvar: 0.02,
    minRtt: 0.03,
    rto: 204,
    backoff: 0,
    congestion: "cubic",
    phase: "open",
    cwnd: 14_480,
    ssthresh: undefined,
    inFlight: 0,
    pipe: 0,
    sacked: 0,
    lost: 0,
    retransOut: 0,
    reordering: 3,
    segmentsIn: 4,
    segmentsOut: 3,
    bytesReceived: 78,
    bytesSent: 512,
    bytesAcked: 512,
    retransmits: 0,
    bytesRetransmitted: 0,
    timeouts: 0,
    dsackDups: 0,
    outOfOrderIn: 0,
    dupAcksIn: 0,
    zeroWindowProbes: 0,
    keepAliveProbes: 0,
    busyMs: 0,
    rwndLimitedMs: 0,
    sndbufLimitedMs: 0,
    limitedBy: "app",
    timer: undefined,
    lastDataSentMs: 10,
    lastDataReceivedMs: 12,
    lastAckReceivedMs: 10,
    noDelay: false,
    keepAlive: false,
    peerUserTimeout: undefined,
    orphan: false,
    service: "http",
    ...over,
  };
}
export const listenerRow = (port: number, over: Partial<ListenerRow> = {}): ListenerRow => ({
  state: "LISTEN",
  local: { address: "10.77.0.2", port },
  recvQ: 0,
  sendQ: 511,
  service: undefined,
  ...over,
});

export class FakeDaemon implements ControlTarget {
  connections: ConnectionRow[] = [];
  listeners: ListenerRow[] = [];
  aborted: number[] = [];
  readonly observers = new Set<Observer>();
  readonly #options: TcpOptions = { ...DEFAULTS };
  readonly #faults: FaultRow[] = [];

  emit(e: TcpEvent): void {
    for (const o of this.observers) if (o.wants(e.kind)) o.event(e);
  }

  status(): ReturnType<ControlTarget["status"]> {
    return {
      version: "0.0.0",
      pid: process.pid,
      startedAt: 0,
      uptimeMs: 1,
      tun: { name: "glass0", mtu: 1_500, driver: "koffi", offload: "on", counters: {} },
      host: "10.77.0.1/24",
      addresses: ["10.77.0.2"],
      services: [],
      connections: { total: this.connections.length, byState: {}, orphans: 0 },
      synCookies: { sent: 0, received: 0, failed: 0 },
      limits: [{ name: "connections", used: 1, limit: 100_000, shed: 0 }],
      faults: this.#faults.length,
      log: { lines: 0, lostLines: 0, errors: 0, lastError: undefined, level: "info" },
      memory: { rss: 1, heapUsed: 1, external: 1, arrayBuffers: 1 },
      eventLoopLagMs: { mean: 0, p99: 0, max: 0 },
    };
  }
  sockets(): ReturnType<ControlTarget["sockets"]> {
    return { time: 0, pid: process.pid, listeners: this.listeners, connections: this.connections };
  }
  *roundTrips(): IterableIterator<number> {
    for (const c of this.connections) if (c.srtt !== undefined) yield c.srtt;
  }
  socket(id: number): ConnectionRow | undefined {
    return this.connections.find((c) => c.id === id);
  }
  abort(id: number): boolean {
    const known = this.socket(id) !== undefined;
    if (known) {
      this.aborted.push(id);
      this.connections = this.connections.filter((c) => c.id !== id);
    }
    return known;
  }
  counters(): ReturnType<ControlTarget["counters"]> {
    return { stack: { segmentsIn: 3 }, device: {}, events: {}, transitions: {}, closed: {}, rules: { "ip-short": 1 }, log: {} };
  }
  options(): readonly OptionRow[] {
    return Object.keys(OPTIONS).map((name) => this.#row(name as keyof TcpOptions));
  }
  setOption(name: string, text: string): OptionRow {
    Object.assign(this.#options, parseOption(name, text));
    return this.#row(name as keyof TcpOptions);
  }
  #row(name: keyof TcpOptions): OptionRow {
    const spec = OPTIONS[name];
    return { name, value: this.#options[name], default: spec.default, unit: "unit" in spec ? spec.unit : undefined, source: spec.source, why: spec.why };
  }
  readonly faults = {
    list: (): readonly FaultRow[] => this.#faults,
    add: (spec: string): readonly FaultRow[] => {
      if (spec.includes("nonsense")) throw new Error('no action "nonsense"');
      const row = { id: `f${this.#faults.length + 1}`, spec, hits: 0 };
      this.#faults.push(row);
      return [row];
    },
    remove: (id: string): boolean => {
      const at = this.#faults.findIndex((f) => f.id === id);
      if (at >= 0) this.#faults.splice(at, 1);
      return at >= 0;
    },
    clear: (): number => this.#faults.splice(0).length,
    release: (id?: string): number => this.#faults.filter((f) => id === undefined || f.id === id).length,
  };
  addObserver(o: Observer): () => void {
    this.observers.add(o);
    return () => void this.observers.delete(o);
  }
  metrics(): Promise<string> {
    return Promise.resolve("# HELP x y\nx 1\n");
  }
}
