/** What a host is taken to be while a script runs: the stack's settings, and what of a packet is compared (language §6, §10). */
import type { TcpOptions } from "../tcp/options.js";

export type ProfileName = "linux" | "freebsd" | "neutral";

export interface Profile {
  readonly name: ProfileName;
  readonly options: Partial<TcpOptions>;
  /** Compare a window written on an expected packet. */
  readonly compareWindow: boolean;
  /** Compare the options written on an expected SYN. */
  readonly compareSynOptions: boolean;
  /** Compare buffer sizes that `getsockopt` reads. */
  readonly compareBuffers: boolean;
  /** Linux doubles SO_SNDBUF and SO_RCVBUF. */
  readonly doublesBuffers: boolean;
  /** Percent of the time since the event before, when the script does not say. */
  readonly tolerancePercent: number;
}

const SECOND = 1_000;

/** What `defaults.sh` and Linux imply. */
const LINUX: Partial<TcpOptions> = {
  receiveBuffer: 15_728_640,
  windowScale: 8,
  initialReceiveWindow: 65_535,
  sendBuffer: 262_144,
  initialWindow: 10,
  congestion: "cubic",
  hystart: true,
  rack: true,
  tailLossProbe: true,
  dupThresh: 3,
  initialRto: SECOND,
  minRto: 200,
  maxRto: 120 * SECOND,
  synRetries: 5,
  synAckRetries: 5,
  synLinearTimeouts: 0,
  delayedAck: 40,
  quickAcks: 16,
  pingPong: true,
  slowStartAfterIdle: false,
  finWait2: 60 * SECOND,
  timeWait: 60 * SECOND,
  invalidAckInterval: 500,
  ecn: "off",
  minPmtu: 552,
  windowProbeText: false,
  keepTextOnReset: true,
  growWindow: true,
  windowSteps: false,
};

const FREEBSD: Partial<TcpOptions> = {
  receiveBuffer: 65_536,
  windowScale: 6,
  initialReceiveWindow: 65_535,
  sendBuffer: 65_536,
  initialWindow: 10,
  congestion: "reno",
  hystart: false,
  rack: false,
  tailLossProbe: false,
  initialRto: SECOND,
  minRto: 30,
  rtoSlop: 200,
  maxRto: 64 * SECOND,
  windowSteps: false,
  finInAcks: true,
  synRetries: 11,
  synAckRetries: 3,
  delayedAck: 40,
  quickAcks: 0,
  strictAcks: true,
  slowStartAfterIdle: true,
  ecn: "passive",
  invalidAckInterval: 0,
  ignoreTimeWaitReset: false,
};

export const PROFILES: Readonly<Record<ProfileName, Profile>> = {
  linux: { name: "linux", options: LINUX, compareWindow: true, compareSynOptions: true, compareBuffers: true, doublesBuffers: true, tolerancePercent: 12.5 },
  freebsd: {
    name: "freebsd",
    options: FREEBSD,
    compareWindow: true,
    compareSynOptions: true,
    compareBuffers: true,
    doublesBuffers: false,
    tolerancePercent: 5,
  },
  // The stack as it comes. What a script says of another system's choice of window, SYN options and buffers is not compared.
  neutral: {
    name: "neutral",
    options: {},
    compareWindow: false,
    compareSynOptions: false,
    compareBuffers: false,
    doublesBuffers: true,
    tolerancePercent: 12.5,
  },
};

/** The system that a script was written for, by what it names; Linux where it names nothing. */
export function detectProfile(source: string): ProfileName {
  if (/net\.ipv4|\/proc\/sys|defaults\.sh|set_sysctls/.test(source)) return "linux";
  if (
    /\bnet\.inet\b|\bkldload\b|^\s*#\s*ifdef\b|\bkern\.timecounter\b|TCP_FUNCTION_BLK|\bTCPS_|\bTCPI_(?:CLOSED|LISTEN|SYN_|ESTABLISHED|FIN_|CLOSE_|TIME_|LAST_)/m.test(
      source,
    )
  )
    return "freebsd";
  return "linux";
}
