/** Matchers for vitest (and jest): `expect.extend(matchers)`, or `glasstcp/testing/setup` among the setupFiles. */
import { parseState, type State } from "../tcp/state.js";
import type { PeerConnection } from "./record.js";

export interface MatcherResult {
  readonly pass: boolean;
  readonly message: () => string;
}

/** The three matchers, typed for `expect(peer.connections[0])`. */
export interface GlassMatchers<R = unknown> {
  /** The connection went through these states one right after the other; "…" stands for any number of others. */
  toHaveTraversed(states: readonly string[]): R;
  /** It sent something again: at all, or exactly so often. */
  toHaveRetransmitted(times?: number): R;
  /** An RST ended it: anybody's, the peer's ("peer"), or ours, also one that a fault sent ("us"). */
  toHaveBeenReset(by?: "peer" | "us"): R;
}

export const matchers = {
  toHaveTraversed(conn: PeerConnection, states: readonly string[]): MatcherResult {
    const wanted = states.map((s) => (s === "…" || s === "..." ? undefined : (parseState(s) ?? unknownState(s))));
    const pass = traversed(conn.states, wanted);
    return { pass, message: () => `connection ${conn.id} ${pass ? "went" : "did not go"} through ${states.join(" → ")}; it went ${conn.path}${endOf(conn)}` };
  },
  toHaveRetransmitted(conn: PeerConnection, times?: number): MatcherResult {
    const n = conn.retransmits,
      pass = times === undefined ? n > 0 : n === times;
    return {
      pass,
      message: () =>
        `connection ${conn.id} retransmitted ${n} times, ${pass ? "not " : ""}expected ${times ?? "at least 1"}; it went ${conn.path}${endOf(conn)}`,
    };
  },
  toHaveBeenReset(conn: PeerConnection, by?: "peer" | "us"): MatcherResult {
    const pass = by === "peer" ? conn.resetsIn > 0 : by === "us" ? conn.resetsOut > 0 : conn.resetsIn + conn.resetsOut > 0;
    return {
      pass,
      message: () =>
        `connection ${conn.id} was ${pass ? "" : "not "}reset${by === undefined ? "" : ` by ${by}`} (RSTs in ${conn.resetsIn}, out ${conn.resetsOut}); it went ${conn.path}${endOf(conn)}`,
    };
  },
};

const endOf = (conn: PeerConnection): string => (conn.closedBy === undefined ? " and is alive" : ` and ended by ${conn.closedBy}`);
function unknownState(text: string): never {
  throw new TypeError(`"${text}" is no TCP state; "…" stands for any states between`);
}

/** Whether `wanted` lies in `states` without gaps but those that undefined allows. */
function traversed(states: readonly State[], wanted: readonly (State | undefined)[]): boolean {
  const from = (s: number, w: number): boolean => {
    if (w === wanted.length) return true;
    if (wanted[w] === undefined) return Array.from({ length: states.length - s + 1 }, (_, skip) => s + skip).some((at) => from(at, w + 1));
    return states[s] === wanted[w] && from(s + 1, w + 1);
  };
  return states.some((_, start) => from(start, 0));
}
