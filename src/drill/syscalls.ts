/**
 * The system calls of scripts (language §8) over Connection: what a program on Linux would see. A call is started once and
 * then attempted until it gives an outcome; the runner decides whether it may wait.
 */
import type { Listener } from "../stack/listener.js";
import { StackError } from "../stack/errors.js";
import type { TcpOptions } from "../tcp/options.js";
import { formatAddress } from "../wire/ipv4.js";
import type { CallAction, Expression } from "./ast.js";
import { CONSTANTS, ERRNO } from "./constants.js";
import { Epoll } from "./epoll.js";
import { Mismatch, type Position, ScriptError, Unsupported } from "./errors.js";
import type { Host } from "./host.js";
import { POLLERR, POLLHUP, Socket } from "./socket.js";
import { getOption, setOption } from "./sockopt.js";
import { fieldsOf, iovecLength, isEllipsis, numberOf, tryNumber } from "./values.js";

/** What a call returned; -1 with the name of an errno. */
export interface Outcome {
  readonly value: number;
  readonly errno?: string;
  /** A new descriptor, to be bound to the script's number. */
  readonly opened?: Socket | Epoll;
}
export interface Started {
  /** undefined while the call would block. */
  readonly attempt: () => Outcome | undefined;
  /** When to attempt again even if nothing happens, microseconds of script time. */
  readonly deadline?: number;
}

/** What the calls need to know of the run. */
export interface CallContext {
  readonly host: Host;
  readonly isLinux: boolean;
  readonly compareBuffers: boolean;
  readonly doublesBuffers: boolean;
  readonly bindPort: number;
  readonly connectPort: number;
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** The settings that sysctls have made so far. */
  settings(): { options: Partial<TcpOptions>; receiveDefault: number | undefined; sendDefault: number | undefined; notSentLowAt: number };
  /** connect() was called: the socket becomes the one under test. */
  connecting(socket: Socket): void;
}

const ok = (value = 0): Outcome => ({ value });
const fail = (errno: string): Outcome => ({ value: -1, errno });
const now = (outcome: Outcome): Started => ({ attempt: () => outcome });
const c = (name: string): number => CONSTANTS[name] as number;
const NONBLOCK = c("SOCK_NONBLOCK"),
  MSG_PEEK = c("MSG_PEEK"),
  MSG_DONTWAIT = c("MSG_DONTWAIT"),
  MSG_MORE = c("MSG_MORE"),
  MSG_WAITALL = c("MSG_WAITALL"),
  MSG_OOB = c("MSG_OOB"),
  MSG_EOR = c("MSG_EOR");

/** Connections that may wait where a script asks for `backlog`: Linux compares with "greater than", BSD allows half as many again. */
function acceptQueue(backlog: number, isLinux: boolean): number {
  const most = isLinux ? 4_096 : 128;
  const asked = backlog < 0 || backlog > most ? most : backlog;
  return (isLinux ? asked : Math.floor((asked * 3) / 2)) + 1;
}

type Handler = (a: Args) => Started;

export class Syscalls {
  readonly #ctx: CallContext;
  readonly #open = new Map<number, Socket | Epoll>();
  readonly #scratch = new Uint8Array(65_536);
  readonly #zeros = new Uint8Array(65_536);

  constructor(ctx: CallContext) {
    this.#ctx = ctx;
  }

  /** @throws ScriptError for calls that make no sense, Unsupported for those out of scope, Mismatch for a wrong out value */
  start(call: CallAction, at: Position): Started {
    const handler = this.#handlers[call.name];
    if (handler === undefined) {
      if (OTHER_CALLS.has(call.name) || call.name.startsWith("sctp_")) throw new Unsupported(at, `the call ${call.name}() is not supported`);
      throw new ScriptError(at, `unknown call "${call.name}"`);
    }
    return handler(new Args(call, at));
  }

