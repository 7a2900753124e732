/**
 * Every setting of the TCP core, once: default, bounds, unit, source and why. Validation, `--set KEY=VALUE`, `--help` and
 * the docs are made from this table.
 */

export interface NumberOption {
  readonly kind: "number";
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly unit: "ms" | "octets" | "segments" | "times" | "per second" | "octets per second" | "count";
  readonly source: string;
  readonly why: string;
}
interface BooleanOption {
  readonly kind: "boolean";
  readonly default: boolean;
  readonly source: string;
  readonly why: string;
}
interface ChoiceOption<T extends string> {
  readonly kind: "choice";
  readonly default: T;
  readonly choices: readonly T[];
  readonly source: string;
  readonly why: string;
}
export type OptionSpec = NumberOption | BooleanOption | ChoiceOption<string>;

const num = (dflt: number, min: number, max: number, unit: NumberOption["unit"], source: string, why: string): NumberOption => ({
  kind: "number",
  default: dflt,
  min,
  max,
  unit,
  source,
  why,
});
const bool = (dflt: boolean, source: string, why: string): BooleanOption => ({ kind: "boolean", default: dflt, source, why });
const choice = <T extends string>(dflt: T, choices: readonly T[], source: string, why: string): ChoiceOption<T> => ({
  kind: "choice",
  default: dflt,
  choices,
  source,
  why,
});

const MINUTE = 60_000,
  HOUR = 60 * MINUTE;

