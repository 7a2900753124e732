/** Plays a script against the host, event by event, in virtual time (language §2 to §8). */
import { SYN } from "../wire/segment.js";
import { formatAddress, parseAddress } from "../wire/ipv4.js";
import type { TcpEvent } from "../tcp/events.js";
import type { Connection } from "../tcp/connection.js";
import { parseState } from "../tcp/state.js";
import type { CallAction, Command, IcmpAction, Script, ScriptEvent, TcpAction, TcpOption } from "./ast.js";
import { runCommand, type Settings } from "./commands.js";
import { Mismatch, type Position, ScriptError, Unsupported } from "./errors.js";
import { Flow } from "./flow.js";
import { formatPacket, formatTime } from "./format.js";
import { Host } from "./host.js";
import { continues, join, type MatchRules, mismatch, stampOf } from "./match.js";
import type { Profile } from "./profile.js";
import { CodeFailure, Interpreter } from "./python.js";
import type { RunSettings } from "./settings.js";
import type { Socket } from "./socket.js";
import { type CallContext, errnoNumber, type Outcome, type Started, Syscalls } from "./syscalls.js";
import { infoLookup, tcpInfo } from "./tcp-info.js";
import { isEllipsis, numberOf } from "./values.js";
import { type Captured, decode, encodeIcmp, encodeTcp, type Packet } from "./wire.js";

export interface RunOptions {
  readonly profile: Profile;
  readonly settings: RunSettings;
  /** Exact PSH and SYN option order. */
  readonly strict: boolean;
  /** Added to each remote sequence number on the wire. */
  readonly remoteIsn?: number;
  /** The stack's clock at script time 0, milliseconds; moves the local ISN. */
  readonly startMs?: number;
  readonly trace?: (line: string) => void;
  readonly event?: (event: TcpEvent) => void;
}

/** A failed expectation with the place in the script that it belongs to. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly at: Position;
  readonly wanted: string | undefined;
  readonly got: string | undefined;
  constructor(at: Position, reason: string, wanted?: string, got?: string) {
    super(reason);
    this.at = at;
    this.wanted = wanted;
    this.got = got;
  }
}

export interface RunOutcome {
  /** Asserts that were left out, mismatches that the script declared not fatal. */
  readonly notes: readonly string[];
  /** ISN that the host chose for its first connection, as on the wire; undefined if it sent no SYN. */
  readonly localIsn: number | undefined;
}

/** A blocking call on its way. */
interface Pending {
  readonly event: ScriptEvent;
  readonly call: CallAction;
  readonly started: Started;
  readonly startedAt: number;
  readonly endsAt: number;
}

const EPHEMERAL = 40_000;
/** How long an expected packet may be late before the wait is given up, and how long `*` waits, microseconds. */
const GIVE_UP = 2_000_000,
  FOREVER = 600_000_000;
const DEFAULT_TTL = 64;
/** An instant that no timer is confused with zero at. */
const START_MS = 1_000_000;

export class Runner {
  readonly #script: Script;
  readonly #o: RunOptions;
  readonly #rules: MatchRules;
  #host!: Host;
  #calls!: Syscalls;
  #isStarted = false;
  readonly #code = new Interpreter();
  readonly #notes: string[] = [];
  readonly #settings: Settings;
  readonly #captured: Captured[] = [];
  #isn: number | undefined;

  /** The socket under test and its connection (language §4). */
  #socket: Socket | undefined;
  #flow: Flow | undefined;
  #flows: Flow[] = [];
  #conn: Connection | undefined;
  #nextPort = EPHEMERAL;

  #pending: Pending | undefined;
  #pendingFailure: Failure | undefined;
  /** When the event before was due, and whether it was an injection; when it was over. */
  #lastScheduled = 0;
  #lastInjected = false;
  #lastFinished = 0;

