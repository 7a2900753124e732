/** RFC 9293 §3.10.7.4, step by step: what each step does that no other one makes up for. */
import { describe, expect, test } from "vitest";
import { active, type PeerOptions, tcp } from "../support/peer.js";

const plain = { receiveBuffer: 10_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false };
const TS: PeerOptions = { options: plain, syn: "mss 1460,TS" };
const SACK: PeerOptions = { options: plain, syn: "mss 1460,sackOK,TS" };

describe("before the first step: timestamps [RFC 7323 §5.3]", () => {
  test("text that PAWS refuses and that was there before is reported as a duplicate [RFC 2883 §4.1]", () => {
    tcp(SACK)
      .established()
      .play(`
        +0 < P. 1:11(10) ack 1 <TS val 2000>
        +.04 > . 1:1(0) ack 11
        +0 < P. 1:11(10) ack 1 <TS val 1>
        +0 > . 1:1(0) ack 11 <sack 1:11>
        +0 < . 11:11(0) ack 1 <TS val 1>
        +0 > . 1:1(0) ack 11
      `);
  });
  test("a SYN's own number is no part of the text that came twice", () => {
    tcp(SACK)
      .established()
      .play(`
        +0 < P. 1:11(10) ack 1 <TS val 2000>
        +.04 > . 1:1(0) ack 11
        +0 < S 0:10(10) <TS val 1>
        +0 > . 1:1(0) ack 11 <sack 1:11>
      `);
  });
  test("TS.Recent is as old as the last segment that set it, not as the connection [7323:5.5-1]", () => {
    const peer = tcp(TS)
      .established()
      .play(`
        +${25 * 86_400} < P. 1:11(10) ack 1 <TS val 5000>
        +.04 > . 1:1(0) ack 11
        +0 < P. 11:21(10) ack 1 <TS val 4000>
        +0 > . 1:1(0) ack 11
      `);
    expect(peer.dropped).toEqual(["7323-5.3-R1"]);
  });
  test("a stack that has run for more than 24 days takes the SYN's timestamp as new", () => {
    // As many whole turns of the ISN's clock as make 2^31 ms, so that the initial sequence number is where the test wants it.
    const peer = active({ options: plain, syn: "mss 1460,TS" })
      .each((p) => p.conn.abort())
      .each((p) => {
        p.turn();
        p.sent();
        p.pass(p.now + 2 ** 31);
        p.call("connect", []);
        p.turn();
        p.sent();
        p.play("+0 < S. 0:0(0) ack 1 <TS val 5000>\n+0 > . 1:1(0) ack 1 <TS val _ ecr 5000>\n+0 < P. 1:11(10) ack 1 <TS val 4000>\n+0 > . 1:1(0) ack 1");
      });
    expect(peer.dropped).toEqual(["7323-5.3-R1"]);
  });
});

describe("first step: the sequence number", () => {
  test("a shut window takes no text, says so once and counts nothing as out of order [9293:MUST-66]", () => {
    const peer = tcp({ options: { ...plain, receiveBuffer: 512, invalidAckInterval: 500 }, reads: false })
      .established()
      .play(`
        +0 < P. 1:513(512) ack 1
        +.04 > . 1:1(0) ack 513 win 0
        +0 < P. 513:514(1) ack 1
        +0 > . 1:1(0) ack 513 win 0
        +.1 < P. 513:514(1) ack 1
      `);
    expect(peer.dropped).toEqual(["9293-MUST-66", "9293-MUST-66"]);
    expect(peer.same((p) => p.conn.status(p.now).outOfOrderIn)).toBe(0);
  });
  test("a FIN is taken at a shut window, and the window stays shut; text after it is one drop", () => {
    const peer = tcp({ options: { ...plain, receiveBuffer: 512 }, reads: false })
      .established()
      .play(`
        +0 < P. 1:513(512) ack 1
        +.04 > . 1:1(0) ack 513 win 0
        +0 < F. 513:513(0) ack 1
        +0 > . 1:1(0) ack 514 win 0
        = CLOSE-WAIT
        +0 < P. 514:515(1) ack 1
        +0 > . 1:1(0) ack 514 win 0
      `);
    expect(peer.dropped).toEqual(["9293-MUST-66", "9293-MUST-66"]);
    expect(peer.same((p) => p.conn.status(p.now).rcvWnd)).toBe(0);
  });
  test("an unacceptable segment is answered once in a while only [RFC 5961 §7]", () => {
    tcp({ options: { ...plain, invalidAckInterval: 500 } })
      .established()
      .play(`
        +1 < . 50000:50000(0) ack 1
        +0 > . 1:1(0) ack 1
        +.499 < . 50000:50000(0) ack 1
        +.001 < . 50000:50000(0) ack 1
        +0 > . 1:1(0) ack 1
      `);
  });
  test("a SYN,ACK that comes again is answered each time: without the ACK its handshake cannot end (state matrix D15)", () => {
    const peer = active({ options: { ...plain, invalidAckInterval: 500 } })
      .established()
      .play("+1 < S. 0:0(0) ack 1\n+0 > . 1:1(0) ack 1\n+.1 < S. 0:0(0) ack 1\n+0 > . 1:1(0) ack 1");
    expect(peer.same((p) => p.stack.env.ruleHits["5961-4.2"])).toBe(2);
  });
  test("a SYN before the window counts among the challenges of the whole stack [RFC 5961 §4.2, §7]", () => {
    const peer = active({ options: plain }).established().play("+1 < S 0:0(0)\n+0 > . 1:1(0) ack 1");
    expect(peer.same((p) => p.stack.env.counters.challengeAcks)).toBe(1);
  });
});

