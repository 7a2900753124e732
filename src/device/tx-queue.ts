/** The leaving ring of drivers that gather: frames are noted until `flush`, then handed over whole, one by one. */
import { HEADER_SLOT, type TxRing } from "../wire/frames.js";
import type { Memory } from "../wire/memory.js";
import { plainMemory } from "../wire/wasm-memory.js";

/** Pieces of payload that a frame may have beside its header. */
export const MAX_PIECES = 8;

/** Copies one frame to `into` at `at` and says how long it is. */
export type Gather = (into: Uint8Array, at: number) => number;

/** Takes each frame of a flush in order. The frame's octets are had by `gather`, during the call only. */
export type Sink = (length: number, gsoSize: number, partialChecksum: boolean, gather: Gather) => void;

export class TxQueue implements TxRing {
  readonly memory: Memory;
  readonly #capacity: number;
  readonly #sink: Sink;
  readonly #allowPartial: boolean;
  #count = 0;
  #open = false;
  #pieces = 0;
  readonly #headerLength: Int32Array;
  readonly #length: Int32Array;
  readonly #gsoSize: Int32Array;
  readonly #partial: Uint8Array;
  readonly #pieceCount: Uint8Array;
  readonly #pieceMemory: (Memory | undefined)[];
  readonly #pieceOffset: Int32Array;
  readonly #pieceLength: Int32Array;
  #current = 0;
  readonly #gather: Gather = (into, at) => this.#copy(this.#current, into, at);

  /**
   * @param allowPartial whether the driver can complete checksums
   * @param capacity frames of one flush
   */
  constructor(sink: Sink, allowPartial: boolean, capacity = 256) {
    this.#sink = sink;
    this.#allowPartial = allowPartial;
    this.#capacity = capacity;
    this.memory = plainMemory(new Uint8Array(capacity * HEADER_SLOT));
    this.#headerLength = new Int32Array(capacity);
    this.#length = new Int32Array(capacity);
    this.#gsoSize = new Int32Array(capacity);
    this.#partial = new Uint8Array(capacity);
    this.#pieceCount = new Uint8Array(capacity);
    this.#pieceMemory = new Array<Memory | undefined>(capacity * MAX_PIECES).fill(undefined);
    this.#pieceOffset = new Int32Array(capacity * MAX_PIECES);
    this.#pieceLength = new Int32Array(capacity * MAX_PIECES);
  }

  begin(): number {
    if (this.#count === this.#capacity) this.flush();
    this.#open = true;
    this.#pieces = 0;
    return this.#count * HEADER_SLOT;
  }

  text(memory: Memory, offset: number, length: number): void {
    if (!this.#open) throw new Error("text() outside begin() and end()");
    if (length === 0) return;
    checkPiece(memory, offset, length, this.#pieces);
    const piece = this.#count * MAX_PIECES + this.#pieces++;
    this.#pieceMemory[piece] = memory;
    this.#pieceOffset[piece] = offset;
    this.#pieceLength[piece] = length;
  }

  end(headerLength: number, gsoSize: number, partialChecksum: boolean): void {
    if (!this.#open) throw new Error("end() without begin()");
    checkEnd(headerLength, gsoSize, partialChecksum, this.#allowPartial);
    const i = this.#count++;
    let length = headerLength;
    for (let p = i * MAX_PIECES, last = p + this.#pieces; p < last; p++) length += this.#pieceLength[p] as number;
    this.#headerLength[i] = headerLength;
    this.#length[i] = length;
    this.#gsoSize[i] = gsoSize;
    this.#partial[i] = partialChecksum ? 1 : 0;
    this.#pieceCount[i] = this.#pieces;
    this.#open = false;
  }

  submit(): void {
    this.flush();
  }

  flush(): void {
    this.#open = false;
    const count = this.#count;
    for (this.#current = 0; this.#current < count; this.#current++) {
      const i = this.#current;
      this.#sink(this.#length[i] as number, this.#gsoSize[i] as number, this.#partial[i] === 1, this.#gather);
      this.#pieceMemory.fill(undefined, i * MAX_PIECES, i * MAX_PIECES + (this.#pieceCount[i] as number));
    }
    this.#count = 0;
  }

  #copy(i: number, into: Uint8Array, at: number): number {
    const header = this.#headerLength[i] as number,
      slot = i * HEADER_SLOT;
    into.set(this.memory.bytes.subarray(slot, slot + header), at);
    at += header;
    for (let p = i * MAX_PIECES, last = p + (this.#pieceCount[i] as number); p < last; p++) {
      const from = this.#pieceOffset[p] as number,
        length = this.#pieceLength[p] as number;
      into.set((this.#pieceMemory[p] as Memory).bytes.subarray(from, from + length), at);
      at += length;
    }
    return this.#length[i] as number;
  }
}

/** The rules of `TxRing.text`, for every driver. Breaking them is our own bug, so it throws. */
export function checkPiece(memory: Memory, offset: number, length: number, pieces: number): void {
  if (pieces >= MAX_PIECES) throw new Error(`a frame has at most ${MAX_PIECES} pieces`);
  if (!(offset >= 0 && length >= 0 && offset + length <= memory.bytes.length)) {
    throw new RangeError(`octets ${offset} + ${length} are outside the block of ${memory.bytes.length}`);
  }
}

/** The rules of `TxRing.end`, for every driver. */
export function checkEnd(headerLength: number, gsoSize: number, partialChecksum: boolean, allowPartial: boolean): void {
  if (!(headerLength >= 0 && headerLength <= HEADER_SLOT)) throw new RangeError(`a header of ${headerLength} octets does not fit its slot of ${HEADER_SLOT}`);
  if (!(gsoSize >= 0 && gsoSize <= 0xffff)) throw new RangeError(`a segment size of ${gsoSize} is none`);
  if ((partialChecksum || gsoSize > 0) && !allowPartial) throw new Error("this device completes no checksums and cuts no super-segments");
}
