/**
 * One stack under test against a peer of raw segments, in virtual time. Every script runs at three pairs of initial
 * sequence numbers, so wrap-around is tested for free:
 *
 *     const peer = tcp().established();
 *     peer.play(`
 *       +0  <  R   5:5(0)   win 0
 *       +0  >  .   1:1(0)   ack 1
 *       =  ESTABLISHED
 *     `);
 *     expect(peer.dropped).toEqual(["5961-3.2"]);
 *
 * States are reached by segments and calls alone. Our ISN is chosen without a seam in the code: RFC 6528 adds a hash to a
 * clock, so the clock starts where the sum is what the test wants.
 */
import { expect } from "vitest";
import { createPair, type PairDevice } from "../../src/device/pair.js";
import type { Listener } from "../../src/stack/listener.js";
import { Stack, type StackConfig } from "../../src/stack/stack.js";
import type { Connection } from "../../src/tcp/connection.js";
import type { TcpEvent } from "../../src/tcp/events.js";
import { initialSequence } from "../../src/tcp/isn.js";
import type { TcpOptions } from "../../src/tcp/options.js";
import { toWire } from "../../src/tcp/seq.js";
import { Millis } from "../../src/tcp/time.js";
import type { ConnectionUser } from "../../src/tcp/user.js";
import {
  emitIpv4,
  IPV4_HEADER,
  Ipv4Header,
  parseAddress,
  parseIpv4,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  readUint16,
  writeInt32,
  writeUint16,
} from "../../src/wire/ipv4.js";
import { ACK, formatCtl, PSH, RST, Segment, SYN } from "../../src/wire/segment.js";
import { finishChecksum, parseTcp } from "../../src/wire/tcp.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { fold, sumHeader } from "../../src/wire/checksum.js";
import { type IcmpLine, type Line, type Options, options as parseOptions, parse, type SegmentLine } from "./script.js";
import { seeded } from "./world.js";

/** Where both ends start: at zero, before the sign changes, and just before the wrap. */
export const ISNS = [0, 2 ** 31 - 1, 2 ** 32 - 2] as const;
/** A deadline of the stack is met to a tick of its timer wheel, milliseconds. */
const TOLERANCE = 1.5;
const OURS = "10.0.0.2",
  THEIRS = "10.0.0.1";
const LOCAL = parseAddress(OURS) as number,
  REMOTE = parseAddress(THEIRS) as number;
const SERVICE = 80,
  EPHEMERAL = 40_000;
const MEMORY = 2 * 1024 * 1024;

export interface PeerOptions {
  /** Settings of the stack under test. */
  readonly options?: Partial<TcpOptions>;
  readonly stack?: Partial<StackConfig>;
  /** Options that the peer's SYN or SYN,ACK bears. Default `mss 1460`. */
  readonly syn?: string;
  /** Window that the peer tells when a line does not say, octets. Default 65,535. */
  readonly win?: number;
  /** Whether the device takes super-segments from the stack; what is seen of them is one segment. Default false. */
  readonly offload?: boolean;
  /** Whether the application takes what is readable at once. Default true. */
  readonly reads?: boolean;
  /** Starting points; default all of {@link ISNS}. */
  readonly isns?: readonly number[];
}

interface Caught {
  readonly at: number;
  readonly ip: Ipv4Header;
  readonly seg: Segment;
  readonly bytes: Uint8Array;
  /** Octets of text in each segment that a super-segment stands for; 0 for an ordinary one. */
  readonly gsoSize: number;
}

/** Octet k of either stream, counted as sequence numbers are, so that a misplaced octet shows. */
const octet = (k: number): number => (k * 7 + (k >> 8) * 13) & 255;

export class Peer implements ConnectionUser {
  readonly stack: Stack;
  readonly events: TcpEvent[] = [];
  /** Upcalls, in order. */
  readonly heard: string[] = [];
  /** Where our numbers and the peer's start. */
  readonly iss: number;
  readonly irs: number;
  readonly start: number;
  now: Millis;
  conn!: Connection;
  listener: Listener | undefined;
  /** Octets that the application has taken. */
  taken = 0;
  reads: boolean;

