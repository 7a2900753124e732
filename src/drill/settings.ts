/** Option lines of a script and of the caller (language §1.1), checked and turned into what the runner goes by. */
import type { Script, ScriptOption } from "./ast.js";
import { ScriptError, Unsupported } from "./errors.js";
import type { Profile } from "./profile.js";
import { parseAddress } from "../wire/ipv4.js";

export interface RunSettings {
  readonly toleranceUs: number;
  readonly tolerancePercent: number;
  readonly mtu: number;
  /** Largest segment of an injected packet that is taken as coalesced; 0: none. */
  readonly mss: number;
  readonly stampTickUs: number;
  readonly stampEcrScaled: boolean;
  readonly strictSegments: boolean;
  readonly localIp: string;
  readonly remoteIp: string;
  readonly bindPort: number;
  readonly connectPort: number;
  readonly nonFatalPacket: boolean;
  readonly nonFatalCall: boolean;
}

/** Options that have no meaning without a wire, an interface or a shell. */
const IGNORED = new Set([
  "gateway_ip",
  "netmask_ip",
  "send_omit_free",
  "verbose",
  "dry_run",
  "debug",
  "code_command",
  "code_format",
  "code_sockopt",
  "init_scripts",
  "persistent_tun_dev",
  "tun_dev",
  "speed",
  "define",
  "D",
  "so_filename",
  "so_flags",
  "quiet",
  "no_cleanup",
  "use_expect",
  "is_anyip",
  "live_local_ip",
]);
const OUT_OF_SCOPE = new Set([
  "udp_encapsulation",
  "udp_encaps",
  "tcp_md5_secret",
  "psp_udp_port",
  "wire_client",
  "wire_server",
  "wire_server_ip",
  "wire_client_dev",
  "wire_server_dev",
]);

export function readSettings(script: Script, profile: Profile, caller: ReadonlyMap<string, string> = new Map()): RunSettings {
  const given = new Map<string, ScriptOption>();
  for (const o of script.options) {
    if (OUT_OF_SCOPE.has(o.name)) throw new Unsupported(o, `the option --${o.name} is not supported`);
    if (!KNOWN.has(o.name) && !IGNORED.has(o.name)) throw new ScriptError(o, `unknown option "--${o.name}"`);
    given.set(o.name, o);
  }
  for (const [name, value] of caller) given.set(name, { line: 0, column: 0, name, value });
  const version = given.get("ip_version");
  if (version !== undefined && version.value !== "ipv4" && version.value !== "ipv4-mapped-ipv6") {
    if (version.value === "ipv6") throw new Unsupported(version, "IPv6 is not supported");
    throw new ScriptError(version, `--ip_version: "${version.value}" is none of ipv4, ipv6, ipv4-mapped-ipv6`);
  }
  const number = (name: string, dflt: number, least: number, most: number): number => {
    const o = given.get(name);
    if (o === undefined) return dflt;
    const n = Number(o.value);
    if (o.value === "" || !Number.isFinite(n) || n < least || n > most)
      throw new ScriptError(o, `--${name}: "${o.value}" is not a number from ${least} to ${most}`);
    return n;
  };
  const address = (name: string, dflt: string): string => {
    const o = given.get(name),
      text = o?.value.split("/")[0] ?? dflt;
    if (text.includes(":")) throw new Unsupported(o as ScriptOption, "IPv6 is not supported");
    if (parseAddress(text) === undefined) throw new ScriptError(o as ScriptOption, `--${name}: "${text}" is not an IPv4 address`);
    return text;
  };
  const nonFatal = given.get("non_fatal")?.value.split(",") ?? [];
  return {
    toleranceUs: number("tolerance_usecs", 4_000, 0, 1e9),
    tolerancePercent: number("tolerance_percent", profile.tolerancePercent, 0, 100),
    mtu: number("mtu", 1_500, 68, 65_535),
    mss: number("mss", 0, 0, 65_535),
    stampTickUs: number("tcp_ts_tick_usecs", 0, 0, 1e7),
    stampEcrScaled: given.has("tcp_ts_ecr_scaled"),
    strictSegments: given.has("strict_segments"),
    localIp: address("local_ip", "192.168.0.1"),
    remoteIp: address("remote_ip", "192.0.2.1"),
    bindPort: number("bind_port", 8_080, 1, 65_535),
    connectPort: number("connect_port", 8_080, 1, 65_535),
    nonFatalPacket: nonFatal.some((n) => n.startsWith("packet")),
    nonFatalCall: nonFatal.some((n) => n.startsWith("syscall")),
  };
}

const KNOWN = new Set([
  "ip_version",
  "tolerance_usecs",
  "tolerance_percent",
  "mtu",
  "mss",
  "tcp_ts_tick_usecs",
  "tcp_ts_ecr_scaled",
  "strict_segments",
  "local_ip",
  "remote_ip",
  "bind_port",
  "connect_port",
  "non_fatal",
]);
