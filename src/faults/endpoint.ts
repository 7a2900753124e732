/** A behaviour at work on one connection: reads requests as it likes, answers as it likes, and breaks off where it is told to. */
import type { ClosedBy } from "../tcp/events.js";
import type { Connection } from "../tcp/connection.js";
import type { TcpOptions } from "../tcp/options.js";
import type { ConnectionUser } from "../tcp/user.js";
import { type Behaviour, listenOptions, type Point } from "./behaviours.js";
import type { FaultClock } from "./schedule.js";

/** The part of a stack that services need. */
export interface ListeningStack {
  listen(
    where: { address?: string; port: number | "any"; backlog?: number; options?: Partial<TcpOptions> },
    accept: (conn: Connection) => ConnectionUser,
  ): { close(): void; waiting: number };
}

export interface BehaviourService {
  /** For all later connections, and for those that there are. */
  behaviour: Behaviour;
  readonly endpoints: ReadonlySet<Endpoint>;
  close(): void;
}

/** Listens on a port and behaves like that. @throws StackError */
export function serveBehaviour(stack: ListeningStack, port: number, behaviour: Behaviour, clock: FaultClock): BehaviourService {
  const endpoints = new Set<Endpoint>();
  // In the order in which they came; those that are gone stay until they are taken, as with Linux.
  const queue: Endpoint[] = [];
  const where = { port, options: listenOptions(behaviour), ...(behaviour.backlog > 0 ? { backlog: behaviour.backlog } : {}) };
  const listener = stack.listen(where, (conn) => {
    const endpoint = new Endpoint(
      conn,
      () => behaviour,
      clock,
      () => endpoints.delete(endpoint),
    );
    endpoints.add(endpoint);
    if (behaviour.neverAccept) listener.waiting = queue.push(endpoint);
    return endpoint;
  });
  return {
    endpoints,
    get behaviour() {
      return behaviour;
    },
    set behaviour(b) {
      behaviour = b;
      if (b.neverAccept) return;
      listener.waiting = 0;
      for (const endpoint of queue.splice(0)) endpoint.accepted();
    },
    close() {
      listener.close();
      for (const { conn } of queue.splice(0)) conn.abort();
    },
  };
}

const LINE = Buffer.from("The quick brown fox jumps over the lazy dog, and says why at every step.\n", "latin1");
/** Octets that chargen keeps queued. */
const AHEAD = 65_536;
const MAX_HEAD = 65_536;

/** Octets `from` to before `to` of the endless text that bodies and chargen are made of. */
export function sampleText(from: number, to: number): Uint8Array {
  const out = Buffer.allocUnsafe(to - from);
  for (let i = 0; i < out.length; i++) out[i] = LINE[(from + i) % LINE.length] as number;
  return out;
}

type Saying = { readonly bytes: Uint8Array } | { readonly bodyFrom: number; readonly bodyTo: number; readonly chunked: boolean };
/** From when on, and from which octet on, a pace is kept. */
interface Pace {
  readonly at: number;
  readonly done: number;
}

export class Endpoint implements ConnectionUser {
  readonly conn: Connection;
  readonly #behaviour: () => Behaviour;
  readonly #clock: FaultClock;
  readonly #gone: () => void;
  /** What is to be said, in order; a body is a promise of so many octets. */
  readonly #say: Saying[] = [];
  readonly #timers = new Map<string, () => void>();
  #head = Buffer.alloc(0);
  #bodyLeft = 0;
  #requests = 0;
  #said = 0;
  /** Where the first body begins, in octets said. */
  #bodyStart: number | undefined;
  #heard = 0;
  #talkPace: Pace | undefined;
  #readPace: Pace | undefined;
  #halted = false;
  #closing = false;
  #started = false;

  constructor(conn: Connection, behaviour: () => Behaviour, clock: FaultClock, gone: () => void) {
    this.conn = conn;
    this.#behaviour = behaviour;
    this.#clock = clock;
    this.#gone = gone;
  }

