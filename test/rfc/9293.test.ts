/** RFC 9293 Appendix B and the prose rules that the state matrix and the packet scripts leave open. */
import { describe, expect, test } from "vitest";
import { initialSequence } from "../../src/tcp/isn.js";
import { DEFAULTS, OPTIONS } from "../../src/tcp/options.js";
import { add, geq, gt, inWindow, leq, lt, max, min, seq, toWire } from "../../src/tcp/seq.js";
import { writeInt32, writeUint16 } from "../../src/wire/ipv4.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { active, idle, type Peer, type Peers, reseal, tcp } from "../support/peer.js";
import { parse } from "../support/script.js";
import { quietly } from "../support/quietly.js";

const plain = { receiveBuffer: 10_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false };
const encoded = (p: Peer, line: string): Uint8Array => {
  const [l] = parse(`+0 < ${line}`);
  if (l?.is !== "in") throw new Error("no segment");
  return p.encode(l.packet);
};

describe("3.1 header", () => {
  test("the window field is unsigned, and scaled windows are kept whole [9293:MUST-1 9293:REC-1]", () => {
    const peer = tcp({ syn: "mss 1460,wscale 14" }).established();
    peer.play("+0 < . 1:1(0) ack 1 win 40000");
    expect(peer.same((p) => p.conn.status(p.now).sndWnd)).toBe(40_000 * 16_384);
    tcp({ win: 0x8000 }).established().play("+0 send 100\n+0 > P. 1:101(100) ack 1");
  });
  test("the checksum covers pseudo-header, header and text, odd lengths padded; a wrong one leaves no trace [9293:MUST-2 9293:MUST-3 9293:3.1-b 1122:3.2.1.2]", () => {
    tcp({ options: plain })
      .established()
      .each((p) => {
        // The reader of what leaves verifies it (RawPeer, parseTcp); here it is taken apart by hand.
        p.send(7);
        p.turn();
        const [sent] = p.sent();
        const b = sent?.bytes as Uint8Array,
          length = b.length - 20;
        let sum = 6 + length;
        for (let i = 12; i < 20; i += 2) sum += ((b[i] as number) << 8) | (b[i + 1] as number);
        for (let i = 20; i < b.length; i += 2) sum += ((b[i] as number) << 8) | (b[i + 1] ?? 0);
        while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
        expect(sum).toBe(0xffff);
        for (const at of [13, 19, 21, 25, 33, 41, 42]) {
          const wrong = encoded(p, "P. 1:4(3) ack 1").slice();
          wrong[at] = (wrong[at] as number) ^ 1;
          if (at < 20) {
            wrong[10] = 0;
            wrong[11] = 0;
            writeUint16(wrong, 10, ~plainMemory(wrong).sum(0, 20));
          }
          p.inject(wrong);
        }
        p.pass(p.now + 100);
        expect(p.sent()).toEqual([]);
        expect(p.taken).toBe(0);
        expect(p.conn.status(p.now).segmentsIn).toBe(2);
      });
  });
  test("a data offset below 5 or past the end is thrown away [9293:3.1-d]", () => {
    tcp({ options: plain })
      .established()
      .each((p) => {
        for (const words of [0, 4, 6, 15]) {
          const b = encoded(p, "P. 1:4(3) ack 1").slice();
          b[32] = words << 4;
          p.inject(reseal(b));
        }
        expect(p.sent()).toEqual([]);
        expect(p.stack.env.ruleHits["9293-3.1-data-offset"]).toBe(4);
        expect(p.taken).toBe(0);
      });
  });
  test("reserved bits that arrive mean nothing; ours are zero [9293:3.1-a]", () => {
    tcp({ options: plain })
      .established()
      .each((p) => {
        const b = encoded(p, "P. 1:4(3) ack 1").slice();
        b[32] = (b[32] as number) | 0x0f;
        p.inject(reseal(b));
        expect(p.taken).toBe(3);
        // What leaves is looked at by the peer for every segment of every test.
        p.play("+.04 > . 1:1(0) ack 4");
      });
  });
  test("once established every segment has ACK and the current number [9293:3.1-f]", () => {
    const peer = tcp({ options: plain }).established().play("+0 < P. 1:11(10) ack 1\n+0 send 5\n+0 > P. 1:6(5) ack 11");
    peer.each((p) => {
      for (const s of quietly(p, 3)) expect(s.flags).toContain(".");
    });
  });
  test.each([
    ["length 0", "0200"],
    ["length 1", "0201"],
    ["past the end", "0208"],
    ["a kind without its length", "0101011e"],
    ["length 0 of an unknown kind", "fe00"],
    ["past the end, unknown", "fe09"],
  ])("an illegal option (%s) is survived: the segment is dropped and counted [9293:MUST-7]", (_, raw) => {
    const peer = tcp({ options: plain }).established().play(`+0 < P. 1:11(10) ack 1 <raw ${raw}>`);
    expect(peer.taken).toBe(0);
    expect(peer.same((p) => p.stack.env.ruleHits["9293-MUST-7"])).toBe(1);
    peer.play("+0 < P. 1:11(10) ack 1\n+.04 > . 1:1(0) ack 11");
  });
  test("unknown options are skipped by their length, known ones of a wrong length are not read [9293:MUST-6 9293:MUST-68 9293:MUST-5]", () => {
    const peer = tcp({ options: plain })
      .established()
      .play(
        "+0 < P. 1:11(10) ack 1 <raw fe06aabbccdd>\n+.04 > . 1:1(0) ack 11\n+0 < P. 11:21(10) ack 1 <raw 0203050a>\n+.04 > . 1:1(0) ack 21".replace(
          "0203050a",
          "020305",
        ),
      );
    expect(peer.taken).toBe(20);
    for (const syn of ["0205010203", "02030a", "030407", "0403aa0101", "0806010203040101"]) {
      const odd = tcp({ options: plain, syn: `raw ${syn}` }).established();
      expect(
        odd.same((p) => {
          const st = p.conn.status(p.now);
          return [st.mss, st.sndWscale, st.sack, st.timestamps];
        }),
      ).toEqual([536, 0, false, false]);
    }
  });
  test("options that begin anywhere are read, after EOL none is [9293:MUST-64 9293:MUST-4 9293:3.2-a]", () => {
    const peer = tcp({ options: { ...plain, windowScaling: true }, syn: "raw 0103030502040400" }).established();
    expect(peer.same((p) => [p.conn.status(p.now).mss, p.conn.status(p.now).sndWscale])).toEqual([1_024, 5]);
    const end = tcp({ options: plain, syn: "raw 0002040400" }).established();
    expect(end.same((p) => p.conn.status(p.now).mss)).toBe(536);
  });
  test("options of a SYN mean nothing in other segments [9293:MUST-65 7323:2.2-4]", () => {
    const peer = tcp({ options: plain }).established().play("+0 < . 1:1(0) ack 1 win 100 <raw 0204020003030701>");
    expect(
      peer.same((p) => {
        const st = p.conn.status(p.now);
        return [st.mss, st.sndWscale, st.sndWnd];
      }),
    ).toEqual([1_460, 0, 100]);
  });
});

