/** RFC 9293 §3.7.4, §3.8.6.2.1 and what later RFCs added: what goes out, in what pieces, and when it is held back. */
import { describe, expect, test } from "vitest";
import { Millis } from "../../src/tcp/time.js";
import { type Peer, type PeerOptions, type Peers, tcp } from "../support/peer.js";

const plain = { receiveBuffer: 10_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false, congestion: "reno", noDelay: true } as const;
const open = (options: PeerOptions["options"] = {}, more: Omit<PeerOptions, "options"> = {}): Peers =>
  tcp({ syn: "mss 1000", options: { ...plain, ...options }, ...more }).established();
const cwnd = (peer: Peers): number => peer.same((p) => p.conn.status(p.now).cwnd);
/** Whole segments of 1000 octets from `first`, as they go out. */
const segments = (first: number, count: number): string =>
  Array.from({ length: count }, (_, i) => `+0 > . ${first + 1_000 * i}:${first + 1_000 * (i + 1)}(1000) ack 1`).join("\n");

describe("super-segments, where the device cuts them", () => {
  const offload = (options: PeerOptions["options"] = {}, more: Omit<PeerOptions, "options"> = {}): Peers => open(options, { offload: true, ...more });

  test("all that may go is one frame, cut into segments of the MSS", () => {
    offload()
      .each((p) => p.send(3_000))
      .each((p) => p.turn())
      .each((p) => expect(p.sent().map((s) => [s.length, s.gsoSize])).toEqual([[3_000, 1_000]]));
  });
  test("whole segments where the window ends it", () => {
    offload({}, { win: 2_500 }).play("+0 send 5000\n+0 > . 1:2001(2000) ack 1\n+0 < . 1:1(0) ack 2001\n+0 > . 2001:4001(2000) ack 1");
  });
  test("whole segments where a short one is outstanding (Nagle)", () => {
    offload({ noDelay: false }).play(`
      +0 send 300
      +0 > P. 1:301(300) ack 1
      +0 send 2500
      +0 > . 301:2301(2000) ack 1
      +0 < . 1:1(0) ack 301
      +0 > P. 2301:2801(500) ack 1
    `);
  });
  test("whole segments where the network ends what goes again", () => {
    offload({ rack: false }, { syn: "mss 1000,sackOK" }).play(`
      +0 send 5000
      +0 > P. 1:5001(5000) ack 1
      +0 send 3500
      +0 > P. 5001:8501(3500) ack 1
      +.1 < . 1:1(0) ack 1 <sack 5001:8501>
      +0 > . 1:3001(3000) ack 1
    `);
  });
  test("of the last one a probe takes the last segment, and it is counted [RFC 8985 §7.3]", () => {
    const peer = tcp({ offload: true, options: plain, syn: "mss 1000,sackOK" })
      .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+.1 < . 1:1(0) ack 1")
      .play("+0 send 3000\n+0 > P. 1:3001(3000) ack 1\n+.2 > P. 2001:3001(1000) ack 1");
    peer.each((p) => expect(p.conn.status(p.now)).toMatchObject({ retransmits: 1, bytesRetransmitted: 1_000 }));
  });
  test("a probe of the path MTU is one packet, and super-segments after it are cut again [RFC 4821 §7.4]", () => {
    tcp({ offload: true, options: { ...plain, pmtuProbing: true, timestamps: false, tailLossProbe: false }, syn: "mss 1460,sackOK" })
      .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+.05 < . 1:1(0) ack 1\n+0 send 3000\n+0 > P. 1:3001(3000) ack 1")
      .each((p) => {
        // A black hole for long enough.
        for (let timeouts = 0; timeouts < 3; timeouts++) {
          p.pass(p.now + 10_000);
          p.sent();
        }
        const frames: { length: number; gsoSize: number; mss: number }[] = [];
        for (let round = 0; round < 40; round++) {
          p.send(100_000);
          p.turn();
          const mss = p.conn.status(p.now).mss;
          for (const s of p.sent()) frames.push({ length: s.length, gsoSize: s.gsoSize, mss });
          p.now = Millis(p.now + 50);
          p.batch(`+0 < . 1:1(0) ack ${p.conn.status(p.now).sndNxt}`);
        }
        const whole = frames.filter((f) => f.gsoSize === 0 && f.length > f.mss);
        expect(whole.length).toBeGreaterThan(0);
        expect(Math.max(...whole.map((f) => f.length))).toBeLessThanOrEqual(1_460);
        expect(frames.slice(frames.indexOf(whole[0] as (typeof frames)[0])).some((f) => f.gsoSize === f.mss)).toBe(true);
      });
  });
  test("no more pieces of memory than a frame gathers: whole segments of them, and the FIN follows later", () => {
    const pieces = (p: Peer): void => {
      for (let i = 0; i < 10; i++) p.sendShared(4_096);
    };
    offload({ initialWindow: 60 }).play("+0 cork on").each(pieces).play("+0 close\n+0 > . 1:32001(32000) ack 1\n+0 > FP. 32001:40961(8960) ack 1");
    // An MSS of jumbo frames holds more pieces than that, without any device that cuts; a probe of a silly window too.
    tcp({ options: { ...plain, initialWindow: 2 }, stack: { mtu: 65_535 }, syn: "mss 65495" })
      .established()
      .play("+0 cork on")
      .each(pieces)
      .play("+0 nodelay on\n+0 > . 1:32769(32768) ack 1\n+0 > P. 32769:40961(8192) ack 1");
    tcp({ options: plain, stack: { mtu: 65_535 }, syn: "mss 65495" })
      .established()
      .play("+0 < . 1:1(0) ack 1 win 30000")
      .each((p) => {
        for (const n of [1, 4_096, 1, 4_096, 1])
          if (n === 1) p.send(n);
          else p.sendShared(n);
      })
      .each(pieces)
      .each((p) => p.turn())
      .play("+.2 > . 1:20484(20483) ack 1");
  });
});