  readonly #options: PeerOptions;
  readonly #pair: ReturnType<typeof createPair>;
  #out: Caught[] = [];
  #written = 0;
  #active = false;
  #tsAgreed = false;
  #tsBase: number | undefined;
  #tsSeen = 0;
  #synOptions: Options;

  constructor(isn: number, active: boolean, o: PeerOptions) {
    this.#options = o;
    this.#active = active;
    this.reads = o.reads ?? true;
    this.#synOptions = parseOptions(o.syn ?? "mss 1460");
    const random = seeded(7),
      secret = new Uint32Array([random(), random(), random(), random()]);
    const ports = ((active ? SERVICE : EPHEMERAL) << 16) | (active ? EPHEMERAL : SERVICE);
    const hash = toWire(initialSequence(secret, LOCAL, REMOTE, ports, 0));
    // Half a tick in, so that no rounding of the division moves the clock to another one.
    this.start = (((isn - hash) >>> 0) + 0.5) / 250;
    this.now = Millis(this.start);
    this.iss = isn;
    this.irs = isn;
    this.#pair = createPair({ schedule: () => {}, queue: 10_000, mtu: o.stack?.mtu ?? 1_500, offload: o.offload === true ? "pass" : "off" });
    const { a, b } = this.#pair;
    this.stack = new Stack({
      addresses: [OURS],
      mtu: a.mtu,
      secret,
      random,
      memory: plainMemory(new Uint8Array(MEMORY)),
      now: this.now,
      options: o.options ?? {},
      observer: {
        wants: (kind) => kind === "drop" || kind === "closed",
        event: (e) => {
          this.events.push(e);
        },
      },
      ...o.stack,
    });
    this.stack.setTimeSource(() => this.now);
    this.stack.attach(a.rx, a.tx, a.offload);
    for (const d of [a, b]) d.start({ readable() {}, failed() {} });
  }

  // ---- The application ----

  established(): void {
    this.heard.push("established");
  }
  readable(c: Connection): void {
    if (this.reads) this.receive(c.readable);
  }
  urgent(c: Connection): void {
    this.heard.push(`urgent ${c.urgentOffset}`);
  }
  writable(): void {
    this.heard.push("writable");
  }
  drained(): void {
    this.heard.push("drained");
  }
  ended(): void {
    this.heard.push("ended");
  }
  advised(_: Connection, what: string): void {
    this.heard.push(`advised ${what}`);
  }
  closed(_: Connection, by: string): void {
    this.heard.push(`closed ${by}`);
  }

