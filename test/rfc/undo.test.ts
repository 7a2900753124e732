/** Reductions that turn out to be for nothing (RFC 3522, RFC 3708, RFC 9438 §4.9), and what the user hears of space and drains. */
import { describe, expect, test } from "vitest";
import { quietly } from "../support/quietly.js";
import { type PeerOptions, type Peers, tcp } from "../support/peer.js";

const plain = { receiveBuffer: 60_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false, congestion: "reno", tailLossProbe: false } as const;
/** Ten segments of 988 or 1,000 octets out since 100 ms; handshake and first sample of 50 ms. */
function flight(size: number, o: PeerOptions): Peers {
  return tcp({ ...o, options: { ...plain, ...o.options } })
    .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+.05 < . 1:1(0) ack 1")
    .each((p) => {
      p.send(size);
      p.turn();
      p.sent();
      p.pass(p.now + 50);
      p.batch(`+0 < . 1:1(0) ack ${1 + size}`);
      p.send(10 * size);
      p.turn();
      expect(p.sent()).toHaveLength(10);
    });
}
const facts = (peer: Peers): unknown[] =>
  peer.same((p) => {
    const s = p.conn.status(p.now);
    return [s.phase, s.cwnd, s.ssthresh, s.backoff];
  });

describe("undo", () => {
  test("a timeout whose ACK echoes what was sent before the retransmission is taken back [9438:4.9.1-1]", () => {
    const peer = flight(988, { syn: "mss 1000,TS" });
    const before = facts(peer);
    peer.each((p) => {
      quietly(p, 0.3);
    });
    expect(facts(peer).slice(0, 3)).toEqual(["loss", 988, 4_940]);
    // Sent 100 ms after the first timestamp; the retransmission bears a later one.
    peer.each((p) => {
      p.batch("+0 < . 1:1(0) ack 1977 <TS val _ ecr 100>");
      p.sent();
    });
    expect(facts(peer)[0]).toBe("open");
    expect(facts(peer)[1]).toBeGreaterThanOrEqual(before[1] as number);
    expect(facts(peer).slice(2)).toEqual([undefined, 0]);
  });
  test("one that echoes the retransmission is not", () => {
    const peer = flight(988, { syn: "mss 1000,TS" }).each((p) => {
      quietly(p, 0.3);
      p.batch("+0 < . 1:1(0) ack 1977");
      p.sent();
    });
    expect(facts(peer)[0]).toBe("loss");
  });
  test("nor when it is switched off", () => {
    const peer = flight(988, { syn: "mss 1000,TS", options: { undo: false } }).each((p) => {
      quietly(p, 0.3);
      p.batch("+0 < . 1:1(0) ack 1977 <TS val _ ecr 100>");
      p.sent();
    });
    expect(facts(peer)[0]).toBe("loss");
  });
  test("without timestamps a D-SACK for all that was sent again does it [9438:4.9.2-1]", () => {
    const peer = flight(1_000, { syn: "mss 1000,sackOK", options: { timestamps: false } });
    const before = facts(peer);
    peer.each((p) => {
      p.pass(p.now + 50);
      p.batch("+0 < . 1:1(0) ack 1001 <sack 2001:5001>");
      expect(p.sent().map((s) => s.seq)[0]).toBe(1_001);
    });
    expect(facts(peer)[0]).toBe("recovery");
    peer.each((p) => {
      p.batch("+0 < . 1:1(0) ack 5001");
      p.sent();
      p.batch("+0 < . 1:1(0) ack 5001 <sack 1001:2001>");
      p.sent();
    });
    expect(facts(peer)[0]).toBe("open");
    expect(facts(peer)[1]).toBeGreaterThanOrEqual(before[1] as number);
    expect(facts(peer)[2]).toBe(undefined);
  });
  test("two sent again and one D-SACK are not enough", () => {
    const peer = flight(1_000, { syn: "mss 1000,sackOK", options: { timestamps: false } }).each((p) => {
      p.pass(p.now + 50);
      p.batch("+0 < . 1:1(0) ack 1001 <sack 3001:7001>");
      p.sent();
      p.batch("+0 < . 1:1(0) ack 1001 <sack 3001:10001>");
      p.sent();
    });
    peer.each((p) => {
      p.batch("+0 < . 1:1(0) ack 10001 <sack 1001:2001>");
      p.sent();
    });
    expect(facts(peer)[0]).toBe("recovery");
  });
});

describe("what the user hears of his queue", () => {
  const out = (): Peers => tcp({ syn: "mss 1000", options: { ...plain, sendBuffer: 8_000 } }).established();
  test("`writable` when there is room for a good piece, after a send that took less than it was offered, and once", () => {
    const peer = out().each((p) => {
      expect(p.send(9_000)).toBe(8_000);
      p.turn();
      p.sent();
      p.batch("+0 < . 1:1(0) ack 1001");
    });
    expect(peer.heard).toEqual(["established"]);
    peer.each((p) => {
      p.batch("+0 < . 1:1(0) ack 8001");
    });
    expect(peer.heard).toEqual(["established", "writable"]);
    peer.each((p) => {
      p.send(100);
      p.turn();
      p.sent();
      p.batch("+0 < . 1:1(0) ack 8101");
    });
    expect(peer.heard).toEqual(["established", "writable"]);
  });
  test("nothing where all was taken; `drained` once, when asked for, at the last ACK", () => {
    const peer = out().each((p) => {
      p.conn.wantsDrain();
      p.send(3_000);
      p.turn();
      p.sent();
      p.batch("+0 < . 1:1(0) ack 2001");
    });
    expect(peer.heard).toEqual(["established"]);
    peer.each((p) => {
      p.batch("+0 < . 1:1(0) ack 3001");
      p.send(10);
      p.turn();
      p.sent();
      p.batch("+0 < . 1:1(0) ack 3011");
    });
    expect(peer.heard).toEqual(["established", "drained"]);
  });
});