describe("what was lost goes first [RFC 6675 §5 (C)]", () => {
  test("and neither shorter new text nor the FIN overtakes it", () => {
    open({}, { syn: "mss 1012,TS" }).play(`
      +0 send 600
      +0 > P. 1:601(600) ack 1
      +0 send 600
      +0 > P. 601:1201(600) ack 1
      +.2 > . 1:601(600) ack 1
      +0 send 10
      +0 close
      +.1 < . 1:1(0) ack 601
      +0 > . 601:1201(600) ack 1
      +0 > FP. 1201:1211(10) ack 1
    `);
  });
  test("nor does a FIN alone", () => {
    open({}, { syn: "mss 1012,TS" }).play(`
      +0 send 600
      +0 > P. 1:601(600) ack 1
      +0 send 600
      +0 > P. 601:1201(600) ack 1
      +.2 > . 1:601(600) ack 1
      +0 close
      +.1 < . 1:1(0) ack 601
      +0 > P. 601:1201(600) ack 1
      +0 > F. 1201:1201(0) ack 1
    `);
  });
  test("meanwhile it is the network that holds the sender back", () => {
    const peer = open({}, { syn: "mss 1012,TS" }).play(
      "+0 send 3000\n+0 > . 1:1001(1000) ack 1\n+0 > . 1001:2001(1000) ack 1\n+0 > P. 2001:3001(1000) ack 1\n+.2 > . 1:1001(1000) ack 1 <*>",
    );
    peer.play("+0 send 10");
    expect(peer.same((p) => p.conn.status(p.now).limitedBy)).toBe("cwnd");
  });
});

describe("the congestion window", () => {
  /** In congestion avoidance with a window of two segments: ten went out, and one mark came back. */
  const avoiding = (): Peers =>
    tcp({ options: { ...plain, ecn: "passive" }, syn: "mss 1000" })
      .play("+0 < SEW 0:0(0)\n+0 > S.E 0:0(0) ack 1 <*>\n+0 < . 1:1(0) ack 1")
      .play(`+0 send 10500\n${segments(1, 10)}\n+.1 < .E 1:1(0) ack 10001\n+0 > PW. 10001:10501(500) ack 1\n+.1 < . 1:1(0) ack 10501`);

  test("grows in congestion avoidance only while it is what holds the sender back [RFC 7661, RFC 5681 §3.1]", () => {
    const peer = avoiding();
    expect(cwnd(peer)).toBe(2_000);
    let next = 10_501;
    for (let i = 0; i < 10; i++, next += 1_000) peer.play(`+0 send 1000\n+0 > P. N:N+1000(1000) ack 1\n+.1 < . 1:1(0) ack N+1000`, { N: next });
    expect(cwnd(peer)).toBe(2_000);
    peer.play(`+0 send 2500\n${segments(next, 2)}`);
    expect(peer.same((p) => p.conn.status(p.now).limitedBy)).toBe("cwnd");
    peer.play("+.1 < . 1:1(0) ack N+2000\n+0 > P. N+2000:N+2500(500) ack 1", { N: next });
    expect(cwnd(peer)).toBe(3_000);
  });
  test("in slow start grows to twice of what was in flight within the last window of data [RFC 7661 §4.3]", () => {
    const peer = open();
    peer.play(`+0 send 10000\n${segments(1, 9)}\n+0 > P. 9001:10001(1000) ack 1\n+.1 < . 1:1(0) ack 5001\n+0 send 1000\n+0 > P. 10001:11001(1000) ack 1`);
    expect(cwnd(peer)).toBe(15_000);
    peer.play("+0 < . 1:1(0) ack 6001");
    expect(cwnd(peer)).toBe(16_000);
  });
  test("is restarted after an idle RTO, and by no shorter pause [RFC 5681 §4.1]", () => {
    const peer = open().play(`+0 send 10000\n${segments(1, 9)}\n+0 > P. 9001:10001(1000) ack 1\n+.1 < . 1:1(0) ack 10001`);
    expect(cwnd(peer)).toBe(20_000);
    peer.play("+.05 send 10\n+0 > P. 10001:10011(10) ack 1\n+0 < . 1:1(0) ack 10011");
    expect(cwnd(peer)).toBe(20_000);
    peer.play("+2 send 10\n+0 > P. 10011:10021(10) ack 1");
    expect(cwnd(peer)).toBe(10_000);
  });
});

