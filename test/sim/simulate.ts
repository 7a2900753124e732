/** One run: two stacks, a link, applications; from a seed, in virtual time, with every invariant checked after every event. */
import { Stack } from "../../src/stack/stack.js";
import type { EventKind, TcpEvent } from "../../src/tcp/events.js";
import { initialSequence } from "../../src/tcp/isn.js";
import type { State } from "../../src/tcp/state.js";
import { Millis } from "../../src/tcp/time.js";
import { parseAddress } from "../../src/wire/ipv4.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { App, type Stage, Violation } from "./app.js";
import { Agenda } from "./clock.js";
import { Invariants, nothingLeft } from "./invariants.js";
import { Lane, LinkEnd } from "./link.js";
import { Random } from "./random.js";
import { type ConnectionPlan, drawScenario, type Scenario } from "./scenario.js";

export interface Outcome {
  readonly seed: number;
  /** What was violated; undefined when all was well. */
  readonly violation: string | undefined;
  readonly connections: number;
  readonly octets: number;
  readonly events: number;
  /** Virtual milliseconds. */
  readonly ms: number;
  /** Virtual milliseconds until the last octet was read. */
  readonly readMs: number;
  readonly retransmits: number;
  readonly timeouts: number;
}

export interface SimulateOptions {
  /** Gets a line for everything that happens. */
  readonly trace?: (line: string) => void;
  /** Instead of what the seed draws. */
  readonly scenario?: Scenario;
}

const ADDRESS = ["10.0.0.1", "10.0.0.2"] as const;
const SERVER_PORT = 1_000,
  CLIENT_PORT = 10_000;
/** Without any progress for so long, ms, something hangs: the longest back-off is 120 s, and one may follow another. */
const STALLED = 400_000;
const EVENTS_MAX = 3_000_000;
/** Rounds at one instant: more is a storm of segments that answer each other. */
const ROUNDS_MAX = 20_000;

// One block for every run of this thread: pages are only read where they were written before.
const memory = [plainMemory(new Uint8Array(40 * 1024 * 1024)), plainMemory(new Uint8Array(40 * 1024 * 1024))] as const;

export function simulate(seed: number, options: SimulateOptions = {}): Outcome {
  const random = new Random(seed);
  const scenario = options.scenario ?? drawScenario(random.fork());
  const run = new Run(scenario, random, options.trace);
  let violation: string | undefined;
  try {
    run.run();
  } catch (error) {
    violation = error instanceof Violation ? error.message : `threw ${error instanceof Error ? error.stack : String(error)}`;
    violation = `at ${Math.round(run.elapsed)} ms: ${violation}`;
  }
  return run.outcome(seed, violation);
}

class Run implements Stage {
  readonly agenda: Agenda;
  calling = 0;
  progressAt: number;
  readAt = 0;
  readonly #start: number;
  readonly #scenario: Scenario;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #stacks: readonly [Stack, Stack];
  readonly #ends: readonly [LinkEnd, LinkEnd];
  readonly #invariants: readonly [Invariants, Invariants];
  readonly #apps: (readonly [App, App])[] = [];
  readonly #states = [new Map<number, State>(), new Map<number, State>()] as const;
  #events = 0;
  #round = 0;

