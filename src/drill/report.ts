/** How results are told: a line per script and a summary for people, JSON lines or TAP for programs. */
import type { DrillResult } from "./drill.js";

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** `PASS file`, `FAIL file:line reason, wanted …, got …`, `SKIP file reason`. */
export function resultLine(r: DrillResult): string {
  switch (r.result) {
    case "PASS":
      return `PASS ${r.file}${r.notes === undefined ? "" : ` (${r.notes.length} ${r.notes.length === 1 ? "note" : "notes"}: ${r.notes[0]})`}`;
    case "FAIL":
      return `FAIL ${r.file}:${r.line ?? 1} ${reasonOf(r)}`;
    case "SKIP":
      return `SKIP ${r.file} ${r.reason}${r.line === undefined ? "" : ` (line ${r.line})`}`;
  }
}
const reasonOf = (r: DrillResult): string => `${r.reason}${r.wanted === undefined ? "" : `, wanted ${r.wanted}`}${r.got === undefined ? "" : `, got ${r.got}`}`;

/** One object a line and script. */
export function resultJson(r: DrillResult): object {
  return {
    file: r.file,
    result: r.result,
    line: r.line ?? null,
    reason: r.result === "PASS" ? null : reasonOf(r),
    wanted: r.wanted ?? null,
    got: r.got ?? null,
    profile: r.profile ?? null,
    notes: r.notes ?? [],
  };
}

/** A line of the Test Anything Protocol. */
export function resultTap(r: DrillResult, number: number): string {
  const escape = (text: string): string => text.replaceAll("#", "\\#");
  switch (r.result) {
    case "PASS":
      return `ok ${number} - ${escape(r.file)}`;
    case "SKIP":
      return `ok ${number} - ${escape(r.file)} # SKIP ${r.reason}`;
    case "FAIL":
      return `not ok ${number} - ${escape(r.file)}\n  ---\n  message: ${JSON.stringify(reasonOf(r))}\n  at: ${JSON.stringify(`${r.file}:${r.line ?? 1}`)}\n  ...`;
  }
}

export const newTally = (): Tally => ({ passed: 0, failed: 0, skipped: 0 });
export function count(tally: Tally, r: DrillResult): void {
  if (r.result === "PASS") tally.passed++;
  else if (r.result === "FAIL") tally.failed++;
  else tally.skipped++;
}
export const summary = (t: Tally): string => `${t.passed + t.failed + t.skipped} scripts: ${t.passed} passed, ${t.failed} failed, ${t.skipped} skipped`;