  /** Takes up to `length` octets and holds them against what the peer sent. */
  receive(length: number): number {
    const b = new Uint8Array(length),
      n = this.conn.receive(b);
    for (let i = 0; i < n; i++) {
      const k = this.taken + 1 + i;
      if (b[i] !== octet(k)) throw new Error(`octet ${k} of the stream was delivered as ${b[i]}, wanted ${octet(k)}`);
    }
    this.taken += n;
    return n;
  }
  send(length: number): number {
    const n = this.conn.send(this.#text(length));
    this.#written += n;
    return n;
  }
  /** Send by reference. */
  sendShared(length: number): number {
    const n = this.conn.sendShared(plainMemory(this.#text(length)), 0, length);
    this.#written += n;
    return n;
  }
  #text(length: number): Uint8Array {
    const b = new Uint8Array(length);
    for (let i = 0; i < length; i++) b[i] = octet(this.#written + 1 + i);
    return b;
  }

  get state(): string {
    if (this.conn === undefined || (this.conn.state === "CLOSED" && this.listener !== undefined && this.#isPassive && !this.heard.includes("established")))
      return this.listener === undefined ? "CLOSED" : "LISTEN";
    return this.conn.state;
  }
  get #isPassive(): boolean {
    return this.conn.tcb.passive;
  }
  /** Rules of the drops, in order. */
  get dropped(): string[] {
    return this.events.flatMap((e) => (e.kind === "drop" ? [e.rule] : []));
  }
  get rules(): string[] {
    return Object.entries(this.stack.env.ruleHits).flatMap(([rule, n]) => (n > 0 ? [rule] : []));
  }

  // ---- Time ----

  turn(): void {
    const d = this.#pair.a;
    for (let n = d.read(); n > 0; n = d.read()) this.stack.packetsArrive(n, this.now);
    this.stack.timeout(this.now);
    this.stack.transmit(this.now);
    this.stack.transmit(this.now);
    this.#catch();
    for (const c of this.stack.connections()) if (this.conn === undefined || (this.conn.state === "CLOSED" && c.state !== "CLOSED")) this.conn = c;
  }
  /** @returns whether something was sent before `until` */
  pass(until: number): boolean {
    for (;;) {
      if (this.#out.length > 0) return true;
      const next = this.stack.nextTimeout();
      if (next > until) break;
      this.now = Millis(Math.max(this.now, next));
      this.turn();
    }
    this.now = Millis(Math.max(this.now, until));
    this.turn();
    return this.#out.length > 0;
  }
  #catch(): void {
    const d: PairDevice = this.#pair.b;
    for (let n = d.read(); n > 0; n = d.read()) {
      for (let i = 0; i < n; i++) {
        const offset = d.rx.offset[i] as number,
          length = d.rx.length[i] as number;
        const memory = plainMemory(d.rx.memory.bytes.slice(offset, offset + length)),
          ip = new Ipv4Header(),
          seg = new Segment();
        const wrong =
          parseIpv4(memory.bytes, 0, length, ip) ??
          (ip.protocol === PROTOCOL_TCP
            ? parseTcp(memory, ip.headerLength, ip.totalLength - ip.headerLength, ip.source, ip.destination, d.rx.trusted[i] === 1, seg)
            : undefined);
        if (wrong !== undefined) throw new Error(`the stack sent a bad packet: ${wrong}`);
        if (ip.protocol === PROTOCOL_TCP) {
          if ((memory.bytes[ip.headerLength + 12] as number) & 15) throw new Error("reserved bits of the header are not zero");
          this.#check(seg);
        }
        this.#out.push({ at: this.now, ip, seg, bytes: memory.bytes, gsoSize: d.rx.gsoSize[i] as number });
      }
    }
  }
  /** What holds for every segment that ever leaves. */
  #check(seg: Segment): void {
    const relative = (seg.sequence - this.iss) >>> 0;
    for (let i = 0; i < seg.textLength; i++) {
      const k = (relative + i) >>> 0;
      if (seg.memory.bytes[seg.textOffset + i] !== octet(k)) throw new Error(`octet ${k} went out wrong`);
    }
    if (seg.hasTimestamps) {
      this.#tsBase ??= seg.tsVal;
      this.#tsSeen = seg.tsVal;
    }
    if (!(seg.ctl & ACK) && !(seg.ctl & (SYN | RST))) throw new Error(`a segment without ACK left: ${formatCtl(seg.ctl)}`);
    if (seg.mss > 0 && !(seg.ctl & SYN)) throw new Error("an MSS option outside of a SYN (MUST-65)");
  }

  // ---- Scripts ----

  /** Runs a script. Besides the caller's letters, `Z` is the number that stands for an absolute zero of ours. */
  play(script: string, letters: Readonly<Record<string, number>> = {}): void {
    for (const line of parse(script, { ...letters, Z: -this.iss })) {
      try {
        this.#step(line);
      } catch (e) {
        (e as Error).message = `ISN ${this.iss}, line "${line.text}": ${(e as Error).message}`;
        throw e;
      }
    }
    this.#nothingSent();
  }
  /** Several segments in one batch of the device, as they come off a queue. */
  batch(script: string, letters: Readonly<Record<string, number>> = {}): void {
    for (const line of parse(script, letters)) if (line.is === "in") this.#inject(this.encode(line.packet));
    this.turn();
  }
  /** Raw octets of an IP packet. */
  inject(packet: Uint8Array): void {
    this.#inject(packet);
    this.turn();
  }
  /** What was sent and no script has looked at yet. */
  sent(): { flags: string; seq: number; ack: number; length: number; seg: Segment; ip: Ipv4Header; at: number; bytes: Uint8Array; gsoSize: number }[] {
    const out = this.#out.map((c) => ({
      flags: formatCtl(c.seg.ctl),
      seq: (c.seg.sequence - this.iss) | 0,
      ack: (c.seg.acknowledgment - this.irs) | 0,
      length: c.seg.textLength,
      seg: c.seg,
      ip: c.ip,
      at: c.at - this.start,
      bytes: c.bytes,
      gsoSize: c.gsoSize,
    }));
    this.#out = [];
    return out;
  }

