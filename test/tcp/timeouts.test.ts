/** RFC 9293 §3.8.4, §3.8.6.1, §3.10.8: what the timers do, how often, and when they give a connection up. */
import { describe, expect, test } from "vitest";
import { type PeerOptions, tcp } from "../support/peer.js";

const plain = { receiveBuffer: 10_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false };
const options = (more: PeerOptions["options"]): PeerOptions => ({ options: { ...plain, ...more } });

describe("retransmission timer", () => {
  test("gives up after R2 retransmissions, by the rule of R2 [9293:MUST-20]", () => {
    const peer = tcp(options({ retries2: 2 }))
      .established()
      .play("+0 send 10\n+0 > P. 1:11(10) ack 1\n+.2 > P. 1:11(10) ack 1\n+.4 > P. 1:11(10) ack 1\n+.8 > R. 11:11(0) ack 1\n= CLOSED");
    expect(peer.same((p) => p.rules)).toContain("9293-3.8.3-R2");
  });
  test("where the user set a timeout, that is the rule", () => {
    const peer = tcp(options({ userTimeout: 500 }))
      .established()
      .play("+0 send 10\n+0 > P. 1:11(10) ack 1\n+.2 > P. 1:11(10) ack 1\n+.3 > R. 11:11(0) ack 1\n= CLOSED");
    expect(peer.same((p) => p.rules)).toContain("9293-3.10.8-user");
  });
  test("an orphan has a number of its own", () => {
    tcp(options({ orphanRetries: 1, retries2: 9 }))
      .established()
      .play(`
        +0 send 10
        +0 > P. 1:11(10) ack 1
        +0 release
        +0 > F. 11:11(0) ack 1
        +.2 > P. 1:11(10) ack 1
        +0 > F. 11:11(0) ack 1
        +.4 > R. 12:12(0) ack 1
        = CLOSED
      `);
  });
});

describe("the retransmission timeout", () => {
  test("is longer by what an option says, but for the first one of a SYN", () => {
    tcp({ options: { ...plain, rtoSlop: 100 } }).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+1 > S. 0:0(0) ack 1 <*>\n+2.1 > S. 0:0(0) ack 1 <*>");
    tcp({ options: { ...plain, rtoSlop: 100 } })
      .established()
      .play("+0 send 5\n+0 > P. 1:6(5) ack 1\n+.3 > P. 1:6(5) ack 1\n+.5 > P. 1:6(5) ack 1");
  });
});

describe("persist timer [9293:MUST-35 9293:MUST-37 9293:SHLD-30]", () => {
  const shut = (more: PeerOptions["options"]) => tcp(options(more)).established().play("+0 < . 1:1(0) ack 1 win 0\n+0 send 1\n+.2 > P. 1:2(1) ack 1");

  test("probes that are answered may go on for ever, and one that is lost among them costs nothing", () => {
    shut({ retries2: 2 }).play(`
      +0 < . 1:1(0) ack 1 win 0
      +.4 > P. 1:2(1) ack 1
      +0 < . 1:1(0) ack 1 win 0
      +.8 > P. 1:2(1) ack 1
      +0 < . 1:1(0) ack 1 win 0
      +1.6 > P. 1:2(1) ack 1
      +0 < . 1:1(0) ack 1 win 0
      +3.2 > P. 1:2(1) ack 1
      +6.4 > P. 1:2(1) ack 1
      +0 < . 1:1(0) ack 1 win 0
      +12.8 > P. 1:2(1) ack 1
      = ESTABLISHED
    `);
  });
  test("those that nobody answers end as retransmissions do", () => {
    const peer = shut({ retries2: 2 }).play("+.4 > P. 1:2(1) ack 1\n+.8 > R. 1:1(0) ack 1\n= CLOSED");
    expect(peer.heard).toEqual(["established", "closed timeout"]);
    expect(peer.same((p) => p.rules)).toContain("9293-3.8.6.1");
  });
  test("an orphan's end even when they are answered", () => {
    tcp(options({ orphanRetries: 2, retries2: 9 }))
      .established()
      .play(`
        +0 < . 1:1(0) ack 1 win 0
        +0 send 1
        +0 release
        +.2 > P. 1:2(1) ack 1
        +0 < . 1:1(0) ack 1 win 0
        +.4 > P. 1:2(1) ack 1
        +0 < . 1:1(0) ack 1 win 0
        +.8 > R. 1:1(0) ack 1
        = CLOSED
      `);
  });
  test("the user timeout runs from the first probe", () => {
    shut({ userTimeout: 1_000 }).play(`
      +0 < . 1:1(0) ack 1 win 0
      +.4 > P. 1:2(1) ack 1
      +0 < . 1:1(0) ack 1 win 0
      +.8 > R. 1:1(0) ack 1
      = CLOSED
    `);
  });
  test("is silent while nothing waits, however long the window is shut", () => {
    shut({ retries2: 2 }).play("+.1 < . 1:1(0) ack 2 win 0\n+100\n= ESTABLISHED\n+0 send 1\n+.2125 > P. 2:3(1) ack 1");
  });
  test("the next window that shuts starts anew", () => {
    shut({ userTimeout: 2_000 }).play(`
      +.4 > P. 1:2(1) ack 1
      +.1 < . 1:1(0) ack 2 win 0
      +.2 send 1
      +.5 > P. 2:3(1) ack 1
      +0 < . 1:1(0) ack 2 win 0
      +1.6 > P. 2:3(1) ack 1
      = ESTABLISHED
    `);
  });
  test("text that fits a silly window goes out once the timer runs out, as text: the RTO takes it from there", () => {
    const peer = tcp({ ...options({ timestamps: false }), syn: "mss 1000", win: 5_000 })
      .established()
      .play(`
        +0 < . 1:1(0) ack 1 win 100
        +0 send 500
        +.2 > . 1:101(100) ack 1
        +.2 > . 1:101(100) ack 1
        +.4 > . 1:101(100) ack 1
      `);
    expect(peer.same((p) => p.conn.status(p.now).timeouts)).toBe(2);
  });
  test("a FIN that waits before a shut window is the probe", () => {
    tcp(options({}))
      .established()
      .play(`
        +0 < . 1:1(0) ack 1 win 0
        +0 close
        +.2 > F. 1:1(0) ack 1
        +.4 > F. 1:1(0) ack 1
        +0 < . 1:1(0) ack 2 win 0
        = FIN-WAIT-2
      `);
  });
  test("a probe that was sent again times nothing (Karn, RFC 6298 §3)", () => {
    const peer = shut({ timestamps: false }).play("+.4 > P. 1:2(1) ack 1\n+.1 < . 1:1(0) ack 2");
    expect(peer.same((p) => p.conn.status(p.now).srtt)).toBe(0);
  });
});