  /** The socket of a script's descriptor; undefined if it is none or not open. */
  socket(fd: number): Socket | undefined {
    const open = this.#open.get(fd);
    return open instanceof Socket ? open : undefined;
  }
  bind(fd: number, opened: Socket | Epoll, at: Position): void {
    if (this.#open.has(fd)) throw new ScriptError(at, `descriptor ${fd} is open already`);
    this.#open.set(fd, opened);
  }
  /** After each step of the stack: edges for epoll. */
  stepped(): void {
    for (const open of this.#open.values()) if (open instanceof Epoll) open.observe(this.#ctx.host.now);
  }
  *sockets(): IterableIterator<Socket> {
    for (const open of this.#open.values()) if (open instanceof Socket) yield open;
  }

  readonly #handlers: Readonly<Record<string, Handler>> = {
    socket: (a) => this.#socketCall(a),
    bind: (a) => this.#bind(a),
    listen: (a) => this.#listen(a),
    accept: (a) => this.#accept(a, 0),
    accept4: (a) => this.#accept(a, a.number(3, "the flags")),
    connect: (a) => this.#connect(a),
    read: (a) => this.#receive(a, a.length(2), 0),
    recv: (a) => this.#receive(a, a.length(2), a.number(3, "the flags")),
    recvfrom: (a) => this.#receive(a, a.length(2), a.number(3, "the flags")),
    readv: (a) => this.#receive(a, this.#vectorLength(a), 0),
    recvmsg: (a) => this.#receive(a, this.#messageLength(a), a.number(2, "the flags")),
    write: (a) => this.#send(a, a.length(2), 0),
    send: (a) => this.#send(a, a.length(2), a.number(3, "the flags")),
    sendto: (a) => this.#send(a, a.length(2), a.number(3, "the flags")),
    writev: (a) => this.#send(a, this.#vectorLength(a), 0),
    sendmsg: (a) => this.#send(a, this.#messageLength(a), a.number(2, "the flags")),
    shutdown: (a) => this.#shutdown(a),
    close: (a) => this.#close(a),
    fcntl: (a) => this.#fcntl(a),
    ioctl: (a) => this.#ioctl(a),
    getsockopt: (a) => now(getOption(this.#fd(a), a, this.#ctx)),
    setsockopt: (a) => now(setOption(this.#fd(a), a, this.#ctx)),
    poll: (a) => this.#poll(a),
    epoll_create: () => now({ value: 0, opened: new Epoll() }),
    epoll_create1: () => now({ value: 0, opened: new Epoll() }),
    epoll_ctl: (a) => this.#epollControl(a),
    epoll_wait: (a) => this.#epollWait(a),
  };

  #fd(a: Args, index = 0): Socket {
    const fd = a.number(index, "a descriptor"),
      open = this.#open.get(fd);
    if (open === undefined) throw new ScriptError(a.at(index) ?? a.position, `descriptor ${fd} is not open`);
    if (!(open instanceof Socket)) throw new ScriptError(a.at(index) ?? a.position, `descriptor ${fd} is not a socket`);
    return open;
  }

  #socketCall(a: Args): Started {
    a.count(3);
    const type = a.number(1, "the type of socket");
    const base = type & 15;
    const protocol = isEllipsis(a.at(2)) ? 6 : a.number(2, "the protocol");
    if (base !== c("SOCK_STREAM") || (protocol !== 6 && protocol !== 0)) throw new Unsupported(a.position, "only TCP sockets are supported");
    const opened = new Socket((type & NONBLOCK) !== 0, this.#ctx.isLinux);
    opened.notSentLowAt = this.#ctx.settings().notSentLowAt;
    return now({ value: 0, opened });
  }

  /** A socket address that the script spells out; undefined where it leaves it to the runner. */
  #address(e: Expression | undefined): { address: string | undefined; port: number | undefined } | undefined {
    const fields = fieldsOf(e);
    if (fields === undefined) return undefined;
    const port = fields.get("sin_port") ?? fields.get("sin6_port");
    const text = fields.get("sin_addr") ?? fields.get("sin6_addr");
    let address: string | undefined;
    if (text?.kind === "call" && (text.name === "inet_addr" || text.name === "inet_pton")) {
      const last = text.args.at(-1);
      address = last?.kind === "string" ? last.value : undefined;
    } else if (text !== undefined && tryNumber(text) !== undefined) {
      const n = tryNumber(text) as number;
      address = n === 0 ? undefined : formatAddress(n | 0);
    }
    return { address, port: port === undefined ? undefined : tryNumber(port) };
  }

  #bind(a: Args): Started {
    a.count(3);
    const s = this.#fd(a),
      spelled = this.#address(a.at(1));
    if (s.bound !== undefined || s.conn !== undefined) return now(fail("EINVAL"));
    s.bound = { address: spelled?.address, port: spelled?.port ?? this.#ctx.bindPort };
    return now(ok());
  }

  #options(s: Socket): Partial<TcpOptions> {
    const { options, receiveDefault, sendDefault } = this.#ctx.settings();
    const merged: Partial<TcpOptions> = { ...options };
    if (receiveDefault !== undefined && !this.#ctx.isLinux) merged.receiveBuffer = Math.max(512, receiveDefault);
    if (sendDefault !== undefined) merged.sendBuffer = Math.max(512, Math.min(sendDefault, 1 << 30));
    Object.assign(merged, s.options);
    return merged;
  }

  #listen(a: Args): Started {
    a.count(2);
    const s = this.#fd(a),
      backlog = a.number(1, "the backlog");
    if (s.conn !== undefined) return now(fail("EINVAL"));
    if (s.listener !== undefined) return now(ok());
    try {
      s.listener = this.#ctx.host.stack.listen(
        {
          ...(s.bound?.address !== undefined && { address: s.bound.address }),
          port: s.bound?.port ?? 0,
          backlog: acceptQueue(backlog, this.#ctx.isLinux),
          options: this.#options(s),
        },
        (conn) => {
          const child = new Socket(false, this.#ctx.isLinux);
          child.inherit(s);
          child.conn = conn;
          child.finishedAt = this.#ctx.host.now;
          child.apply(conn);
          (s.listener as Listener).waiting = s.finished.push(child);
          return child;
        },
      );
      s.bound ??= { address: undefined, port: (s.listener as Listener).port as number };
    } catch (e) {
      if (e instanceof StackError) return now(fail(e.code));
      throw e;
    }
    return now(ok());
  }

  #accept(a: Args, flags: number): Started {
    const s = this.#fd(a);
    return {
      attempt: () => {
        if (s.listener === undefined) return fail("EINVAL");
        const i = s.finished.findIndex((child) => s.isAcceptable(child, this.#ctx.host.now));
        if (i < 0) return s.nonBlocking ? fail("EAGAIN") : undefined;
        const [child] = s.finished.splice(i, 1) as [Socket];
        s.listener.waiting = s.finished.length;
        child.nonBlocking = (flags & NONBLOCK) !== 0;
        return { value: 0, opened: child };
      },
    };
  }

  #connect(a: Args): Started {
    a.count(3);
    const s = this.#fd(a),
      spelled = this.#address(a.at(1));
    if (s.listener !== undefined) return now(fail("EISCONN"));
    if (s.conn !== undefined) {
      if (s.isConnecting) return s.nonBlocking ? now(fail("EALREADY")) : this.#connected(s);
      const error = s.takeError();
      if (error !== undefined) return now(fail(error));
      if (!s.isClosed) return now(fail("EISCONN"));
      s.conn = undefined;
      s.isClosed = false;
    }
    try {
      s.conn = this.#ctx.host.stack.connect(
        {
          remoteAddress: spelled?.address ?? this.#ctx.remoteAddress,
          remotePort: spelled?.port ?? this.#ctx.connectPort,
          ...(s.bound !== undefined && { localPort: s.bound.port, ...(s.bound.address !== undefined && { localAddress: s.bound.address }) }),
          options: this.#options(s),
        },
        s,
      );
    } catch (e) {
      if (e instanceof StackError) return now(fail(e.code));
      throw e;
    }
    s.isConnecting = true;
    s.apply(s.conn);
    this.#ctx.connecting(s);
    return s.nonBlocking ? now(fail("EINPROGRESS")) : this.#connected(s);
  }
  #connected(s: Socket): Started {
    return {
      attempt: () => {
        if (s.isConnecting) return undefined;
        const error = s.takeError();
        return error !== undefined ? fail(error) : ok();
      },
    };
  }

  #vectorLength(a: Args): number {
    const list = a.at(1),
      total = iovecLength(list, a.position);
    if (list?.kind === "list" && a.number(2, "the count") !== list.items.length)
      throw new ScriptError(a.at(2) ?? a.position, `the list has ${list.items.length} buffers`);
    return total;
  }
  #messageLength(a: Args): number {
    const fields = a.at(1)?.kind === "struct" ? (a.at(1) as Expression & { kind: "struct" }).fields : undefined;
    const iov = fields?.find((f) => f.name === "msg_iov");
    if (iov === undefined) throw new ScriptError(a.at(1) ?? a.position, "wanted a message such as {msg_iov(1)=[{..., 1000}], msg_flags=0}");
    const count = iov.args[0];
    if (iov.value.kind === "list" && count !== undefined && numberOf(count, "the count", a.position) !== iov.value.items.length)
      throw new ScriptError(count, `msg_iov has ${iov.value.items.length} buffers`);
    if (fields?.some((f) => f.name === "msg_control")) throw new Unsupported(a.position, "control messages are not supported");
    return iovecLength(iov.value, a.position);
  }