  #step(line: Line): void {
    if (line.is === "out") return this.#expect(line.packet, this.now + line.after);
    this.#nothingSent();
    if (line.after > 0) {
      this.pass(this.now + line.after);
      this.#nothingSent();
    }
    switch (line.is) {
      case "in":
        return this.inject(this.encode(line.packet));
      case "state":
        return expect(this.state).toBe(line.state);
      case "call": {
        const result = this.call(line.call, line.args);
        this.turn();
        if (line.result !== undefined) expect(result).toBe(line.result);
        return;
      }
      default:
    }
  }
  #nothingSent(): void {
    if (this.#out.length === 0) return;
    const all = this.#out.map((c) => this.#describe(c)).join("; ");
    this.#out = [];
    throw new Error(`sent, but not in the script: ${all}`);
  }

  call(name: string, args: readonly string[]): number | string | undefined {
    switch (name) {
      case "listen": {
        this.listener = this.stack.listen({ port: SERVICE }, (c) => {
          this.conn = c;
          return this;
        });
        return 0;
      }
      case "connect":
        this.conn = this.stack.connect({ remoteAddress: THEIRS, remotePort: SERVICE, localPort: EPHEMERAL }, this);
        return 0;
      case "send":
        return this.send(Number(args[0]));
      case "recv":
        return this.receive(Number(args[0]));
      case "close":
        return this.conn.close(), 0;
      case "abort":
        return this.conn.abort(), 0;
      case "release":
        return this.conn.release(), 0;
      case "reads":
        this.reads = args[0] === "on";
        return 0;
      case "nodelay":
        return this.conn.setNoDelay(args[0] === "on"), 0;
      case "cork":
        return this.conn.setCork(args[0] === "on"), 0;
      case "urgent": {
        const n = this.send(Number(args[0]));
        this.conn.markUrgent();
        return n;
      }
      case "keepalive":
        return this.conn.setKeepAlive(args[0] === "on", ...args.slice(1).map(Number)), 0;
      case "usertimeout":
        return this.conn.setUserTimeout(Number(args[0])), 0;
      case "status":
        return this.conn.status(this.now).state;
      default:
        throw new Error(`unknown call "${name}"`);
    }
  }

  #inject(packet: Uint8Array): void {
    const tx = this.#pair.b.tx,
      at = tx.begin(),
      header = Math.min(packet.length, 120);
    tx.memory.bytes.set(packet.subarray(0, header), at);
    if (packet.length > header) tx.text(plainMemory(packet), header, packet.length - header);
    tx.end(header, 0, false);
    tx.flush();
  }

  /** The bytes of a line, as an IP packet to us. */
  encode(p: SegmentLine | IcmpLine): Uint8Array {
    const from = this.#active ? SERVICE : EPHEMERAL,
      to = this.#active ? EPHEMERAL : SERVICE;
    if (p.kind === "icmp") return encodeIcmp(p, (p.seq + this.iss) | 0, to, from);
    let o = p.options === "any" ? undefined : p.options;
    if (p.ctl & SYN) {
      o = { ...this.#synOptions, ...o };
      this.#tsAgreed = o.ts !== undefined && o.ts !== "none" && (this.#options.options?.timestamps ?? true);
    }
    let ts = o?.ts;
    if (ts === undefined && this.#tsAgreed && !(p.ctl & RST)) ts = { val: undefined, ecr: undefined };
    const list: number[] = [];
    const word = (n: number): void => {
      list.push((n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255);
    };
    if (o?.mss !== undefined) list.push(2, 4, o.mss >> 8, o.mss & 255);
    if (o?.sackOk === true) list.push(1, 1, 4, 2);
    if (o?.wscale !== undefined) list.push(1, 3, 3, o.wscale);
    if (ts !== undefined && ts !== "none") {
      list.push(1, 1, 8, 10);
      word(this.irs + (ts.val ?? 1_000 + Math.floor(this.now - this.start)));
      // With ACK the echo of what came last; a number counts from our first one.
      word(ts.ecr === undefined ? (p.ctl & ACK ? this.#tsSeen : 0) : (this.#tsBase ?? 0) + ts.ecr);
    }
    if (o?.sack !== undefined) {
      list.push(1, 1, 5, 2 + 8 * o.sack.length);
      for (const [left, right] of o.sack) {
        word(left + this.iss);
        word(right + this.iss);
      }
    }
    if (o?.uto !== undefined) list.push(28, 4, o.uto >> 8, o.uto & 255);
    if (o?.raw !== undefined) list.push(...Buffer.from(o.raw, "hex"));
    while (list.length % 4 !== 0) list.push(0);
    const header = 20 + list.length,
      b = new Uint8Array(IPV4_HEADER + header + p.length),
      t = IPV4_HEADER;
    writeUint16(b, t, from);
    writeUint16(b, t + 2, to);
    writeInt32(b, t + 4, p.seq + this.irs);
    writeInt32(b, t + 8, p.ack === undefined ? 0 : p.ack + this.iss);
    b[t + 12] = (header >> 2) << 4;
    b[t + 13] = p.ctl;
    writeUint16(b, t + 14, p.win ?? this.#options.win ?? 65_535);
    writeUint16(b, t + 18, p.urg ?? 0);
    b.set(list, t + 20);
    for (let i = 0; i < p.length; i++) b[t + header + i] = octet(p.seq + (p.ctl & SYN ? 1 : 0) + i);
    finishChecksum(b, t, header, p.length, REMOTE, LOCAL, plainMemory(b).sum(t + header, p.length), false);
    emitIpv4(b, 0, b.length, p.ce ?? 0, 64, PROTOCOL_TCP, REMOTE, LOCAL);
    return b;
  }

  #expect(p: SegmentLine | IcmpLine, at: number): void {
    if (this.#out.length === 0) this.pass(at + TOLERANCE);
    const got = this.#out.shift();
    if (got === undefined) throw new Error("nothing was sent");
    if (p.kind === "icmp") {
      expect(got.ip.protocol, this.#describe(got)).toBe(PROTOCOL_ICMP);
      expect([got.bytes[20], got.bytes[21]]).toEqual([p.type, p.code]);
      return;
    }
    const say = `sent: ${this.#describe(got)}`;
    if (Math.abs(got.at - at) > TOLERANCE) throw new Error(`${say}, ${(got.at - at).toFixed(1)} ms from its time`);
    if (this.now > got.at && this.#out.length === 0) this.now = Millis(Math.max(got.at, at - TOLERANCE));
    const s = got.seg,
      mask = p.psh ? 0xff : 0xff & ~PSH;
    const view = (x: {
      ctl: string;
      seq: number;
      length: number;
      ack: number | undefined;
      win: number | undefined;
      urg: number | undefined;
      options: string;
    }): object => x;
    const negotiated = (p.ctl & SYN) === 0 && p.options !== "any";
    expect(
      view({
        ctl: formatCtl(s.ctl & mask),
        seq: (s.sequence - this.iss) | 0,
        length: s.textLength,
        ack: p.ack === undefined ? undefined : (s.acknowledgment - this.irs) | 0,
        win: p.win === undefined ? undefined : s.window,
        urg: p.urg === undefined ? undefined : s.urgentPointer,
        options: p.options === "any" ? "" : this.#optionsOf(s, negotiated, p.options),
      }),
      say,
    ).toEqual(
      view({
        ctl: formatCtl(p.ctl & mask),
        seq: p.seq | 0,
        length: p.length,
        ack: p.ack === undefined ? undefined : p.ack | 0,
        win: p.win,
        urg: p.urg,
        options: p.options === "any" || p.options === undefined ? "" : written(p.options),
      }),
    );
    if (p.ce !== undefined) expect(got.ip.tos & 3, say).toBe(p.ce);
  }

  #optionsOf(s: Segment, agreed: boolean, wanted: Options | undefined): string {
    const out: string[] = [];
    if (s.mss > 0) out.push(`mss ${s.mss}`);
    if (s.sackPermitted) out.push("sackOK");
    if (s.windowScale >= 0) out.push(`wscale ${s.windowScale}`);
    if (s.hasTimestamps && (wanted?.ts !== undefined || !(agreed && this.#tsAgreed))) {
      const w = wanted?.ts,
        ecr = (s.tsEcr - this.irs) | 0;
      const any = (x: number, y: number | undefined): string => (y === undefined ? "_" : String(x));
      out.push(
        `TS val ${any((s.tsVal - (this.#tsBase ?? 0)) | 0, w === "none" ? undefined : w?.val)} ecr ${any(s.ctl & ACK ? ecr : s.tsEcr, w === "none" ? undefined : w?.ecr)}`,
      );
    } else if (!s.hasTimestamps && agreed && this.#tsAgreed && !(s.ctl & RST)) out.push("no TS");
    if (s.sackCount > 0) {
      const blocks: string[] = [];
      for (let i = 0; i < s.sackCount; i++)
        blocks.push(`${((s.sackEdges[2 * i] as number) - this.irs) | 0}:${((s.sackEdges[2 * i + 1] as number) - this.irs) | 0}`);
      out.push(`sack ${blocks.join(" ")}`);
    }
    if (s.userTimeoutMs >= 0) out.push(`uto ${s.userTimeoutMs / 1_000}`);
    return out.join(",");
  }

  #describe(c: Caught): string {
    if (c.ip.protocol === PROTOCOL_ICMP) return `icmp ${c.bytes[20]}/${c.bytes[21]}`;
    const s = c.seg,
      seq = (s.sequence - this.iss) | 0;
    return `+${((c.at - this.start) / 1_000).toFixed(3)} ${formatCtl(s.ctl)} ${seq}:${seq + s.textLength}(${s.textLength}) ack ${(s.acknowledgment - this.irs) | 0} win ${s.window} urg ${s.urgentPointer} <${this.#optionsOf(s, false, undefined)}>`;
  }
}

/** The canonical text of an option list, as the stack's own is written for comparison. */
function written(o: Options): string {
  const out: string[] = [];
  if (o.mss !== undefined) out.push(`mss ${o.mss}`);
  if (o.sackOk === true) out.push("sackOK");
  if (o.wscale !== undefined) out.push(`wscale ${o.wscale}`);
  if (o.ts !== undefined && o.ts !== "none") out.push(`TS val ${o.ts.val ?? "_"} ecr ${o.ts.ecr ?? "_"}`);
  if (o.sack !== undefined) out.push(`sack ${o.sack.map(([l, r]) => `${l}:${r}`).join(" ")}`);
  if (o.uto !== undefined) out.push(`uto ${o.uto}`);
  return out.join(",");
}

/** An ICMP error that quotes the header of one of our segments and 8 octets of it (RFC 792). */
function encodeIcmp(p: IcmpLine, sequence: number, ourPort: number, theirPort: number): Uint8Array {
  const b = new Uint8Array(IPV4_HEADER + 8 + IPV4_HEADER + 8),
    i = IPV4_HEADER,
    q = i + 8;
  emitIpv4(b, q, 40, 0, 64, PROTOCOL_TCP, LOCAL, REMOTE);
  writeUint16(b, q + 20, ourPort);
  writeUint16(b, q + 22, theirPort);
  writeInt32(b, q + 24, sequence);
  b[i] = p.type;
  b[i + 1] = p.code;
  writeUint16(b, i + 6, p.mtu);
  writeUint16(b, i + 2, ~fold(sumHeader(b, i, b.length - i, 0)));
  emitIpv4(b, 0, b.length, 0, 64, PROTOCOL_ICMP, REMOTE, LOCAL);
  return b;
}
/** Writes a new TCP checksum into a packet of {@link Peer.encode} that was changed by hand. */
export function reseal(b: Uint8Array): Uint8Array {
  const source = ((b[12] as number) << 24) | ((b[13] as number) << 16) | ((b[14] as number) << 8) | (b[15] as number);
  const destination = ((b[16] as number) << 24) | ((b[17] as number) << 16) | ((b[18] as number) << 8) | (b[19] as number);
  const t = ((b[0] as number) & 15) << 2,
    header = Math.max(20, ((b[t + 12] as number) >> 4) << 2),
    end = readUint16(b, 2);
  writeUint16(b, t + 16, 0);
  finishChecksum(
    b,
    t,
    Math.min(header, end - t),
    end - t - Math.min(header, end - t),
    source,
    destination,
    plainMemory(b).sum(t + Math.min(header, end - t), end - t - Math.min(header, end - t)),
    false,
  );
  writeUint16(b, 10, 0);
  writeUint16(b, 10, ~fold(sumHeader(b, 0, t, 0)));
  return b;
}

/** The same test at every starting point; at the last alone where thousands of runs look for something else (scripts/mutation). */
export class Peers {
  readonly all: readonly Peer[];
  constructor(active: boolean, o: PeerOptions) {
    this.all = (o.isns ?? ((globalThis as { oneIsn?: boolean }).oneIsn === true ? [ISNS[2]] : ISNS)).map((isn) => new Peer(isn, active, o));
  }

  each(step: (peer: Peer) => void): this {
    for (const p of this.all) {
      try {
        step(p);
      } catch (e) {
        if (!(e as Error).message.startsWith("ISN ")) (e as Error).message = `ISN ${p.iss}: ${(e as Error).message}`;
        throw e;
      }
    }
    return this;
  }
  play(script: string, letters?: Readonly<Record<string, number>>): this {
    return this.each((p) => p.play(script, letters));
  }
  batch(script: string, letters?: Readonly<Record<string, number>>): this {
    return this.each((p) => p.batch(script, letters));
  }
  /** A fact of every run; they must agree. */
  same<T>(read: (peer: Peer) => T): T {
    const values = this.all.map(read);
    for (const v of values) expect(v).toEqual(values[0]);
    return values[0] as T;
  }
  get dropped(): string[] {
    return this.same((p) => p.dropped);
  }
  get heard(): string[] {
    return this.same((p) => p.heard);
  }
  get taken(): number {
    return this.same((p) => p.taken);
  }
  get first(): Peer {
    return this.all[0] as Peer;
  }

  /** A handshake, by whichever end the test began with. */
  established(): this {
    return this.each((p) => {
      if (p.listener !== undefined) {
        p.play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n+0 < . 1:1(0) ack 1\n= ESTABLISHED");
      } else p.play("+0 > S 0:0(0) <*>\n+0 < S. 0:0(0) ack 1\n+0 > . 1:1(0) ack 1\n= ESTABLISHED");
    });
  }
}

/** A stack that listens. */
export const tcp = (o: PeerOptions = {}): Peers =>
  new Peers(false, o).each((p) => {
    p.call("listen", []);
  });
/** A stack that has called connect; its SYN is the first thing to expect. */
export const active = (o: PeerOptions = {}): Peers =>
  new Peers(true, o).each((p) => {
    p.call("connect", []);
    p.turn();
  });
/** A stack that does nothing yet. `active`: whose ports and sequence numbers the test will use. */
export const idle = (o: PeerOptions = {}, isActive = false): Peers => new Peers(isActive, o);
