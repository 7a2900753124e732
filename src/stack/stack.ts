/** The stack: frames in, connections and listeners, frames out. Knows no clock, no device and no socket. */
import { Connection } from "../tcp/connection.js";
import { Environment, type Outlet } from "../tcp/environment.js";
import type { Observer } from "../tcp/events.js";
import { openActively, openFromCookie, openPassively } from "../tcp/handshake.js";
import { icmpArrives } from "../tcp/icmp-arrives.js";
import { initialSequence } from "../tcp/isn.js";
import { DEFAULTS, type TcpOptions, validate } from "../tcp/options.js";
import { PagePool } from "../tcp/pages.js";
import { inClosed, inListen, segmentArrives } from "../tcp/segment-arrives.js";
import { add, type Seq, seq } from "../tcp/seq.js";
import { TELL_WRITABLE, Tcb } from "../tcp/tcb.js";
import type { Millis } from "../tcp/time.js";
import { timeouts } from "../tcp/timeouts.js";
import { output } from "../tcp/output.js";
import { reset } from "../tcp/user-calls.js";
import type { ConnectionUser } from "../tcp/user.js";
import type { Offload, RxRing, TxRing } from "../wire/frames.js";
import { ICMP_ECHO_REQUEST, ICMP_TIME_EXCEEDED, ICMP_UNREACHABLE, IcmpMessage, isIcmpError, parseIcmp, UNREACHABLE_PROTOCOL } from "../wire/icmp.js";
import {
  contains,
  formatAddress,
  Ipv4Header,
  isUnusablePeer,
  parseAddress,
  parseIpv4,
  parsePrefix,
  type Prefix,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
} from "../wire/ipv4.js";
import type { Memory } from "../wire/memory.js";
import { ACK, RST, Segment, SYN } from "../wire/segment.js";
import { parseTcp, type SegmentHeader } from "../wire/tcp.js";
import { createMemory } from "../wire/wasm-memory.js";
import { SynCookies } from "./cookies.js";
import { Demux } from "./demux.js";
import { StackError } from "./errors.js";
import { Flow } from "./flow.js";
import { LIMIT_DEFAULTS, type StackLimits, type SynCookies as SynCookieMode } from "./limits.js";
import { type Accept, Listener, ListenerTable } from "./listener.js";
import { EphemeralPorts } from "./ports.js";
import { RateLimit } from "./rate.js";
import { Reassembly } from "./reassembly.js";
import { segmentIn, segmentOut } from "./segment-events.js";
import { Shedding } from "./shedding.js";
import { answerWithCookie, cookieIn, timestampOffset } from "./stateless.js";
import { Transmitter } from "./transmitter.js";
import { tellUser } from "./upcalls.js";
import { Wheel } from "./wheel.js";

export interface StackConfig {
  /** "10.77.0.2", or prefixes "10.77.1.0/24": every address in them is ours. */
  readonly addresses: readonly string[];
  /** Largest IP packet of the link, octets. */
  readonly mtu: number;
  /** Four random words: initial sequence numbers (RFC 6528), hashing, ports. */
  readonly secret: Uint32Array;
  /** Uniform 32-bit numbers; seeded in tests. */
  readonly random: () => number;
  readonly options?: Partial<TcpOptions>;
  readonly limits?: Partial<StackLimits>;
  /** Default "auto": when the SYN backlog is full. */
  readonly synCookies?: SynCookieMode;
  readonly observer?: Observer;
  /** When the stack starts; default 0. */
  readonly now?: Millis;
  /** Page memory to use instead of making one (several small stacks in one test). */
  readonly memory?: Memory;
}

/** Where connections are counted besides the core's counters. */
export interface StackCounters {
  framesIn: number;
  framesOut: number;
  connections: number;
  halfOpen: number;
  timeWait: number;
  orphans: number;
  /** SYNs that found the SYN backlog full (Linux TCPReqQFullDoCookies, TCPReqQFullDrop). */
  synBacklogOverflows: number;
  /** SYNs, cookies and last ACKs of handshakes that found the accept queue of their listener full (Linux ListenOverflows). */
  listenOverflows: number;
  cookiesSent: number;
  cookiesReceived: number;
  cookiesFailed: number;
  fragmentOctets: number;
  /** Datagrams whose fragments went because maxFragments was reached. */
  fragmentsShed: number;
  icmpLimited: number;
  resetsLimited: number;
  pagesUsed: number;
  pagesCapacity: number;
}

