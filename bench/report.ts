/** The report for a person: medians, ratios first. */
import { short } from "./compare.js";
import type { Result, Row } from "./result.js";
import { median, spread } from "./statistics.js";

/** How much better than the yardstick: above 1 is faster, for times too. */
export function ratio(row: Row, other: "limit" | "kernel"): number {
  const mine = median(row.ours),
    theirs = median(row[other]);
  return row.lowerIsBetter ? theirs / mine : mine / theirs;
}

const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 2 : 0)} %`;

/** With noise above this the figures say little. */
const NOISY = 0.15;

/** What idle connections, doing nothing, the log and the comparison of octets came to: one sentence each. */
export function sentences(result: Result): string[] {
  const lines: string[] = [];
  for (const i of result.idle) lines.push(`idle, ${i.mode}: ${percent(i.core)} of a core over ${i.seconds} s`);
  for (const m of result.memory) {
    const count = m.connections.toLocaleString("en");
    lines.push(
      `${count} idle connections to ${m.service}: ${(m.octetsEach / 1_024).toFixed(2)} KiB each (heap, external and array buffers), ${(m.rssEach / 1_024).toFixed(2)} KiB resident; ${percent(m.coreAfter - m.coreBefore)} of a core more than none; opened at ${short(m.openedPerSecond)}/s, one after the other`,
    );
  }
  if (result.log !== undefined) {
    const { info, warn } = result.log;
    const rate = median(info.rate) / median(warn.rate),
      pairs = median(info.rate.map((r, i) => r / (warn.rate[i] as number)));
    lines.push(
      `transition lines to a file: ${rate.toFixed(3)} of the connection rate without (${short(median(info.rate))}/s and ${short(median(warn.rate))}/s; median of the ratios run by run ${pairs.toFixed(3)}), ${median(info.cost).toFixed(1)} and ${median(warn.cost).toFixed(1)} µs of processor time a connection`,
    );
  }
  for (const e of result.exact)
    lines.push(
      `exact, ${e.mode}: ${(e.octets / 2 ** 20).toLocaleString("en")} MiB each way in ${e.streams} streams at once came back octet for octet, at ${e.gbps.toFixed(1)} Gbit/s each way`,
    );
  return lines;
}

/** What makes the figures doubtful, if anything does. */
export function doubts(result: Result): string[] {
  const found: string[] = [];
  const noisy = result.rows.filter((r) => median(r.others) > NOISY).length;
  if (noisy > 0)
    found.push(
      `other programs took more than ${percent(NOISY)} of a core during ${noisy} of ${result.rows.length} rows: the ratios hold better than the figures, and neither holds well; on two cores, client and server then share one, a round trip is a switch of tasks instead of two wake-ups of a sleeping core, and each microsecond of a server's own counts for more than it does on a quiet machine`,
    );
  return found;
}

export function report(result: Result): string {
  const lines: string[] = [];
  if (result.rows.length > 0) {
    lines.push(
      `${"figure".padEnd(30)}${"mode".padEnd(14)}${"/limit".padStart(8)}${"/kernel".padStart(9)}${"ours".padStart(10)}${"±".padStart(6)}${"limit".padStart(10)}${"kernel".padStart(10)}  ${"unit".padEnd(8)}server's processor, ours and limit`,
    );
    for (const r of result.rows) {
      const cost = `${median(r.cost.ours).toFixed(2)} ${median(r.cost.limit).toFixed(2)} ${r.cost.unit}`;
      lines.push(
        `${r.figure.padEnd(30)}${r.mode.padEnd(14)}${ratio(r, "limit").toFixed(2).padStart(8)}${ratio(r, "kernel").toFixed(2).padStart(9)}${short(median(r.ours)).padStart(10)}${`${(spread(r.ours) * 100).toFixed(0)}%`.padStart(6)}${short(median(r.limit)).padStart(10)}${short(median(r.kernel)).padStart(10)}  ${r.unit.padEnd(8)}${cost}`,
      );
    }
    lines.push("Ratios above 1: faster than the yardstick. ±: half of what lies between the quartiles.");
  }
  return [...lines, ...sentences(result), ...doubts(result).map((d) => `note: ${d}`)].join("\n");
}
