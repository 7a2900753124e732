/** The throughput table is what the code gives: a change to congestion control shows as a diff of figures. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Cell, measure, table } from "./throughput.js";

const page = readFileSync(new URL("./throughput.md", import.meta.url), "utf8");
const rows = (text: string): string[] => text.split("\n").filter((line) => /^\| (cubic|reno)/.test(line));

test.each([
  ["cubic", 0.001, 50, 64],
  ["cubic", 0.01, 50, 256],
  ["cubic", 0.01, 200, 64],
  ["cubic", 0.05, 10, 64],
  ["cubic", 0, 200, 64],
  ["reno", 0.001, 200, 256],
  ["reno", 0.01, 10, 64],
  ["reno", 0.05, 50, 1_024],
  ["reno", 0.01, 50, 1_024],
] as [Cell["congestion"], number, number, number][])(
  "%s, loss %d, round trip %d ms, %d KiB: as in throughput.md (else: npm run throughput -- --write, and read the diff)",
  (congestion, loss, rtt, buffer) => {
    const [row] = rows(table([measure(congestion, loss, rtt, buffer)]));
    expect(rows(page)).toContain(row);
  },
  30_000,
);

test("every cell gets a fair share of what is allowed, and none more than the link carries", () => {
  expect(rows(page)).toHaveLength(72);
  for (const row of rows(page)) {
    const [, , , , , rate, allowed] = row.split("|").map((cell) => Number.parseFloat(cell));
    expect(rate, row).toBeLessThan(9.7);
    expect((rate as number) / (allowed as number), row).toBeGreaterThan(0.65);
  }
});
