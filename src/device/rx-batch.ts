/** The arriving ring of drivers that copy frames in: a block filled from its start for each batch. */
import type { RxRing } from "../wire/frames.js";
import type { Memory } from "../wire/memory.js";

export class RxBatch implements RxRing {
  readonly memory: Memory;
  readonly offset: Int32Array;
  readonly length: Int32Array;
  readonly trusted: Uint8Array;
  readonly gsoSize: Uint16Array;

  constructor(memory: Memory, capacity: number) {
    this.memory = memory;
    this.offset = new Int32Array(capacity);
    this.length = new Int32Array(capacity);
    this.trusted = new Uint8Array(capacity);
    this.gsoSize = new Uint16Array(capacity);
  }
}

/** A frame that waits to be read. */
export interface Waiting {
  readonly bytes: Uint8Array;
  readonly gsoSize: number;
  readonly trusted: boolean;
}

/**
 * Moves waiting frames into a ring until it is full. Frames too large for its block are impossible by the device's
 * contract and are left out.
 * @param from first frame to take
 * @returns how many frames were put, and how many taken
 */
export function fill(ring: RxRing, waiting: readonly Waiting[], from: number): { put: number; taken: number } {
  const into = ring.memory.bytes,
    capacity = ring.offset.length;
  let put = 0,
    taken = 0,
    at = 0;
  for (; from + taken < waiting.length && put < capacity; taken++) {
    const frame = waiting[from + taken] as Waiting;
    if (frame.bytes.length > into.length) continue;
    if (at + frame.bytes.length > into.length) break;
    into.set(frame.bytes, at);
    ring.offset[put] = at;
    ring.length[put] = frame.bytes.length;
    ring.trusted[put] = frame.trusted ? 1 : 0;
    ring.gsoSize[put] = frame.gsoSize;
    put++;
    at = (at + frame.bytes.length + 15) & ~15;
  }
  return { put, taken };
}
