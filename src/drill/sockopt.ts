/** Socket options of scripts: what they set in our stack, and what reading them gives on Linux. */
import type { Expression } from "./ast.js";
import { CONSTANTS, ERRNO } from "./constants.js";
import { Mismatch, ScriptError, Unsupported } from "./errors.js";
import type { Socket } from "./socket.js";
import { type Args, type CallContext, errnoNumber, expectEqual, type Outcome } from "./syscalls.js";
import { tcpInfo } from "./tcp-info.js";
import { describeValue, fieldsOf, isEllipsis, numberOf, tryNumber } from "./values.js";

const ok: Outcome = { value: 0 };
const fail = (errno: string): Outcome => ({ value: -1, errno });
const SOCKET = CONSTANTS["SOL_SOCKET"] as number,
  TCP = CONSTANTS["IPPROTO_TCP"] as number;
/** Options that change nothing that a script could see in packets here. */
const PLAIN = new Set([
  "SO_REUSEADDR",
  "SO_REUSEPORT",
  "SO_DEBUG",
  "SO_BROADCAST",
  "SO_DONTROUTE",
  "SO_PRIORITY",
  "SO_OOBINLINE",
  "SO_MARK",
  "SO_BUSY_POLL",
  "SO_RCVTIMEO",
  "SO_SNDTIMEO",
  "SO_RCVLOWAT",
  "SO_MAX_PACING_RATE",
  "IP_RECVERR",
  "IP_RECVTOS",
  "IPV6_V6ONLY",
  "IPV6_TCLASS",
  "TCP_SAVE_SYN",
  "TCP_INQ",
  "TCP_WINDOW_CLAMP",
  "TCP_THIN_LINEAR_TIMEOUTS",
  "TCP_THIN_DUPACK",
  "TCP_TIMESTAMP",
  "TCP_NOOPT",
]);

/** The name in the script says what is meant; levels only tell apart what shares a number. */
function nameOf(a: Args): string {
  const e = a.at(2);
  if (e?.kind === "name") {
    tryNumber(e); // throws for a name that is unknown or out of scope
    return e.name === "TCP_NOPUSH" ? "TCP_CORK" : e.name === "SO_SNDBUFFORCE" ? "SO_SNDBUF" : e.name === "SO_RCVBUFFORCE" ? "SO_RCVBUF" : e.name;
  }
  const number = a.number(2, "the option"),
    level = a.number(1, "the level");
  const prefix = level === SOCKET ? "SO_" : level === TCP ? "TCP_" : "IP_";
  const found = Object.entries(CONSTANTS).find(([name, n]) => name.startsWith(prefix) && n === number)?.[0];
  if (found === undefined) throw new Unsupported(a.position, `socket option ${number} of level ${level} is not supported`);
  return found;
}

