/** IPv4 headers and addresses, octet by octet (RFC 791 §3.1, RFC 1071, RFC 1122 §3.2.1). */
import { describe, expect, test } from "vitest";
import { fold, sumHeader } from "../../src/wire/checksum.js";
import { contains, emitIpv4, IPV4_HEADER, Ipv4Header, parseAddress, parseIpv4, parsePrefix, PROTOCOL_TCP, writeUint16 } from "../../src/wire/ipv4.js";

const SOURCE = 0x0a000001,
  DESTINATION = 0xc0a80102 | 0;
/** A datagram of 20 octets of header and 8 of anything, at `offset` of a block that holds other things before and behind. */
function datagram(offset = 0, change: (b: Uint8Array) => void = () => {}): Uint8Array {
  const block = new Uint8Array(offset + 28 + 64).fill(0xa5),
    b = block.subarray(offset);
  emitIpv4(b, 0, 28, 0, 64, PROTOCOL_TCP, SOURCE, DESTINATION, 0x1234);
  change(b);
  const header = Math.max(4, ((b[0] as number) & 15) << 2);
  writeUint16(b, 10, 0);
  writeUint16(b, 10, ~fold(sumHeader(b, 0, header, 0)));
  return block;
}
const verdict = (b: Uint8Array, length: number, offset = 0): string | undefined => parseIpv4(b, offset, length, new Ipv4Header());

test("the carry of a sum is added again until none is left", () => {
  expect(fold(0x1_ffff)).toBe(1);
  expect(fold(0xffff_ffff)).toBe(0xffff);
  expect(fold(0xfffe)).toBe(0xfffe);
});

describe("parseIpv4", () => {
  test("every field of the header is read", () => {
    const h = new Ipv4Header();
    const b = datagram(5, (x) => {
      x[1] = 0xb9;
      writeUint16(x, 6, 0x2000 | 185);
      x[8] = 7;
    });
    expect(parseIpv4(b, 5, 28, h)).toBeUndefined();
    expect({ ...h }).toEqual({
      headerLength: 20,
      totalLength: 28,
      tos: 0xb9,
      identification: 0x1234,
      dontFragment: false,
      moreFragments: true,
      fragmentOffset: 1_480,
      ttl: 7,
      protocol: PROTOCOL_TCP,
      source: SOURCE,
      destination: DESTINATION,
    });
  });
  test("a frame that ends within the header is short, even if what follows in memory completes it", () => {
    for (const length of [0, 1, 19]) expect(verdict(datagram(), length)).toBe("ip-short");
    expect(verdict(datagram(), 28)).toBeUndefined();
  });
  test("another version is told from a broken header", () => {
    expect(
      verdict(
        datagram(0, (b) => {
          b[0] = 0x65;
        }),
        28,
      ),
    ).toBe("ip-version");
  });
  test("a header length below five words or beyond the frame ends it, though the checksum of that many words is right", () => {
    const withWords = (n: number): Uint8Array =>
      datagram(0, (b) => {
        b[0] = 0x40 | n;
      });
    for (const words of [3, 4]) expect(verdict(withWords(words), 28)).toBe("1122-3.2.1.2");
    expect(verdict(withWords(7), 28)).toBeUndefined();
    expect(verdict(withWords(8), 28)).toBe("1122-3.2.1.2");
  });
  test("a total length below the header's or beyond the frame ends it", () => {
    const withTotal = (n: number): Uint8Array => datagram(0, (b) => writeUint16(b, 2, n));
    expect(verdict(withTotal(19), 28)).toBe("791-total-length");
    expect(verdict(withTotal(20), 28)).toBeUndefined();
    expect(verdict(withTotal(28), 28)).toBeUndefined();
    expect(verdict(withTotal(29), 28)).toBe("791-total-length");
  });
});

test("emitIpv4 writes all twenty octets, whatever stood there", () => {
  const b = new Uint8Array(30).fill(0xff);
  emitIpv4(b, 4, 0x0234, 0xb8, 63, PROTOCOL_TCP, SOURCE, DESTINATION, 0x1234);
  expect(Buffer.from(b).toString("hex")).toBe("ffffffff" + "45b80234" + "12344000" + "3f06" + "5b2d" + "0a000001" + "c0a80102" + "ffffffffffff");
  expect(fold(sumHeader(b, 4, IPV4_HEADER, 0))).toBe(0xffff);
});

describe("addresses", () => {
  test("a dotted quad is four numbers of 0 to 255 and nothing else", () => {
    expect(parseAddress("10.0.0.1")).toBe(SOURCE);
    expect(parseAddress("192.168.1.2")).toBe(DESTINATION);
    expect(parseAddress("255.255.255.255")).toBe(-1);
    for (const text of ["256.0.0.1", "10.0.0.256", "10.0.0", "10.0.0.1.2", "10.0.0.x", "", " 10.0.0.1", "10.0.0.1234", "::1"])
      expect(parseAddress(text), text).toBeUndefined();
  });
  test("a prefix without length is one address; with one it is that many bits", () => {
    const has = (prefix: string, address: string): boolean => contains(parsePrefix(prefix) as never, parseAddress(address) as number);
    expect(parsePrefix("10.0.0.1")).toEqual({ address: SOURCE, mask: -1, bits: 32 });
    expect(parsePrefix("10.0.0.1/32")).toEqual({ address: SOURCE, mask: -1, bits: 32 });
    expect(has("10.0.0.0/30", "10.0.0.3")).toBe(true);
    expect(has("10.0.0.0/30", "10.0.0.4")).toBe(false);
    expect(has("10.0.0.1", "10.0.0.0")).toBe(false);
    expect(parsePrefix("0.0.0.0/0")).toEqual({ address: 0, mask: 0, bits: 0 });
    expect(has("0.0.0.0/0", "203.0.113.9")).toBe(true);
    expect(has("128.0.0.0/1", "127.0.0.1")).toBe(false);
  });
  test("what is not a prefix is refused, not mended", () => {
    for (const text of [
      "10.0.0.0/33",
      "10.0.0.0/99",
      "10.0.0.0/",
      "10.0.0.0/x",
      "10.0.0.0/-1",
      "10.0.0.0/024",
      "10.0.0.0/ 8",
      "10.0.0.0/24/8",
      "10.0.0/24",
      "x/24",
      "/24",
    ])
      expect(parsePrefix(text), text).toBeUndefined();
  });
});
