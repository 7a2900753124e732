/** RFC 2018 and 2883 (SACK), 6675 and 8985 (loss by SACK and by time), 1191 and 5927 (path MTU by ICMP). */
import { describe, expect, test } from "vitest";
import { Rack } from "../../src/tcp/recovery/rack.js";
import { Sent } from "../../src/tcp/scoreboard.js";
import { seq } from "../../src/tcp/seq.js";
import { Millis } from "../../src/tcp/time.js";
import type { Tcb } from "../../src/tcp/tcb.js";
import { quietly } from "../support/quietly.js";
import { active, type PeerOptions, type Peers, tcp } from "../support/peer.js";

const plain = { receiveBuffer: 60_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false, congestion: "reno", timestamps: false } as const;
/** With a handshake of 50 ms, so that the least round trip is known. */
const opened = (o: PeerOptions = {}): Peers =>
  tcp({ syn: "mss 1000,sackOK", ...o, options: { ...plain, ...o.options } }).play(
    "+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+.05 < . 1:1(0) ack 1\n= ESTABLISHED",
  );
/** Ten segments are out, and 50 ms have passed. */
const flight = (o: PeerOptions = {}): Peers =>
  opened(o).each((p) => {
    // A sample of 50 ms first, so that RTT and timers are known.
    p.send(1_000);
    p.turn();
    p.sent();
    p.pass(p.now + 50);
    p.batch("+0 < . 1:1(0) ack 1001");
    p.send(10_000);
    p.turn();
    expect(p.sent().map((s) => s.seq)).toEqual([1_001, 2_001, 3_001, 4_001, 5_001, 6_001, 7_001, 8_001, 9_001, 10_001]);
    p.pass(p.now + 50);
  });
const sack = (...blocks: string[]): string => `+0 < . 1:1(0) ack 1001 <sack ${blocks.join(" ")}>`;
const sentAfter = (peer: Peers, line: string): number[] => peer.batch(line).same((p) => p.sent().map((s) => s.seq));
const phase = (peer: Peers): string => peer.same((p) => p.conn.status(p.now).phase);

describe("SACK, the receiver [RFC 2018, RFC 2883]", () => {
  test("permitted in SYNs only, and only to who asked [2018:2-1 2018:2-2 2018:4-1 2018:4-2]", () => {
    tcp({ options: plain }).established().play("+0 < . 101:201(100) ack 1 <raw 01010402>\n+0 > . 1:1(0) ack 1\n+0 < . 301:401(100) ack 1\n+0 > . 1:1(0) ack 1");
    opened({ options: { sack: false } }).play("+0 < . 101:201(100) ack 1\n+0 > . 1:1(0) ack 1");
    active({ options: plain, syn: "mss 1000,sackOK" }).play(
      "+0 > S 0:0(0) <mss 1460,sackOK>\n+0 < S. 0:0(0) ack 1\n+0 > . 1:1(0) ack 1\n+0 < . 101:201(100) ack 1\n+0 > . 1:1(0) ack 1 <sack 101:201>",
    );
  });
  test("the newest block first, others by age, at most four; each segment with new text beyond a gap is told [2018:4-5 2018:8-2 2018:3-1]", () => {
    opened().play(`
      +0 < . 101:201(100) ack 1
      +0 > . 1:1(0) ack 1 <sack 101:201>
      +0 < . 301:401(100) ack 1
      +0 > . 1:1(0) ack 1 <sack 301:401 101:201>
      +0 < . 501:601(100) ack 1
      +0 > . 1:1(0) ack 1 <sack 501:601 301:401 101:201>
      +0 < . 701:801(100) ack 1
      +0 > . 1:1(0) ack 1 <sack 701:801 501:601 301:401 101:201>
      +0 < . 901:1001(100) ack 1
      +0 > . 1:1(0) ack 1 <sack 901:1001 701:801 501:601 301:401>
      +0 < . 201:301(100) ack 1
      +0 > . 1:1(0) ack 1 <sack 101:401 901:1001 701:801 501:601>
      +0 < . 1:101(100) ack 1
      +0 > . 1:1(0) ack 401 <sack 901:1001 701:801 501:601>
    `);
    tcp({ options: { ...plain, timestamps: true }, syn: "mss 1000,sackOK,TS" })
      .established()
      .each((p) => {
        for (let i = 0; i < 5; i++) p.batch(`+0 < . ${101 + 200 * i}:${201 + 200 * i}(100) ack 1`);
        expect(p.sent().at(-1)?.seg.sackCount).toBe(3);
      });
  });
  test("what came twice is told once, below and beyond the ACK [2883:4-1 2883:4-2 2883:4-3]", () => {
    opened().play(`
      +0 < . 1:101(100) ack 1
      +.04 > . 1:1(0) ack 101
      +0 < . 51:101(50) ack 1
      +0 > . 1:1(0) ack 101 <sack 51:101>
      +0 < . 201:301(100) ack 1
      +0 > . 1:1(0) ack 101 <sack 201:301>
      +0 < . 221:281(60) ack 1
      +0 > . 1:1(0) ack 101 <sack 221:281 201:301>
      +0 < . 1:51(50) ack 1
      +0 > . 1:1(0) ack 101 <sack 1:51 201:301>
      +0 < . 151:351(200) ack 1
      +0 > . 1:1(0) ack 101 <sack 201:301 151:351>
      +0 < . 81:121(40) ack 1
      +0 > . 1:1(0) ack 121 <sack 81:101 151:351>
    `);
    opened({ options: { dsack: false } }).play(
      "+0 < . 1:101(100) ack 1\n+.04 > . 1:1(0) ack 101\n+0 < . 51:101(50) ack 1\n+0 > . 1:1(0) ack 101\n+0 < . 201:301(100) ack 1\n+0 > . 1:1(0) ack 101 <sack 201:301>\n+0 < . 201:301(100) ack 1\n+0 > . 1:1(0) ack 101 <sack 201:301>",
    );
  });
});

