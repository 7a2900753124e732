/** One run of one stack against hostile peers, from a seed. Octets that reach the application are still those that were sent. */
import { Frame } from "../../src/device/frame.js";
import { Stack } from "../../src/stack/stack.js";
import type { Connection } from "../../src/tcp/connection.js";
import type { TcpOptions } from "../../src/tcp/options.js";
import { toWire } from "../../src/tcp/seq.js";
import { Millis } from "../../src/tcp/time.js";
import { parseAddress } from "../../src/wire/ipv4.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { App, type Stage, Violation } from "./app.js";
import { Agenda } from "./clock.js";
import { Invariants, nothingLeft } from "./invariants.js";
import { LinkEnd } from "./link.js";
import { HostilePeer } from "./peer.js";
import { Random } from "./random.js";
import { type AppPlan, drawApp, drawOptions } from "./scenario.js";
import { describeEvent, type Outcome, type SimulateOptions } from "./simulate.js";

const US = "10.0.0.1",
  THEM = "10.0.0.2";
/** When the peers fall silent, ms. */
const SILENCE = 20_000;
const EVENTS_MAX = 300_000;
const memory = plainMemory(new Uint8Array(40 * 1024 * 1024));

/** Takes what a peer does that the other kind of run never does. */
class Victim extends App {
  attacker!: HostilePeer;

  protected override get position(): number {
    const irs = toWire((this.conn as Connection).tcb.rcv.irs);
    return ((irs + 1 - this.attacker.origin) >>> 0) + this.taken;
  }
  override urgent(): void {
    // Urgent data is delivered in line (RFC 6093 §6).
  }
}

export function simulateHostile(seed: number, options: Pick<SimulateOptions, "trace"> = {}): Outcome {
  const run = new HostileRun(new Random(seed ^ 0x5f0b_a5e5), options.trace);
  let violation: string | undefined;
  try {
    run.run();
  } catch (error) {
    violation = error instanceof Violation ? error.message : `threw ${error instanceof Error ? error.stack : String(error)}`;
    violation = `at ${Math.round(run.agenda.now)} ms: ${violation}`;
  }
  return run.outcome(seed, violation);
}

class HostileRun implements Stage {
  readonly agenda: Agenda;
  calling = 0;
  progressAt = 0;
  readAt = 0;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #stack: Stack;
  readonly #end: LinkEnd;
  readonly #invariants: Invariants;
  readonly #apps: Victim[] = [];
  readonly #peers: HostilePeer[] = [];
  readonly #random: Random;
  #events = 0;
  #turnFrames = 0;

  constructor(random: Random, trace: ((line: string) => void) | undefined) {
    this.#random = random;
    this.#trace = trace;
    const start = random.pick([0, 1_000, random.int(0, 2 ** 33)]);
    this.agenda = new Agenda(start);
    const options = drawOptions(random);
    this.#end = new LinkEnd(1_500, random.pick(["off", "segment"] as const), (frame) => this.#heard(frame));
    this.#stack = new Stack({
      addresses: [US],
      mtu: 1_500,
      secret: new Uint32Array(4).map(() => random.uint32()),
      random: random.uint32,
      memory,
      now: Millis(start),
      options,
      observer: { wants: (kind) => trace !== undefined || kind === "transition", event: (e) => this.note("a", describeEvent(e)) },
    });
    this.#stack.attach(this.#end.rx, this.#end.tx, this.#end.offload);
    this.#stack.setTimeSource(() => Millis(this.agenda.now));
    this.#invariants = new Invariants(this.#stack, "a", true);
    for (let i = random.int(1, 3); i > 0; i--) this.#add(i, options);
  }

  note(who: string, text: string): void {
    this.#trace?.(`${this.agenda.now.toFixed(3).padStart(14)} ${who.padEnd(9)} ${text}`);
  }

  run(): void {
    const { agenda } = this,
      end = agenda.now + SILENCE;
    this.#turn();
    for (;;) {
      const next = Math.min(agenda.next, this.#stack.nextTimeout());
      if (next === Infinity) {
        if (this.#apps.every((app) => app.isOver)) break;
        // Peers that have fallen silent may be waited for without end: the user gives up.
        for (const app of this.#apps) app.abort();
      } else agenda.now = Math.max(agenda.now, next);
      if (++this.#events > EVENTS_MAX) throw new Violation(`still not over after ${EVENTS_MAX} events`);
      this.#turnFrames = 0;
      agenda.run();
      this.#turn();
      if (this.#turnFrames > 2_000) throw new Violation(`${this.#turnFrames} frames in answer to one event`);
      if (agenda.now > end + 7_200_000) throw new Violation("still not over two hours after the peers fell silent");
    }
    nothingLeft(this.#stack, "a");
  }

  outcome(seed: number, violation: string | undefined): Outcome {
    const counters = this.#stack.env.counters;
    return {
      seed,
      violation,
      connections: this.#apps.length,
      octets: this.#apps.reduce((n, app) => n + app.taken, 0),
      events: this.#events,
      ms: this.agenda.now,
      readMs: this.readAt,
      retransmits: counters.retransmits,
      timeouts: counters.timeouts,
    };
  }

  #add(i: number, options: Partial<TcpOptions>): void {
    const r = this.#random,
      { agenda } = this;
    const plan: AppPlan = { ...drawApp(r, 100_000, r.chance(0.2)) },
      passive = r.chance(0.5);
    const ourPort = (passive ? 80 : 10_000) + i,
      peerPort = 40_000 + i;
    const app = new Victim(this, `app${i}`, plan, 2 * i, 2 * i + 1);
    // Whoever plays the other end has written whatever arrives.
    app.peer = { written: Infinity, wasRude: true, plan: { writes: Infinity } } as unknown as App;
    const send = (packet: Uint8Array): void => this.#end.deliver(Frame.of(packet.slice()));
    const peer = new HostilePeer(r.fork(), send, parseAddress(THEM) as number, peerPort, parseAddress(US) as number, ourPort, 2 * i + 1);
    app.attacker = peer;
    this.#apps.push(app);
    this.#peers.push(peer);
    if (passive) {
      this.#stack.listen({ port: ourPort, options }, (conn) => {
        // A second one may follow the first; this application takes one only.
        if (app.conn !== undefined) {
          agenda.in(0, () => conn.abort());
          return { established() {}, readable() {}, writable() {}, ended() {}, closed() {} };
        }
        app.start(conn);
        return app;
      });
      peer.open();
    } else {
      const conn = this.#stack.connect({ remoteAddress: THEM, remotePort: peerPort, localPort: ourPort }, app);
      app.start(conn);
    }
    for (let at = 0; at < SILENCE; at += r.scale(1, 1_000)) agenda.in(at, () => peer.act());
  }

  #heard(frame: Frame): void {
    this.#turnFrames++;
    for (const part of frame.split()) {
      const bytes = part.bytes.slice();
      this.agenda.in(1, () => {
        for (const peer of this.#peers) peer.hear(bytes);
      });
    }
  }

  #turn(): void {
    const now = Millis(this.agenda.now),
      stack = this.#stack;
    for (let n = this.#end.read(); n > 0; n = this.#end.read()) {
      stack.packetsArrive(n, now);
      stack.transmit(now);
    }
    stack.timeout(now);
    stack.transmit(now);
    this.#invariants.check(now);
  }
}
