/** Arrivals: one read a frame, or as many as are probable in one system call. */
import type { RxRing } from "../wire/frames.js";
import type { Memory } from "../wire/memory.js";
import { createMemory } from "../wire/wasm-memory.js";
import { type Aio, IOCB_BUFFER, IOCB_CMD_PREAD, IOCB_COUNT, IOCB_DATA, IOCB_FD, IOCB_OPCODE, IOCB_WORDS } from "./aio.js";
import { EAGAIN, EBADF, EBADFD, EINTR, type Libc, libc } from "./libc.js";
import { putAddress, type TunLine, words } from "./tun-line.js";
import { VNET_HEADER } from "./tun-open.js";

/** struct virtio_net_hdr: which of its flags vouch for the checksum. */
const NEEDS_CSUM = 1,
  DATA_VALID = 2;

/** Octets that a read may fill: the largest packet there is, and the header before it. */
const LARGEST_READ = 65_536 + 64;
/** Frames of a batch. With offload a wake-up has two on average; plain, the rate still grows from 64 to 256. */
const OFFLOAD_BATCH = 64,
  PLAIN_BATCH = 128;
/** Octets of the block that super-segments are read into: it should stay in the processor's cache. */
const OFFLOAD_SLAB = 512 * 1024;

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
  readonly #results: Int32Array;
  readonly #iocbs: Uint32Array;
  readonly #pointers: Uint32Array;
  readonly #pointersAt: number;
  #aio: boolean;
  /** Reads of the next submit. */
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
    this.#aio = !line.vnet && line.aio !== undefined;
    const slots = this.#aio ? Math.min(batch, Math.floor(this.memory.bytes.length / this.#room)) : 0;
    this.#results = new Int32Array(slots);
    this.#iocbs = words(slots * IOCB_WORDS);
    this.#pointers = words(slots * 2);
    this.#pointersAt = c.address(this.#pointers);
    const iocbsAt = c.address(this.#iocbs);
    for (let i = 0; i < slots; i++) {
      const iocb = i * IOCB_WORDS;
      this.#iocbs[iocb + IOCB_DATA] = i;
      this.#iocbs[iocb + IOCB_OPCODE] = IOCB_CMD_PREAD;
      this.#iocbs[iocb + IOCB_FD] = line.fd;
      putAddress(this.#iocbs, iocb + IOCB_BUFFER, this.#base + i * this.#room);
      this.#iocbs[iocb + IOCB_COUNT] = this.#room;
      putAddress(this.#pointers, i * 2, iocbsAt + iocb * 4);
    }
  }

  read(): number {
    if (!this.#line.live) return 0;
    return this.#aio && this.#guess > 1 ? this.#readMany() : this.#readEach();
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
    if (this.#aio && frames > 1) this.#guess = Math.min(this.#results.length, frames);
    return frames;
  }

  /** Many reads in one system call, as many as the last batch makes probable. */
  #readMany(): number {
    const aio = this.#line.aio as Aio,
      asked = this.#guess,
      results = this.#results,
      room = this.#room;
    results.fill(-EAGAIN, 0, asked);
    const run = aio.submit(this.#pointersAt, asked, results);
    if (run <= 0) {
      this.#aio = false;
      return this.#readEach();
    }
    let frames = 0;
    for (let i = 0; i < run; i++) {
      const length = results[i] as number;
      if (length > 0) {
        if (this.#accept(frames, i * room, length)) frames++;
      } else if (length !== -EAGAIN && length !== 0) this.#failed(-length);
    }
    this.#guess = frames === asked ? Math.min(results.length, asked * 2) : frames < 3 ? 1 : frames + 1;
    return frames;
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
      trusted = ((bytes[at] as number) & (NEEDS_CSUM | DATA_VALID)) !== 0 ? 1 : 0;
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
