/** What `glasstcp serve` can be told: one table for the command line, its help and the docs, and the checks that turn words into a config. */
import { LARGEST_MTU } from "../device/device.js";
import { LEVEL_NAMES, type Level } from "../observe/levels.js";
import { LIMITS, type StackLimits, type SynCookies } from "../stack/limits.js";
import { describe, isWithin, parseNumber, parseOption, type TcpOptions } from "../tcp/options.js";
import { formatAddress, parseAddress } from "../wire/ipv4.js";

export interface ServiceConfig {
  readonly name: string;
  /** Undefined: the service's own port. */
  readonly port: number | undefined;
}

export interface ServeConfig {
  readonly tun: string;
  /** The kernel's side, address and prefix length. */
  readonly host: string;
  /** Addresses and prefixes that are ours. */
  readonly addresses: readonly string[];
  readonly mtu: number;
  readonly driver: "koffi" | "tuntap2";
  readonly offload: "auto" | "off";
  readonly services: readonly ServiceConfig[];
  readonly preset: string | undefined;
  readonly faults: readonly string[];
  /** Ports whose endpoint misbehaves by itself (src/faults/behaviours.ts). */
  readonly behaviours: readonly { readonly port: number; readonly behaviour: string }[];
  readonly options: Partial<TcpOptions>;
  readonly limits: Partial<StackLimits>;
  readonly synCookies: SynCookies;
  readonly logLevel: Level;
  readonly logFormat: "auto" | "json" | "pretty";
  readonly logFile: string | undefined;
  readonly control: string;
  readonly user: string | undefined;
  /** Microseconds of busy polling after activity; 0: none. */
  readonly spinUs: number;
  readonly impair: string | undefined;
  readonly pcap: string | undefined;
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
}

/** Something in the configuration is wrong: exit 2, and the message names the mend. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly exitCode = 2;
  readonly mend: string | undefined;
  constructor(message: string, mend?: string) {
    super(message);
    this.mend = mend;
  }
}

export interface ServeOption {
  /** As commander takes it. */
  readonly flags: string;
  readonly help: string;
  /** Undefined: off unless given. */
  readonly default?: string;
  readonly repeatable?: boolean;
}

export const DEFAULT_SERVICES = ["echo:7", "discard:9", "daytime:13", "chargen:19", "http:80"] as const;
/** Longest name of a Linux interface: IFNAMSIZ less the closing zero. */
const MAX_NAME = 15;
/** The device does not poll on for longer than this (src/device). */
const MAX_SPIN_US = 2_000;

export const SERVE_OPTIONS = {
  tun: { flags: "--tun <name>", default: "glass0", help: "name of the TUN interface" },
  host: { flags: "--host <cidr>", default: "10.77.0.1/24", help: "the kernel's side of the link" },
  address: { flags: "--address <ip|cidr>", default: "10.77.0.2", repeatable: true, help: "our side; a prefix answers on every address in it; repeatable" },
  mtu: { flags: "--mtu <octets>", default: "1500", help: "largest IP packet of the link" },
  driver: { flags: "--driver <name>", default: "koffi", help: "koffi, or tuntap2 where that package is installed" },
  offload: { flags: "--offload <auto|off>", default: "auto", help: "super-segments and checksums by the kernel; off shows every segment as it is" },
  service: { flags: "--service <name[:port]>", default: DEFAULT_SERVICES.join(" "), repeatable: true, help: "a service to run; repeatable; none: no service" },
  preset: { flags: "--preset <name>", help: "a ready-made set of misbehaving ports, such as chaos" },
  fault: { flags: "--fault <spec>", repeatable: true, help: "misbehave, as in: glasstcp fault add; repeatable" },
  behave: {
    flags: "--behave <port:behaviour>",
    repeatable: true,
    help: "an endpoint that misbehaves by itself, such as '8080:http abort body 100'; repeatable",
  },
  set: { flags: "--set <key=value>", repeatable: true, help: "a setting of the TCP core, such as timeWait=1s; list: glasstcp sysctl -a; repeatable" },
  logLevel: { flags: "--log-level <level>", default: "info", help: LEVEL_NAMES.join(", ") },
  logFormat: { flags: "--log-format <auto|json|pretty>", default: "auto", help: "auto: pretty on a terminal, else JSON" },
  logFile: { flags: "--log-file <path>", help: "append the log to a file (opened again on SIGHUP); default: standard output" },
  control: { flags: "--control <path>", help: "Unix socket of the control API; default $XDG_RUNTIME_DIR/glasstcp.sock, else /run/glasstcp.sock" },
  user: { flags: "--user <name>", help: "become this user, without any privilege, once the device is open" },
  spinUs: { flags: "--spin-us <n>", default: "0", help: `go on polling for n µs after activity (0 to ${MAX_SPIN_US}): lower latency for more CPU` },
  impair: { flags: "--impair <spec>", help: "a bad link, such as loss=1%,delay=20ms" },
  pcap: { flags: "--pcap <file>", help: "write all frames to a capture file" },
  metrics: { flags: "--metrics <host:port>", help: "serve Prometheus metrics there too (otherwise only on the control socket)" },
} as const satisfies Record<string, ServeOption>;

