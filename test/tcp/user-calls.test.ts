/** RFC 9293 §3.10.2 to §3.10.6, and the settings of a connection that lives. */
import { describe, expect, test } from "vitest";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { active, tcp } from "../support/peer.js";

const plain = { receiveBuffer: 10_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false };
const CLOSING = "+0 > F. 1:1(0) ack 1\n= FIN-WAIT-1";

describe("SEND", () => {
  test("takes nothing after CLOSE, by reference neither", () => {
    const peer = tcp({ options: plain }).established().play(`+0 close\n${CLOSING}\n+0 send 10 -> 0`);
    expect(peer.same((p) => p.conn.sendShared(plainMemory(new Uint8Array(8_192)), 0, 8_192))).toBe(0);
    peer.play("+0 < . 1:1(0) ack 2\n= FIN-WAIT-2");
  });
  test("takes nothing after a CLOSE that came before the handshake was complete", () => {
    active({ options: plain }).play(`
      +0 > S 0:0(0) <*>
      +0 < S 0:0(0)
      +0 > S. 0:0(0) ack 1 <*>
      +0 close
      +0 send 10 -> 0
      +0 < . 1:1(0) ack 1
      +0 > F. 1:1(0) ack 1
    `);
  });
});

describe("RECEIVE", () => {
  test("skipped octets are gone and open the window", () => {
    const peer = tcp({ options: { ...plain, receiveBuffer: 2_000 }, reads: false })
      .established()
      .play("+0 < . 1:1461(1460) ack 1\n+0 < P. 1461:2001(540) ack 1\n+.04 > . 1:1(0) ack 2001 win 0");
    peer
      .each((p) => {
        p.conn.skip(1_990);
        p.turn();
      })
      .play("+0 > . 1:1(0) ack 2001 win 1990");
    expect(peer.same((p) => p.conn.readable)).toBe(10);
  });
  test("skipping nothing, or less than that, changes nothing", () => {
    const peer = tcp({ options: plain, reads: false }).established().play("+0 < P. 1:11(10) ack 1\n+.04 > . 1:1(0) ack 11");
    peer.each((p) => {
      p.conn.skip(5);
      p.conn.skip(-3);
      p.conn.skip(0);
      expect(p.conn.readable).toBe(5);
    });
  });
});

describe("CLOSE by an application that lets go", () => {
  test("once it has, again is nothing: FIN-WAIT-2 does not last longer", () => {
    tcp({ options: { ...plain, finWait2: 10_000 } })
      .established()
      .play(`+0 release\n${CLOSING}\n+0 < . 1:1(0) ack 2\n= FIN-WAIT-2\n+6 release\n+4\n= CLOSED`);
  });
  test("gives back what came out of order", () => {
    const peer = tcp({ options: plain }).established().play(`+0 < . 11:21(10) ack 1\n+0 > . 1:1(0) ack 1`);
    expect(peer.same((p) => p.stack.counters.pagesUsed > 0)).toBe(true);
    peer.play(`+0 release\n${CLOSING}`);
    expect(peer.same((p) => p.stack.counters.pagesUsed)).toBe(0);
  });
});

describe("ABORT (RFC 9293 §3.10.5)", () => {
  test("of a connection that is gone frees what was not read, and sends nothing", () => {
    const peer = tcp({ options: plain, reads: false })
      .established()
      .play(`
        +0 < FP. 1:11(10) ack 1
        +0 > . 1:1(0) ack 12
        +0 close
        +0 > F. 1:1(0) ack 12
        +0 < . 12:12(0) ack 2
        = CLOSED
      `);
    expect(peer.same((p) => [p.conn.readable, p.stack.counters.pagesUsed > 0])).toEqual([10, true]);
    peer.play("+0 abort\n+1");
    expect(peer.same((p) => [p.conn.readable, p.stack.counters.pagesUsed])).toEqual([0, 0]);
  });
  test("in LAST-ACK tells a peer that our FIN has not reached; once it has gone out, nothing is sent", () => {
    tcp({ options: plain })
      .established()
      .play(`
        +0 < F. 1:1(0) ack 1 win 0
        +0 > . 1:1(0) ack 2
        +0 send 10
        +0 close
        = LAST-ACK
        +0 abort
        +0 > R. 1:1(0) ack 2
        = CLOSED
      `);
    tcp({ options: plain }).established().play("+0 < F. 1:1(0) ack 1\n+0 > . 1:1(0) ack 2\n+0 close\n+0 > F. 1:1(0) ack 2\n= LAST-ACK\n+0 abort\n+1\n= CLOSED");
  });
});

describe("Nagle and cork [9293:MUST-17]", () => {
  test("what waits goes out when Nagle is switched off, and waits on when it is switched on", () => {
    tcp({ options: plain })
      .established()
      .play(`
        +0 send 5
        +0 > P. 1:6(5) ack 1
        +0 send 5
        +0 nodelay off
        +0 nodelay on
        +0 > P. 6:11(5) ack 1
        +0 send 5
        +0 > P. 11:16(5) ack 1
      `);
  });
  test("under a cork that sends once what is queued, and no more", () => {
    tcp({ options: plain })
      .established()
      .play(`
      +0 cork on
      +0 send 5
      +0 nodelay on
      +0 > P. 1:6(5) ack 1
      +0 < . 1:1(0) ack 6
      +0 send 5
      +0 cork off
      +0 > P. 6:11(5) ack 1
    `);
  });
  test("with nothing queued there is nothing to send once", () => {
    tcp({ options: plain }).established().play("+0 cork on\n+0 nodelay on\n+0 send 5\n+0 cork off\n+0 > P. 1:6(5) ack 1");
  });
});