export const OPTIONS = {
  // Segments and windows
  mss: num(0, 0, 65_495, "octets", "RFC 9293 §3.7.1", "largest segment we ask for and send; 0: the link's MTU less 40"),
  minMss: num(
    88,
    28,
    1_460,
    "octets",
    "RFC 9293 §3.7.1, CVE-2019-11479",
    "a peer's smaller MSS option is taken as this, so that no peer makes us send header-only packets",
  ),
  receiveBuffer: num(4 * 1024 * 1024, 512, 1 << 30, "octets", "RFC 7323 §2.3", "RCV.BUFF; the window scale offered follows from it"),
  sendBuffer: num(4 * 1024 * 1024, 512, 1 << 30, "octets", "RFC 9293 §3.9.1.2", "octets written and not acknowledged that a connection keeps"),
  windowScaling: bool(true, "RFC 7323 §2", "windows above 65,535 octets"),
  windowScale: num(-1, -1, 14, "count", "RFC 7323 §2.3", "shift to offer; -1: the smallest that covers receiveBuffer"),
  initialReceiveWindow: num(0, 0, 1 << 30, "octets", "RFC 9293 §3.8.6", "cap on the window in a SYN; 0: as much as the buffer and 65,535 allow"),
  timestamps: bool(true, "RFC 7323 §3", "RTT samples from retransmissions, PAWS"),
  sack: bool(true, "RFC 2018", "selective acknowledgment"),
  dsack: bool(true, "RFC 2883", "report duplicates, so that the peer can undo"),
  ecn: choice("passive", ["off", "passive", "on"], "RFC 3168 §6.1", "passive: agree when the peer asks; on: ask as well (Linux's tcp_ecn 2, 1)"),
  noDelay: bool(false, "RFC 9293 §3.7.4 MUST-17", "true switches the Nagle algorithm off"),
  urgentInline: bool(true, "RFC 6093 §6", "urgent octets stay in the stream"),

  ttl: num(64, 1, 255, "count", "RFC 9293 §3.9.2 MUST-49, RFC 1122 §3.2.1.7", "time to live of what a connection sends"),
  diffserv: num(
    0,
    0,
    63,
    "count",
    "RFC 9293 §3.9.1.9 MUST-48, RFC 2474 §3",
    "Diffserv codepoint of what a connection sends; may change while it lives (SHLD-21)",
  ),

  initialSequence: num(-1, -1, 0xffff_ffff, "count", "RFC 6528; -1 for it", "the ISN, for labs that want to see it wrap: anybody can guess it then"),

  // Acknowledging
  delayedAck: num(40, 0, 499, "ms", "RFC 9293 §3.8.6.3 MUST-40 (below 500 ms); Linux 40", "how long an ACK may wait for company; 0: never waits"),
  ackEvery: num(2, 1, 64, "segments", "RFC 9293 §3.8.6.3 SHLD-18", "an ACK at least every so many full-sized segments"),
  growWindow: bool(false, "Linux (tcp_grow_window)", "the window begins at what the SYN told and grows by twice what each segment brings, up to the buffer"),
  windowSteps: bool(true, "RFC 9293 §3.8.6.2.2", "the right edge moves only by a good piece; off: every ACK tells all the room there is, as BSD does"),
  finInAcks: bool(false, "BSD's tcp_outflags", "an ACK sent while our FIN is unacknowledged bears the FIN again"),
  quickAcks: num(
    16,
    0,
    1_000,
    "segments",
    "Linux (tcp_enter_quickack_mode)",
    "ACKs at once at the start of a connection, while the peer's slow start waits for them",
  ),
  pingPong: bool(
    false,
    "Linux (tcp_event_data_sent)",
    "text sent within the delayed ACK's time of text received ends the ACKs at once: an answer will carry them",
  ),
  strictAcks: bool(
    false,
    "RFC 5681 §4.2",
    "true: an ACK for every second segment even when several arrive in one wake-up (else one per wake-up: MUST-58, MUST-59)",
  ),

  // Retransmission
  initialRto: num(1_000, 1, 60_000, "ms", "RFC 6298 §2.1", "RTO before the first sample"),
  minRto: num(200, 1, 60_000, "ms", "RFC 6298 §2.4 says 1 s; Linux 200 ms, so do we", "the least that the RTO lies above SRTT"),
  maxRto: num(120_000, 1_000, HOUR, "ms", "RFC 6298 §2.5 (at least 60 s)", "ceiling of the RTO and of probe intervals"),
  rtoSlop: num(0, 0, 10_000, "ms", "FreeBSD net.inet.tcp.rexmit_slop", "added to every RTO but the first of a SYN"),
  synRetries: num(7, 0, 127, "times", "RFC 9293 §3.8.3 MUST-23 (3 minutes)", "SYNs sent again before an active open fails: 255 s"),
  synAckRetries: num(5, 0, 127, "times", "Linux tcp_synack_retries; RFC 4987 §3.3", "SYN,ACKs sent again: 63 s, for a half-open flood must not hold memory"),
  synLinearTimeouts: num(0, 0, 127, "times", "Linux tcp_syn_linear_timeouts", "first SYN timeouts that do not double"),
  retries1: num(3, 1, 255, "times", "RFC 9293 §3.8.3 R1, SHLD-10", "retransmissions of one segment before the user is told"),
  retries2: num(15, 1, 255, "times", "RFC 9293 §3.8.3 R2, SHLD-11 (100 s)", "retransmissions of one segment before the connection is given up"),
  orphanRetries: num(8, 1, 255, "times", "Linux tcp_orphan_retries", "the same where the application has let go"),
  userTimeout: num(0, 0, 24 * HOUR, "ms", "RFC 5482; RFC 9293 §3.8.3", "how long sent data may stay unacknowledged; 0: retries2 decides"),
  userTimeoutOption: bool(false, "RFC 5482 §3", "tell and hear user timeouts by option"),
  dupThresh: num(3, 1, 300, "segments", "RFC 5681 §3.2", "duplicate ACKs that mean loss"),
  rack: bool(true, "RFC 8985", "loss detection by time; off: RFC 6675 with SACK"),
  tailLossProbe: bool(true, "RFC 8985 §7", "a probe before the RTO when the tail of a flight is lost"),
  undo: bool(true, "RFC 5682, RFC 3522, RFC 3708", "take back a window reduction that turns out to be for nothing"),
  limitedTransmit: bool(true, "RFC 3042", "new data on the first two duplicate ACKs"),

  // Congestion
  congestion: choice("cubic", ["reno", "cubic"], "RFC 9438, RFC 5681", "congestion control"),
  initialWindow: num(10, 1, 1_000, "segments", "RFC 6928 §2", "IW"),
  slowStartAfterIdle: bool(true, "RFC 5681 §4.1", "restart from RW after an idle RTO"),
  hystart: bool(false, "RFC 9406", "leave slow start when the round trip grows"),

  // Path MTU
  pmtuDiscovery: bool(true, "RFC 1191", "lower the MSS when ICMP says that a packet was too big"),
  pmtuProbing: bool(false, "RFC 4821", "find the path MTU without ICMP, after timeouts"),
  basePmtu: num(1_024, 68, 1_500, "octets", "RFC 4821 §7.2; Linux tcp_base_mss", "where pmtuProbing begins: a packet that nearly every path takes"),
  minPmtu: num(552, 68, 1_500, "octets", "RFC 1191 §3 (68); Linux min_pmtu 552", "ICMP cannot push the MTU below this"),

  icmpAbortsOpen: bool(true, "RFC 9293 §3.9.2.2; Linux", "network or host unreachable ends an active open at once; off: it is soft (SHLD-25)"),

  // Probes and lifetimes
  windowProbeText: bool(true, "RFC 9293 §3.8.6.1", "a zero-window probe carries an octet of text; off: none, and the number before SND.UNA, as Linux sends it"),
  keepAlive: bool(false, "RFC 9293 §3.8.4 MUST-25", "probe idle connections"),
  keepAliveIdle: num(2 * HOUR, 1, 24 * HOUR * 31, "ms", "RFC 9293 §3.8.4 MUST-28", "idle time before the first probe"),
  keepAliveInterval: num(75_000, 1, 24 * HOUR, "ms", "Linux tcp_keepalive_intvl", "between probes"),
  keepAliveProbes: num(9, 1, 127, "times", "Linux tcp_keepalive_probes", "unanswered probes before the connection is given up"),
  timeWait: num(MINUTE, 0, 10 * MINUTE, "ms", "RFC 9293 §3.6.1 MUST-13 (2 MSL); Linux 60 s", "TIME-WAIT"),
  finWait2: num(MINUTE, 0, HOUR, "ms", "Linux tcp_fin_timeout", "how long an orphan stays in FIN-WAIT-2; a half-close is never timed out"),
  ignoreTimeWaitReset: bool(true, "RFC 1337 F1", "an RST does not end TIME-WAIT"),
  reuseTimeWait: bool(true, "RFC 6191, RFC 9293 MAY-2", "a newer SYN opens the connection again from TIME-WAIT"),

  // Connections that cost too much: all off, as RFC 9293 has no such limits
  idleTimeout: num(
    0,
    0,
    31 * 24 * HOUR,
    "ms",
    "full-connection attacks",
    "reset when no text went either way for so long (keep-alive probes are no text); 0: may rest for ever",
  ),
  zeroWindowTimeout: num(
    0,
    0,
    31 * 24 * HOUR,
    "ms",
    "full-connection attacks; RFC 9293 §3.8.6.1 sets no limit",
    "reset when text waits before a shut window for so long, even if probes are answered; 0: for ever",
  ),
  minSendRate: num(
    0,
    0,
    1 << 30,
    "octets per second",
    "slow readers",
    "reset when less than this is acknowledged per second, over minSendRatePeriod, while more waits; 0: as slowly as it likes",
  ),
  minSendRatePeriod: num(30_000, 1_000, HOUR, "ms", "slow readers", "over which minSendRate is taken"),
  maxAge: num(0, 0, 31 * 24 * HOUR, "ms", "full-connection attacks, slow senders", "reset when a connection is so old, whatever it does; 0: no limit"),

  abortOnOverflow: bool(
    false,
    "Linux tcp_abort_on_overflow",
    "RST where the last ACK of a handshake finds the accept backlog full; off: it is ignored, and the SYN,ACK goes out again",
  ),
  keepTextOnReset: bool(false, "RFC 9293 §3.10.7.4 flushes all queues; Linux keeps what was received", "text received before a reset can still be read"),

  // Protection
  strictReset: bool(true, "RFC 5961 §3.2", "an RST counts only at exactly RCV.NXT; else a challenge ACK"),
  strictSyn: bool(true, "RFC 5961 §4.2", "a SYN on a live connection earns a challenge ACK"),
  strictAckRange: bool(true, "RFC 5961 §5.2, RFC 9293 MAY-12", "an ACK older than MAX.SND.WND is refused"),
  invalidAckInterval: num(
    500,
    0,
    60_000,
    "ms",
    "RFC 5961 §7; Linux tcp_invalid_ratelimit",
    "at most one ACK in this time for the same connection in answer to unacceptable segments",
  ),
  outOfOrderRanges: num(
    512,
    1,
    4_096,
    "count",
    "CVE-2018-5390 (SegmentSmack)",
    "pieces of text beyond gaps that a connection keeps apart; each costs a look at every segment",
  ),
  challengeAckLimit: num(
    1_000,
    1,
    1_000_000,
    "per second",
    "RFC 5961 §7",
    "challenge ACKs of the whole stack; the figure is jittered, so that nobody can count it",
  ),
} as const satisfies Record<string, OptionSpec>;

