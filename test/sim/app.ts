/** An application at one end of a connection: writes, reads, pauses and ends as its plan says, and checks what it sees. */
import type { Connection } from "../../src/tcp/connection.js";
import type { ClosedBy } from "../../src/tcp/events.js";
import type { ConnectionUser } from "../../src/tcp/user.js";
import type { Agenda } from "./clock.js";
import { matches, PATTERN, patternOffset, PIECE_MAX } from "./pattern.js";
import type { AppPlan } from "./scenario.js";

export class Violation extends Error {}

/** What the applications of one run share. */
export interface Stage {
  readonly agenda: Agenda;
  /** Above 0 while an application calls its connection: no upcall may come then. */
  calling: number;
  /** When anything last went ahead. */
  progressAt: number;
  /** When octets were last read. */
  readAt: number;
  note(who: string, text: string): void;
}

const into = new Uint8Array(65_536);

export class App implements ConnectionUser {
  readonly name: string;
  readonly plan: AppPlan;
  readonly #stage: Stage;
  /** Numbers of the streams that it writes and reads. */
  readonly #outgoing: number;
  readonly #incoming: number;
  peer!: App;
  conn: Connection | undefined;
  written = 0;
  taken = 0;
  isEstablished = false;
  isEnded = false;
  closedBy: ClosedBy | undefined;
  /** This end did something that may cost octets: an abort, or a release before all was read. */
  wasRude = false;
  #reading = false;
  #writing = false;
  #isClosing = false;

  constructor(stage: Stage, name: string, plan: AppPlan, outgoing: number, incoming: number) {
    this.#stage = stage;
    this.name = name;
    this.plan = plan;
    this.#outgoing = outgoing;
    this.#incoming = incoming;
  }

