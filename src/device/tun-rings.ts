/**
 * The rings of a TUN: the only file that makes raw addresses of memory for the kernel to read and write. Each is the
 * address of a block that this file holds on to, plus an offset and a length that were checked against the block.
 */
import { HEADER_SLOT, type RxRing, type TxRing } from "../wire/frames.js";
import type { Memory } from "../wire/memory.js";
import { createMemory } from "../wire/wasm-memory.js";
import { type Aio, IOCB_BUFFER, IOCB_CMD_PREAD, IOCB_CMD_PWRITEV, IOCB_COUNT, IOCB_DATA, IOCB_FD, IOCB_OPCODE, IOCB_WORDS } from "./aio.js";
import type { DeviceCounters } from "./device.js";
import { EAGAIN, EBADF, EBADFD, EINTR, type Libc, libc } from "./libc.js";
import { VNET_HEADER } from "./tun-open.js";
import { checkEnd, checkPiece, MAX_PIECES } from "./tx-queue.js";

/** struct virtio_net_hdr: which of its flags vouch for the checksum, and what it calls TCP super-segments. */
const NEEDS_CSUM = 1,
  DATA_VALID = 2,
  GSO_TCPV4 = 1,
  GSO_TCPV6 = 4;
const TCP_CHECKSUM_FIELD = 16;

/** Octets that a read may fill: the largest packet there is, and the header before it. */
const LARGEST_READ = 65_536 + 64;
/** Frames of a batch. With offload a wake-up has two on average; plain, the rate still grows from 64 to 256. */
const OFFLOAD_BATCH = 64,
  PLAIN_BATCH = 128;
/** Octets of the block that super-segments are read into: it should stay in the processor's cache. */
const OFFLOAD_SLAB = 512 * 1024;

const up64 = (n: number): number => (n + 63) & ~63;

/** Words that the kernel reads through pointers, at an address that never changes. */
function words(count: number): Uint32Array {
  return new Uint32Array(new ArrayBuffer(count * 4));
}

function putAddress(into: Uint32Array, word: number, address: number): void {
  into[word] = address;
  into[word + 1] = address / 0x1_0000_0000;
}

/** The state that both rings share: the descriptor, batching, and what went wrong. */
export interface TunLine {
  readonly fd: number;
  readonly vnet: boolean;
  readonly aio: Aio | undefined;
  readonly counters: DeviceCounters;
  /** False once the descriptor is closed or the link deleted. */
  live: boolean;
  /** Told when a call said that the link is gone. */
  gone(errno: number): void;
}

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

/** Frames of one flush at most. */
const TX_FRAMES = 256;
/** A header slot with room for the vnet header right before it, on a 16-byte boundary. */
const SLOT = HEADER_SLOT + 16;
/** struct iovec is two 64-bit words; each frame has one for its header and up to {@link MAX_PIECES} more. */
const IOVEC_WORDS = 4,
  FRAME_IOVECS = MAX_PIECES + 1,
  FRAME_WORDS = FRAME_IOVECS * IOVEC_WORDS;

export class TunTx implements TxRing {
  readonly memory: Memory;
  readonly #line: TunLine;
  readonly #libc: Libc;
  readonly #vnet: number;
  readonly #base: number;
  readonly #iovecs = words(TX_FRAMES * FRAME_WORDS);
  readonly #iovecsAt: number;
  readonly #iocbs = words(TX_FRAMES * IOCB_WORDS);
  readonly #pointers = words(TX_FRAMES * 2);
  readonly #pointersAt: number;
  readonly #results = new Int32Array(TX_FRAMES);
  readonly #length = new Int32Array(TX_FRAMES);
  /** Keeps alive what the iovecs point to. */
  readonly #held: (Memory | undefined)[] = new Array<Memory | undefined>(TX_FRAMES * MAX_PIECES).fill(undefined);
  readonly #addresses = new WeakMap<Memory, number>();
  #lastMemory: Memory | undefined;
  #lastAddress = 0;
  #aio: boolean;
  #count = 0;
  #open = false;
  #pieces = 0;
  #textLength = 0;

