/** Memory.sum is the Internet checksum's sum, whatever the make of the memory, the start, the length and the octets. */
import fc from "../support/property.js";
import { describe, expect, test } from "vitest";
import type { Memory } from "../../src/wire/memory.js";
import { createMemory, plainMemory } from "../../src/wire/wasm-memory.js";

/** RFC 1071 §4.1, word for word. */
function naive(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += ((bytes[i] as number) << 8) | (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** Zero has two faces in one's complement; a sum of non-zero words never folds to 0 in either code, so none differ. */
const makes: [string, (bytes: Uint8Array) => Memory][] = [
  ["SIMD", (bytes) => filled(createMemory(bytes.length), bytes)],
  ["WebAssembly memory, summed in JavaScript", (bytes) => filled(createMemory(bytes.length, false), bytes)],
  ["plain", plainMemory],
  [
    "plain, at an odd place of its buffer",
    (bytes) => {
      const shifted = new Uint8Array(bytes.length + 3).subarray(3);
      shifted.set(bytes);
      return plainMemory(shifted);
    },
  ],
];
function filled(memory: Memory, bytes: Uint8Array): Memory {
  memory.bytes.set(bytes);
  return memory;
}

describe.each(makes)("%s", (_name, make) => {
  test("sums every offset and length around the SIMD block as RFC 1071 does", () => {
    const bytes = Uint8Array.from({ length: 420 }, (_, i) => (i * 167 + 13) & 255);
    const memory = make(bytes);
    for (let offset = 0; offset < 70; offset++) {
      for (let length = 0; length <= 330; length++) {
        expect(memory.sum(offset, length), `${offset}+${length}`).toBe(naive(bytes.subarray(offset, offset + length)));
      }
    }
  });

  test("sums any octets", () => {
    const memory = make(new Uint8Array(70_000));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(67_000), (octets, offset) => {
        memory.bytes.set(octets, offset);
        expect(memory.sum(offset, octets.length)).toBe(naive(octets));
      }),
      { numRuns: 300 },
    );
  });

  test("does not overflow on octets that are all 0xff, nor forget lanes past 1 MiB", () => {
    const bytes = new Uint8Array((5 << 20) + 77).fill(255);
    bytes[(3 << 20) + 9] = 1;
    const memory = make(bytes);
    expect(memory.sum(0, bytes.length)).toBe(naive(bytes));
    expect(memory.sum(1, 65_535)).toBe(0xff00);
    expect(memory.sum(0, 65_536)).toBe(0xffff);
  });

  test("refuses to look outside", () => {
    const memory = make(new Uint8Array(100));
    expect(() => memory.sum(0, 101)).toThrow(RangeError);
    expect(() => memory.sum(-1, 4)).toThrow(RangeError);
    expect(memory.sum(100, 0)).toBe(0);
  });
});

test("a block is as long as asked, zeroed, and cannot be of a senseless size", () => {
  expect(createMemory(70_001).bytes.length).toBe(70_001);
  expect(createMemory(0).bytes.length).toBe(0);
  expect(createMemory(100).bytes.every((b) => b === 0)).toBe(true);
  expect(() => createMemory(-1)).toThrow(RangeError);
  expect(() => createMemory(1.5)).toThrow(RangeError);
});
