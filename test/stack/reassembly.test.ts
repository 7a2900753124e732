import { describe, expect, test } from "vitest";
import { emitIpv4, IPV4_HEADER, Ipv4Header, parseIpv4, PROTOCOL_ICMP, PROTOCOL_TCP, writeUint16 } from "../../src/wire/ipv4.js";
import { fold, sumHeader } from "../../src/wire/checksum.js";
import { Reassembly, type Reassembled } from "../../src/stack/reassembly.js";
import { Millis, NEVER } from "../../src/tcp/time.js";
import { SYN, ACK } from "../../src/wire/segment.js";
import { PEER, RawPeer, segment, US } from "../support/raw.js";

/** Cuts an IP packet; offsets in octets of its payload. */
function fragment(packet: Uint8Array, start: number, end: number, more: boolean, id = 99, tos = 0): Uint8Array {
  const payload = packet.subarray(IPV4_HEADER);
  const part = payload.subarray(start, end);
  const b = new Uint8Array(IPV4_HEADER + part.length);
  emitIpv4(b, 0, b.length, tos, 64, PROTOCOL_TCP, PEER, US, id);
  writeUint16(b, 6, (more ? 0x2000 : 0) | (start >> 3));
  writeUint16(b, 10, 0);
  writeUint16(b, 10, ~fold(sumHeader(b, 0, IPV4_HEADER, 0)));
  b.set(part, IPV4_HEADER);
  return b;
}
const syn = segment({ ctl: SYN, seq: 100, mss: 1_460, wscale: 7, sackOk: true, ts: [1, 0] });
const length = syn.length - IPV4_HEADER;

describe("IPv4 reassembly [RFC 791 §3.2, RFC 1122 §3.3.2]", () => {
  const peer = (limits = {}): RawPeer => {
    const p = new RawPeer({ limits });
    p.stack.listen({ port: 80 }, () => ({ established() {}, readable() {}, writable() {}, ended() {}, closed() {} }));
    return p;
  };
  test("a SYN in three fragments, in any order, is answered [791:3.2-1 791:3.2-2 791:3.2-3 791:3.2-4 815:3-1 815:3-2 815:3-3 1122:3.2.1.4]", () => {
    const parts = [fragment(syn, 0, 16, true), fragment(syn, 16, 24, true), fragment(syn, 24, length, false)] as const;
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
    ] as const) {
      const p = peer();
      p.inject(...order.map((i) => parts[i]));
      expect(p.sent().map((s) => s.seg.ctl)).toEqual([SYN | ACK]);
      expect(p.stack.counters.fragmentOctets).toBe(0);
    }
  });
  test("the same fragment twice does no harm; overlapping ones end the datagram (D9) [791:3.2-8]", () => {
    const p = peer();
    p.inject(fragment(syn, 0, 16, true), fragment(syn, 0, 16, true), fragment(syn, 16, length, false));
    expect(p.sent()).toHaveLength(1);
    const q = peer();
    q.inject(fragment(syn, 0, 16, true), fragment(syn, 8, 24, true), fragment(syn, 24, length, false), fragment(syn, 0, 16, true));
    expect(q.sent()).toHaveLength(0);
    expect(q.stack.env.ruleHits["1122-3.3.2"]).toBeGreaterThan(0);
  });
  test("what is not completed in time goes, with ICMP time exceeded when the first fragment was there [1122:3.3.2-4 1122:3.3.2-6 1122:3.2.2-8]", () => {
    const p = peer({ fragmentTimeout: 1_000 });
    p.inject(fragment(syn, 0, 16, true, 1), fragment(syn, 16, 24, true, 2));
    p.pass(1_001);
    const icmp = p.sent();
    expect(icmp.map((s) => s.ip.protocol)).toEqual([PROTOCOL_ICMP]);
    expect([...(icmp[0]?.bytes.subarray(20, 22) ?? [])]).toEqual([11, 1]);
    expect(p.stack.counters.fragmentOctets).toBe(0);
  });
  test("what is put together is read by the header of the whole, not by that of the fragment that came last", () => {
    const p = peer(),
      last = fragment(syn, 16, length, false);
    // Four octets of IP options, as a router may add them to each fragment.
    const longer = new Uint8Array(last.length + 4).fill(1);
    longer.set(last.subarray(0, IPV4_HEADER));
    longer.set(last.subarray(IPV4_HEADER), IPV4_HEADER + 4);
    longer[0] = 0x46;
    writeUint16(longer, 2, longer.length);
    writeUint16(longer, 10, 0);
    writeUint16(longer, 10, ~fold(sumHeader(longer, 0, IPV4_HEADER + 4, 0)));
    p.inject(fragment(syn, 0, 16, true), longer);
    expect(p.sent().map((s) => s.seg.ctl)).toEqual([SYN | ACK]);
  });
  test("memory is bounded however many datagrams are begun", () => {
    const p = peer({ maxFragments: 100_000 });
    for (let i = 0; i < 5_000; i++) p.inject(fragment(syn, 0, 16, true, i));
    expect(p.stack.counters.fragmentOctets).toBeLessThanOrEqual(100_000);
  });
  test("a last fragment that reaches past 65,535 octets is dropped [791:3.2-7]", () => {
    const p = peer();
    const bad = fragment(syn, 0, 16, true);
    writeUint16(bad, 6, 0x1fff);
    writeUint16(bad, 10, 0);
    writeUint16(bad, 10, ~fold(sumHeader(bad, 0, IPV4_HEADER, 0)));
    p.inject(bad);
    expect(p.stack.env.ruleHits["1122-3.3.2"]).toBe(1);
  });
  test("a mark on any fragment is a mark on the datagram; where all bear the same codepoint it keeps that [3168:5.3-1 3168:5.3-3]", () => {
    /** The codepoint of a datagram that comes in fragments with these. */
    const joined = (...codepoints: number[]): number => {
      const r = new Reassembly(100_000, 30_000),
        ip = new Ipv4Header();
      for (const [i, tos] of codepoints.entries()) {
        const b = fragment(syn, 8 * i, i === codepoints.length - 1 ? length : 8 * i + 8, i < codepoints.length - 1, 7, tos);
        expect(parseIpv4(b, 0, b.length, ip)).toBe(undefined);
        const got = r.fragmentArrives(b, 0, ip, Millis(0));
        if (got.kind === "whole") return (got.memory.bytes[1] as number) & 3;
      }
      throw new Error("it was not put together");
    };
    const [NOT_ECT, ECT_1, ECT_0, CE] = [0, 1, 2, 3];
    for (const codepoint of [NOT_ECT, ECT_1, ECT_0, CE]) expect(joined(codepoint, codepoint, codepoint)).toBe(codepoint);
    expect([joined(CE, ECT_0, ECT_0), joined(ECT_0, CE, ECT_0), joined(ECT_0, ECT_0, CE), joined(ECT_1, CE, ECT_1)]).toEqual([CE, CE, CE, CE]);
  });
});

