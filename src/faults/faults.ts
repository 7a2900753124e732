/**
 * The faults of one device: looks at each segment that passes, lets the rules act on it in their order, and says so.
 *
 * A super-segment of a connection that some rule concerns is cut into the segments that it stands for first: "the third
 * data segment" and "octet 100,000" mean what they mean on a wire. Other connections' frames pass untouched, and with no
 * rule at all the device does not even ask.
 */
import type { Frame } from "../device/frame.js";
import type { Filter } from "../device/wrapper.js";
import type { Observer, Who } from "../tcp/events.js";
import { formatAddress } from "../wire/ipv4.js";
import { ACK, formatCtl, SYN } from "../wire/segment.js";
import { act, ghost } from "./actions.js";
import { parseFaults } from "./parse.js";
import { bytePart, type ConnectionFacts, type Kept, Rule } from "./rule.js";
import { type FaultClock, Schedule } from "./schedule.js";
import { SegmentView } from "./segment.js";
import { type Direction, type FaultSpec, formatAction, formatFault } from "./spec.js";
import { countDelivered, learn, observe, type Reading, type Tracked, Tracker } from "./tracker.js";
import { FaultSpecError } from "./words.js";

/** A fault as `fault ls` and the control API show it. */
export interface FaultInfo {
  readonly id: string;
  /** The canonical text; reading it again gives the same fault. */
  readonly spec: string;
  /** What it does, alone. */
  readonly action: string;
  /** Segments it acted on. */
  readonly hits: number;
  /** Segments that it holds now. */
  readonly held: number;
  /** Milliseconds since it was added, and since it last acted. */
  readonly ageMs: number;
  readonly lastHitMs: number | undefined;
}

/** What the control API, `serve --fault` and the test library ask of the faults. */
export interface FaultRegistry {
  list(): FaultInfo[];
  /** Adds what a spec says, after the faults that are there. @throws FaultSpecError */
  add(spec: string): FaultInfo[];
  /** Takes a fault away; what it held goes on. @returns whether it was there */
  remove(id: string): boolean;
  /** Takes all away. @returns how many */
  clear(): number;
  /** Opens a `hold`, or all: what it kept goes on and it keeps nothing more. @returns segments let go */
  release(id?: string): number;
}

export interface FaultsOptions {
  readonly clock: FaultClock;
  /** The same seed and the same segments give the same misbehaviour. Default 1. */
  readonly seed?: number;
  readonly observer?: Observer;
  /** Our stack's view of a connection, for `state`, `conn` and connections that began before the fault. */
  readonly find?: (localAddress: string, localPort: number, remoteAddress: string, remotePort: number) => ConnectionFacts | undefined;
}

/** Where segments go when the faults are done with them. The wrapper sets it. */
export interface Outlets {
  toStack(frame: Frame): void;
  toPeer(frame: Frame): void;
}

export class Faults implements FaultRegistry, Filter {
  readonly schedule: Schedule;
  readonly clock: FaultClock;
  outlets: Outlets = { toStack: () => {}, toPeer: () => {} };
  /** Called when the first rule comes and when the last one goes, so that the device asks only where there is need. */
  onActive: (active: boolean) => void = () => {};
  readonly #options: FaultsOptions;
  readonly #seed: number;
  readonly #tracker = new Tracker();
  #rules: Rule[] = [];
  #order = 0;

  constructor(options: FaultsOptions) {
    this.#options = options;
    this.#seed = options.seed ?? 1;
    this.clock = options.clock;
    this.schedule = new Schedule(options.clock);
  }

  list(): FaultInfo[] {
    return this.#rules.map((r) => this.#info(r));
  }

