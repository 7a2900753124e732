/**
 * Back-quoted commands of scripts (language §9). No shell ever runs: `sysctl` and its kin change the host's settings, what
 * has no meaning here is ignored, and what would change the outcome in a way this runner cannot follow skips the script.
 */
import { parseOption, type TcpOptions } from "../tcp/options.js";
import type { Command } from "./ast.js";
import { Mismatch, ScriptError, Unsupported } from "./errors.js";
import { PROFILES } from "./profile.js";

/** What a command may change. */
export interface Settings {
  options: Partial<TcpOptions>;
  /** Buffer sizes that a socket starts with, octets. */
  receiveDefault: number | undefined;
  sendDefault: number | undefined;
  synCookies: "auto" | "off" | "always";
  /** What TCP_NOTSENT_LOWAT is where a socket does not set it, octets. */
  notSentLowAt: number;
  /** How many connections are in each state, by netstat's names, for `sockstat | grep`. */
  countState(name: string): number;
}

/** @throws Unsupported where the script must be skipped, Mismatch where the command would not exit 0 */
export function runCommand(command: Command, settings: Settings): void {
  const text = command.text.replaceAll(/\\\n/g, " ").replaceAll(/\$\(\(([\d\s*+]+)\)\)/g, (_, sum: string) => String(arithmetic(sum)));
  for (const raw of text.split(/\n|;|&&/)) {
    const line = raw.replace(/(^|\s)#.*$/, "").trim();
    if (line !== "") runLine(line, command, settings);
  }
}

const IGNORED = [
  /^true$/,
  /^:$/,
  /^exit 0$/,
  /^set [-+]e$/,
  /(^|\/)sysctl_restore\S*/,
  /^nstat\b[^|]*$/,
  /^ip tcp_metrics\b/,
  /hostcache\.purgenow/,
  /^kldload\b/,
  /^kldstat\b/,
  /(^|\/)?cleanup\S*\.sh$/,
  /^ethtool\b.*\b(tso|gso|gro)\s+off\b(?!.*\bon\b)/,
  /^modprobe\b/,
  /^echo\b[^|>]*$/,
  /^ip route (flush|del)\b/,
  /^tc qdisc (del|show)\b/,
  /^iptables\b.*-D\b/,
];

function runLine(line: string, at: Command, s: Settings): void {
  if (/(^|\/|\s)defaults\.sh\b/.test(line)) {
    s.options = { ...s.options, ...PROFILES.linux.options };
    return;
  }
  if (IGNORED.some((pattern) => pattern.test(line))) return;
  const words = line.split(/\s+/);
  const head = words[0] as string;
  if (/(^|\/)sysctl$/.test(head) || /(^|\/)set_sysctls\.py$/.test(head)) {
    if (line.includes("|")) throw new Unsupported(at, `the command "${line}" is not supported`);
    for (const [key, value] of assignments(line.slice(head.length), at)) setKey(key, value, s, at);
    return;
  }
  const written = /^echo\s+"?([^">]*?)"?\s*>\s*\/proc\/sys\/(\S+)$/.exec(line);
  if (written !== null) return setKey(toDots(written[2] as string), written[1] as string, s, at);
  const state =
    /^sockstat\b.*\bgrep\b[^|]*?-c\s+"?(\w+)"?\s*\|\s*grep\s+(?:-\w+\s+)?"?\^?(\d+)\$?"?/.exec(line) ??
    /^sockstat\b.*\bgrep\b[^|]*?"?([A-Z][A-Z_0-9]+)"?\s*\|\s*wc -l\s*\|\s*grep\s+(?:-\w+\s+)?"?\^?(\d+)\$?"?/.exec(line);
  if (state !== null) {
    const found = s.countState(state[1] as string);
    if (found !== Number(state[2])) throw new Mismatch(`"${line}" would not succeed`, `${state[2]} connections in ${state[1]}`, `${found}`);
    return;
  }
  throw new Unsupported(at, `the command "${line.length > 60 ? `${line.slice(0, 57)}...` : line}" is not supported`);
}

