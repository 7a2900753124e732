/**
 * The base of wrappers around a device (pcap, impair, faults): shows a filter every frame whole, lets it pass, change,
 * hold back, multiply or drop it, and takes frames of its own in either direction at any time.
 *
 * It costs nothing where it has nothing to do. Both rings are the inner device's own, so wrappers can be stacked; a
 * direction without filter goes straight through; arriving frames that pass unchanged stay where they are.
 *
 * What makes that possible: between a batch and the next `read()`, the block and the arrays of `inner.rx` are ours; and
 * `begin()` of `inner.tx` forgets a frame that was begun and not ended.
 */
import type { Offload, RxRing, TxRing } from "../wire/frames.js";
import type { Memory } from "../wire/memory.js";
import type { Device, DeviceCounters, DeviceHandlers } from "./device.js";
import { Frame, Staging } from "./frame.js";
import { fill, type Waiting } from "./rx-batch.js";
import { checkEnd, checkPiece, MAX_PIECES } from "./tx-queue.js";

/** Sends a frame on its way. May be called at any time, any number of times, with any frame. */
export type Forward = (frame: Frame) => void;

/**
 * What a wrapper does with frames. A frame belongs to the device and is valid during the call only: keep `frame.own()`.
 * Not to forward it is to drop it. What was forwarded must not be changed any more: change a copy. After changing octets
 * call `frame.seal()` (all checksums right again), or `frame.complete()` before spoiling one on purpose.
 */
export interface Filter {
  /** A frame from the device to the stack. */
  incoming?(frame: Frame, forward: Forward): void;
  /** A frame from the stack to the device. */
  outgoing?(frame: Frame, forward: Forward): void;
  /** The device closes: end timers and files. */
  close?(): void;
}

export interface WrapperOptions {
  /** Show super-segments as the segments that they stand for, and send them on as such. Default false. */
  readonly split?: boolean;
  /** When to call `readable` for frames that were forwarded outside a read. Default `setImmediate`; virtual time gives its own. */
  readonly schedule?: (call: () => void) => void;
  /** Frames that wait for the stack at most. What comes on top is lost and counted in {@link FilterDevice.overflow}. Default 4096. */
  readonly queue?: number;
}

const STAGING = 1 << 18;

export class FilterDevice implements Device {
  readonly inner: Device;
  readonly rx: RxRing;
  readonly tx: FilterTx;
  /** Frames lost because the stack did not read. */
  overflow = 0;
  readonly #split: boolean;
  readonly #schedule: (call: () => void) => void;
  readonly #limit: number;
  readonly #scratch: Frame;
  #filter: Filter;
  #queue: Waiting[] = [];
  #taken = 0;
  /** The slot of the frame that the filter looks at, while it lies in the ring; -1 otherwise. */
  #slot = -1;
  #kept = 0;
  #reading = false;
  #signalled = false;
  #handlers: DeviceHandlers | undefined;
  #closed = false;