describe("the congestion window, while time passes", () => {
  test("after a timeout grows beyond the initial window, though new text went out long ago [RFC 5681 §4.1]", () => {
    open({ initialWindow: 1 }, { syn: "mss 1012,TS" }).each((p) => {
      p.send(20_000);
      p.turn();
      for (let acked = 1; acked <= 7_001; acked += 1_000) {
        p.sent();
        p.batch(`+0 < . 1:1(0) ack ${acked}`);
      }
      p.sent();
      expect(p.conn.status(p.now).cwnd).toBe(8_000);
      // All that is out is lost but for the retransmissions.
      p.pass(p.now + 210);
      expect(p.conn.status(p.now).cwnd).toBe(1_000);
      for (const acked of [8_001, 9_001, 10_001]) {
        expect(p.sent().length).toBeGreaterThan(0);
        p.now = Millis(p.now + 50);
        p.batch(`+0 < . 1:1(0) ack ${acked}`);
      }
      expect(p.conn.status(p.now).cwnd).toBe(4_000);
    });
  });
  test("counts what is acknowledged while something lost still waits for room: that is being held back [RFC 5681 §3.1]", () => {
    open({ initialWindow: 8 }, { syn: "mss 1012,TS" }).each((p) => {
      const acknowledge = (...numbers: number[]): void => {
        for (const n of numbers) {
          p.sent();
          p.batch(`+0 < . 1:1(0) ack ${n}`);
        }
      };
      p.send(20_000);
      p.turn();
      p.sent();
      p.pass(p.now + 210);
      acknowledge(1_001, 2_001, 3_001);
      // Half of what was out: congestion avoidance, and the eighth segment has not gone again.
      expect(p.conn.status(p.now)).toMatchObject({ cwnd: 4_000, lost: 1_000 });
      acknowledge(4_001, 5_001, 6_001);
      expect(p.conn.status(p.now).cwnd).toBe(4_000);
      acknowledge(7_001);
      expect(p.conn.status(p.now).cwnd).toBe(5_000);
    });
  });
  test("of CUBIC does not grow for the time in which nothing was to be sent [RFC 9438 §4.2]", () => {
    tcp({ options: { ...plain, congestion: "cubic", ecn: "passive", slowStartAfterIdle: false }, syn: "mss 1000" })
      .play("+0 < SEW 0:0(0)\n+0 > S.E 0:0(0) ack 1 <*>\n+0 < . 1:1(0) ack 1")
      .each((p) => {
        /** Eleven segments, of which the window holds back some; then an ACK of all that went out. */
        const round = (flags: string): number => {
          p.send(11_000);
          p.turn();
          for (let sent = p.sent(); sent.length > 0; sent = p.sent()) {
            p.now = Millis(p.now + 100);
            p.batch(`+0 < ${flags} 1:1(0) ack ${p.conn.status(p.now).sndNxt}`);
            flags = ".";
          }
          return p.conn.status(p.now).cwnd;
        };
        expect(round(".E")).toBe(7_000);
        expect(round(".")).toBe(7_000);
        p.pass(p.now + 600_000);
        expect(round(".")).toBeLessThanOrEqual(8_000);
      });
  });
});

