/** What the control API asks, answered from the parts of the running daemon. */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import type {
  ConnectionRow,
  ControlTarget,
  CountersAnswer,
  DaemonStatus,
  FaultRegistry,
  LimitRow,
  ListenerRow,
  OptionRow,
  ServiceRow,
} from "../control/contract.js";
import type { Device } from "../device/device.js";
import { LEVEL_NAMES, type Level } from "../observe/levels.js";
import type { Log } from "../observe/log.js";
import { metricsOf } from "../observe/metrics.js";
import type { Tally } from "../observe/tally.js";
import { LIMITS } from "../stack/limits.js";
import type { Stack } from "../stack/stack.js";
import { isOptionName, OPTIONS, type OptionSpec, parseOption } from "../tcp/options.js";
import type { Observer } from "../tcp/events.js";
import type { State } from "../tcp/state.js";
import type { ServeConfig } from "./config.js";
import type { Clock } from "./driver.js";

export interface TargetParts {
  readonly config: ServeConfig;
  readonly version: string;
  readonly log: Log;
  readonly stack: Stack;
  readonly device: Device;
  readonly offload: "on" | "off";
  readonly tally: Tally;
  readonly services: readonly ServiceRow[];
  readonly faults: FaultRegistry;
  readonly clock: Clock;
  readonly addObserver: (o: Observer) => () => void;
}

/** How fine the delay of the event loop is looked at, milliseconds; only from the first question on. */
const LAG_RESOLUTION_MS = 20;
const ms = (nanoseconds: number): number => (Number.isFinite(nanoseconds) && nanoseconds > 0 ? Math.max(0, nanoseconds / 1e6 - LAG_RESOLUTION_MS) : 0);

export class Target implements ControlTarget {
  readonly faults: FaultRegistry;
  readonly #parts: TargetParts;
  readonly #startedAt = Date.now();
  readonly #serviceOf: ReadonlyMap<number, string>;
  readonly #metrics: ReturnType<typeof metricsOf>;
  #lag: IntervalHistogram | undefined;

  constructor(parts: TargetParts) {
    this.#parts = parts;
    this.faults = parts.faults;
    this.#serviceOf = new Map(parts.services.map((s) => [s.port, s.name]));
    this.#metrics = metricsOf(this);
  }

  status(): DaemonStatus {
    const { config, version, log, stack, device, offload, services } = this.#parts;
    const byState: Partial<Record<State, number>> = {};
    const most = { received: 0, unsent: 0, gaps: 0 };
    let total = 0;
    for (const c of stack.connections()) {
      const { receiveQueue } = c.tcb;
      total++;
      byState[c.state] = (byState[c.state] ?? 0) + 1;
      most.received = Math.max(most.received, receiveQueue.readable + receiveQueue.outOfOrder);
      most.unsent = Math.max(most.unsent, c.sendQueued);
      most.gaps = Math.max(most.gaps, receiveQueue.ranges.length);
    }
    const memory = process.memoryUsage();
    return {
      version,
      pid: process.pid,
      startedAt: this.#startedAt,
      uptimeMs: Date.now() - this.#startedAt,
      tun: { name: device.name, mtu: device.mtu, driver: config.driver, offload, counters: { ...device.counters } },
      host: config.host,
      addresses: config.addresses,
      services,
      connections: { total, byState, orphans: stack.counters.orphans },
      limits: this.#limits(most),
      synCookies: { sent: stack.counters.cookiesSent, received: stack.counters.cookiesReceived, failed: stack.counters.cookiesFailed },
      faults: this.faults.list().length,
      log: { ...log.counters, level: log.level },
      memory: { rss: memory.rss, heapUsed: memory.heapUsed, external: memory.external, arrayBuffers: memory.arrayBuffers },
      eventLoopLagMs: this.#eventLoopLag(),
    };
  }

