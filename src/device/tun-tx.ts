/**
 * Departures. Frames lie in a ring of slots until `flush` or `submit`. A few go in one system call here and now: the peer
 * may be waiting for them. A stream's frames go to a thread of the kernel's (`uring.ts`), so that the copy and the way to
 * the peer's socket, which are most of the work, happen on another processor while the next frames are made.
 *
 *      done            asked             made           done + TX_FRAMES
 *       |  io_uring's    |  since then     |  free            |
 */
import { availableParallelism } from "node:os";
import { HEADER_SLOT, type TxRing } from "../wire/frames.js";
import type { Memory } from "../wire/memory.js";
import { createMemory } from "../wire/wasm-memory.js";
import { type Aio, IOCB_BUFFER, IOCB_CMD_PWRITEV, IOCB_COUNT, IOCB_DATA, IOCB_FD, IOCB_OPCODE, IOCB_WORDS } from "./aio.js";
import { EAGAIN, EBADF, EBADFD, EINTR, EOPNOTSUPP, type Libc, libc } from "./libc.js";
import { putAddress, type TunLine, words } from "./tun-line.js";
import { VNET_HEADER, VNET_NEEDS_CSUM } from "./tun-open.js";
import { checkEnd, checkPiece, MAX_PIECES } from "./tx-queue.js";
import { OP_WRITEV, RWF_NOWAIT, SQE_ADDRESS, SQE_DATA, SQE_FD, SQE_LENGTH, SQE_OPCODE, SQE_RW_FLAGS, SQE_WORDS, Uring } from "./uring.js";

/** What struct virtio_net_hdr calls TCP super-segments. */
const GSO_TCPV4 = 1,
  GSO_TCPV6 = 4;
const TCP_CHECKSUM_FIELD = 16;

/** Slots: a power of two, so that a count of frames names one. */
const TX_FRAMES = 256;
/** A header slot with room for the vnet header right before it, on a 16-byte boundary. */
const SLOT = HEADER_SLOT + 16;
/** struct iovec is two 64-bit words; each frame has one for its header and up to {@link MAX_PIECES} more. */
const IOVEC_WORDS = 4,
  FRAME_IOVECS = MAX_PIECES + 1,
  FRAME_WORDS = FRAME_IOVECS * IOVEC_WORDS;

/** Octets of text in frames that wait, from which on they are a stream's: waking the kernel's thread takes as long as writing these. */
const STREAM = 128 * 1024;
/** Frames that the kernel's thread is given at a time while it is at work. */
const PORTION = 4;
/** Slots that are waited for when none is free. */
const ROOM = 64;

