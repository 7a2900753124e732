/** From the first sign of a loss to the end of recovery, ACK by ACK (RFC 6937, RFC 8985 §6.2, RFC 6582, RFC 3522, RFC 3708). */
import { describe, expect, test } from "vitest";
import { type Peer, type PeerOptions, type Peers, tcp } from "../support/peer.js";
import { quietly } from "../support/quietly.js";

const options = {
  receiveBuffer: 60_000,
  invalidAckInterval: 0,
  quickAcks: 0,
  windowScaling: false,
  congestion: "reno",
  timestamps: false,
  tailLossProbe: false,
} as const;
const SACK = "mss 1000,sackOK",
  PLAIN = "mss 1000",
  STAMPED = "mss 1012,TS",
  STAMPED_SACK = "mss 1012,sackOK,TS";
const open = (syn: string, o: PeerOptions["options"] = {}): Peers =>
  tcp({ syn, options: { ...options, timestamps: syn.includes("TS"), ...o } })
    .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+.05 < . 1:1(0) ack 1")
    .each((p) => {
      write(p, 1_000);
      p.pass(p.now + 50);
      by(p, 1_001);
    });
/** Ten segments are out since 50 ms, from 1001 to 11001, and so much more is queued. */
const flight = (syn: string, queued = 0, o: PeerOptions["options"] = {}): Peers =>
  open(syn, o).each((p) => {
    expect(write(p, 10_000 + queued)).toHaveLength(10);
    p.pass(p.now + 50);
  });
const write = (p: Peer, octets: number): number[] => {
  p.send(octets);
  p.turn();
  return p.sent().map((s) => s.seq);
};
/** What goes out by an ACK. `more`: options and what else the line says. */
const by = (p: Peer, ack: number, more = ""): number[] => {
  p.batch(`+0 < . 1:1(0) ack ${ack} ${more}`);
  return p.sent().map((s) => s.seq);
};
const sacked = (p: Peer, ack: number, ...blocks: string[]): number[] => by(p, ack, `<sack ${blocks.join(" ")}>`);
const status = (p: Peer): ReturnType<Peer["conn"]["status"]> => p.conn.status(p.now);
const phase = (p: Peer): string => status(p).phase;
const undone = (p: Peer): number => p.stack.env.counters.spuriousRecoveries;

describe("proportional rate reduction, by what goes out [RFC 6937 §3]", () => {
  /** Twenty segments are out, and as many are queued. */
  const large = (syn: string): Peers =>
    open(syn, { rack: false, limitedTransmit: false, initialWindow: 20 }).each((p) => {
      expect(write(p, 40_000)).toHaveLength(20);
      p.pass(p.now + 50);
    });
  // The first retransmission goes at once. Of the 20 that were out 10 may be for the 20 that arrive: what is delivered,
  // halved, less what went out.
  const first = [0, 0, 1, 0, 0, 1, 0, 1, 0, 1];
  test("with SACK: the first retransmission, then about one segment for two that arrive", () => {
    large(SACK).each((p) => {
      const sent: number[] = [];
      for (let end = 3_001; end <= 12_001; end += 1_000) sent.push(sacked(p, 1_001, `2001:${end}`).length);
      expect(sent).toEqual(first);
      expect([phase(p), status(p).ssthresh]).toEqual(["recovery", 10_000]);
    });
  });
  test("without SACK a duplicate counts as a segment that arrived", () => {
    large(PLAIN).each((p) => {
      const sent: number[] = [];
      for (let i = 0; i < 10; i++) sent.push(by(p, 1_001).length);
      expect(sent).toEqual(first);
      expect(status(p).dupAcksIn).toBe(10);
    });
  });
  test("it ends where the window is halved, with as much out as that", () => {
    flight(SACK, 20_000, { rack: false }).each((p) => {
      // Two of limited transmit; the third segment above is the sign.
      expect(sacked(p, 1_001, "2001:3001")).toEqual([11_001]);
      expect(sacked(p, 1_001, "2001:4001")).toEqual([12_001]);
      expect(sacked(p, 1_001, "2001:5001")).toEqual([1_001]);
      const sent: number[] = [];
      for (let end = 6_001; end <= 13_001; end += 1_000) sent.push(sacked(p, 1_001, `2001:${end}`).length);
      // From six in the network on one goes for each that arrives.
      expect(sent).toEqual([0, 0, 0, 1, 1, 1, 1, 1]);
      expect([status(p).ssthresh, status(p).pipe]).toEqual([6_000, 6_000]);
      by(p, status(p).sndNxt);
      expect([phase(p), status(p).cwnd]).toEqual(["open", 6_000]);
    });
  });
  test("after an ECN echo as well: the window shrinks with the ACKs and not at once [RFC 3168 §6.1.2]", () => {
    tcp({ syn: PLAIN, options: { ...options, ecn: "passive" } })
      .play("+0 < SEW 0:0(0)\n+0 > SE. 0:0(0) ack 1 <*>\n+.05 < . 1:1(0) ack 1")
      .each((p) => {
        expect(write(p, 40_000)).toHaveLength(10);
        p.pass(p.now + 50);
        const sent: number[] = [];
        for (let i = 1; i <= 8; i++) {
          p.batch(`+0 < E. 1:1(0) ack ${1 + 1_000 * i}`);
          sent.push(p.sent().length);
        }
        // FlightSize was 9,000 by then, ssthresh is 4,500: one for two.
        expect([phase(p), status(p).ssthresh]).toEqual(["cwr", 4_500]);
        expect(sent).toEqual([1, 0, 0, 1, 0, 1, 0, 1]);
      });
  });
});

