/** What is queued is found by sequence number, on both sides of where the numbers begin anew. */
import { expect, test } from "vitest";
import { PagePool } from "../../src/tcp/pages.js";
import { SendQueue } from "../../src/tcp/send-queue.js";
import { add, seq } from "../../src/tcp/seq.js";
import type { TxRing } from "../../src/wire/frames.js";
import type { Memory } from "../../src/wire/memory.js";
import { createMemory } from "../../src/wire/wasm-memory.js";

const CHUNK = 5_000;

test.each([
  ["2^31", 0x7fffffff],
  ["2^32", 0xffffffff],
])("octets beside %s are gathered, reached and freed as everywhere", (_, last) => {
  const shared = createMemory(4 * CHUNK),
    queue = new SendQueue(new PagePool(createMemory(1 << 21)), 1 << 20);
  const pieces: (readonly [number, number])[] = [];
  const ring = { text: (_memory: Memory, offset: number, length: number) => pieces.push([offset, length]) } as unknown as TxRing;
  // The numbers begin anew in the second of four chunks.
  const base = add(seq(last), -7_000);
  queue.base = base;
  for (let i = 0; i < 4; i++) expect(queue.appendShared(shared, i * CHUNK, CHUNK)).toBe(CHUNK);

  queue.gather(ring, add(base, 6_000), 5_000, false);
  expect(pieces.splice(0)).toEqual([
    [6_000, 4_000],
    [10_000, 1_000],
  ]);
  expect(queue.reach(add(base, 12_000), 20_000)).toBe(8_000);

  queue.acknowledge(add(base, 12_000));
  expect(queue.length).toBe(8_000);
  queue.gather(ring, add(base, 14_000), 6_000, false);
  expect(pieces).toEqual([
    [14_000, 1_000],
    [15_000, 5_000],
  ]);
});
