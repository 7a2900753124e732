/** The face of the TCP core: what `stack/` and the users of a connection may call. Section names are RFC 9293 §3.9.1. */
import type { Memory } from "../wire/memory.js";
import type { Millis } from "./time.js";
import type { TcpOptions } from "./options.js";
import type { Status } from "./status.js";
import type { Tcb } from "./tcb.js";
import type { ConnectionUser } from "./user.js";
import type { State } from "./state.js";
import * as calls from "./user-calls.js";
import { status } from "./user-calls.js";

export class Connection {
  readonly tcb: Tcb;
  /** Who hears of what happens. Set it before the first upcall; replacing it is allowed. */
  user: ConnectionUser;

  constructor(tcb: Tcb, user: ConnectionUser) {
    this.tcb = tcb;
    this.user = user;
  }

  /** Number of the connection, unique within the stack, from 1. */
  get id(): number {
    return this.tcb.id;
  }
  get state(): State {
    return this.tcb.state;
  }
  /** Text addresses and ports. */
  get localAddress(): string {
    return this.tcb.path.localAddress;
  }
  get localPort(): number {
    return this.tcb.path.localPort;
  }
  get remoteAddress(): string {
    return this.tcb.path.remoteAddress;
  }
  get remotePort(): number {
    return this.tcb.path.remotePort;
  }

  /**
   * SEND: takes octets into the send queue by copying; what does not fit is not taken.
   * @returns octets taken, 0 to length. 0 and a later `writable` when the queue is full; 0 for ever after CLOSE or
   *   when the connection is gone (look at `state`).
   */
  send(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset): number {
    return calls.send(this.tcb, bytes, offset, length);
  }
  /** SEND with the urgent flag: all that is queued now is urgent, up to its last octet (MUST-30, MUST-62). */
  markUrgent(): void {
    calls.markUrgent(this.tcb);
  }
  /** SEND by reference: like `send`, but keeps the memory until it is acknowledged. The octets must never change. */
  sendShared(memory: Memory, offset: number, length: number): number {
    return calls.sendShared(this.tcb, memory, offset, length);
  }
  /** Octets that `send` would take now. */
  get sendSpace(): number {
    return this.tcb.sendQueue.space;
  }
  /** Octets written and not yet acknowledged. */
  get sendQueued(): number {
    return this.tcb.sendQueue.length;
  }
  /** Ask for one `drained` upcall when all that is queued now is acknowledged. */
  wantsDrain(): void {
    this.tcb.wantsDrain = true;
  }

  /** RECEIVE: octets that are there to be taken. */
  get readable(): number {
    return this.tcb.receiveQueue.readable;
  }
  /** RECEIVE: copies up to `length` octets out and frees them. @returns octets copied */
  receive(into: Uint8Array, offset = 0, length: number = into.length - offset): number {
    return calls.receive(this.tcb, into, offset, length);
  }
  /** A view of the first contiguous octets that are readable; valid until the upcall or the current task ends. Empty if none. */
  peek(): Uint8Array {
    return this.tcb.receiveQueue.peek();
  }
  /** Frees octets without copying them (after `peek`, or to discard). */
  skip(length: number): void {
    calls.skip(this.tcb, length);
  }
  /** True once the peer's FIN was received in order. */
  get ended(): boolean {
    return this.tcb.rcv.finReceived;
  }
  /** Where urgent data ends, in octets from the start of what is readable; undefined outside urgent mode (RFC 6093). */
  get urgentOffset(): number | undefined {
    return calls.urgentOffset(this.tcb);
  }

  /** CLOSE: no more to send; FIN follows what is queued. Reading goes on (half-close). Again: does nothing. */
  close(): void {
    calls.close(this.tcb);
  }
  /** Both directions are of no more use to the application: the connection is an orphan; unread or later text earns an RST. Implies CLOSE. */
  release(): void {
    calls.release(this.tcb);
  }
  /** ABORT: RST and gone (RFC 9293 §3.10.5). */
  abort(): void {
    calls.abort(this.tcb);
  }
  /** STATUS. */
  status(now: Millis): Status {
    return status(this.tcb, now);
  }

  /** Turns the Nagle algorithm off (MUST-17). */
  setNoDelay(on: boolean): void {
    calls.setNoDelay(this.tcb, on);
  }
  /** Holds back partial segments until uncorked. */
  setCork(on: boolean): void {
    calls.setCork(this.tcb, on);
  }
  /** Keep-alive (RFC 9293 §3.8.4): off by default. Times in milliseconds; undefined keeps what is set. */
  setKeepAlive(on: boolean, idleMs?: number, intervalMs?: number, probes?: number): void {
    calls.setKeepAlive(this.tcb, on, idleMs, intervalMs, probes);
  }
  /** Acknowledges at once for a while (on), or lets ACKs wait for company from now (off). */
  setQuickAck(on: boolean): void {
    calls.setQuickAck(this.tcb, on);
  }
  /**
   * Changes options of this connection, such as `receiveBuffer` (a smaller one shuts the window slowly, as its right edge
   * never moves back: SHLD-14) or `finWait2`. What the handshake agreed on stays. @throws RangeError out of bounds
   */
  configure(changes: Partial<TcpOptions>): void {
    calls.configure(this.tcb, changes);
  }
  /** Octets written and not acknowledged that the connection keeps. @throws RangeError out of bounds */
  setSendBuffer(octets: number): void {
    calls.setSendBuffer(this.tcb, octets);
  }
  /** User timeout (RFC 5482): how long sent data may stay unacknowledged. 0: the stack's default. Milliseconds. */
  setUserTimeout(ms: number): void {
    calls.setUserTimeout(this.tcb, ms);
  }
}