describe("the reordering timer [RFC 8985 §6.2 step 5]", () => {
  test("what was sent earlier is due earlier: each at its time, and the first begins recovery", () => {
    open(SACK).each((p) => {
      const begin = p.now;
      for (const at of [0, 5, 10]) {
        p.pass(begin + at);
        expect(write(p, 1_000)).toHaveLength(1);
      }
      p.pass(begin + 60);
      // Sent at 10, arrived within 50: the others have a quarter of a round trip more, 12.5 ms.
      expect(sacked(p, 1_001, "3001:4001")).toEqual([]);
      expect(phase(p)).toBe("disorder");
      const now = p.now,
        sent = quietly(p, 0.03).map((s) => [s.seq, Math.round(now - begin + s.at * 1_000)]);
      expect(sent.map(([seq]) => seq)).toEqual([1_001, 2_001]);
      expect(Math.abs((sent[0]?.[1] ?? 0) - 62.5)).toBeLessThan(2.6);
      expect(Math.abs((sent[1]?.[1] ?? 0) - 67.5)).toBeLessThan(2.6);
      expect([phase(p), status(p).ssthresh]).toEqual(["recovery", 2_000]);
    });
  });
  test("a D-SACK makes it a quarter longer for this connection (§6.2 step 4), for sixteen recoveries", () => {
    /** Milliseconds from the SACK of the second segment to the retransmission of the first. */
    const patience = (p: Peer): number => {
      const from = status(p).sndNxt;
      write(p, 2_000);
      p.pass(p.now + 50);
      sacked(p, from, `${from + 1_000}:${from + 2_000}`);
      const [again] = quietly(p, 0.1);
      by(p, from + 2_000);
      return (again?.at ?? 0) * 1_000;
    };
    open(SACK).each((p) => {
      expect(Math.abs(patience(p) - 12.5)).toBeLessThan(2);
      const una = status(p).sndUna;
      write(p, 1_000);
      p.pass(p.now + 50);
      sacked(p, una, `${una - 1_000}:${una}`);
      by(p, una + 1_000);
      const seen: number[] = [];
      for (let i = 0; i < 18; i++) seen.push(Math.round(patience(p) / 12.5));
      expect(seen).toEqual([...Array<number>(16).fill(2), 1, 1]);
    });
  });
  test("none runs once an undo finds that nothing is out [RFC 3522]", () => {
    open(STAMPED_SACK).each((p) => {
      const begin = p.now;
      for (const at of [0, 5, 10]) {
        p.pass(begin + at);
        write(p, 1_000);
      }
      p.pass(begin + 60);
      sacked(p, 1_001, "3001:4001");
      quietly(p, 0.0035);
      expect([phase(p), status(p).timer?.name]).toEqual(["recovery", "reorder"]);
      // The originals were only late, as the echo says.
      by(p, 4_001, "<TS val _ ecr 100>");
      expect([phase(p), undone(p), status(p).timer]).toEqual(["open", 1, undefined]);
    });
  });
});