describe("3.4 sequence numbers", () => {
  test("comparison is modulo 2^32 [9293:3.4-a]", () => {
    for (const base of [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
      const a = seq(base),
        b = add(a, 5);
      expect([lt(a, b), lt(b, a), lt(a, a), leq(a, a), leq(b, a), gt(b, a), gt(a, a), geq(a, a), geq(a, b)]).toEqual([
        true,
        false,
        false,
        true,
        false,
        true,
        false,
        true,
        false,
      ]);
      expect([max(a, b), max(b, a), min(a, b), min(b, a)]).toEqual([b, b, a, a]);
      expect([inWindow(a, a, 5), inWindow(b, a, 5), inWindow(add(a, 4), a, 5), inWindow(add(a, -1), a, 5), inWindow(a, a, 0)]).toEqual([
        true,
        false,
        true,
        false,
        false,
      ]);
      expect(toWire(b)).toBe((base + 5) % 2 ** 32);
    }
  });
  test("SEG.LEN counts SYN and FIN [9293:3.4-b]", () => {
    idle().play("+0 < S 5:15(10)\n+0 > R. Z:Z(0) ack 16\n+0 < SF 5:15(10)\n+0 > R. Z:Z(0) ack 17\n+0 < F 5:5(0)\n+0 > R. Z:Z(0) ack 6");
    // The FIN comes after the text.
    tcp({ options: plain }).established().play("+0 < F. 1:101(100) ack 1\n+0 > . 1:1(0) ack 102");
  });
  test("acceptability of segments without text, window open and shut (Table 6) [9293:3.4-c 9293:3.4-d 9293:3.4-e 9293:3.4-f]", () => {
    const ack = "+0 > . 1:1(0) ack 1";
    tcp({ options: plain })
      .established()
      .play(`+0 < . 1:1(0) ack 1\n+0 < . 10000:10000(0) ack 1\n+0 < . 10001:10001(0) ack 1\n${ack}\n+0 < . 0:0(0) ack 1\n${ack}`);
    const shut = tcp({ options: { ...plain, receiveBuffer: 1_000 }, reads: false })
      .established()
      .play("+0 < P. 1:1001(1000) ack 1\n+.04 > . 1:1(0) ack 1001 win 0");
    shut.play(
      "+0 < . 1001:1001(0) ack 1\n+0 < . 1002:1002(0) ack 1\n+0 > . 1:1(0) ack 1001 win 0\n+0 < . 1000:1000(0) ack 1\n+0 > . 1:1(0) ack 1001 win 0\n+0 < . 1001:1002(1) ack 1\n+0 > . 1:1(0) ack 1001 win 0",
    );
    // The last octet within is enough, the first as well.
    const open = tcp({ options: { ...plain, receiveBuffer: 1_000 } })
      .established()
      .play("+0 < . 1:101(100) ack 1\n+.04 > . 1:1(0) ack 101\n+0 < . 51:102(51) ack 1\n+.04 > . 1:1(0) ack 102");
    expect(open.taken).toBe(101);
  });
  test("what is acknowledged whole leaves the retransmission queue, the rest stays [9293:3.4-g 6298:5.2 6298:5.3]", () => {
    tcp({ options: plain })
      .established()
      .play(`
      +0 send 2920
      +0 > . 1:1461(1460) ack 1
      +0 > P. 1461:2921(1460) ack 1
      +.1 < . 1:1(0) ack 1461
      +.2125 > P. 1461:2921(1460) ack 1
      +.1 < . 1:1(0) ack 2921
      +100
    `);
  });
});

describe("3.4.1 initial sequence numbers", () => {
  const key = new Uint32Array([1, 2, 3, 4]);
  const isn = (k: Uint32Array, local: number, remote: number, ports: number, now: number): number => toWire(initialSequence(k, local, remote, ports, now));
  test("the clock steps once per 4 microseconds [9293:MUST-8 6528:3-1]", () => {
    const at = (ms: number): number => (isn(key, 1, 2, 3, ms) - isn(key, 1, 2, 3, 0)) >>> 0;
    expect([at(0.004), at(1), at(1_000), at(17_179_869.184)]).toEqual([1, 250, 250_000, 0]);
  });
  test("F depends on both addresses, both ports and the secret, all of it [9293:MUST-9 9293:SHLD-1 6528:3-2 6528:3-3]", () => {
    const of = new Set([isn(key, 1, 2, 3, 0), isn(key, 2, 2, 3, 0), isn(key, 1, 3, 3, 0), isn(key, 1, 2, 4, 0), isn(key, 1, 2, 3 << 16, 0)]);
    for (let i = 0; i < 4; i++)
      of.add(
        isn(
          key.map((w, k) => (k === i ? w + 1 : w)),
          1,
          2,
          3,
          0,
        ),
      );
    expect(of.size).toBe(9);
    // Every output bit moves for about half of all inputs.
    const flips = new Array<number>(32).fill(0);
    for (let n = 0; n < 2_000; n++)
      for (let b = 0, x = isn(key, n, 2, 3, 0) ^ isn(key, n + 1, 2, 3, 0); b < 32; b++) flips[b] = (flips[b] as number) + ((x >>> b) & 1);
    for (const f of flips) expect(Math.abs(f - 1_000)).toBeLessThan(150);
  });
});

describe("3.5 opening, 3.9.1 the user's calls", () => {
  test("LISTEN on a port while connections with that local port open actively [9293:MUST-42]", () => {
    active()
      .play("+0 > S 0:0(0) <*>")
      .each((p) => {
        const l = p.stack.listen({ port: p.conn.localPort }, () => p);
        expect(p.conn.state).toBe("SYN-SENT");
        l.close();
      });
    tcp()
      .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>")
      .each((p) => {
        p.listener?.close();
        p.turn();
        p.sent();
        p.call("listen", []);
      });
  });
  test("OPEN takes a local address, or one is chosen before the SYN; it stays for the connection's life [9293:MUST-43 9293:MUST-44 9293:MUST-45 1122:3.3.4.2-2]", () => {
    idle({ stack: { addresses: ["10.0.0.2", "10.0.0.7"] } }, true).each((p) => {
      p.conn = p.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 80, localPort: 40_000 }, p);
      const other = p.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 80, localPort: 40_000, localAddress: "10.0.0.7" }, p);
      p.turn();
      expect([p.conn.localAddress, other.localAddress]).toEqual(["10.0.0.2", "10.0.0.7"]);
      const sources = p.sent().map((s) => s.ip.source);
      expect(new Set(sources).size).toBe(2);
      for (const s of (p.pass(p.now + 1_100), p.sent())) expect(sources).toContain(s.ip.source);
    });
  });
  test("a passive OPEN without an address takes requests for any, and binds to the one used [9293:3.9.1.1-b]", () => {
    tcp({ stack: { addresses: ["10.0.0.0/24"] } }).each((p) => {
      const b = encoded(p, "S 0:0(0)");
      writeInt32(b, 16, (10 << 24) | 99);
      p.inject(reseal(b));
      const [s] = p.sent();
      expect([s?.flags, s?.ip.source]).toEqual(["S.", (10 << 24) | 99]);
      expect([...p.stack.connections()].map((c) => c.localAddress)).toEqual(["10.0.0.99"]);
    });
  });
  test("a SYN to or from what is no host's address is ignored [9293:MUST-57 9293:MUST-63 1122:3.2.1.3-3]", () => {
    tcp({ stack: { addresses: ["0.0.0.0/0"] } }).each((p) => {
      for (const from of [0, 0x7f000001, 0xe0000001, 0xffffffff, 0xf0000001]) {
        const b = encoded(p, "S 0:0(0)");
        writeInt32(b, 12, from);
        p.inject(reseal(b));
      }
    });
    tcp().each((p) => {
      for (const to of [0xffffffff, 0xe0000001, 0x0a0000ff]) {
        const b = encoded(p, "S 0:0(0)");
        writeInt32(b, 16, to);
        p.inject(reseal(b));
      }
      expect([p.sent(), p.stack.counters.connections]).toEqual([[], 0]);
    });
  });
  test("IP options that arrive are skipped [9293:MUST-50 1122:3.2.1.8-3 1122:3.2.1.8-4]", () => {
    tcp({ options: plain })
      .established()
      .each((p) => {
        const whole = encoded(p, "P. 1:11(10) ack 1"),
          b = new Uint8Array(whole.length + 8);
        b.set(whole.subarray(0, 20));
        b.set([0x88, 4, 0, 1, 0x44, 4, 5, 0], 20);
        b.set(whole.subarray(20), 28);
        b[0] = 0x47;
        writeUint16(b, 2, b.length);
        writeUint16(b, 10, 0);
        writeUint16(b, 10, ~plainMemory(b).sum(0, 28));
        p.inject(b);
        expect(p.taken).toBe(10);
      });
  });
  test("precedence and security of a segment are not looked at [9293:A.1-a 9293:3.10-b 2873:2-1]", () => {
    const peer = tcp({ options: plain }).established();
    for (const tos of [0xe0, 0x20, 0x10])
      peer.each((p) => {
        const b = encoded(p, `P. ${p.taken + 1}:${p.taken + 11}(10) ack 1`);
        b[1] = tos;
        p.inject(reseal(b));
      });
    expect(peer.taken).toBe(30);
    expect(peer.same((p) => p.state)).toBe("ESTABLISHED");
  });
  test("PSH is on the last segment of what is queued, and successive pushes make full segments [9293:MUST-61 9293:SHLD-27]", () => {
    tcp({ options: plain }).established().play("+0 cork on\n+0 send 1000\n+0 send 1000\n+0 > . 1:1461(1460) ack 1\n+0 cork off\n+0 > P. 1461:2001(540) ack 1");
  });
  test("the user learns of a FIN without asking [9293:3.6-c]", () => {
    expect(tcp({ reads: false }).established().play("+0 < F. 1:1(0) ack 1\n+0 > . 1:1(0) ack 2").heard).toEqual(["established", "ended"]);
  });
  test("TTL and Diffserv are the user's, and may change while the connection lives [9293:MUST-48 9293:MUST-49 9293:SHLD-21 9293:SHLD-22 1122:3.2.1.6-1 1122:3.2.1.7-3 1122:3.2.1.7-4 1122:3.2.1.7-1]", () => {
    tcp({ options: { ...plain, ttl: 7, diffserv: 46 } }).each((p) => {
      p.batch("+0 < S 0:0(0)");
      p.batch("+0 < . 1:1(0) ack 1");
      p.send(5);
      p.turn();
      p.conn.configure({ diffserv: 10, ttl: 200 });
      p.send(5);
      p.turn();
      expect(p.sent().map((s) => [s.flags, s.ip.ttl, s.ip.tos])).toEqual(
        [
          ["S.", 7, 46 << 2],
          ["P.", 7, 46 << 2],
          ["P.", 200, 10 << 2],
        ].slice(0, 2),
      );
      p.batch("+0 < . 1:1(0) ack 6");
      expect(p.sent().map((s) => [s.flags, s.ip.ttl, s.ip.tos])).toEqual([["P.", 200, 10 << 2]]);
    });
    expect(() => tcp({ options: { ttl: 0 } })).toThrow();
    expect(DEFAULTS.ttl).toBe(64);
  });
  test("STATUS tells windows, queues, state and timers [9293:3.9.1.5-a]", () => {
    const peer = tcp({ options: plain, reads: false })
      .established()
      .play("+0 < . 1:101(100) ack 1 win 5000\n+.04 > . 1:1(0) ack 101\n+0 send 30\n+0 > P. 1:31(30) ack 101");
    expect(
      peer.same((p) => {
        const s = p.conn.status(p.now);
        return {
          state: s.state,
          recvQ: s.recvQ,
          sendQ: s.sendQ,
          sndWnd: s.sndWnd,
          rcvWnd: s.rcvWnd,
          timer: s.timer?.name,
          inFlight: s.inFlight,
          local: s.local,
        };
      }),
    ).toEqual({
      state: "ESTABLISHED",
      recvQ: 100,
      sendQ: 30,
      sndWnd: 5_000,
      rcvWnd: 9_900,
      timer: "retransmit",
      inFlight: 30,
      local: { address: "10.0.0.2", port: 80 },
    });
  });
  test("alternative congestion control is there, of the Standards Track [9293:MAY-18]", () => {
    expect([DEFAULTS.congestion, OPTIONS.congestion.choices]).toEqual(["cubic", ["reno", "cubic"]]);
  });
});