describe("quick ACKs", () => {
  test("switched on, what is owed is acknowledged now and the next text at once; switched off, ACKs wait", () => {
    const peer = tcp({ options: plain }).established();
    peer
      .play("+0 < P. 1:11(10) ack 1")
      .each((p) => {
        p.conn.setQuickAck(true);
        p.turn();
      })
      .play("+0 > . 1:1(0) ack 11\n+0 < P. 11:21(10) ack 1\n+0 > . 1:1(0) ack 21\n+0 < P. 21:31(10) ack 1\n+.04 > . 1:1(0) ack 31")
      .each((p) => {
        p.conn.setQuickAck(true);
        p.turn();
        p.conn.setQuickAck(false);
      })
      .play("+0 < P. 31:41(10) ack 1\n+.04 > . 1:1(0) ack 41");
  });
  test("with nothing owed nothing is sent", () => {
    tcp({ options: plain })
      .established()
      .each((p) => {
        p.conn.setQuickAck(true);
        p.turn();
      })
      .play("+1");
  });
});

describe("the send buffer", () => {
  test("is as large as was asked for last, and keeps what it holds above that", () => {
    const peer = tcp({ options: plain }).established().play("+0 < . 1:1(0) ack 1 win 0");
    peer.each((p) => p.conn.setSendBuffer(1_000)).play("+0 send 2000 -> 1000");
    peer.each((p) => p.conn.setSendBuffer(1_500)).play("+0 send 2000 -> 500");
    peer.each((p) => p.conn.setSendBuffer(600)).play("+0 send 1 -> 0");
    expect(peer.same((p) => p.conn.sendQueued)).toBe(1_500);
    expect(() => peer.first.conn.setSendBuffer(1)).toThrow("sendBuffer");
  });
});

describe("STATUS (RFC 9293 §3.10.6)", () => {
  test("says nothing of what has not been: no sample, no text, no timer", () => {
    const peer = active({ options: { ...plain, timestamps: false } }).play("+0 > S 0:0(0) <*>\n+1 > S 0:0(0) <*>\n+1 < S. 0:0(0) ack 1\n+0 > . 1:1(0) ack 1");
    peer.each((p) =>
      expect(p.conn.status(p.now)).toMatchObject({
        minRtt: undefined,
        srtt: undefined,
        timer: undefined,
        lastDataSentMs: undefined,
        lastDataReceivedMs: undefined,
        retransOut: 0,
      }),
    );
  });
  test("tells the round trip once one was measured", () => {
    const peer = tcp({ options: { ...plain, timestamps: false } });
    peer.play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+.1 < . 1:1(0) ack 1");
    peer.each((p) => {
      const s = p.conn.status(p.now);
      expect([s.srtt, s.minRtt, s.rttvar].map((x) => Math.round(x ?? -1))).toEqual([100, 100, 50]);
    });
  });
  test("names the timer that is due next, and what was sent again and is still out", () => {
    const peer = tcp({ options: { ...plain, tailLossProbe: false } })
      .established()
      .play("+0 send 10\n+0 > P. 1:11(10) ack 1\n+0 close\n+0 > F. 11:11(0) ack 1\n+.2 > P. 1:11(10) ack 1\n+0 > F. 11:11(0) ack 1");
    peer.each((p) => {
      const s = p.conn.status(p.now);
      expect(s.retransOut).toBe(11);
      expect(s.timer?.name).toBe("retransmit");
      expect(s.timer?.inMs).toBeCloseTo(400, -1);
    });
  });
  test("adds up how long the sender was busy, and how long of it the peer's window held it back", () => {
    const times = (peer: ReturnType<typeof tcp>): (number | string)[] =>
      peer.same((p) => {
        const s = p.conn.status(p.now);
        return [s.limitedBy, Math.round(s.busyMs / 100), Math.round(s.rwndLimitedMs / 100)];
      });
    const peer = tcp({ options: { ...plain, minRto: 60_000 } })
      .established()
      .play("+1");
    expect(times(peer)).toEqual(["none", 0, 0]);
    peer.play("+0 send 10\n+0 > P. 1:11(10) ack 1\n+.5");
    expect(times(peer)).toEqual(["app", 5, 0]);
    peer.play("+0 < . 1:1(0) ack 11 win 0\n+1");
    expect(times(peer)).toEqual(["none", 5, 0]);
    peer.play("+0 send 10\n+.3");
    expect(times(peer)).toEqual(["rwnd", 8, 3]);
    peer.play("+.1 < . 1:1(0) ack 11 win 5000\n+0 > P. 11:21(10) ack 1\n+.2");
    expect(times(peer)).toEqual(["app", 11, 4]);
    peer.play("+0 < . 1:1(0) ack 21\n+1");
    expect(times(peer)).toEqual(["none", 11, 4]);
  });
});