export function setOption(s: Socket, a: Args, ctx: CallContext): Outcome {
  a.count(5);
  const level = a.number(1, "the level"),
    name = nameOf(a),
    value = a.at(3) as Expression;
  checkLevel(a, name, level);
  const number = (): number => numberOf(value, "the value", a.position);
  const { conn } = s;
  const size = a.number(4, "the length");
  if (size < (name === "SO_LINGER" ? 8 : name === "TCP_CONGESTION" ? 1 : 4)) return fail("EINVAL");
  switch (name) {
    case "TCP_NODELAY":
      s.noDelay = number() !== 0;
      conn?.setNoDelay(s.noDelay);
      return ok;
    case "TCP_CORK":
      s.cork = number() !== 0;
      conn?.setCork(s.cork);
      return ok;
    case "SO_KEEPALIVE":
      s.keepAlive = number() !== 0;
      break;
    case "TCP_KEEPIDLE":
      if (number() < 1 || number() > 32_767) return fail("EINVAL");
      s.keepIdle = number() * 1_000;
      break;
    case "TCP_KEEPINTVL":
      if (number() < 1 || number() > 32_767) return fail("EINVAL");
      s.keepInterval = number() * 1_000;
      break;
    case "TCP_KEEPCNT":
      if (number() < 1 || number() > 127) return fail("EINVAL");
      s.keepCount = number();
      break;
    case "TCP_USER_TIMEOUT":
      s.userTimeout = number();
      conn?.setUserTimeout(s.userTimeout);
      return ok;
    case "SO_LINGER": {
      const fields = fieldsOf(value);
      const onoff = fields?.get("onoff") ?? fields?.get("l_onoff"),
        linger = fields?.get("linger") ?? fields?.get("l_linger");
      s.linger = { onoff: numberOf(onoff, "onoff", value), linger: numberOf(linger, "linger", value) };
      return ok;
    }
    case "TCP_LINGER2":
      s.linger2 = number();
      s.options = { ...s.options, finWait2: Math.max(0, number() * 1_000) };
      conn?.configure({ finWait2: Math.max(0, number() * 1_000) });
      return ok;
    case "TCP_MAXSEG":
      if (number() < 88 || number() > 32_767) return fail("EINVAL");
      s.maxSegment = number();
      s.options = { ...s.options, mss: number() };
      return ok;
    case "TCP_SYNCNT":
      if (number() < 1 || number() > 127) return fail("EINVAL");
      s.synCount = number();
      s.options = { ...s.options, synRetries: number() };
      return ok;
    case "TCP_DEFER_ACCEPT":
      s.deferAccept = number();
      return ok;
    case "TCP_NOTSENT_LOWAT":
      s.notSentLowAt = number() >>> 0;
      return ok;
    case "TCP_QUICKACK":
      s.quickAck = number();
      conn?.setQuickAck(s.quickAck !== 0);
      return ok;
    case "TCP_CONGESTION": {
      const algorithm = value.kind === "string" ? value.value : "";
      if (algorithm !== "reno" && algorithm !== "cubic" && algorithm !== "newreno")
        throw new Unsupported(a.position, `congestion control "${algorithm}" is not supported`);
      s.congestion = algorithm === "cubic" ? "cubic" : "reno";
      s.options = { ...s.options, congestion: s.congestion };
      if (conn !== undefined && conn.tcb.congestion.name !== s.congestion)
        throw new Unsupported(a.position, "the congestion control of a live connection cannot be changed");
      return ok;
    }
    case "SO_RCVBUF": {
      const octets = Math.max(number(), ctx.doublesBuffers ? 1_152 : 512);
      s.receiveBuffer = octets;
      let shift = 0;
      while (shift < 14 && 65_535 * 2 ** shift < octets) shift++;
      s.options = { ...s.options, receiveBuffer: octets, windowScale: shift };
      conn?.configure({ receiveBuffer: octets });
      return ok;
    }
    case "SO_SNDBUF": {
      const octets = Math.max(number(), ctx.doublesBuffers ? 2_304 : 512);
      s.sendBuffer = octets;
      // Linux takes twice as much, and long segments cost little beside their text.
      s.options = { ...s.options, sendBuffer: ctx.doublesBuffers ? 2 * octets : octets };
      conn?.setSendBuffer(ctx.doublesBuffers ? 2 * octets : octets);
      return ok;
    }
    case "IP_MTU_DISCOVER":
      s.options = { ...s.options, pmtuDiscovery: number() !== CONSTANTS["IP_PMTUDISC_DONT"] };
      s.plain.set(name, number());
      return ok;
    case "TCP_FUNCTION_BLK":
      return ok;
    case "TCP_DELACK":
    case "TCP_KEEPINIT":
    case "TCP_MAXUNACKTIME":
    case "TCP_LOG":
    case "TCP_LOGID":
      s.plain.set(name, tryNumber(value) ?? 0);
      return ok;
    default:
      if (!PLAIN.has(name)) throw new Unsupported(a.position, `the socket option ${name} is not supported`);
      s.plain.set(name, tryNumber(value) ?? 0);
      return ok;
  }
  conn?.setKeepAlive(s.keepAlive, s.keepIdle, s.keepInterval, s.keepCount);
  return ok;
}

function checkLevel(a: Args, name: string, level: number): void {
  const wanted = name.startsWith("SO_") ? [SOCKET] : name.startsWith("TCP_") ? [TCP] : [0, 41];
  if (!wanted.includes(level)) throw new ScriptError(a.at(1) ?? a.position, `${name} is not an option of level ${level}`);
}

