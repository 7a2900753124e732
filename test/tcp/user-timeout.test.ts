import { describe, expect, test } from "vitest";
import type { Connection } from "../../src/tcp/connection.js";
import { world } from "../support/world.js";

const nothing = (): void => {};

describe("user timeout option [RFC 5482]", () => {
  /** a tells b a timeout; then a is gone, and b has something to send. @returns milliseconds until b gives up */
  function until(a: Record<string, unknown>, b: Record<string, unknown>, set?: (server: Connection) => void): number {
    const w = world({ a: { options: a }, b: { options: b } });
    let server!: Connection,
      gone = -1;
    w.b.listen({ port: 80 }, (c) => {
      server = c;
      return {
        established: nothing,
        readable: nothing,
        writable: nothing,
        ended: nothing,
        closed: () => {
          gone = w.now;
        },
      };
    });
    w.a.connect({ remoteAddress: "10.0.0.2", remotePort: 80 }, { established: nothing, readable: nothing, writable: nothing, ended: nothing, closed: nothing });
    w.run();
    set?.(server);
    // The peer is gone without a word.
    w.pair.a.close();
    const start = w.now;
    server.send(new Uint8Array(10));
    for (let i = 0; i < 4_000 && gone < 0; i++) w.run(w.now + 1_000);
    return gone - start;
  }
  const on = { userTimeoutOption: true };

  test("what the peer advertises is taken, at least 100 s (5482:3.1-3, 5482:3.1-4)", () => {
    expect(until({ ...on, userTimeout: 300_000 }, on)).toBeGreaterThanOrEqual(299_000);
    expect(until({ ...on, userTimeout: 300_000 }, on)).toBeLessThanOrEqual(301_000);
    const low = until({ ...on, userTimeout: 5_000 }, on);
    expect(low).toBeGreaterThanOrEqual(99_000);
    expect(low).toBeLessThanOrEqual(101_000);
  });
  test("a timeout that the application set is not changed by it (5482:3-1, 5482:3.1-1)", () => {
    expect(until({ ...on, userTimeout: 300_000 }, on, (c) => c.setUserTimeout(20_000))).toBeLessThanOrEqual(21_000);
  });
  test("a stack without the option ignores it (5482:3-5)", () => {
    expect(until({ ...on, userTimeout: 5_000 }, {})).toBeGreaterThan(300_000);
  });
});
