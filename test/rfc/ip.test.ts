/** RFC 791, 792, 1122 §3 and what updates them: what the IP layer under TCP takes, drops and answers. */
import { describe, expect, test } from "vitest";
import { fold, sumHeader } from "../../src/wire/checksum.js";
import { emitIpv4, IPV4_HEADER, PROTOCOL_ICMP, writeUint16 } from "../../src/wire/ipv4.js";
import { LIMITS } from "../../src/stack/limits.js";
import { ACK, RST, SYN } from "../../src/wire/segment.js";
import { PEER, RawPeer, segment, US } from "../support/raw.js";

const seal = (b: Uint8Array): Uint8Array => {
  writeUint16(b, 10, 0);
  writeUint16(b, 10, ~fold(sumHeader(b, 0, ((b[0] as number) & 15) << 2, 0)));
  return b;
};
const syn = (): Uint8Array => segment({ ctl: SYN, seq: 100 }).slice();
/** A datagram of any protocol. */
function datagram(protocol: number, payload: Uint8Array, from = PEER, to = US): Uint8Array {
  const b = new Uint8Array(IPV4_HEADER + payload.length);
  emitIpv4(b, 0, b.length, 0, 64, protocol, from, to);
  b.set(payload, IPV4_HEADER);
  return b;
}
function icmp(type: number, code: number, rest: Uint8Array, from = PEER, to = US): Uint8Array {
  const p = new Uint8Array(4 + rest.length);
  p[0] = type;
  p[1] = code;
  p.set(rest, 4);
  writeUint16(p, 2, ~fold(sumHeader(p, 0, p.length, 0)));
  return datagram(PROTOCOL_ICMP, p, from, to);
}
const answers = (p: RawPeer): number => p.sent().length;

describe("headers", () => {
  test("a frame that is not IPv4 is counted and nothing else [1122:3.2.1.1]", () => {
    const p = new RawPeer(),
      b = syn();
    b[0] = 0x65;
    p.inject(seal(b));
    expect([answers(p), p.stack.env.ruleHits["ip-version"]]).toEqual([0, 1]);
  });
  test("a wrong header checksum ends it, whichever octet is wrong [1122:3.2.1.2 791:3.1-2]", () => {
    const p = new RawPeer();
    for (const at of [1, 4, 8, 9, 11, 12, 19]) {
      const b = syn();
      b[at] = (b[at] as number) ^ 0x10;
      p.inject(b);
    }
    expect([answers(p), p.stack.env.ruleHits["1122-3.2.1.2"]]).toEqual([0, 7]);
    p.inject(syn());
    expect(answers(p)).toBe(1);
  });
  test("lengths must agree; what follows the total length is padding [791:3.1-1]", () => {
    const p = new RawPeer();
    for (const change of [
      (b: Uint8Array) => {
        b[0] = 0x44;
      },
      (b: Uint8Array) => {
        b[0] = 0x4f;
      },
      (b: Uint8Array) => writeUint16(b, 2, b.length + 1),
      (b: Uint8Array) => writeUint16(b, 2, 19),
    ]) {
      const b = syn();
      change(b);
      p.inject(seal(b));
    }
    for (const length of [1, 19]) p.inject(syn().subarray(0, length));
    expect(answers(p)).toBe(0);
    const padded = new Uint8Array(syn().length + 6);
    padded.set(syn());
    padded.fill(0xee, syn().length);
    p.inject(padded);
    expect(answers(p)).toBe(1);
  });
  test("what is not for us is dropped; prefixes are all of it ours [1122:3.2.1.3-2]", () => {
    const other = new RawPeer({ addresses: ["10.0.0.4/30"] });
    other.inject(syn());
    expect([answers(other), other.stack.env.ruleHits["ip-not-ours"]]).toEqual([0, 1]);
    const p = new RawPeer({ addresses: ["10.0.0.0/30"] });
    p.inject(syn());
    expect(answers(p)).toBe(1);
  });
  test("sources that are no host's: nothing is answered, not by TCP and not by ICMP [1122:3.2.2-9 1122:3.3.6-1 1122:3.2.1.3-4]", () => {
    const p = new RawPeer();
    for (const from of [0, 0x7f000001, 0xe0000001, 0xef000001, 0xf0000001, 0xffffffff]) {
      p.inject(segment({ ctl: SYN, from: from | 0 }), datagram(17, new Uint8Array(8), from | 0), icmp(8, 0, new Uint8Array(8), from | 0));
    }
    expect([answers(p), p.stack.env.ruleHits["1122-3.2.1.3"]]).toEqual([0, 18]);
  });
  test("what leaves: our address as source, TTL, DF, an Identification of no meaning [1122:3.2.1.3-1 1191:6.4-4 6864:4.1-2 6864:4.2-1 6864:4.3-1 6864:4.3-2 791:3.2-6 4821:4-1 1122:3.3.3-3]", () => {
    const p = new RawPeer();
    p.stack.listen({ port: 80 }, () => ({ established() {}, readable() {}, writable() {}, ended() {}, closed() {} }));
    p.inject(syn(), segment({ ctl: ACK, seq: 5, port: 81 }), icmp(8, 0, new Uint8Array(300)), datagram(99, new Uint8Array(8)));
    const sent = p.sent();
    expect(sent).toHaveLength(4);
    for (const s of sent) expect([s.ip.source, s.ip.destination, s.ip.dontFragment, s.ip.identification, s.ip.ttl > 0]).toEqual([US, PEER, true, 0, true]);
  });
  test("the Identification of an atomic datagram is ignored [6864:4.1-3]", () => {
    const p = new RawPeer(),
      b = syn();
    writeUint16(b, 4, 777);
    p.inject(seal(b), seal(b));
    expect(answers(p)).toBe(2);
  });
  test("fragments wait for a fixed time; datagrams of 576 octets and far more are put together [1122:3.3.2-1 1122:3.3.2-2 1122:3.3.2-5 791:3.2-5]", () => {
    const p = new RawPeer();
    for (const size of [556, 8_000, 40_000]) {
      const whole = icmp(
          8,
          0,
          new Uint8Array(size - 4).map((_, i) => i),
        ),
        parts: Uint8Array[] = [];
      for (let at = 0; at < size; at += 400) {
        const b = datagram(PROTOCOL_ICMP, whole.subarray(IPV4_HEADER + at, IPV4_HEADER + Math.min(size, at + 400)));
        writeUint16(b, 4, size);
        writeUint16(b, 6, (at + 400 < size ? 0x2000 : 0) | (at >> 3));
        parts.push(seal(b));
      }
      p.inject(...parts);
      if (size < 1_480) expect(answers(p)).toBe(1);
    }
    expect(p.stack.counters.fragmentOctets).toBe(0);
    expect(LIMITS.fragmentTimeout.default).toBe(30_000);
  });
});

