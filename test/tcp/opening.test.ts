/** RFC 9293 §3.5, §3.7.1, §3.10.1, §3.10.7.2, §3.10.7.3: what a connection is when it begins. */
import { describe, expect, test } from "vitest";
import { ACK, SYN } from "../../src/wire/segment.js";
import { active, idle, type Peer, type PeerOptions, tcp } from "../support/peer.js";
import { parse } from "../support/script.js";
import { type Fields, RawPeer, segment } from "../support/raw.js";

const plain = { receiveBuffer: 10_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false };
/** Far from zero on both sides of the circle, so that a number that nobody set shows. */
const FAR = [2 ** 30, 2 ** 32 - 2 ** 30];
const encoded = (p: Peer, line: string): Uint8Array => {
  const [l] = parse(`+0 < ${line}`);
  if (l?.is !== "in") throw new Error("no segment");
  return p.encode(l.packet);
};

describe("active OPEN", () => {
  test("nothing can have been acknowledged before the SYN went out", () => {
    idle({ options: plain, isns: FAR }, true).each((p) => {
      p.call("connect", []);
      p.inject(encoded(p, "S. 0:0(0) ack 1"));
      p.play("+0 > R 1:1(0) <*>\n+0 > S 0:0(0) <*>\n= SYN-SENT");
    });
  });
  test("the window that the SYN told begins at the peer's initial sequence number", () => {
    const peer = active({ options: plain, isns: FAR }).play("+0 > S 0:0(0) win 10000 <*>\n+0 < S. 0:0(0) ack 1\n+0 > . 1:1(0) ack 1 win 10000\n= ESTABLISHED");
    expect(peer.same((p) => p.conn.status(p.now).rcvWnd)).toBe(10_000);
  });
  test("the SYN that is sent again counts as a retransmission without text", () => {
    const peer = active({ options: plain }).play("+0 > S 0:0(0) <*>\n+1 > S 0:0(0) <*>\n+.1 < S. 0:0(0) ack 1\n+0 > . 1:1(0) ack 1");
    peer.each((p) => expect(p.conn.status(p.now)).toMatchObject({ retransmits: 1, bytesRetransmitted: 0, timeouts: 1 }));
  });
  test("ECN is on when the SYN asked and the SYN,ACK agrees [RFC 3168 §6.1.1]", () => {
    const open = (ecn: "on" | "passive", flags: string, sent: string) =>
      active({ options: { ...plain, ecn } })
        .play(`+0 > ${sent} 0:0(0) <*>\n+0 < ${flags} 0:0(0) ack 1\n+0 > . 1:1(0) ack 1`)
        .same((p) => p.conn.status(p.now).ecn);
    expect(open("on", "S.E", "SEW")).toBe(true);
    expect(open("on", "S.EW", "SEW")).toBe(false);
    expect(open("on", "S.", "SEW")).toBe(false);
    expect(open("passive", "S.E", "S")).toBe(false);
  });
});

describe("passive OPEN", () => {
  test("the window of the SYN,ACK may be capped", () => {
    tcp({ options: { ...plain, initialReceiveWindow: 1_000 } }).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 win 1000 <*>");
  });
  test("and grows from there where it is to grow [Linux, tcp_grow_window]", () => {
    tcp({ options: { ...plain, growWindow: true, initialReceiveWindow: 2_000, delayedAck: 0 }, syn: "mss 1000" }).play(`
      +0 < S 0:0(0)
      +0 > S. 0:0(0) ack 1 win 2000 <*>
      +0 < . 1:1(0) ack 1
      +0 < P. 1:101(100) ack 1
      +0 > . 1:1(0) ack 101 win 1900
      +0 < P. 101:1101(1000) ack 1
      +0 > . 1:1(0) ack 1101 win 4920
    `);
  });
  test("text that comes with the last ACK of the handshake sets TS.Recent: the SYN,ACK acknowledged all before it [7323:4.3-4]", () => {
    tcp({ options: plain, syn: "mss 1460,TS", isns: FAR }).play(`
      +0 < S 0:0(0) <TS val 100>
      +0 > S. 0:0(0) ack 1 <mss 1460,TS val 0 ecr 100>
      +0 < P. 1:11(10) ack 1 <TS val 200>
      +.04 > . 1:1(0) ack 11 <TS val _ ecr 200>
    `);
  });
  test("and so does text that comes before the SYN,ACK of an active open was acknowledged", () => {
    active({ options: plain, syn: "mss 1460,TS", isns: FAR })
      .play("+0 > S 0:0(0) <*>")
      .batch("+0 < S. 0:0(0) ack 1 <TS val 100>\n+0 < P. 1:11(10) ack 1 <TS val 200>")
      .play("+0 > . 1:1(0) ack 11 <TS val _ ecr 200>");
  });
  test("without window scaling on the peer's side our windows are not scaled either [7323:2.2-2]", () => {
    tcp({ options: { quickAcks: 0 } })
      .established()
      .play("+0 < P. 1:11(10) ack 1\n+0 > . 1:1(0) ack 11 win 65535");
    active({ options: { quickAcks: 0 }, syn: "mss 1460,wscale 0" })
      .established()
      .play("+0 < P. 1:11(10) ack 1\n+.04 > . 1:1(0) ack 11 win 32768");
  });
  test("and the SYN,ACK does not offer what the SYN did not [7323:2.2-3]", () => {
    tcp({ options: { sack: true } }).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <mss 1460>");
    tcp({ syn: "mss 1460,wscale 2" }).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <mss 1460,wscale 7>");
  });
  test("the first transition begins when the connection does", () => {
    const seen: number[] = [];
    tcp({
      options: plain,
      isns: [2 ** 30],
      stack: {
        observer: {
          wants: (kind) => kind === "transition",
          event: (e) => {
            if (e.kind === "transition") seen.push(e.ms);
          },
        },
      },
    }).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+.2 < . 1:1(0) ack 1\n+1 close\n+0 > F. 1:1(0) ack 1");
    expect(seen.map((ms) => Math.round(ms))).toEqual([0, 200, 1_000]);
  });
});