describe("SACK, the sender [RFC 2018 §5, RFC 6675 with RACK off]", () => {
  const off = { options: { rack: false } };
  test("a block acknowledges nothing, is remembered, and what it names is not sent again [2018:3-2 2018:5-1 2018:5-2 2018:5-5 6675:4-2 6675:4-1 6675:5-1]", () => {
    const peer = flight(off);
    expect(sentAfter(peer, sack("2001:3001"))).toEqual([]);
    expect(
      peer.same((p) => {
        const s = p.conn.status(p.now);
        return [s.sndUna, s.sacked, s.sendQ];
      }),
    ).toEqual([1_001, 1_000, 10_000]);
    expect(sentAfter(peer, sack("2001:5001"))[0]).toBe(1_001);
    expect(phase(peer)).toBe("recovery");
    // Renege: after a timeout what was named is kept until it is acknowledged.
    peer.each((p) => {
      const again = quietly(p, 60).map((s) => s.seq);
      expect(again).toContain(1_001);
      expect(p.conn.status(p.now).sendQ).toBe(10_000);
    });
  });
  test("three segments above, or three blocks, mean loss; two do not [6675:4-3 6675:5-4 6675:5-3 3042:2-3]", () => {
    const two = flight(off);
    expect(sentAfter(two, sack("2001:4001"))).toEqual([]);
    expect(phase(two)).toBe("disorder");
    expect(sentAfter(two, sack("2001:4001"))).toEqual([]);
    const scattered = flight(off);
    expect(sentAfter(scattered, sack("2001:2101", "4001:4101", "6001:6101"))[0]).toBe(1_001);
  });
  test("holes in order of sequence, new text after them, as far as the pipe has room [6675:4-4 6675:4-5 6675:4-6 6675:5-6 6675:5-7 6675:5-10 6675:5-11 6675:5-12 6675:5-13 6675:5-14 6675:4-10]", () => {
    const peer = flight(off).each((p) => {
      p.send(20_000);
      p.turn();
      p.sent();
    });
    const first = sentAfter(peer, sack("3001:6001"));
    expect(first[0]).toBe(1_001);
    const more = [...first];
    for (const block of ["3001:7001", "3001:8001", "3001:9001", "3001:10001", "3001:11001"]) more.push(...sentAfter(peer, sack(block)));
    expect(more.slice(0, 2)).toEqual([1_001, 2_001]);
    // Each hole once; then text that was never sent, in order.
    expect(new Set(more).size).toBe(more.length);
    expect([...more].sort((a, b) => a - b)).toEqual(more);
    expect(
      peer.same((p) => {
        const s = p.conn.status(p.now);
        return s.pipe <= s.cwnd;
      }),
    ).toBe(true);
  });
  test("before recovery each block lets as much new text go as it took from the pipe, and no more [6675:5-5]", () => {
    const peer = flight(off).each((p) => {
      p.send(20_000);
      p.turn();
      expect(p.sent()).toEqual([]);
    });
    expect(sentAfter(peer, sack("3001:4001"))).toEqual([11_001]);
    expect(sentAfter(peer, sack("3001:4501"))).toEqual([]);
    expect(sentAfter(peer, sack("3001:5001"))).toEqual([12_001]);
    expect(phase(peer)).toBe("disorder");
    expect(
      peer.same((p) => {
        const s = p.conn.status(p.now);
        return [s.pipe, s.cwnd];
      }),
    ).toEqual([10_000, 10_000]);
  });
  test("loss in two windows is two signs of congestion [5681:4.3-4]", () => {
    const peer = flight(off);
    sentAfter(peer, sack("2001:5001"));
    const first = peer.same((p) => p.conn.status(p.now).ssthresh as number);
    sentAfter(peer, "+0 < . 1:1(0) ack 11001");
    const out = peer.same((p) => {
      p.send(20_000);
      p.turn();
      return p.sent().length;
    });
    expect(out).toBe(Math.floor(first / 1_000));
    sentAfter(peer, "+0 < . 1:1(0) ack 11001 <sack 12001:15001>");
    expect([phase(peer), peer.same((p) => p.conn.status(p.now).ssthresh)]).toEqual(["recovery", Math.max(2_000, Math.floor(first / 1_000) * 500)]);
  });
  test("an ACK at the recovery point ends it at ssthresh, one below does not; blocks above are kept [6675:5-8 6675:5-9 6675:5-2 2018:5.1-1 6937:3-7]", () => {
    const peer = flight(off);
    sentAfter(peer, sack("3001:6001"));
    sentAfter(peer, "+0 < . 1:1(0) ack 2001 <sack 3001:6001>");
    expect(phase(peer)).toBe("recovery");
    const ssthresh = peer.same((p) => p.conn.status(p.now).ssthresh);
    sentAfter(peer, "+0 < . 1:1(0) ack 11001");
    expect(phase(peer)).toBe("open");
    expect(peer.same((p) => p.conn.status(p.now).cwnd)).toBe(ssthresh);
  });
  test("a timeout ends recovery, forgets nothing that is still told, and nothing new begins before its point [6675:5.1-1 6675:5.1-2 6675:5.1-3 6675:5.1-4 2018:5-3 2018:5-4]", () => {
    const peer = flight(off);
    sentAfter(peer, sack("3001:6001"));
    peer.each((p) => {
      quietly(p, 0.4);
    });
    expect(phase(peer)).toBe("loss");
    const again = sentAfter(peer, "+0 < . 1:1(0) ack 2001 <sack 3001:6001>");
    expect(again).not.toContain(3_001);
    expect(phase(peer)).toBe("loss");
    expect(sentAfter(peer, "+0 < . 1:1(0) ack 2001 <sack 3001:9001>").every((s) => s === 2_001 || s > 9_000)).toBe(true);
    expect(phase(peer)).toBe("loss");
  });
  test("blocks that lie outside of what is out are not believed", () => {
    const peer = flight(off);
    for (const bad of ["20001:21001", "-500:-100", "3001:2001", "2001:90001", "500:800"]) expect(sentAfter(peer, sack(bad))).toEqual([]);
    expect(peer.same((p) => p.conn.status(p.now).sacked)).toBe(0);
  });
  test("a first block below the ACK, or within the second, is a D-SACK and no news [2883:5-1 2883:5-2]", () => {
    const peer = flight();
    sentAfter(peer, "+0 < . 1:1(0) ack 2001 <sack 1001:1501>");
    expect(peer.same((p) => p.conn.status(p.now).dsackDups)).toBe(1);
    sentAfter(peer, "+0 < . 1:1(0) ack 2001 <sack 3201:3401 3001:4001>");
    expect(
      peer.same((p) => {
        const s = p.conn.status(p.now);
        return [s.dsackDups, s.sacked];
      }),
    ).toEqual([2, 1_000]);
  });
});