  constructor(line: TunLine) {
    this.#line = line;
    const c = (this.#libc = libc());
    this.#vnet = line.vnet ? VNET_HEADER : 0;
    this.#aio = line.aio !== undefined;
    this.memory = createMemory(TX_FRAMES * SLOT);
    this.#base = c.address(this.memory.bytes);
    this.#iovecsAt = c.address(this.#iovecs);
    this.#pointersAt = c.address(this.#pointers);
    const iocbsAt = c.address(this.#iocbs);
    for (let i = 0; i < TX_FRAMES; i++) {
      const iocb = i * IOCB_WORDS;
      this.#iocbs[iocb + IOCB_DATA] = i;
      this.#iocbs[iocb + IOCB_OPCODE] = IOCB_CMD_PWRITEV;
      this.#iocbs[iocb + IOCB_FD] = line.fd;
      putAddress(this.#iocbs, iocb + IOCB_BUFFER, this.#iovecsAt + i * FRAME_WORDS * 4);
      putAddress(this.#pointers, i * 2, iocbsAt + iocb * 4);
      putAddress(this.#iovecs, i * FRAME_WORDS, this.#base + i * SLOT + 16 - this.#vnet);
    }
  }

  begin(): number {
    if (this.#count === TX_FRAMES) this.flush();
    this.#open = true;
    this.#pieces = 0;
    this.#textLength = 0;
    return this.#count * SLOT + 16;
  }

  text(memory: Memory, offset: number, length: number): void {
    if (!this.#open) throw new Error("text() outside begin() and end()");
    if (length === 0) return;
    checkPiece(memory, offset, length, this.#pieces);
    const piece = this.#pieces++;
    this.#held[this.#count * MAX_PIECES + piece] = memory;
    const iovec = this.#count * FRAME_WORDS + (piece + 1) * IOVEC_WORDS;
    putAddress(this.#iovecs, iovec, (memory === this.#lastMemory ? this.#lastAddress : this.#addressOf(memory)) + offset);
    this.#iovecs[iovec + 2] = length;
    this.#textLength += length;
  }

  end(headerLength: number, gsoSize: number, partialChecksum: boolean): void {
    if (!this.#open) throw new Error("end() without begin()");
    checkEnd(headerLength, gsoSize, partialChecksum, this.#vnet > 0);
    this.#open = false;
    const i = this.#count++;
    this.#length[i] = headerLength + this.#textLength;
    this.#iovecs[i * FRAME_WORDS + 2] = headerLength + this.#vnet;
    this.#iocbs[i * IOCB_WORDS + IOCB_COUNT] = this.#pieces + 1;
    if (this.#vnet > 0) this.#putVnet(i * SLOT + 16, headerLength, gsoSize, partialChecksum);
  }

  /** struct virtio_net_hdr before the IP header at `ip`. The kernel refuses a segment size with nothing to cut. */
  #putVnet(ip: number, headerLength: number, gsoSize: number, partialChecksum: boolean): void {
    const bytes = this.memory.bytes,
      at = ip - VNET_HEADER;
    bytes.fill(0, at, ip);
    if (!partialChecksum) return;
    const first = bytes[ip] as number,
      v6 = first >> 4 === 6;
    bytes[at] = NEEDS_CSUM;
    bytes[at + 6] = v6 ? 40 : (first & 15) * 4;
    bytes[at + 8] = TCP_CHECKSUM_FIELD;
    if (gsoSize === 0 || this.#textLength <= gsoSize) return;
    bytes[at + 1] = v6 ? GSO_TCPV6 : GSO_TCPV4;
    bytes[at + 2] = headerLength;
    bytes[at + 4] = gsoSize;
    bytes[at + 5] = gsoSize >>> 8;
  }

  flush(): void {
    this.#open = false;
    const count = this.#count;
    if (count === 0) return;
    this.#count = 0;
    if (!this.#line.live) this.#line.counters.txErrors += count;
    else {
      let sent = 0;
      if (this.#aio && count > 1) sent = this.#writeMany(count);
      for (; sent < count; sent++) this.#writeOne(sent);
    }
    // The pieces are the caller's again. Most frames have one or none; filling all of the slots is felt in a round trip.
    for (let i = 0; i < count; i++) {
      const pieces = (this.#iocbs[i * IOCB_WORDS + IOCB_COUNT] as number) - 1;
      for (let slot = i * MAX_PIECES, end = slot + pieces; slot < end; slot++) this.#held[slot] = undefined;
    }
  }

  /** @returns frames that the kernel has looked at */
  #writeMany(count: number): number {
    const aio = this.#line.aio as Aio,
      results = this.#results;
    for (let done = 0; ; ) {
      const run = aio.submit(this.#pointersAt + done * 8, count - done, results);
      if (run <= 0) {
        this.#aio = false;
        return done;
      }
      for (const last = done + run; done < last; done++) this.#sent(done, results[done] as number);
      if (done === count) return count;
    }
  }

  #writeOne(i: number): void {
    const c = this.#libc;
    for (;;) {
      const written = c.writev(this.#line.fd, this.#iovecsAt + i * FRAME_WORDS * 4, this.#iocbs[i * IOCB_WORDS + IOCB_COUNT] as number);
      const errno = written < 0 ? c.errno() : 0;
      if (errno === EINTR) continue;
      this.#sent(i, errno === 0 ? written : -errno);
      return;
    }
  }

  #sent(i: number, result: number): void {
    const { counters } = this.#line;
    if (result >= 0) {
      counters.txFrames++;
      counters.txBytes += this.#length[i] as number;
    } else {
      counters.txErrors++;
      if (result === -EBADFD || result === -EBADF) this.#line.gone(-result);
    }
  }

  #addressOf(memory: Memory): number {
    let address = this.#addresses.get(memory);
    if (address === undefined) {
      address = this.#libc.address(memory.bytes);
      this.#addresses.set(memory, address);
    }
    this.#lastMemory = memory;
    return (this.#lastAddress = address);
  }
}