export type OptionName = keyof typeof OPTIONS;
type ValueOf<S> = S extends ChoiceOption<infer T> ? T : S extends NumberOption ? number : S extends BooleanOption ? boolean : never;
export type TcpOptions = { -readonly [K in OptionName]: ValueOf<(typeof OPTIONS)[K]> };

export const DEFAULTS: Readonly<TcpOptions> = Object.freeze(
  Object.fromEntries(Object.entries(OPTIONS).map(([k, o]) => [k, o.default])) as unknown as TcpOptions,
);

export const isOptionName = (name: string): name is OptionName => Object.hasOwn(OPTIONS, name);

/**
 * Reads one `KEY=VALUE`. Numbers take a suffix: ms, s, m, h for times; k, K, M, G, Ki, Mi, Gi for all else.
 * @throws RangeError naming the option, what was given and what is allowed
 */
export function parseOption(name: string, text: string): Partial<TcpOptions> {
  if (!isOptionName(name)) throw new RangeError(`unknown option "${name}"${suggestion(name)}`);
  const spec: OptionSpec = OPTIONS[name];
  const value =
    spec.kind === "number" ? parseNumber(text, spec) : spec.kind === "boolean" ? parseBoolean(text) : spec.choices.includes(text) ? text : undefined;
  if (value === undefined) throw new RangeError(`option ${name}: "${text}" is not ${describe(spec)}`);
  return validate({ [name]: value });
}

