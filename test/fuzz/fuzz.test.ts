/** A short form of `npm run fuzz`, and that it sees what it is there for. */
import { expect, test } from "vitest";
import type { Stack } from "../../src/stack/stack.js";
import { corpus, Fuzzer } from "./fuzzer.js";

test("40,000 frames on live connections: nothing thrown, no invariant violated, nothing left", () => {
  for (let seed = 1; seed <= 4; seed++) {
    const fuzzer = new Fuzzer(seed);
    while (fuzzer.frames < 10_000) fuzzer.step();
    expect(fuzzer.connections).toBeGreaterThan(10);
    // Much of it must get past the first checks.
    expect(fuzzer.victim.env.counters.segmentsIn).toBeGreaterThan(3_000);
    expect(fuzzer.victim.env.counters.established).toBeGreaterThan(5);
    fuzzer.finish();
  }
}, 60_000);

test("the corpus is read: every line is a packet", () => {
  expect(corpus().length).toBeGreaterThan(25);
  for (const frame of corpus()) expect(frame.length).toBeGreaterThan(0);
});

test("a stack that throws at one frame in a thousand is found", () => {
  const fuzzer = new Fuzzer(1),
    arrive = fuzzer.victim.packetsArrive;
  let n = 0;
  fuzzer.victim.packetsArrive = function (this: Stack, count, now) {
    if (++n === 20) throw new Error("found");
    arrive.call(this, count, now);
  };
  expect(() => {
    while (fuzzer.frames < 10_000) fuzzer.step();
  }).toThrow("found");
});
