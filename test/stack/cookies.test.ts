import { describe, expect, test } from "vitest";
import { optionsIn, SynCookies, timestampWith } from "../../src/stack/cookies.js";
import type { Connection } from "../../src/tcp/connection.js";
import type { TcpOptions } from "../../src/tcp/options.js";
import { ACK, ECE, RST, type Segment, SYN } from "../../src/wire/segment.js";
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
    expect(peer.stack.counters).toMatchObject({ cookiesReceived: 1, cookiesFailed: 0 });
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
    expect(peer.stack.counters).toMatchObject({ cookiesSent: 1, cookiesReceived: 0, cookiesFailed: 2 });
    peer.pass(200_000);
    peer.sent();
    peer.inject(segment({ ctl: ACK, seq: 1_001, ack: iss + 1 }));
    expect(peer.sent().map((p) => p.seg.ctl)).toEqual([RST]);
    expect(accepted).toHaveLength(0);
    // None was sent lately: it is not even looked at.
    expect(peer.stack.counters.cookiesFailed).toBe(2);
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

describe("what a cookie holds", () => {
  test("the options come back out of a timestamp, which is less than 64 ms behind the clock and never ahead", () => {
    for (const clock of [0, 63, 64, 12_345, -1, -2_147_483_648, 2_147_483_647])
      for (let windowScale = -1; windowScale <= 14; windowScale++)
        for (const [sack, ecn] of [
          [false, false],
          [true, false],
          [false, true],
          [true, true],
        ] as const) {
          const o = { mss: 1_460, windowScale, sack, ecn },
            ts = timestampWith(clock, o),
            behind = (clock - ts) | 0;
          expect(optionsIn(ts, 1_460)).toEqual(o);
          expect(behind >= 0 && behind < 64, `${clock}: ${behind} ms behind`).toBe(true);
        }
  });
  test("its MSS is the largest of the table that is not above the peer's; 536 stands for less", () => {
    const c = new SynCookies(() => 7, new Uint32Array([1, 2, 3, 4]));
    const back = (mss: number): number => c.check(1, 2, 3, 4, c.make(1, 2, 3, 4, mss, 0), 0);
    expect([100, 536, 1_219, 1_220, 1_399, 1_400, 1_459, 1_460, 8_960].map(back)).toEqual([536, 536, 536, 1_220, 1_380, 1_400, 1_448, 1_460, 1_460]);
  });
  test("it is taken for two periods after its own, by the secret of that time, however long nothing was asked before", () => {
    let drawn = 0;
    const c = new SynCookies(() => ++drawn, new Uint32Array([1, 2, 3, 4]));
    const PERIOD = 64_000,
      late = 1e6 * PERIOD;
    c.make(1, 2, 3, 4, 1_460, 0);
    drawn = 0;
    const iss = c.make(1, 2, 3, 4, 1_460, late);
    // Four secrets are kept; those of a million periods gone by are not made.
    expect(drawn).toBe(16);
    for (const [periods, mss] of [
      [0, 1_460],
      [1, 1_460],
      [2, 1_460],
      [3, 0],
      [256, 0],
    ] as const)
      expect(c.check(1, 2, 3, 4, iss, late + periods * PERIOD)).toBe(mss);
    expect([c.sent, c.received, c.failed]).toEqual([2, 3, 2]);
  });
});

describe("the SYN,ACK of a cookie", () => {
  const answer = (options: Partial<TcpOptions>, mtu = 1_500): Segment => {
    const p = new RawPeer({ synCookies: "always", options, mtu });
    p.stack.listen({ port: 80 }, () => nobody);
    p.inject(segment({ ctl: SYN, seq: 1, mss: 1_460, wscale: 7, sackOk: true, ts: [1, 0] }));
    return p.sent()[0]?.seg as Segment;
  };
  test("tells the buffer as window, and 65,535 where it is more", () => {
    expect(answer({ receiveBuffer: 10_000 }).window).toBe(10_000);
    expect(answer({ receiveBuffer: 100_000 }).window).toBe(65_535);
  });
  test("tells the MSS of the link, or of the option where that is less", () => {
    expect([answer({}).mss, answer({ mss: 1_000 }).mss, answer({ mss: 9_000 }).mss, answer({}, 1_400).mss]).toEqual([1_460, 1_000, 1_460, 1_360]);
  });
});