  constructor(script: Script, options: RunOptions) {
    this.#script = script;
    this.#o = options;
    const { profile } = options;
    this.#rules = { psh: options.strict, synOptionOrder: options.strict, compareWindow: profile.compareWindow, compareSynOptions: profile.compareSynOptions };
    this.#settings = {
      options: profile.options,
      receiveDefault: undefined,
      sendDefault: undefined,
      synCookies: "auto",
      notSentLowAt: 0xffffffff,
      countState: (name) => this.#countState(name),
    };
  }

  /** Makes the host when the first event asks for one: commands before it say how; later ones are for new sockets only. */
  #start(): void {
    const { profile, settings } = this.#o,
      options = this.#o;
    this.#isStarted = true;
    this.#host = new Host({
      address: settings.localIp,
      mtu: settings.mtu,
      options: this.#settings.options,
      synCookies: this.#settings.synCookies,
      startMs: options.startMs ?? START_MS,
      sent: (frame) => this.#sent(frame),
      stepped: () => this.#stepped(),
      ...(options.event !== undefined && { event: options.event }),
    });
    const context: CallContext = {
      host: this.#host,
      isLinux: profile.name !== "freebsd",
      compareBuffers: profile.compareBuffers,
      doublesBuffers: profile.doublesBuffers,
      bindPort: settings.bindPort,
      connectPort: settings.connectPort,
      localAddress: settings.localIp,
      remoteAddress: settings.remoteIp,
      settings: () => this.#settings,
      connecting: (socket) => this.#connecting(socket),
    };
    this.#calls = new Syscalls(context);
  }

  /** @throws Failure, ScriptError or Unsupported */
  run(): RunOutcome {
    try {
      for (const command of this.#script.init) this.#command(command);
      for (const event of this.#script.events) this.#event(event);
      this.#awaitPending(FOREVER);
    } finally {
      for (const command of this.#script.cleanup) this.#cleanup(command);
    }
    return { notes: this.#notes, localIsn: this.#isn };
  }

  #cleanup(command: Command): void {
    try {
      this.#command(command);
    } catch {
      // What a script tidies up after itself has no bearing on its result.
    }
  }

  #event(event: ScriptEvent): void {
    try {
      if (!this.#isStarted) {
        if (event.action.kind === "command" && event.time.kind !== "any" && event.time.us === 0) return this.#command(event.action);
        this.#start();
      }
      this.#act(event);
    } catch (e) {
      if (e instanceof Mismatch) throw new Failure(event, e.message, e.wanted, e.got);
      if (e instanceof CodeFailure) throw new Failure({ line: e.line, column: 1 }, e.message);
      if (e instanceof Failure || e instanceof ScriptError || e instanceof Unsupported) throw e;
      // A stack that throws fails this script; the others still run.
      throw new Failure(event, `the stack broke down: ${e instanceof Error ? e.message : String(e)}`);
    }
    if (this.#pendingFailure !== undefined) throw this.#pendingFailure;
    this.#lastFinished = this.#host.now;
  }

  #act(event: ScriptEvent): void {
    const { time, action } = event;
    const injected = (action.kind === "tcp" && action.direction === "in") || action.kind === "icmp";
    const base = injected && this.#lastInjected ? this.#lastScheduled : this.#lastFinished;
    const relative = time.kind === "relative" || time.kind === "relativeRange";
    const due = time.kind === "any" ? this.#host.now : (relative ? base : 0) + time.us;
    const latest = time.kind === "absoluteRange" || time.kind === "relativeRange" ? (relative ? base : 0) + time.endUs : due;
    const tolerance = this.#tolerance(due - this.#lastScheduled);
    if (action.kind === "tcp" && action.direction === "out") {
      this.#lastScheduled = due;
      this.#lastInjected = false;
      return this.#expect(event, action, due, latest, tolerance, time.kind === "any");
    }
    this.#runTo(due);
    if (this.#host.now > due + tolerance) {
      throw new Failure(
        event,
        "event late: the clock had passed its time, as a packet before it was met too late",
        formatTime(due),
        formatTime(this.#host.now),
      );
    }
    this.#lastScheduled = due;
    this.#lastInjected = injected;
    switch (action.kind) {
      case "tcp":
        return this.#inject(event, action);
      case "icmp":
        return this.#injectIcmp(action);
      case "call":
        return this.#call(event, action, due, base);
      case "command":
        return this.#command(action);
      case "code": {
        const skipped = this.#code.run(action.code, infoLookup(this.#info()));
        for (const text of skipped) this.#notes.push(`assert skipped, ${text}`);
      }
    }
  }

  #tolerance(delta: number): number {
    return Math.max(this.#o.settings.toleranceUs, (this.#o.settings.tolerancePercent / 100) * Math.max(0, delta));
  }

  // ---- The host's side ----

  #sent(frame: Uint8Array): void {
    const packet = decode(frame, this.#host.now);
    if (packet === undefined) return;
    if (this.#isn === undefined && (packet.flags & SYN) !== 0) this.#isn = packet.sequence;
    this.#trace(">", packet);
    this.#captured.push(packet);
  }

  #trace(sign: "<" | ">", packet: Packet): void {
    const { trace } = this.#o;
    if (trace === undefined) return;
    const flow = sign === ">" ? (this.#flow?.matches(packet) === true ? this.#flow : this.#flows.find((f) => f.matches(packet))) : undefined;
    const mapped = flow === undefined ? packet : flow.toScript(packet);
    // A SYN fixes the mapping when it is compared; until then it is 0, as nearly every script calls it.
    const shown = flow?.isLocalKnown === false && (packet.flags & SYN) !== 0 ? { ...mapped, sequence: 0 } : mapped;
    trace(`${formatTime(this.#host.now)} ${sign} ${formatPacket(shown)}`);
  }

  /** A blocking call completes at the instant at which it can. */
  #stepped(): void {
    this.#calls.stepped();
    const p = this.#pending;
    if (p === undefined || this.#pendingFailure !== undefined) return;
    try {
      const outcome = p.started.attempt();
      if (outcome === undefined) return;
      this.#pending = undefined;
      this.#checkOutcome(p.event, p.call, outcome);
      const tolerance = this.#tolerance(p.endsAt - p.startedAt);
      if (Math.abs(this.#host.now - p.endsAt) > tolerance)
        throw new Failure(p.event, `${p.call.name}() returned at the wrong time`, formatTime(p.endsAt), formatTime(this.#host.now));
    } catch (e) {
      this.#pending = undefined;
      if (e instanceof Failure) this.#pendingFailure = e;
      else if (e instanceof Mismatch) this.#pendingFailure = new Failure(p.event, e.message, e.wanted, e.got);
      else throw e;
    }
  }

  /** Lets time pass, waking blocking calls at their own deadlines. */
  #runTo(until: number, stop: () => boolean = () => false): void {
    const halt = (): boolean => stop() || this.#pendingFailure !== undefined;
    for (
      let deadline = this.#pending?.started.deadline;
      deadline !== undefined && deadline < until && deadline >= this.#host.now;
      deadline = this.#pending?.started.deadline
    ) {
      const before = this.#pending;
      this.#host.run(deadline, halt);
      if (halt()) break;
      this.#stepped();
      if (this.#pending === before) break;
    }
    if (this.#pendingFailure === undefined && !stop()) this.#host.run(until, halt);
    if (this.#pendingFailure !== undefined) throw this.#pendingFailure;
  }

  // ---- Which connection ----

  #newFlow(localPort: number, remotePort: number, localAddress = this.#o.settings.localIp, remoteAddress = this.#o.settings.remoteIp): Flow {
    const flow = new Flow(parseAddress(localAddress) ?? 0, parseAddress(remoteAddress) ?? 0, localPort, remotePort, this.#o.remoteIsn ?? 0);
    this.#flows.push(flow);
    return flow;
  }

  /** The connection that an injected packet belongs to; a listener, a bound socket or none gets a new one. */
  #flowForInjection(): Flow {
    this.#flow ??= this.#newFlow(
      this.#socket?.bound?.port ?? this.#o.settings.bindPort,
      this.#nextPort++,
      this.#socket?.bound?.address ?? this.#o.settings.localIp,
    );
    return this.#flow;
  }

  #connecting(socket: Socket): void {
    const { conn } = socket;
    if (conn === undefined) return;
    this.#socket = socket;
    this.#flow = this.#newFlow(conn.localPort, conn.remotePort, conn.localAddress, conn.remoteAddress);
    this.#conn = conn;
  }

  #connection(): Connection | undefined {
    const f = this.#flow;
    if (f === undefined) return undefined;
    const found = this.#host.stack.find(formatAddress(f.localAddress), f.localPort, formatAddress(f.remoteAddress), f.remotePort);
    if (found !== undefined) this.#conn = found;
    return this.#conn;
  }

  #info(): Readonly<Record<string, number>> {
    const conn = this.#connection();
    return tcpInfo(conn, this.#flow === undefined ? (this.#socket?.state ?? "CLOSED") : (conn?.state ?? "CLOSED"), this.#host.millis);
  }

  #countState(name: string): number {
    const state = parseState(name);
    if (state === undefined) return 0;
    let n = 0;
    if (state === "LISTEN") for (const _ of this.#host.stack.listeners()) n++;
    for (const conn of this.#host.stack.connections()) if (conn.state === state) n++;
    return n;
  }

  // ---- Packets ----

  #inject(event: ScriptEvent, action: TcpAction): void {
    const flow = this.#flowForInjection();
    // As long as our own SYN is unanswered, the peer's next SYN may begin anywhere.
    flow.noteInjected(action.seq, action.flags, this.#connection()?.state === "SYN-SENT");
    const packet: Packet = {
      source: flow.remoteAddress,
      destination: flow.localAddress,
      sourcePort: action.ports?.source ?? flow.remotePort,
      destinationPort: action.ports?.destination ?? flow.localPort,
      sequence: flow.sequenceIn(action.seq, action.flags),
      acknowledgment: flow.acknowledgmentIn(action.ack, action.flags),
      flags: action.flags,
      window: action.window ?? 0,
      urgent: action.urgent,
      options: this.#optionsIn(event, flow, action),
      length: action.seq.length,
      ...ipFields(action.ip),
    };
    this.#o.trace?.(`${formatTime(this.#host.now)} < ${action.text.replace(/^<\s*/, "")}`);
    const { mss } = this.#o.settings;
    this.#host.inject(encodeTcp(packet), mss > 0 && packet.length > mss ? mss : 0);
  }

  #optionsIn(event: ScriptEvent, flow: Flow, action: TcpAction): readonly TcpOption[] {
    if (action.options === "any") return [];
    return flow.optionsIn(action.options, action.flags).map((o) => {
      if (o.kind !== "TS" || (action.flags & 16) === 0) return o;
      const live = flow.stampToWire(o.ecr, this.#o.settings.stampEcrScaled);
      if (live === undefined) throw new ScriptError(event, `ecr ${o.ecr}: no packet with TS val ${o.ecr} was expected before`);
      return { ...o, ecr: live };
    });
  }

  #injectIcmp(action: IcmpAction): void {
    const flow = this.#flowForInjection();
    // [0:0(0)] quotes the SYN, all else is relative to the ISN: both come out as ISN + number.
    const sequence = action.quoted.mode === "absolute" ? action.quoted.first : flow.localToWire(action.quoted.first);
    const quoted: Packet = {
      source: flow.localAddress,
      destination: flow.remoteAddress,
      sourcePort: flow.localPort,
      destinationPort: flow.remotePort,
      sequence,
      acknowledgment: 0,
      flags: 16,
      window: 0,
      urgent: 0,
      options: [],
      length: Math.min(action.quoted.length, 1_460),
      tos: 0,
      ttl: DEFAULT_TTL,
    };
    this.#o.trace?.(`${formatTime(this.#host.now)} < ${action.text.replace(/^<\s*/, "")}`);
    this.#host.inject(
      encodeIcmp({
        source: flow.remoteAddress,
        destination: flow.localAddress,
        type: action.type,
        code: action.code,
        mtu: action.mtu ?? 0,
        quoted,
        ...ipFields(action.ip),
      }),
    );
  }

  /** Drops what belongs to another connection from the head of the queue. */
  #head(flow: Flow | undefined): Captured | undefined {
    while (this.#captured.length > 0) {
      const first = this.#captured[0] as Captured;
      if (flow?.matches(first) === true) return first;
      this.#captured.shift();
    }
    return undefined;
  }

  /** The next packet of the connection under test; waits for it until `limit`. */
  #take(limit: number): Captured | undefined {
    if (this.#head(this.#flow) === undefined) this.#runTo(limit, () => this.#head(this.#flow) !== undefined);
    const found = this.#head(this.#flow);
    if (found !== undefined) this.#captured.shift();
    return found;
  }

  #expect(event: ScriptEvent, want: TcpAction, due: number, latest: number, tolerance: number, anyTime: boolean): void {
    try {
      this.#compare(event, want, due, latest, tolerance, anyTime);
    } catch (e) {
      if (!(e instanceof Failure) || !this.#o.settings.nonFatalPacket) throw e;
      this.#notes.push(`line ${e.at.line}: ${e.message} (not fatal)`);
    }
  }

  #compare(event: ScriptEvent, want: TcpAction, due: number, latest: number, tolerance: number, anyTime: boolean): void {
    const wanted = want.text.replace(/^>\s*/, "");
    const limit = this.#host.now + (anyTime ? FOREVER : Math.max(0, latest - this.#host.now) + GIVE_UP);
    const first = this.#take(limit);
    if (first === undefined)
      throw new Failure(event, anyTime ? `no packet in ${FOREVER / 1e6} s` : `no packet came until ${formatTime(this.#host.now)}`, wanted, "nothing");
    const flow = this.#flow as Flow;
    let got = first;
    if (!this.#o.settings.strictSegments) {
      for (let last = first.length; got.length < want.seq.length && got.length > 0; ) {
        const next = this.#take(limit);
        if (next === undefined) break;
        if (!continues(got, next, last)) {
          this.#captured.unshift(next);
          break;
        }
        last = next.length;
        got = join(got, next);
      }
    }
    const shown = (): string => formatPacket(flow.toScript(got));
    if (got.fault !== undefined) throw new Failure(event, `the packet has ${got.fault}`, wanted, shown());
    flow.noteCaptured(got, want.seq.mode === "mapped" ? want.seq.first : 0);
    const mapped = flow.toScript(got);
    const inNumbers: Packet = {
      ...mapped,
      ...(want.seq.mode === "absolute" && { sequence: got.sequence }),
      ...(want.ack?.absolute === true && { acknowledgment: got.acknowledgment }),
    };
    const why = mismatch(want, inNumbers, this.#rules) ?? this.#stampMismatch(flow, want, got);
    if (why !== undefined) throw new Failure(event, why, wanted, shown());
    if (!anyTime && (got.at < due - tolerance || got.at > latest + tolerance)) {
      const when = latest > due ? `${formatTime(due)} to ${formatTime(latest)}` : formatTime(due);
      throw new Failure(
        event,
        `time differs: the packet came ${got.at < due ? "too early" : "too late"} (tolerance ${formatTime(tolerance)})`,
        when,
        formatTime(got.at),
      );
    }
  }

  /** Language §6.4. */
  #stampMismatch(flow: Flow, want: TcpAction, got: Captured): string | undefined {
    const wanted = stampOf(want.options),
      live = stampOf(got.options);
    if (wanted === undefined || live === undefined) return undefined;
    const tick = this.#o.settings.stampTickUs;
    if (tick > 0 && flow.stampOffset !== undefined) {
      const off = Math.abs((live.val - wanted.val - flow.stampOffset) | 0) * tick;
      if (off > this.#tolerance(this.#host.now))
        return `timestamp differs by ${formatTime(off)}: wanted val ${wanted.val}, got val ${(live.val - flow.stampOffset) >>> 0}`;
    }
    flow.noteStamp(wanted.val, live.val);
    return wanted.ecr === live.ecr ? undefined : `timestamp echo differs: wanted ecr ${wanted.ecr}, got ecr ${live.ecr}`;
  }

  // ---- Calls, commands ----

  #call(event: ScriptEvent, call: CallAction, due: number, base: number): void {
    this.#awaitPending(1_000_000);
    const started = this.#calls.start(call, event);
    this.#host.settle();
    if (call.end === undefined) {
      const outcome = started.attempt();
      this.#host.settle();
      if (outcome === undefined) throw new Failure(event, `${call.name}() would block`);
      return this.#checkOutcome(event, call, outcome);
    }
    const end = call.end.kind === "any" ? due : call.end.kind === "relative" ? base + call.end.us : call.end.us;
    this.#pending = { event, call, started, startedAt: due, endsAt: end };
    this.#stepped();
    this.#host.settle();
  }

  #awaitPending(most: number): void {
    const p = this.#pending;
    if (p === undefined) return;
    this.#runTo(Math.min(this.#host.now + most, Math.max(this.#host.now, p.endsAt + GIVE_UP)), () => this.#pending === undefined);
    if (this.#pending !== undefined)
      throw new Failure(p.event, `${p.call.name}() has not returned`, formatTime(p.endsAt), `nothing until ${formatTime(this.#host.now)}`);
  }

  #checkOutcome(event: ScriptEvent, call: CallAction, outcome: Outcome): void {
    try {
      this.#compareOutcome(event, call, outcome);
    } catch (e) {
      if (!(e instanceof Failure) || !this.#o.settings.nonFatalCall) throw e;
      this.#notes.push(`line ${e.at.line}: ${e.message} (not fatal)`);
    }
  }

  #compareOutcome(event: ScriptEvent, call: CallAction, outcome: Outcome): void {
    if (call.errno !== undefined) errnoNumber(call.errno, event);
    const describe = (value: number, errno: string | undefined): string => (value < 0 && errno !== undefined ? `${value} ${errno}` : `${value}`);
    const wanted = isEllipsis(call.result) ? undefined : numberOf(call.result, "the result", event);
    const got = describe(outcome.value, outcome.errno);
    if (outcome.opened !== undefined) {
      if (wanted !== undefined && wanted < 0) throw new Failure(event, `${call.name}() succeeded`, describe(wanted, call.errno), "a descriptor");
      this.#calls.bind(wanted ?? -1, outcome.opened, event);
      if (call.name === "socket") {
        this.#socket = this.#calls.socket(wanted ?? -1);
        this.#flow = undefined;
        this.#conn = undefined;
      }
      return;
    }
    if (wanted !== undefined && wanted !== outcome.value) throw new Failure(event, `${call.name}() returned another value`, describe(wanted, call.errno), got);
    if (
      outcome.value === -1 &&
      call.errno !== undefined &&
      outcome.errno !== undefined &&
      errnoNumber(call.errno, event) !== errnoNumber(outcome.errno, event)
    ) {
      throw new Failure(event, `${call.name}() failed otherwise`, describe(-1, call.errno), got);
    }
    if (outcome.value >= 0 && call.errno !== undefined) throw new Failure(event, `${call.name}() succeeded`, describe(-1, call.errno), got);
  }

  #command(command: Command): void {
    runCommand(command, this.#settings);
  }
}

function ipFields(ip: { ecn?: string; tos?: number; ttl?: number }): { tos: number; ttl: number } {
  const marks: Readonly<Record<string, number>> = { noecn: 0, ect1: 1, ect0: 2, ect01: 2, ce: 3 };
  return { tos: (ip.tos ?? 0) | (ip.ecn === undefined ? 0 : (marks[ip.ecn] ?? 0)), ttl: ip.ttl ?? DEFAULT_TTL };
}