/** Without a stack: what a datagram is kept for, and what that costs. */
describe("the table of datagrams", () => {
  /** What one costs besides its octets. */
  const OVERHEAD = 512;
  class Table extends Reassembly {
    arrive(id: number, start: number, length: number, more: boolean, at = 0, tos = 0): Reassembled {
      const b = new Uint8Array(IPV4_HEADER + length),
        ip = new Ipv4Header();
      b.fill(id, IPV4_HEADER);
      Object.assign(ip, { headerLength: IPV4_HEADER, totalLength: b.length, identification: id, moreFragments: more, fragmentOffset: start, tos, ttl: 9 });
      Object.assign(ip, { protocol: PROTOCOL_TCP, source: PEER, destination: US });
      return this.fragmentArrives(b, 0, ip, Millis(at));
    }
    /** @returns which were told of */
    expire(at: number): number[] {
      const told: number[] = [];
      this.timeout(Millis(at), (quote) => told.push(quote.at(-1) as number));
      return told;
    }
  }
  const kind = (r: Reassembled): string => r.kind;

  test("an overlap ends the datagram for as long as it would have waited: all of its fragments together make nothing [791:3.2-8]", () => {
    const t = new Table(100_000, 1_000);
    expect(["waiting", "dropped"]).toEqual([kind(t.arrive(1, 0, 16, true)), kind(t.arrive(1, 8, 16, true))]);
    for (const [start, more] of [
      [0, true],
      [16, true],
      [32, false],
    ] as const)
      expect(kind(t.arrive(1, start, 16, more))).toBe("dropped");
    expect(t.octets).toBe(OVERHEAD);
    // Nobody hears of its end, and then the identification is free again.
    expect(t.expire(1_000)).toEqual([]);
    expect(t.octets).toBe(0);
    t.arrive(1, 0, 16, true, 1_001);
    expect(kind(t.arrive(1, 16, 16, false, 1_001))).toBe("whole");
  });
  test("there is one end: a second one before it, or anything behind it, is an overlap", () => {
    for (const [start, length, more] of [
      [16, 8, false],
      [48, 8, true],
      [48, 8, false],
    ] as const) {
      const t = new Table(100_000, 1_000);
      t.arrive(1, 32, 16, false);
      expect(kind(t.arrive(1, start, length, more))).toBe("dropped");
      expect(t.octets).toBe(OVERHEAD);
    }
    const t = new Table(100_000, 1_000);
    t.arrive(1, 32, 16, true);
    expect(kind(t.arrive(1, 16, 8, false))).toBe("dropped");
  });
  test("more fragments than any path makes are no datagram", () => {
    const t = new Table(100_000, 1_000);
    for (let i = 0; i < 128; i++) expect(kind(t.arrive(1, 8 * i, 8, true))).toBe("waiting");
    expect(kind(t.arrive(1, 8 * 128, 8, false))).toBe("dropped");
  });
  test("empty fragments, and such as do not end on eight octets, are none ", () => {
    const t = new Table(100_000, 1_000);
    expect([kind(t.arrive(1, 0, 0, true)), kind(t.arrive(1, 0, 12, true)), t.octets]).toEqual(["dropped", "dropped", 0]);
    expect(kind(t.arrive(1, 0, 12, false))).toBe("whole");
  });
  test("a congestion mark on any fragment is one on the datagram [3168:5.3-1 3168:5.3-3]", () => {
    const whole = (...marks: number[]): number => {
      const t = new Table(100_000, 1_000);
      const last = marks.map((tos, i) => t.arrive(1, 8 * i, 8, i < marks.length - 1, 0, tos)).at(-1) as Reassembled;
      if (last.kind !== "whole") throw new Error(last.kind);
      return last.memory.bytes[1] as number;
    };
    expect([whole(0xb8, 0xb8), whole(0xba, 0xba), whole(0xba, 0xbb, 0xba), whole(0xbb, 0xba)]).toEqual([0xb8, 0xba, 0xbb, 0xbb]);
  });
  test("each waits for its own time; whoever's first fragment was there is told of", () => {
    const t = new Table(100_000, 1_000);
    expect(t.next()).toBe(NEVER);
    t.arrive(1, 0, 8, true, 0);
    t.arrive(2, 8, 8, true, 400);
    t.arrive(3, 0, 8, true, 700);
    expect(t.next()).toBe(1_000);
    expect(t.expire(1_000)).toEqual([1]);
    expect([t.octets, t.next()]).toEqual([2 * (OVERHEAD + 8), 1_400]);
    expect(t.expire(1_699)).toEqual([]);
    expect([t.octets, t.next()]).toEqual([OVERHEAD + 8, 1_700]);
    expect(t.expire(1_700)).toEqual([3]);
    expect([t.octets, t.next()]).toEqual([0, NEVER]);
  });
  test("at the limit the oldest go until a quarter is free, but never the one that grows", () => {
    const each = OVERHEAD + 488,
      t = new Table(10 * each, 1_000);
    for (let id = 1; id <= 10; id++) t.arrive(id, 0, 488, true);
    expect([t.octets, t.shed]).toEqual([10 * each, 0]);
    expect(kind(t.arrive(1, 488, 8, true))).toBe("waiting");
    // 2, 3 and 4 went for it.
    expect([t.octets, t.shed]).toEqual([7 * each + 8, 3]);
    expect(kind(t.arrive(1, 496, 8, false))).toBe("whole");
    for (let id = 5; id <= 10; id++) expect(kind(t.arrive(id, 488, 8, false))).toBe("whole");
    expect(t.octets).toBe(0);
  });
  test("one that alone is more than the limit ends, and what it held is free", () => {
    const t = new Table(2_000, 1_000);
    expect(kind(t.arrive(1, 0, 1_000, true))).toBe("waiting");
    expect(kind(t.arrive(1, 1_000, 1_000, false))).toBe("dropped");
    expect([t.octets, t.shed]).toEqual([OVERHEAD, 1]);
    expect(t.expire(1_000)).toEqual([]);
    expect(t.octets).toBe(0);
  });
});
