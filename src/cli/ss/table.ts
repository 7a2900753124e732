/** Rows as text: the columns of ss, aligned as it aligns them, and netstat's. */
import type { DaemonStatus } from "../../control/contract.js";
import { attentionTo, type BufferSizes, extendedText, infoText, memoryText, timerText } from "./info.js";
import { NETSTAT_NAMES, type Row, SS_NAMES } from "./row.js";
import { serviceName } from "./services.js";

export interface TableOptions {
  /** -n */
  readonly numeric: boolean;
  /** -t, -4 …: no Netid column. */
  readonly tcpOnly: boolean;
  readonly header: boolean;
  /** A single state was asked for: ss leaves the State column out. */
  readonly hideState: boolean;
  readonly timers: boolean;
  readonly extended: boolean;
  readonly memory: boolean;
  readonly info: boolean;
  readonly processes: boolean;
  readonly oneLine: boolean;
  readonly pid: number;
  readonly sizes: BufferSizes;
  /** Paints the `!` and its reason. */
  readonly alarm?: (text: string) => string;
}

/** What goes under a row: the kernel's own row for the same connection (--pair). */
export type Under = (row: Row) => readonly string[] | undefined;

const port = (n: number, numeric: boolean): string => (numeric ? String(n) : (serviceName(n) ?? String(n)));

interface Cells {
  readonly netid: string;
  readonly state: string;
  readonly recvQ: string;
  readonly sendQ: string;
  readonly local: string;
  readonly localPort: string;
  readonly peer: string;
  readonly peerPort: string;
  readonly tail: string;
  /** Lines below the row. */
  readonly below: readonly string[];
}

const HEADER: Cells = {
  netid: "Netid",
  state: "State",
  recvQ: "Recv-Q",
  sendQ: "Send-Q",
  local: "Local Address:",
  localPort: "Port",
  peer: "Peer Address:",
  peerPort: "Port",
  tail: "Process",
  below: [],
};

function cells(row: Row, o: TableOptions, under: readonly string[] | undefined): Cells {
  const c = row.connection;
  const tail: string[] = [],
    details: string[] = [];
  if (o.processes) tail.push(`users:(("${row.service ?? "glasstcp"}",pid=${o.pid},fd=${c?.id ?? 0}))`);
  if (o.timers && c !== undefined) tail.push(timerText(c) ?? "");
  if (o.extended) tail.push(extendedText(row));
  if (o.memory) details.push(memoryText(row, o.sizes));
  if (o.info && c !== undefined) details.push(infoText(c, o.timers));
  const reason = attentionTo(row);
  if (reason !== undefined) tail.push((o.alarm ?? String)(`! ${reason}`));
  const below = under === undefined ? [] : [...under];
  if (details.length > 0) {
    if (o.oneLine) tail.push(...details);
    else below.unshift(`\t ${details.join(" ")}`);
  }
  return {
    netid: "tcp",
    state: SS_NAMES[row.state],
    recvQ: String(row.recvQ),
    sendQ: String(row.sendQ),
    local: `${row.local.address}:`,
    localPort: port(row.local.port, o.numeric),
    peer: `${row.remote?.address ?? "0.0.0.0"}:`,
    peerPort: row.remote === undefined ? "*" : port(row.remote.port, o.numeric),
    tail: tail.filter((t) => t !== "").join(" "),
    below,
  };
}

/** The whole table, without a newline at its end; "" when there is nothing to print. */
export function ssTable(rows: readonly Row[], o: TableOptions, under: Under = () => undefined): string {
  const list = rows.map((r) => cells(r, o, under(r)));
  if (o.header) list.unshift(HEADER);
  const width = (key: Exclude<keyof Cells, "below" | "tail">): number => Math.max(0, ...list.map((c) => c[key].length));
  const w = {
    netid: width("netid"),
    state: width("state"),
    recvQ: width("recvQ"),
    sendQ: width("sendQ"),
    local: width("local"),
    localPort: width("localPort"),
    peer: width("peer"),
    peerPort: width("peerPort"),
  };
  return list
    .flatMap((c) => [
      [
        ...(o.tcpOnly ? [] : [c.netid.padEnd(w.netid)]),
        ...(o.hideState ? [] : [c.state.padEnd(w.state)]),
        c.recvQ.padEnd(w.recvQ),
        c.sendQ.padEnd(w.sendQ),
        c.local.padStart(w.local) + c.localPort.padEnd(w.localPort),
        c.peer.padStart(w.peer) + c.peerPort.padEnd(w.peerPort),
        c.tail,
      ]
        .join(" ")
        .trimEnd(),
      ...c.below,
    ])
    .join("\n");
}