describe("the MSS [9293:MUST-14 9293:MUST-16]", () => {
  test("is the least of what we want, the path and the peer", () => {
    const sizes = (o: PeerOptions) => {
      const p = tcp({ ...o, options: { ...plain, noDelay: true, ...o.options }, isns: [0] }).established().first;
      p.send(1_400);
      p.turn();
      return p.sent()[0]?.length;
    };
    expect(sizes({ options: { mss: 500 } })).toBe(500);
    expect(sizes({ syn: "mss 600" })).toBe(600);
    expect(sizes({ stack: { mtu: 740 } })).toBe(700);
    expect(sizes({ options: { mss: 500 }, stack: { mtu: 440 } })).toBe(400);
  });
  test("we announce what we want", () => {
    tcp({ options: { ...plain, mss: 500 } }).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <mss 500>");
    tcp({ options: { ...plain, mss: 500 }, stack: { mtu: 440 } }).play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <mss 400>");
  });
  test("eight octets of text always fit, beside timestamps too", () => {
    tcp({ options: { ...plain, mss: 10 }, syn: "mss 1460,TS" })
      .established()
      .play("+0 send 8\n+0 > P. 1:9(8) ack 1");
    tcp({ options: { ...plain, mss: 4 } })
      .established()
      .play("+0 send 8\n+0 > P. 1:9(8) ack 1");
  });
});

describe("from a cookie [RFC 4987 §3.6]", () => {
  const open = (tsVal: number | undefined, more: Partial<Fields> = {}): { peer: RawPeer; iss: number } => {
    const peer = new RawPeer({ synCookies: "always" });
    peer.stack.listen({ port: 80 }, () => ({ established() {}, readable() {}, writable() {}, ended() {}, closed() {} }));
    peer.inject(segment({ ctl: SYN, seq: 2 ** 30, mss: 1_460, ...more, ...(tsVal === undefined ? {} : { ts: [tsVal, 0] as const }) }));
    const [synAck] = peer.sent();
    expect(synAck?.seg.ctl).toBe(SYN | ACK);
    const iss = synAck?.seg.sequence as number;
    peer.inject(
      segment({ ctl: ACK, seq: 2 ** 30 + 1, ack: iss + 1, win: 500, ...(tsVal === undefined ? {} : { ts: [tsVal + 1, synAck?.seg.tsVal ?? 0] as const }) }),
    );
    return { peer, iss };
  };
  const status = (peer: RawPeer) => [...peer.stack.connections()][0]?.status(peer.now);

  test("both ends' numbers are known as after a SYN, and nothing is timed by the SYN,ACK that nobody remembers", () => {
    const { peer, iss } = open(undefined);
    expect(status(peer)).toMatchObject({
      state: "ESTABLISHED",
      irs: 2 ** 30,
      rcvNxt: 1,
      iss: iss >>> 0,
      sndUna: 1,
      sndNxt: 1,
      sndWnd: 500,
      srtt: undefined,
      minRtt: undefined,
    });
  });
  test("windows are scaled both ways where the timestamp remembers it", () => {
    const { peer } = open(5, { wscale: 3 });
    expect(status(peer)).toMatchObject({ sndWscale: 3, rcvWscale: 7, sndWnd: 4_000 });
  });
  test("any timestamp is taken, and followed by that of the next text", () => {
    const { peer, iss } = open(2 ** 31 + 5);
    expect(status(peer)).toMatchObject({ state: "ESTABLISHED", timestamps: true });
    peer.inject(segment({ ctl: ACK, seq: 2 ** 30 + 1, ack: iss + 1, ts: [2 ** 31 + 50, 0], text: Buffer.from("hello") }));
    const [ack] = peer.sent();
    expect(ack?.seg.acknowledgment).toBe(2 ** 30 + 6);
    expect((ack?.seg.tsEcr as number) >>> 0).toBe(2 ** 31 + 50);
  });
});

describe("options of the stack are those of its connections", () => {
  test("noDelay", () => {
    tcp({ options: { ...plain, noDelay: true } })
      .established()
      .play("+0 send 5\n+0 > P. 1:6(5) ack 1\n+0 send 5\n+0 > P. 6:11(5) ack 1");
    tcp({ options: plain }).established().play("+0 send 5\n+0 > P. 1:6(5) ack 1\n+0 send 5");
  });
  test("congestion", () => {
    for (const congestion of ["reno", "cubic"] as const)
      expect(
        tcp({ options: { ...plain, congestion } })
          .established()
          .same((p) => p.conn.status(p.now).congestion),
      ).toBe(congestion);
  });
  test("each connection has a number of its own, from 1", () => {
    const peer = idle({ options: plain, isns: [0] }, true).first;
    expect([1, 2, 3].map((port) => peer.stack.connect({ remoteAddress: "10.0.0.1", remotePort: port }, peer).id)).toEqual([1, 2, 3]);
  });
});