/** `$((32*1024*1024))`: sums and products of integers. */
function arithmetic(text: string): number {
  return text.split("+").reduce((sum, term) => sum + term.split("*").reduce((product, factor) => product * Number(factor), 1), 0);
}

const toDots = (path: string): string => path.replace(/^\/proc\/sys\//, "").replaceAll("/", ".");

/** `-q -w a.b=1 a.c="4096 87380 6291456"`. */
function assignments(text: string, at: Command): [string, string][] {
  const out: [string, string][] = [];
  for (const m of text.matchAll(/\s*(?:-\w+|([\w./-]+)\s*=\s*("[^"]*"|'[^']*'|\S*)|(\S+))/g)) {
    if (m[1] !== undefined) out.push([toDots(m[1]), (m[2] ?? "").replaceAll(/["']/g, "")]);
    // The second and third value of a triple without quotes belong to the key before.
    else if (m[3] !== undefined && out.length > 0 && /^\d+$/.test(m[3])) (out.at(-1) as [string, string])[1] += ` ${m[3]}`;
    else if (m[3] !== undefined) throw new Unsupported(at, `sysctl "${m[3]}" reads a value, which is not supported`);
  }
  return out;
}

const seconds = (v: string): number => Number(v) * 1_000;
const on = (v: string): boolean => Number(v) !== 0;
type Setter = (value: string) => Partial<TcpOptions>;

const LINUX_KEYS: Readonly<Record<string, Setter>> = {
  tcp_timestamps: (v) => ({ timestamps: on(v) }),
  tcp_sack: (v) => ({ sack: on(v) }),
  tcp_dsack: (v) => ({ dsack: on(v) }),
  tcp_window_scaling: (v) => ({ windowScaling: on(v) }),
  tcp_ecn: (v) => ({ ecn: v === "0" ? "off" : v === "1" ? "on" : "passive" }),
  tcp_congestion_control: (v) => (v === "reno" || v === "cubic" ? { congestion: v } : {}),
  tcp_slow_start_after_idle: (v) => ({ slowStartAfterIdle: on(v) }),
  tcp_early_retrans: (v) => ({ tailLossProbe: Number(v) >= 3 }),
  tcp_recovery: (v) => ({ rack: (Number(v) & 1) !== 0 }),
  tcp_reordering: (v) => ({ dupThresh: Number(v) }),
  tcp_frto: (v) => ({ undo: on(v) }),
  tcp_retries1: (v) => ({ retries1: Number(v) }),
  tcp_retries2: (v) => ({ retries2: Number(v) }),
  tcp_orphan_retries: (v) => (Number(v) > 0 ? { orphanRetries: Number(v) } : {}),
  tcp_syn_retries: (v) => ({ synRetries: Number(v) }),
  tcp_synack_retries: (v) => ({ synAckRetries: Number(v) }),
  tcp_syn_linear_timeouts: (v) => ({ synLinearTimeouts: Number(v) }),
  tcp_mtu_probing: (v) => ({ pmtuProbing: on(v) }),
  tcp_rto_max_ms: (v) => ({ maxRto: Number(v) }),
  tcp_rto_min_us: (v) => ({ minRto: Math.max(1, Number(v) / 1_000) }),
  tcp_invalid_ratelimit: (v) => ({ invalidAckInterval: Number(v) }),
  tcp_keepalive_time: (v) => ({ keepAliveIdle: seconds(v) }),
  tcp_keepalive_intvl: (v) => ({ keepAliveInterval: seconds(v) }),
  tcp_keepalive_probes: (v) => ({ keepAliveProbes: Number(v) }),
  tcp_fin_timeout: (v) => ({ finWait2: seconds(v) }),
  tcp_rfc1337: (v) => ({ ignoreTimeWaitReset: on(v) }),
  tcp_challenge_ack_limit: (v) => ({ challengeAckLimit: Math.min(1_000_000, Number(v)) }),
  ip_no_pmtu_disc: (v) => ({ pmtuDiscovery: !on(v) }),
};

const FREEBSD_KEYS: Readonly<Record<string, Setter>> = {
  rfc1323: (v) => ({ windowScaling: v === "1" || v === "2", timestamps: v === "1" || v === "3" }),
  "sack.enable": (v) => ({ sack: on(v) }),
  "ecn.enable": (v) => ({ ecn: v === "0" ? "off" : v === "1" ? "on" : "passive" }),
  insecure_rst: (v) => ({ strictReset: !on(v) }),
  insecure_syn: (v) => ({ strictSyn: !on(v) }),
  rexmit_initial: (v) => ({ initialRto: Number(v) }),
  rexmit_slop: (v) => ({ rtoSlop: Number(v) }),
  rexmit_min: (v) => ({ minRto: Number(v) }),
  delacktime: (v) => ({ delayedAck: Number(v) }),
  delayed_ack: (v) => (on(v) ? {} : { delayedAck: 0 }),
  keepidle: (v) => ({ keepAliveIdle: Number(v) }),
  keepintvl: (v) => ({ keepAliveInterval: Number(v) }),
  keepcnt: (v) => ({ keepAliveProbes: Number(v) }),
  msl: (v) => ({ timeWait: 2 * Number(v) }),
  finwait2_timeout: (v) => ({ finWait2: Number(v) }),
  initcwnd_segments: (v) => ({ initialWindow: Number(v) }),
  mssdflt: () => ({}),
  "cc.algorithm": (v) => ({ congestion: v === "cubic" ? "cubic" : "reno" }),
  path_mtu_discovery: (v) => ({ pmtuDiscovery: on(v) }),
  "pmtud_blackhole_detection": (v) => ({ pmtuProbing: on(v) }),
};

/** Keys without an entry do not change what this stack does. `glass.NAME` is an option of ours by its own name. */
function setKey(key: string, value: string, s: Settings, at: Command): void {
  const linux = /^net\.ipv4\.(?:conf\.\w+\.)?(\w+)$/.exec(key)?.[1];
  if (linux === "tcp_rmem" || linux === "tcp_wmem") {
    const [, dflt, most] = value.split(/[\s,]+/).map(Number);
    if (linux === "tcp_rmem") {
      s.receiveDefault = dflt;
      if (most !== undefined) s.options = { ...s.options, ...receiveLimits(most) };
    } else s.sendDefault = dflt;
    return;
  }
  if (linux === "tcp_notsent_lowat") {
    s.notSentLowAt = Number(value) >>> 0;
    return;
  }
  if (linux === "tcp_syncookies") {
    s.synCookies = value === "0" ? "off" : value === "2" ? "always" : "auto";
    return;
  }
  const own = /^glass\.(\w+)$/.exec(key)?.[1];
  if (own !== undefined) {
    try {
      s.options = { ...s.options, ...parseOption(own, value) };
    } catch (e) {
      throw new ScriptError(at, (e as Error).message);
    }
    return;
  }
  const bsd = /^net\.inet\.(?:tcp|ip)\.(.+)$/.exec(key)?.[1];
  if (bsd === "syncookies" || bsd === "syncookies_only") {
    if (bsd === "syncookies_only" ? on(value) : !on(value)) s.synCookies = on(value) ? "always" : "off";
    return;
  }
  if (bsd === "recvspace") {
    s.receiveDefault = Number(value);
    s.options = { ...s.options, ...receiveLimits(Number(value)) };
    return;
  }
  if (bsd === "sendspace") {
    s.sendDefault = Number(value);
    return;
  }
  const set = linux !== undefined ? LINUX_KEYS[linux] : bsd !== undefined ? FREEBSD_KEYS[bsd] : undefined;
  if (set !== undefined) s.options = { ...s.options, ...set(value) };
}

/** The window scale follows the largest buffer (Linux's tcp_select_initial_window). */
function receiveLimits(octets: number): Partial<TcpOptions> {
  let shift = 0;
  while (shift < 14 && 65_535 * 2 ** shift < octets) shift++;
  return { receiveBuffer: Math.max(512, Math.min(octets, 1 << 30)), windowScale: shift };
}
