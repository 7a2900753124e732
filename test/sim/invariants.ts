/** What must hold of a connection after every event, whatever the link or the peer does. */
import { add, diff, type Seq } from "../../src/tcp/seq.js";
import type { Stack } from "../../src/stack/stack.js";
import type { Tcb } from "../../src/tcp/tcb.js";
import { Violation } from "./app.js";

/** What is remembered of a connection from one event to the next. */
interface Memory {
  /** Whether both SYNs had been seen. */
  started: boolean;
  una: Seq;
  nxt: Seq;
  rcvNxt: Seq;
  rcvEdge: Seq;
  /** The furthest that the peer ever allowed, and how far probes may have gone beyond. */
  allowed: Seq;
  probes: number;
}

const SEGMENT_MAX = 9_000;

export class Invariants {
  readonly #stack: Stack;
  readonly #name: string;
  readonly #memory = new Map<number, Memory>();
  /** A hostile peer may take back what it allowed; then only what is ours to keep is checked. */
  readonly #hostile: boolean;

  constructor(stack: Stack, name: string, hostile = false) {
    this.#stack = stack;
    this.#name = name;
    this.#hostile = hostile;
  }

  /** After each event. @throws Violation */
  check(now: number): void {
    for (const conn of this.#stack.connections()) this.#checkOne(conn.tcb, now);
  }
  forget(id: number): void {
    this.#memory.delete(id);
  }

  #checkOne(t: Tcb, now: number): void {
    const fail = (what: string): never => {
      throw new Violation(`${this.#name} connection ${t.id} in ${t.state}: ${what}`);
    };
    const flight = diff(t.snd.una, t.snd.nxt);
    if (flight < 0) fail(`SND.UNA is ${-flight} beyond SND.NXT`);
    if (t.state === "CLOSED") fail("a closed connection is still in the table");

    // Timers: none may be overdue, and the wheel must know of the next.
    if (t.timers.next < now) fail(`the ${t.timers.soonest()} timer was due ${now - t.timers.next} ms ago`);
    if (t.timers.next !== Infinity && t.wake.at > t.timers.next)
      fail(`the ${t.timers.soonest()} timer is due at ${t.timers.next}, but nothing wakes the stack before ${t.wake.at}`);

    // Each octet in flight is in exactly one list.
    const counted = t.board.flight.octets + t.board.lost.octets + t.board.sackedOctets;
    if (t.state !== "TIME-WAIT" && counted !== flight)
      fail(
        `${flight} octets are unacknowledged, but the scoreboard has ${t.board.flight.octets} in flight, ${t.board.lost.octets} lost and ${t.board.sackedOctets} SACKed`,
      );

    // Somebody will do something about what is not acknowledged.
    const armed = t.timers.isArmed("retransmit") || t.timers.isArmed("tailLossProbe") || t.timers.isArmed("reorder") || t.timers.isArmed("persist");
    if (!t.board.isEmpty && !armed) fail(`${flight} octets are unacknowledged and no timer will send them again`);
    const waiting = diff(t.snd.nxt, t.end);
    const maySend = t.state === "ESTABLISHED" || t.state === "CLOSE-WAIT" || t.state === "FIN-WAIT-1" || t.state === "LAST-ACK" || t.state === "CLOSING";
    if (maySend && t.board.isEmpty && !armed && !t.touched && (waiting > 0 ? !t.cork : t.closing && !t.finSent))
      fail(`${waiting} octets and ${t.closing && !t.finSent ? "a FIN" : "no FIN"} wait to be sent, and nothing will send them`);

    // The receiver keeps no more than it promised to.
    const kept = t.receiveQueue.readable + t.receiveQueue.outOfOrder,
      unit = 1 << t.rcv.wscale;
    if (kept > t.options.receiveBuffer + unit + 65_535 * unit) fail(`${kept} octets are kept, the receive buffer has ${t.options.receiveBuffer}`);
    if (t.receiveQueue.ranges.length > 512) fail(`${t.receiveQueue.ranges.length} ranges are kept beyond gaps`);
    if (t.sendQueue.length > t.sendQueue.limit) fail(`${t.sendQueue.length} octets in a send queue of ${t.sendQueue.limit}`);
    if (t.cwnd < 0 || Number.isNaN(t.cwnd)) fail(`cwnd is ${t.cwnd}`);
    if (Number.isNaN(t.rtt.rto) || t.rtt.rto <= 0 || t.rtt.rto > t.options.maxRto) fail(`RTO is ${t.rtt.rto}`);

    this.#checkMotion(t, flight, fail);
  }

