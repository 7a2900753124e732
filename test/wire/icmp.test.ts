/** ICMP messages, octet by octet (RFC 792, RFC 1122 §3.2.2). */
import { describe, expect, test } from "vitest";
import { fold, sumHeader } from "../../src/wire/checksum.js";
import { emitEchoReplyHeader, emitIcmpError, IcmpMessage, parseIcmp } from "../../src/wire/icmp.js";
import { emitIpv4, PROTOCOL_TCP, writeInt32, writeUint16 } from "../../src/wire/ipv4.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";

const OURS = 0x0a000002,
  THEIRS = 0x0a000001;
/** 20 octets of IP header and the first 8 of TCP's: ports 40000 and 80, SEG.SEQ 0x01020304. */
function quote(): Uint8Array {
  const q = new Uint8Array(28);
  emitIpv4(q, 0, 1_500, 0, 64, PROTOCOL_TCP, OURS, THEIRS);
  writeUint16(q, 20, 40_000);
  writeUint16(q, 22, 80);
  writeInt32(q, 24, 0x01020304);
  return q;
}
function message(type: number, code: number, word: number, data: Uint8Array): Uint8Array {
  const b = new Uint8Array(8 + data.length);
  b[0] = type;
  b[1] = code;
  writeInt32(b, 4, word);
  b.set(data, 8);
  writeUint16(b, 2, ~fold(sumHeader(b, 0, b.length, 0)));
  return b;
}
const parse = (b: Uint8Array, out = new IcmpMessage(), length = b.length): string | undefined => parseIcmp(plainMemory(b), 0, length, out);
/** A message that was used before, for something else. */
function used(): IcmpMessage {
  const m = new IcmpMessage();
  expect(parse(message(3, 4, 1_300, quote()), m)).toBeUndefined();
  expect([m.quoted, m.mtu]).toEqual([true, 1_300]);
  return m;
}

describe("parseIcmp", () => {
  test("an error tells the protocol, addresses, ports and SEG.SEQ of what it is about, and the next hop's MTU", () => {
    const m = new IcmpMessage();
    expect(parse(message(3, 4, 1_400, quote()), m)).toBeUndefined();
    expect({ ...m }).toEqual({
      type: 3,
      code: 4,
      mtu: 1_400,
      quoted: true,
      quotedProtocol: PROTOCOL_TCP,
      quotedSource: OURS,
      quotedDestination: THEIRS,
      quotedSourcePort: 40_000,
      quotedDestinationPort: 80,
      quotedSequence: 0x01020304,
    });
  });
  test("fewer than eight octets are short, even if they sum up", () => {
    const tiny = new Uint8Array(6);
    tiny[0] = 8;
    writeUint16(tiny, 2, ~fold(sumHeader(tiny, 0, 6, 0)));
    expect(parse(tiny)).toBe("icmp-short");
    expect(parse(message(8, 0, 0, new Uint8Array(0)))).toBeUndefined();
  });
  test("an MTU is that of fragmentation needed alone, and none stays from the message before", () => {
    for (const [type, code] of [
      [3, 1],
      [11, 0],
      [12, 4],
    ] as const) {
      const m = used();
      parse(message(type, code, 900, quote()), m);
      expect(m.mtu).toBe(0);
    }
  });
  test("what is no error quotes nothing, whatever its data looks like", () => {
    for (const type of [0, 8, 13]) {
      const m = used();
      expect(parse(message(type, 0, 0, quote()), m)).toBeUndefined();
      expect(m.quoted).toBe(false);
    }
  });
  test("a quote without all of a header and eight octets behind it names no connection", () => {
    for (const length of [0, 19, 20, 27]) {
      const m = used();
      expect(parse(message(3, 1, 0, quote().subarray(0, length)), m)).toBeUndefined();
      expect(m.quoted, `${length} octets`).toBe(false);
    }
  });
});

test("an echo reply's header: type and code 0, identifier and number of the request, and a checksum that fits its data", () => {
  const request = message(8, 0, 0x1234_0007, new Uint8Array([1, 2, 3, 4, 5])),
    reply = new Uint8Array(8).fill(0xff);
  emitEchoReplyHeader(reply, 0, request, 0);
  expect(Buffer.from(reply).toString("hex")).toBe("0000" + "e4be" + "12340007");
  const whole = new Uint8Array([...reply, ...request.subarray(8)]);
  expect(fold(sumHeader(whole, 0, whole.length, 0))).toBe(0xffff);
});

test("an error: its unused word is zero, whatever stood there, and the quote follows", () => {
  const b = new Uint8Array(60).fill(0xa5),
    q = quote();
  expect(emitIcmpError(b, 4, 11, 1, q, 0, q.length)).toBe(36);
  expect([...b.subarray(0, 6)]).toEqual([0xa5, 0xa5, 0xa5, 0xa5, 11, 1]);
  expect([...b.subarray(8, 12)]).toEqual([0, 0, 0, 0]);
  expect([...b.subarray(12, 40)]).toEqual([...q]);
  expect([...b.subarray(40)]).toEqual(Array.from({ length: 20 }, () => 0xa5));
  expect(fold(sumHeader(b, 4, 36, 0))).toBe(0xffff);
});