  add(text: string): FaultInfo[] {
    const specs = parseFaults(text);
    const names = new Set(this.#rules.map((r) => r.id));
    for (const { name } of specs) {
      if (name === undefined) continue;
      if (names.has(name)) throw new FaultSpecError(text, text.indexOf(name), name.length, `a fault called "${name}" is there already`);
      names.add(name);
    }
    return this.addSpecs(specs);
  }

  /** Adds faults that were read before. */
  addSpecs(specs: readonly FaultSpec[]): FaultInfo[] {
    const idle = this.#rules.length === 0;
    const added = specs.map((spec) => {
      const order = ++this.#order;
      return new Rule(spec.name ?? `f${order}`, order, spec, this.clock.now(), this.#seed);
    });
    this.#rules = [...this.#rules, ...added];
    if (idle && added.length > 0) this.onActive(true);
    return added.map((r) => this.#info(r));
  }

  remove(id: string): boolean {
    const rule = this.#rules.find((r) => r.id === id);
    if (rule === undefined) return false;
    this.#rules = this.#rules.filter((r) => r !== rule);
    this.#letGo(rule);
    this.#rest();
    return true;
  }

  clear(): number {
    const gone = this.#rules;
    this.#rules = [];
    for (const rule of gone) this.#letGo(rule);
    this.#rest();
    return gone.length;
  }

  release(id?: string): number {
    let count = 0;
    for (const rule of this.#rules) {
      if (rule.spec.action.do !== "hold" || (id !== undefined && rule.id !== id)) continue;
      rule.released = true;
      count += rule.held.length;
      this.#letGo(rule);
    }
    return count;
  }

  incoming(frame: Frame): void {
    this.#arrive(frame, "in");
  }
  outgoing(frame: Frame): void {
    this.#arrive(frame, "out");
  }
  close(): void {
    this.schedule.clear();
    this.#rules = [];
    this.#tracker.clear();
  }

  /** Connections that are followed now. */
  get tracked(): number {
    return this.#tracker.size;
  }

  #arrive(frame: Frame, direction: Direction): void {
    const whole = SegmentView.of(frame, direction);
    if (whole === undefined || !this.#rules.some((r) => r.concerns(whole))) return this.send(direction, frame);
    for (const s of whole.segments()) this.#handle(s);
  }

  #handle(s: SegmentView): void {
    const now = this.clock.now();
    const c = this.#tracker.find(s, now);
    if (c.in.isn === undefined && c.out.isn === undefined && c.lastSeen === c.since) this.#learn(c, s);
    if (c.shift !== 0 && s.direction === "in") s.shiftAcknowledged(-c.shift);
    const reading = observe(c, s);
    if (c.fate !== undefined) return this.#sealed(c, s);
    this.run(c, s, reading, 0);
  }

  #learn(c: Tracked, s: SegmentView): void {
    const numbers = this.#facts(s)?.numbers;
    if (numbers !== undefined && !s.has(SYN)) learn(c, s.direction, s.sequence, numbers);
  }

  #facts(s: SegmentView): ConnectionFacts | undefined {
    return this.#options.find?.(formatAddress(s.localAddress), s.localPort, formatAddress(s.remoteAddress), s.remotePort);
  }

  /** Shows a segment to the rules behind `order`, then sends it on. */
  run(c: Tracked, s: SegmentView, reading: Reading, order: number): void {
    const now = this.clock.now();
    for (const rule of this.#rules) {
      if (rule.order <= order) continue;
      const overtakes = rule.spec.action.do === "reorder" && rule.held.length > 0;
      if (!rule.released && rule.means(c, s, reading, now, () => this.#facts(s))) {
        if (rule.spec.match.bytes !== undefined) {
          const part = bytePart(rule.spec.match, s, reading);
          if (part === undefined) continue;
          if (part.from > 0 || part.to < s.textLength) return this.#cut(rule, c, s, reading, part.from, part.to);
        }
        if (rule.chosen(c) && act(this, rule, c, s, reading) === "taken") return;
      }
      if (overtakes) {
        const own = s.own();
        this.run(c, own, reading, rule.order);
        return this.#overtaken(rule, c, s.direction);
      }
    }
    this.deliver(c, s);
  }

  /** Only the octets from `from` to before `to` are meant: what is before and behind them goes its own way. */
  #cut(rule: Rule, c: Tracked, s: SegmentView, reading: Reading, from: number, to: number): void {
    const piece = (a: number, b: number): [SegmentView, Reading] => [
      s.slice(a, b),
      { classes: reading.classes, offset: reading.offset === undefined ? undefined : reading.offset + a },
    ];
    const pieces = [
      [0, from, rule.order],
      [from, to, rule.order - 1],
      [to, s.textLength, rule.order],
    ] as const;
    const made = pieces.filter(([a, b]) => b > a).map(([a, b, order]) => [...piece(a, b), order] as const);
    for (const [part, itsReading, order] of made) {
      if (c.fate === undefined) this.run(c, part, itsReading, order);
    }
  }

