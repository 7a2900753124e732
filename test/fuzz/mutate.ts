/** Turns good frames into bad ones: fields, flags, options, lengths, octets; with checksums right again more often than not. */
import { Frame } from "../../src/device/frame.js";
import type { Random } from "../sim/random.js";

const INTERESTING = [0, 1, -1, 2, 127, 128, 255, 256, 535, 1_460, 1_461, 32_767, 32_768, 65_535, 65_536, 0x7fffffff, -0x80000000, 0x40000000] as const;

function put32(b: Uint8Array, at: number, v: number): void {
  if (at + 4 > b.length) return;
  b[at] = v >>> 24;
  b[at + 1] = v >>> 16;
  b[at + 2] = v >>> 8;
  b[at + 3] = v;
}
const get32 = (b: Uint8Array, at: number): number => ((b[at] ?? 0) << 24) | ((b[at + 1] ?? 0) << 16) | ((b[at + 2] ?? 0) << 8) | (b[at + 3] ?? 0);
function put16(b: Uint8Array, at: number, v: number): void {
  if (at + 2 > b.length) return;
  b[at] = v >>> 8;
  b[at + 1] = v;
}

export function mutate(frame: Uint8Array, r: Random): Uint8Array {
  let b: Uint8Array = frame.slice();
  for (let n = r.int(1, 3); n > 0 && b.length > 0; n--) b = once(b, r);
  if (r.chance(0.85)) Frame.of(b).seal();
  return b;
}

function once(b: Uint8Array, r: Random): Uint8Array {
  const ip = Math.min(b.length, ((b[0] ?? 0) & 15) * 4),
    header = ((b[ip + 12] ?? 0x50) >> 4) * 4;
  switch (r.int(0, 15)) {
    case 0: {
      const bit = r.int(0, b.length * 8 - 1);
      b[bit >> 3] = (b[bit >> 3] as number) ^ (1 << (bit & 7));
      return b;
    }
    case 1:
      b[r.int(0, b.length - 1)] = r.int(0, 255);
      return b;
    case 2:
    case 3: {
      // SEG.SEQ or SEG.ACK, near or far
      const at = ip + r.pick([4, 8]);
      put32(b, at, get32(b, at) + r.pick([...INTERESTING, r.int(-5_000, 5_000), r.int(-200_000, 200_000)]));
      return b;
    }
    case 4:
    case 5:
      if (ip + 13 < b.length) b[ip + 13] = r.chance(0.5) ? (b[ip + 13] as number) ^ (1 << r.int(0, 7)) : r.int(0, 255);
      return b;
    case 6:
      put16(b, ip + 14, r.pick(INTERESTING));
      return b;
    case 7:
      put16(b, ip + 18, r.pick(INTERESTING));
      return b;
    case 8:
      if (ip + 12 < b.length) b[ip + 12] = r.int(0, 255);
      return b;
    case 9: {
      // an octet of the options
      const at = ip + 20 + r.int(0, Math.max(0, header - 21));
      if (at < b.length) b[at] = r.pick([0, 1, 2, 3, 4, 5, 8, 10, 28, 253, 255, r.int(0, 255)]);
      return b;
    }
    case 10: // cut off, with the length told right or left as it was
      b = b.slice(0, r.int(1, b.length));
      if (r.chance(0.7)) put16(b, 2, b.length);
      return b;
    case 11: {
      const longer = new Uint8Array(Math.min(1_500, b.length + r.int(1, 200)));
      longer.set(b.subarray(0, longer.length));
      if (r.chance(0.7)) put16(longer, 2, longer.length);
      return longer;
    }
    case 12: // fragments
      put16(b, 6, r.pick([0x2000, 0x4000, 0x8000, 1, 0x1fff, 0x2001, r.int(0, 65_535)]));
      return b;
    case 13:
      b[r.int(0, Math.min(19, b.length - 1))] = r.int(0, 255);
      return b;
    case 14: // timestamps
      put32(b, ip + 20 + r.pick([4, 8]), r.uint32());
      return b;
    default: // text that another frame has
      for (let at = ip + header; at < b.length; at++) b[at] = (b[at] as number) ^ r.int(0, 255);
      return b;
  }
}
