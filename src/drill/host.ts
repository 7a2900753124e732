/** The host under test: our stack between two rings in memory, on a clock that jumps from one deadline to the next. */
import { RxBatch } from "../device/rx-batch.js";
import { TxQueue } from "../device/tx-queue.js";
import type { TcpEvent } from "../tcp/events.js";
import type { TcpOptions } from "../tcp/options.js";
import type { Millis } from "../tcp/time.js";
import type { Memory } from "../wire/memory.js";
import { createMemory, plainMemory } from "../wire/wasm-memory.js";
import { Stack } from "../stack/stack.js";

export interface HostConfig {
  readonly address: string;
  readonly mtu: number;
  readonly options: Partial<TcpOptions>;
  readonly synCookies: "auto" | "off" | "always";
  /** The stack's clock at script time 0, milliseconds. */
  readonly startMs: number;
  /** Called with each frame that the host sends; the octets are the callee's. */
  readonly sent: (frame: Uint8Array) => void;
  /** Called after each step of the stack, for calls that wait. */
  readonly stepped: () => void;
  readonly event?: (event: TcpEvent) => void;
}

const LARGEST_FRAME = 65_535;
/** Deadlines and script times are compared at this grain, microseconds: both went through milliseconds as fractions. */
const GRAIN = 0.01;
/** A stack that asks to be woken again and again without time passing is broken. */
const MOST_STEPS = 10_000;

// One block for all scripts of a process: they run one after the other, and a fresh stack takes all pages anew.
let pages: Memory | undefined;

export class Host {
  readonly stack: Stack;
  /** Script time, microseconds. */
  now = 0;
  #hasWork = false;
  readonly #config: HostConfig;
  readonly #rx = new RxBatch(plainMemory(new Uint8Array(LARGEST_FRAME + 1)), 1);

  constructor(config: HostConfig) {
    this.#config = config;
    let random = 0x9e3779b9;
    this.stack = new Stack({
      addresses: [config.address],
      mtu: config.mtu,
      // Scripts see sequence numbers relative to the ISN, so that any fixed secret serves.
      secret: Uint32Array.of(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344),
      random: () => {
        random ^= random << 13;
        random ^= random >>> 17;
        random ^= random << 5;
        return random >>> 0;
      },
      options: config.options,
      synCookies: config.synCookies,
      limits: { memory: 16 * 1024 * 1024 },
      now: this.millis,
      memory: (pages ??= createMemory(16 * 1024 * 1024)),
    });
    const tx = new TxQueue((length, _gso, _partial, gather) => {
      const frame = new Uint8Array(length);
      gather(frame, 0);
      config.sent(frame);
    }, false);
    this.stack.attach(this.#rx, tx, { checksum: false, maxFrame: config.mtu });
    this.stack.setTimeSource(() => this.millis);
    this.stack.onWork = () => {
      this.#hasWork = true;
    };
    const { event } = config;
    if (event !== undefined) this.stack.addObserver({ wants: () => true, event });
  }

  get millis(): Millis {
    return (this.#config.startMs + this.now / 1_000) as Millis;
  }

  /** A frame arrives now; the stack runs until it has nothing more to do at this instant. */
  inject(frame: Uint8Array, gsoSize = 0): void {
    this.#rx.memory.bytes.set(frame);
    this.#rx.offset[0] = 0;
    this.#rx.length[0] = frame.length;
    this.#rx.trusted[0] = 0;
    this.#rx.gsoSize[0] = gsoSize;
    this.stack.packetsArrive(1, this.millis);
    this.settle();
  }

  /** Sends what user calls and arrivals left to send, at this instant; a call that this completes may leave more. */
  settle(): void {
    do {
      this.#hasWork = false;
      this.stack.transmit(this.millis);
      this.#config.stepped();
    } while (this.#hasWork);
  }

  /** When the next timer is due, microseconds of script time; Infinity if none is armed. */
  nextTimer(): number {
    return (this.stack.nextTimeout() - this.#config.startMs) * 1_000;
  }

  /**
   * Lets the clock run to `until`, timers firing on the way; those due exactly then fire after what happens at it.
   * @param stop asked after each step; true ends the run early, at the time of that step
   */
  run(until: number, stop: () => boolean = () => false): void {
    let steps = 0;
    for (let due = this.nextTimer(); due < until - GRAIN; due = this.nextTimer()) {
      if (++steps > MOST_STEPS && due <= this.now) throw new Error("the stack's timers do not let time pass");
      if (due > this.now) {
        this.now = due;
        steps = 0;
      }
      this.stack.timeout(this.millis);
      this.settle();
      if (stop()) return;
    }
    if (until > this.now && Number.isFinite(until)) this.now = until;
  }
}