/** The words of the command line, by the keys of SERVE_OPTIONS; what is undefined takes its default. */
export type ServeWords = { readonly [K in keyof typeof SERVE_OPTIONS]?: (typeof SERVE_OPTIONS)[K] extends { repeatable: true } ? readonly string[] : string };

/** @throws ConfigError that names the option, what was given and what is allowed */
export function parseConfig(words: ServeWords, defaultControl: string): ServeConfig {
  const word = (key: "tun" | "host" | "mtu" | "driver" | "offload" | "logLevel" | "logFormat" | "spinUs"): string => words[key] ?? SERVE_OPTIONS[key].default;
  const tun = word("tun");
  if (!/^[^\s/]+$/.test(tun) || Buffer.byteLength(tun) > MAX_NAME || tun === "." || tun === "..")
    throw new ConfigError(`--tun ${tun}: an interface name has 1 to ${MAX_NAME} characters, without spaces and slashes`, "for example: --tun glass0");
  const host = parseCidr("--host", word("host"));
  if (host.prefix === undefined || host.prefix > 30)
    throw new ConfigError(`--host ${word("host")}: an address with a prefix length of at most 30 is needed`, "for example: --host 10.77.0.1/24");
  const addresses = (words.address ?? [SERVE_OPTIONS.address.default])
    .flatMap((a) => a.split(","))
    .map((text) => {
      const cidr = parseCidr("--address", text);
      if (cidr.prefix === undefined || cidr.prefix === 32) {
        if (cidr.address === host.address)
          throw new ConfigError(`--address ${text} is the kernel's own side (--host ${word("host")})`, "give the two sides different addresses");
        return formatAddress(cidr.address);
      }
      return `${formatAddress(cidr.address & mask(cidr.prefix))}/${cidr.prefix}`;
    });
  return {
    tun,
    host: `${formatAddress(host.address)}/${host.prefix}`,
    addresses,
    mtu: integer("--mtu", word("mtu"), 88, LARGEST_MTU),
    driver: choice("--driver", word("driver"), ["koffi", "tuntap2"] as const),
    offload: choice("--offload", word("offload"), ["auto", "off"] as const),
    services: (words.service ?? DEFAULT_SERVICES)
      .flatMap((s) => s.split(","))
      .filter((s) => s !== "none")
      .map(parseService),
    preset: words.preset,
    faults: words.fault ?? [],
    behaviours: (words.behave ?? []).map(parseBehave),
    ...parseSettings(words.set ?? []),
    logLevel: choice("--log-level", word("logLevel"), LEVEL_NAMES),
    logFormat: choice("--log-format", word("logFormat"), ["auto", "json", "pretty"] as const),
    logFile: words.logFile,
    control: words.control ?? defaultControl,
    user: words.user,
    spinUs: integer("--spin-us", word("spinUs"), 0, MAX_SPIN_US),
    impair: words.impair,
    pcap: words.pcap,
    metrics: words.metrics === undefined ? undefined : parseHostPort("--metrics", words.metrics),
  };
}

const mask = (prefix: number): number => (prefix === 0 ? 0 : -1 << (32 - prefix));