const NOBODY: ConnectionUser = { established() {}, readable() {}, writable() {}, ended() {}, closed() {} };

export class Stack implements Outlet {
  /** Called when a user call outside of a turn left something to do; whoever drives the stack sets it. */
  onWork: () => void = () => {};
  readonly env: Environment;
  options: Readonly<TcpOptions>;
  readonly limits: Readonly<StackLimits>;
  readonly mtu: number;

  readonly #prefixes: readonly Prefix[];
  readonly #secret: Uint32Array;
  readonly #demux: Demux;
  readonly #wheel: Wheel;
  readonly #listeners = new ListenerTable();
  readonly #ports: EphemeralPorts;
  readonly #perSource = new Map<number, number>();
  readonly #cookieMode: SynCookieMode;
  readonly #cookies: SynCookies;
  readonly #reassembly: Reassembly;
  readonly #shedding: Shedding;
  readonly #icmpRate: RateLimit;
  readonly #resetRate: RateLimit;
  #lastId = 0;
  #rx: RxRing | undefined;
  #out: Transmitter | undefined;
  /** Connections that may have something to send, to tell or to schedule. */
  readonly #touched: (Tcb | undefined)[] = [];
  #touchedCount = 0;
  #inTurn = false;
  #batchEnd: (() => void)[] = [];
  /** What was told of when `#watch` last looked. */
  readonly #watched = { memory: 0, gaps: 0, challenges: 0, icmp: 0, resets: 0, fragments: 0 };