/** Checks kinds and bounds. @throws RangeError naming the option, what was given and what is allowed */
export function validate(options: Readonly<Record<string, unknown>>): Partial<TcpOptions> {
  for (const [name, value] of Object.entries(options)) {
    if (!isOptionName(name)) throw new RangeError(`unknown option "${name}"${suggestion(name)}`);
    const spec: OptionSpec = OPTIONS[name];
    const ok =
      spec.kind === "number"
        ? isWithin(value, spec)
        : spec.kind === "boolean"
          ? typeof value === "boolean"
          : typeof value === "string" && spec.choices.includes(value);
    if (!ok) throw new RangeError(`option ${name}: ${String(value)} is not ${describe(spec)}`);
  }
  return options as Partial<TcpOptions>;
}

/** Times may have fractions; there is no half segment. */
export const isWithin = (value: unknown, spec: NumberOption): boolean =>
  typeof value === "number" && value >= spec.min && value <= spec.max && (spec.unit === "ms" || Number.isInteger(value));

export function describe(spec: OptionSpec): string {
  switch (spec.kind) {
    case "number":
      return `a number from ${spec.min} to ${spec.max} (${spec.unit})`;
    case "boolean":
      return "on or off";
    case "choice":
      return `one of ${spec.choices.join(", ")}`;
  }
}

const FACTORS: Readonly<Record<string, number>> = {
  "": 1,
  ms: 1,
  s: 1_000,
  m: MINUTE,
  h: HOUR,
  k: 1_000,
  K: 1_000,
  M: 1_000_000,
  G: 1e9,
  Ki: 1_024,
  Mi: 1_048_576,
  Gi: 1_073_741_824,
};
/** A number with its suffix; undefined when it is none. Bounds are not looked at. */
export function parseNumber(text: string, spec: NumberOption): number | undefined {
  const m = /^(-?\d+(?:\.\d+)?)(ms|s|m|h|k|K|M|G|Ki|Mi|Gi)?$/.exec(text.trim());
  if (m === null) return undefined;
  const suffix = m[2] ?? "";
  if (/^(ms|s|m|h)$/.test(suffix) !== (spec.unit === "ms") && suffix !== "") return undefined;
  return Number(m[1]) * (FACTORS[suffix] as number);
}
function parseBoolean(text: string): boolean | undefined {
  return /^(on|true|yes|1)$/i.test(text) ? true : /^(off|false|no|0)$/i.test(text) ? false : undefined;
}
function suggestion(name: string): string {
  const near = Object.keys(OPTIONS).filter((k) => k.toLowerCase().includes(name.toLowerCase()) || name.toLowerCase().includes(k.toLowerCase()));
  return near.length > 0 ? `; did you mean ${near.join(" or ")}?` : "";
}
