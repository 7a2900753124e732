/**
 * io_uring in two ways. `run` makes many system calls in one, here and now, in order: a request costs less than one of
 * Linux AIO. With a thread of the kernel's (IORING_SETUP_SQPOLL), what is `publish`ed in shared memory is done on another
 * processor, one after the other, while this one goes on; with nothing to do the thread looks for a millisecond, then
 * it sleeps until it is woken.
 */
import { type Libc, libc } from "./libc.js";
import { words } from "./tun-line.js";

/** The same numbers on every architecture. */
const IO_URING_SETUP = 425,
  IO_URING_ENTER = 426;
const SETUP_SQPOLL = 1 << 1;
const ENTER_GETEVENTS = 1 << 0,
  ENTER_SQ_WAKEUP = 1 << 1;
const SQ_NEED_WAKEUP = 1 << 0;
/** One mapping for both rings (Linux 5.4); a thread that needs neither root nor registered files (5.11). */
const FEATURES = (1 << 0) | (1 << 7);
/** Milliseconds that the thread looks for more before it sleeps. Zero would be a second. */
const IDLE_MS = 1;

const PROT_READ_WRITE = 3,
  MAP_SHARED_POPULATE = 0x8001,
  OFFSET_OF_RINGS = 0,
  OFFSET_OF_SQES = 0x1000_0000;

/** struct io_uring_params, in 32-bit words; then its offsets of the rings' fields, in octets from the mapping's start. */
const PARAMS_WORDS = 30,
  SQ_ENTRIES = 0,
  CQ_ENTRIES = 1,
  FLAGS = 2,
  SQ_THREAD_IDLE = 4,
  PARAMS_FEATURES = 5,
  SQ_TAIL = 11,
  SQ_FLAGS = 14,
  SQ_ARRAY = 16,
  CQ_HEAD = 20,
  CQ_TAIL = 21,
  CQES = 25;

export const OP_WRITEV = 2,
  OP_READ = 22;
/** A request that would have to wait fails with EAGAIN; without this it waits, and later ones overtake it. */
export const RWF_NOWAIT = 8;
/** struct io_uring_sqe, in 32-bit words: opcode 0 (8 bit), descriptor 1, address 4, length 6, flags of read and write 7, data 8. */
export const SQE_WORDS = 16,
  SQE_OPCODE = 0,
  SQE_FD = 1,
  SQE_ADDRESS = 4,
  SQE_LENGTH = 6,
  SQE_RW_FLAGS = 7,
  SQE_DATA = 8;
/** struct io_uring_cqe: data 0, result 2. */
const CQE_WORDS = 4,
  CQE_RESULT = 2;

interface Mapping {
  readonly address: number;
  readonly octets: number;
}

export class Uring {
  /** Request n since the start lies at index n modulo the number of entries. */
  readonly sqes: Uint32Array;
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #mappings: readonly Mapping[];
  /** The words of both rings. */
  readonly #ring: Int32Array;
  readonly #sqTail: number;
  readonly #sqFlags: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqes: number;
  readonly #cqMask: number;
  #open = true;

  private constructor(c: Libc, fd: number, params: Uint32Array, rings: Mapping, requests: Mapping) {
    this.#libc = c;
    this.#fd = fd;
    this.#mappings = [rings, requests];
    this.#ring = new Int32Array(c.view(rings.address, rings.octets));
    this.sqes = new Uint32Array(c.view(requests.address, requests.octets));
    const word = (field: number): number => (params[field] as number) >>> 2;
    this.#sqTail = word(SQ_TAIL);
    this.#sqFlags = word(SQ_FLAGS);
    this.#cqHead = word(CQ_HEAD);
    this.#cqTail = word(CQ_TAIL);
    this.#cqes = word(CQES);
    this.#cqMask = (params[CQ_ENTRIES] as number) - 1;
    for (let i = 0, array = word(SQ_ARRAY); i < (params[SQ_ENTRIES] as number); i++) this.#ring[array + i] = i;
  }

