import { describe, expect, test } from "vitest";
import { FilterDevice } from "../../src/device/wrapper.js";
import type { Connection } from "../../src/tcp/connection.js";
import type { TcpOptions } from "../../src/tcp/options.js";
import { type Peer, type Peers, tcp } from "../support/peer.js";
import { quietly } from "../support/quietly.js";
import { world } from "../support/world.js";

/** A path that swallows packets above `mtu` and says nothing. */
function throughBlackHole(
  mtu: () => number,
  pmtuProbing: boolean,
): { sent: number[]; received: () => number; conn: Connection; run(ms: number, step?: number): void; w: ReturnType<typeof world> } {
  const sent: number[] = [];
  const w = world({
    a: { options: { pmtuProbing } },
    wrap: (device) =>
      new FilterDevice(device, {
        outgoing(frame, forward) {
          sent.push(frame.bytes.length);
          if (frame.bytes.length <= mtu()) forward(frame);
        },
      }),
  });
  let received = 0;
  const nothing = (): void => {};
  w.b.listen({ port: 80 }, () => ({
    established: nothing,
    readable(c) {
      received += c.readable;
      c.skip(c.readable);
    },
    writable: nothing,
    ended: nothing,
    closed: nothing,
  }));
  const text = new Uint8Array(65_536);
  const conn = w.a.connect(
    { remoteAddress: "10.0.0.2", remotePort: 80 },
    { established: nothing, readable: nothing, writable: nothing, ended: nothing, closed: nothing },
  );
  // The link has no delay, so it is the writer that keeps time.
  const run = (ms: number, step = 250): void => {
    for (const end = w.now + ms; w.now < end; ) {
      conn.send(text);
      w.run(w.now + step);
    }
  };
  return { sent, received: () => received, conn, w, run };
}

describe("packetization layer path MTU discovery [RFC 4821]", () => {
  test("after two timeouts the path is taken for smaller, and text gets through (4821:7.7-1)", () => {
    const p = throughBlackHole(() => 1_300, true);
    p.run(5_000);
    expect(p.received()).toBeGreaterThan(100_000);
    expect(p.conn.status(p.w.now).pmtu).toBeGreaterThanOrEqual(1_024);
  });
  test("without it nothing gets through", () => {
    const p = throughBlackHole(() => 1_300, false);
    p.run(3_000);
    expect(p.received()).toBe(0);
  });
  test("the search ends close below what the path takes, and a lost probe does not shrink the window (4821:7.6.1-1, 4821:7.6.2-1, 4821:7.3-1)", () => {
    const p = throughBlackHole(() => 1_300, true);
    p.run(60_000);
    const s = p.conn.status(p.w.now);
    expect(s.pmtu).toBeGreaterThan(1_300 - 17);
    expect(s.pmtu).toBeLessThanOrEqual(1_300);
    expect(s.timeouts).toBe(2);
    expect(p.w.a.env.counters.fastRetransmits).toBe(0);
    expect(Math.max(...p.sent.slice(p.sent.length - 1_000))).toBeLessThanOrEqual(1_300);
  });
  test("a path below 1,024 is found by halving (4821:7.7-2)", () => {
    const p = throughBlackHole(() => 600, true);
    p.run(60_000);
    expect(p.received()).toBeGreaterThan(100_000);
    expect(p.conn.status(p.w.now).pmtu).toBeLessThanOrEqual(600);
    expect(p.conn.status(p.w.now).pmtu).toBeGreaterThan(600 - 17);
  });
  test("ten minutes later it tries again what may have become possible (4821:7.3-2)", () => {
    let mtu = 1_200;
    const p = throughBlackHole(() => mtu, true);
    p.run(30_000);
    mtu = 1_500;
    p.run(550_000, 10_000);
    expect(p.conn.status(p.w.now).pmtu).toBeLessThanOrEqual(1_200);
    p.run(150_000, 10_000);
    expect(p.conn.status(p.w.now).pmtu).toBeGreaterThan(1_480);
  });
});