const slot = (frame: number): number => frame & (TX_FRAMES - 1);

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
  /** Pieces of text of each. */
  readonly #pieceCount = new Uint8Array(TX_FRAMES);
  /** Keeps alive what the iovecs point to. */
  readonly #held: (Memory | undefined)[] = new Array<Memory | undefined>(TX_FRAMES * MAX_PIECES).fill(undefined);
  readonly #addresses = new WeakMap<Memory, number>();
  #lastMemory: Memory | undefined;
  #lastAddress = 0;
  #aio: boolean;
  /** Made for the first stream. Null where the kernel refuses, or there is no second processor. */
  #uring: Uring | null | undefined;
  /** Frames since the start: those whose slots are free again, those that io_uring has been given, those that were made. */
  #done = 0;
  #asked = 0;
  #made = 0;
  /** Octets of text in the frames from `asked` to `made`. */
  #waiting = 0;
  #open = false;
  #pieces = 0;
  #textLength = 0;

  /** @param line without `aio` each frame has its own system call */
  constructor(line: TunLine) {
    this.#line = line;
    const c = (this.#libc = libc());
    this.#vnet = line.vnet ? VNET_HEADER : 0;
    this.#aio = line.aio !== undefined;
    if (!this.#aio) this.#uring = null;
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
    if (this.#made - this.#done === TX_FRAMES) this.#makeRoom();
    this.#open = true;
    this.#pieces = 0;
    this.#textLength = 0;
    return slot(this.#made) * SLOT + 16;
  }

  text(memory: Memory, offset: number, length: number): void {
    if (!this.#open) throw new Error("text() outside begin() and end()");
    if (length === 0) return;
    checkPiece(memory, offset, length, this.#pieces);
    const i = slot(this.#made),
      piece = this.#pieces++;
    this.#held[i * MAX_PIECES + piece] = memory;
    const iovec = i * FRAME_WORDS + (piece + 1) * IOVEC_WORDS;
    putAddress(this.#iovecs, iovec, (memory === this.#lastMemory ? this.#lastAddress : this.#addressOf(memory)) + offset);
    this.#iovecs[iovec + 2] = length;
    this.#textLength += length;
  }

  end(headerLength: number, gsoSize: number, partialChecksum: boolean): void {
    if (!this.#open) throw new Error("end() without begin()");
    checkEnd(headerLength, gsoSize, partialChecksum, this.#vnet > 0);
    this.#open = false;
    const i = slot(this.#made++);
    this.#length[i] = headerLength + this.#textLength;
    this.#pieceCount[i] = this.#pieces;
    this.#iocbs[i * IOCB_WORDS + IOCB_COUNT] = this.#pieces + 1;
    this.#waiting += this.#textLength;
    this.#iovecs[i * FRAME_WORDS + 2] = headerLength + this.#vnet;
    if (this.#vnet > 0) this.#putVnet(i * SLOT + 16, headerLength, gsoSize, partialChecksum);
    if (this.#asked > this.#done ? this.#made - this.#asked >= PORTION : this.#waiting >= STREAM) this.#ask();
  }

  /** struct virtio_net_hdr before the IP header at `ip`. The kernel refuses a segment size with nothing to cut. */
  #putVnet(ip: number, headerLength: number, gsoSize: number, partialChecksum: boolean): void {
    const bytes = this.memory.bytes,
      at = ip - VNET_HEADER;
    bytes.fill(0, at, ip);
    if (!partialChecksum) return;
    const first = bytes[ip] as number,
      v6 = first >> 4 === 6;
    bytes[at] = VNET_NEEDS_CSUM;
    bytes[at + 6] = v6 ? 40 : (first & 15) * 4;
    bytes[at + 8] = TCP_CHECKSUM_FIELD;
    if (gsoSize === 0 || this.#textLength <= gsoSize) return;
    bytes[at + 1] = v6 ? GSO_TCPV6 : GSO_TCPV4;
    bytes[at + 2] = headerLength;
    bytes[at + 4] = gsoSize;
    bytes[at + 5] = gsoSize >>> 8;
  }

  submit(): void {
    this.#open = false;
    if (this.#asked > this.#done) this.#reap();
    if (this.#made === this.#asked) return;
    // What is made behind a stream stays behind it.
    if (this.#asked > this.#done && this.#line.live) return this.#ask();
    this.#settle();
    this.#write();
  }

  flush(): void {
    this.submit();
    this.#settle();
  }

  /** Sleeps until io_uring has done all that it was given. */
  #settle(): void {
    while (this.#asked > this.#done) this.#await(this.#asked - this.#done);
  }

  #makeRoom(): void {
    this.submit();
    if (this.#made - this.#done === TX_FRAMES) this.#await(Math.min(ROOM, this.#asked - this.#done));
  }

  /** Gives what was made to the kernel's thread, where there is one. */
  #ask(): void {
    if (this.#uring === undefined) this.#uring = this.#openUring();
    if (this.#uring === null || !this.#line.live) return;
    const { sqes } = this.#uring;
    for (; this.#asked < this.#made; this.#asked++) {
      const i = slot(this.#asked);
      sqes[i * SQE_WORDS + SQE_LENGTH] = (this.#pieceCount[i] as number) + 1;
    }
    this.#waiting = 0;
    this.#uring.publish(this.#asked);
  }

  #openUring(): Uring | null {
    // On one processor the thread would look for more in our own time.
    if (availableParallelism() < 2) return null;
    const uring = Uring.make(TX_FRAMES, true);
    if (uring === undefined) return null;
    for (let i = 0; i < TX_FRAMES; i++) {
      const sqe = i * SQE_WORDS;
      uring.sqes[sqe + SQE_OPCODE] = OP_WRITEV;
      uring.sqes[sqe + SQE_FD] = this.#line.fd;
      putAddress(uring.sqes, sqe + SQE_ADDRESS, this.#iovecsAt + i * FRAME_WORDS * 4);
      uring.sqes[sqe + SQE_RW_FLAGS] = RWF_NOWAIT;
      uring.sqes[sqe + SQE_DATA] = i;
    }
    return uring;
  }

  /** Sleeps until io_uring has done `count` more frames. */
  #await(count: number): void {
    this.#uring?.wait(count);
    this.#reap();
  }

  /** Takes io_uring's results, which come in order. */
  #reap(): void {
    const uring = this.#uring as Uring,
      results = this.#results;
    let refused = false;
    for (let count = uring.reap(results); count > 0; count--) {
      const i = slot(this.#done++);
      if (results[i] === -EAGAIN || results[i] === -EOPNOTSUPP) {
        refused = true;
        this.#writeOne(i);
      } else this.#sent(i, results[i] as number);
      this.#letGo(i);
    }
    if (!refused) return;
    // A kernel whose TUN cannot be written to without a chance of sleeping: what it was given is done here, and all from now on.
    this.#settle();
    this.#closeUring();
  }

  #closeUring(): void {
    this.#uring?.close();
    this.#uring = null;
  }

  /** Writes here and now what was made. Its slots are the next ones again, so those of the requests stay in step with io_uring's. */
  #write(): void {
    const first = slot(this.#asked),
      count = this.#made - this.#asked,
      upper = Math.min(count, TX_FRAMES - first);
    this.#made = this.#asked;
    this.#waiting = 0;
    if (!this.#line.live) this.#line.counters.txErrors += count;
    else {
      this.#writeRange(first, upper);
      if (upper < count) this.#writeRange(0, count - upper);
    }
    for (let frame = 0; frame < count; frame++) this.#letGo(slot(first + frame));
  }

  #writeRange(first: number, count: number): void {
    let sent = first;
    if (this.#aio && count > 1) sent = this.#writeMany(first, count);
    for (; sent < first + count; sent++) this.#writeOne(sent);
  }

  /** @returns the slot after the last frame that the kernel has looked at */
  #writeMany(first: number, count: number): number {
    const aio = this.#line.aio as Aio,
      results = this.#results,
      end = first + count;
    for (let done = first; ; ) {
      const run = aio.submit(this.#pointersAt + done * 8, end - done, results);
      if (run <= 0) {
        this.#aio = false;
        return done;
      }
      for (const last = done + run; done < last; done++) this.#sent(done, results[done] as number);
      if (done === end) return end;
    }
  }

  #writeOne(i: number): void {
    const c = this.#libc;
    for (;;) {
      const written = c.writev(this.#line.fd, this.#iovecsAt + i * FRAME_WORDS * 4, (this.#pieceCount[i] as number) + 1);
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

  /** The pieces are the caller's again. Most frames have one or none; filling all of the slots is felt in a round trip. */
  #letGo(i: number): void {
    for (let piece = i * MAX_PIECES, end = piece + (this.#pieceCount[i] as number); piece < end; piece++) this.#held[piece] = undefined;
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

  /** Whether a stream's frames go by io_uring; undefined before the first stream. */
  get streams(): boolean | undefined {
    return this.#uring === undefined ? undefined : this.#uring !== null;
  }

  /** When this returns, the kernel holds no address of ours any more. */
  close(): void {
    this.flush();
    this.#closeUring();
  }
}
