/** Arrivals: one read a frame, or as many as are probable in one system call. */
import type { RxRing } from "../wire/frames.js";
import type { Memory } from "../wire/memory.js";
import { createMemory } from "../wire/wasm-memory.js";
import { EAGAIN, EBADF, EBADFD, EINTR, type Libc, libc } from "./libc.js";
import { putAddress, type TunLine } from "./tun-line.js";
import { VNET_HEADER, VNET_NEEDS_CSUM } from "./tun-open.js";
import { OP_READ, RWF_NOWAIT, SQE_ADDRESS, SQE_DATA, SQE_FD, SQE_LENGTH, SQE_OPCODE, SQE_RW_FLAGS, SQE_WORDS, Uring } from "./uring.js";

/** The other flag of struct virtio_net_hdr that vouches for the checksum. */
const DATA_VALID = 2;

/** Octets that a read may fill: the largest packet there is, and the header before it. */
const LARGEST_READ = 65_536 + 64;
/** Frames of a batch. With offload a wake-up has two on average; plain, the rate still grows from 64 to 256. */
const OFFLOAD_BATCH = 64,
  PLAIN_BATCH = 128;
/** Octets of the block that super-segments are read into: it should stay in the processor's cache. */
const OFFLOAD_SLAB = 512 * 1024;

const largestPower = (n: number): number => 2 ** Math.floor(Math.log2(n));
const up64 = (n: number): number => (n + 63) & ~63;

export class TunRx implements RxRing {
  readonly memory: Memory;
  readonly offset: Int32Array;
  readonly length: Int32Array;
  readonly trusted: Uint8Array;
  readonly gsoSize: Uint16Array;
  readonly #line: TunLine;
  readonly #libc: Libc;
  readonly #batch: number;
  /** Octets that one read may fill. */
  readonly #room: number;
  readonly #base: number;
  /** Reads that one system call may make. */
  readonly #slots: number;
  readonly #results: Int32Array;
  /** Made for the first batch. Null where there is none: with offload, on request, or where the kernel refuses. */
  #uring: Uring | null | undefined;
  /** Requests since the start. */
  #asked = 0;
  /** Reads of the next batch. */
  #guess = 1;

  constructor(line: TunLine, mtu: number) {
    this.#line = line;
    const c = (this.#libc = libc());
    // One octet beyond the MTU at least: a frame that fills its room was longer, and is cut (an MTU raised by hand).
    this.#room = line.vnet ? LARGEST_READ : up64(Math.max(mtu, 1500) + 1);
    this.#batch = line.vnet ? OFFLOAD_BATCH : PLAIN_BATCH;
    this.memory = createMemory(line.vnet ? OFFLOAD_SLAB : this.#room * Math.min(this.#batch, Math.ceil((1 << 21) / this.#room)));
    this.#base = c.address(this.memory.bytes);
    const batch = this.#batch;
    this.offset = new Int32Array(batch);
    this.length = new Int32Array(batch);
    this.trusted = new Uint8Array(batch);
    this.gsoSize = new Uint16Array(batch);
    if (line.vnet || line.aio === undefined) this.#uring = null;
    this.#slots = largestPower(Math.min(batch, Math.floor(this.memory.bytes.length / this.#room)));
    this.#results = new Int32Array(this.#slots);
  }

  #openUring(): Uring | null {
    const uring = Uring.make(this.#slots, false);
    if (uring === undefined) return null;
    for (let i = 0; i < this.#slots; i++) {
      const sqe = i * SQE_WORDS;
      uring.sqes[sqe + SQE_OPCODE] = OP_READ;
      uring.sqes[sqe + SQE_FD] = this.#line.fd;
      putAddress(uring.sqes, sqe + SQE_ADDRESS, this.#base + i * this.#room);
      uring.sqes[sqe + SQE_LENGTH] = this.#room;
      uring.sqes[sqe + SQE_RW_FLAGS] = RWF_NOWAIT;
      uring.sqes[sqe + SQE_DATA] = i;
    }
    return uring;
  }

  read(): number {
    if (!this.#line.live) return 0;
    return this.#guess > 1 ? this.#readMany() : this.#readEach();
  }

  /** One system call a frame, packed one behind the other. */
  #readEach(): number {
    const { fd } = this.#line,
      c = this.#libc,
      room = this.#room,
      last = this.memory.bytes.length - room;
    let frames = 0,
      at = 0;
    while (frames < this.#batch && at <= last) {
      const length = c.read(fd, this.#base + at, room);
      if (length <= 0) {
        const errno = length < 0 ? c.errno() : EAGAIN;
        if (errno === EINTR) continue;
        if (errno !== EAGAIN) this.#failed(errno);
        break;
      }
      if (this.#accept(frames, at, length)) frames++;
      at = up64(at + length);
    }
    if (this.#uring !== null && frames > 1) this.#guess = Math.min(this.#slots, frames);
    return frames;
  }

  /** Many reads in one system call, as many as the last batch makes probable. */
  #readMany(): number {
    if (this.#uring === undefined) this.#uring = this.#openUring();
    const uring = this.#uring,
      asked = this.#guess,
      first = this.#asked,
      results = this.#results;
    const run = uring === null ? 0 : Math.max(0, uring.run(first + asked, asked));
    uring?.reap(results);
    this.#asked += asked;
    let frames = 0;
    for (let n = first; n < first + run; n++) {
      const i = n & (this.#slots - 1),
        length = results[i] as number;
      if (length > 0) {
        if (this.#accept(frames, i * this.#room, length)) frames++;
      } else if (length !== -EAGAIN && length !== 0) this.#failed(-length);
    }
    if (run === asked) this.#guess = frames === asked ? Math.min(this.#slots, asked * 2) : frames < 3 ? 1 : frames + 1;
    else {
      this.close();
      this.#guess = 1;
    }
    return run === 0 ? this.#readEach() : frames;
  }

  /** Each read has a system call of its own from here on. */
  close(): void {
    this.#uring?.close();
    this.#uring = null;
  }

  #accept(slot: number, at: number, length: number): boolean {
    const { counters, vnet } = this.#line;
    if (length === this.#room || (vnet && length < VNET_HEADER)) {
      counters.rxErrors++;
      return false;
    }
    let trusted = 0,
      gsoSize = 0;
    if (vnet) {
      const bytes = this.memory.bytes;
      trusted = ((bytes[at] as number) & (VNET_NEEDS_CSUM | DATA_VALID)) !== 0 ? 1 : 0;
      if (bytes[at + 1] !== 0) gsoSize = (bytes[at + 4] as number) | ((bytes[at + 5] as number) << 8);
      at += VNET_HEADER;
      length -= VNET_HEADER;
    }
    this.offset[slot] = at;
    this.length[slot] = length;
    this.trusted[slot] = trusted;
    this.gsoSize[slot] = gsoSize;
    counters.rxFrames++;
    counters.rxBytes += length;
    return true;
  }

  #failed(errno: number): void {
    this.#line.counters.rxErrors++;
    if (errno === EBADFD || errno === EBADF) this.#line.gone(errno);
  }
}
