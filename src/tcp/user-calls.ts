/** RFC 9293 §3.10.1 to §3.10.6: OPEN is in handshake.ts; SEND, RECEIVE, CLOSE, ABORT and STATUS are here. */
import type { Memory } from "../wire/memory.js";
import { ackNow, windowOpened } from "./acknowledge.js";
import { armKeepAlive } from "./keep-alive.js";
import { type TcpOptions, validate } from "./options.js";
import { resetHeader } from "./output.js";
import type { RuleId } from "./rules.js";
import { diff, leq, toWire } from "./seq.js";
import { isSynchronized } from "./state.js";
import type { Status } from "./status.js";
import type { Tcb } from "./tcb.js";
import { after, type Millis } from "./time.js";

/** SEND is for these states; in the others nothing is taken (§3.10.2). */
function maySend(t: Tcb): boolean {
  if (t.closing) return false;
  return t.state === "SYN-SENT" || t.state === "SYN-RECEIVED" || t.state === "ESTABLISHED" || t.state === "CLOSE-WAIT";
}

/** §3.10.2. Text queued before ESTABLISHED goes out when the handshake is complete. */
export function send(t: Tcb, bytes: Uint8Array, offset: number, length: number): number {
  if (!maySend(t)) return 0;
  return queued(t, t.sendQueue.append(bytes, offset, length), length);
}
export function sendShared(t: Tcb, memory: Memory, offset: number, length: number): number {
  if (!maySend(t)) return 0;
  return queued(t, t.sendQueue.appendShared(memory, offset, length), length);
}
function queued(t: Tcb, taken: number, length: number): number {
  if (taken < length) {
    t.wantsSpace = true;
    if (taken < Math.min(length, t.sendQueue.space + taken)) t.env.memoryShort(t);
  }
  if (taken > 0) t.env.outlet.touched(t);
  return taken;
}
/** SEND with the urgent flag (§3.10.2): what is queued now is urgent. */
export function markUrgent(t: Tcb): void {
  t.snd.up = t.end;
}

/** §3.10.3. */
export function receive(t: Tcb, into: Uint8Array, offset: number, length: number): number {
  const n = t.receiveQueue.take(into, offset, length);
  if (n > 0) taken(t);
  return n;
}
export function skip(t: Tcb, length: number): void {
  t.receiveQueue.skip(length);
  taken(t);
}
function taken(t: Tcb): void {
  if (t.rcv.up !== undefined && leq(t.rcv.up, t.receiveQueue.base)) t.rcv.up = undefined;
  if (t.state === "ESTABLISHED" || t.state === "FIN-WAIT-1" || t.state === "FIN-WAIT-2") windowOpened(t);
}
export function urgentOffset(t: Tcb): number | undefined {
  return t.rcv.up === undefined ? undefined : Math.max(0, diff(t.receiveQueue.base, t.rcv.up));
}

const clock = (t: Tcb): Millis => t.env.time();

/** §3.10.4. */
export function close(t: Tcb): void {
  const now = clock(t);
  t.env.causedByCall("CLOSE");
  switch (t.state) {
    case "LISTEN":
    case "SYN-SENT":
      return t.close("local", "9293-3.10.4", now);
    case "SYN-RECEIVED":
      t.closing = true;
      return; // FIN-WAIT-1 once the handshake is complete
    case "ESTABLISHED":
      t.closing = true;
      return t.setState("FIN-WAIT-1", "9293-3.10.4", now, "F.");
    case "CLOSE-WAIT":
      t.closing = true;
      return t.setState("LAST-ACK", "9293-3.10.4", now, "F.");
    default:
      return;
  }
}