  established(): void {
    if (this.#started || this.#behaviour().neverAccept) return;
    this.#started = true;
    this.#idle();
    if (this.#behaviour().service === "chargen") this.#say.push({ bodyFrom: 0, bodyTo: Infinity, chunked: false });
    this.#pump();
  }
  /** The application takes a connection that has waited. */
  accepted(): void {
    if (this.conn.state === "CLOSED") return;
    this.readable();
    if (this.conn.ended) this.ended();
  }
  writable(): void {
    this.#pump();
  }
  drained(): void {
    const abort = this.#behaviour().abort;
    if (abort !== undefined && this.#reached(abort)) this.conn.abort();
    else if (this.#closing) this.#close();
  }
  ended(): void {
    const b = this.#behaviour();
    if (!this.#started || b.neverFin || b.neverRead || (this.#halted && b.stall !== undefined)) return;
    this.#closing = true;
    this.#pump();
  }
  closed(_conn: Connection, _by: ClosedBy): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#gone();
  }

  readable(): void {
    this.established();
    const b = this.#behaviour();
    if (!this.#started || b.neverRead) return;
    let room = Infinity;
    if (b.readRate !== Infinity) {
      this.#readPace ??= { at: this.#clock.now(), done: this.#heard };
      room = this.#allowance(b.readRate, this.#readPace, this.#heard);
      this.#later("read", Math.max(10, 8000 / b.readRate), () => this.readable());
    }
    while (this.conn.readable > 0 && room >= 1) {
      const view = this.conn.peek();
      const bytes = view.subarray(0, Math.min(view.length, room));
      this.#heard += bytes.length;
      room -= bytes.length;
      this.#hear(bytes, b);
      if (this.conn.state === "CLOSED") return;
      this.conn.skip(bytes.length);
    }
    if (this.conn.readable === 0) this.#cancel("read");
    if (this.#closing) this.#pump();
  }

  #hear(bytes: Uint8Array, b: Behaviour): void {
    this.#idle();
    switch (b.service) {
      case "echo":
        this.#answer({ bytes: Uint8Array.from(bytes) });
        return;
      case "http":
      case "garbage":
        for (let rest = Buffer.from(bytes); rest.length > 0; ) rest = this.#hearHttp(rest, b);
        return;
      default:
    }
  }

  /** @returns what belongs to the next request */
  #hearHttp(bytes: Buffer<ArrayBuffer>, b: Behaviour): Buffer<ArrayBuffer> {
    if (this.#bodyLeft > 0) {
      const used = Math.min(this.#bodyLeft, bytes.length);
      this.#bodyLeft -= used;
      if (this.#bodyLeft === 0) this.#request(b);
      return bytes.subarray(used);
    }
    const before = this.#head.length;
    this.#head = Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.#head.length > MAX_HEAD) this.conn.abort();
      return Buffer.alloc(0);
    }
    const head = this.#head.toString("latin1", 0, end);
    this.#head = Buffer.alloc(0);
    this.#bodyLeft = Number(/^content-length:\s*(\d+)/im.exec(head)?.[1] ?? 0);
    if (/^expect:\s*100-continue/im.test(head)) this.#answer({ bytes: Buffer.from("HTTP/1.1 100 Continue\r\n\r\n", "latin1") });
    if (this.#bodyLeft === 0) this.#request(b);
    return bytes.subarray(end + 4 - before);
  }

  #request(b: Behaviour): void {
    this.#requests++;
    if (b.abort?.unit === "request" && this.#requests >= b.abort.n) return this.conn.abort();
    if (b.fin?.unit === "request" && this.#requests >= b.fin.n) {
      this.#closing = true;
      return this.#pump();
    }
    if (b.stall?.unit === "request" && this.#requests >= b.stall.n) this.#halted = true;
    if (this.#halted) return;
    if (b.waitMs > 0) this.#later(`answer ${this.#requests}`, b.waitMs, () => this.#respond(b));
    else this.#respond(b);
  }

  #respond(b: Behaviour): void {
    if (b.service === "garbage") return this.#answer({ bytes: Buffer.from("\x16\x03\x01 220 this is no HTTP \xff\xfe\r\n", "latin1") });
    const told = b.length === "true" ? `Content-Length: ${b.body}\r\n` : b.length === "chunked" ? "Transfer-Encoding: chunked\r\n" : "";
    const last = b.close || b.length === "none";
    const head = Buffer.from(
      `HTTP/1.1 ${b.status} ${b.status === 200 ? "OK" : "Behaving"}\r\nContent-Type: text/plain\r\n${told}${last ? "Connection: close\r\n" : ""}\r\n`,
      "latin1",
    );
    this.#bodyStart ??= this.#said + this.#queued() + head.length;
    this.#say.push({ bytes: head }, { bodyFrom: 0, bodyTo: b.body, chunked: b.length === "chunked" });
    if (last) this.#closing = true;
    this.#pump();
  }

  #answer(what: { readonly bytes: Uint8Array }): void {
    this.#say.push(what);
    this.#pump();
  }
  #queued(): number {
    return this.#say.reduce((n, s) => n + ("bytes" in s ? s.bytes.length : s.bodyTo - s.bodyFrom), 0);
  }

  /** Octets that may still be said before `p`. */
  #leftTo(p: Point | undefined): number {
    if (p === undefined || p.unit === "request") return Infinity;
    if (p.unit === "after") return p.n - this.#said;
    return this.#bodyStart === undefined ? Infinity : this.#bodyStart + p.n - this.#said;
  }
  #reached(p: Point | undefined): boolean {
    return this.#leftTo(p) <= 0;
  }

  /** Octets that a pace allows by now, beyond those done; the first at once. */
  #allowance(bits: number, since: Pace, done: number): number {
    return Math.floor(((this.#clock.now() - since.at) * bits) / 8000) + 1 - (done - since.done);
  }

  #pump(): void {
    const b = this.#behaviour();
    while (this.#say.length > 0 && !this.#halted) {
      let room = Math.min(this.conn.sendSpace, this.#leftTo(b.fin), this.#leftTo(b.abort), this.#leftTo(b.stall), AHEAD);
      if (b.rate !== Infinity) {
        this.#talkPace ??= { at: this.#clock.now(), done: this.#said };
        room = Math.min(room, this.#allowance(b.rate, this.#talkPace, this.#said));
      }
      if (room <= 0) break;
      const taken = this.#sayNext(room);
      this.#said += taken;
      if (taken === 0) break;
    }
    if (this.#say.length === 0) this.#talkPace = undefined;
    if (this.#reached(b.stall)) this.#halted = true;
    if (this.#reached(b.abort)) {
      this.#halted = true;
      if (this.conn.sendQueued === 0) return this.conn.abort();
      return this.conn.wantsDrain();
    }
    if (this.#reached(b.fin)) {
      this.#halted = true;
      return this.#close();
    }
    if (this.#say.length > 0 && !this.#halted && b.rate !== Infinity) this.#later("talk", Math.max(10, 8000 / b.rate), () => this.#pump());
    if (!this.#closing || this.#halted || this.#say.length > 0) return;
    if (b.close && this.conn.sendQueued > 0) this.conn.wantsDrain();
    else this.#close();
  }

  /** @returns octets that the send queue took */
  #sayNext(room: number): number {
    const next = this.#say[0] as Saying;
    if ("bytes" in next) {
      const taken = this.conn.send(next.bytes, 0, Math.min(room, next.bytes.length));
      this.#say.shift();
      if (taken < next.bytes.length) this.#say.unshift({ bytes: next.bytes.subarray(taken) });
      return taken;
    }
    const size = Math.min(next.bodyTo - next.bodyFrom, next.chunked ? 4096 : Math.min(room, 16_384));
    this.#say.shift();
    if (next.chunked) {
      const text =
        size === 0
          ? Buffer.from("0\r\n\r\n", "latin1")
          : Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`, "latin1"), sampleText(next.bodyFrom, next.bodyFrom + size), Buffer.from("\r\n", "latin1")]);
      if (size > 0) this.#say.unshift({ ...next, bodyFrom: next.bodyFrom + size });
      this.#say.unshift({ bytes: text });
      return this.#sayNext(room);
    }
    if (size === 0) return this.#say.length === 0 ? 0 : this.#sayNext(room);
    const taken = this.conn.send(sampleText(next.bodyFrom, next.bodyFrom + size));
    if (next.bodyFrom + taken < next.bodyTo) this.#say.unshift({ ...next, bodyFrom: next.bodyFrom + taken });
    return taken;
  }

  #close(): void {
    if (this.#behaviour().neverFin) return;
    this.conn.close();
  }
  #idle(): void {
    const { idleMs } = this.#behaviour();
    if (idleMs !== Infinity)
      this.#later("idle", idleMs, () => {
        this.#closing = true;
        this.#pump();
      });
  }
  /** One timer of each name: a later one takes its place. */
  #later(name: string, ms: number, run: () => void): void {
    this.#cancel(name);
    this.#timers.set(
      name,
      this.#clock.at(this.#clock.now() + ms, () => {
        this.#timers.delete(name);
        run();
      }),
    );
  }
  #cancel(name: string): void {
    this.#timers.get(name)?.();
    this.#timers.delete(name);
  }
}
