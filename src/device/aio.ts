/**
 * Linux AIO as a way to make many system calls in one: on a descriptor that does not block, `io_submit` runs each write at
 * once and in order, and all results are there when it returns. No thread, no signal, nothing pending.
 */
import { type Libc, libc } from "./libc.js";

/** From asm/unistd_64.h of x86-64; every newer port has the generic table. */
const [IO_SETUP, IO_DESTROY, IO_SUBMIT] = process.arch === "x64" ? ([206, 207, 209] as const) : ([0, 1, 2] as const);

export const IOCB_CMD_PWRITEV = 8;

/** struct iocb, in 32-bit words: data 0, opcode 4 (16 bit), descriptor 5, buffer 6, count 8. */
export const IOCB_WORDS = 16,
  IOCB_DATA = 0,
  IOCB_OPCODE = 4,
  IOCB_FD = 5,
  IOCB_BUFFER = 6,
  IOCB_COUNT = 8;

/** struct aio_ring, shared with the kernel: head, tail, magic in words 2, 3, 4; 32-byte events from word 8 on. */
const RING_HEAD = 2,
  RING_TAIL = 3,
  RING_MAGIC = 4,
  RING_EVENTS = 8,
  EVENT_WORDS = 8,
  EVENT_RESULT = 4;
const MAGIC = 0xa10a10a1;

/** A context: room for results of what is submitted. */
export class Aio {
  readonly #libc: Libc;
  readonly #context: number;
  readonly #slots: number;
  #ring: Int32Array | undefined;

  private constructor(c: Libc, context: number, slots: number, ring: Int32Array) {
    this.#libc = c;
    this.#context = context;
    this.#slots = slots;
    this.#ring = ring;
  }

  /**
   * @param entries requests of one submit at most
   * @returns undefined where the kernel refuses: not built in, a seccomp profile, or fs.aio-max-nr reached
   */
  static make(entries: number): Aio | undefined {
    const c = libc(),
      out = new Uint32Array(new ArrayBuffer(8));
    if (c.syscall(IO_SETUP, entries, c.address(out), 0, 0, 0) < 0) return undefined;
    const context = (out[0] as number) + (out[1] as number) * 2 ** 32;
    try {
      const slots = new Uint32Array(c.view(context, 32))[1] as number;
      const ring = new Int32Array(c.view(context, 32 + slots * 32));
      if ((ring[RING_MAGIC] as number) >>> 0 === MAGIC && slots > entries) return new Aio(c, context, slots, ring);
    } catch {
      // this build of Node gives no views on foreign memory
    }
    c.syscall(IO_DESTROY, context, 0, 0, 0, 0);
    return undefined;
  }

  /**
   * Runs requests.
   * @param pointers address of an array of pointers to iocbs
   * @param results result or minus errno of each that was run, at its iocb's `data`
   * @returns how many were run; minus errno if none was
   */
  submit(pointers: number, count: number, results: Int32Array): number {
    const ring = this.#ring;
    if (ring === undefined) return 0;
    const run = this.#libc.syscall(IO_SUBMIT, this.#context, count, pointers, 0, 0);
    if (run < 0) return -this.#libc.errno();
    let head = ring[RING_HEAD] as number;
    const tail = ring[RING_TAIL] as number;
    while (head !== tail) {
      const event = RING_EVENTS + head * EVENT_WORDS;
      results[ring[event] as number] = ring[event + EVENT_RESULT] as number;
      if (++head === this.#slots) head = 0;
    }
    ring[RING_HEAD] = head;
    return run;
  }

  /** The ring is unmapped: nothing may look at it any more. */
  close(): void {
    if (this.#ring === undefined) return;
    this.#ring = undefined;
    this.#libc.syscall(IO_DESTROY, this.#context, 0, 0, 0, 0);
  }
}