  /**
   * @param entries requests that may be under way, a power of two up to 32,768
   * @param thread whether a thread of the kernel's takes them
   * @returns undefined where the kernel refuses: older than 5.11, a seccomp profile (Docker's own), kernel.io_uring_disabled
   */
  static make(entries: number, thread: boolean): Uring | undefined {
    const c = libc(),
      params = words(PARAMS_WORDS);
    params[FLAGS] = thread ? SETUP_SQPOLL : 0;
    params[SQ_THREAD_IDLE] = thread ? IDLE_MS : 0;
    const fd = c.syscall(IO_URING_SETUP, entries, c.address(params), 0, 0, 0);
    if (fd < 0) return undefined;
    const mapped: Mapping[] = [];
    const map = (octets: number, offset: number): Mapping => {
      const address = c.mmap(0, octets, PROT_READ_WRITE, MAP_SHARED_POPULATE, fd, offset);
      if (!Number.isSafeInteger(address)) throw new Error(`mmap: ${c.errnoName(c.errno())}`);
      const mapping = { address, octets };
      mapped.push(mapping);
      return mapping;
    };
    try {
      if (((params[PARAMS_FEATURES] as number) & FEATURES) !== FEATURES) throw new Error("an older kernel");
      // A profile may forbid this one alone, and without it nobody wakes the thread.
      if (c.syscall(IO_URING_ENTER, fd, 0, 0, 0, 0) < 0) throw new Error("io_uring_enter is refused");
      const of = (field: number): number => params[field] as number;
      const rings = map(Math.max(of(SQ_ARRAY) + of(SQ_ENTRIES) * 4, of(CQES) + of(CQ_ENTRIES) * CQE_WORDS * 4), OFFSET_OF_RINGS);
      return new Uring(c, fd, params, rings, map(of(SQ_ENTRIES) * SQE_WORDS * 4, OFFSET_OF_SQES));
    } catch {
      // or no memory, or this build of Node gives no views on foreign memory
      for (const m of mapped) c.munmap(m.address, m.octets);
      c.close(fd);
      return undefined;
    }
  }

  /**
   * Does the `count` requests before the one numbered `end`, and returns when they are done.
   * @returns how many were; minus 1 if none was
   */
  run(end: number, count: number): number {
    Atomics.store(this.#ring, this.#sqTail, end | 0);
    return this.#enter(count, count, ENTER_GETEVENTS);
  }

  /** The thread may take the requests before the one numbered `end`. */
  publish(end: number): void {
    Atomics.store(this.#ring, this.#sqTail, end | 0);
    if ((Atomics.load(this.#ring, this.#sqFlags) & SQ_NEED_WAKEUP) !== 0) this.#enter(0, 0, ENTER_SQ_WAKEUP);
  }

  /**
   * @param results result or minus errno of each request that is done, at its `data`
   * @returns how many are new
   */
  reap(results: Int32Array): number {
    const ring = this.#ring,
      tail = Atomics.load(ring, this.#cqTail),
      first = ring[this.#cqHead] as number;
    for (let head = first; head !== tail; head = (head + 1) | 0) {
      const cqe = this.#cqes + (head & this.#cqMask) * CQE_WORDS;
      results[ring[cqe] as number] = ring[cqe + CQE_RESULT] as number;
    }
    Atomics.store(ring, this.#cqHead, tail);
    return (tail - first) | 0;
  }

  /** Sleeps until there are results of `count` requests to reap, or a signal comes. */
  wait(count: number): void {
    this.#enter(0, count, ENTER_GETEVENTS | ENTER_SQ_WAKEUP);
  }

  #enter(requests: number, results: number, flags: number): number {
    return this.#libc.syscall(IO_URING_ENTER, this.#fd, requests, results, flags, 0);
  }

  /** Nothing may be under way. The rings are unmapped: nothing may look at them any more. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const m of this.#mappings) this.#libc.munmap(m.address, m.octets);
    this.#libc.close(this.#fd);
  }
}
