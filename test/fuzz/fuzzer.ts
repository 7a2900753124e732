/**
 * Feeds the whole receive path of a stack: single frames, and sequences of frames on live connections, made from what a
 * second stack really sends. Everything from a seed and in virtual time; a thrown error is a failure, as is whatever
 * `Invariants` knows.
 */
import { readFileSync } from "node:fs";
import { Frame } from "../../src/device/frame.js";
import { Stack } from "../../src/stack/stack.js";
import type { Connection } from "../../src/tcp/connection.js";
import { Millis } from "../../src/tcp/time.js";
import type { ConnectionUser } from "../../src/tcp/user.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { Violation } from "../sim/app.js";
import { Invariants, nothingLeft } from "../sim/invariants.js";
import { LinkEnd } from "../sim/link.js";
import { Random } from "../sim/random.js";
import { drawOptions } from "../sim/scenario.js";
import { mutate } from "./mutate.js";

/** Frames worth keeping, as hexadecimal lines; `#` begins a comment. */
export function corpus(): Uint8Array[] {
  const text = readFileSync(new URL("./corpus/frames.hex", import.meta.url), "utf8");
  return text
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "")
    .map((line) => new Uint8Array(Buffer.from(line, "hex")));
}

const VICTIM = "10.0.0.1",
  OTHER = "10.0.0.2";
const CONNECTIONS = 12,
  HISTORY = 256,
  FRAGMENTS_MAX = 256 * 1024;
const text = new Uint8Array(3_000).fill(0x61);
const into = new Uint8Array(65_536);

export class Fuzzer {
  frames = 0;
  /** Frames that the victim sent. */
  answers = 0;
  connections = 0;
  /** The last frames fed, oldest first: what to look at after a failure. */
  readonly last: Uint8Array[] = [];
  readonly victim: Stack;
  readonly #other: Stack;
  readonly #random: Random;
  readonly #corpus: readonly Uint8Array[];
  readonly #ends: readonly [LinkEnd, LinkEnd];
  readonly #invariants: readonly [Invariants, Invariants];
  readonly #history: Uint8Array[] = [];
  /** On their way to the victim. */
  #coming: Frame[] = [];
  #now: number;