export function getOption(s: Socket, a: Args, ctx: CallContext): Outcome {
  a.count(5);
  const level = a.number(1, "the level"),
    name = nameOf(a),
    wanted = a.at(3) as Expression,
    length = a.at(4) as Expression;
  checkLevel(a, name, level);
  const size = (octets: number): void => {
    if (!isEllipsis(length)) expectEqual(`length of ${name}`, numberOf(length, "the length", a.position), octets);
  };
  if (name === "SO_ERROR") {
    const error = s.takeError();
    const value = error === undefined ? 0 : (ERRNO[error] as number);
    if (!isEllipsis(wanted) && numberOf(wanted, "the value", a.position) !== value) {
      const written = numberOf(wanted, "the value", a.position);
      throw new Mismatch("SO_ERROR differs", Object.entries(ERRNO).find(([, n]) => n === written)?.[0] ?? `${written}`, error ?? "0");
    }
    size(4);
    return ok;
  }
  if (name === "TCP_INFO") {
    const info = tcpInfo(s.conn, s.state, ctx.host.millis);
    for (const [field, e] of fieldsOf(wanted) ?? []) {
      if (isEllipsis(e)) continue;
      const got = info[field];
      if (got === undefined) throw new Unsupported(e, `${field} is not kept by this stack`);
      expectEqual(field, numberOf(e, field, e), got);
    }
    return ok;
  }
  if (name === "SO_LINGER") {
    const fields = fieldsOf(wanted);
    if (fields !== undefined) {
      expectEqual("l_onoff", numberOf(fields.get("onoff") ?? fields.get("l_onoff"), "onoff", wanted), s.linger.onoff);
      expectEqual("l_linger", numberOf(fields.get("linger") ?? fields.get("l_linger"), "linger", wanted), s.linger.linger);
    }
    size(8);
    return ok;
  }
  if (name === "TCP_CONGESTION") {
    const got = s.conn?.tcb.congestion.name ?? s.congestion ?? ctx.settings().options.congestion ?? "cubic";
    if (wanted.kind === "string" && wanted.value !== got) throw new Mismatch("congestion control differs", wanted.value, got);
    return ok;
  }
  const found = read(s, name, ctx);
  if (found === undefined) throw new Unsupported(a.position, `reading the socket option ${name} is not supported`);
  if (!isEllipsis(wanted) && (ctx.compareBuffers || !/^SO_(SND|RCV)BUF$/.test(name))) {
    if (wanted.kind !== "list" && wanted.kind !== "number" && wanted.kind !== "name")
      throw new ScriptError(wanted, `wanted a value such as [1], got ${describeValue(wanted)}`);
    expectEqual(name, wanted.kind === "name" ? errnoNumberOrConstant(wanted) : numberOf(wanted, "the value", a.position), found);
  }
  size(4);
  return ok;
}
const errnoNumberOrConstant = (e: Expression & { kind: "name" }): number => tryNumber(e) ?? errnoNumber(e.name, e);

function read(s: Socket, name: string, ctx: CallContext): number | undefined {
  const t = s.conn?.tcb,
    { options, receiveDefault, sendDefault } = ctx.settings();
  const double = ctx.doublesBuffers ? 2 : 1;
  switch (name) {
    case "TCP_NODELAY":
      return s.noDelay ? 1 : 0;
    case "TCP_CORK":
      return s.cork ? 1 : 0;
    case "SO_KEEPALIVE":
      return s.keepAlive ? 1 : 0;
    case "TCP_KEEPIDLE":
      return (s.keepIdle ?? options.keepAliveIdle ?? 7_200_000) / 1_000;
    case "TCP_KEEPINTVL":
      return (s.keepInterval ?? options.keepAliveInterval ?? 75_000) / 1_000;
    case "TCP_KEEPCNT":
      return s.keepCount ?? options.keepAliveProbes ?? 9;
    case "TCP_USER_TIMEOUT":
      return s.userTimeout;
    case "TCP_LINGER2":
      return s.linger2;
    case "TCP_MAXSEG":
      return t === undefined ? (s.maxSegment ?? 536) : t.mss;
    case "TCP_SYNCNT":
      return s.synCount ?? options.synRetries ?? 6;
    case "TCP_DEFER_ACCEPT":
      return s.deferAccept;
    case "TCP_NOTSENT_LOWAT":
      return s.notSentLowAt;
    case "TCP_QUICKACK":
      return s.quickAck !== 0 ? 1 : 0;
    case "SO_RCVBUF":
      return s.receiveBuffer !== undefined ? s.receiveBuffer * double : (receiveDefault ?? 131_072);
    case "SO_SNDBUF":
      return s.sendBuffer !== undefined ? s.sendBuffer * double : (sendDefault ?? 16_384);
    case "SO_TYPE":
      return CONSTANTS["SOCK_STREAM"];
    case "SO_PROTOCOL":
      return TCP;
    case "SO_DOMAIN":
      return CONSTANTS["AF_INET"];
    case "SO_ACCEPTCONN":
      return s.listener !== undefined ? 1 : 0;
    case "IP_MTU":
      return t?.snd.pmtu;
    case "IP_MTU_DISCOVER":
      return s.plain.get(name) ?? 1;
    case "IP_TTL":
      return 64;
    default:
      return PLAIN.has(name) ? (s.plain.get(name) ?? 0) : undefined;
  }
}
