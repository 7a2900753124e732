/** The page that shows the connection it came over: as text, or as HTML. */
import type { Socket } from "node:net";

/** What our sockets tell and Node's do not; a copy of the names, for applications know no TCP. */
interface Facts {
  readonly id: number;
  readonly state: string;
  readonly [fact: string]: unknown;
}

/** Facts in the order of the page, with their units. */
const SHOWN: readonly (readonly [title: string, of: (f: Facts) => unknown])[] = [
  ["connection", (f) => f.id],
  ["state", (f) => f.state],
  ["age", (f) => ms(f.ageMs)],
  ["smoothed round trip (srtt)", (f) => ms(f.srtt)],
  ["its variation (rttvar)", (f) => ms(f.rttvar)],
  ["retransmission timeout (rto)", (f) => ms(f.rto)],
  ["send window", (f) => octets(f.sndWnd)],
  ["receive window", (f) => octets(f.rcvWnd)],
  ["window scale, theirs and ours", (f) => `${String(f.sndWscale)}, ${String(f.rcvWscale)}`],
  ["segment size (MSS), theirs and ours", (f) => `${String(f.mss)}, ${String(f.advmss)} octets`],
  ["options agreed", (f) => [f.timestamps && "timestamps", f.sack && "SACK", f.ecn && "ECN"].filter(Boolean).join(", ") || "none"],
  ["congestion control", (f) => `${String(f.congestion)}, ${String(f.phase)}`],
  ["congestion window (cwnd)", (f) => octets(f.cwnd)],
  ["slow-start threshold (ssthresh)", (f) => (f.ssthresh === undefined ? "not set" : octets(f.ssthresh))],
  ["in flight", (f) => octets(f.inFlight)],
  ["received", (f) => `${octets(f.bytesReceived)} in ${String(f.segmentsIn)} segments`],
  ["sent", (f) => `${octets(f.bytesSent)} in ${String(f.segmentsOut)} segments`],
  ["retransmitted", (f) => `${octets(f.bytesRetransmitted)} in ${String(f.retransmits)} segments`],
];

const ms = (value: unknown): string => (typeof value === "number" ? `${Math.round(value * 1_000) / 1_000} ms` : "no sample yet");
const octets = (value: unknown): string => `${Number(value).toLocaleString("en-US")} octets`;

function facts(socket: Socket): [string, string][] {
  const rows: [string, string][] = [
    ["you", `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? "?"}`],
    ["this server", `${socket.localAddress ?? "?"}:${socket.localPort ?? "?"}`],
  ];
  const tcp = (socket as { tcp?: Facts }).tcp;
  if (tcp === undefined) return [...rows, ["TCP", "the kernel's: it shows no more from here"]];
  return [...rows, ...SHOWN.map(([title, of]): [string, string] => [title, String(of(tcp))])];
}

export function connectionText(socket: Socket): string {
  const rows = facts(socket);
  const width = Math.max(...rows.map(([title]) => title.length));
  return `${rows.map(([title, value]) => `${title.padEnd(width)}  ${value}`).join("\n")}\n`;
}

const escape = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

export function connectionPage(socket: Socket): string {
  const rows = facts(socket)
    .map(([title, value]) => `<tr><th scope="row">${escape(title)}</th><td>${escape(value)}</td></tr>`)
    .join("\n");
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>This connection</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); font-weight: 400 }
td { font-variant-numeric: tabular-nums }
</style>
<h1>This connection</h1>
<table>
${rows}
</table>
<p>Load it again on the same connection and see the numbers move.</p>
`;
}
