/** Tail loss probes, exchange by exchange (RFC 8985 §7): when one goes, what ends it, and what it costs. */
import { describe, expect, test } from "vitest";
import { type Peer, type Peers, tcp } from "../support/peer.js";
import { quietly } from "../support/quietly.js";

const options = {
  receiveBuffer: 60_000,
  invalidAckInterval: 0,
  quickAcks: 0,
  windowScaling: false,
  congestion: "reno",
  timestamps: false,
} as const;
/** Ten segments are out since 50 ms; round trips of 50 ms were seen. `win`: the peer's window in full segments from 1001 on. */
const flight = (win = 60): Peers =>
  tcp({ syn: "mss 1000,sackOK", options })
    .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+.05 < . 1:1(0) ack 1")
    .each((p) => {
      p.send(1_000);
      p.turn();
      p.sent();
      p.pass(p.now + 50);
      p.batch(`+0 < . 1:1(0) ack 1001 win ${win * 1_000}`);
      p.send(10_000);
      p.turn();
      expect(p.sent()).toHaveLength(10);
      p.pass(p.now + 50);
    });
const by = (p: Peer, line: string): number[] => {
  p.batch(`+0 < . 1:1(0) ${line}`);
  return p.sent().map((s) => s.seq);
};
const write = (p: Peer, octets: number): number[] => {
  p.send(octets);
  p.turn();
  return p.sent().map((s) => s.seq);
};
const facts = (p: Peer): unknown[] => {
  const s = p.conn.status(p.now);
  return [s.phase, s.cwnd, s.ssthresh];
};
const probes = (p: Peer): number => p.stack.env.counters.tailLossProbes;
const armed = (p: Peer): string | undefined => p.conn.status(p.now).timer?.name;
/** The last two are lost, and the last has gone again: TLP.end_seq is 11001. */
const probed = (): Peers =>
  flight().each((p) => {
    by(p, "ack 9001");
    expect(quietly(p, 0.15).map((s) => s.seq)).toEqual([10_001]);
    expect(probes(p)).toBe(1);
  });
const reduced = ["open", 2_000, 2_000];

describe("what a probe that was a retransmission tells (§7.4.2)", () => {
  test("an ACK beyond it without a word of a duplicate: a loss was repaired, and that costs half the window, once", () => {
    probed().each((p) => {
      expect(write(p, 2_000)).toEqual([11_001, 12_001]);
      by(p, "ack 12001");
      expect(facts(p)).toEqual(["open", 2_000, 2_000]);
      by(p, "ack 13001");
      // From there it grows as ever.
      for (let i = 0; i < 6; i++) {
        write(p, 3_000);
        by(p, `ack ${p.conn.status(p.now).sndNxt}`);
      }
      expect(facts(p)[1]).toBeGreaterThan(3_000);
    });
  });
  test("a duplicate below it is no news: what comes beyond it still tells of a loss", () => {
    probed().each((p) => {
      write(p, 1_000);
      by(p, "ack 9001");
      by(p, "ack 12001");
      expect(facts(p)).toEqual(reduced);
    });
  });
  test("the same ACK once more, without SACK, says that both arrived: nothing was lost", () => {
    probed().each((p) => {
      by(p, "ack 11001");
      const before = facts(p);
      write(p, 1_000);
      by(p, "ack 11001");
      by(p, "ack 12001");
      expect(facts(p)[2]).toBe(before[2]);
      expect(facts(p)[1]).toBeGreaterThanOrEqual(before[1] as number);
    });
  });
  test("a D-SACK for it says so too, and what comes after costs nothing", () => {
    probed().each((p) => {
      by(p, "ack 11001 <sack 10001:11001>");
      const before = facts(p);
      write(p, 1_000);
      by(p, "ack 12001");
      expect(facts(p)[2]).toBe(before[2]);
    });
  });
  test("in a window that ECN has reduced already it is not reduced again", () => {
    const ecn = tcp({ syn: "mss 1000,sackOK", options: { ...options, ecn: "passive" } })
      .play("+0 < SEW 0:0(0)\n+0 > SE. 0:0(0) ack 1 <*>\n+.05 < . 1:1(0) ack 1")
      .each((p) => {
        p.send(10_000);
        p.turn();
        p.sent();
        p.pass(p.now + 50);
        by(p, "ack 8001");
        expect(quietly(p, 0.15).map((s) => s.seq)).toEqual([9_001]);
        write(p, 2_000);
        p.batch("+0 < E. 1:1(0) ack 11001");
        p.sent();
      });
    ecn.each((p) => {
      expect(facts(p)[0]).toBe("cwr");
      expect(p.rules).not.toContain("8985-7.4");
    });
  });
});