/** The application has let go of the connection: nothing will be read any more. */
export function release(t: Tcb): void {
  if (t.orphan) return;
  t.orphan = true;
  const now = clock(t);
  if (t.receiveQueue.readable > 0 && isSynchronized(t.state) && t.state !== "TIME-WAIT") {
    // RFC 9293 §3.6.1: unread text is lost, and the peer must hear of it by an RST.
    t.env.causedByCall("CLOSE");
    return reset(t, "9293-3.6.1-unread", now);
  }
  t.receiveQueue.clear();
  close(t);
  if (t.state === "FIN-WAIT-2") {
    t.timers.arm("finWait2", after(now, t.options.finWait2));
    t.env.outlet.touched(t);
  }
}

/** §3.10.5. */
export function abort(t: Tcb): void {
  const now = clock(t);
  t.env.causedByCall("ABORT");
  switch (t.state) {
    case "CLOSED":
      return t.receiveQueue.clear();
    case "CLOSING":
    case "LAST-ACK":
      // The RFC is in these states only once the FIN is sent; until then the peer would wait for it for ever.
      if (!t.finSent) return reset(t, "9293-3.10.5", now);
      return t.close("abort", "9293-3.10.5-quiet", now);
    case "LISTEN":
    case "SYN-SENT":
    case "TIME-WAIT":
      return t.close("abort", "9293-3.10.5-quiet", now);
    default:
      return reset(t, "9293-3.10.5", now);
  }
}
/** `<SEQ=SND.NXT><CTL=RST>`; queues flushed, TCB deleted. */
export function reset(t: Tcb, rule: RuleId, now: Millis, by: "abort" | "limit" | "shutdown" = "abort"): void {
  t.env.counters.resetsOut++;
  if (t.env.wants("reset")) t.env.emit({ kind: "reset", conn: t.who(), direction: "out", rule });
  t.env.outlet.segment(t, resetHeader(t), t.snd.nxt, 0, false);
  t.close(by, rule, now, "R");
}

export function setNoDelay(t: Tcb, on: boolean): void {
  t.noDelay = on;
  if (!on || t.sendQueue.length === 0) return;
  t.pushed = diff(t.snd.nxt, t.end) > 0;
  t.env.outlet.touched(t);
}
export function setCork(t: Tcb, on: boolean): void {
  t.cork = on;
  if (!on) t.env.outlet.touched(t);
}
export function setKeepAlive(t: Tcb, on: boolean, idleMs?: number, intervalMs?: number, probes?: number): void {
  t.keepAlive = on;
  t.keepAliveIdle = idleMs ?? t.keepAliveIdle;
  t.keepAliveInterval = intervalMs ?? t.keepAliveInterval;
  t.keepAliveProbes = probes ?? t.keepAliveProbes;
  t.keepAliveSent = 0;
  armKeepAlive(t, clock(t));
  t.env.outlet.touched(t);
}
/** On: what is owed is acknowledged now, and the next segments at once (Linux's TCP_QUICKACK); off: ACKs wait for company. */
export function setQuickAck(t: Tcb, on: boolean): void {
  t.ack.quick = on ? Math.max(1, t.options.quickAcks) : 0;
  if (on && t.ack.octets > 0) ackNow(t);
}
/** What is queued above a smaller limit stays. */
export function setSendBuffer(t: Tcb, octets: number): void {
  t.sendQueue.limit = validate({ sendBuffer: octets }).sendBuffer ?? octets;
}
/** Takes effect where an option is read as it is used; what the handshake agreed on stays. */
export function configure(t: Tcb, changes: Partial<TcpOptions>): void {
  (t as { options: Readonly<TcpOptions> }).options = Object.freeze({ ...t.options, ...validate({ ...changes }) });
}
export function setUserTimeout(t: Tcb, ms: number): void {
  t.userTimeout = ms > 0 ? ms : t.options.userTimeout;
  // RFC 5482 §3.1: a timeout that the application sets is not the peer's to change.
  t.userTimeoutChangeable = ms <= 0;
}

