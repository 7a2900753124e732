/** What TCP makes of an ICMP error about one of its segments (RFC 9293 §3.9.2.2; RFC 1191; judged as RFC 5927 says). */
import {
  ICMP_PARAMETER_PROBLEM,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  type IcmpMessage,
  UNREACHABLE_FRAGMENTATION_NEEDED,
  UNREACHABLE_PORT,
  UNREACHABLE_PROTOCOL,
} from "../wire/icmp.js";
import { setMss } from "./handshake.js";
import { inWindow, seq } from "./seq.js";
import { TELL_ICMP, type Tcb } from "./tcb.js";
import type { Millis } from "./time.js";

/** RFC 1191 §7.1, table 7-1: the next lower plateau, for routers that do not say their MTU. */
const PLATEAUS = [65_535, 32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68];

export function icmpArrives(t: Tcb, m: IcmpMessage, now: Millis): void {
  t.env.causedByIcmp(m.type, m.code);
  // RFC 5927 §4.1: only what quotes something outstanding can be about this connection.
  if (!inWindow(seq(m.quotedSequence), t.snd.una, Math.max(1, t.flightSize))) return t.env.drop(t, "5927-4.1");
  if (m.type === ICMP_SOURCE_QUENCH) return t.env.drop(t, "6633");
  if (m.type === ICMP_UNREACHABLE && m.code === UNREACHABLE_FRAGMENTATION_NEEDED) return tooBig(t, m.mtu, now);
  const hard =
    m.type === ICMP_UNREACHABLE && (m.code === UNREACHABLE_PROTOCOL || m.code === UNREACHABLE_PORT || m.code === 9 || m.code === 10 || m.code === 13);
  t.icmpError = { type: m.type, code: m.code };
  t.env.outlet.touched(t);
  if (t.state === "SYN-SENT" || t.state === "SYN-RECEIVED") {
    // Linux and D7: unreachables end an attempt that has just begun; the rest is soft.
    if (hard || (m.type === ICMP_UNREACHABLE && t.state === "SYN-SENT" && t.options.icmpAbortsOpen)) {
      t.env.counters.attemptFails++;
      return t.close("unreachable", "9293-3.9.2.2-hard", now);
    }
  } else if (hard) t.env.hit("5927-5.2"); // D7: soft in synchronized states
  if (m.type === ICMP_UNREACHABLE || m.type === ICMP_TIME_EXCEEDED || m.type === ICMP_PARAMETER_PROBLEM) {
    t.env.hit("9293-3.9.2.2-soft");
    t.tell |= TELL_ICMP;
  }
}

/** RFC 1191 §3, §6.4: lower the MSS and send again what was too big. */
function tooBig(t: Tcb, mtu: number, now: Millis): void {
  if (!t.options.pmtuDiscovery) return;
  // §5: zero, or not smaller than what was sent, means that the router does not know.
  if (mtu < 68 || mtu >= t.snd.pmtu) mtu = mtu >= t.snd.pmtu && mtu > 0 ? t.snd.pmtu : (PLATEAUS.find((p) => p < t.snd.pmtu) ?? 68);
  mtu = Math.max(mtu, t.options.minPmtu);
  if (mtu >= t.snd.pmtu) return;
  t.env.hit("1191-3");
  t.snd.pmtu = mtu;
  const before = t.mss;
  setMss(t);
  if (t.mss < before) {
    // §6.4: not a sign of congestion, so the window stays.
    for (let r = t.board.flight.head; r !== undefined; ) {
      const following = r.following;
      if (r.length > t.mss) t.board.markLost(r);
      r = following;
    }
    t.recovery.rearm(now, true);
  }
  t.env.outlet.touched(t);
}