  /** From when on `conn` is this application's. */
  start(conn: Connection): void {
    this.conn = conn;
    const { plan } = this,
      { agenda } = this.#stage;
    if (plan.noDelay) conn.setNoDelay(true);
    if (plan.corked) conn.setCork(true);
    if (plan.readFrom > 0) agenda.in(plan.readFrom, () => this.#read());
    if (plan.abortAt !== undefined) agenda.in(plan.abortAt, () => this.abort());
    this.#write();
  }

  abort(): void {
    if (this.conn === undefined || this.closedBy !== undefined) return;
    this.wasRude = true;
    this.#stage.note(this.name, "aborts");
    this.#call(() => this.conn?.abort());
  }

  established(conn: Connection): void {
    this.#upcall("established", !this.isEstablished && conn === this.conn);
    this.isEstablished = true;
    this.#write();
  }
  readable(conn: Connection): void {
    this.#upcall("readable", this.isEstablished && conn.readable > 0);
    if (!this.#reading) this.#read();
  }
  urgent(): void {
    throw new Violation(`${this.name}: urgent, but nobody sent that`);
  }
  writable(): void {
    this.#upcall("writable", this.isEstablished);
    if (!this.#writing) this.#write();
  }
  drained(conn: Connection): void {
    this.#upcall("drained", conn.sendQueued === 0);
    this.#close();
  }
  ended(): void {
    this.#upcall("ended", this.isEstablished && !this.isEnded);
    this.isEnded = true;
    if (this.written === this.plan.writes && this.plan.close === "ended") this.#close();
  }
  advised(): void {
    this.#upcall("advised", true);
  }
  closed(conn: Connection, by: ClosedBy): void {
    this.#upcall("closed", conn === this.conn);
    this.closedBy = by;
    this.#stage.note(this.name, `closed by ${by}`);
    if (!this.#reading) this.#read();
  }

  /** Where in the incoming stream the next octet lies. */
  protected get position(): number {
    return this.taken;
  }

  /** Nothing more will come of it: it was told so, or its connection was never accepted. */
  get isOver(): boolean {
    return this.conn === undefined || this.closedBy !== undefined;
  }

  /** After everything is over. */
  check(): void {
    const rude = this.wasRude || this.peer.wasRude;
    if (this.conn === undefined) {
      if (!rude) throw new Violation(`${this.name}: never came to be`);
      return;
    }
    if (this.closedBy === undefined) throw new Violation(`${this.name}: was never told that its connection is closed`);
    if (rude) return;
    if (this.closedBy !== "local" && this.closedBy !== "peer" && this.closedBy !== "both")
      throw new Violation(`${this.name}: closed by ${this.closedBy}, though both ends were polite and the link healed`);
    if (!this.isEnded) throw new Violation(`${this.name}: never heard the end of the other's stream`);
    if (this.written !== this.plan.writes) throw new Violation(`${this.name}: wrote ${this.written} of ${this.plan.writes}`);
    if (this.taken !== this.peer.plan.writes) throw new Violation(`${this.name}: read ${this.taken} of ${this.peer.plan.writes}`);
  }

  #upcall(what: string, isDue: boolean): void {
    if (this.#stage.calling > 0) throw new Violation(`${this.name}: ${what} from inside a user call`);
    if (this.closedBy !== undefined) throw new Violation(`${this.name}: ${what} after closed`);
    if (!isDue) throw new Violation(`${this.name}: ${what} came when it must not`);
    this.#stage.progressAt = this.#stage.agenda.now;
  }
  #call<T>(work: () => T): T {
    this.#stage.calling++;
    try {
      return work();
    } finally {
      this.#stage.calling--;
    }
  }

  #write(): void {
    const { plan } = this,
      conn = this.conn as Connection,
      { agenda } = this.#stage;
    this.#writing = false;
    while (this.written < plan.writes) {
      if (this.closedBy !== undefined || this.#isClosing) return;
      const n = Math.min(plan.piece, plan.writes - this.written, PIECE_MAX),
        at = patternOffset(this.#outgoing, this.written);
      const took = this.#call(() => (plan.shared ? conn.sendShared(PATTERN, at, n) : conn.send(PATTERN.bytes, at, n)));
      if (took < 0 || took > n) throw new Violation(`${this.name}: send took ${took} of ${n}`);
      this.written += took;
      if (took > 0) this.#stage.progressAt = agenda.now;
      if (took < n) return;
      if (plan.writePause > 0) {
        this.#writing = true;
        agenda.in(plan.writePause, () => this.#write());
        return;
      }
    }
    if (this.closedBy !== undefined) return;
    if (plan.corked) this.#call(() => conn.setCork(false));
    // A close before the handshake is over is a case of its own, and left to those who write nothing.
    if (plan.close === "written" && (this.isEstablished || plan.writes === 0 || conn.state === "SYN-RECEIVED")) this.#close();
    else if (plan.close === "written") this.#writing = false;
    else if (plan.close === "ended" && this.isEnded) this.#close();
    else if (plan.close === "drained") {
      if (conn.sendQueued === 0) this.#close();
      else conn.wantsDrain();
    }
  }

  #close(): void {
    const conn = this.conn as Connection;
    if (this.#isClosing || this.closedBy !== undefined) return;
    // CLOSE in SYN-SENT deletes the connection (RFC 9293 §3.10.4): wait for the handshake.
    if (!this.isEstablished) return;
    this.#isClosing = true;
    this.#stage.note(this.name, this.plan.release ? "releases" : "closes");
    if (this.plan.release) {
      // Whoever lets go before the other's stream has ended, or has been read, may cut it off.
      if (!this.isEnded || conn.readable > 0) this.wasRude = true;
      this.#call(() => conn.release());
    } else this.#call(() => conn.close());
  }

  #read(): void {
    const { plan } = this,
      conn = this.conn as Connection,
      { agenda } = this.#stage;
    this.#reading = false;
    if (agenda.now < this.#readFrom()) {
      this.#reading = true;
      agenda.at(this.#readFrom(), () => this.#read());
      return;
    }
    for (let turn = 0; conn.readable > 0; turn++) {
      const before = conn.readable,
        most = plan.readPiece > 0 ? plan.readPiece : into.length;
      let n: number, ok: boolean;
      if (turn % 2 === 0) {
        n = this.#call(() => conn.receive(into, 0, Math.min(most, into.length)));
        if (n !== Math.min(most, into.length, before)) throw new Violation(`${this.name}: receive took ${n} of ${before}`);
        ok = matches(this.#incoming, this.position, into, 0, n);
      } else {
        const view = conn.peek();
        n = Math.min(view.length, most);
        if (n === 0) throw new Violation(`${this.name}: nothing to peek at, but ${before} readable`);
        ok = matches(this.#incoming, this.position, view, 0, n);
        this.#call(() => conn.skip(n));
      }
      if (!ok) throw new Violation(`${this.name}: octets ${this.taken} to ${this.taken + n} are not what was written`);
      if (conn.readable !== before - n) throw new Violation(`${this.name}: ${before} readable, ${n} taken, ${conn.readable} left`);
      this.taken += n;
      this.#stage.readAt = agenda.now;
      if (this.taken > this.peer.written) throw new Violation(`${this.name}: read ${this.taken}, but only ${this.peer.written} were written`);
      this.#stage.progressAt = agenda.now;
      if (plan.readPiece > 0) {
        this.#reading = true;
        agenda.in(plan.readPause, () => this.#read());
        return;
      }
    }
  }
  #started = -1;
  #readFrom(): number {
    if (this.#started < 0) this.#started = this.#stage.agenda.now;
    return this.plan.readFrom === 0 ? 0 : this.#started + this.plan.readFrom;
  }
}
