/** One socket of the application under test, with Linux's idea of errors and readiness over our Connection. */
import type { Listener } from "../stack/listener.js";
import type { Connection } from "../tcp/connection.js";
import type { ClosedBy } from "../tcp/events.js";
import type { TcpOptions } from "../tcp/options.js";
import type { State } from "../tcp/state.js";
import type { ConnectionUser } from "../tcp/user.js";
import { ICMP_UNREACHABLE } from "../wire/icmp.js";
import { CONSTANTS } from "./constants.js";
import { UNREACHABLE_ERRNO } from "./icmp-names.js";

const bit = (name: string): number => CONSTANTS[name] as number;
export const POLLIN = bit("POLLIN"),
  POLLPRI = bit("POLLPRI"),
  POLLOUT = bit("POLLOUT"),
  POLLERR = bit("POLLERR"),
  POLLHUP = bit("POLLHUP"),
  POLLRDHUP = bit("POLLRDHUP");
const POLLRDNORM = bit("POLLRDNORM"),
  POLLWRNORM = bit("POLLWRNORM");

export class Socket implements ConnectionUser {
  nonBlocking: boolean;
  bound: { address: string | undefined; port: number } | undefined;
  listener: Listener | undefined;
  /** Children whose handshake is complete, for accept(). */
  readonly finished: Socket[] = [];
  conn: Connection | undefined;
  isConnecting = false;
  wasEstablished = false;
  /** Pending error, as errno names it; `read`, `write` or SO_ERROR takes it. */
  error: string | undefined;
  isClosed = false;
  shutRead = false;
  shutWrite = false;
  /** Settings that go into the next `listen` or `connect`. */
  options: Partial<TcpOptions> = {};
  noDelay = false;
  cork = false;
  keepAlive = false;
  keepIdle: number | undefined;
  keepInterval: number | undefined;
  keepCount: number | undefined;
  userTimeout = 0;
  quickAck = 1;
  linger = { onoff: 0, linger: 0 };
  linger2 = 60;
  receiveBuffer: number | undefined;
  sendBuffer: number | undefined;
  maxSegment: number | undefined;
  synCount: number | undefined;
  notSentLowAt = 0xffffffff;
  deferAccept = 0;
  congestion: "reno" | "cubic" | undefined;
  /** What plain settings without an effect here were set to. */
  readonly plain = new Map<string, number>();
  /** When the handshake was complete, microseconds; for TCP_DEFER_ACCEPT. */
  finishedAt = 0;
  readonly #isLinux: boolean;

  constructor(nonBlocking: boolean, isLinux: boolean) {
    this.nonBlocking = nonBlocking;
    this.#isLinux = isLinux;
  }

  get state(): State {
    if (this.listener !== undefined) return "LISTEN";
    return this.conn?.state ?? "CLOSED";
  }

  // ---- ConnectionUser ----

  established(): void {
    this.isConnecting = false;
    this.wasEstablished = true;
  }
  readable(): void {}
  writable(): void {}
  ended(): void {}
  closed(conn: Connection, by: ClosedBy): void {
    this.isConnecting = false;
    if (conn.state !== "CLOSED") return; // TIME-WAIT: both sides agreed
    this.isClosed = true;
    this.error = this.#errorOf(conn, by) ?? this.error;
  }

  #errorOf(conn: Connection, by: ClosedBy): string | undefined {
    const icmp = conn.tcb.icmpError;
    const unreachable = icmp !== undefined && icmp.type === ICMP_UNREACHABLE ? UNREACHABLE_ERRNO[icmp.code] : undefined;
    switch (by) {
      case "refused":
        return "ECONNREFUSED";
      // A peer that has sent FIN already: what breaks is our writing (Linux's tcp_reset).
      case "reset":
        return this.#isLinux && conn.ended && !conn.tcb.closing ? "EPIPE" : "ECONNRESET";
      case "timeout":
        return this.#isLinux ? (unreachable ?? "ETIMEDOUT") : "ETIMEDOUT";
      case "unreachable":
        return unreachable ?? "EHOSTUNREACH";
      case "limit":
        return "ENOBUFS";
      default:
        return undefined;
    }
  }

  takeError(): string | undefined {
    const { error } = this;
    this.error = undefined;
    return error;
  }

  /** The other side has no more to say, or we do not want to hear it. */
  get isAtEnd(): boolean {
    return this.shutRead || this.isClosed || this.conn?.ended === true;
  }

  /** Octets written and not yet sent. */
  get notSent(): number {
    const t = this.conn?.tcb;
    if (t === undefined) return 0;
    return Math.max(0, t.sendQueue.length - Math.max(0, t.flightSize - (t.state === "SYN-SENT" || t.state === "SYN-RECEIVED" ? 1 : 0)));
  }
  get isWritable(): boolean {
    const { conn } = this;
    if (conn === undefined) return true;
    // Linux: a third of the buffer must be free, and TCP_NOTSENT_LOWAT kept.
    return conn.sendSpace >= conn.sendQueued / 2 && conn.sendSpace > 0 && this.notSent < this.notSentLowAt;
  }

  /** What poll() sees (Linux's tcp_poll). */
  readiness(now: number): number {
    if (this.listener !== undefined) return this.finished.some((child) => this.isAcceptable(child, now)) ? POLLIN | POLLRDNORM : 0;
    let mask = 0;
    const { conn } = this;
    const gone = conn === undefined || this.isClosed;
    const ended = gone ? this.isClosed : conn.ended || this.shutRead;
    if (gone || (ended && this.shutWrite)) mask |= POLLHUP;
    if (ended) mask |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (!this.isConnecting) {
      if (conn !== undefined && conn.readable > 0) mask |= POLLIN | POLLRDNORM;
      if (conn?.urgentOffset !== undefined) mask |= POLLPRI;
      if (this.shutWrite || gone || this.isWritable) mask |= POLLOUT | POLLWRNORM;
    }
    if (this.error !== undefined) mask |= POLLERR;
    return mask;
  }

  /** TCP_DEFER_ACCEPT: a child shows once it has something to read, or after the time set. */
  isAcceptable(child: Socket, now: number): boolean {
    return this.deferAccept === 0 || (child.conn?.readable ?? 0) > 0 || child.isAtEnd || now - child.finishedAt >= this.deferAccept * 1e6;
  }

  /** Brings settings made before there was a connection to it. */
  apply(conn: Connection): void {
    if (this.noDelay) conn.setNoDelay(true);
    if (this.cork) conn.setCork(true);
    if (this.keepAlive || this.keepIdle !== undefined || this.keepInterval !== undefined || this.keepCount !== undefined)
      conn.setKeepAlive(this.keepAlive, this.keepIdle, this.keepInterval, this.keepCount);
    if (this.userTimeout > 0) conn.setUserTimeout(this.userTimeout);
  }

  /** A child has what its listener was set to. */
  inherit(from: Socket): void {
    this.noDelay = from.noDelay;
    this.cork = from.cork;
    this.keepAlive = from.keepAlive;
    this.keepIdle = from.keepIdle;
    this.keepInterval = from.keepInterval;
    this.keepCount = from.keepCount;
    this.userTimeout = from.userTimeout;
    this.linger = from.linger;
    this.receiveBuffer = from.receiveBuffer;
    this.sendBuffer = from.sendBuffer;
    this.maxSegment = from.maxSegment;
    this.notSentLowAt = from.notSentLowAt;
    this.congestion = from.congestion;
    this.options = from.options;
    for (const [name, value] of from.plain) this.plain.set(name, value);
  }
}
