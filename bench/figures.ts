/** The figures that a client takes of any server, and how. */
import type { BenchOptions } from "./options.js";
import type { Answer, Server } from "./server.js";

export interface Figure {
  /** The part of the benchmark that takes it. */
  readonly part: "rx" | "tx" | "pp" | "seq" | "par";
  readonly title: string;
  readonly unit: string;
  /** Where it stands in the client's answer. */
  readonly key: string;
  readonly lowerIsBetter: boolean;
  /** Processor time of the server for one unit of work: its name, and how many units an answer stands for. */
  readonly cost: { readonly unit: string; units(answer: Answer): number; readonly scale: number };
}

const gigabytes = { unit: "s/GB", scale: 1, units: (a: Answer): number => ((a["gbps"] ?? 0) * (a["seconds"] ?? 0)) / 8 };
const each = { unit: "µs each", scale: 1e6, units: (a: Answer): number => a["n"] ?? 0 };

export const FIGURES: readonly Figure[] = [
  { part: "rx", title: "receive", unit: "Gbit/s", key: "gbps", lowerIsBetter: false, cost: gigabytes },
  { part: "tx", title: "send", unit: "Gbit/s", key: "gbps", lowerIsBetter: false, cost: gigabytes },
  { part: "pp", title: "round trip p50", unit: "µs", key: "p50", lowerIsBetter: true, cost: each },
  { part: "pp", title: "round trip p99", unit: "µs", key: "p99", lowerIsBetter: true, cost: each },
  { part: "seq", title: "connections/s, one at a time", unit: "/s", key: "rate", lowerIsBetter: false, cost: each },
  { part: "par", title: "connections/s, 32 in flight", unit: "/s", key: "rate", lowerIsBetter: false, cost: each },
];

const ECHO = 7,
  DISCARD = 9,
  CHARGEN = 19;
/** More would use up the ports of one address. */
const CONNECTIONS = 20_000;
const ROUND_TRIPS = 10_000;

export function take(server: Server, part: Figure["part"], options: Pick<BenchOptions, "secs" | "cc" | "quick">): Promise<Answer> {
  const cc = ["-C", options.cc],
    secs = ["-t", String(options.secs)];
  const count = (n: number): string[] => ["-n", String(options.quick ? Math.ceil(n / 20) : n)];
  switch (part) {
    case "rx":
      return server.measure("upload", DISCARD, [...cc, ...secs]);
    case "tx":
      return server.measure("download", CHARGEN, [...cc, ...secs]);
    case "pp":
      return server.measure("pingpong", ECHO, [...cc, ...count(ROUND_TRIPS)]);
    case "seq":
      return server.measure("connect", ECHO, [...cc, ...secs, ...count(CONNECTIONS)]);
    case "par":
      return server.measure("connect", ECHO, [...cc, ...secs, ...count(CONNECTIONS), "-c", "32"]);
  }
}

/** Lets a JIT compile what will be measured. The same for every server. */
export async function warmUp(server: Server, parts: readonly string[], options: Pick<BenchOptions, "secs" | "cc" | "quick">): Promise<void> {
  const short = { ...options, secs: options.quick ? 0.1 : 1 };
  for (const part of new Set(FIGURES.map((f) => f.part))) if (parts.includes(part)) await take(server, part, short);
}