describe("keep-alive [9293:MUST-24 9293:MUST-26 9293:MUST-28]", () => {
  const alive = (more: PeerOptions["options"] = {}) =>
    tcp(options({ keepAlive: true, keepAliveIdle: 10_000, keepAliveInterval: 75_000, keepAliveProbes: 2, ...more })).established();

  test("an idle connection is probed, again at the interval, and given up after so many that nobody answered", () => {
    const peer = alive().play("+10 > . 0:0(0) ack 1\n+75 > . 0:0(0) ack 1\n+75 > R. 1:1(0) ack 1\n= CLOSED");
    expect(peer.heard).toEqual(["established", "closed timeout"]);
  });
  test("after an answer the idle time starts anew, and is not the interval", () => {
    alive().play("+10 > . 0:0(0) ack 1\n+.1 < . 1:1(0) ack 1\n+10 > . 0:0(0) ack 1\n+.1 < . 1:1(0) ack 1\n+10 > . 0:0(0) ack 1\n+75 > . 0:0(0) ack 1");
  });
  test("whatever the peer sends shows that it is there, even what is not acceptable", () => {
    alive({ invalidAckInterval: 500 }).play(`
      +1 < . 50000:50000(0) ack 1
      +0 > . 1:1(0) ack 1
      +10 > . 0:0(0) ack 1
      +.1 < . 50000:50000(0) ack 1
      +0 > . 1:1(0) ack 1
      +74.9 > . 0:0(0) ack 1
      +75 > . 0:0(0) ack 1
      +75 > R. 1:1(0) ack 1
    `);
  });
  test("asked for again, it counts from nothing", () => {
    alive().play(`
      +10 > . 0:0(0) ack 1
      +0 keepalive on 10000 75000 2
      +10 > . 0:0(0) ack 1
      +75 > . 0:0(0) ack 1
      +75 > R. 1:1(0) ack 1
      = CLOSED
    `);
  });
  test("asked for on a connection that rests, it is heard at once", () => {
    tcp(options({})).established().play("+100\n+0 keepalive on 10000 75000 2\n+10 > . 0:0(0) ack 1\n+0 keepalive off\n+1000");
  });
});

describe("bounds: a window that stays shut (zeroWindowTimeout)", () => {
  const bounded = () =>
    tcp(options({ zeroWindowTimeout: 2_500 }))
      .established()
      .play("+0 < . 1:1(0) ack 1 win 0\n+0 send 1\n+.2 > P. 1:2(1) ack 1\n+.4 > P. 1:2(1) ack 1\n+.8 > P. 1:2(1) ack 1");

  test("ends a connection that text waits on", () => {
    const peer = bounded().play("+0 < . 1:1(0) ack 1 win 0\n+1.1 > R. 1:1(0) ack 1\n= CLOSED");
    expect(peer.heard).toEqual(["established", "closed limit"]);
  });
  test("does not count while nothing waits", () => {
    bounded().play(`
      +.1 < . 1:1(0) ack 2 win 0
      +1.8 send 1
      +1.6 > P. 2:3(1) ack 1
      +0 < . 1:1(0) ack 2 win 0
      +.9 > R. 2:2(0) ack 1
    `);
  });
});