/** -s: what ss -s prints, and what it cannot: the limits of the stack and how near they are. */
export function summary(s: DaemonStatus, listeners: number): string {
  const by = s.connections.byState;
  const timeWait = by["TIME-WAIT"] ?? 0,
    closed = (by.CLOSED ?? 0) + timeWait;
  const live = s.connections.total - closed + listeners;
  const states = Object.entries(by)
    .filter(([, n]) => n > 0)
    .map(([state, n]) => `${SS_NAMES[state as keyof typeof SS_NAMES].toLowerCase()} ${n}`);
  const limits = s.limits.map((l) => [l.name, l.used === undefined ? "-" : String(l.used), String(l.limit), l.shed === undefined ? "-" : String(l.shed)]);
  const rows = [["Limit", "Used", "Max", "Shed"], ...limits];
  const widths = [0, 1, 2, 3].map((i) => Math.max(...rows.map((r) => (r[i] ?? "").length)));
  return [
    `Total: ${s.connections.total + listeners}`,
    `TCP:   ${s.connections.total + listeners} (estab ${by.ESTABLISHED ?? 0}, closed ${closed}, orphaned ${s.connections.orphans}, timewait ${timeWait})`,
    "",
    "Transport Total     IP        IPv6",
    `TCP\t  ${String(live).padEnd(10)}${String(live).padEnd(10)}0`,
    "",
    ...(states.length === 0 ? [] : [`States: ${states.join(", ")}`, ""]),
    ...(s.synCookies.sent === 0 ? [] : [`SYN cookies: ${s.synCookies.sent} sent, ${s.synCookies.received} came back good, ${s.synCookies.failed} bad`, ""]),
    ...(limits.length === 0 ? [] : rows.map((r) => r.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart((widths[i] ?? 0) + 2))).join(""))),
  ]
    .join("\n")
    .trimEnd();
}

export interface NetstatOptions {
  readonly numeric: boolean;
  readonly processes: boolean;
  readonly timers: boolean;
  readonly pid: number;
}

/** netstat's table; its first line says which sockets are in it, as netstat's does. */
export function netstatTable(rows: readonly Row[], which: "servers and established" | "only servers" | "w/o servers", o: NetstatOptions): string {
  const lines = [
    `Active Internet connections (${which})`,
    `Proto Recv-Q Send-Q Local Address           Foreign Address         State      ${o.processes ? " PID/Program name    " : ""}${o.timers ? " Timer" : ""}`,
  ];
  for (const row of rows) {
    const local = `${row.local.address}:${port(row.local.port, o.numeric)}`,
      remote = row.remote === undefined ? "0.0.0.0:*" : `${row.remote.address}:${port(row.remote.port, o.numeric)}`;
    const program = o.processes ? ` ${`${o.pid}/${row.service ?? "glasstcp"}`.padEnd(20)}` : "";
    const timer = o.timers ? ` ${netstatTimer(row)}` : "";
    lines.push(
      `tcp   ${String(row.recvQ).padStart(6)} ${String(row.sendQ).padStart(6)} ${local.padEnd(23)} ${remote.padEnd(23)} ${NETSTAT_NAMES[row.state].padEnd(11)}${program}${timer}`,
    );
  }
  return lines.map((l) => l.trimEnd()).join("\n");
}

function netstatTimer(row: Row): string {
  const c = row.connection;
  if (c?.timer === undefined) return "off (0.00/0/0)";
  const name =
    c.timer.name === "keepAlive"
      ? "keepalive"
      : c.timer.name === "timeWait" || c.timer.name === "finWait2"
        ? "timewait"
        : c.timer.name === "persist"
          ? "probe"
          : "on";
  return `${name} (${(c.timer.inMs / 1_000).toFixed(2)}/${c.backoff}/0)`;
}