describe("3.7 segments", () => {
  test("an MSS option in each SYN, of the link's MTU less 40 [9293:SHLD-5 9293:MAY-3 9293:SHLD-6 9293:MUST-67 9293:3.7.1-b 6691:2-1]", () => {
    for (const mtu of [576, 1_500, 9_000]) {
      active({ stack: { mtu }, options: { timestamps: false, sack: false, windowScaling: false } }).play(`+0 > S 0:0(0) <mss ${mtu - 40}>`);
      tcp({ stack: { mtu }, options: { timestamps: false, sack: false, windowScaling: false } }).play(`+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <mss ${mtu - 40}>`);
    }
  });
  test("Eff.snd.MSS leaves room for the options of each segment [9293:3.7.1-a 9293:MUST-16 6691:2-2 6691:2-3]", () => {
    tcp({ syn: "mss 1000,TS" }).established().play("+0 send 2000\n+0 > . 1:989(988) ack 1\n+0 > . 989:1977(988) ack 1\n+0 > P. 1977:2001(24) ack 1");
    tcp({ syn: "mss 9000" }).established().play("+0 send 1470\n+0 > . 1:1461(1460) ack 1\n+0 > P. 1461:1471(10) ack 1");
    // A SACK block takes 12 more.
    tcp({ syn: "mss 1000,sackOK" })
      .established()
      .play(
        "+0 < . 101:201(100) ack 1\n+0 > . 1:1(0) ack 1 <sack 101:201>\n+0 send 988\n+0 > P. 1:989(988) ack 1 <sack 101:201>\n+0 < . 201:202(1) ack 989\n+0 > . 989:989(0) ack 1 <sack 101:202>\n+0 send 1000\n+0 > . 989:1977(988) ack 1 <sack 101:202>\n+0 > P. 1977:1989(12) ack 1 <sack 101:202>",
      );
  });
});

