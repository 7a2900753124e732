/** The machine's clock as the daemon's parts see it: what is set for a time never comes before it. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/daemon/driver.js";
import { Millis } from "../../src/tcp/time.js";

describe("systemClock", () => {
  let now = 100.9;
  beforeEach(() => {
    now = 100.9;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    vi.spyOn(performance, "now").mockImplementation(() => now);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  test("a timer of the engine that comes a part of a millisecond early is set again: nothing is due before its time", () => {
    const clock = systemClock();
    let called = 0;
    clock.at(Millis(120.9), () => called++);
    now = 120.3;
    vi.advanceTimersByTime(20);
    expect(called).toBe(0);
    now = 121.2;
    vi.advanceTimersByTime(1);
    expect(called).toBe(1);
    vi.advanceTimersByTime(1_000);
    expect(called).toBe(1);
  });

  test("taking it back holds also when it was set again", () => {
    const clock = systemClock();
    let called = 0;
    const cancel = clock.at(Millis(120.9), () => called++);
    now = 120.3;
    vi.advanceTimersByTime(20);
    cancel();
    now = 200;
    vi.advanceTimersByTime(1_000);
    expect(called).toBe(0);
  });
});
