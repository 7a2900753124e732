/** Which rows a call of ss is about: states first, then the filter. */
import type { SocketsAnswer } from "../../control/contract.js";
import type { State } from "../../tcp/state.js";
import { type Filter, matches, parseFilter } from "./filter.js";
import { type Row, rowOfConnection, rowOfListener } from "./row.js";
import { SHOWN, takeStates } from "./states.js";

export interface Selection {
  readonly states: ReadonlySet<State>;
  readonly filter: Filter | undefined;
  /** ss leaves its first column out when a single state is asked for. */
  readonly singleState: boolean;
}

export function parseSelection(words: readonly string[], flags: { readonly all: boolean; readonly listening: boolean }): Selection {
  const { states, rest } = takeStates(words);
  const shown = states ?? new Set(flags.all ? SHOWN.all : flags.listening ? SHOWN.listening : SHOWN.default);
  return { states: shown, filter: parseFilter(rest), singleState: shown.size === 1 && states !== undefined };
}

/** Listeners first, then connections, oldest first. */
export function selectRows(answer: SocketsAnswer, selection: Selection): Row[] {
  const rows = [...answer.listeners.map(rowOfListener), ...answer.connections.map(rowOfConnection)];
  return rows.filter((r) => selection.states.has(r.state) && (selection.filter === undefined || matches(selection.filter, r)));
}