describe("3.8 flow", () => {
  test("defaults keep the RFC's bounds [9293:MUST-28 9293:MUST-25 9293:SHLD-10 9293:MUST-40 9293:3.8.6.2.1-b]", () => {
    expect(DEFAULTS.keepAliveIdle).toBeGreaterThanOrEqual(7_200_000);
    expect(DEFAULTS.keepAlive).toBe(false);
    expect(DEFAULTS.retries1).toBeGreaterThanOrEqual(3);
    expect(OPTIONS.delayedAck.max).toBeLessThan(500);
    // The persist timer overrides silly-window avoidance: one RTO, which is 200 ms here.
    tcp({ options: plain, win: 2_000 }).established().play("+0 < . 1:1(0) ack 1 win 100\n+0 send 500\n+.2 > . 1:101(100) ack 1");
  });
  test("what is held back from a silly window goes after a second at most, on the slowest path, and not at once on the fastest [9293:3.8.6.2.1-b]", () => {
    tcp({ options: plain, win: 2_000 })
      .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+.9 < . 1:1(0) ack 1")
      .play("+0 < . 1:1(0) ack 1 win 100\n+0 send 500\n+1 > . 1:101(100) ack 1");
    tcp({ options: { ...plain, minRto: 1 }, win: 2_000 })
      .established()
      .play("+0 < . 1:1(0) ack 1 win 100\n+0 send 500\n+.1 > . 1:101(100) ack 1");
  });
  test("a window that opens lets all go that fits it: the octet of the probe holds nothing back [9293:3.8.6.2.1-a]", () => {
    const shut = (): Peers =>
      tcp({ options: { ...plain, minRto: 200 } })
        .established()
        .play("+0 < . 1:1(0) ack 1 win 0\n+0 send 500\n+.2 > . 1:2(1) ack 1");
    // Not taken: it goes again, and the rest beside it.
    shut().play("+.1 < . 1:1(0) ack 1 win 2000\n+0 > . 1:2(1) ack 1\n+0 > P. 2:501(499) ack 1");
    // Taken.
    shut().play("+.1 < . 1:1(0) ack 2 win 2000\n+0 > P. 2:501(499) ack 1");
    // What the user writes in small pieces still waits.
    shut().play(
      "+.1 < . 1:1(0) ack 1 win 2000\n+0 > . 1:2(1) ack 1\n+0 > P. 2:501(499) ack 1\n+0 send 10\n+.1 < . 1:1(0) ack 501 win 2000\n+0 > P. 501:511(10) ack 1",
    );
  });
  test("a SYN is sent again for more than 3 minutes, and trouble is told before the end [9293:MUST-23 9293:MUST-22 9293:SHLD-9 9293:SHLD-11 9293:MUST-20]", () => {
    active().each((p) => {
      const sent = quietly(p, 400);
      expect(p.heard).toEqual(["advised retransmitting", "closed timeout"]);
      const end = p.events.find((e) => e.kind === "closed");
      expect(end?.kind === "closed" && end.ms).toBeGreaterThan(180_000);
      expect(sent.length).toBeGreaterThan(3);
    });
  });
  test("the right edge never moves left, whatever the user does with the buffer [9293:SHLD-14]", () => {
    const peer = tcp({ options: plain, reads: false })
      .established()
      .each((p) => {
        p.conn.configure({ receiveBuffer: 2_000 });
      });
    peer.play("+0 < . 1:1001(1000) ack 1\n+.04 > . 1:1(0) ack 1001 win 9000\n+0 < . 1001:2001(1000) ack 1\n+.04 > . 1:1(0) ack 2001 win 8000");
  });
  test("a shut window may be given up by the user, though every probe is answered [6429:3-1]", () => {
    tcp({ options: plain })
      .established()
      .play("+0 < . 1:1(0) ack 1 win 0\n+0 send 10\n+.2 > . 1:2(1) ack 1\n+0 < . 1:1(0) ack 1 win 0\n= ESTABLISHED\n+0 abort\n+0 > R. 1:1(0) ack 1\n= CLOSED");
  });
  test("after a shrink: nothing new beyond, what lies within goes again, the connection lives [9293:SHLD-15 9293:SHLD-16 9293:SHLD-17 9293:MUST-34 9293:MAY-7]", () => {
    const peer = tcp({ options: plain, syn: "mss 1000" })
      .established()
      .play(`
      +0 send 4000
      +0 > . 1:1001(1000) ack 1
      +0 > . 1001:2001(1000) ack 1
      +0 > . 2001:3001(1000) ack 1
      +0 > P. 3001:4001(1000) ack 1
      +.05 < . 1:1(0) ack 1 win 1500
      +0 send 1000
      +.15 > . 1:1001(1000) ack 1
      +.05 < . 1:1(0) ack 1001 win 500
      +0 > . 1001:1501(500) ack 1
    `);
    // Half of a segment fits: it goes out again; then the window shuts for half an hour, and every probe is answered.
    peer.each((p) => {
      const until = p.now + 1_800_000;
      let highest = 0;
      while (p.now < until) {
        p.pass(until);
        for (const x of p.sent()) {
          highest = Math.max(highest, x.seq + x.length);
          p.batch("+0 < . 1:1(0) ack 1001 win 0");
        }
      }
      expect(p.state).toBe("ESTABLISHED");
      expect(highest).toBeLessThanOrEqual(4_001);
    });
    // It opens, and what was lost beyond the edge comes in order.
    peer.batch("+0 < . 1:1(0) ack 1001 win 60000").each((p) => {
      p.pass(p.now + 1_000);
      expect(p.sent().some((x) => x.length > 0)).toBe(true);
    });
  });
  test("ACKs of a batch are one ACK, sent when all of it is worked through [9293:MUST-58 9293:MUST-59]", () => {
    const peer = tcp({ options: { ...plain, quickAcks: 16, delayedAck: 0 } }).established();
    peer.batch("+0 < . 1:1001(1000) ack 1\n+0 < . 1001:2001(1000) ack 1\n+0 < . 2001:3001(1000) ack 1\n+0 < P. 3001:4001(1000) ack 1");
    peer.play("+0 > . 1:1(0) ack 4001\n+1");
  });
  test("an ACK at once for what is not at the left edge [9293:MAY-13 5681:4.2-4]", () => {
    tcp({ options: plain }).established().play("+0 < . 101:201(100) ack 1\n+0 > . 1:1(0) ack 1");
  });
  test("keep-alives are there, without text [9293:MAY-5 9293:SHLD-12 9293:MUST-24 9293:MUST-27 9293:MUST-29 9293:3.8.4-a]", () => {
    tcp({ options: plain })
      .established()
      .play("+0 keepalive on 5000 1000 2\n+5 > . 0:0(0) ack 1\n+1 > . 0:0(0) ack 1\n+.5 < . 1:1(0) ack 1\n+0 keepalive off\n+600");
  });
  test("half-duplex close: who has let go answers text by RST [9293:MAY-1 9293:SHLD-3]", () => {
    tcp({ options: plain }).established().play("+0 release\n+0 > F. 1:1(0) ack 1\n+0 < P. 1:11(10) ack 2\n+0 > R 2:2(0)\n= CLOSED");
  });
  test("soft errors reach the user, who can ask what they were [9293:SHLD-25 9293:MUST-47]", () => {
    const peer = tcp({ options: plain }).established().play("+0 send 5\n+0 > P. 1:6(5) ack 1\n+0 < icmp 3/1 1");
    expect(peer.heard.at(-1)).toBe("advised icmp");
    expect(peer.same((p) => p.conn.tcb.icmpError)).toEqual({ type: 3, code: 1 });
  });
  test("a user without an `advised` hears nothing of them [9293:SHLD-20]", () => {
    tcp({ options: plain })
      .established()
      .each((p) => {
        p.conn.user = { established() {}, readable() {}, writable() {}, ended() {}, closed() {} };
      })
      .play("+0 send 5\n+0 > P. 1:6(5) ack 1\n+0 < icmp 3/1 1\n= ESTABLISHED");
  });
  test("a fixed Identification for what can never be a fragment [9293:MAY-4 6864:4.1-1]", () => {
    tcp({ options: plain })
      .established()
      .each((p) => {
        p.send(5);
        p.pass(p.now + 250);
        for (const s of p.sent()) expect([s.ip.identification, s.ip.dontFragment, s.ip.moreFragments, s.ip.fragmentOffset]).toEqual([0, true, false, 0]);
      });
  });
});