  #receive(a: Args, length: number, flags: number): Started {
    const s = this.#fd(a);
    if ((flags & MSG_OOB) !== 0) throw new Unsupported(a.position, "MSG_OOB is not supported");
    const wait = !s.nonBlocking && (flags & MSG_DONTWAIT) === 0;
    return {
      attempt: () => {
        const { conn } = s;
        if (conn === undefined || s.listener !== undefined) return fail("ENOTCONN");
        if (conn.readable > 0 && ((flags & MSG_WAITALL) === 0 || conn.readable >= length || s.isAtEnd || !wait)) {
          const n = Math.min(length, conn.readable);
          if ((flags & MSG_PEEK) === 0) this.#take(s, n);
          return ok(n);
        }
        const error = s.takeError();
        if (error !== undefined) return fail(error);
        if (s.isAtEnd || length === 0) return ok(0);
        return wait ? undefined : fail("EAGAIN");
      },
    };
  }
  #take(s: Socket, length: number): void {
    for (let left = length; left > 0; ) left -= s.conn?.receive(this.#scratch, 0, Math.min(left, this.#scratch.length)) ?? left;
  }

  #send(a: Args, length: number, flags: number): Started {
    const s = this.#fd(a);
    if ((flags & (MSG_OOB | MSG_EOR)) !== 0) throw new Unsupported(a.position, `${(flags & MSG_OOB) !== 0 ? "MSG_OOB" : "MSG_EOR"} is not supported`);
    const wait = !s.nonBlocking && (flags & MSG_DONTWAIT) === 0;
    let taken = 0;
    return {
      attempt: () => {
        const { conn } = s;
        const error = s.takeError();
        if (error !== undefined) return taken > 0 ? ok(taken) : fail(error);
        if (conn === undefined || s.isClosed || s.shutWrite) return taken > 0 ? ok(taken) : fail("EPIPE");
        if (s.isConnecting) return wait ? undefined : fail("EAGAIN");
        // MSG_MORE holds the tail back as a cork does, but only for this call: the next ACK or send pushes it out.
        const more = (flags & MSG_MORE) !== 0;
        if (more) conn.tcb.cork = true;
        while (taken < length && (s.notSentLowAt === 0xffffffff || s.notSent < s.notSentLowAt)) {
          const n = conn.send(this.#zeros, 0, Math.min(length - taken, this.#zeros.length));
          if (n === 0) break;
          taken += n;
        }
        if (more) {
          this.#ctx.host.stack.transmit(this.#ctx.host.millis);
          conn.tcb.cork = s.cork;
        }
        if (taken === length) return ok(taken);
        if (wait) return undefined;
        return taken > 0 ? ok(taken) : fail("EAGAIN");
      },
    };
  }

  #shutdown(a: Args): Started {
    a.count(2);
    const s = this.#fd(a),
      how = a.number(1, "what to shut down");
    if (how < 0 || how > 2) return now(fail("EINVAL"));
    if (s.listener !== undefined) {
      s.listener.close();
      s.listener = undefined;
      return now(ok());
    }
    if (s.conn === undefined || s.isClosed || s.state === "TIME-WAIT") return now(fail("ENOTCONN"));
    if (how !== 1) s.shutRead = true;
    if (how !== 0) {
      s.shutWrite = true;
      s.conn.close();
    }
    return now(ok());
  }

  #close(a: Args): Started {
    a.count(1);
    const fd = a.number(0, "a descriptor"),
      open = this.#open.get(fd);
    if (open === undefined) throw new ScriptError(a.at(0) ?? a.position, `descriptor ${fd} is not open`);
    this.#open.delete(fd);
    for (const other of this.#open.values()) if (other instanceof Epoll && open instanceof Socket) other.forget(open);
    if (open instanceof Epoll) return now(ok());
    const { listener, conn } = open;
    if (listener !== undefined) {
      open.listener = undefined;
      listener.close();
      for (const child of open.finished) child.conn?.abort();
      return now(ok());
    }
    if (conn === undefined || open.isClosed) return now(ok());
    if (open.linger.onoff !== 0 && open.linger.linger === 0) {
      conn.abort();
      return now(ok());
    }
    conn.release();
    if (open.linger.onoff === 0 || open.nonBlocking) return now(ok());
    // SO_LINGER: wait until the peer has acknowledged all, or the time is up.
    const deadline = this.#ctx.host.now + open.linger.linger * 1e6;
    const lingers = (): boolean => conn.state === "FIN-WAIT-1" || conn.state === "CLOSING" || conn.state === "LAST-ACK";
    return { deadline, attempt: () => (lingers() && this.#ctx.host.now < deadline ? undefined : ok()) };
  }

  #fcntl(a: Args): Started {
    const s = this.#fd(a),
      command = a.number(1, "the command");
    switch (command) {
      case c("F_GETFL"):
        return now(ok(c("O_RDWR") | (s.nonBlocking ? c("O_NONBLOCK") : 0)));
      case c("F_SETFL"):
        s.nonBlocking = (a.number(2, "the flags") & c("O_NONBLOCK")) !== 0;
        return now(ok());
      case c("F_GETFD"):
      case c("F_SETFD"):
        return now(ok());
      default:
        throw new ScriptError(a.at(1) ?? a.position, "wanted F_GETFL or F_SETFL");
    }
  }

  #ioctl(a: Args): Started {
    const s = this.#fd(a),
      request = a.number(1, "the request");
    let found: number;
    switch (request) {
      case c("SIOCINQ"):
        found = s.conn?.readable ?? 0;
        break;
      case c("SIOCOUTQ"):
        found = s.conn?.sendQueued ?? 0;
        break;
      case c("SIOCOUTQNSD"):
        found = s.notSent;
        break;
      case c("FIONBIO"):
        s.nonBlocking = a.number(2, "the value") !== 0;
        return now(ok());
      default:
        throw new Unsupported(a.position, "this ioctl is not supported");
    }
    if (!isEllipsis(a.at(2))) expectEqual("ioctl value", a.number(2, "the value"), found);
    return now(ok());
  }

  #poll(a: Args): Started {
    a.count(3);
    const list = a.at(0),
      timeout = a.number(2, "the timeout");
    if (list?.kind !== "list") throw new ScriptError(list ?? a.position, "wanted a list such as [{fd=4, events=POLLIN, revents=POLLIN}]");
    const entries = list.items.map((item) => {
      const fields = fieldsOf(item);
      if (fields === undefined) throw new ScriptError(item, "wanted {fd=…, events=…, revents=…}");
      const number = (name: string): number => numberOf(fields.get(name), name, item);
      const socket = this.socket(number("fd"));
      if (socket === undefined) throw new ScriptError(item, `descriptor ${number("fd")} is not open`);
      return { socket, fd: number("fd"), events: number("events"), revents: fields.has("revents") ? number("revents") : undefined };
    });
    if (a.number(1, "the count") !== entries.length) throw new ScriptError(a.at(1) ?? a.position, `the list has ${entries.length} entries`);
    const deadline = timeout < 0 ? Number.POSITIVE_INFINITY : this.#ctx.host.now + timeout * 1_000;
    return {
      deadline,
      attempt: () => {
        const { now: time } = this.#ctx.host;
        const found = entries.map((e) => e.socket.readiness(time) & (e.events | POLLERR | POLLHUP));
        const count = found.filter((mask) => mask !== 0).length;
        if (count === 0 && time < deadline) return undefined;
        entries.forEach((e, i) => {
          if (e.revents !== undefined) expectMask(`revents of ${e.fd}`, "POLL", e.revents, found[i] as number);
        });
        return ok(count);
      },
    };
  }

  #epoll(a: Args): Epoll {
    const fd = a.number(0, "a descriptor"),
      open = this.#open.get(fd);
    if (!(open instanceof Epoll)) throw new ScriptError(a.at(0) ?? a.position, `descriptor ${fd} is not one of epoll_create()`);
    return open;
  }
  #epollControl(a: Args): Started {
    const epoll = this.#epoll(a),
      fields = fieldsOf(a.at(3));
    const socket = this.#fd(a, 2),
      op = a.number(1, "the operation");
    const data = fields?.get("fd") ?? fields?.get("ptr") ?? fields?.get("u32") ?? fields?.get("u64");
    const errno = epoll.control(
      op,
      socket,
      fields?.has("events") ? numberOf(fields.get("events"), "events", a.position) : 0,
      data === undefined ? 0 : numberOf(data, "data", a.position),
      this.#ctx.host.now,
    );
    return now(errno === undefined ? ok() : fail(errno));
  }
  #epollWait(a: Args): Started {
    const epoll = this.#epoll(a),
      wanted = a.at(1),
      most = a.number(2, "the most events"),
      timeout = a.number(3, "the timeout");
    const items = wanted === undefined || isEllipsis(wanted) ? undefined : wanted.kind === "list" ? wanted.items : [wanted];
    const deadline = timeout < 0 ? Number.POSITIVE_INFINITY : this.#ctx.host.now + timeout * 1_000;
    return {
      deadline,
      attempt: () => {
        const found = epoll.wait(most, this.#ctx.host.now);
        if (found.length === 0 && this.#ctx.host.now < deadline) return undefined;
        found.forEach(({ events, data }, i) => {
          const item = items?.[i];
          if (item === undefined || isEllipsis(item)) return;
          const fields = fieldsOf(item);
          if (fields === undefined) throw new ScriptError(item, "wanted {events=…, fd=…}");
          const tag = fields.get("fd") ?? fields.get("ptr") ?? fields.get("u32") ?? fields.get("u64");
          if (fields.has("events")) expectMask("events", "EPOLL", numberOf(fields.get("events"), "events", item), events);
          if (tag !== undefined) expectEqual("epoll data", numberOf(tag, "data", item), data);
        });
        return ok(found.length);
      },
    };
  }
}