describe("RACK and TLP [RFC 8985]", () => {
  test("without SACK there is neither [8985:4-1 8985:9.2-1]", () => {
    const peer = opened({ syn: "mss 1000" }).play(
      "+0 send 1000\n+0 > P. 1:1001(1000) ack 1\n+.05 < . 1:1(0) ack 1001\n+0 send 1000\n+0 > P. 1001:2001(1000) ack 1",
    );
    // No probe: what comes is the timeout.
    peer.each((p) => {
      quietly(p, 1);
      expect(p.conn.status(p.now).timeouts).toBeGreaterThan(0);
    });
  });
  test("sent a quarter of a round trip before what arrived: lost; less: the reordering timer decides [8985:3.3.2-1 8985:4-2 8985:4-3 8985:6.1-1 8985:6.2-3 8985:9.3-1 8985:9.3-2]", () => {
    const peer = flight();
    expect(sentAfter(peer, sack("2001:3001"))).toEqual([]);
    expect(phase(peer)).toBe("disorder");
    peer.each((p) => {
      const [again] = quietly(p, 0.1);
      expect(again?.seq).toBe(1_001);
      expect(Math.abs((again?.at ?? 0) - 0.0125)).toBeLessThan(0.003);
      expect(p.conn.status(p.now).timeouts).toBe(0);
    });
    // Three segments' worth of it: at once.
    expect(sentAfter(flight(), sack("2001:5001"))[0]).toBe(1_001);
  });
  test("once reordering was seen three segments are no proof [8985:6.2-4]", () => {
    const peer = flight();
    sentAfter(peer, sack("2001:3001"));
    sentAfter(peer, "+0 < . 1:1(0) ack 3001");
    expect(sentAfter(peer, "+0 < . 1:1(0) ack 3001 <sack 4001:8001>")).not.toContain(3_001);
    expect(phase(peer)).toBe("disorder");
  });
  test("a tail: two round trips later the last segment again; a timeout counts from there [8985:7.2-1 8985:7.2-5 8985:7.3-1 8985:7.3-5 8985:8-1]", () => {
    const peer = flight();
    sentAfter(peer, "+0 < . 1:1(0) ack 9001");
    peer.each((p) => {
      const srtt = p.conn.status(p.now).srtt as number;
      const sent = quietly(p, 0.19);
      expect(sent.map((s) => s.seq)).toEqual([10_001]);
      expect(Math.abs((sent[0]?.at ?? 0) * 1_000 - 2 * srtt)).toBeLessThan(3);
      expect(p.conn.status(p.now).timeouts).toBe(0);
    });
  });
  test("a lone segment waits for a delayed ACK as well [8985:7.2-2 8985:7.2-4]", () => {
    const peer = opened({ options: { minRto: 1_000 } }).each((p) => {
      p.send(1_000);
      p.turn();
      p.sent();
      p.pass(p.now + 50);
      p.batch("+0 < . 1:1(0) ack 1001");
      p.send(500);
      p.turn();
      p.sent();
    });
    peer.each((p) => {
      const srtt = p.conn.status(p.now).srtt as number,
        [again] = quietly(p, 0.9);
      expect(Math.abs((again?.at ?? 0) * 1_000 - 2 * srtt - 200)).toBeLessThan(3);
    });
  });
  test("a probe that repaired a loss costs half the window; one that came twice costs nothing [8985:7.4.2-1 8985:7.4.2-2]", () => {
    const probed = (): Peers => {
      const peer = flight();
      sentAfter(peer, "+0 < . 1:1(0) ack 9001");
      return peer.each((p) => {
        quietly(p, 0.15);
      });
    };
    const repaired = probed(),
      before = repaired.same((p) => p.conn.status(p.now).cwnd);
    repaired.each((p) => {
      p.send(1_000);
      p.turn();
      p.sent();
    });
    sentAfter(repaired, "+0 < . 1:1(0) ack 12001");
    expect(repaired.same((p) => p.conn.status(p.now).cwnd)).toBeLessThan(before);
    const twice = probed();
    sentAfter(twice, "+0 < . 1:1(0) ack 11001 <sack 10001:11001>");
    expect(twice.same((p) => [p.conn.status(p.now).cwnd >= before, p.conn.status(p.now).ssthresh])).toEqual([true, undefined]);
  });
});