  constructor(scenario: Scenario, random: Random, trace: ((line: string) => void) | undefined) {
    this.#scenario = scenario;
    this.#trace = trace;
    const secrets = [0, 1].map(() => new Uint32Array(4).map(() => random.uint32())) as [Uint32Array, Uint32Array];
    this.#start = startOfTime(scenario, secrets[0]);
    this.agenda = new Agenda(this.#start);
    this.progressAt = this.#start;
    const lanes: Lane[] = [];
    this.#ends = [0, 1].map((i) => new LinkEnd(scenario.mtu, scenario.offload[i as 0 | 1], (frame) => (lanes[i] as Lane).carry(frame))) as unknown as [
      LinkEnd,
      LinkEnd,
    ];
    for (const i of [0, 1] as const) lanes.push(new Lane(this.agenda, scenario.link[i], random.fork(), this.#ends[1 - i] as LinkEnd, this.#ends[i]));
    this.#stacks = [0, 1].map((i) => this.#makeStack(i as 0 | 1, secrets[i] as Uint32Array, random.fork())) as unknown as [Stack, Stack];
    this.#invariants = [new Invariants(this.#stacks[0], "a"), new Invariants(this.#stacks[1], "b")];
    for (const [i, plan] of scenario.connections.entries()) this.#plan(i, plan);
  }

  get elapsed(): number {
    return this.agenda.now - this.#start;
  }

  run(): void {
    const { agenda } = this,
      [a, b] = this.#stacks;
    this.#turn();
    for (;;) {
      const next = Math.min(agenda.next, a.nextTimeout(), b.nextTimeout());
      if (next === Infinity) {
        if (this.#apps.every(([x, y]) => x.isOver && y.isOver)) break;
        this.#stalled();
        this.#turn();
        continue;
      }
      if (next > agenda.now) {
        agenda.now = next;
        this.#round = 0;
      } else if (++this.#round > ROUNDS_MAX) throw new Violation("the two ends answer each other without end");
      if (++this.#events > EVENTS_MAX) throw new Violation(`still not over after ${EVENTS_MAX} events`);
      agenda.run();
      this.#turn();
      if (agenda.now - this.progressAt > STALLED) this.#stalled();
    }
    for (const pair of this.#apps) for (const app of pair) app.check();
    nothingLeft(a, "a");
    nothingLeft(b, "b");
  }

  outcome(seed: number, violation: string | undefined): Outcome {
    let octets = 0,
      connections = 0;
    for (const pair of this.#apps) {
      connections++;
      octets += pair[0].taken + pair[1].taken;
    }
    const sum = (what: "retransmits" | "timeouts"): number => this.#stacks[0].env.counters[what] + this.#stacks[1].env.counters[what];
    return {
      seed,
      violation,
      connections,
      octets,
      events: this.#events,
      ms: this.elapsed,
      readMs: Math.max(0, this.readAt - this.#start),
      retransmits: sum("retransmits"),
      timeouts: sum("timeouts"),
    };
  }

  note(who: string, text: string): void {
    this.#trace?.(`${this.#stamp()} ${who.padEnd(9)} ${text}`);
  }

  #stamp(): string {
    return `${this.elapsed.toFixed(3).padStart(12)}`;
  }

  #makeStack(side: 0 | 1, secret: Uint32Array, random: Random): Stack {
    const wants = (kind: EventKind): boolean => kind === "transition" || this.#trace !== undefined;
    const stack = new Stack({
      addresses: [ADDRESS[side]],
      mtu: this.#scenario.mtu,
      secret,
      random: random.uint32,
      memory: memory[side],
      now: Millis(this.#start),
      observer: { wants, event: (e) => this.#event(side, e) },
    });
    const end = this.#ends[side];
    stack.attach(end.rx, end.tx, end.offload);
    stack.setTimeSource(() => Millis(this.agenda.now));
    return stack;
  }

  #event(side: 0 | 1, e: TcpEvent): void {
    if (e.kind === "transition") {
      const states = this.#states[side],
        known = states.get(e.conn.id);
      if (known !== undefined && known !== e.from)
        throw new Violation(`${"ab"[side]} connection ${e.conn.id}: a transition from ${e.from}, but the last one went to ${known}`);
      states.set(e.conn.id, e.to);
      this.progressAt = this.agenda.now;
    }
    if (this.#trace !== undefined) this.note("ab"[side] as string, describeEvent(e));
  }

  #plan(i: number, plan: ConnectionPlan): void {
    const { agenda } = this,
      [a, b] = this.#stacks,
      ports = [CLIENT_PORT + i, SERVER_PORT + i] as const;
    const client = new App(this, `client${i}`, plan.client, 2 * i, 2 * i + 1),
      server = new App(this, `server${i}`, plan.server, 2 * i + 1, 2 * i);
    client.peer = server;
    server.peer = client;
    this.#apps.push([client, server]);
    const open = (stack: Stack, app: App, side: 0 | 1): void => {
      const options = { ...plan.options[side], synRetries: 20 };
      this.calling++;
      const conn = stack.connect({ remoteAddress: ADDRESS[1 - side] as string, remotePort: ports[1 - side] as number, localPort: ports[side], options }, app);
      this.calling--;
      app.start(conn);
    };
    if (!plan.simultaneous)
      b.listen({ port: ports[1], options: plan.options[1] }, (conn) => {
        if (server.conn !== undefined) throw new Violation(`${server.name}: accepted twice`);
        server.start(conn);
        return server;
      });
    const startAt = i === 0 ? 0 : plan.startAt;
    agenda.in(startAt, () => open(a, client, 0));
    if (plan.simultaneous) agenda.in(startAt, () => open(b, server, 1));
  }

  /** What a driver does at one instant: drain the device, run timers, send. */
  #turn(): void {
    const now = Millis(this.agenda.now);
    for (const i of [0, 1] as const) {
      const stack = this.#stacks[i],
        end = this.#ends[i];
      for (let n = end.read(); n > 0; n = end.read()) {
        stack.packetsArrive(n, now);
        stack.transmit(now);
      }
      stack.timeout(now);
      stack.transmit(now);
      this.#invariants[i].check(now);
    }
  }

  /** An end whose peer was rude may wait for ever when the RST was lost: its user gives up. Otherwise it is a hang. */
  #stalled(): void {
    for (const pair of this.#apps) {
      for (const app of pair) {
        if (app.conn === undefined || app.closedBy !== undefined) continue;
        if (!app.peer.wasRude && !app.wasRude)
          throw new Violation(
            `${app.name} hangs in ${app.conn.state}: ${app.taken} of ${app.peer.plan.writes} read, ${app.written} of ${app.plan.writes} written, ${app.conn.sendQueued} queued`,
          );
        app.abort();
      }
    }
    this.progressAt = this.agenda.now;
  }
}

/** So that the first connection's sequence numbers pass 2^32 after so many octets, if the scenario asks for it. */
function startOfTime(s: Scenario, secret: Uint32Array): number {
  if (s.wrapAfter === undefined) return s.now;
  const base = initialSequence(
    secret,
    parseAddress(ADDRESS[0]) as number,
    parseAddress(ADDRESS[1]) as number,
    (SERVER_PORT << 16) | CLIENT_PORT,
    0,
  ) as unknown as number;
  return ((-s.wrapAfter - base) >>> 0) / 250;
}

export function describeEvent(e: TcpEvent): string {
  const who = "conn" in e && e.conn !== undefined ? `#${e.conn.id} ` : "";
  switch (e.kind) {
    case "segment":
      return `${who}${e.dir === "out" ? "→" : "←"} ${e.flags} seq=${e.relSeq} ack=${e.relAck} len=${e.len} win=${e.win}${e.retransmission ? " again" : ""} ${e.options}`;
    case "transition":
      return `${who}${e.from} → ${e.to} (${e.rule})`;
    case "timer":
      return `${who}timer ${e.timer} n=${e.n} rto=${e.rto.toFixed(1)}`;
    case "congestion":
      return `${who}${e.phase} cwnd=${e.cwnd} ssthresh=${e.ssthresh} (${e.rule})`;
    case "drop":
      return `${who}dropped (${e.rule})`;
    case "closed":
      return `${who}closed by ${e.by}`;
    default:
      return `${who}${e.kind}`;
  }
}