/** §3.10.6. */
export function status(t: Tcb, now: Millis): Status {
  const s = t.stats,
    name = t.timers.soonest(),
    p = t.path,
    b = t.board;
  const since = (at: number): number | undefined => (at < 0 ? undefined : now - at);
  const limitedFor = now - t.limitedSince;
  return {
    id: t.id,
    state: t.state,
    local: { address: p.localAddress, port: p.localPort },
    remote: { address: p.remoteAddress, port: p.remotePort },
    passive: t.passive,
    ageMs: now - t.bornAt,
    stateMs: now - t.stateSince,
    recvQ: t.receiveQueue.readable,
    sendQ: t.sendQueue.length,
    outOfOrder: t.receiveQueue.outOfOrder,
    iss: toWire(t.snd.iss),
    irs: toWire(t.rcv.irs),
    sndUna: t.relative(t.snd.una, t.snd.iss),
    sndNxt: t.relative(t.snd.nxt, t.snd.iss),
    rcvNxt: t.relative(t.rcv.nxt, t.rcv.irs),
    sndWnd: t.snd.wnd,
    rcvWnd: t.rcv.wnd,
    sndWscale: t.snd.wscale,
    rcvWscale: t.rcv.wscale,
    timestamps: t.ts.on,
    sack: t.sackOk,
    ecn: t.ecn,
    mss: t.mss,
    advmss: t.rcv.mss,
    pmtu: t.snd.pmtu,
    srtt: t.rtt.hasSample ? t.rtt.srtt : undefined,
    rttvar: t.rtt.hasSample ? t.rtt.rttvar : undefined,
    minRtt: Number.isFinite(t.rtt.minRtt) ? t.rtt.minRtt : undefined,
    rto: t.rtt.rto,
    backoff: t.rtt.backoff,
    congestion: t.congestion.name,
    phase: t.recovery.phase,
    cwnd: t.cwnd,
    ssthresh: Number.isFinite(t.ssthresh) ? t.ssthresh : undefined,
    inFlight: t.flightSize,
    pipe: t.recovery.pipe,
    sacked: b.sackedOctets,
    lost: b.lost.octets,
    retransOut: retransOut(t),
    reordering: t.options.dupThresh,
    segmentsIn: s.segmentsIn,
    segmentsOut: s.segmentsOut,
    bytesReceived: s.bytesReceived,
    bytesSent: s.bytesSent,
    bytesAcked: s.bytesAcked,
    retransmits: s.retransmits,
    bytesRetransmitted: s.bytesRetransmitted,
    timeouts: s.timeouts,
    dsackDups: s.dsackDups,
    outOfOrderIn: s.outOfOrderIn,
    dupAcksIn: s.dupAcksIn,
    zeroWindowProbes: s.zeroWindowProbes,
    keepAliveProbes: s.keepAliveProbes,
    busyMs: s.busyMs + (t.limitedBy === "none" ? 0 : limitedFor),
    rwndLimitedMs: s.rwndLimitedMs + (t.limitedBy === "rwnd" ? limitedFor : 0),
    sndbufLimitedMs: s.sndbufLimitedMs,
    limitedBy: t.limitedBy,
    timer: name === undefined ? undefined : { name, inMs: Math.max(0, t.timers.next - now) },
    lastDataSentMs: since(t.lastDataSentAt),
    lastDataReceivedMs: since(t.lastDataReceivedAt),
    lastAckReceivedMs: since(t.lastAckReceivedAt),
    noDelay: t.noDelay,
    keepAlive: t.keepAlive,
    peerUserTimeout: t.peerUserTimeout > 0 ? t.peerUserTimeout : undefined,
    orphan: t.orphan,
  };
}
/** Octets sent again and still in flight. Asked for by people, not by the protocol: it may walk. */
function retransOut(t: Tcb): number {
  let n = 0;
  for (let r = t.board.flight.head; r !== undefined; r = r.following) if (r.transmissions > 1) n += r.length;
  return n;
}
