/**
 * Two devices joined in memory: what one sends, the other reads. For tests and simulations in virtual time, so it uses
 * no clock; the moment of `readable` is the caller's, by `schedule` or `pump`.
 */
import type { Offload } from "../wire/frames.js";
import { plainMemory } from "../wire/wasm-memory.js";
import type { Device, DeviceCounters, DeviceFailure, DeviceHandlers } from "./device.js";
import { Frame } from "./frame.js";
import { fill, RxBatch, type Waiting } from "./rx-batch.js";
import { type Gather, TxQueue } from "./tx-queue.js";

export interface PairOptions {
  /** Largest IP packet of the link, octets. Default 1500. */
  readonly mtu?: number;
  /**
   * `off` (default): frames of at most `mtu` octets with full checksums. `pass`: super-segments and partial checksums
   * cross as they are, as between a TUN and its kernel. `segment`: the sender may make them, the reader gets what they
   * stand for, as behind a real network card.
   */
  readonly offload?: "off" | "pass" | "segment";
  /** Frames that wait for a reader at most; what comes on top is lost and counted as the sender's txErrors. Default 1024. */
  readonly queue?: number;
  /**
   * When to call `readable` of a device that has frames: gets the call, makes it later, never before it returns.
   * Default `queueMicrotask`. With `() => {}` only {@link Pair.pump} delivers.
   */
  readonly schedule?: (call: () => void) => void;
  /** Names of the two. Default "pair-a" and "pair-b". */
  readonly names?: readonly [string, string];
}

export interface Pair {
  readonly a: PairDevice;
  readonly b: PairDevice;
  /** Calls `readable` of whichever end has frames until none is left or `rounds` are over. @returns calls made */
  pump(rounds?: number): number;
}

const BATCH = 64;
const LARGEST_FRAME = 65_535;

export function createPair(options: PairOptions = {}): Pair {
  const [nameA, nameB] = options.names ?? ["pair-a", "pair-b"];
  const a = new PairDevice(nameA, options),
    b = new PairDevice(nameB, options);
  a.join(b);
  b.join(a);
  return {
    a,
    b,
    pump(rounds = 1000): number {
      let calls = 0;
      for (let round = 0; round < rounds; round++) {
        const before = calls;
        for (const end of [a, b]) if (end.deliver()) calls++;
        if (calls === before) break;
      }
      return calls;
    },
  };
}

export class PairDevice implements Device {
  readonly name: string;
  readonly mtu: number;
  readonly offload: Offload;
  readonly rx: RxBatch;
  readonly tx: TxQueue;
  readonly counters: DeviceCounters = { rxFrames: 0, rxBytes: 0, rxErrors: 0, txFrames: 0, txBytes: 0, txErrors: 0 };
  readonly #segment: boolean;
  readonly #limit: number;
  readonly #schedule: (call: () => void) => void;
  readonly #wake = (): void => {
    this.#woken = false;
    this.deliver();
    if (this.#waiting.length > this.#taken) this.#signal();
  };
  #waiting: Waiting[] = [];
  #taken = 0;
  #woken = false;
  #handlers: DeviceHandlers | undefined;
  #closed = false;
  #other!: PairDevice;

  constructor(name: string, options: PairOptions) {
    const kind = options.offload ?? "off";
    this.name = name;
    this.mtu = options.mtu ?? 1500;
    this.offload = kind === "off" ? { checksum: false, maxFrame: this.mtu } : { checksum: true, maxFrame: LARGEST_FRAME };
    this.#segment = kind === "segment";
    this.#limit = options.queue ?? 1024;
    this.#schedule = options.schedule ?? queueMicrotask;
    this.rx = new RxBatch(plainMemory(new Uint8Array(kind === "pass" ? 4 * (LARGEST_FRAME + 1) : BATCH * (this.mtu + 15))), BATCH);
    this.tx = new TxQueue((length, gsoSize, partial, gather) => this.#send(length, gsoSize, partial, gather), kind !== "off");
  }

  /** Names the other end. Called once, by {@link createPair}. */
  join(other: PairDevice): void {
    this.#other = other;
  }

  read(): number {
    if (this.#taken >= this.#waiting.length) return 0;
    const { put, taken } = fill(this.rx, this.#waiting, this.#taken);
    this.#taken += taken;
    if (this.#taken === this.#waiting.length) {
      this.#waiting = [];
      this.#taken = 0;
    }
    for (let i = 0; i < put; i++) this.counters.rxBytes += this.rx.length[i] as number;
    this.counters.rxFrames += put;
    return put;
  }

  start(handlers: DeviceHandlers): void {
    this.#handlers = handlers;
    if (this.#waiting.length > this.#taken) this.#signal();
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#taken = 0;
  }

  /** Makes the device fail as a TUN does whose link was deleted; for tests. */
  fail(failure: DeviceFailure): void {
    if (this.#closed) return;
    this.close();
    this.#handlers?.failed(failure);
  }

  /** Calls `readable` if frames wait. @returns whether it did */
  deliver(): boolean {
    if (this.#closed || this.#handlers === undefined || this.#waiting.length === this.#taken) return false;
    this.#handlers.readable();
    return true;
  }

  #send(length: number, gsoSize: number, partial: boolean, gather: Gather): void {
    const other = this.#other;
    // As the kernel does it: a super-segment counts as one, its segments need not fit one by one.
    if (this.#closed || other.#closed || length > (gsoSize > 0 ? LARGEST_FRAME : this.mtu) || other.#waiting.length - other.#taken >= this.#limit) {
      this.counters.txErrors++;
      return;
    }
    this.counters.txFrames++;
    this.counters.txBytes += length;
    const bytes = new Uint8Array(length);
    gather(bytes, 0);
    if (!this.#segment) other.#waiting.push({ bytes, gsoSize, trusted: partial });
    else {
      const frame = Frame.of(bytes);
      frame.gsoSize = gsoSize;
      frame.partial = partial;
      for (const part of frame.split()) {
        part.complete();
        part.gsoSize = 0;
        other.#waiting.push({ bytes: part.bytes, gsoSize: 0, trusted: false });
      }
    }
    other.#signal();
  }

  #signal(): void {
    if (this.#woken || this.#closed || this.#handlers === undefined) return;
    this.#woken = true;
    this.#schedule(this.#wake);
  }
}