describe("RACK and TLP, what they remember [RFC 8985]", () => {
  const sent = (sentAt: number, end: number, transmissions: number): Sent =>
    Object.assign(new Sent(), { start: seq(end - 1_000), end: seq(end), sentAt: Millis(sentAt), transmissions });
  const at = (rack: Rack): [number, number, number] => [rack.sentAt, rack.end as unknown as number, rack.rtt];
  test("a retransmission times nothing when the ACK echoes what came before it, or comes sooner than any ACK could [8985:6.2-2]", () => {
    const rack = new Rack();
    rack.delivered(sent(100, 2_000, 1), Millis(150), 50, -1);
    expect(at(rack)).toEqual([100, 2_000, 50]);
    // Sent again at 200; the ACK echoes 199: it was for the original.
    rack.delivered(sent(200, 3_000, 2), Millis(300), 50, 199);
    expect(at(rack)).toEqual([100, 2_000, 50]);
    // 30 ms after the retransmission, where no round trip takes less than 50.
    rack.delivered(sent(270, 3_000, 2), Millis(300), 50, -1);
    expect(at(rack)).toEqual([100, 2_000, 50]);
    // By its echo, or by its time, it was for the retransmission; a first transmission always counts.
    rack.delivered(sent(200, 3_000, 2), Millis(300), 50, 200);
    expect(at(rack)).toEqual([200, 3_000, 100]);
    rack.delivered(sent(250, 3_500, 2), Millis(300), 50, -1);
    expect(at(rack)).toEqual([250, 3_500, 50]);
    rack.delivered(sent(290, 4_000, 1), Millis(300), 50, 0);
    expect(at(rack)).toEqual([290, 4_000, 10]);
  });
  test("recovery forgets a probe: what is acknowledged after it reduces nothing again [8985:7.1-1]", () => {
    /** Six lost at the tail, and the last sent again as a probe. */
    const probed = (): Peers => {
      const peer = flight();
      expect(sentAfter(peer, "+0 < . 1:1(0) ack 5001")).toEqual([]);
      return peer.each((p) => {
        expect(quietly(p, 0.15).map((s) => s.seq)).toEqual([10_001]);
      });
    };
    const window = (peer: Peers): unknown => peer.same((p) => [p.conn.status(p.now).phase, p.conn.status(p.now).cwnd, p.conn.status(p.now).ssthresh]);
    const more = (peer: Peers, ack: number): void => {
      peer.each((p) => {
        p.send(1_000);
        p.turn();
        p.sent();
      });
      sentAfter(peer, `+0 < . 1:1(0) ack ${ack}`);
    };
    const fast = probed();
    sentAfter(fast, "+0 < . 1:1(0) ack 5001 <sack 10001:11001>");
    expect(phase(fast)).toBe("recovery");
    sentAfter(fast, "+0 < . 1:1(0) ack 11001");
    const ended = window(fast);
    more(fast, 12_001);
    expect(window(fast)).toEqual(ended);
    const slow = probed().each((p) => {
      quietly(p, 0.5);
    });
    expect(phase(slow)).toBe("loss");
    sentAfter(slow, "+0 < . 1:1(0) ack 11001");
    const [, , before] = window(slow) as unknown[];
    more(slow, 12_001);
    expect((window(slow) as unknown[])[2]).toBe(before);
  });
});