function parseCidr(option: string, text: string): { address: number; prefix: number | undefined } {
  const [addressText = "", prefixText, ...more] = text.split("/");
  const address = parseAddress(addressText);
  if (addressText.includes(":")) throw new ConfigError(`${option} ${text}: IPv6 is not supported yet`, "give an IPv4 address");
  const prefix = prefixText === undefined ? undefined : Number(prefixText);
  if (address === undefined || more.length > 0 || prefixText === "" || (prefix !== undefined && (!Number.isInteger(prefix) || prefix < 0 || prefix > 32))) {
    throw new ConfigError(`${option} ${text} is not an IPv4 address or prefix`, "for example: 10.77.0.2 or 10.77.0.0/24");
  }
  const first = address >>> 24;
  if (prefix !== 0 && (first === 0 || first === 127 || first >= 224))
    throw new ConfigError(`${option} ${text}: no address of a host on a link`, "take one of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16");
  return { address, prefix };
}

/** What the behaviour itself says is read by src/faults when it is started. */
function parseBehave(text: string): { port: number; behaviour: string } {
  const m = /^(\d+):(.*)$/s.exec(text);
  if (m === null)
    throw new ConfigError(`--behave ${text}: a port, a colon and a behaviour are wanted`, "for example: --behave '8080:http body 1000 abort body 100'");
  return { port: integer("--behave", m[1] as string, 1, 65_535), behaviour: (m[2] as string).trim() };
}

function integer(option: string, text: string, min: number, max: number): number {
  const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(n >= min && n <= max)) throw new ConfigError(`${option} ${text} is not a number from ${min} to ${max}`);
  return n;
}

function choice<T extends string>(option: string, text: string, choices: readonly T[]): T {
  const found = choices.find((c) => c === text);
  if (found === undefined) throw new ConfigError(`${option} ${text} is not one of ${choices.join(", ")}`);
  return found;
}

function parseService(text: string): ServiceConfig {
  const m = /^([a-z][a-z0-9-]*)(?::(\d+))?$/.exec(text);
  if (m === null) throw new ConfigError(`--service ${text} is not NAME or NAME:PORT`, "for example: --service http:8080");
  return { name: m[1] as string, port: m[2] === undefined ? undefined : integer("--service", m[2], 1, 65_535) };
}

function parseSettings(settings: readonly string[]): { options: Partial<TcpOptions>; limits: Partial<StackLimits>; synCookies: SynCookies } {
  let synCookies: SynCookies = "auto";
  const options: Partial<TcpOptions> = {},
    limits: Partial<StackLimits> = {};
  for (const setting of settings) {
    const at = setting.indexOf("=");
    if (at <= 0) throw new ConfigError(`--set ${setting} is not KEY=VALUE`, "for example: --set timeWait=1s");
    const name = setting.slice(0, at),
      text = setting.slice(at + 1);
    if (name === "synCookies") {
      synCookies = choice("--set synCookies:", text, ["auto", "off", "always"] as const);
      continue;
    }
    if (Object.hasOwn(LIMITS, name)) {
      limits[name as keyof StackLimits] = parseLimit(setting, LIMITS[name as keyof typeof LIMITS], text);
      continue;
    }
    try {
      Object.assign(options, parseOption(name, text));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new ConfigError(`--set ${setting}: ${error.message}`);
    }
  }
  return { options, limits, synCookies };
}

function parseLimit(setting: string, spec: (typeof LIMITS)[keyof typeof LIMITS], text: string): number {
  const n = parseNumber(text, spec);
  if (n === undefined || !isWithin(n, spec)) throw new ConfigError(`--set ${setting} is not ${describe(spec)}`);
  return n;
}

function parseHostPort(option: string, text: string): { host: string; port: number } {
  const m = /^(?:(.*):)?(\d+)$/.exec(text);
  if (m === null) throw new ConfigError(`${option} ${text} is not HOST:PORT`, `for example: ${option} 127.0.0.1:9101`);
  return { host: m[1] === undefined || m[1] === "" ? "127.0.0.1" : m[1].replace(/^\[(.*)\]$/, "$1"), port: integer(option, m[2] as string, 0, 65_535) };
}

/** The prefixes of ours that the kernel does not reach through the host's own prefix: each needs a route to the device. */
export function routesOf(config: Pick<ServeConfig, "host" | "addresses">): string[] {
  const [hostAddress = "", hostPrefix = "32"] = config.host.split("/");
  const m = mask(Number(hostPrefix)),
    net = (parseAddress(hostAddress) ?? 0) & m;
  return config.addresses
    .map((a) => (a.includes("/") ? a : `${a}/32`))
    .filter((cidr) => {
      const [address = "", prefix = "32"] = cidr.split("/");
      return Number(prefix) < Number(hostPrefix) || ((parseAddress(address) ?? 0) & m) !== net;
    });
}