describe("a SYN again in SYN-RECEIVED (state matrix D4)", () => {
  test("gets the SYN,ACK again, but once in a while only", () => {
    tcp({ options: { ...plain, invalidAckInterval: 400 } }).play(`
      +0 < S 0:0(0)
      +0 > S. 0:0(0) ack 1 <*>
      +.1 < S 0:0(0)
      +0 > S. 0:0(0) ack 1 <*>
      +.1 < S 0:0(0)
      +.3 < S 0:0(0)
      +0 > S. 0:0(0) ack 1 <*>
    `);
  });
  test("with RST it is dropped without a word", () => {
    const peer = tcp({ options: plain }).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+0 < SR 0:0(0)\n+0 < SR. 0:0(0) ack 1\n= SYN-RECEIVED");
    expect(peer.dropped).toEqual(["9293-3.10.7.4/1-rst", "9293-3.10.7.4/1-rst"]);
  });
});

describe("second step: RST", () => {
  test("ends a child of a listener by reset, and leaves the listener (state matrix D16)", () => {
    const peer = tcp({ options: plain }).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+0 < R 1:1(0)\n= LISTEN");
    expect(peer.same((p) => p.events.flatMap((e) => (e.kind === "closed" ? [e.by] : [])))).toEqual(["reset"]);
    expect(peer.same((p) => p.rules.filter((r) => r.startsWith("9293-3.10.7.4/2")))).toEqual(["9293-3.10.7.4/2-listen"]);
  });
});

describe("fourth step: SYN, as RFC 793 had it (strictSyn off)", () => {
  const old: PeerOptions = { options: { ...plain, strictSyn: false } };
  test("a SYN in the window is answered as if there were no connection, which is reset", () => {
    tcp(old).established().play("+0 < S 5:5(0)\n+0 > R. Z:Z(0) ack 6 <*>\n= CLOSED");
  });
  test("with an ACK the RST takes its number from there", () => {
    tcp(old).established().play("+0 < S. 5:5(0) ack 1\n+0 > R 1:1(0) ack Z <*>\n= CLOSED");
  });
});

describe("fifth step: ACK", () => {
  test("the window of a simultaneous open's SYN,ACK is not scaled [RFC 7323 §2.2]", () => {
    const peer = active({ options: { quickAcks: 0 }, syn: "mss 1460,wscale 3" }).play(`
      +0 > S 0:0(0) <*>
      +0 < S 0:0(0)
      +0 > S. 0:0(0) ack 1 <*>
      +0 < S. 0:0(0) ack 1 win 1000
      = ESTABLISHED
    `);
    expect(peer.same((p) => p.conn.status(p.now).sndWnd)).toBe(1_000);
  });
  test("an ACK of what was never sent counts among the challenges of the whole stack [RFC 5961 §5.2, §7]", () => {
    const peer = tcp({ options: plain }).established().play("+1 < . 1:1(0) ack 2\n+0 > . 1:1(0) ack 1");
    expect(peer.dropped).toEqual(["5961-5.2"]);
    expect(peer.same((p) => p.stack.env.counters.challengeAcks)).toBe(1);
  });
  test("an old ACK brings no window, however new its text (RFC 9293 §3.10.7.4)", () => {
    const peer = tcp({ options: plain })
      .established()
      .play(
        "+0 send 10\n+0 > P. 1:11(10) ack 1\n+0 < P. 1:11(10) ack 11 win 5000\n+.04 > . 11:11(0) ack 11\n+0 < P. 11:21(10) ack 1 win 100\n+.04 > . 11:11(0) ack 21",
      );
    expect(peer.same((p) => p.conn.status(p.now).sndWnd)).toBe(5_000);
  });
  test("when the last acceptable ACK came is known", () => {
    const peer = tcp({ options: plain }).established().play("+1 < . 1:1(0) ack 1\n+2 < . 1:1(0) ack 2\n+0 > . 1:1(0) ack 1");
    expect(peer.same((p) => p.conn.status(p.now).lastAckReceivedMs)).toBe(2_000);
  });
  test("the FIN that comes with the ACK of ours leads straight to TIME-WAIT (Figure 5, note 2)", () => {
    const peer = tcp({ options: plain }).established().play("+0 close\n+0 > F. 1:1(0) ack 1\n+0 < F. 1:1(0) ack 2\n+0 > . 2:2(0) ack 2\n= TIME-WAIT");
    expect(peer.same((p) => p.rules.filter((r) => r.includes("fin-wait-1")))).toEqual([]);
  });
  test("a FIN with the ACK of ours that the window cuts off leads to FIN-WAIT-2", () => {
    tcp({ options: { ...plain, receiveBuffer: 512 }, reads: false })
      .established()
      .play(`
        +0 close
        +0 > F. 1:1(0) ack 1
        +0 < F. 1:601(600) ack 2
        +0 > . 2:2(0) ack 513 win 0
        = FIN-WAIT-2
      `);
  });
  test("in TIME-WAIT an ACK changes nothing", () => {
    const peer = tcp({ options: plain })
      .established()
      .play("+0 close\n+0 > F. 1:1(0) ack 1\n+0 < F. 1:1(0) ack 2 win 5000\n+0 > . 2:2(0) ack 2\n+0 < . 2:2(0) ack 2 win 100\n= TIME-WAIT");
    expect(peer.same((p) => p.conn.status(p.now).sndWnd)).toBe(5_000);
  });
});

