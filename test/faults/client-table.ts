/**
 * What real clients say of a server that misbehaves, row by row as it was first measured with a throwaway responder, and the
 * port of the chaos preset that shows it. `own`: interop/clients.test.ts makes a client for it, and names the row in its title.
 */
export const CLIENT_TABLE = {
  "normal": "ok",
  "RST to SYN": "refused",
  "SYN never answered": "syn-lost",
  "SYN,ACK 3 s late": "synack-late",
  "first 2 SYNs lost": "syn-lost-twice",
  "bad checksum in SYN,ACK": "synack-badsum",
  "wrong ack in SYN,ACK": "synack-wrong-ack",
  "RST right after the handshake": "reset-at-once",
  "RST mid-body": "reset-mid-body",
  "FIN mid-body": "fin-mid-body",
  "FIN before any octet": "empty-reply",
  "request acknowledged, never answered": "silent",
  "zero window, and its detail in ss -i": "zero-window",
  "blackhole after the handshake": "blackhole",
  "FIN of the client never acknowledged": "fin-unacked",
  "FIN acknowledged, the server never closes": "never-fin",
  "FINs cross, the ACK comes 4 s later": "closing",
  "FIN and ACK in one": "own",
  "server's FIN first, the application keeps its end open": "own",
  "server's FIN first, the application closes, no ACK": "last-ack",
  "we SYN the kernel, no third ACK": "own",
  "keep-alive race: curl": "own",
  "keep-alive race: Node http.Agent": "own",
  "keep-alive race: fetch": "own",
  "ISN 0xfffffff0": "own",
} as const;

export type ClientRow = keyof typeof CLIENT_TABLE;

/** Only a type: a title cannot name a row that is not there. */
export const row = (name: ClientRow): string => `row "${name}"`;

/** The rows that a port of the preset shows. */
export const rowsOf = (port: string): string =>
  Object.entries(CLIENT_TABLE)
    .filter(([, shownBy]) => shownBy === port)
    .map(([name]) => ` (row "${name}")`)
    .join("");
