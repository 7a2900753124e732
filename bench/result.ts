/** What a run has found: the shape of --json, and what the report and bench/RESULTS.md are made from. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, getPriority, loadavg, release, totalmem } from "node:os";

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly virtual: string;
  /** Of the benchmark and all that it starts: below 0, others wait. */
  readonly nice: number;
  /** Load of the last minute before and after: whether others were at work. */
  readonly loadBefore: number;
  loadAfter: number;
}

/** One line of the table: a figure of ours in one mode beside the two yardsticks. A value for each run. */
export interface Row {
  readonly figure: string;
  readonly mode: string;
  readonly unit: string;
  readonly lowerIsBetter: boolean;
  readonly ours: readonly number[];
  readonly limit: readonly number[];
  readonly kernel: readonly number[];
  /** Processor time of the server for each unit of work. */
  readonly cost: { readonly unit: string; readonly ours: readonly number[]; readonly limit: readonly number[] };
  /** Share of a core that programs other than client and server took while ours was measured. */
  readonly others: readonly number[];
}

export interface IdleResult {
  readonly mode: string;
  readonly seconds: number;
  readonly core: number;
}
export interface MemoryResult {
  readonly service: string;
  readonly connections: number;
  /** Octets for each connection: heap, external and array buffers together, after a collection. */
  readonly octetsEach: number;
  readonly rssEach: number;
  /** Share of a core without and with them. */
  readonly coreBefore: number;
  readonly coreAfter: number;
  readonly openedPerSecond: number;
}
export interface LogResult {
  /** Connections a second and µs of processor time for each, with transition lines and without: a value for each run. */
  readonly info: { readonly rate: readonly number[]; readonly cost: readonly number[] };
  readonly warn: { readonly rate: readonly number[]; readonly cost: readonly number[] };
}
export interface ExactResult {
  readonly mode: string;
  readonly octets: number;
  readonly streams: number;
  readonly gbps: number;
}

export interface Result {
  readonly command: string;
  readonly date: string;
  readonly machine: Machine;
  readonly rows: readonly Row[];
  readonly idle: readonly IdleResult[];
  readonly memory: readonly MemoryResult[];
  readonly log: LogResult | undefined;
  readonly exact: readonly ExactResult[];
}

export function machine(): Machine {
  const processor = cpus();
  return {
    processor: processor[0]?.model.trim() ?? "unknown",
    cores: processor.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `Linux ${release().split("-")[0]}`,
    node: process.version,
    virtual: virtualization(),
    nice: getPriority(),
    loadBefore: loadavg()[0] as number,
    loadAfter: Number.NaN,
  };
}

function virtualization(): string {
  try {
    return execFileSync("systemd-detect-virt", { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return /^flags\b.*\bhypervisor\b/m.test(readFileSync("/proc/cpuinfo", "utf8")) ? "a virtual machine" : "none seen";
  }
}
