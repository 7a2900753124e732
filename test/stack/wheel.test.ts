/** The timing wheel at times that no machine reaches in a test run. */
import { expect, test } from "vitest";
import { Wheel } from "../../src/stack/wheel.js";
import { Millis } from "../../src/tcp/time.js";
import { Wake } from "../../src/tcp/wake.js";

const wake = (): Wake => new Wake(undefined as never);

test.each([0, 2 ** 31 - 1_000, 2 ** 31, 2 ** 32 - 1_000, 2 ** 33 + 7])("wakes in time after %d ms", (start) => {
  const wheel = new Wheel(Millis(start)),
    near = wake(),
    far = wake();
  wheel.set(near, Millis(start + 300.5));
  wheel.set(far, Millis(start + 70_000));
  for (const [w, at] of [
    [near, start + 300.5],
    [far, start + 70_000],
  ] as const) {
    let taken: Wake | undefined,
      now = start;
    for (let rounds = 0; taken === undefined && rounds < 100; rounds++) {
      now = Math.max(now, wheel.next());
      expect(now).toBeLessThanOrEqual(at);
      taken = wheel.take(Millis(now));
    }
    expect(taken).toBe(w);
    expect(now).toBe(at);
  }
  expect(wheel.next()).toBe(Infinity);
});
