/** Linux's names for our settings, with its units: what `glasstcp sysctl net.ipv4.tcp_fin_timeout` means. */
import type { OptionRow } from "../control/contract.js";
import type { LimitName } from "../stack/limits.js";
import type { OptionName } from "../tcp/options.js";

export interface SysctlName {
  readonly option: OptionName | LimitName | "synCookies";
  /** Our value as Linux writes it. */
  show(value: OptionRow["value"]): string;
  /** Linux's text as the value that our option takes; undefined when it is none. */
  read(text: string): string | undefined;
}

const plain = (option: OptionName | LimitName): SysctlName => ({ option, show: String, read: (text) => text });
/** Linux counts seconds, we milliseconds. */
const seconds = (option: OptionName): SysctlName => ({
  option,
  show: (v) => String(Math.round(Number(v)) / 1_000),
  read: (text) => (/^\d+(\.\d+)?$/.test(text) ? String(Number(text) * 1_000) : undefined),
});
/** Linux writes 1 and 0. */
const flag = (option: OptionName): SysctlName => ({
  option,
  show: (v) => (v === true ? "1" : "0"),
  read: (text) => (/^[01]$/.test(text) ? (text === "1" ? "on" : "off") : undefined),
});
const choice = (option: OptionName | "synCookies", words: readonly (readonly [linux: string, ours: string])[]): SysctlName => ({
  option,
  show: (v) => words.find(([, ours]) => ours === v)?.[0] ?? String(v),
  read: (text) => words.find(([linux]) => linux === text)?.[1],
});
/** Linux writes minimum, default and maximum; ours is the default. */
const triple = (option: OptionName): SysctlName => ({
  option,
  show: (v) => `512\t${v}\t${1 << 30}`,
  read: (text) => {
    const parts = text.trim().split(/\s+/);
    return parts.length === 3 ? parts[1] : parts.length === 1 ? parts[0] : undefined;
  },
});

export const SYSCTL_NAMES: Readonly<Record<string, SysctlName>> = {
  "net.ipv4.tcp_abort_on_overflow": flag("abortOnOverflow"),
  "net.ipv4.tcp_challenge_ack_limit": plain("challengeAckLimit"),
  "net.ipv4.tcp_congestion_control": plain("congestion"),
  "net.ipv4.tcp_dsack": flag("dsack"),
  "net.ipv4.tcp_ecn": choice("ecn", [
    ["0", "off"],
    ["1", "on"],
    ["2", "passive"],
  ]),
  "net.ipv4.tcp_fin_timeout": seconds("finWait2"),
  "net.ipv4.tcp_invalid_ratelimit": plain("invalidAckInterval"),
  "net.ipv4.tcp_keepalive_intvl": seconds("keepAliveInterval"),
  "net.ipv4.tcp_keepalive_probes": plain("keepAliveProbes"),
  "net.ipv4.tcp_keepalive_time": seconds("keepAliveIdle"),
  "net.ipv4.tcp_min_snd_mss": plain("minMss"),
  "net.ipv4.tcp_mtu_probing": flag("pmtuProbing"),
  "net.ipv4.tcp_orphan_retries": plain("orphanRetries"),
  "net.ipv4.tcp_retries1": plain("retries1"),
  "net.ipv4.tcp_retries2": plain("retries2"),
  "net.ipv4.tcp_rfc1337": flag("ignoreTimeWaitReset"),
  "net.ipv4.tcp_rmem": triple("receiveBuffer"),
  "net.ipv4.tcp_sack": flag("sack"),
  "net.ipv4.tcp_slow_start_after_idle": flag("slowStartAfterIdle"),
  "net.ipv4.tcp_syn_linear_timeouts": plain("synLinearTimeouts"),
  "net.ipv4.tcp_syn_retries": plain("synRetries"),
  "net.ipv4.tcp_synack_retries": plain("synAckRetries"),
  "net.ipv4.tcp_timestamps": flag("timestamps"),
  "net.ipv4.tcp_tw_reuse": flag("reuseTimeWait"),
  "net.ipv4.tcp_window_scaling": flag("windowScaling"),
  "net.ipv4.tcp_wmem": triple("sendBuffer"),
  // Limits of the stack: read while the daemon runs, set when it starts.
  "net.core.somaxconn": plain("acceptBacklog"),
  "net.ipv4.icmp_msgs_per_sec": plain("icmpRate"),
  "net.ipv4.ipfrag_high_thresh": plain("maxFragments"),
  "net.ipv4.tcp_max_orphans": plain("maxOrphans"),
  "net.ipv4.tcp_max_syn_backlog": plain("synBacklog"),
  "net.ipv4.tcp_max_tw_buckets": plain("maxTimeWait"),
  "net.ipv4.tcp_syncookies": choice("synCookies", [
    ["0", "off"],
    ["1", "auto"],
    ["2", "always"],
  ]),
};

/** "/proc/sys/net/ipv4/tcp_sack" and "net/ipv4/tcp_sack" are net.ipv4.tcp_sack, as for sysctl. */
export const canonical = (name: string): string => name.replace(/^\/proc\/sys\//, "").replaceAll("/", ".");
