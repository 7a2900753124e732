/**
 * A link in virtual time between two devices: loss in bursts, delay, jitter, reordering, duplication, one-bit damage,
 * a rate with a queue, congestion marks, an MTU that changes with the ICMP a router sends, and outages. It heals for
 * good at a given time.
 */
import { Frame } from "../../src/device/frame.js";
import { fill, RxBatch, type Waiting } from "../../src/device/rx-batch.js";
import { TxQueue } from "../../src/device/tx-queue.js";
import type { Offload } from "../../src/wire/frames.js";
import { emitIcmpError, ICMP_UNREACHABLE, UNREACHABLE_FRAGMENTATION_NEEDED } from "../../src/wire/icmp.js";
import { emitIpv4, IPV4_HEADER, PROTOCOL_ICMP, readInt32, writeUint16 } from "../../src/wire/ipv4.js";
import { fold, sumHeader } from "../../src/wire/checksum.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import type { Agenda } from "./clock.js";
import type { Random } from "./random.js";

export type OffloadKind = "off" | "pass" | "segment";

/** What the link does until it heals. Probabilities 0 to 1, times in milliseconds from the start. */
export interface LinkPlan {
  readonly delay: number;
  readonly jitter: number;
  readonly loss: number;
  /** Probability to enter and to leave a state in which everything is lost. */
  readonly burstEnter: number;
  readonly burstLeave: number;
  readonly reorder: number;
  readonly duplicate: number;
  readonly corrupt: number;
  /** CE on frames that allow it. */
  readonly mark: number;
  /** Octets per millisecond; Infinity: none. */
  readonly rate: number;
  /** Octets that wait for the rate at most. */
  readonly queue: number;
  readonly outages: readonly { readonly from: number; readonly to: number }[];
  /** From when the router between the two takes only so much. It stays after the link has healed. */
  readonly mtus: readonly { readonly from: number; readonly mtu: number }[];
  readonly heals: number;
}

const BATCH = 64,
  LARGEST = 65_535;
const ROUTER = (10 << 24) | 254;

/** One end: the rings that a stack is attached to. */
export class LinkEnd {
  readonly rx: RxBatch;
  readonly tx: TxQueue;
  readonly mtu: number;
  readonly offload: Offload;
  readonly kind: OffloadKind;
  #waiting: Waiting[] = [];

  constructor(mtu: number, kind: OffloadKind, send: (frame: Frame) => void) {
    this.mtu = mtu;
    this.kind = kind;
    this.offload = kind === "off" ? { checksum: false, maxFrame: mtu } : { checksum: true, maxFrame: LARGEST };
    this.rx = new RxBatch(plainMemory(new Uint8Array(kind === "pass" ? 4 * (LARGEST + 1) : BATCH * (mtu + 15))), BATCH);
    this.tx = new TxQueue(
      (length, gsoSize, partial, gather) => {
        const bytes = new Uint8Array(length);
        gather(bytes, 0);
        send(new Frame(plainMemory(bytes), 0, length, gsoSize, partial));
      },
      kind !== "off",
      BATCH,
    );
  }

