/** F-RTO (RFC 5682): whether a retransmission timeout was for nothing, where no timestamps tell it. */
import { describe, expect, test } from "vitest";
import { type Peer, type PeerOptions, type Peers, tcp } from "../support/peer.js";
import { quietly } from "../support/quietly.js";

const plain = {
  receiveBuffer: 60_000,
  invalidAckInterval: 0,
  quickAcks: 0,
  windowScaling: false,
  congestion: "reno",
  tailLossProbe: false,
  timestamps: false,
} as const;
const BASIC = "mss 1000",
  WITH_SACK = "mss 1000,sackOK";
/** Ten segments are out, from 1001 to 11001; so much more is queued, and the timeout has sent the first again. */
function timedOut(syn: string, o: PeerOptions["options"] = {}, queued = 20_000): Peers {
  return tcp({ syn, options: { ...plain, ...o } })
    .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+.05 < . 1:1(0) ack 1")
    .each((p) => {
      p.send(1_000);
      p.turn();
      p.sent();
      p.pass(p.now + 50);
      p.batch("+0 < . 1:1(0) ack 1001");
      p.send(10_000 + queued);
      p.turn();
      expect(p.sent()).toHaveLength(10);
      expect(quietly(p, 0.3).map((s) => s.seq)).toEqual([1_001]);
      expect(facts(p)).toEqual(["loss", 1_000, 5_000, 1]);
    });
}
const facts = (p: Peer): unknown[] => {
  const s = p.conn.status(p.now);
  return [s.phase, s.cwnd, s.ssthresh, s.backoff];
};
/** What goes out by an ACK. */
const by = (p: Peer, ack: number, ...blocks: string[]): number[] => {
  p.batch(`+0 < . 1:1(0) ack ${ack}${blocks.length > 0 ? ` <sack ${blocks.join(" ")}>` : ""}`);
  return p.sent().map((s) => s.seq);
};
const each = (step: (syn: string) => void): void => {
  for (const syn of [BASIC, WITH_SACK]) step(syn);
};

