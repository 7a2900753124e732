/** Prometheus metrics (prom-client): read from the daemon's own counts at each scrape, so that nothing is counted twice. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { CountersAnswer, DaemonStatus } from "../control/contract.js";
import { STATES } from "../tcp/state.js";

export interface MetricsSource {
  status(): DaemonStatus;
  /** Smoothed round trip times of the connections that have one, milliseconds. */
  roundTrips(): Iterable<number>;
  counters(): CountersAnswer;
}

/** Round trips from a local link to a bad satellite, seconds. */
const RTT_BUCKETS = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export function metricsOf(source: MetricsSource): { text(): Promise<string>; readonly contentType: string } {
  const registry = new Registry();
  const registers = [registry];
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> =>
    new Gauge({ name: `glasstcp_${name}`, help, labelNames: [...labelNames], registers });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> =>
    new Counter({ name: `glasstcp_${name}`, help, labelNames: [...labelNames], registers });

  const info = gauge("info", "Version, interface and driver of the daemon; always 1", ["version", "tun", "driver", "offload"]);
  const uptime = gauge("uptime_seconds", "Time since the daemon started");
  const connections = gauge("connections", "Connections by state", ["state"]);
  const orphans = gauge("orphans", "Connections that no application holds");
  const limits = gauge("limit", "Bounds of the stack", ["limit"]);
  const used = gauge("limit_used", "What is used of each bound", ["limit"]);
  const shed = counter("limit_shed_total", "What was shed at each bound", ["limit"]);
  const transitions = counter("transitions_total", "Transitions of the state machine", ["from", "to"]);
  const closed = counter("closed_total", "Connections that ended, by how", ["by"]);
  const rules = counter("rule_total", "Applications of each rule (drops and replies), by its id", ["rule"]);
  const tcp = counter("tcp_total", "Counts of the TCP core: segments, retransmits, timeouts, resets …", ["what"]);
  const device = counter("device_total", "Counts of the device: frames, octets, errors", ["what"]);
  const log = counter("log_total", "Lines written, lines lost and failed writes of the log", ["what"]);
  const rtt = new Histogram({
    name: "glasstcp_srtt_seconds",
    help: "Smoothed round trip time of the connections that are alive at the scrape",
    buckets: RTT_BUCKETS,
    registers,
  });
  const lag = gauge("event_loop_lag_seconds", "Delay of the event loop since the last scrape", ["quantile"]);
  const memory = gauge("memory_bytes", "Memory of the process", ["kind"]);

  const refresh = (): void => {
    registry.resetMetrics();
    const status = source.status(),
      counters = source.counters();
    info.set({ version: status.version, tun: status.tun.name, driver: status.tun.driver, offload: status.tun.offload }, 1);
    uptime.set(status.uptimeMs / 1_000);
    for (const state of STATES) connections.set({ state }, status.connections.byState[state] ?? 0);
    orphans.set(status.connections.orphans);
    for (const l of status.limits) {
      limits.set({ limit: l.name }, l.limit);
      if (l.used !== undefined) used.set({ limit: l.name }, l.used);
      if (l.shed !== undefined) shed.inc({ limit: l.name }, l.shed);
    }
    for (const [edge, n] of Object.entries(counters.transitions)) {
      const [from = "", to = ""] = edge.split(">");
      transitions.inc({ from, to }, n);
    }
    for (const [by, n] of Object.entries(counters.closed)) closed.inc({ by }, n);
    for (const [rule, n] of Object.entries(counters.rules)) rules.inc({ rule }, n);
    for (const [what, n] of Object.entries(counters.stack)) tcp.inc({ what }, n);
    for (const [what, n] of Object.entries(counters.device)) device.inc({ what }, n);
    for (const [what, n] of Object.entries(counters.log)) log.inc({ what }, n);
    for (const ms of source.roundTrips()) rtt.observe(ms / 1_000);
    lag.set({ quantile: "0.5" }, status.eventLoopLagMs.mean / 1_000);
    lag.set({ quantile: "0.99" }, status.eventLoopLagMs.p99 / 1_000);
    lag.set({ quantile: "1" }, status.eventLoopLagMs.max / 1_000);
    for (const [kind, n] of Object.entries(status.memory)) memory.set({ kind }, n);
  };
  return {
    contentType: registry.contentType,
    text() {
      refresh();
      return registry.metrics();
    },
  };
}
