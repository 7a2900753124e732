/** The script language itself: a wrong script must fail. */
import { describe, expect, test } from "vitest";
import { active, ISNS, tcp } from "./peer.js";

describe("scripts", () => {
  test("a blind reset only earns a challenge ACK [9293:EV-EST-RST-inwin] [5961:3.2-1]", () => {
    const peer = tcp().established();
    peer.play(`
      +0  <  R   5:5(0)   win 0
      +0  >  .   1:1(0)   ack 1
      =  ESTABLISHED
      +0  <  R   1:1(0)   win 0
      =  CLOSED
    `);
    expect(peer.dropped).toEqual(["5961-3.2"]);
    expect(peer.heard).toEqual(["established", "closed reset"]);
  });
  test("runs at three initial sequence numbers of both ends", () => {
    const peer = active({ isns: ISNS });
    expect(peer.all.map((p) => p.iss)).toEqual([0, 2_147_483_647, 4_294_967_294]);
    expect(
      peer
        .established()
        .all.map((p) => p.conn.status(p.now))
        .map((s) => [s.iss, s.irs]),
    ).toEqual([
      [0, 0],
      [2_147_483_647, 2_147_483_647],
      [4_294_967_294, 4_294_967_294],
    ]);
  });
  test.each([
    ["a wrong flag", "+0 < . 1:101(100) ack 1\n+0 > F. 1:1(0) ack 101"],
    ["a wrong number", "+0 < . 1:101(100) ack 1\n+0 > . 1:1(0) ack 100"],
    ["a wrong time", "+0 < . 1:101(100) ack 1\n+.01 > . 1:1(0) ack 101"],
    ["a wrong window", "+0 < . 1:101(100) ack 1\n+0 > . 1:1(0) ack 101 win 1"],
    ["an option that was not sent", "+0 < . 1:101(100) ack 1\n+0 > . 1:1(0) ack 101 <sack 1:2>"],
    ["a segment that does not come", "+0 > . 1:1(0) ack 101"],
    ["one that is not written", "+0 < . 1:101(100) ack 1"],
    ["one that comes while time passes", "+0 send 10\n+0 > . 1:11(10) ack 1\n+5"],
    ["a wrong state", "= CLOSED"],
    ["a wrong result", "+0 send 10 -> 9"],
    ["a length that does not fit", "+0 < . 1:101(99) ack 1"],
    ["a line that is none", "hello"],
  ])("%s fails", (_, script) => {
    expect(() => tcp().established().play(script)).toThrow();
  });
});
