/** A SYN answered without keeping anything of it: the SYN,ACK of a cookie, and what its ACK brings back. */
import type { TcpOptions } from "../tcp/options.js";
import { keyedHash } from "../tcp/isn.js";
import { WSCALE_MAX } from "../tcp/handshake.js";
import { wscaleFor } from "../tcp/tcb.js";
import { ACK, CWR, ECE, type Segment, SYN } from "../wire/segment.js";
import { SegmentHeader } from "../wire/tcp.js";
import { type CookieOptions, optionsIn, type SynCookies, timestampWith } from "./cookies.js";
import type { Transmitter } from "./transmitter.js";

/** Of all answers; `answerWithCookie` writes each field that it uses. */
const header = new SegmentHeader();

/** The timestamp clock of a pair of addresses (RFC 7323 §5.4): the same for all their connections, so PAWS holds between them. */
export const timestampOffset = (secret: Uint32Array, local: number, remote: number): number => keyedHash(secret, local, remote, 0, 0x7473);

export function answerWithCookie(
  out: Transmitter,
  cookies: SynCookies,
  secret: Uint32Array,
  seg: Segment,
  local: number,
  remote: number,
  o: Readonly<TcpOptions>,
  mtu: number,
  now: number,
): void {
  const h = header;
  const timestamps = o.timestamps && seg.hasTimestamps;
  // Without timestamps there is nowhere to keep these (RFC 4987 §3.6).
  const offered: CookieOptions = {
    mss: seg.mss > 0 ? seg.mss : 536,
    windowScale: timestamps && o.windowScaling && seg.windowScale >= 0 ? Math.min(seg.windowScale, WSCALE_MAX) : -1,
    sack: timestamps && o.sack && seg.sackPermitted,
    ecn: timestamps && o.ecn !== "off" && (seg.ctl & (ECE | CWR)) === (ECE | CWR),
  };
  h.sourcePort = seg.destinationPort;
  h.destinationPort = seg.sourcePort;
  h.sequence = cookies.make(local, remote, (seg.sourcePort << 16) | seg.destinationPort, seg.sequence, offered.mss, now);
  h.acknowledgment = seg.sequence + 1;
  h.ctl = SYN | ACK | (offered.ecn ? ECE : 0);
  h.window = Math.min(65_535, o.receiveBuffer);
  h.mss = o.mss > 0 ? Math.min(o.mss, mtu - 40) : mtu - 40;
  h.windowScale = offered.windowScale >= 0 ? wscaleFor(o) : -1;
  h.sackPermitted = offered.sack;
  h.hasTimestamps = timestamps;
  if (timestamps) {
    h.tsVal = timestampWith((Math.floor(now) + timestampOffset(secret, local, remote)) | 0, offered);
    h.tsEcr = seg.tsVal;
  }
  out.bare(h, local, remote);
}

/** @returns what the SYN had offered, or undefined if the ACK is for no cookie of ours */
export function cookieIn(cookies: SynCookies, seg: Segment, local: number, remote: number, now: number): CookieOptions | undefined {
  if (!cookies.expects(now)) return undefined;
  const mss = cookies.check(local, remote, (seg.sourcePort << 16) | seg.destinationPort, (seg.sequence - 1) | 0, (seg.acknowledgment - 1) | 0, now);
  if (mss === 0) return undefined;
  return seg.hasTimestamps ? optionsIn(seg.tsEcr, mss) : { mss, windowScale: -1, sack: false, ecn: false };
}
