import { describe, expect, test } from "vitest";
import { FilterDevice } from "../../src/device/wrapper.js";
import type { Connection } from "../../src/tcp/connection.js";
import { world } from "../support/world.js";

/** A path that swallows packets above `mtu` and says nothing. */
function throughBlackHole(
  mtu: () => number,
  pmtuProbing: boolean,
): { sent: number[]; received: () => number; conn: Connection; run(ms: number, step?: number): void; w: ReturnType<typeof world> } {
  const sent: number[] = [];
  const w = world({
    a: { options: { pmtuProbing } },
    wrap: (device) =>
      new FilterDevice(device, {
        outgoing(frame, forward) {
          sent.push(frame.bytes.length);
          if (frame.bytes.length <= mtu()) forward(frame);
        },
      }),
  });
  let received = 0;
  const nothing = (): void => {};
  w.b.listen({ port: 80 }, () => ({
    established: nothing,
    readable(c) {
      received += c.readable;
      c.skip(c.readable);
    },
    writable: nothing,
    ended: nothing,
    closed: nothing,
  }));
  const text = new Uint8Array(65_536);
  const conn = w.a.connect(
    { remoteAddress: "10.0.0.2", remotePort: 80 },
    { established: nothing, readable: nothing, writable: nothing, ended: nothing, closed: nothing },
  );
  // The link has no delay, so it is the writer that keeps time.
  const run = (ms: number, step = 250): void => {
    for (const end = w.now + ms; w.now < end; ) {
      conn.send(text);
      w.run(w.now + step);
    }
  };
  return { sent, received: () => received, conn, w, run };
}

describe("packetization layer path MTU discovery [RFC 4821]", () => {
  test("after two timeouts the path is taken for smaller, and text gets through (4821:7.7-1)", () => {
    const p = throughBlackHole(() => 1_300, true);
    p.run(5_000);
    expect(p.received()).toBeGreaterThan(100_000);
    expect(p.conn.status(p.w.now).pmtu).toBeGreaterThanOrEqual(1_024);
  });
  test("without it nothing gets through", () => {
    const p = throughBlackHole(() => 1_300, false);
    p.run(3_000);
    expect(p.received()).toBe(0);
  });
  test("the search ends close below what the path takes, and a lost probe does not shrink the window (4821:7.6.1-1, 4821:7.6.2-1, 4821:7.3-1)", () => {
    const p = throughBlackHole(() => 1_300, true);
    p.run(60_000);
    const s = p.conn.status(p.w.now);
    expect(s.pmtu).toBeGreaterThan(1_300 - 17);
    expect(s.pmtu).toBeLessThanOrEqual(1_300);
    expect(s.timeouts).toBe(2);
    expect(p.w.a.env.counters.fastRetransmits).toBe(0);
    expect(Math.max(...p.sent.slice(p.sent.length - 1_000))).toBeLessThanOrEqual(1_300);
  });
  test("a path below 1,024 is found by halving (4821:7.7-2)", () => {
    const p = throughBlackHole(() => 600, true);
    p.run(60_000);
    expect(p.received()).toBeGreaterThan(100_000);
    expect(p.conn.status(p.w.now).pmtu).toBeLessThanOrEqual(600);
    expect(p.conn.status(p.w.now).pmtu).toBeGreaterThan(600 - 17);
  });
  test("ten minutes later it tries again what may have become possible (4821:7.3-2)", () => {
    let mtu = 1_200;
    const p = throughBlackHole(() => mtu, true);
    p.run(30_000);
    mtu = 1_500;
    p.run(300_000, 10_000);
    expect(p.conn.status(p.w.now).pmtu).toBeLessThanOrEqual(1_200);
    p.run(900_000, 10_000);
    expect(p.conn.status(p.w.now).pmtu).toBeGreaterThan(1_480);
  });
});