  deliver(frame: Frame): void {
    if (frame.gsoSize > 0 && this.kind !== "pass") {
      for (const part of frame.split()) this.#waiting.push({ bytes: part.bytes, gsoSize: 0, trusted: false });
      return;
    }
    if (this.kind !== "pass") frame.complete();
    this.#waiting.push({ bytes: frame.bytes, gsoSize: frame.gsoSize, trusted: frame.partial });
  }
  /** Takes a batch into the ring. @returns how many frames */
  read(): number {
    if (this.#waiting.length === 0) return 0;
    const { put, taken } = fill(this.rx, this.#waiting, 0);
    this.#waiting = taken === this.#waiting.length ? [] : this.#waiting.slice(taken);
    return put;
  }
}

/** One direction. */
export class Lane {
  readonly #agenda: Agenda;
  readonly #plan: LinkPlan;
  readonly #random: Random;
  readonly #start: number;
  readonly #to: LinkEnd;
  readonly #back: LinkEnd;
  #inBurst = false;
  #lineFree = 0;

  constructor(agenda: Agenda, plan: LinkPlan, random: Random, to: LinkEnd, back: LinkEnd) {
    this.#agenda = agenda;
    this.#plan = plan;
    this.#random = random;
    this.#start = agenda.now;
    this.#to = to;
    this.#back = back;
  }

  carry(frame: Frame): void {
    const plan = this.#plan,
      time = this.#agenda.now - this.#start;
    const mtu = plan.mtus.findLast((m) => time >= m.from)?.mtu ?? Infinity;
    // A super-segment is judged by the segments that it stands for.
    const largest = frame.gsoSize > 0 ? Math.min(frame.length, frame.headerLength + frame.gsoSize) : frame.length;
    if (largest > mtu) return this.#tooBig(frame, mtu);
    if (time >= plan.heals) return this.#launch(frame, this.#agenda.now + plan.delay);
    const r = this.#random;
    this.#inBurst = r.chance(this.#inBurst ? 1 - plan.burstLeave : plan.burstEnter);
    const lost = r.chance(plan.loss) || this.#inBurst || plan.outages.some((o) => time >= o.from && time < o.to);
    if (lost) return;
    let sent = frame;
    if (frame.gsoSize === 0) {
      if (r.chance(plan.corrupt)) sent = this.#damage(frame);
      else if (plan.mark > 0 && r.chance(plan.mark)) this.#markCongestion(frame);
    }
    let due = this.#agenda.now;
    if (plan.rate !== Infinity) {
      const free = Math.max(due, this.#lineFree);
      if ((free - due) * plan.rate > plan.queue) return;
      this.#lineFree = free + frame.length / plan.rate;
      due = this.#lineFree;
    }
    if (!r.chance(plan.reorder)) due += plan.delay + r.unit() * plan.jitter;
    this.#launch(sent, due);
    if (r.chance(plan.duplicate)) this.#launch(sent.own(), due + r.unit() * plan.jitter);
  }

  #launch(frame: Frame, at: number): void {
    this.#agenda.at(at, () => this.#to.deliver(frame));
  }
  #damage(frame: Frame): Frame {
    const copy = frame.own(),
      bytes = copy.bytes,
      bit = this.#random.int(0, copy.length * 8 - 1);
    copy.complete();
    bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
    return copy;
  }
  #markCongestion(frame: Frame): void {
    const bytes = frame.bytes;
    if (((bytes[1] as number) & 3) === 0) return;
    bytes[1] = (bytes[1] as number) | 3;
    writeUint16(bytes, 10, 0);
    writeUint16(bytes, 10, ~fold(sumHeader(bytes, 0, IPV4_HEADER, 0)));
  }
  /** RFC 1191 §4: fragmentation needed, with the next hop's MTU. It may be lost like anything else. */
  #tooBig(frame: Frame, mtu: number): void {
    if (this.#agenda.now - this.#start < this.#plan.heals && this.#random.chance(this.#plan.loss)) return;
    const b = new Uint8Array(128),
      quote = Math.min(frame.length, IPV4_HEADER + 8);
    const length = emitIcmpError(b, IPV4_HEADER, ICMP_UNREACHABLE, UNREACHABLE_FRAGMENTATION_NEEDED, frame.bytes, 0, quote);
    writeUint16(b, IPV4_HEADER + 2, 0);
    writeUint16(b, IPV4_HEADER + 6, mtu);
    writeUint16(b, IPV4_HEADER + 2, ~fold(sumHeader(b, IPV4_HEADER, length, 0)));
    emitIpv4(b, 0, IPV4_HEADER + length, 0, 64, PROTOCOL_ICMP, ROUTER, readInt32(frame.bytes, 12));
    this.#agenda.in(this.#plan.delay, () => this.#back.deliver(Frame.of(b.slice(0, IPV4_HEADER + length))));
  }
}