  // One of each, filled again for every frame.
  readonly #ip = new Ipv4Header();
  readonly #segment = new Segment();
  readonly #icmp = new IcmpMessage();
  readonly #counts: StackCounters = {
    framesIn: 0,
    framesOut: 0,
    connections: 0,
    halfOpen: 0,
    timeWait: 0,
    orphans: 0,
    synBacklogOverflows: 0,
    listenOverflows: 0,
    cookiesSent: 0,
    cookiesReceived: 0,
    cookiesFailed: 0,
    fragmentOctets: 0,
    fragmentsShed: 0,
    icmpLimited: 0,
    resetsLimited: 0,
    pagesUsed: 0,
    pagesCapacity: 0,
  };

  /** @throws StackError EINVAL for an address that is none; RangeError for an option out of bounds */
  constructor(config: StackConfig) {
    this.#prefixes = config.addresses.map((text) => {
      const p = parsePrefix(text);
      if (p === undefined) throw new StackError("EINVAL", `"${text}" is not an IPv4 address or prefix`);
      return p;
    });
    this.options = Object.freeze({ ...DEFAULTS, ...validate({ ...config.options }) });
    this.limits = Object.freeze({ ...LIMIT_DEFAULTS, ...config.limits });
    this.mtu = config.mtu;
    this.#secret = config.secret;
    this.env = new Environment(new PagePool(config.memory ?? createMemory(this.limits.memory)), config.random, this.options.challengeAckLimit);
    this.env.outlet = this;
    this.env.linkMtu = config.mtu;
    this.env.now = config.now ?? (0 as Millis);
    if (config.observer !== undefined) this.env.addObserver(config.observer);
    this.#demux = new Demux(config.secret[0] as number);
    this.#wheel = new Wheel(this.env.now);
    this.#ports = new EphemeralPorts(config.secret);
    this.#shedding = new Shedding(this.env, this.limits);
    this.#cookieMode = config.synCookies ?? "auto";
    this.#cookies = new SynCookies(config.random, config.secret);
    this.#reassembly = new Reassembly(this.limits.maxFragments, this.limits.fragmentTimeout);
    this.#icmpRate = new RateLimit(this.limits.icmpRate);
    this.#resetRate = new RateLimit(this.limits.resetRate);
  }

  attach(rx: RxRing, tx: TxRing, offload: Offload): void {
    this.#rx = rx;
    this.#out = new Transmitter(tx, offload, this.mtu);
  }
  addObserver(o: Observer): () => void {
    return this.env.addObserver(o);
  }
  /** Runs after each batch of frames was worked through, before anything is sent. @returns how to stop it */
  onBatchEnd(fn: () => void): () => void {
    this.#batchEnd.push(fn);
    return () => {
      this.#batchEnd = this.#batchEnd.filter((f) => f !== fn);
    };
  }
  /** Gives user calls, which bring no time of their own, a better clock than the last turn's. */
  setTimeSource(time: () => Millis): void {
    this.env.time = time;
  }

  get counters(): Readonly<StackCounters> {
    const c = this.#counts;
    c.connections = this.#demux.size;
    c.cookiesSent = this.#cookies.sent;
    c.cookiesReceived = this.#cookies.received;
    c.cookiesFailed = this.#cookies.failed;
    c.fragmentOctets = this.#reassembly.octets;
    c.fragmentsShed = this.#reassembly.shed;
    c.icmpLimited = this.#icmpRate.refused;
    c.resetsLimited = this.#resetRate.refused;
    c.orphans = this.#shedding.orphans;
    c.timeWait = this.#shedding.timeWaits;
    c.pagesUsed = this.env.pages.used;
    c.pagesCapacity = this.env.pages.capacity;
    return c;
  }
  /** All connections, oldest first. The order is made when it is asked for: a list that keeps it would be work for each. */
  connections(): IterableIterator<Connection> {
    return [...this.#demux.values()]
      .sort((a, b) => a.id - b.id)
      .map((t) => t.connection)
      .values();
  }
  connection(id: number): Connection | undefined {
    for (const t of this.#demux.values()) if (t.id === id) return t.connection;
    return undefined;
  }
  /** The connection of these four; undefined if there is none. */
  find(localAddress: string, localPort: number, remoteAddress: string, remotePort: number): Connection | undefined {
    // What is no address equals none.
    const address = (text: string): number => parseAddress(text) ?? Number.NaN;
    return this.#demux.find(address(localAddress), address(remoteAddress), (remotePort << 16) | localPort)?.connection;
  }
  listeners(): IterableIterator<Listener> {
    return this.#listeners.values();
  }
  isOurs(address: number): boolean {
    for (let i = 0; i < this.#prefixes.length; i++) if (contains(this.#prefixes[i] as Prefix, address)) return true;
    return false;
  }
  /** Our first address, as text: where active opens start. */
  get defaultAddress(): string {
    return formatAddress((this.#prefixes[0] as Prefix).address);
  }

  // ---- A turn: packetsArrive, timeout, transmit ----

  /** The device has read `count` frames into its ring. */
  packetsArrive(count: number, now: Millis): void {
    this.env.now = now;
    this.#inTurn = true;
    const rx = this.#rx as RxRing;
    for (let i = 0; i < count; i++)
      this.#frameArrives(rx.memory, rx.offset[i] as number, rx.length[i] as number, rx.trusted[i] === 1, rx.gsoSize[i] as number, now);
    for (let i = 0; i < this.#batchEnd.length; i++) (this.#batchEnd[i] as () => void)();
    this.#inTurn = false;
  }

  /** Runs the timers that are due. */
  timeout(now: Millis): void {
    this.env.now = now;
    this.#inTurn = true;
    for (let wake = this.#wheel.take(now); wake !== undefined; wake = this.#wheel.take(now)) {
      const t = wake.tcb;
      if (t.timers.next <= now) timeouts(t, now);
      if (t.state !== "CLOSED") this.#wheel.set(wake, t.timers.next);
    }
    if (this.#reassembly.next() <= now)
      this.#reassembly.timeout(now, (quote, source, destination) => {
        if (this.#icmpRate.allow(now)) this.#out?.icmpError(ICMP_TIME_EXCEEDED, 1, quote, 0, quote.length, destination, source);
      });
    this.#inTurn = false;
  }

  /** Makes the upcalls that are owed, sends what is due, and hands all of it to the device. */
  transmit(now: Millis): void {
    this.env.now = now;
    this.#inTurn = true;
    do this.#workOff(now);
    while (this.env.starved.size > 0 && this.env.pages.available > 0 && this.#feed());
    this.#inTurn = false;
    this.#out?.submit();
    this.#watch(now);
  }

  #workOff(now: Millis): void {
    const touched = this.#touched;
    for (let i = 0; i < this.#touchedCount; i++) {
      const t = touched[i] as Tcb;
      touched[i] = undefined;
      t.touched = false;
      if (t.tell !== 0) tellUser(t, this.#accepted);
      output(t, now);
      const shed = this.#shedding.account(t, now);
      if (shed !== undefined) this.#remove(shed);
      if (t.isClosed) this.#remove(t);
      else if (t.timers.next < t.wake.at) this.#wheel.set(t.wake, t.timers.next);
    }
    this.#touchedCount = 0;
  }

  /** Pages have come back: whoever could queue nothing may try again. @returns whether somebody will */
  #feed(): boolean {
    for (const t of this.env.starved) {
      t.wantsSpace = false;
      t.tell |= TELL_WRITABLE;
      this.touched(t);
    }
    this.env.starved.clear();
    return this.#touchedCount > 0;
  }

  /** What the core and the rates have shed, a line a second each at most. */
  #watch(now: Millis): void {
    const c = this.env.counters;
    if (c.memoryDrops + c.memoryWaits !== this.#watched.memory)
      this.#watched.memory = this.#tell("memory", this.#watched.memory, c.memoryDrops + c.memoryWaits, now);
    if (c.gapDrops !== this.#watched.gaps) this.#watched.gaps = this.#tell("outOfOrderRanges", this.#watched.gaps, c.gapDrops, now);
    if (c.challengeAcksLimited !== this.#watched.challenges)
      this.#watched.challenges = this.#tell("challengeAckLimit", this.#watched.challenges, c.challengeAcksLimited, now);
    if (this.#icmpRate.refused !== this.#watched.icmp) this.#watched.icmp = this.#tell("icmpRate", this.#watched.icmp, this.#icmpRate.refused, now);
    if (this.#resetRate.refused !== this.#watched.resets) this.#watched.resets = this.#tell("resetRate", this.#watched.resets, this.#resetRate.refused, now);
    if (this.#reassembly.shed !== this.#watched.fragments)
      this.#watched.fragments = this.#tell("maxFragments", this.#watched.fragments, this.#reassembly.shed, now);
  }
  #tell(
    limit: "memory" | "icmpRate" | "resetRate" | "maxFragments" | "challengeAckLimit" | "outOfOrderRanges",
    before: number,
    total: number,
    now: Millis,
  ): number {
    const value = limit === "challengeAckLimit" || limit === "outOfOrderRanges" ? this.options[limit] : this.limits[limit];
    this.#shedding.tell(limit, value, now, total - before);
    return total;
  }

  nextTimeout(): Millis {
    const timer = this.#wheel.next(),
      fragment = this.#reassembly.next();
    return timer < fragment ? timer : fragment;
  }

  // ---- Users ----

  /**
   * Waits for connections. `port` 0 chooses one; "any" takes every port that nobody else listens on. One may wait to be
   * accepted however small `backlog` is, as with Linux.
   * @throws StackError EADDRINUSE, EADDRNOTAVAIL, EINVAL
   */
  listen(where: { address?: string; port: number | "any"; backlog?: number; options?: Partial<TcpOptions> }, accept: Accept): Listener {
    const every = where.address === undefined || where.address === "0.0.0.0";
    const address = every ? undefined : parseAddress(where.address as string);
    if (!every && address === undefined) throw new StackError("EINVAL", `"${where.address}" is not an IPv4 address`);
    if (address !== undefined && !this.isOurs(address)) throw new StackError("EADDRNOTAVAIL", `${where.address} is not an address of this stack`);
    let port = where.port;
    if (port !== "any" && (!Number.isInteger(port) || port < 0 || port > 65_535)) throw new StackError("EINVAL", `port ${port} is not within 0 to 65535`);
    if (port === 0) {
      port = this.#ports.choose(address ?? 0, 0, 0, (p) => !this.#listeners.usesPort(p)) ?? 0;
      if (port === 0) throw new StackError("EADDRINUSE", "no port is free");
    }
    if (this.#listeners.has(address, port)) throw new StackError("EADDRINUSE", `${where.address ?? "0.0.0.0"}:${port} is already listened on`);
    const options = where.options === undefined ? this.options : Object.freeze({ ...this.options, ...validate({ ...where.options }) });
    const listener = new Listener(
      address,
      every ? "0.0.0.0" : (where.address as string),
      port,
      Math.max(1, where.backlog ?? this.limits.acceptBacklog),
      options,
      accept,
      (l) => this.#closeListener(l),
    );
    this.#listeners.add(listener);
    return listener;
  }

  /** Active OPEN (RFC 9293 §3.10.1). @throws StackError EADDRNOTAVAIL, EADDRINUSE, EINVAL, ENETUNREACH, ENOBUFS */
  connect(
    to: { remoteAddress: string; remotePort: number; localAddress?: string; localPort?: number; options?: Partial<TcpOptions> },
    user: ConnectionUser,
  ): Connection {
    const remote = parseAddress(to.remoteAddress),
      local = parseAddress(to.localAddress ?? this.defaultAddress);
    if (remote === undefined || local === undefined)
      throw new StackError("EINVAL", `"${remote === undefined ? to.remoteAddress : to.localAddress}" is not an IPv4 address`);
    if (!this.isOurs(local)) throw new StackError("EADDRNOTAVAIL", `${to.localAddress} is not an address of this stack`);
    // §3.9.1.1, MUST-46 and on: no connection to a broadcast or multicast address.
    if (isUnusablePeer(remote)) throw new StackError("ENETUNREACH", `${to.remoteAddress} cannot be a peer of a TCP connection`);
    if (this.#demux.size - this.#shedding.timeWaits >= this.limits.maxConnections) throw new StackError("ENOBUFS", "too many connections");
    const free = (p: number): boolean => this.#demux.find(local, remote, (to.remotePort << 16) | p) === undefined;
    const localPort = to.localPort !== undefined && to.localPort > 0 ? to.localPort : this.#ports.choose(local, remote, to.remotePort, free);
    if (localPort === undefined) throw new StackError("EADDRNOTAVAIL", "no ephemeral port is free");
    if (!free(localPort))
      throw new StackError("EADDRINUSE", `${to.localAddress ?? this.defaultAddress}:${localPort} is already connected to ${to.remoteAddress}:${to.remotePort}`);
    const now = this.env.time();
    const options = to.options === undefined ? this.options : Object.freeze({ ...this.options, ...validate({ ...to.options }) });
    const flow = new Flow(local, localPort, remote, to.remotePort);
    const t = this.#create(flow, options, false, user, now);
    openActively(t, this.#chooseIss(flow, options, now), now);
    return t.connection;
  }

  /** Changes settings for connections that are opened from now on. @throws RangeError for an option out of bounds */
  configure(changes: Partial<TcpOptions>): void {
    const valid = validate({ ...changes });
    this.options = Object.freeze({ ...this.options, ...valid });
    for (const l of this.#listeners.values()) l.options = Object.freeze({ ...l.options, ...valid });
  }

  /** Ends every live connection by RST. Call `transmit` after it. */
  shutdown(now: Millis): void {
    this.env.now = now;
    this.env.causedByCall("ABORT");
    for (const t of [...this.#demux.values()]) {
      if (t.state === "TIME-WAIT" || t.state === "SYN-SENT" || t.state === "CLOSED") t.close("shutdown", "stack-shutdown", now);
      else reset(t, "stack-shutdown", now, "shutdown");
    }
    for (const l of [...this.#listeners.values()]) this.#listeners.delete(l);
  }

  // ---- Outlet: what the core asks for ----

  get maxText(): number {
    return this.#out?.maxText ?? 0;
  }

  touched(t: Tcb): void {
    if (t.touched) return;
    t.touched = true;
    this.#touched[this.#touchedCount++] = t;
    if (!this.#inTurn && this.#touchedCount === 1) this.onWork();
  }

  settle(): void {
    this.#out?.flush();
  }

  segment(t: Tcb, header: SegmentHeader, from: Seq, textLength: number, retransmission: boolean): void {
    t.stats.segmentsOut++;
    this.env.counters.segmentsOut++;
    this.#counts.framesOut++;
    if (this.env.wants("segment")) this.env.emit(segmentOut(t, header, textLength, retransmission));
    this.#out?.segment(t, header, from, textLength, retransmission);
  }

  reply(to: Segment, sequence: number, acknowledgment: number, ctl: number): void {
    if (!this.#resetRate.allow(this.env.now)) return this.env.hit("limit-rate");
    this.env.counters.resetsOut++;
    this.#counts.framesOut++;
    this.#out?.reply(to, this.#ip.destination, this.#ip.source, sequence, acknowledgment, ctl);
  }

  mayEstablish(t: Tcb): boolean {
    const listener = t.listener as Listener | undefined;
    if (listener === undefined || !listener.isFull) return true;
    this.#acceptQueueFull(listener);
    return false;
  }

  // ---- Arrivals ----

  #frameArrives(memory: Memory, offset: number, length: number, trusted: boolean, gsoSize: number, now: Millis): void {
    this.#counts.framesIn++;
    const ip = this.#ip;
    const wrong = parseIpv4(memory.bytes, offset, length, ip);
    if (wrong !== undefined) return this.env.hit(wrong);
    if (!this.isOurs(ip.destination)) return this.env.hit("ip-not-ours");
    // Multicast and broadcast sources too: no reply may go there (RFC 9293 §3.9.2.3).
    if (isUnusablePeer(ip.source)) return this.env.hit("1122-3.2.1.3");
    if (ip.moreFragments || ip.fragmentOffset > 0) return this.#fragmentArrives(memory, offset, now);
    this.#datagramArrives(memory, offset, ip.headerLength, ip.totalLength - ip.headerLength, trusted, gsoSize, now);
  }

  #fragmentArrives(memory: Memory, offset: number, now: Millis): void {
    const r = this.#reassembly.fragmentArrives(memory.bytes, offset, this.#ip, now);
    if (r.kind === "dropped") return this.env.hit("1122-3.3.2");
    if (r.kind === "waiting") return;
    parseIpv4(r.memory.bytes, 0, r.length, this.#ip);
    this.#datagramArrives(r.memory, 0, this.#ip.headerLength, r.length - this.#ip.headerLength, false, 0, now);
  }

  #datagramArrives(memory: Memory, offset: number, headerLength: number, length: number, trusted: boolean, gsoSize: number, now: Millis): void {
    const ip = this.#ip;
    switch (ip.protocol) {
      case PROTOCOL_TCP:
        return this.#tcpArrives(memory, offset + headerLength, length, trusted, gsoSize, now);
      case PROTOCOL_ICMP:
        return this.#icmpArrivesHere(memory, offset + headerLength, length, now);
      default:
        this.env.hit("1122-3.2.2.1");
        if (this.#icmpRate.allow(now))
          this.#out?.icmpError(
            ICMP_UNREACHABLE,
            UNREACHABLE_PROTOCOL,
            memory.bytes,
            offset,
            Math.min(headerLength + 8, headerLength + length),
            ip.destination,
            ip.source,
          );
    }
  }

  #tcpArrives(memory: Memory, offset: number, length: number, trusted: boolean, gsoSize: number, now: Millis): void {
    const ip = this.#ip,
      seg = this.#segment;
    const wrong = parseTcp(memory, offset, length, ip.source, ip.destination, trusted, seg);
    if (wrong !== undefined) return this.env.hit(wrong);
    seg.gsoSize = gsoSize;
    seg.ecn = ip.tos & 3;
    this.env.counters.segmentsIn++;
    const ports = (seg.sourcePort << 16) | seg.destinationPort;
    const t = this.#demux.find(ip.destination, ip.source, ports);
    if (t !== undefined && t.state !== "CLOSED") {
      if (this.#segmentForConnection(t, seg, now) !== "reopen") return;
      return this.#listenerHears(ip.destination, seg, now, add(t.snd.nxt, 65_536 + (this.env.random() & 0xffff)));
    }
    if (t !== undefined) this.#remove(t);
    this.#listenerHears(ip.destination, seg, now, undefined);
  }

  #segmentForConnection(t: Tcb, seg: Segment, now: Millis): "reopen" | undefined {
    if (this.env.wants("segment")) this.env.emit(segmentIn(t, seg));
    const again = segmentArrives(t, seg, now);
    if (t.tell !== 0) tellUser(t, this.#accepted);
    t.receiveQueue.settle();
    if (t.isClosed) this.#remove(t);
    else this.touched(t);
    return again;
  }

  /** No connection: a listener, or nobody. */
  #listenerHears(address: number, seg: Segment, now: Millis, iss: Seq | undefined): void {
    this.env.causedBySegment(seg);
    const listener = this.#listeners.find(address, seg.destinationPort);
    if (listener === undefined) {
      if ((seg.ctl & (SYN | ACK | RST)) === SYN && this.env.wants("refused")) {
        const f = new Flow(address, seg.destinationPort, this.#ip.source, seg.sourcePort);
        this.env.emit({
          kind: "refused",
          conn: { id: 0, local: `${f.localAddress}:${f.localPort}`, remote: `${f.remoteAddress}:${f.remotePort}` },
          rule: "9293-3.10.7.1",
          cause: this.env.cause(),
        });
      }
      return inClosed(this.env, seg);
    }
    const source = this.#ip.source;
    if ((seg.ctl & (SYN | ACK | RST)) === ACK && this.#cookieArrives(listener, address, source, seg, now)) return;
    if (inListen(this.env, seg) !== "open") return;
    if (listener.isFull) {
      this.#acceptQueueFull(listener);
      return this.env.drop(undefined, "accept-backlog");
    }
    const full = this.#counts.halfOpen >= this.limits.synBacklog;
    if (full || this.#cookieMode === "always") {
      if (full) this.#synBacklogFull(now);
      if (this.#cookieMode === "off") return this.env.drop(undefined, "4987-backlog");
      this.env.hit("4987-backlog");
      this.#counts.framesOut++;
      if (this.#out !== undefined) answerWithCookie(this.#out, this.#cookies, this.#secret, seg, address, source, listener.options, this.mtu, now);
      return;
    }
    if (!this.#mayHold(source, now)) return;
    const flow = new Flow(address, seg.destinationPort, source, seg.sourcePort);
    const t = this.#create(flow, listener.options, true, NOBODY, now);
    t.listener = listener;
    listener.halfOpen++;
    this.#counts.halfOpen++;
    if (this.env.wants("segment")) this.env.emit(segmentIn(t, seg));
    openPassively(t, seg, iss ?? this.#chooseIss(flow, listener.options, now), now);
  }

  /** RFC 4987 §3.6. @returns whether the ACK was a cookie of ours; then there is a connection, if another one may be */
  #cookieArrives(listener: Listener, address: number, source: number, seg: Segment, now: Millis): boolean {
    const offered = cookieIn(this.#cookies, seg, address, source, now);
    if (offered === undefined) return false;
    if (listener.isFull) {
      this.#acceptQueueFull(listener);
      this.env.drop(undefined, "accept-backlog");
      return true;
    }
    if (!this.#mayHold(source, now)) return true;
    const t = this.#create(new Flow(address, seg.destinationPort, source, seg.sourcePort), listener.options, true, NOBODY, now);
    t.listener = listener;
    listener.halfOpen++;
    this.#counts.halfOpen++;
    openFromCookie(t, seg, offered, now);
    this.#segmentForConnection(t, seg, now);
    return true;
  }

  /** Whether another connection may be; if not, the SYN or cookie is dropped, and the peer tries again. */
  #mayHold(source: number, now: Millis): boolean {
    const { maxConnections, maxPerSource } = this.limits,
      fromThere = this.#perSource.get(source) ?? 0;
    const isFull = this.#demux.size - this.#shedding.timeWaits >= maxConnections;
    if (!isFull && (maxPerSource === 0 || fromThere < maxPerSource)) return true;
    this.#shedding.tell(isFull ? "maxConnections" : "maxPerSource", isFull ? maxConnections : maxPerSource, now);
    this.env.drop(undefined, isFull ? "limit-connections" : "limit-per-source");
    return false;
  }

  #acceptQueueFull(listener: Listener): void {
    this.#counts.listenOverflows++;
    this.#shedding.tell("acceptBacklog", listener.backlog, this.env.now);
  }
  #synBacklogFull(now: Millis): void {
    this.#counts.synBacklogOverflows++;
    this.#shedding.flood(this.#counts.halfOpen, this.#demux.values(), this.#cookies.sent, now);
  }
  #icmpArrivesHere(memory: Memory, offset: number, length: number, now: Millis): void {
    const ip = this.#ip,
      m = this.#icmp;
    const wrong = parseIcmp(memory, offset, length, m);
    if (wrong !== undefined) return this.env.hit(wrong);
    if (m.type === ICMP_ECHO_REQUEST) return this.#out?.echoReply(memory, offset, length, ip.destination, ip.source, ip.tos);
    if (!isIcmpError(m.type) || !m.quoted || m.quotedProtocol !== PROTOCOL_TCP || m.quotedSource !== ip.destination) return this.env.hit("icmp-ignored");
    const t = this.#demux.find(m.quotedSource, m.quotedDestination, (m.quotedDestinationPort << 16) | m.quotedSourcePort);
    if (t === undefined || t.state === "CLOSED" || t.state === "TIME-WAIT") return this.env.hit("icmp-ignored");
    icmpArrives(t, m, now);
  }

  // ---- Life of a connection ----

  #create(flow: Flow, options: Readonly<TcpOptions>, passive: boolean, user: ConnectionUser, now: Millis): Tcb {
    const t = new Tcb(++this.#lastId, flow, this.env, options, passive, this.mtu, now);
    t.connection = new Connection(t, user);
    t.ts.offset = timestampOffset(this.#secret, flow.local, flow.remote);
    this.#demux.add(flow.local, flow.remote, flow.ports, t);
    if (this.limits.maxPerSource > 0) this.#perSource.set(flow.remote, (this.#perSource.get(flow.remote) ?? 0) + 1);
    return t;
  }
  #chooseIss(flow: Flow, options: Readonly<TcpOptions>, now: Millis): Seq {
    if (options.initialSequence >= 0) return seq(options.initialSequence);
    return initialSequence(this.#secret, flow.local, flow.remote, flow.ports, now);
  }

  #remove(t: Tcb): void {
    if (t.removed) return;
    t.removed = true;
    const flow = t.path as Flow;
    this.#wheel.clear(t.wake);
    this.#shedding.removed(t);
    this.#demux.delete(flow.local, flow.remote, flow.ports);
    if (this.env.starved.size > 0) this.env.starved.delete(t);
    this.#leaveHalfOpen(t);
    if (this.limits.maxPerSource > 0) {
      const n = (this.#perSource.get(flow.remote) ?? 1) - 1;
      if (n > 0) this.#perSource.set(flow.remote, n);
      else this.#perSource.delete(flow.remote);
    }
  }
  #leaveHalfOpen(t: Tcb): void {
    const listener = t.listener as Listener | undefined;
    if (listener === undefined) return;
    t.listener = undefined;
    listener.halfOpen--;
    this.#counts.halfOpen--;
  }
  #closeListener(l: Listener): void {
    this.#listeners.delete(l);
    const now = this.env.time();
    // §3.10.4, LISTEN: nothing is sent; what the peer sends next finds no connection and is reset by that.
    for (const t of [...this.#demux.values()]) if (t.listener === l && t.state === "SYN-RECEIVED") t.close("local", "9293-3.10.4", now);
  }

  readonly #accepted = (t: Tcb): void => {
    const listener = t.listener as Listener;
    this.#leaveHalfOpen(t);
    listener.accepted++;
    t.connection.user = listener.accept(t.connection);
  };
}