describe("samples [RFC 6298 §3, RFC 8985 §6.2]", () => {
  test("of what one ACK covers the oldest makes SRTT, the newest the least round trip", () => {
    open(PLAIN).each((p) => {
      write(p, 1_000);
      p.pass(p.now + 40);
      write(p, 1_000);
      p.pass(p.now + 20);
      const { srtt } = status(p);
      by(p, 3_001);
      expect(status(p).minRtt).toBeCloseTo(20, 0);
      expect(status(p).srtt as number).toBeGreaterThan(srtt as number);
    });
  });
});

describe("without SACK [RFC 6582, RFC 5681]", () => {
  test("a partial ACK takes from the pipe what was counted by duplicates before, but for the hole that it filled", () => {
    flight(PLAIN).each((p) => {
      // The first and the third are lost: eight duplicates.
      for (let i = 0; i < 8; i++) by(p, 1_001);
      // Ten are out and one of them a second time: one of them is left in the network.
      expect(status(p).pipe).toBe(2_000);
      expect(by(p, 3_001)).toEqual([3_001]);
      // It covered the one that was sent again and one of the eight; the third is lost and gone again.
      expect(status(p).pipe).toBe(1_000);
      expect(phase(p)).toBe("recovery");
    });
  });
  test("duplicates beyond what was out are forgotten when recovery ends", () => {
    flight(PLAIN).each((p) => {
      for (let i = 0; i < 14; i++) by(p, 1_001);
      by(p, 11_001);
      expect(phase(p)).toBe("open");
      write(p, 2_000);
      expect(status(p).pipe).toBe(2_000);
    });
  });
  test("of a super-segment only the first segment is taken for lost, and goes again", () => {
    const pair = tcp({ syn: PLAIN, options, offload: true })
      .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+.05 < . 1:1(0) ack 1")
      .each((p) => {
        p.send(10_000);
        p.turn();
        expect(p.sent().map((s) => s.length)).toEqual([10_000]);
        p.pass(p.now + 50);
        for (let i = 0; i < 3; i++) p.batch("+0 < . 1:1(0) ack 1");
        expect(p.sent().map((s) => [s.seq, s.length])).toEqual([[1, 1_000]]);
        // Ten are out, three of them have arrived, and nothing else is taken for lost.
        expect([status(p).pipe, status(p).lost]).toEqual([7_000, 0]);
      });
    pair.each((p) => expect(phase(p)).toBe("recovery"));
  });
});