describe("RACK's window [RFC 8985 §6.2]", () => {
  /** As much of a connection as the window looks at. */
  const facts = (minRtt: number, srtt: number, phase = "open"): Tcb =>
    ({ recovery: { phase }, board: { sackedOctets: 0 }, options: { dupThresh: 3 }, mss: 1_000, rtt: { minRtt, srtt } }) as unknown as Tcb;
  test("a quarter of the least round trip, one more for each round with a D-SACK, never above SRTT, back after 16 recoveries [8985:3.3.2-3 8985:3.3.2-4 8985:3.3.2-5 8985:4-4 8985:6.2-5]", () => {
    const rack = new Rack(),
      t = facts(100, 130);
    expect(rack.reorderingWindow(t)).toBe(25);
    rack.duplicateReported(seq(0), seq(10_000));
    expect(rack.reorderingWindow(t)).toBe(50);
    // The same round trip counts once.
    rack.duplicateReported(seq(5_000), seq(12_000));
    expect(rack.reorderingWindow(t)).toBe(50);
    for (let i = 1; i < 9; i++) rack.duplicateReported(seq(i * 10_000), seq((i + 1) * 10_000));
    expect(rack.reorderingWindow(t)).toBe(130);
    for (let i = 0; i < 15; i++) rack.recovered();
    expect(rack.reorderingWindow(t)).toBe(130);
    rack.recovered();
    expect(rack.reorderingWindow(t)).toBe(25);
  });
  test("none in recovery while no reordering was seen [8985:3.3.2-1]", () => {
    const rack = new Rack();
    expect([rack.reorderingWindow(facts(100, 130, "recovery")), rack.reorderingWindow(facts(100, 130, "loss"))]).toEqual([0, 0]);
    rack.reorderingSeen = true;
    expect(rack.reorderingWindow(facts(100, 130, "recovery"))).toBe(25);
  });
});