  constructor(seed: number, memory = [plainMemory(new Uint8Array(8 * 1024 * 1024)), plainMemory(new Uint8Array(8 * 1024 * 1024))] as const) {
    const r = (this.#random = new Random(seed));
    this.#corpus = corpus();
    this.#now = r.int(0, 2 ** 32);
    this.#ends = [
      new LinkEnd(1_500, "off", (frame) => {
        this.answers++;
        if (!r.chance(0.02)) this.#ends[1].deliver(frame);
      }),
      new LinkEnd(1_500, "off", (frame) => this.#coming.push(frame)),
    ];
    const stacks = [VICTIM, OTHER].map((address, i) => {
      const options = { ...drawOptions(r), receiveBuffer: 64 * 1024, sendBuffer: 64 * 1024, timeWait: 1_000 };
      const stack = new Stack({
        addresses: [address],
        mtu: 1_500,
        secret: new Uint32Array(4).map(() => r.uint32()),
        random: r.uint32,
        now: Millis(this.#now),
        options,
        limits: { maxFragments: FRAGMENTS_MAX, synBacklog: 64, maxConnections: 256, maxTimeWait: 256 },
        memory: memory[i as 0 | 1],
        observer: { wants: () => false, event() {} },
      });
      const end = this.#ends[i] as LinkEnd;
      stack.attach(end.rx, end.tx, end.offload);
      stack.setTimeSource(() => Millis(this.#now));
      for (const port of [80, 81]) stack.listen({ port }, () => this.#user(port === 80));
      return stack;
    }) as [Stack, Stack];
    [this.victim, this.#other] = stacks;
    this.#invariants = [new Invariants(stacks[0], "victim", true), new Invariants(stacks[1], "other", true)];
  }

  /** Some frames, one turn of each stack, all invariants. @throws Violation, or whatever the stack threw */
  step(): void {
    const r = this.#random;
    this.#now += r.chance(0.9) ? r.unit() * 20 : r.unit() * 3_000;
    this.#keepBusy();
    const before = this.answers,
      fed = this.frames;
    for (const frame of this.#coming.splice(0)) this.#pass(frame.bytes);
    for (let extra = r.int(0, 60); extra > 0; extra--) this.#feed(this.#invent());
    this.#turn(0);
    this.#turn(1);
    const c = this.victim.counters,
      arrived = this.frames - fed;
    // Nobody may be made an amplifier, nor to hold what he was not asked to.
    if (this.answers - before > 200 + 20 * arrived) throw new Violation(`${this.answers - before} frames went out for ${arrived}`);
    if (c.connections - c.timeWait > 256 || c.timeWait > 257) throw new Violation(`${c.connections} connections, ${c.timeWait} in TIME-WAIT`);
    if (c.fragmentOctets > FRAGMENTS_MAX + 65_535) throw new Violation(`${c.fragmentOctets} octets of fragments`);
  }

  /** Lets everything come to its end; nothing may be left. */
  finish(): void {
    for (const stack of [this.victim, this.#other]) for (const conn of [...stack.connections()]) conn.abort();
    for (let rounds = 0; rounds < 200_000; rounds++) {
      const next = Math.min(this.victim.nextTimeout(), this.#other.nextTimeout());
      if (next === Infinity && this.#coming.length === 0) break;
      if (this.#coming.length === 0) this.#now = Math.max(this.#now, next);
      for (const frame of this.#coming.splice(0)) this.#ends[0].deliver(frame);
      this.#turn(0);
      this.#turn(1);
      // What a late SYN opened.
      for (const stack of [this.victim, this.#other]) for (const conn of [...stack.connections()]) conn.abort();
    }
    nothingLeft(this.victim, "victim");
    nothingLeft(this.#other, "other");
  }

  #turn(i: 0 | 1): void {
    const stack = i === 0 ? this.victim : this.#other,
      end = this.#ends[i],
      now = Millis(this.#now);
    for (let n = end.read(); n > 0; n = end.read()) {
      stack.packetsArrive(n, now);
      stack.transmit(now);
    }
    stack.timeout(now);
    stack.transmit(now);
    this.#invariants[i].check(now);
  }

  /** A frame of the other stack's, on its way: mostly as it is, or the connections would not live. */
  #pass(bytes: Uint8Array): void {
    const r = this.#random;
    this.#history[this.frames % HISTORY] = bytes;
    if (r.chance(0.03)) return;
    if (r.chance(0.1)) return this.#feed(mutate(bytes, r));
    this.#feed(bytes);
    if (r.chance(0.1)) this.#feed(mutate(bytes, r));
  }
  #invent(): Uint8Array {
    const r = this.#random,
      known = this.#history.length;
    if (known > 0 && r.chance(0.75)) {
      const old = this.#history[r.int(0, known - 1)];
      if (old !== undefined) return r.chance(0.1) ? old : mutate(old, r);
    }
    if (r.chance(0.8)) return mutate(r.pick(this.#corpus), r);
    return new Uint8Array(r.int(1, 200)).map(() => r.uint32());
  }
  #feed(bytes: Uint8Array): void {
    this.frames++;
    this.last.push(bytes);
    if (this.last.length > 64) this.last.shift();
    this.#ends[0].deliver(Frame.of(bytes));
  }

  /** New connections for those that are gone, both ways. */
  #keepBusy(): void {
    const r = this.#random,
      c = this.#other.counters;
    // Those that a mutated RST or FIN has left alone would stay for ever.
    if (r.chance(0.2)) {
      const [oldest] = r.pick([this.victim, this.#other]).connections();
      if (oldest !== undefined) r.pick([() => oldest.abort(), () => oldest.release(), () => oldest.close()])();
    }
    if (c.connections - c.timeWait >= CONNECTIONS || !r.chance(0.6)) return;
    const [from, to] = r.chance(0.7) ? ([this.#other, VICTIM] as const) : ([this.victim, OTHER] as const);
    if (from.counters.connections > 200) return;
    this.connections++;
    const user = this.#user(false);
    const conn = from.connect({ remoteAddress: to, remotePort: r.pick([80, 81]) }, user);
    conn.send(text, 0, r.int(0, text.length));
  }

  #user(echoes: boolean): ConnectionUser {
    const r = this.#random;
    const whim = (conn: Connection): void => {
      switch (r.int(0, 30)) {
        case 0:
          return conn.abort();
        case 1:
          return conn.close();
        case 2:
          return conn.release();
        case 3:
          return void conn.send(text, 0, r.int(0, text.length));
        default:
      }
    };
    return {
      established: whim,
      readable(conn) {
        if (r.chance(0.2)) return whim(conn);
        const n = conn.receive(into, 0, r.int(1, into.length));
        if (echoes) conn.send(into, 0, n);
        whim(conn);
      },
      writable: whim,
      ended(conn) {
        if (r.chance(0.8)) conn.close();
      },
      closed(conn) {
        conn.skip(conn.readable);
      },
    };
  }
}