describe("taking a reduction back [RFC 3522, RFC 3708]", () => {
  /** A timeout that was for good: the first is lost. All is acknowledged after it. */
  const lossAndEnd = (p: Peer): void => {
    write(p, 2_000);
    quietly(p, 0.6);
    expect(phase(p)).toBe("loss");
    by(p, status(p).sndNxt);
    expect([phase(p), undone(p)]).toEqual(["open", 0]);
  };
  /** Until six segments may be out again. */
  const grow = (p: Peer): void => {
    for (let i = 0; i < 30 && status(p).cwnd < 6_000; i++) {
      write(p, 6_000);
      while (status(p).sendQ > 0) by(p, status(p).sndNxt);
    }
  };
  test("one episode knows nothing of the retransmissions of another: by timestamps", () => {
    open(STAMPED).each((p) => {
      lossAndEnd(p);
      const before = Math.round(p.now - p.start);
      write(p, 2_000);
      quietly(p, 1.2);
      expect(phase(p)).toBe("loss");
      by(p, status(p).sndUna + 1_000, `<TS val _ ecr ${before}>`);
      expect([phase(p), undone(p)]).toEqual(["open", 1]);
    });
  });
  test("nor by D-SACK: what the first sent again is not waited for in the second", () => {
    open(SACK).each((p) => {
      lossAndEnd(p);
      grow(p);
      const una = status(p).sndUna;
      expect(write(p, 4_000)).toHaveLength(4);
      p.pass(p.now + 50);
      sacked(p, una, `${una + 1_000}:${una + 4_000}`);
      expect(phase(p)).toBe("recovery");
      sacked(p, una, `${una}:${una + 1_000}`, `${una}:${una + 4_000}`);
      by(p, una + 1_000);
      expect(undone(p)).toBe(1);
    });
  });
  test("before anything has gone again there is nothing that could have come twice", () => {
    flight(SACK).each((p) => {
      sacked(p, 1_001, "2001:5001");
      by(p, 11_001);
      expect(undone(p)).toBe(0);
      expect(write(p, 10_000).length).toBeGreaterThan(4);
      p.pass(p.now + 50);
      // Both come in one wake-up: the second is looked at before anything is sent.
      p.batch("+0 < . 1:1(0) ack 11001 <sack 12001:15001>\n+0 < . 1:1(0) ack 11001 <sack 12001:16001>");
      expect([phase(p), undone(p)]).toEqual(["recovery", 0]);
    });
  });
  test("an episode that is over stays as it ended, and one that was taken back is taken back once", () => {
    flight(SACK).each((p) => {
      sacked(p, 1_001, "2001:5001");
      by(p, 11_001);
      const { cwnd } = status(p);
      write(p, 1_000);
      sacked(p, 11_001, "1001:2001");
      expect([undone(p), status(p).cwnd]).toEqual([0, cwnd]);
    });
    flight(SACK).each((p) => {
      sacked(p, 1_001, "2001:5001");
      by(p, 5_001);
      sacked(p, 5_001, "1001:2001");
      expect(undone(p)).toBe(1);
      by(p, 6_001);
      by(p, 7_001);
      expect(undone(p)).toBe(1);
    });
  });
  test("the back-off ends with it, though nothing was timed", () => {
    flight(SACK).each((p) => {
      quietly(p, 0.3);
      expect([phase(p), status(p).backoff]).toEqual(["loss", 1]);
      // What was sent twice is no sample.
      sacked(p, 2_001, "1001:2001");
      expect([phase(p), status(p).backoff, undone(p)]).toEqual(["open", 0, 1]);
    });
  });
  test("what F-RTO held back goes when it is lost after all", () => {
    flight(SACK, 20_000).each((p) => {
      quietly(p, 0.3);
      expect(by(p, 2_001)).toEqual([11_001, 12_001]);
      sacked(p, 2_001, "1001:2001");
      expect(phase(p)).toBe("open");
      p.pass(p.now + 50);
      expect(sacked(p, 2_001, "3001:7001")).toContain(2_001);
    });
  });
  test("and the duplicates that it was about count for nothing more", () => {
    flight(STAMPED).each((p) => {
      for (let i = 0; i < 4; i++) by(p, 1_001);
      expect(phase(p)).toBe("recovery");
      by(p, 2_001, "<TS val _ ecr 100>");
      expect([phase(p), undone(p)]).toEqual(["open", 1]);
      expect(status(p).pipe).toBe(status(p).inFlight);
    });
  });
});

test("the FIN is no octet of the queue: once it is acknowledged nothing is left to send", () => {
  open(PLAIN).each((p) => {
    p.send(100);
    p.conn.close();
    p.turn();
    p.sent();
    by(p, 1_102);
    expect([p.state, status(p).sendQ]).toEqual(["FIN-WAIT-2", 0]);
  });
});
test("an orphan's probes of a shut window are counted anew when one of them brought something forward", () => {
  open(PLAIN, { orphanRetries: 2 }).each((p) => {
    by(p, 1_001, "win 0");
    write(p, 10);
    p.conn.release();
    p.turn();
    expect(quietly(p, 1).map((s) => s.length)).toEqual([1, 1]);
    by(p, 1_002, "win 0");
    expect(quietly(p, 20).map((s) => `${s.flags}${s.length}`)).toEqual([".1", ".1", "R.0"]);
    expect(p.state).toBe("CLOSED");
  });
});