  #overtaken(rule: Rule, c: Tracked, direction: Direction): void {
    const free: Kept[] = [];
    rule.held = rule.held.filter((k) => {
      if (k.c !== c || k.s.direction !== direction || --k.left > 0) return true;
      free.push(k);
      return false;
    });
    for (const k of free) this.run(k.c, k.s, k.reading, rule.order);
  }

  /** After rst, fin or blackhole: the rules are through with this connection. */
  #sealed(c: Tracked, s: SegmentView): void {
    const rule = this.#rules.find((r) => r.order === c.fateBy);
    if (rule === undefined && c.fate === "black") {
      c.fate = undefined;
      return this.deliver(c, s);
    }
    // What still comes of a connection that was reset or ended is no act of its own: the event of rst or fin has told it.
    if (rule !== undefined && c.fate === "black") this.note(rule, c, s, "blackhole");
    if (c.fate === "ghost") ghost(this, c, s);
  }

  /** Hands a segment to its receiver. */
  deliver(c: Tracked, s: SegmentView): void {
    if (c.fate !== undefined) return;
    countDelivered(c, s);
    if (c.shift !== 0 && s.direction === "out") {
      s.setSequence((s.sequence + c.shift) | 0);
      s.seal();
    }
    this.send(s.direction, s.frame);
  }
  send(direction: Direction, frame: Frame): void {
    if (direction === "in") this.outlets.toStack(frame);
    else this.outlets.toPeer(frame);
  }

  /** Counts an act of a fault and tells of it. `did` is what happened, `why` adds to it. */
  note(rule: Rule, c: Tracked, s: SegmentView, did: string, why = ""): void {
    rule.hits++;
    rule.lastHit = this.clock.now();
    const observer = this.#options.observer;
    if (observer?.wants("fault") !== true) return;
    const mine = c.flow(s.direction).isn,
      theirs = c.against(s.direction).isn;
    const from = mine === undefined ? s.sequence >>> 0 : (s.sequence - mine) >>> 0;
    const ack = s.has(ACK) ? ` ack ${theirs === undefined ? s.acknowledgment >>> 0 : (s.acknowledgment - theirs) >>> 0}` : "";
    if (c.id === 0) c.id = this.#facts(s)?.id ?? 0;
    const who: Who = { id: c.id, local: s.local, remote: s.remote };
    observer.event({
      kind: "fault",
      fault: rule.id,
      act: did,
      conn: who,
      detail: `${s.direction} ${formatCtl(s.ctl)} ${from}:${from + s.textLength}(${s.textLength})${ack}${why === "" ? "" : `: ${why}`}`,
    });
  }

  #letGo(rule: Rule): void {
    const held = rule.held;
    rule.held = [];
    for (const k of held) this.run(k.c, k.s, k.reading, rule.order);
  }
  #rest(): void {
    if (this.#rules.length > 0) return;
    this.#tracker.clear();
    this.onActive(false);
  }
  #info(r: Rule): FaultInfo {
    const now = this.clock.now();
    return {
      id: r.id,
      spec: formatFault(r.spec),
      action: formatAction(r.spec.action),
      hits: r.hits,
      held: r.held.length,
      ageMs: now - r.addedAt,
      lastHitMs: r.lastHit === undefined ? undefined : now - r.lastHit,
    };
  }
}