  constructor(inner: Device, filter: Filter = {}, options: WrapperOptions = {}) {
    this.inner = inner;
    this.#filter = filter;
    this.#split = options.split ?? false;
    this.#schedule = options.schedule ?? setImmediate;
    this.#limit = options.queue ?? 4096;
    this.rx = inner.rx;
    this.#scratch = new Frame(inner.rx.memory, 0, 0);
    this.tx = new FilterTx(inner, this.#split);
    this.tx.filter = filter.outgoing === undefined ? undefined : filter;
  }

  get name(): string {
    return this.inner.name;
  }
  get mtu(): number {
    return this.inner.mtu;
  }
  get offload(): Offload {
    return this.inner.offload;
  }
  get counters(): DeviceCounters {
    return this.inner.counters;
  }

  /** The filter at work. A new one takes effect with the next frame; `{}` lets everything through. */
  get filter(): Filter {
    return this.#filter;
  }
  set filter(filter: Filter) {
    this.#filter = filter;
    this.tx.filter = filter.outgoing === undefined ? undefined : filter;
  }

  /** Hands a frame to the stack: within a read with the batch, at any other time by `readable`. */
  readonly injectIncoming: Forward = (frame) => {
    if (this.#closed) return;
    if (frame === this.#scratch && this.#slot >= this.#kept && this.#taken === this.#queue.length) {
      const ring = this.rx,
        to = this.#kept++;
      ring.offset[to] = frame.offset;
      ring.length[to] = frame.length;
      ring.trusted[to] = frame.partial ? 1 : 0;
      ring.gsoSize[to] = frame.gsoSize;
      return;
    }
    if (this.#queue.length - this.#taken >= this.#limit) {
      this.overflow++;
      return;
    }
    this.#queue.push({ bytes: frame.bytes.slice(), gsoSize: frame.gsoSize, trusted: frame.partial });
    if (!this.#reading) this.#signal();
  };

  /** Hands a frame to the device. */
  readonly injectOutgoing: Forward = (frame) => {
    if (!this.#closed) this.tx.inject(frame);
  };

  read(): number {
    for (;;) {
      while (this.#queue.length > this.#taken) {
        const count = this.#fromQueue();
        if (count > 0) return count;
      }
      const count = this.inner.read(),
        filter = this.#filter;
      if (count === 0 || filter.incoming === undefined) return count;
      const left = this.#show(filter, count);
      if (left > 0) return left;
    }
  }

  #show(filter: Filter, count: number): number {
    const ring = this.rx,
      frame = this.#scratch;
    this.#kept = 0;
    this.#reading = true;
    try {
      for (let i = 0; i < count; i++) {
        const gsoSize = ring.gsoSize[i] as number;
        frame.memory = ring.memory;
        frame.offset = ring.offset[i] as number;
        frame.length = ring.length[i] as number;
        frame.gsoSize = gsoSize;
        frame.partial = ring.trusted[i] === 1;
        if (this.#split && gsoSize > 0) {
          for (const part of frame.split()) filter.incoming?.(part === frame ? frame.own() : part, this.injectIncoming);
          continue;
        }
        this.#slot = i;
        filter.incoming?.(frame, this.injectIncoming);
        this.#slot = -1;
      }
    } finally {
      this.#slot = -1;
      this.#reading = false;
    }
    if (this.#queue.length > this.#taken) this.#signal(); // in case the stack stops reading here
    return this.#kept;
  }

  #fromQueue(): number {
    const { put, taken } = fill(this.rx, this.#queue, this.#taken);
    this.#taken += taken;
    if (this.#taken === this.#queue.length) {
      this.#queue = [];
      this.#taken = 0;
    }
    return put;
  }

  start(handlers: DeviceHandlers): void {
    this.#handlers = handlers;
    this.inner.start({
      readable: () => {
        handlers.readable();
        if (this.#queue.length > this.#taken) this.#signal();
      },
      failed: (failure) => handlers.failed(failure),
    });
    if (this.#queue.length > this.#taken) this.#signal();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#taken = 0;
    this.#filter.close?.();
    this.inner.close();
  }

  #signal(): void {
    if (this.#signalled || this.#handlers === undefined || this.#closed) return;
    this.#signalled = true;
    this.#schedule(() => {
      this.#signalled = false;
      if (this.#closed || this.#queue.length === this.#taken) return;
      this.#handlers?.readable();
      if (this.#queue.length > this.#taken) this.#signal();
    });
  }
}

/** The leaving ring: straight through without a filter, else each frame gathered and shown as it ends. */
class FilterTx implements TxRing {
  readonly memory: Memory;
  filter: Filter | undefined;
  readonly #inner: TxRing;
  readonly #offload: Offload;
  readonly #split: boolean;
  #staging: Staging | undefined;
  readonly #scratch: Frame;
  #watching = false;
  /** The stack is between begin and flush: what is forwarded goes with its flush. */
  #turn = false;
  #slot = 0;
  #pieces = 0;
  readonly #pieceMemory: (Memory | undefined)[] = new Array<Memory | undefined>(MAX_PIECES).fill(undefined);
  readonly #pieceOffset = new Int32Array(MAX_PIECES);
  readonly #pieceLength = new Int32Array(MAX_PIECES);
  readonly #forward: Forward = (frame) => this.inject(frame);

  constructor(inner: Device, split: boolean) {
    this.#inner = inner.tx;
    this.#offload = inner.offload;
    this.#split = split;
    this.memory = inner.tx.memory;
    this.#scratch = new Frame(this.memory, 0, 0);
  }

  begin(): number {
    this.#watching = this.filter !== undefined;
    this.#turn = true;
    this.#pieces = 0;
    return (this.#slot = this.#inner.begin());
  }

  text(memory: Memory, offset: number, length: number): void {
    if (!this.#watching) return this.#inner.text(memory, offset, length);
    if (length === 0) return;
    checkPiece(memory, offset, length, this.#pieces);
    const piece = this.#pieces++;
    this.#pieceMemory[piece] = memory;
    this.#pieceOffset[piece] = offset;
    this.#pieceLength[piece] = length;
  }

  end(headerLength: number, gsoSize: number, partialChecksum: boolean): void {
    if (!this.#watching) return this.#inner.end(headerLength, gsoSize, partialChecksum);
    checkEnd(headerLength, gsoSize, partialChecksum, this.#offload.checksum);
    this.#watching = false;
    let length = headerLength;
    for (let p = 0; p < this.#pieces; p++) length += this.#pieceLength[p] as number;
    const staging = (this.#staging ??= new Staging(STAGING)),
      frame = this.#scratch;
    let at = this.#room(length);
    frame.memory = staging.memory;
    frame.offset = at;
    frame.length = length;
    frame.gsoSize = gsoSize;
    frame.partial = partialChecksum;
    const into = staging.memory.bytes;
    into.set(this.memory.bytes.subarray(this.#slot, this.#slot + headerLength), at);
    at += headerLength;
    for (let p = 0; p < this.#pieces; p++) {
      const from = this.#pieceOffset[p] as number,
        octets = this.#pieceLength[p] as number;
      into.set((this.#pieceMemory[p] as Memory).bytes.subarray(from, from + octets), at);
      this.#pieceMemory[p] = undefined;
      at += octets;
    }
    const filter = this.filter ?? {};
    for (const part of this.#split ? frame.split() : [frame]) {
      if (filter.outgoing === undefined) this.inject(part);
      else filter.outgoing(part, this.#forward);
    }
  }

  submit(): void {
    // What was gathered lies where the next turn's frames will.
    if (this.#staging?.isEmpty === false) return this.flush();
    this.#inner.submit();
    this.#turn = false;
    this.#watching = false;
  }

  flush(): void {
    this.#inner.flush();
    this.#turn = false;
    this.#watching = false;
    this.#staging?.reset();
  }

  /** Sends a whole frame: with the flush of the stack's turn, or at once outside of one. */
  inject(frame: Frame): void {
    const { memory, offset, length } = frame,
      header = frame.headerLength;
    const slot = this.#inner.begin();
    this.memory.bytes.set(memory.bytes.subarray(offset, offset + header), slot);
    if (length > header) this.#inner.text(memory, offset + header, length - header);
    this.#inner.end(header, frame.gsoSize, frame.partial);
    if (!this.#turn) this.#inner.flush();
  }

  #room(length: number): number {
    const staging = this.#staging as Staging;
    const at = staging.room(length);
    if (at >= 0) return at;
    this.#inner.flush();
    staging.reset();
    return staging.room(length);
  }
}
