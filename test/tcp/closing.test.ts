/** RFC 9293 §3.6, §3.10.8: how a connection ends, and that nothing of it is left. */
import { describe, expect, test } from "vitest";
import { active, idle, type Peers, tcp } from "../support/peer.js";

const plain = { receiveBuffer: 10_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false };
const by = (peer: Peers): string[] => peer.same((p) => p.events.flatMap((e) => (e.kind === "closed" ? [e.by] : [])));

describe("who closed", () => {
  test("we did: the user hears of it when TIME-WAIT begins, the log when it ends", () => {
    const peer = tcp({ options: plain }).established().play("+0 close\n+0 > F. 1:1(0) ack 1\n+0 < F. 1:1(0) ack 2\n+0 > . 2:2(0) ack 2\n= TIME-WAIT");
    expect(peer.heard).toEqual(["established", "ended", "closed local"]);
    expect(by(peer)).toEqual([]);
    peer.play("+60\n= CLOSED");
    expect(by(peer)).toEqual(["local"]);
    expect(peer.heard).toEqual(["established", "ended", "closed local"]);
  });
  test("the peer did", () => {
    const peer = tcp({ options: plain })
      .established()
      .play("+0 < F. 1:1(0) ack 1\n+0 > . 1:1(0) ack 2\n+0 close\n+0 > F. 1:1(0) ack 2\n+0 < . 2:2(0) ack 2\n= CLOSED");
    expect(peer.heard).toEqual(["established", "ended", "closed peer"]);
    expect(by(peer)).toEqual(["peer"]);
  });
  test("both did at once", () => {
    const peer = tcp({ options: plain })
      .established()
      .play("+0 close\n+0 > F. 1:1(0) ack 1\n+0 < F. 1:1(0) ack 1\n+0 > . 2:2(0) ack 2\n= CLOSING\n+0 < . 2:2(0) ack 2\n= TIME-WAIT\n+60\n= CLOSED");
    expect(peer.heard).toEqual(["established", "ended", "closed both"]);
    expect(by(peer)).toEqual(["both"]);
  });
  test("a reset after the peer's FIN is a reset", () => {
    const peer = tcp({ options: plain }).established().play("+0 < F. 1:1(0) ack 1\n+0 > . 1:1(0) ack 2\n+0 < R 2:2(0)\n= CLOSED");
    expect(by(peer)).toEqual(["reset"]);
  });
});

describe("a connection that is gone", () => {
  test("has no timer, nothing in flight and nothing queued (RFC 9293 §3.10.8)", () => {
    const peer = tcp({ options: plain, reads: false })
      .established()
      .play(
        "+0 send 2000\n+0 > . 1:1461(1460) ack 1\n+0 > P. 1461:2001(540) ack 1\n+0 < . 1:11(10) ack 1\n+.04 > . 2001:2001(0) ack 11\n+0 < . 101:201(100) ack 1\n+0 > . 2001:2001(0) ack 11\n+0 < R 11:11(0)\n= CLOSED",
      );
    peer.each((p) => {
      expect(p.conn.status(p.now)).toMatchObject({ timer: undefined, sendQ: 0, recvQ: 0, pipe: 0, lost: 0, outOfOrder: 0 });
      expect(p.stack.counters.pagesUsed).toBe(0);
    });
  });
  test("that keeps its text for the user throws away what lies beyond a gap", () => {
    const peer = tcp({ options: { ...plain, keepTextOnReset: true }, reads: false })
      .established()
      .play("+0 < P. 1:11(10) ack 1\n+.04 > . 1:1(0) ack 11\n+0 < . 101:201(100) ack 1\n+0 > . 1:1(0) ack 11\n+0 < R 11:11(0)\n= CLOSED");
    peer.each((p) => expect(p.conn.status(p.now)).toMatchObject({ recvQ: 10, outOfOrder: 0 }));
    expect(peer.same((p) => p.receive(100))).toBe(10);
    expect(peer.same((p) => p.stack.counters.pagesUsed)).toBe(0);
  });
  test("is not ended again by the end of the stack", () => {
    const peer = tcp({ options: plain }).established();
    peer.each((p) => {
      p.conn.abort();
      p.stack.shutdown(p.now);
      p.turn();
      expect(p.sent().map((s) => s.flags)).toEqual(["R."]);
    });
    expect(by(peer)).toEqual(["abort"]);
  });
  test("sends nothing more, though text and a FIN were due", () => {
    active({ options: plain }).play("+0 > S 0:0(0) <*>\n+0 send 10 -> 10\n+0 close\n= CLOSED\n+10");
    tcp({ options: plain }).established().play("+0 < . 1:1(0) ack 1 win 0\n+0 send 10\n+0 close\n+0 abort\n+0 > R. 1:1(0) ack 1\n= CLOSED\n+10");
  });
});

describe("states", () => {
  test("are left by listed edges only: another one is a mistake of ours", () => {
    const p = idle({ options: plain, isns: [0] }, true).first;
    p.call("connect", []);
    expect(() => p.conn.tcb.setState("TIME-WAIT", "9293-3.10.1", p.now)).toThrow("no edge SYN-SENT to TIME-WAIT");
  });
  test("are as old as the transition to them", () => {
    const peer = tcp({ options: plain }).established().play("+3");
    expect(peer.same((p) => Math.round(p.conn.status(p.now).stateMs))).toBe(3_000);
  });
});