describe("path MTU by ICMP [RFC 1191, RFC 5927]", () => {
  const out = (o: PeerOptions = {}): Peers => opened({ syn: "mss 1460", ...o }).play("+0 send 2920\n+0 > . 1:1461(1460) ack 1\n+0 > P. 1461:2921(1460) ack 1");
  const pmtu = (peer: Peers): number => peer.same((p) => p.conn.status(p.now).pmtu);
  test("a smaller MTU is taken at once; zero is answered by the next plateau; nothing raises it [1191:3-1 1191:3-2 1191:3-3 1191:3-5 1191:5-1 1191:6.3-2 7323:5.7-1 9293:3.7.2-a]", () => {
    const peer = out()
      .batch("+0 < icmp 3/4 1 mtu 1000")
      .each((p) => {
        expect(p.sent().map((s) => [s.seq, s.length])[0]).toEqual([1, 960]);
      });
    expect(pmtu(peer)).toBe(1_000);
    peer.batch("+0 < icmp 3/4 1 mtu 1400").each((p) => {
      p.sent();
    });
    expect(pmtu(peer)).toBe(1_000);
    const old = out()
      .batch("+0 < icmp 3/4 1 mtu 0")
      .each((p) => {
        p.sent();
      });
    expect(pmtu(old)).toBe(1_492);
    old.batch("+0 < icmp 3/4 1 mtu 0").each((p) => {
      p.sent();
    });
    expect(pmtu(old)).toBe(1_006);
  });
  test("never below the floor, and only for what is outstanding [1191:3-6 5927:4.1-1]", () => {
    const peer = out()
      .batch("+0 < icmp 3/4 1 mtu 68")
      .each((p) => {
        p.sent();
      });
    expect(pmtu(peer)).toBe(552);
    const forged = out()
      .batch("+0 < icmp 3/4 5000 mtu 600\n+0 < icmp 3/4 -9 mtu 600")
      .each((p) => {
        expect(p.sent()).toEqual([]);
      });
    expect(pmtu(forged)).toBe(1_500);
  });
  test("switched off it is not heard; no segment is larger than peer and link allow, and our MSS is the link's [1191:3.1-1 1191:3.1-2 1191:3.1-3 6691:2-3 6691:5.2-1 6691:A-1 9293:MUST-15]", () => {
    const peer = out({ options: { pmtuDiscovery: false } })
      .batch("+0 < icmp 3/4 1 mtu 1000")
      .each((p) => {
        expect(p.sent()).toEqual([]);
      });
    expect(pmtu(peer)).toBe(1_500);
    tcp({ options: plain, syn: "sackOK" }).established().play("+0 send 600\n+0 > . 1:537(536) ack 1\n+0 > P. 537:601(64) ack 1");
  });
  test("source quench is dropped [6633:3-3]", () => {
    const peer = out()
      .batch("+0 < icmp 4/0 1")
      .each((p) => {
        expect(p.sent()).toEqual([]);
      });
    expect(peer.dropped).toEqual(["6633"]);
    expect(peer.heard).toEqual(["established"]);
  });
});
