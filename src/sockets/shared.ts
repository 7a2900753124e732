/** Octets that are sent by reference: made once, sent often, copied never. */
import type { Memory } from "../wire/memory.js";
import { createMemory, plainMemory } from "../wire/wasm-memory.js";
import { SHARED, type SharedChunk } from "./handle.js";

const views = new WeakMap<Uint8Array, SharedChunk>();

function view(memory: Memory): SharedChunk {
  const { bytes } = memory;
  const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) as SharedChunk;
  chunk[SHARED] = { memory, offset: 0 };
  return chunk;
}

/** A copy of `bytes` in memory that checksums are taken of quickly, for sending by reference. It must never change. */
export function share(bytes: Uint8Array): Buffer {
  const memory = createMemory(bytes.length);
  memory.bytes.set(bytes);
  return view(memory);
}

/** The same octets, marked as such. Asked again with the same view it gives the same answer, so that its address is looked up once. */
export function shared(bytes: Uint8Array): Buffer {
  if ((bytes as SharedChunk)[SHARED] !== undefined) return bytes as SharedChunk;
  let chunk = views.get(bytes);
  if (chunk === undefined) {
    chunk = view(plainMemory(bytes));
    views.set(bytes, chunk);
  }
  return chunk;
}
