/** One long transfer per cell of loss × round trip × buffer, in virtual time, beside what the congestion-control RFC lets expect. */
import type { AppPlan } from "./scenario.js";
import { simulate } from "./simulate.js";
import type { LinkPlan } from "./link.js";

const MSS = 1_448,
  MTU = 1_500;
/** 10 Mbit/s, octets per ms; and a queue in front of it. */
const RATE = 1_250,
  QUEUE = 125_000;
const SECONDS = 30;
const LOSSES = [0, 0.001, 0.01, 0.05],
  ROUND_TRIPS = [10, 50, 200],
  BUFFERS = [64, 256, 1_024];

export interface Cell {
  readonly congestion: "cubic" | "reno";
  readonly loss: number;
  /** ms, without the queue. */
  readonly rtt: number;
  /** KiB, of the receiver and of the sender. */
  readonly buffer: number;
  /** Mbit/s of text. */
  readonly rate: number;
  readonly allowed: number;
  readonly limit: "link" | "window" | "loss";
  readonly retransmits: number;
  readonly timeouts: number;
}

export function measure(congestion: Cell["congestion"], loss: number, rtt: number, buffer: number): Cell {
  const forward: LinkPlan = {
    delay: rtt / 2,
    jitter: 0,
    loss,
    burstEnter: 0,
    burstLeave: 1,
    reorder: 0,
    duplicate: 0,
    corrupt: 0,
    mark: 0,
    rate: RATE,
    queue: QUEUE,
    outages: [],
    mtus: [],
    heals: Infinity,
  };
  const idle: AppPlan = {
    writes: 0,
    piece: 1,
    writePause: 0,
    readPiece: 0,
    readPause: 0,
    readFrom: 0,
    close: "ended",
    release: false,
    abortAt: undefined,
    noDelay: false,
    corked: false,
    shared: false,
  };
  const options = { congestion, receiveBuffer: buffer * 1_024, sendBuffer: 4 * 1_024 * 1_024 };
  const outcome = simulate(1, {
    scenario: {
      mtu: MTU,
      offload: ["off", "off"],
      link: [forward, { ...forward, loss: 0, rate: Infinity }],
      now: 0,
      wrapAfter: undefined,
      connections: [
        {
          startAt: 0,
          simultaneous: false,
          options: [options, options],
          client: { ...idle, writes: 1e12, piece: 65_521, shared: true, close: "written", abortAt: SECONDS * 1_000 },
          server: idle,
        },
      ],
    },
  });
  if (outcome.violation !== undefined) throw new Error(outcome.violation);
  return {
    congestion,
    loss,
    rtt,
    buffer,
    rate: (outcome.octets * 8) / SECONDS / 1e6,
    ...allowed(congestion, loss, rtt, buffer),
    retransmits: outcome.retransmits,
    timeouts: outcome.timeouts,
  };
}

/**
 * The least of three: what the link carries, a window per round trip, and the average window of the response function:
 * RFC 9438 §5.1 for Reno (sqrt(3/2p) segments) and CUBIC (1.054 RTT^0.75 / p^0.75, and never less than Reno's, §4.3).
 * An average, not a bound: a short run may lie above it.
 */
function allowed(congestion: Cell["congestion"], loss: number, rtt: number, buffer: number): Pick<Cell, "allowed" | "limit"> {
  const reno = Math.sqrt(1.5 / loss),
    cubic = 1.054 * (rtt / 1_000 / loss) ** 0.75;
  const segments = congestion === "reno" ? reno : Math.max(reno, cubic);
  const mbit = (octetsPerMs: number): number => (octetsPerMs * 8) / 1_000;
  const limits = [
    ["link", mbit(RATE * (MSS / MTU))],
    ["window", mbit((buffer * 1_024) / rtt)],
    ["loss", loss === 0 ? Infinity : mbit((segments * MSS) / rtt)],
  ] as const;
  const [limit, figure] = limits.reduce((least, one) => (one[1] < least[1] ? one : least));
  return { limit, allowed: figure };
}

export function measureAll(): Cell[] {
  const cells: Cell[] = [];
  for (const congestion of ["cubic", "reno"] as const)
    for (const rtt of ROUND_TRIPS) for (const loss of LOSSES) for (const buffer of BUFFERS) cells.push(measure(congestion, loss, rtt, buffer));
  return cells;
}

/** As a page of Markdown, the same for the same code. */
export function table(cells: readonly Cell[]): string {
  const lines = [
    "# Throughput in simulation",
    "",
    `One connection for ${SECONDS} s of virtual time over 10 Mbit/s with a queue of ${QUEUE} octets, MSS ${MSS}; loss is random, of data only.`,
    "`allowed` is the least of the link, window / round trip, and the response function of RFC 9438 §5.1 with the round trip",
    "that is given here: the queue lengthens it. Written by `npm run throughput -- --write`; a test compares it.",
    "",
    "| control | round trip | loss | buffer | Mbit/s | allowed | by | sent again | timeouts |",
    "|---|---:|---:|---:|---:|---:|---|---:|---:|",
  ];
  for (const c of cells)
    lines.push(
      `| ${c.congestion} | ${c.rtt} ms | ${+(c.loss * 100).toFixed(2)} % | ${c.buffer} KiB | ${c.rate.toFixed(2)} | ${c.allowed.toFixed(2)} | ${c.limit} | ${c.retransmits} | ${c.timeouts} |`,
    );
  return `${lines.join("\n")}\n`;
}
