/** The state filter of ss: `state X`, `exclude X`, and the groups that ss knows. */
import { usageError } from "../errors.js";
import { parseState, type State, STATES } from "../../tcp/state.js";

const without = (...out: State[]): readonly State[] => STATES.filter((s) => !out.includes(s));

/** As `ss --help` lists them. */
export const GROUPS: Readonly<Record<string, readonly State[]>> = {
  all: STATES,
  connected: without("LISTEN", "CLOSED"),
  synchronized: without("LISTEN", "CLOSED", "SYN-SENT"),
  bucket: ["SYN-RECEIVED", "TIME-WAIT"],
  big: without("SYN-RECEIVED", "TIME-WAIT"),
};

/** What ss shows when nobody says more, with -l, and with -a. */
export const SHOWN = {
  default: without("LISTEN", "CLOSED", "TIME-WAIT", "SYN-RECEIVED"),
  listening: ["LISTEN"] as readonly State[],
  all: STATES,
} as const;

/** Spellings that ss takes and nobody else. */
const SS_ONLY: Readonly<Record<string, State>> = { "unconnected": "CLOSED", "syn-rcv": "SYN-RECEIVED" };

function statesOf(word: string): readonly State[] {
  const group = GROUPS[word.toLowerCase()];
  if (group !== undefined) return group;
  const state = parseState(SS_ONLY[word.toLowerCase()] ?? word);
  if (state === undefined)
    throw usageError(`wrong state name: ${word}`, `states: ${STATES.map((s) => s.toLowerCase()).join(", ")}; groups: ${Object.keys(GROUPS).join(", ")}`);
  return [state];
}

/**
 * Takes `state X` and `exclude X` from the front of the words, as ss does: the first `state` starts from nothing, a first
 * `exclude` from everything.
 * @returns the states, undefined when the words name none, and what is left of the words
 */
export function takeStates(words: readonly string[]): { states: ReadonlySet<State> | undefined; rest: readonly string[] } {
  let states: Set<State> | undefined;
  let at = 0;
  for (; at < words.length; at += 2) {
    const word = words[at];
    if (word !== "state" && word !== "exclude" && word !== "excl") break;
    const name = words[at + 1];
    if (name === undefined) throw usageError(`"${word}" needs the name of a state`, `for example: ${word} time-wait`);
    if (word === "state") {
      states ??= new Set();
      for (const s of statesOf(name)) states.add(s);
    } else {
      states ??= new Set(STATES);
      for (const s of statesOf(name)) states.delete(s);
    }
  }
  return { states, rest: words.slice(at) };
}
