/** One stack and a peer that is nothing but bytes: frames are built and read by hand. Virtual time. */
import { createPair, type PairDevice, type PairOptions } from "../../src/device/pair.js";
import { Stack, type StackConfig } from "../../src/stack/stack.js";
import type { TcpEvent } from "../../src/tcp/events.js";
import { Millis } from "../../src/tcp/time.js";
import { emitIpv4, IPV4_HEADER, Ipv4Header, parseAddress, parseIpv4, PROTOCOL_TCP } from "../../src/wire/ipv4.js";
import type { TxRing } from "../../src/wire/frames.js";
import { Segment } from "../../src/wire/segment.js";
import { emitTcp, finishChecksum, parseTcp, SegmentHeader } from "../../src/wire/tcp.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { seeded } from "./world.js";

export const US = parseAddress("10.0.0.2") as number,
  PEER = parseAddress("10.0.0.1") as number;

export interface Sent {
  readonly ip: Ipv4Header;
  readonly seg: Segment;
  readonly bytes: Uint8Array;
}

export class RawPeer {
  readonly stack: Stack;
  readonly events: TcpEvent[] = [];
  now = Millis(1_000_000);
  readonly #ours: PairDevice;
  readonly #theirs: PairDevice;

  /** @param way what the stack's frames leave by, around the link's own ring */
  constructor(config: Partial<StackConfig> = {}, link: PairOptions = {}, way = (tx: TxRing): TxRing => tx) {
    const pair = createPair({ schedule: () => {}, queue: 100_000, ...link });
    this.#ours = pair.a;
    this.#theirs = pair.b;
    const random = seeded(7);
    this.stack = new Stack({
      addresses: ["10.0.0.2"],
      mtu: 1_500,
      secret: new Uint32Array([random(), random(), random(), random()]),
      random,
      memory: plainMemory(new Uint8Array(16 * 1024 * 1024)),
      now: this.now,
      observer: {
        wants: () => true,
        event: (e) => {
          this.events.push(e);
        },
      },
      ...config,
    });
    this.stack.attach(this.#ours.rx, way(this.#ours.tx), this.#ours.offload);
    this.#ours.start({ readable() {}, failed() {} });
    this.#theirs.start({ readable() {}, failed() {} });
  }

  /** Hands IP packets to the stack and runs one turn. */
  inject(...packets: Uint8Array[]): void {
    for (const p of packets) {
      const tx = this.#theirs.tx,
        at = tx.begin();
      const header = Math.min(p.length, 60);
      tx.memory.bytes.set(p.subarray(0, header), at);
      if (p.length > header) tx.text(plainMemory(p), header, p.length - header);
      tx.end(header, 0, false);
    }
    this.#theirs.tx.flush();
    this.turn();
  }
  /** One frame that stands for segments of `size` octets of text each, as an interface with offload hands it over. */
  injectSuper(packet: Uint8Array, size: number): void {
    const tx = this.#theirs.tx,
      at = tx.begin(),
      header = IPV4_HEADER + 20;
    tx.memory.bytes.set(packet.subarray(0, header), at);
    tx.text(plainMemory(packet), header, packet.length - header);
    tx.end(header, size, true);
    tx.flush();
    this.turn();
  }
  /** Frames that the stack has handed to its device. */
  get framesOut(): number {
    return this.#ours.counters.txFrames;
  }
  turn(): void {
    for (let n = this.#ours.read(); n > 0; n = this.#ours.read()) this.stack.packetsArrive(n, this.now);
    this.stack.timeout(this.now);
    this.stack.transmit(this.now);
  }
  /** Lets time pass, timer by timer. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (let next = this.stack.nextTimeout(); next <= end; next = this.stack.nextTimeout()) {
      this.now = Millis(Math.max(this.now, next));
      this.turn();
    }
    this.now = Millis(end);
    this.turn();
  }
  /** What the stack has sent since the last call, ICMP included (then `seg` is empty). */
  sent(): Sent[] {
    const out: Sent[] = [];
    const d = this.#theirs;
    for (let n = d.read(); n > 0; n = d.read()) {
      for (let i = 0; i < n; i++) {
        const offset = d.rx.offset[i] as number,
          length = d.rx.length[i] as number;
        const memory = plainMemory(d.rx.memory.bytes.slice(offset, offset + length));
        const ip = new Ipv4Header(),
          seg = new Segment();
        const wrong =
          parseIpv4(memory.bytes, 0, length, ip) ??
          (ip.protocol === PROTOCOL_TCP
            ? parseTcp(memory, ip.headerLength, ip.totalLength - ip.headerLength, ip.source, ip.destination, d.rx.trusted[i] === 1, seg)
            : undefined);
        if (wrong !== undefined) throw new Error(`the stack sent a bad packet: ${wrong}`);
        out.push({ ip, seg, bytes: memory.bytes });
      }
    }
    return out;
  }
}

export interface Fields {
  seq?: number;
  ack?: number;
  ctl: number;
  win?: number;
  text?: Uint8Array;
  from?: number;
  sourcePort?: number;
  port?: number;
  mss?: number;
  wscale?: number;
  sackOk?: boolean;
  ts?: readonly [number, number];
  tos?: number;
}

export function segment(f: Fields): Uint8Array {
  const h = new SegmentHeader();
  h.sourcePort = f.sourcePort ?? 40_000;
  h.destinationPort = f.port ?? 80;
  h.sequence = (f.seq ?? 0) | 0;
  h.acknowledgment = (f.ack ?? 0) | 0;
  h.ctl = f.ctl;
  h.window = f.win ?? 65_535;
  h.mss = f.mss ?? 0;
  h.windowScale = f.wscale ?? -1;
  h.sackPermitted = f.sackOk ?? false;
  if (f.ts !== undefined) {
    h.hasTimestamps = true;
    h.tsVal = f.ts[0] | 0;
    h.tsEcr = f.ts[1] | 0;
  }
  const text = f.text ?? new Uint8Array(0),
    from = f.from ?? PEER;
  const b = new Uint8Array(120 + text.length);
  const n = emitTcp(b, IPV4_HEADER, h);
  b.set(text, IPV4_HEADER + n);
  finishChecksum(b, IPV4_HEADER, n, text.length, from, US, plainMemory(b).sum(IPV4_HEADER + n, text.length), false);
  emitIpv4(b, 0, IPV4_HEADER + n + text.length, f.tos ?? 0, 64, PROTOCOL_TCP, from, US);
  return b.subarray(0, IPV4_HEADER + n + text.length);
}