describe("the window opens again", () => {
  test("the retransmission timer starts without the back-off of the probes", () => {
    tcp({ options: plain })
      .established()
      .play(`
        +0 < . 1:1(0) ack 1 win 0
        +0 send 1
        +.2 > P. 1:2(1) ack 1
        +0 < . 1:1(0) ack 1 win 0
        +.4 > . 1:2(1) ack 1
        +0 < . 1:1(0) ack 1 win 0
        +.8 > . 1:2(1) ack 1
        +0 < . 1:1(0) ack 1 win 1000
        +0 > . 1:2(1) ack 1
        +.2 > . 1:2(1) ack 1
      `);
  });
});

describe("the user's turn to send", () => {
  test("is told once when there is room for a good piece, and not before", () => {
    const peer = tcp({ options: { ...plain, sendBuffer: 8_000 }, syn: "mss 1000" })
      .established()
      .play(`
        +0 send 9000 -> 8000
        +0 > . 1:1001(1000) ack 1
        +0 > . 1001:2001(1000) ack 1
        +0 > . 2001:3001(1000) ack 1
        +0 > . 3001:4001(1000) ack 1
        +0 > . 4001:5001(1000) ack 1
        +0 > . 5001:6001(1000) ack 1
        +0 > . 6001:7001(1000) ack 1
        +0 > P. 7001:8001(1000) ack 1
        +.01 < . 1:1(0) ack 1001
      `);
    expect(peer.heard).toEqual(["established"]);
    peer.play("+0 < . 1:1(0) ack 2001");
    expect(peer.heard).toEqual(["established", "writable"]);
    peer.play("+0 < . 1:1(0) ack 8001");
    expect(peer.heard).toEqual(["established", "writable"]);
  });
  test("drained is told once for each time that it was asked for", () => {
    const peer = tcp({ options: plain }).established();
    peer
      .each((p) => p.conn.wantsDrain())
      .play("+0 send 10\n+0 > P. 1:11(10) ack 1\n+0 < . 1:1(0) ack 11\n+0 send 10\n+0 > P. 11:21(10) ack 1\n+0 < . 1:1(0) ack 21");
    expect(peer.heard).toEqual(["established", "drained"]);
  });
});

describe("seventh step: text", () => {
  test("after the peer's FIN is dropped and named (state matrix D10)", () => {
    const peer = tcp({ options: plain }).established().play("+0 < F. 1:1(0) ack 1\n+0 > . 1:1(0) ack 2\n+0 < P. 2:5(3) ack 1\n= CLOSE-WAIT");
    expect(peer.dropped).toEqual(["9293-3.10.7.4/7-after-fin"]);
  });
  test("each of several segments beyond a gap owes a peer without SACK its own duplicate ACK [RFC 5681 §4.2]", () => {
    const peer = tcp({ options: plain }).established();
    peer.batch("+0 < . 11:21(10) ack 1\n+0 < . 21:31(10) ack 1\n+0 < . 31:41(10) ack 1");
    peer.play("+0 > . 1:1(0) ack 1\n+0 > . 1:1(0) ack 1\n+0 > . 1:1(0) ack 1");
  });
});

describe("eighth step: FIN", () => {
  test("what lies beyond a FIN that is taken is thrown away", () => {
    const peer = tcp(SACK)
      .established()
      .play("+0 < . 11:21(10) ack 1\n+0 > . 1:1(0) ack 1 <sack 11:21>\n+0 < F. 1:1(0) ack 1\n+0 > . 1:1(0) ack 2\n= CLOSE-WAIT");
    expect(peer.same((p) => p.conn.status(p.now).outOfOrder)).toBe(0);
    expect(peer.same((p) => p.stack.counters.pagesUsed)).toBe(0);
  });
});