describe("Nagle", () => {
  test("does not hold back a FIN, nor the short text before it", () => {
    open({ noDelay: false }).play("+0 send 300\n+0 > P. 1:301(300) ack 1\n+0 send 100\n+0 close\n+0 > FP. 301:401(100) ack 1");
  });
});

describe("a cork and the timer that limits it (§3.8.6.2.1 (4))", () => {
  test("once it is taken out, the RTO runs from when the text went out", () => {
    const peer = open({ noDelay: false }).play("+0 cork on\n+0 send 10\n+.1 cork off\n+0 > P. 1:11(10) ack 1\n+.2 > P. 1:11(10) ack 1");
    expect(peer.same((p) => p.conn.status(p.now).timeouts)).toBe(1);
  });
});

describe("tail loss probe of new text [RFC 8985 §7.2]", () => {
  test("no other probe goes out until it is acknowledged: the RTO is next", () => {
    const peer = tcp({ options: { ...plain, noDelay: false }, syn: "mss 1000,sackOK" }).play(`
      +0 < S 0:0(0)
      +0 > S. 0:0(0) ack 1 <*>
      +.1 < . 1:1(0) ack 1
      +0 send 10
      +0 > P. 1:11(10) ack 1
      +0 send 20
      +.3 > P. 11:31(20) ack 1
      +0 < . 1:1(0) ack 11
    `);
    peer.each((p) => {
      expect(p.stack.env.counters.tailLossProbes).toBe(1);
      p.pass(p.now + 10_000);
      expect(p.sent().map((s) => [s.seq, s.length])).toEqual([[11, 20]]);
      expect(p.stack.env.counters.tailLossProbes).toBe(1);
      expect(p.conn.status(p.now).timeouts).toBe(1);
    });
  });
});

describe("pure ACKs", () => {
  test("a peer with SACK gets one for all that came in one turn", () => {
    const peer = open({}, { syn: "mss 1000,sackOK" });
    peer.batch("+0 < . 11:21(10) ack 1\n+0 < . 21:31(10) ack 1\n+0 < . 41:51(10) ack 1");
    peer.play("+0 > . 1:1(0) ack 1 <sack 41:51 11:31>");
  });
  test("SACK blocks give way to the text on a path of the least MTU", () => {
    const peer = tcp({ options: { ...plain, mss: 20, minMss: 28 }, syn: "mss 1000,sackOK,TS" }).established();
    peer.play("+0 < P. 1:11(10) ack 1\n+.04 > . 1:1(0) ack 11\n+0 < P. 1:11(10) ack 1\n+0 > . 1:1(0) ack 11");
  });
  test("the SYN,ACK is one: what was owed besides is not owed any more", () => {
    const peer = tcp({ options: plain, syn: "mss 1000" }).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>");
    peer.batch("+0 < . 50000:50000(0) ack 1\n+0 < S 0:0(0)");
    peer.play("+0 > S. 0:0(0) ack 1 <*>\n+.1 < SR 0:0(0)");
  });
  test("none goes out for text that a reset followed in the same turn", () => {
    const peer = open({ quickAcks: 10 });
    peer.batch("+0 < P. 1:11(10) ack 1\n+0 < R 11:11(0)");
    peer.play("= CLOSED\n+1");
  });
});

describe("urgent mode", () => {
  test("is over when the last urgent octet is acknowledged [9293:MUST-30]", () => {
    const peer = open().play("+0 urgent 10\n+0 > PU. 1:11(10) ack 1 urg 10\n+0 send 5\n+0 > P. 11:16(5) ack 1\n+0 < . 1:1(0) ack 16");
    expect(peer.same((p) => p.conn.tcb.snd.up !== undefined)).toBe(true);
    peer.play("+0 send 5\n+0 > P. 16:21(5) ack 1");
    expect(peer.same((p) => p.conn.tcb.snd.up)).toBe(undefined);
  });
});

describe("the reset of a live connection (§3.10.5)", () => {
  test("bears RCV.NXT and nothing that an earlier segment had", () => {
    open({}, { syn: "mss 1000,sackOK" }).play(`
      +0 < P. 1:11(10) ack 1
      +.04 > . 1:1(0) ack 11
      +0 < . 21:31(10) ack 1
      +0 > . 1:1(0) ack 11 <sack 21:31>
      +0 < P. 11:16(5) ack 1
      +0 > . 1:1(0) ack 16 <sack 21:31>
      +0 abort
      +0 > R. 1:1(0) ack 16 win 0
      = CLOSED
    `);
    open().play("+0 < P. 1:11(10) ack 1\n+0 abort\n+0 > R. 1:1(0) ack 11 win 0\n= CLOSED");
  });
});
