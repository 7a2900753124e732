import { describe, expect, test } from "vitest";
import { Reassembly } from "../../src/stack/reassembly.js";
import { Millis } from "../../src/tcp/time.js";
import { emitIpv4, IPV4_HEADER, Ipv4Header, parseIpv4, PROTOCOL_ICMP, PROTOCOL_TCP, writeUint16 } from "../../src/wire/ipv4.js";
import { fold, sumHeader } from "../../src/wire/checksum.js";
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
