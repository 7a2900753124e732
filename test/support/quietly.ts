/** Lets time pass without caring for what is sent meanwhile. */
import type { Peer } from "./peer.js";

/** @returns what was sent, as flags with the time in seconds since the call */
export function quietly(p: Peer, seconds: number): { flags: string; seq: number; length: number; at: number }[] {
  const begin = p.now,
    end = p.now + seconds * 1_000,
    out = [];
  while (p.now < end) {
    p.pass(end);
    for (const s of p.sent()) out.push({ flags: s.flags, seq: s.seq, length: s.length, at: (s.at + p.start - begin) / 1_000 });
  }
  return out;
}