describe("ICMP", () => {
  test("echo: all of the data, identifier and number come back from the address that was asked [1122:3.2.2.6-1 1122:3.2.2.6-4 1122:3.2.2.6-5 792:p-1 1122:3.3.4.2-1]", () => {
    const p = new RawPeer({ addresses: ["10.0.0.2", "10.0.0.3"] });
    for (const size of [4, 5, 60, 1_001, 1_476]) {
      const data = new Uint8Array(size).map((_, i) => i * 3 + 1);
      p.inject(icmp(8, 0, data, PEER, US + 1));
      const [reply] = p.sent();
      const b = reply?.bytes as Uint8Array;
      expect([reply?.ip.source, reply?.ip.destination, reply?.ip.protocol, b[20], b[21]]).toEqual([US + 1, PEER, PROTOCOL_ICMP, 0, 0]);
      expect([...b.subarray(24)]).toEqual([...data]);
      expect(fold(sumHeader(b, 20, b.length - 20, 0))).toBe(0xffff);
    }
  });
  test("a wrong ICMP checksum ends it [792:p-2]", () => {
    const p = new RawPeer(),
      b = icmp(8, 0, new Uint8Array(8)).slice();
    b[30] = 1;
    p.inject(b);
    expect([answers(p), p.stack.env.ruleHits["icmp-checksum"]]).toEqual([0, 1]);
  });
  test("unknown types, and those that hosts should not answer, are dropped [1122:3.2.2-1 1122:3.2.2.7 1122:3.2.2.9 1122:3.2.2.2-1 6633:3-1 1122:3.2.2.6-3]", () => {
    const p = new RawPeer();
    for (const type of [0, 1, 2, 4, 5, 6, 7, 9, 10, 13, 15, 17, 30, 41, 255]) p.inject(icmp(type, 0, new Uint8Array(40)));
    p.inject(icmp(8, 0, new Uint8Array(8), PEER, -1), icmp(8, 0, new Uint8Array(8), PEER, 0xe0000001 | 0));
    expect(answers(p)).toBe(0);
  });
  test("a protocol that is not spoken earns protocol unreachable, which quotes the header and 8 octets as they were [1122:3.2.2.1-1 1122:3.2.2-2 1122:3.3.8-1]", () => {
    const p = new RawPeer(),
      whole = datagram(
        132,
        new Uint8Array(40).map((_, i) => i + 1),
      );
    p.inject(whole);
    const [error] = p.sent();
    const b = error?.bytes as Uint8Array;
    expect([error?.ip.protocol, error?.ip.destination, b[20], b[21], b.length]).toEqual([PROTOCOL_ICMP, PEER, 3, 2, 20 + 8 + 28]);
    expect([...b.subarray(28)]).toEqual([...whole.subarray(0, 28)]);
    expect(fold(sumHeader(b, 20, b.length - 20, 0))).toBe(0xffff);
  });
  test("no ICMP error about an ICMP error, nor about what was sent to many [1122:3.2.2-5 1122:3.2.2-6]", () => {
    const p = new RawPeer();
    p.inject(
      icmp(3, 2, datagram(132, new Uint8Array(8)), PEER, US),
      datagram(132, new Uint8Array(8), PEER, -1),
      datagram(132, new Uint8Array(8), PEER, 0xe0000001 | 0),
    );
    expect(answers(p)).toBe(0);
  });
  test("errors find their connection by protocol, addresses and ports of the quote [1122:3.2.2-3 1122:3.2.2.1-2 1122:3.2.2.1-4 1122:3.2.2.4 1122:3.2.2.5-2 9293:MUST-54 5927:4.1-1]", () => {
    const told: string[] = [];
    const p = new RawPeer();
    p.stack.listen({ port: 80 }, () => ({
      established() {},
      readable() {},
      writable() {},
      ended() {},
      closed() {},
      advised: (_c, what) => {
        told.push(what);
      },
    }));
    p.inject(syn());
    const ours = p.sent()[0]?.seg.sequence as number;
    p.inject(segment({ ctl: ACK, seq: 101, ack: ours + 1 }));
    const [conn] = p.stack.connections();
    conn?.send(new Uint8Array(10));
    p.turn();
    const quoted = p.sent()[0]?.bytes.slice(0, 28) as Uint8Array;
    const about = (type: number, code: number, change: (q: Uint8Array) => void = () => {}): void => {
      const q = quoted.slice();
      change(q);
      p.inject(icmp(type, code, new Uint8Array([0, 0, 0, 0, ...q])));
    };
    for (const [type, code] of [
      [3, 0],
      [3, 1],
      [3, 5],
      [11, 0],
      [11, 1],
      [12, 0],
    ] as const)
      about(type, code);
    expect(told).toHaveLength(6);
    expect(conn?.tcb.icmpError).toEqual({ type: 12, code: 0 });
    about(3, 1, (q) => {
      q[9] = 17;
    });
    about(3, 1, (q) => {
      q[21] = 9;
    });
    about(3, 1, (q) => {
      q[23] = 9;
    });
    about(3, 1, (q) => {
      q[15] = 9;
    });
    about(3, 1, (q) => {
      q[19] = 9;
    });
    about(3, 1, (q) => {
      q[6] = 0;
      q[7] = 1;
    });
    about(3, 1, (q) => {
      q[0] = 0x55;
    });
    about(3, 1, (q) => {
      q[24] = (q[24] as number) ^ 0x40;
    });
    about(4, 0);
    for (const length of [8, 12, 27]) p.inject(icmp(3, 1, new Uint8Array([0, 0, 0, 0, ...quoted.subarray(0, length)])));
    expect(told).toHaveLength(6);
    expect(conn?.state).toBe("ESTABLISHED");
    expect(answers(p)).toBe(0);
  });
  test("RST answers what belongs to no connection, and no ICMP port unreachable [1122:3.2.2.1-1]", () => {
    const p = new RawPeer();
    p.inject(syn());
    expect(p.sent().map((s) => [s.ip.protocol, s.seg.ctl])).toEqual([[6, RST | ACK]]);
  });
});
