/**
 * Every packet script of this folder passes, at remote and local initial sequence numbers 0, 2^31-1 and 2^32-2, so that
 * wrap-around is tested wherever a script moves a number.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type DrillResult, drill } from "../../src/drill/drill.js";

const ROOT = join(import.meta.dirname, "scripts");
const SCRIPTS = readdirSync(ROOT, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".pkt"))
  .sort();
const read = (name: string): string => readFileSync(join(ROOT, name), "utf8");

const ISNS = [0, 2 ** 31 - 1, 2 ** 32 - 2];
/** The stack's ISN clock: 250 ticks a millisecond (RFC 9293 §3.4.1). */
const TICKS = 250;
const START = 1_000_000;

function told(r: DrillResult): string {
  return r.result === "PASS" && r.notes === undefined
    ? "PASS"
    : `${r.result} line ${r.line}: ${r.reason} ${r.wanted ?? ""} ${r.got ?? ""} ${r.notes?.join("; ") ?? ""}`;
}

describe.each(SCRIPTS)("%s", (name) => {
  const source = read(name);
  test("passes at every ISN, with every assert evaluated", () => {
    const first = drill(name, source);
    expect(told(first)).toBe("PASS");
    for (const remoteIsn of ISNS) expect(`${remoteIsn}: ${told(drill(name, source, { remoteIsn }))}`).toBe(`${remoteIsn}: PASS`);
    // A SYN cookie is an ISN that no clock moves.
    if (first.localIsn === undefined || source.includes("tcp_syncookies=2")) return;
    for (const wanted of ISNS) {
      // The ISN follows the clock (RFC 6528), so another start of the clock gives any ISN that is wanted.
      // A tenth of a tick more, as milliseconds are fractions.
      const startMs = START + (((wanted - first.localIsn + 2 ** 32) % 2 ** 32) + 0.1) / TICKS;
      const again = drill(name, source, { startMs, remoteIsn: wanted });
      expect(again.localIsn).toBe(wanted);
      expect(`${wanted}: ${told(again)}`).toBe(`${wanted}: PASS`);
    }
  });
});

test("each script says what it proves, with the ids of the requirements", () => {
  const silent = SCRIPTS.filter((name) => !/^\/\/ \S.* \d{3,4}:[\w.-]+/.test(read(name)));
  expect(silent).toEqual([]);
});
test("there are scripts enough", () => {
  expect(SCRIPTS.length).toBeGreaterThanOrEqual(150);
});
