/** The eleven states of RFC 9293 §3.3.2 and the edges between them (Figure 5), as data. */

export const STATES = [
  "CLOSED",
  "LISTEN",
  "SYN-SENT",
  "SYN-RECEIVED",
  "ESTABLISHED",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "CLOSE-WAIT",
  "CLOSING",
  "LAST-ACK",
  "TIME-WAIT",
] as const;
export type State = (typeof STATES)[number];

/** Every transition that `setState` takes; the diagram in the README is drawn from here. */
export const EDGES: Readonly<Record<State, readonly State[]>> = {
  "CLOSED": ["LISTEN", "SYN-SENT"],
  "LISTEN": ["SYN-RECEIVED", "SYN-SENT", "CLOSED"],
  "SYN-SENT": ["ESTABLISHED", "SYN-RECEIVED", "CLOSED"],
  "SYN-RECEIVED": ["ESTABLISHED", "FIN-WAIT-1", "LISTEN", "CLOSED"], // LISTEN: Figure 5, note 1
  "ESTABLISHED": ["FIN-WAIT-1", "CLOSE-WAIT", "CLOSED"],
  "FIN-WAIT-1": ["FIN-WAIT-2", "CLOSING", "TIME-WAIT", "CLOSED"], // TIME-WAIT: Figure 5, note 2
  "FIN-WAIT-2": ["TIME-WAIT", "CLOSED"],
  "CLOSE-WAIT": ["LAST-ACK", "CLOSED"],
  "CLOSING": ["TIME-WAIT", "CLOSED"],
  "LAST-ACK": ["CLOSED"],
  "TIME-WAIT": ["CLOSED"],
};

/** Place of a state in STATES. A switch: to compare names costs less than to look one up. */
export function placeOf(s: State): number {
  switch (s) {
    case "CLOSED":
      return 0;
    case "LISTEN":
      return 1;
    case "SYN-SENT":
      return 2;
    case "SYN-RECEIVED":
      return 3;
    case "ESTABLISHED":
      return 4;
    case "FIN-WAIT-1":
      return 5;
    case "FIN-WAIT-2":
      return 6;
    case "CLOSE-WAIT":
      return 7;
    case "CLOSING":
      return 8;
    case "LAST-ACK":
      return 9;
    case "TIME-WAIT":
      return 10;
  }
}

/** EDGES for the machine: a row for each state, a bit for each that it leads to. */
const ROWS = Int32Array.from(STATES, (from) => EDGES[from].reduce((row, to) => row | (1 << placeOf(to)), 0));
export const isEdge = (from: State, to: State): boolean => (((ROWS[placeOf(from)] as number) >> placeOf(to)) & 1) === 1;

/** ESTABLISHED and later: both SYNs are acknowledged (RFC 9293 §3.5). */
export const isSynchronized = (s: State): boolean => s !== "CLOSED" && s !== "LISTEN" && s !== "SYN-SENT" && s !== "SYN-RECEIVED";

const ALIASES = new Map<string, State>();
for (const s of STATES) ALIASES.set(s.replaceAll("-", ""), s);
for (const [alias, s] of [
  ["SYNRCVD", "SYN-RECEIVED"],
  ["SYNRECV", "SYN-RECEIVED"],
  ["SYNSEND", "SYN-SENT"],
  ["ESTAB", "ESTABLISHED"],
  ["ESTALISHED", "ESTABLISHED"],
  ["CLOSEDWAIT", "CLOSE-WAIT"],
  ["LASTASK", "LAST-ACK"],
  ["CLOSE", "CLOSED"],
  ["UNCONN", "CLOSED"],
  ["LISTENING", "LISTEN"],
] as const)
  ALIASES.set(alias, s);

/** Reads a state in any usual spelling: `SYN_RCVD`, `syn-recv`, `ESTAB`, `fin_wait1`. Undefined if it is none. */
export const parseState = (text: string): State | undefined => ALIASES.get(text.toUpperCase().replaceAll(/[-_ ]/g, ""));
