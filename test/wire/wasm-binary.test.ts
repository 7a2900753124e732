/** Numbers as WebAssembly's binary format has them: LEB128, with the examples of its appendix in DWARF and both sides of each length. */
import { expect, test } from "vitest";
import { signed, unsigned } from "../../src/wire/wasm-binary.js";

test.each([
  [0, [0x00]],
  [127, [0x7f]],
  [128, [0x80, 0x01]],
  [16_383, [0xff, 0x7f]],
  [624_485, [0xe5, 0x8e, 0x26]],
])("unsigned %i", (n, octets) => expect(unsigned(n)).toEqual(octets));

test.each([
  [0, [0x00]],
  [63, [0x3f]],
  [64, [0xc0, 0x00]],
  [-1, [0x7f]],
  [-64, [0x40]],
  [-65, [0xbf, 0x7f]],
  [-123_456, [0xc0, 0xbb, 0x78]],
])("signed %i", (n, octets) => expect(signed(n)).toEqual(octets));