describe("3.8.5 urgent", () => {
  test("text of any length is urgent; the pointer names the octet after it, and the flag goes with the last of it [9293:MUST-30 9293:MUST-31 9293:MUST-62 9293:3.8.5-b]", () => {
    tcp({ options: plain, syn: "mss 1000" })
      .established()
      .play(`
      +0 urgent 2500 -> 2500
      +0 > U. 1:1001(1000) ack 1 urg 2500
      +0 > U. 1001:2001(1000) ack 1 urg 1500
      +0 > PU. 2001:2501(500) ack 1 urg 500
      +.1 < . 1:1(0) ack 2501
      +0 send 10
      +0 > P. 2501:2511(10) ack 1 urg 0
    `);
    // Nothing to be urgent about: no segment.
    tcp({ options: plain }).established().play("+0 urgent 0\n+1");
  });
  test("the user learns how much is left; the mode ends where it was announced [9293:MUST-33 9293:MUST-32 9293:3.8.5-a 6093:4-1 6093:5-2]", () => {
    const peer = tcp({ options: plain, reads: false }).established().play("+0 < U. 1:11(10) ack 1 urg 20\n+.04 > . 1:1(0) ack 11");
    expect(peer.same((p) => p.conn.urgentOffset)).toBe(20);
    peer.play("+0 recv 10 -> 10\n+0 < . 11:31(20) ack 1\n+.04 > . 1:1(0) ack 31");
    expect(peer.same((p) => p.conn.urgentOffset)).toBe(10);
    peer.play("+0 recv 10 -> 10");
    expect(peer.same((p) => p.conn.urgentOffset)).toBe(undefined);
    expect(peer.heard).toEqual(["established", "urgent 20"]);
  });
  test("nonsense in the pointer does no harm, and RCV.UP never moves back [9293:3.8.5-c 9293:3.1-e]", () => {
    const peer = tcp({ options: plain, reads: false }).established();
    // Without URG the field is nothing; zero is nothing; what lies behind is nothing.
    peer.play(
      "+0 < . 1:11(10) ack 1 urg 5\n+.04 > . 1:1(0) ack 11\n+0 < U. 11:12(1) ack 1 urg 0\n+0 < U. 12:13(1) ack 1 urg 65535\n+.04 > . 1:1(0) ack 13\n+0 < U. 13:14(1) ack 1 urg 3",
    );
    expect(peer.heard).toEqual(["established", "urgent 65546"]);
    expect(peer.same((p) => p.conn.urgentOffset)).toBe(65_546);
  });
});

describe("3.10.7", () => {
  test("ESTABLISHED from SYN-SENT takes the window with the SYN,ACK [9293:3.10-c]", () => {
    active().play("+0 > S 0:0(0) <*>\n+0 < S. 0:0(0) ack 1 win 700\n+0 > . 1:1(0) ack 1\n+0 send 900\n+0 > . 1:701(700) ack 1");
  });
});
