/** Collects rows of the state matrix and makes a test of each, named by its requirement `9293:EV-<state>-<key>`. */
import { describe, test } from "vitest";
import type { Peers } from "../support/peer.js";
import type { StateInfo } from "./states.js";

export interface Row {
  readonly id: string;
  readonly state: StateInfo;
  readonly run: () => void;
}
export const rows: Row[] = [];

/** A row is a script for the state as it is usually reached, or a function that makes its own. */
// biome-ignore lint/suspicious/noConfusingVoidType: a step may be a plain block
type Step = string | ((state: StateInfo) => string | void);

/** In `at` (one state or several), on the event `key`: the reply that the script names, and `next` ("same": the state stays). */
export function on(
  at: StateInfo | readonly StateInfo[],
  key: string,
  next: string | ((s: StateInfo) => string) | undefined,
  step: Step,
  make: (s: StateInfo) => Peers = (s) => s.make(),
): void {
  for (const state of Array.isArray(at) ? (at as readonly StateInfo[]) : [at as StateInfo]) {
    const run = (): void => {
      const script = typeof step === "string" ? step : step(state);
      if (typeof script !== "string") return;
      const peers = make(state).play(script, state.letters);
      const to = typeof next === "function" ? next(state) : next;
      if (to !== undefined) peers.play(`= ${to === "same" ? state.name : to}`);
    };
    rows.push({ id: `9293:EV-${state.id}-${key}`, state, run });
  }
}

/** Several rows may bear one id: each is a test. */
export function declare(title: string): void {
  const mine = rows.splice(0);
  describe(title, () => {
    for (const r of mine) test(`[${r.id}] ${r.state.name}`, r.run);
  });
}
