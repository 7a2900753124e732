/** Initial sequence numbers by RFC 6528: a 4-microsecond clock plus a keyed hash of the connection's two ends. */
import { seq, type Seq } from "./seq.js";

/**
 * SipHash-2-4 of up to four 32-bit words under a 128-bit key, the low 32 bits of it. A sound pseudo-random function that
 * is fast on short input. 64-bit words are held as pairs of 32-bit halves.
 */
export function keyedHash(key: Uint32Array, a: number, b: number, c: number, d: number): number {
  const k0l = key[0] as number,
    k0h = key[1] as number,
    k1l = key[2] as number,
    k1h = key[3] as number;
  let v0l = k0l ^ 0x70736575,
    v0h = k0h ^ 0x736f6d65,
    v1l = k1l ^ 0x6e646f6d,
    v1h = k1h ^ 0x646f7261;
  let v2l = k0l ^ 0x6e657261,
    v2h = k0h ^ 0x6c796765,
    v3l = k1l ^ 0x79746573,
    v3h = k1h ^ 0x74656462;
  // Two words of message, then the length word, then finalization: 2, 2, 2 and 4 rounds.
  for (let block = 0; block < 4; block++) {
    const ml = block === 0 ? a : block === 1 ? c : 0,
      mh = block === 0 ? b : block === 1 ? d : block === 2 ? 0x10000000 : 0;
    if (block < 3) {
      v3l ^= ml;
      v3h ^= mh;
    } else v2l ^= 0xff;
    for (let round = block < 3 ? 2 : 4; round > 0; round--) {
      let low = (v0l + v1l) | 0;
      v0h = (v0h + v1h + (((v0l & v1l) | ((v0l | v1l) & ~low)) >>> 31)) | 0;
      v0l = low;
      low = (v2l + v3l) | 0;
      v2h = (v2h + v3h + (((v2l & v3l) | ((v2l | v3l) & ~low)) >>> 31)) | 0;
      v2l = low;
      let t = (v1l << 13) | (v1h >>> 19);
      v1h = (v1h << 13) | (v1l >>> 19);
      v1l = t;
      t = (v3l << 16) | (v3h >>> 16);
      v3h = (v3h << 16) | (v3l >>> 16);
      v3l = t;
      v1l ^= v0l;
      v1h ^= v0h;
      v3l ^= v2l;
      v3h ^= v2h;
      t = v0l;
      v0l = v0h;
      v0h = t;
      low = (v2l + v1l) | 0;
      v2h = (v2h + v1h + (((v2l & v1l) | ((v2l | v1l) & ~low)) >>> 31)) | 0;
      v2l = low;
      low = (v0l + v3l) | 0;
      v0h = (v0h + v3h + (((v0l & v3l) | ((v0l | v3l) & ~low)) >>> 31)) | 0;
      v0l = low;
      t = (v1l << 17) | (v1h >>> 15);
      v1h = (v1h << 17) | (v1l >>> 15);
      v1l = t;
      t = (v3l << 21) | (v3h >>> 11);
      v3h = (v3h << 21) | (v3l >>> 11);
      v3l = t;
      v1l ^= v2l;
      v1h ^= v2h;
      v3l ^= v0l;
      v3h ^= v0h;
      t = v2l;
      v2l = v2h;
      v2h = t;
    }
    if (block < 3) {
      v0l ^= ml;
      v0h ^= mh;
    }
  }
  return v0l ^ v1l ^ v2l ^ v3l;
}

/** RFC 6528 §3: ISN = M + F(localip, localport, remoteip, remoteport, secretkey). `nowMs`: milliseconds; M ticks every 4 µs. */
export function initialSequence(key: Uint32Array, local: number, remote: number, ports: number, nowMs: number): Seq {
  return seq(Math.floor(nowMs * 250) + keyedHash(key, local, remote, ports, 0x49534e));
}
