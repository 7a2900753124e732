import { describe, expect, test } from "vitest";
import type { Connection } from "../../src/tcp/connection.js";
import { ACK, ECE, RST, SYN } from "../../src/wire/segment.js";
import { RawPeer, segment } from "../support/raw.js";

const nobody = { established() {}, readable() {}, writable() {}, ended() {}, closed() {} };
const MS = 40;

describe("SYN cookies [RFC 4987 §3.6]", () => {
  const open = (config = {}): { peer: RawPeer; accepted: Connection[] } => {
    const peer = new RawPeer({ limits: { synBacklog: 2 }, ...config });
    const accepted: Connection[] = [];
    peer.stack.listen({ port: 80 }, (c) => {
      accepted.push(c);
      return nobody;
    });
    return { peer, accepted };
  };
  const fill = (peer: RawPeer): void => {
    peer.inject(segment({ ctl: SYN, sourcePort: 1, seq: 5 }), segment({ ctl: SYN, sourcePort: 2, seq: 5 }));
    peer.sent();
  };

  test("a full backlog is answered by a cookie that holds nothing, and its ACK makes the connection with all options [4987:3.7]", () => {
    const { peer, accepted } = open();
    fill(peer);
    peer.inject(segment({ ctl: SYN, seq: 1_000, mss: 1_400, wscale: 9, sackOk: true, ts: [77, 0] }));
    const [synAck] = peer.sent();
    expect(synAck?.seg.ctl).toBe(SYN | ACK);
    expect(synAck?.seg.tsEcr).toBe(77);
    expect(peer.stack.counters.connections).toBe(2);
    expect(peer.stack.counters.cookiesSent).toBe(1);
    peer.now = (peer.now + MS) as typeof peer.now;
    peer.inject(
      segment({ ctl: ACK, seq: 1_001, ack: (synAck?.seg.sequence ?? 0) + 1, ts: [78, synAck?.seg.tsVal ?? 0], text: Buffer.from("hello"), win: 100 }),
    );
    expect(accepted).toHaveLength(1);
    const s = accepted[0]?.status(peer.now);
    expect(s).toMatchObject({ state: "ESTABLISHED", mss: 1_388, sndWscale: 9, sndWnd: 51_200, sack: true, timestamps: true, recvQ: 5 });
  });

  test("without timestamps only the MSS survives", () => {
    const { peer, accepted } = open();
    fill(peer);
    peer.inject(segment({ ctl: SYN, seq: 1_000, mss: 1_250, wscale: 9, sackOk: true }));
    const [synAck] = peer.sent();
    expect(synAck?.seg.windowScale).toBe(-1);
    peer.inject(segment({ ctl: ACK, seq: 1_001, ack: (synAck?.seg.sequence ?? 0) + 1 }));
    expect(accepted[0]?.status(peer.now)).toMatchObject({ mss: 1_220, sndWscale: 0, rcvWscale: 0, sack: false });
  });

  test("ECN rides in the timestamp", () => {
    const { peer, accepted } = open({ options: { ecn: "passive" } });
    fill(peer);
    peer.inject(segment({ ctl: SYN | ECE | 128, seq: 1_000, mss: 1_460, wscale: 7, sackOk: true, ts: [1, 0] }));
    const [synAck] = peer.sent();
    expect(synAck?.seg.ctl).toBe(SYN | ACK | ECE);
    peer.inject(segment({ ctl: ACK, seq: 1_001, ack: (synAck?.seg.sequence ?? 0) + 1, ts: [2, synAck?.seg.tsVal ?? 0] }));
    expect(accepted[0]?.status(peer.now).ecn).toBe(true);
  });

  test("a wrong or an old cookie is refused by RST", () => {
    const { peer, accepted } = open();
    fill(peer);
    peer.inject(segment({ ctl: SYN, seq: 1_000 }));
    const [synAck] = peer.sent();
    const iss = synAck?.seg.sequence ?? 0;
    peer.inject(segment({ ctl: ACK, seq: 1_001, ack: iss + 100 }));
    expect(peer.sent().map((p) => p.seg.ctl)).toEqual([RST]);
    peer.inject(segment({ ctl: ACK, seq: 1_002, ack: iss + 1 }));
    expect(peer.sent().map((p) => p.seg.ctl)).toEqual([RST]);
    peer.pass(200_000);
    peer.sent();
    peer.inject(segment({ ctl: ACK, seq: 1_001, ack: iss + 1 }));
    expect(peer.sent().map((p) => p.seg.ctl)).toEqual([RST]);
    expect(accepted).toHaveLength(0);
  });

  test("off: a SYN above the backlog is dropped; always: no SYN holds anything [4987:4-2]", () => {
    const off = open({ synCookies: "off" }).peer;
    fill(off);
    off.inject(segment({ ctl: SYN, seq: 1_000 }));
    expect(off.sent()).toHaveLength(0);
    const always = open({ synCookies: "always" }).peer;
    always.inject(segment({ ctl: SYN, seq: 1_000 }));
    expect(always.sent()).toHaveLength(1);
    expect(always.stack.counters.connections).toBe(0);
  });

  test("a flood of 20,000 SYNs from as many sources holds the backlog and no more, and is told once a second", () => {
    const { peer } = open({ limits: { synBacklog: 128 } });
    for (let i = 0; i < 20_000; i++) {
      peer.inject(segment({ ctl: SYN, seq: i, from: 0x0b000000 + i, sourcePort: 1_024 + (i % 60_000) }));
      if (i % 1_000 === 999) {
        peer.sent();
        peer.now = (peer.now + 100) as typeof peer.now;
      }
    }
    expect(peer.stack.counters.connections).toBe(128);
    expect(peer.stack.counters.pagesUsed).toBe(0);
    expect(peer.stack.counters.cookiesSent).toBe(20_000 - 128);
    expect(peer.events.filter((e) => e.kind === "flood")).toHaveLength(2);
  });
});
