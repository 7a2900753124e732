/** TCP headers and options, octet by octet (RFC 9293 §3.1, §3.2; RFC 7323, RFC 2018, RFC 5482). */
import { describe, expect, test } from "vitest";
import { fold, pseudoHeaderSum, sumHeader } from "../../src/wire/checksum.js";
import { PROTOCOL_TCP, writeUint16 } from "../../src/wire/ipv4.js";
import { ACK, FIN, formatCtl, Segment, SYN } from "../../src/wire/segment.js";
import { emitTcp, finishChecksum, parseTcp, SegmentHeader } from "../../src/wire/tcp.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";

const SOURCE = 0x0a000001,
  DESTINATION = 0x0a000002;

/** A header with these octets of options, padded with zeros, and nothing behind it in memory. */
function withOptions(ctl: number, options: readonly number[]): Uint8Array {
  const b = new Uint8Array(20 + ((options.length + 3) & ~3));
  writeUint16(b, 0, 40_000);
  writeUint16(b, 2, 80);
  b[12] = (b.length >> 2) << 4;
  b[13] = ctl;
  b.set(options, 20);
  return b;
}
const parse = (b: Uint8Array, seg = new Segment(), length = b.length): string | undefined =>
  parseTcp(plainMemory(b), 0, length, SOURCE, DESTINATION, true, seg);
function read(ctl: number, options: readonly number[], seg = new Segment()): Segment {
  expect(parse(withOptions(ctl, options), seg)).toBeUndefined();
  return seg;
}
const MSS = [2, 4, 5, 0xb4],
  WSCALE = [1, 3, 3, 7],
  SACK_OK = [1, 1, 4, 2],
  TIMESTAMPS = [1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6],
  UTO = [28, 4, 0, 9];

describe("parseTcp", () => {
  test("less than a header is short, even if what follows in memory completes it", () => {
    const b = withOptions(ACK, []);
    for (const length of [0, 12, 19]) expect(parse(b, new Segment(), length)).toBe("tcp-short");
    expect(parse(b)).toBeUndefined();
  });
  test("options of one segment do not stay for the next", () => {
    const seg = read(SYN, [...MSS, ...WSCALE, ...SACK_OK, ...TIMESTAMPS, ...UTO]);
    expect(seg).toMatchObject({ mss: 1_460, windowScale: 7, sackPermitted: true, hasTimestamps: true, userTimeoutMs: 9_000 });
    read(ACK, [], seg);
    const none = { mss: 0, windowScale: -1, sackPermitted: false, hasTimestamps: false, userTimeoutMs: -1, sackCount: 0 };
    expect(seg).toMatchObject(none);
    expect(read(ACK, [1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2], seg).sackCount).toBe(1);
    expect(read(ACK, TIMESTAMPS, seg)).toMatchObject({ ...none, hasTimestamps: true, tsVal: 5, tsEcr: 6 });
  });
  test("timestamps are the same alone, behind another option, and without padding in front", () => {
    for (const options of [TIMESTAMPS, [...UTO, ...TIMESTAMPS], [8, 10, 0, 0, 0, 5, 0, 0, 0, 6, 1, 1]])
      expect(read(ACK, options)).toMatchObject({ hasTimestamps: true, tsVal: 5, tsEcr: 6 });
  });
  test("a kind whose length would lie beyond the header makes the segment bad, at the end of memory too [9293:MUST-7]", () => {
    expect(parse(withOptions(ACK, [1, 1, 1, 2]))).toBe("9293-MUST-7");
    const inside = new Uint8Array([...withOptions(ACK, [1, 1, 1, 99]), 4, 0, 0, 0]);
    expect(parse(inside)).toBe("9293-MUST-7");
  });
  test("a user timeout is seconds, or minutes with the top bit set [5482:3.3-1]", () => {
    expect(read(ACK, [28, 4, 0, 90]).userTimeoutMs).toBe(90_000);
    expect(read(ACK, [28, 4, 0x80, 90]).userTimeoutMs).toBe(90 * 60_000);
    expect(read(ACK, [28, 4, 0x7f, 0xff]).userTimeoutMs).toBe(32_767_000);
  });
});

describe("emitTcp", () => {
  const emitted = (change: Partial<SegmentHeader>): string => {
    const b = new Uint8Array(80),
      h = Object.assign(new SegmentHeader(), change);
    const length = emitTcp(b, 0, h);
    expect((b[12] as number) >> 4).toBe(length / 4);
    return Buffer.from(b.subarray(20, length)).toString("hex");
  };
  test("a user timeout that 15 bits of seconds do not hold goes out in minutes, the longest as the most that fit", () => {
    expect(emitted({ userTimeoutSeconds: 0x7fff })).toBe("1c047fff");
    expect(emitted({ userTimeoutSeconds: 0x8000 })).toBe("1c048222");
    expect(emitted({ userTimeoutSeconds: 60 * 0x7fff + 600 })).toBe("1c04ffff");
  });
  test("all octets of the header are written, whatever stood there", () => {
    const b = new Uint8Array(24).fill(0xff),
      h = new SegmentHeader();
    Object.assign(h, { sourcePort: 80, destinationPort: 40_000, sequence: 0x01020304, acknowledgment: 0x05060708, ctl: ACK | FIN, window: 0x1122 });
    expect(emitTcp(b, 0, h)).toBe(20);
    expect(Buffer.from(b).toString("hex")).toBe("00509c40" + "01020304" + "05060708" + "50111122" + "00000000" + "ffffffff");
  });
});

describe("finishChecksum", () => {
  const header = (): Uint8Array => withOptions(ACK, TIMESTAMPS);
  test("header, text and pseudo-header sum up to all ones", () => {
    const b = header();
    finishChecksum(b, 0, b.length, 3, SOURCE, DESTINATION, 0x1234 + 0x5600, false);
    expect(fold(pseudoHeaderSum(SOURCE, DESTINATION, PROTOCOL_TCP, b.length + 3) + sumHeader(b, 0, b.length, 0x1234 + 0x5600))).toBe(0xffff);
  });
  test("for a device that completes it, the folded sum of the pseudo-header alone goes in", () => {
    const b = header(),
      far = 0xffff_fff0 | 0;
    finishChecksum(b, 0, b.length, 0, far, far, 0, true);
    expect(((b[16] as number) << 8) | (b[17] as number)).toBe(fold(pseudoHeaderSum(far, far, PROTOCOL_TCP, b.length)));
    // 2 x (ffff + fff0) + 6 + 32 is 4 0004; the carry comes round.
    expect([...b.subarray(16, 18)]).toEqual([0, 8]);
  });
});

test("a super-segment stands for as many segments as its text was cut from", () => {
  const seg = new Segment();
  const of = (textLength: number, gsoSize: number): number => Object.assign(seg, { textLength, gsoSize }).segments;
  expect([of(0, 0), of(1_448, 0), of(1_448, 1_448), of(1_449, 1_448), of(2_896, 1_448), of(2_897, 1_448)]).toEqual([1, 1, 1, 2, 2, 3]);
});

test("control bits are written as tcpdump does", () => {
  expect([0, SYN, SYN | ACK, FIN | ACK, 0x18, ACK, 4, 0xff].map(formatCtl)).toEqual(["", "S", "S.", "F.", "P.", ".", "R", "SFRPUEW."]);
});