describe("a probe that is new text (§7.3)", () => {
  /** More is queued than the window takes. */
  const full = (): Peers =>
    flight().each((p) => {
      expect(write(p, 8_000)).toEqual([]);
      by(p, "ack 1001 win 60000");
      p.sent();
    });
  test("it goes beyond cwnd; then the RTO waits and no second probe; its ACK costs nothing and lets the next one be", () => {
    full().each((p) => {
      const [first, second] = quietly(p, 0.6);
      expect([first?.seq, second?.seq]).toEqual([11_001, 1_001]);
      // One RTO after the probe.
      expect(((second?.at ?? 0) - (first?.at ?? 0)) * 1_000).toBeGreaterThan(240);
      expect(probes(p)).toBe(1);
    });
    full().each((p) => {
      quietly(p, 0.1);
      expect(probes(p)).toBe(1);
      const before = facts(p);
      by(p, "ack 12001");
      quietly(p, 0.01);
      by(p, `ack ${p.conn.status(p.now).sndNxt}`);
      expect(facts(p)[2]).toBe(before[2]);
      // All is acknowledged; the next tail gets its own.
      write(p, 1_000);
      expect(quietly(p, 0.4).length).toBe(1);
      expect(probes(p)).toBe(2);
    });
  });
});

describe("when it goes [8985:7.2-5]", () => {
  test("two round trips after the last new text, but no later than the RTO would run out", () => {
    tcp({ syn: "mss 1000,sackOK", options })
      .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+.5 < . 1:1(0) ack 1")
      .each((p) => {
        // A steady path of half a second: SRTT is 500 ms, the RTO comes down to 700.
        for (let i = 0; i < 40; i++) {
          write(p, 2_000);
          p.pass(p.now + 500);
          by(p, `ack ${p.conn.status(p.now).sndNxt}`);
        }
        const { srtt, rto } = p.conn.status(p.now);
        expect(rto).toBeLessThan(1.5 * (srtt as number));
        write(p, 2_000);
        const [first] = quietly(p, 2);
        expect(Math.abs((first?.at ?? 0) * 1_000 - rto)).toBeLessThan(2);
        expect(probes(p)).toBe(1);
      });
  });
});

describe("which timer runs (§7.2, §8)", () => {
  test("SACK ends the wait for a probe: what is missing has its own timers", () => {
    flight().each((p) => {
      expect(armed(p)).toBe("tailLossProbe");
      by(p, "ack 1001 <sack 2001:3001>");
      expect(armed(p)).toBe("reorder");
      quietly(p, 0.2);
      expect(probes(p)).toBe(0);
    });
  });
  test("when nothing is out none of them does", () => {
    flight().each((p) => {
      expect(armed(p)).toBe("tailLossProbe");
      by(p, "ack 11001");
      expect(p.conn.status(p.now).timer).toBe(undefined);
    });
    flight().each((p) => {
      by(p, "ack 1001 <sack 2001:3001>");
      by(p, "ack 11001");
      expect(p.conn.status(p.now).timer).toBe(undefined);
    });
  });
  test("a gap that fills before its time leaves no reordering timer behind", () => {
    flight().each((p) => {
      by(p, "ack 1001 <sack 2001:3001>");
      by(p, "ack 3001");
      expect(armed(p)).not.toBe("reorder");
    });
  });
});