/** The arguments of a call. */
export class Args {
  readonly call: CallAction;
  readonly position: Position;
  constructor(call: CallAction, position: Position) {
    this.call = call;
    this.position = position;
  }
  at(i: number): Expression | undefined {
    return this.call.args[i];
  }
  count(n: number): void {
    if (this.call.args.length !== n) throw new ScriptError(this.position, `${this.call.name}() takes ${n} arguments, got ${this.call.args.length}`);
  }
  number(i: number, what: string): number {
    return numberOf(this.at(i), what, this.position);
  }
  length(i: number): number {
    const n = this.number(i, "the length");
    const buffer = this.at(i - 1);
    if (buffer !== undefined && (buffer.kind === "number" || (buffer.kind === "name" && buffer.name === "NULL")))
      throw new Unsupported(buffer, "a null buffer is not supported");
    if (n < 0) throw new ScriptError(this.at(i) ?? this.position, "a length cannot be negative");
    return n;
  }
}

export function expectEqual(what: string, wanted: number, got: number): void {
  if (wanted !== got) throw new Mismatch(`${what} differs`, `${wanted}`, `${got}`);
}
export function maskText(prefix: string, mask: number): string {
  const names = Object.entries(CONSTANTS)
    .filter(([name, bit]) => name.startsWith(prefix) && name.length > prefix.length && !/_/.test(name) && bit !== 0 && (mask & bit) !== 0)
    .map(([name]) => name);
  return names.length === 0 ? `${mask}` : names.join("|");
}
function expectMask(what: string, prefix: string, wanted: number, got: number): void {
  if (wanted >>> 0 !== got >>> 0) throw new Mismatch(`${what} differs`, maskText(prefix, wanted), maskText(prefix, got));
}

/** The number of an errno name; ScriptError for a name that is none. */
export function errnoNumber(name: string, at: Position): number {
  const n = ERRNO[name];
  if (n === undefined) throw new ScriptError(at, `unknown errno "${name}"`);
  return n;
}

const OTHER_CALLS = new Set([
  "pipe",
  "splice",
  "sendfile",
  "open",
  "mmap",
  "munmap",
  "cap_set",
  "usleep",
  "select",
  "ppoll",
  "pselect",
  "sysconf",
  "getsockname",
  "getpeername",
  "dup",
  "socketpair",
  "unlink",
  "vmsplice",
  "tee",
  "madvise",
]);