  /** @param most the fullest connection in each respect: octets received and not taken, octets unacknowledged, ranges beyond gaps */
  #limits(most: { readonly received: number; readonly unsent: number; readonly gaps: number }): LimitRow[] {
    const { stack } = this.#parts;
    const c = stack.counters,
      limits = stack.limits,
      hits = stack.env.ruleHits,
      o = stack.options;
    // A bound of each listener, so that the sum would say nothing.
    let fullest = 0;
    for (const l of stack.listeners()) fullest = Math.max(fullest, l.waiting);
    const pageSize = c.pagesCapacity > 0 ? limits.memory / c.pagesCapacity : 0;
    return [
      { name: "connections", used: c.connections, limit: limits.maxConnections, shed: hits["limit-connections"] },
      { name: "per source", used: undefined, limit: limits.maxPerSource, shed: hits["limit-per-source"] },
      { name: "syn backlog", used: c.halfOpen, limit: limits.synBacklog, shed: c.synBacklogOverflows },
      { name: "accept backlog", used: fullest, limit: limits.acceptBacklog, shed: c.listenOverflows },
      { name: "time-wait", used: c.timeWait, limit: limits.maxTimeWait, shed: hits["limit-time-wait"] },
      { name: "orphans", used: c.orphans, limit: limits.maxOrphans, shed: hits["limit-orphans"] },
      { name: "fragments", used: c.fragmentOctets, limit: limits.maxFragments, shed: c.fragmentsShed },
      { name: "ICMP per s", used: undefined, limit: limits.icmpRate, shed: c.icmpLimited },
      { name: "RST per s", used: undefined, limit: limits.resetRate, shed: c.resetsLimited },
      { name: "challenge ACKs per s", used: undefined, limit: o.challengeAckLimit, shed: stack.env.counters.challengeAcksLimited },
      { name: "memory", used: Math.round(c.pagesUsed * pageSize), limit: limits.memory, shed: stack.env.counters.memoryDrops + stack.env.counters.memoryWaits },
      { name: "receive buffer", used: most.received, limit: o.receiveBuffer, shed: undefined },
      { name: "send buffer", used: most.unsent, limit: o.sendBuffer, shed: undefined },
      { name: "out-of-order ranges", used: most.gaps, limit: o.outOfOrderRanges, shed: stack.env.counters.gapDrops },
      { name: "idle ms", used: undefined, limit: o.idleTimeout, shed: hits["limit-idle"] },
      { name: "zero window ms", used: undefined, limit: o.zeroWindowTimeout, shed: hits["limit-zero-window"] },
      { name: "slow reader octets/s", used: undefined, limit: o.minSendRate, shed: hits["limit-slow-reader"] },
      { name: "age ms", used: undefined, limit: o.maxAge, shed: hits["limit-age"] },
    ];
  }

  #eventLoopLag(): DaemonStatus["eventLoopLagMs"] {
    if (this.#lag === undefined) {
      this.#lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
      this.#lag.enable();
    }
    const lag = { mean: ms(this.#lag.mean), p99: ms(this.#lag.percentile(99)), max: ms(this.#lag.max) };
    this.#lag.reset();
    return lag;
  }

  sockets(): ReturnType<ControlTarget["sockets"]> {
    const { stack } = this.#parts;
    const listeners: ListenerRow[] = [];
    for (const l of stack.listeners()) {
      if (l.port === "any") continue;
      listeners.push({
        state: "LISTEN",
        local: { address: l.localAddress, port: l.port },
        recvQ: l.waiting,
        sendQ: l.backlog,
        service: this.#serviceOf.get(l.port),
      });
    }
    return { time: Date.now(), pid: process.pid, listeners, connections: this.#rows() };
  }

  /** Lazily, and over several turns of the event loop: what has closed meanwhile is left out. */
  *#rows(): IterableIterator<ConnectionRow> {
    const { stack, clock } = this.#parts;
    for (const c of stack.connections()) if (c.state !== "CLOSED") yield { ...c.status(clock.now()), service: this.#serviceOf.get(c.localPort) };
  }

  *roundTrips(): IterableIterator<number> {
    for (const { tcb } of this.#parts.stack.connections()) if (tcb.rtt.hasSample) yield tcb.rtt.srtt;
  }

  socket(id: number): ConnectionRow | undefined {
    const c = this.#parts.stack.connection(id);
    return c === undefined ? undefined : { ...c.status(this.#parts.clock.now()), service: this.#serviceOf.get(c.localPort) };
  }

  abort(id: number): boolean {
    const c = this.#parts.stack.connection(id);
    c?.abort();
    return c !== undefined;
  }

  counters(): CountersAnswer {
    const { stack, device, tally, log } = this.#parts;
    return {
      stack: { ...stack.counters, ...stack.env.counters },
      device: { ...device.counters },
      events: { ...tally.events },
      transitions: tally.transitions,
      closed: { ...tally.closed, rxBytes: tally.rxBytes, txBytes: tally.txBytes },
      rules: Object.fromEntries(Object.entries(stack.env.ruleHits).filter(([, n]) => n > 0)),
      log: { lines: log.counters.lines, lostLines: log.counters.lostLines, errors: log.counters.errors },
    };
  }

  options(): readonly OptionRow[] {
    const { stack, log, config } = this.#parts;
    return [
      ...Object.entries(OPTIONS).map(([name, spec]) => row(name, spec, stack.options[name as keyof typeof OPTIONS])),
      ...Object.entries(LIMITS).map(([name, spec]) => row(name, spec, stack.limits[name as keyof typeof LIMITS])),
      {
        name: "synCookies",
        value: config.synCookies,
        default: "auto",
        unit: undefined,
        source: "RFC 4987 §3.6; Linux tcp_syncookies",
        why: "auto: when the SYN backlog is full; off: never; always: for every SYN",
      },
      { name: "logLevel", value: log.level, default: "info", unit: undefined, source: "pino", why: `how much is logged: ${LEVEL_NAMES.join(", ")}` },
    ];
  }

  setOption(name: string, text: string): OptionRow {
    const { stack, log } = this.#parts;
    if (name === "logLevel") {
      const level = LEVEL_NAMES.find((l): l is Level => l === text);
      if (level === undefined) throw new RangeError(`logLevel: "${text}" is not one of ${LEVEL_NAMES.join(", ")}`);
      log.level = level;
    } else if (name === "synCookies" || Object.hasOwn(LIMITS, name)) {
      throw new RangeError(`${name} is fixed while the daemon runs; start it with --set ${name}=${text}`);
    } else {
      stack.configure(parseOption(name, text));
    }
    const found = this.options().find((o) => o.name === name);
    if (found === undefined || !(isOptionName(name) || name === "logLevel")) throw new RangeError(`unknown option "${name}"`);
    return found;
  }

  addObserver(observer: Observer): () => void {
    return this.#parts.addObserver(observer);
  }
  metrics(): Promise<string> {
    return this.#metrics.text();
  }
}

const row = (name: string, spec: OptionSpec, value: OptionRow["value"]): OptionRow => ({
  name,
  value,
  default: spec.default,
  unit: spec.kind === "number" ? spec.unit : undefined,
  source: spec.source,
  why: spec.why,
});
