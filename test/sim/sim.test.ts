/** A short form of `npm run sim`: seeds over a bad link and against a hostile peer, and that the invariants see what they are there for. */
import { expect, test } from "vitest";
import { ReceiveQueue } from "../../src/tcp/receive-queue.js";
import { TimerTable } from "../../src/tcp/timers.js";
import { simulateHostile } from "./hostile.js";
import { simulate } from "./simulate.js";

const SEEDS = Array.from({ length: 150 }, (_, i) => i + 1);
/** Those that once failed: test/sim/seeds.md tells how. */
const STORIES = [3, 1023, 1155, 1685, 1732, 2806, 9286];
const HOSTILE_STORIES = [949, 5620];

test("two stacks over a bad link: 150 seeds without a violation", () => {
  let octets = 0,
    retransmits = 0,
    connections = 0;
  for (const seed of [...SEEDS, ...STORIES]) {
    const o = simulate(seed);
    expect(o.violation, `npm run sim -- --seed ${seed} --kind link`).toBeUndefined();
    octets += o.octets;
    retransmits += o.retransmits;
    connections += o.connections;
  }
  // A link that hurts nobody would prove nothing.
  expect(octets).toBeGreaterThan(2_000_000);
  expect(retransmits).toBeGreaterThan(500);
  expect(connections).toBeGreaterThan(400);
}, 60_000);

test("one stack against hostile peers: 75 seeds without a violation", () => {
  let octets = 0;
  for (const seed of [...SEEDS.slice(0, 75), ...HOSTILE_STORIES]) {
    const o = simulateHostile(seed);
    expect(o.violation, `npm run sim -- --seed ${seed} --kind hostile`).toBeUndefined();
    octets += o.octets;
  }
  expect(octets).toBeGreaterThan(10_000);
}, 60_000);

test("one seed always gives the same run", () => {
  const lines = (seed: number): string[] => {
    const out: string[] = [];
    simulate(seed, { trace: (line) => out.push(line) });
    return out;
  };
  expect(lines(7)).toEqual(lines(7));
  expect(lines(7)).not.toEqual(lines(8));
});

/** Breaks one method for the length of `work`. */
function broken<T extends object, K extends keyof T>(of: T, method: K, instead: (original: T[K]) => T[K], work: () => void): void {
  const original = of[method];
  of[method] = instead(original);
  try {
    work();
  } finally {
    of[method] = original;
  }
}
const violations = (): string[] =>
  SEEDS.slice(0, 40)
    .map((seed) => simulate(seed).violation)
    .filter((v) => v !== undefined);

test("a receive queue that loses its place is seen", () => {
  broken(
    ReceiveQueue.prototype,
    "take",
    (take) =>
      function (this: ReceiveQueue, into, offset, length) {
        const n = take.call(this, into, offset, length);
        if (n > 1_000) into[offset + 500] = (into[offset + 500] as number) ^ 1;
        return n;
      },
    () => expect(violations().join()).toMatch(/are not what was written/),
  );
});

test("a retransmission timer that is never armed is seen", () => {
  broken(
    TimerTable.prototype,
    "arm",
    (arm) =>
      function (this: TimerTable, name, at) {
        if (name !== "retransmit" && name !== "tailLossProbe") arm.call(this, name, at);
      },
    () => expect(violations().join()).toMatch(/no timer will send them again/),
  );
});

test("pages that are not given back are seen", () => {
  broken(
    ReceiveQueue.prototype,
    "clear",
    () => () => {},
    () => expect(violations().join()).toMatch(/pages left when all was over/),
  );
});