describe("the search, packet by packet [RFC 4821]", () => {
  const plain = { receiveBuffer: 60_000, quickAcks: 0, windowScaling: false, timestamps: false, congestion: "reno", tailLossProbe: false } as const;
  const ROUND = 50;
  const on = (o: Partial<TcpOptions> = {}, syn = "mss 1460,sackOK", mtu = 1_500): Peers =>
    tcp({ syn, stack: { mtu }, options: { ...plain, pmtuProbing: true, ...o } }).play(
      `+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+${ROUND / 1_000} < . 1:1(0) ack 1`,
    );
  type Sent = ReturnType<Peer["sent"]>[number];
  const pmtu = (p: Peer): number => p.conn.status(p.now).pmtu;
  const mss = (p: Peer): number => p.conn.status(p.now).mss;
  const edge = (p: Peer): number => p.conn.status(p.now).sndNxt;
  const acknowledge = (p: Peer, to: number, sack = ""): void => p.batch(`+0 < . 1:1(0) ack ${to}${sack === "" ? "" : ` <sack ${sack}>`}`);
  /** What went out is lost until the path is taken for smaller, twice RTO at least; then all is acknowledged. */
  const blackHole = (p: Peer): void => {
    p.send(3_000);
    p.turn();
    quietly(p, 0.8);
    acknowledge(p, edge(p));
    // What goes out again in small pieces now.
    p.sent();
    acknowledge(p, 3_001);
  };
  /** Sends and acknowledges round by round until a packet leaves that is larger than the MSS, or `rounds` are over. */
  const probe = (p: Peer, rounds = 400): { probe: Sent; sent: Sent[] } | undefined => {
    for (let i = 0; i < rounds; i++) {
      p.send(200_000);
      p.turn();
      const sent = p.sent(),
        found = sent.find((s) => s.length > mss(p));
      if (found !== undefined) return { probe: found, sent };
      const end = p.now + ROUND;
      while (p.pass(end)) if (p.now >= end) break;
      acknowledge(p, edge(p));
    }
    return undefined;
  };
  /** Writes so much and waits until all of it is acknowledged. @returns what was sent */
  const piece = (p: Peer, octets: number): Sent[] => {
    const sent: Sent[] = [];
    p.send(octets);
    p.turn();
    while (p.conn.status(p.now).sendQ > 0) {
      sent.push(...p.sent());
      p.pass(p.now + ROUND);
      acknowledge(p, edge(p));
    }
    return sent;
  };
  const searching = (o: Partial<TcpOptions> = {}, syn = "mss 1460,sackOK", mtu = 1_500): Peers => on(o, syn, mtu).each(blackHole);
  const size = (s: Sent | undefined): number => s?.ip.totalLength ?? 0;
  const must = <T>(x: T | undefined): T => {
    if (x === undefined) throw new Error("no probe was sent");
    return x;
  };
  /** The probe alone is lost: all that was sent behind it is selectively acknowledged. */
  const loseProbe = (p: Peer, s: Sent): void => {
    acknowledge(p, s.seq, `${s.seq + s.length}:${edge(p)}`);
  };
  /** A round trip for each packet of the window, at least a retransmission timeout. */
  const headway = (p: Peer): number => {
    const s = p.conn.status(p.now);
    return Math.max(s.rto, ((s.srtt ?? 0) * s.cwnd) / s.mss);
  };
  const over = (s: Sent): number => s.seq + s.length;

  test("it begins at 1,024, or where it is told to; other packets are no larger than that [4821:7.2-2 4821:7.1-1 4821:7.7-1]", () => {
    searching().each((p) => {
      expect([pmtu(p), mss(p)]).toEqual([1_024, 984]);
      const { sent } = must(probe(p));
      for (const s of sent.filter((x) => x.length <= 984)) expect(size(s)).toBeLessThanOrEqual(1_024);
    });
    expect(searching({ basePmtu: 800 }).same(pmtu)).toBe(800);
    // A path that is known to be smaller is where it begins.
    expect(searching({}, "mss 1460,sackOK", 900).same(pmtu)).toBe(900);
  });
  test("a probe lies half way up to what link and peer allow, headers counted; it is text in order, sent once [4821:5.1-1 4821:7.1-2 4821:7.2-1 4821:10.1-1]", () => {
    const first = (syn: string, mtu: number, o: Partial<TcpOptions> = {}): number => searching(o, syn, mtu).same((p) => size(must(probe(p)).probe));
    expect(first("mss 1460,sackOK", 1_500)).toBe((1_024 + 1_500) / 2);
    expect(first("mss 1160,sackOK", 1_500)).toBe((1_024 + 1_200) / 2);
    expect(first("mss 1460,sackOK", 1_300)).toBe((1_024 + 1_300) / 2);
    // With timestamps the text is shorter and the packet is the same.
    expect(first("mss 1460,sackOK,TS", 1_500, { timestamps: true })).toBe((1_024 + 1_500) / 2);
    searching().each((p) => {
      const { probe: s, sent } = must(probe(p));
      const inOrder = sent.map((x) => x.seq);
      expect(inOrder).toEqual([...inOrder].sort((a, b) => a - b));
      expect(sent.filter((x) => x.seq < over(s) && x.seq + x.length > s.seq)).toHaveLength(1);
    });
  });
  test("no more than three segments' worth of text [4821:10.1-1]", () => {
    searching({ basePmtu: 240 }).each((p) => {
      expect(must(probe(p)).probe.length).toBe(600);
      acknowledge(p, edge(p));
      expect(pmtu(p)).toBe(640);
    });
  });
  test("one at a time, not while anything is being repaired, and with enough text and window behind it [4821:7.4-1 4821:7.4-2]", () => {
    searching().each((p) => {
      const { probe: s, sent } = must(probe(p));
      expect(sent.filter((x) => x.length > 984)).toHaveLength(1);
      expect(sent.filter((x) => x.seq > s.seq).length).toBeGreaterThanOrEqual(4);
      // It is still out: what is acknowledged before it brings no second one.
      p.pass(p.now + ROUND);
      acknowledge(p, s.seq);
      expect(p.sent().filter((x) => x.length > 984)).toEqual([]);
    });
    // Too little text behind it.
    searching().each((p) => {
      for (let i = 0; i < 20; i++) for (const x of piece(p, 1_222 + 4 * 984 - 1)) expect(x.length).toBeLessThanOrEqual(984);
      p.send(1_222 + 4 * 984);
      p.turn();
      expect(p.sent().filter((x) => x.length > 984)).toHaveLength(1);
    });
    // Too little of the peer's window.
    searching().each((p) => {
      for (let i = 0; i < 40; i++) {
        p.send(20_000);
        p.turn();
        expect(p.sent().filter((x) => x.length > 984)).toEqual([]);
        p.pass(p.now + ROUND);
        p.batch(`+0 < . 1:1(0) ack ${edge(p)} win ${1_222 + 4 * 984 - 1}`);
      }
    });
    // Nor in recovery: a hole and three segments above it.
    searching().each((p) => {
      for (let i = 0; i < 20; i++) piece(p, 5_000);
      p.send(4_900);
      p.turn();
      const from = must(p.sent()[0]).seq;
      p.send(60_000);
      acknowledge(p, from, `${from + 984}:${from + 4_900}`);
      expect(p.conn.status(p.now).phase).toBe("recovery");
      expect(p.sent().filter((x) => x.length > 984)).toEqual([]);
    });
  });
  test("one that arrives: the path takes it; the window keeps its octets [4821:7.6.1-1 4821:4-6]", () => {
    searching().each((p) => {
      const { probe: s } = must(probe(p));
      p.pass(p.now + ROUND);
      acknowledge(p, s.seq);
      p.sent();
      const before = p.conn.status(p.now).cwnd;
      acknowledge(p, over(s));
      expect([pmtu(p), mss(p)]).toEqual([1_262, 1_222]);
      // What it grows by is what was acknowledged, and no segment counts for more than it did.
      expect(p.conn.status(p.now).cwnd - before).toBeLessThanOrEqual(s.length);
      expect(p.conn.status(p.now).cwnd).toBeGreaterThanOrEqual(before);
      // The next one, half way from there.
      expect(size(must(probe(p)).probe)).toBe(1_381);
    });
  });
  test("a path that shrank: the window counts no more packets than before [4821:4-7]", () => {
    on().each((p) => {
      p.send(14_600);
      p.turn();
      expect(p.sent()).toHaveLength(10);
      quietly(p, 0.8);
      const { cwnd } = p.conn.status(p.now);
      expect([pmtu(p), cwnd]).toEqual([1_024, 984]);
    });
  });
  test("a probe lost alone: nothing is reduced, the search goes on below it, after a round trip for each packet of the window [4821:4-2 4821:4-4 4821:4-5 4821:7.6.2-1 4821:7.6.2-2]", () => {
    searching().each((p) => {
      const { probe: s } = must(probe(p));
      p.pass(p.now + ROUND);
      const before = p.conn.status(p.now);
      loseProbe(p, s);
      const after = p.conn.status(p.now);
      expect([after.phase, after.ssthresh]).toEqual(["disorder", before.ssthresh]);
      expect(after.cwnd).toBeGreaterThanOrEqual(before.cwnd);
      // What was lost, and that alone, goes again, in segments that are known to pass.
      const again = p.sent().filter((x) => x.seq < over(s));
      expect(again.map((x) => x.seq)).toEqual([s.seq, s.seq + 984]);
      expect(pmtu(p)).toBe(1_024);
      const begin = p.now,
        wait = headway(p);
      p.pass(p.now + ROUND);
      acknowledge(p, edge(p));
      const next = must(probe(p)).probe;
      expect(size(next)).toBe((1_024 + 1_261 + 1) >> 1);
      expect(p.now - begin).toBeGreaterThanOrEqual(wait);
      expect(p.now - begin).toBeLessThanOrEqual(wait + 4 * ROUND);
    });
  });
  test("lost with others it says nothing of its size, and is congestion [4821:4-3 4821:7.6.4-1]", () => {
    searching().each((p) => {
      const { probe: s } = must(probe(p));
      p.pass(p.now + ROUND);
      acknowledge(p, s.seq, `${over(s) + 984}:${edge(p)}`);
      expect(p.conn.status(p.now).phase).toBe("recovery");
      expect(p.conn.status(p.now).ssthresh).toBeLessThan(Infinity);
      p.sent();
      p.pass(p.now + ROUND);
      acknowledge(p, edge(p));
      // The same size again.
      expect(size(must(probe(p)).probe)).toBe(1_262);
    });
  });
  test("loss of other packets while none is out is congestion and changes nothing of the search [4821:4-3 4821:7.1-3]", () => {
    searching().each((p) => {
      for (let i = 0; i < 20; i++) piece(p, 5_000);
      p.send(4_900);
      p.turn();
      const from = must(p.sent()[0]).seq;
      p.pass(p.now + ROUND);
      acknowledge(p, from, `${from + 984}:${from + 4_900}`);
      expect(p.conn.status(p.now).phase).toBe("recovery");
      p.sent();
      p.pass(p.now + ROUND);
      acknowledge(p, from + 4_900);
      expect(size(must(probe(p)).probe)).toBe(1_262);
    });
  });
  test("lost by a timeout: five times as long until the next, of the same size [4821:7.6.3-1]", () => {
    searching().each((p) => {
      const { probe: s } = must(probe(p));
      const { rto } = p.conn.status(p.now),
        wait = 5 * headway(p),
        begin = p.now;
      quietly(p, (1.1 * rto) / 1_000);
      expect(p.conn.status(p.now).phase).toBe("loss");
      acknowledge(p, edge(p));
      const next = must(probe(p));
      expect(size(next.probe)).toBe(size(s));
      expect(p.now - begin).toBeGreaterThanOrEqual(wait);
      expect(p.now - begin).toBeLessThanOrEqual(wait + rto + 4 * ROUND);
    });
  });
  /** A packet of the usual size, and a probe behind it. */
  const behindAnother = (p: Peer): { before: Sent; probe: Sent } => {
    // Never as much at once as a probe needs behind it, until there is room for one beside others.
    for (let i = 0; i < 12; i++) {
      for (let k = 0; k < 3; k++) {
        p.send(4_900);
        p.turn();
      }
      while (p.conn.status(p.now).sendQ > 0) {
        p.pass(p.now + ROUND);
        p.sent();
        acknowledge(p, edge(p));
      }
    }
    p.send(mss(p));
    p.turn();
    const before = must(p.sent()[0]);
    p.send(8_600);
    p.turn();
    const s = must(p.sent().find((x) => x.length > mss(p)));
    p.pass(p.now + ROUND);
    return { before, probe: s };
  };
  test("the packet before it lost as well, or alone, is congestion, and says nothing of the size [4821:4-3 4821:7.6.4-1]", () => {
    for (const both of [true, false]) {
      searching().each((p) => {
        const { before, probe: s } = behindAnother(p);
        acknowledge(p, before.seq, `${both ? over(s) : s.seq}:${edge(p)}`);
        expect(p.conn.status(p.now).phase).toBe("recovery");
        p.sent();
        p.pass(p.now + ROUND);
        acknowledge(p, edge(p));
        // Whatever became of the probe, it may have gone again in pieces meanwhile: the same size once more.
        expect(pmtu(p)).toBeLessThan(size(s));
        expect(size(must(probe(p)).probe)).toBe(size(s));
      });
    }
  });
  test("a user timeout to be told waits for the next packet: a probe has just the size that it tries [4821:5.1-1]", () => {
    searching({ userTimeoutOption: true, userTimeout: 30_000 }).each((p) => {
      for (let i = 0; i < 20; i++) piece(p, 5_000);
      p.conn.setUserTimeout(50_000);
      const { probe: s, sent } = must(probe(p));
      expect([size(s), s.seg.userTimeoutMs]).toEqual([1_262, -1]);
      expect(sent.filter((x) => x.seg.userTimeoutMs === 50_000)).toHaveLength(1);
    });
  });
});
