/** How loud each event is: DESIGN's table of levels as data, in pino's numbers. */
import { bitOf, type EventKind } from "../tcp/events.js";

export const LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: Number.POSITIVE_INFINITY } as const;
export type Level = keyof typeof LEVELS;
export const LEVEL_NAMES = Object.keys(LEVELS) as Level[];

export const LEVEL_OF: Readonly<Record<EventKind, Exclude<Level, "silent">>> = {
  transition: "info",
  closed: "info",
  refused: "info",
  reset: "info",
  fault: "info",
  drop: "debug",
  timer: "debug",
  congestion: "debug",
  segment: "trace",
  flood: "warn",
  limit: "warn",
};
export const EVENT_KINDS = Object.keys(LEVEL_OF) as EventKind[];

/** The kinds that are written at `level`: their bits (`bitOf`). */
export function kindsAt(level: Level): number {
  return EVENT_KINDS.reduce((bits, k) => (LEVELS[LEVEL_OF[k]] >= LEVELS[level] ? bits | bitOf(k) : bits), 0);
}
