/** Keep-alive (RFC 9293 §3.8.4) on a clock with fractions: the rest of an idle time may be too little to move the clock. */
import { expect, test } from "vitest";
import { Millis } from "../../src/tcp/time.js";
import { world } from "../support/world.js";

test("an idle time that is over but for a rounding error ends, whatever the fractions", () => {
  const w = world();
  const nothing = { established() {}, readable() {}, writable() {}, ended() {}, closed() {} };
  w.b.listen({ port: 80, options: { delayedAck: 0 } }, () => ({ ...nothing, readable: (c) => c.skip(c.readable) }));
  const conn = w.a.connect({ remoteAddress: "10.0.0.2", remotePort: 80 }, nothing);
  w.run();
  expect(conn.state).toBe("ESTABLISHED");
  for (let i = 1; i <= 2_000; i++) {
    w.now = Millis(w.now + 0.1 + i / 7);
    conn.setKeepAlive(true, 10 + i / 3, 1_000_000, 9);
    conn.send(new Uint8Array(1));
    w.run();
    const probes = conn.tcb.stats.keepAliveProbes;
    w.run(w.now + 10 + i / 3 + 1);
    expect(conn.tcb.stats.keepAliveProbes).toBe(probes + 1);
  }
});
