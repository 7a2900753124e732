/** Where we leave an RFC on purpose (spec/decisions.tsv), pinned: a change of mind must show here. */
import { expect, test } from "vitest";
import { DEFAULTS } from "../../src/tcp/options.js";
import { active, tcp } from "../support/peer.js";
import { quietly } from "../support/quietly.js";

test("CLOSE in SYN-RECEIVED waits for the handshake (EV-SR-CLOSE)", () => {
  active().play(
    "+0 > S 0:0(0) <*>\n+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+0 close\n= SYN-RECEIVED\n+0 < . 1:1(0) ack 1\n+0 > F. 1:1(0) ack 1\n= FIN-WAIT-1",
  );
});
test("a SYN,ACK is given up after 63 s; synAckRetries=7 keeps the RFC's three minutes (EV-SR-T-R2)", () => {
  const last = (o: object): number[] =>
    tcp(o)
      .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>")
      .same((p) => {
        const sent = quietly(p, 400).map((s) => Math.round(s.at));
        expect(p.state).toBe("LISTEN");
        return sent;
      });
  expect(last({})).toEqual([1, 3, 7, 15, 31]);
  expect(last({ options: { synAckRetries: 7 } })).toEqual([1, 3, 7, 15, 31, 63, 127]);
});
test("network and host unreachable end an active open, unless icmpAbortsOpen is off (MUST-56)", () => {
  for (const code of [0, 1, 5]) expect(active().play(`+0 > S 0:0(0) <*>\n+0 < icmp 3/${code} 0\n= CLOSED`).heard).toEqual(["closed unreachable"]);
  active({ options: { icmpAbortsOpen: false } }).play("+0 > S 0:0(0) <*>\n+0 < icmp 3/0 0\n+0 < icmp 3/1 0\n+0 < icmp 3/5 0\n= SYN-SENT");
});
test("the floor of the RTO is 200 ms; minRto=1000 keeps the RFC's (6298 2.4)", () => {
  expect(DEFAULTS.minRto).toBe(200);
  tcp({ options: { minRto: 1_000 } })
    .established()
    .play("+0 send 5\n+0 > P. 1:6(5) ack 1\n+1 > P. 1:6(5) ack 1");
});
test("slow start takes all that an ACK acknowledges, however much (3465 L)", () => {
  tcp({ syn: "mss 1000", options: { congestion: "reno" } })
    .established()
    .each((p) => {
      p.send(10_000);
      p.turn();
      p.sent();
      p.batch("+0 < . 1:1(0) ack 10001");
      expect(p.conn.status(p.now).cwnd).toBe(20_000);
    });
});