  /** What only moves forwards, and how far. */
  #checkMotion(t: Tcb, flight: number, fail: (what: string) => never): void {
    const offered = add(t.snd.una, t.snd.wnd);
    const m = this.#memory.get(t.id);
    if (m === undefined) {
      this.#memory.set(t.id, {
        started: false,
        una: t.snd.una,
        nxt: t.snd.nxt,
        rcvNxt: t.rcv.nxt,
        rcvEdge: t.rcv.edge,
        allowed: offered,
        probes: t.stats.zeroWindowProbes,
      });
      return;
    }
    const started = t.state !== "SYN-SENT" && t.state !== "SYN-RECEIVED" && t.state !== "LISTEN";
    if (diff(m.una, t.snd.una) < 0) fail(`SND.UNA went back by ${-diff(m.una, t.snd.una)}`);
    if (diff(m.nxt, t.snd.nxt) < 0) fail(`SND.NXT went back by ${-diff(m.nxt, t.snd.nxt)}`);
    if (m.started) {
      if (diff(m.rcvNxt, t.rcv.nxt) < 0) fail(`RCV.NXT went back by ${-diff(m.rcvNxt, t.rcv.nxt)}`);
      if (diff(m.rcvEdge, t.rcv.edge) < 0) fail(`the right edge of the receive window went back by ${-diff(m.rcvEdge, t.rcv.edge)}`);
      if (diff(t.rcv.nxt, t.rcv.edge) < 0) fail(`RCV.NXT is beyond the window that was told`);
    }
    const before = m.allowed;
    if (m.started && (diff(m.allowed, offered) > 0 || diff(m.allowed, t.snd.una) > 0)) m.allowed = diff(t.snd.una, offered) > 0 ? offered : t.snd.una;
    const sent = diff(m.nxt, t.snd.nxt),
      probed = t.stats.zeroWindowProbes > m.probes;
    if (m.started && sent > 0 && !probed && !this.#hostile) {
      const beyond = Math.min(diff(m.allowed, t.snd.nxt), diff(before, t.snd.nxt));
      // A probe sent earlier lies beyond the window for as long as it is not acknowledged.
      if (beyond > 0 && diff(m.nxt, m.allowed) >= 0) fail(`${beyond} octets were sent beyond the peer's window`);
    }
    if (sent > SEGMENT_MAX && flight > SEGMENT_MAX && t.state === "ESTABLISHED" && t.board.pipe > t.cwnd + 2 * t.mss && t.recovery.phase === "open")
      fail(`${t.board.pipe} octets are in the network, cwnd is ${t.cwnd}`);
    if (!m.started) m.allowed = offered;
    m.started = started;
    m.una = t.snd.una;
    m.nxt = t.snd.nxt;
    m.rcvNxt = t.rcv.nxt;
    m.rcvEdge = t.rcv.edge;
    m.probes = t.stats.zeroWindowProbes;
  }
}

/** When all is over nothing may be left: no connection, timer, page or fragment. @throws Violation */
export function nothingLeft(stack: Stack, name: string): void {
  const c = stack.counters;
  const left = { connections: c.connections, halfOpen: c.halfOpen, timeWait: c.timeWait, orphans: c.orphans, pages: c.pagesUsed, fragments: c.fragmentOctets };
  for (const [what, n] of Object.entries(left)) if (n !== 0) throw new Violation(`${name}: ${n} ${what} left when all was over`);
  for (const conn of stack.connections()) throw new Violation(`${name}: connection ${conn.id} left in ${conn.state}`);
  if (stack.nextTimeout() !== Infinity) throw new Violation(`${name}: a timer is left when all was over`);
}