describe("F-RTO [RFC 5682]", () => {
  test("a delay: two new segments after the first ACK, and by the second all is as it was (§2.1 2b, 3b; §3.1)", () => {
    each((syn) => {
      timedOut(syn).each((p) => {
        expect(by(p, 2_001)).toEqual([11_001, 12_001]);
        expect(facts(p)[0]).toBe("loss");
        const next = by(p, 3_001);
        expect(facts(p)[0]).toBe("open");
        expect(facts(p)[1]).toBeGreaterThanOrEqual(10_000);
        expect(facts(p).slice(2)).toEqual([undefined, 0]);
        // Nothing of the old goes again.
        expect(next.every((s) => s > 12_001)).toBe(true);
        for (let ack = 4_001; ack <= 11_001; ack += 1_000) expect(by(p, ack).every((s) => s > 12_001)).toBe(true);
        expect(p.conn.status(p.now).retransmits).toBe(1);
        expect(p.rules).toContain("5682-3");
      });
    });
  });
  test("all was lost: the new segments bring duplicates, and what is missing goes again in a window of three (§2.1 3a)", () => {
    timedOut(BASIC).each((p) => {
      expect(by(p, 2_001)).toEqual([11_001, 12_001]);
      const again = by(p, 2_001);
      expect(again[0]).toBe(2_001);
      expect(facts(p).slice(0, 3)).toEqual(["loss", 2_000, 5_000]);
    });
    timedOut(WITH_SACK).each((p) => {
      by(p, 2_001);
      expect(by(p, 2_001, "11001:12001")[0]).toBe(2_001);
      expect(facts(p)[0]).toBe("loss");
      expect(facts(p)[1]).toBeLessThanOrEqual(3_000);
    });
  });
  test("the window after that is no more than three segments, however much the first ACK opened it (§2.1 3a, §3.1 3a)", () => {
    timedOut(BASIC).each((p) => {
      expect(by(p, 5_001)).toEqual([11_001, 12_001]);
      expect(facts(p)[1]).toBe(5_000);
      by(p, 5_001);
      expect(facts(p)[1]).toBe(3_000);
    });
  });
  test("a duplicate before the first ACK says nothing of a delay (§2.1 2a); with SACK it is waited for (§3.1 2)", () => {
    timedOut(BASIC).each((p) => {
      expect(by(p, 1_001)).toEqual([2_001]);
      expect(by(p, 2_001)).toEqual([3_001]);
    });
    timedOut(WITH_SACK).each((p) => {
      // The first alone was lost: the block is of an original, the hole is filled, the rest is still on its way.
      expect(by(p, 1_001, "2001:3001")).toEqual([]);
      expect(by(p, 3_001)).toEqual([11_001, 12_001]);
      expect(by(p, 3_001, "4001:5001").every((s) => s > 12_001)).toBe(true);
      expect(facts(p)[0]).toBe("open");
    });
  });
  test("an ACK of all that was out ends it, and so does one when nothing new may go (§2.1 2a)", () => {
    each((syn) => {
      timedOut(syn).each((p) => {
        by(p, 11_001);
        expect([facts(p)[0], facts(p)[2]]).toEqual(["open", 5_000]);
      });
      // Nothing is queued; less than a segment is; the peer has no room for one.
      timedOut(syn, {}, 0).each((p) => expect(by(p, 2_001)).toEqual([2_001, 3_001]));
      timedOut(syn, {}, 999).each((p) => expect(by(p, 2_001)).toEqual([2_001, 3_001]));
      timedOut(syn).each((p) => {
        p.batch("+0 < . 1:1(0) ack 2001 win 9999");
        expect(p.sent().map((s) => s.seq)).toEqual([2_001, 3_001]);
      });
    });
  });
  test("with SACK the ACK of something new beyond what was out is no sign, nor is a duplicate without news (§3.1 3a)", () => {
    timedOut(WITH_SACK).each((p) => {
      by(p, 2_001);
      // An original and a new one in one ACK: the RFC is careful.
      expect(by(p, 3_001, "11001:12001")[0]).toBe(3_001);
      expect(facts(p)[0]).toBe("loss");
    });
    timedOut(WITH_SACK).each((p) => {
      by(p, 2_001);
      by(p, 2_001);
      // The window is full of the two that are new; with room the old goes again, and an original that comes late is no sign.
      expect(by(p, 3_001)).toEqual([3_001]);
      expect(facts(p)[0]).toBe("loss");
    });
  });
  test("with SACK an ACK beyond all that was out at the timeout may be for the new ones: nothing is undone (§3.1 3a)", () => {
    timedOut(WITH_SACK).each((p) => {
      by(p, 2_001);
      by(p, 12_001);
      expect([facts(p)[0], facts(p)[2]]).toEqual(["open", 5_000]);
    });
  });
  test("one new segment is enough; and what the first ACK ended holds nothing back later", () => {
    each((syn) => {
      timedOut(syn, {}, 1_000).each((p) => expect(by(p, 2_001)).toEqual([11_001]));
      timedOut(syn).each((p) => {
        expect(by(p, 11_001)[0]).toBe(11_001);
        p.pass(p.now + 50);
        const again = syn === BASIC ? [1, 2, 3].flatMap(() => by(p, 11_001)) : by(p, 11_001, "12001:15001");
        expect(again).toContain(11_001);
      });
    });
  });
  test("a window update is waited out", () => {
    timedOut(BASIC).each((p) => {
      by(p, 2_001);
      p.batch("+0 < . 1:1(0) ack 2001 win 50000");
      expect(p.sent()).toEqual([]);
      by(p, 3_001);
      expect(facts(p)[0]).toBe("open");
    });
  });
  test("a second timeout is believed, and so is one during recovery (§2.1 1)", () => {
    each((syn) => {
      timedOut(syn).each((p) => {
        expect(by(p, 2_001)).toEqual([11_001, 12_001]);
        // Nothing more comes.
        expect(quietly(p, 0.6).map((s) => s.seq)).toEqual([2_001]);
        expect(by(p, 3_001)).toEqual([3_001, 4_001]);
        expect(facts(p)[0]).toBe("loss");
      });
    });
    const recovering = tcp({ syn: BASIC, options: plain }).established();
    recovering.each((p) => {
      p.send(30_000);
      p.turn();
      p.sent();
      p.pass(p.now + 50);
      for (let i = 0; i < 3; i++) p.batch("+0 < . 1:1(0) ack 1");
      expect(facts(p)[0]).toBe("recovery");
      p.sent();
      quietly(p, 0.4);
      expect(facts(p)[0]).toBe("loss");
      expect(by(p, 1_001)[0]).toBe(1_001);
    });
  });
  test("with timestamps the echo decides, and without undo nothing does", () => {
    const echo = timedOut("mss 1012,TS", { timestamps: true });
    echo.each((p) => expect(by(p, 2_001)).toEqual([2_001, 3_001]));
    timedOut(BASIC, { undo: false }).each((p) => expect(by(p, 2_001)).toEqual([2_001, 3_001]));
  });
});
