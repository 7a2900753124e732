/** What the applications send: octets that say where in which stream they belong, so that a misplaced one shows. */
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { Random } from "./random.js";

/** A prime, so that no power of two of octets brings the same again. */
const PERIOD = 65_521;
const random = new Random(0x676c6173);
const octets = new Uint8Array(2 * PERIOD);
for (let i = 0; i < PERIOD; i++) octets[i] = octets[i + PERIOD] = random.uint32() >>> 24;

export const PATTERN = plainMemory(octets);
/** Longest piece of a stream that lies in one place. */
export const PIECE_MAX = PERIOD;
const buffer = Buffer.from(octets.buffer);

/** Where the octet at `position` of stream `stream` lies in {@link PATTERN}; as many as {@link PIECE_MAX} follow it. */
export const patternOffset = (stream: number, position: number): number => (stream * 7_919 + position) % PERIOD;

/** @returns whether these octets are those of the stream at `position` */
export function matches(stream: number, position: number, bytes: Uint8Array, from: number, length: number): boolean {
  for (let done = 0; done < length; ) {
    const n = Math.min(length - done, PERIOD),
      at = patternOffset(stream, position + done);
    if (buffer.compare(bytes, from + done, from + done + n, at, at + n) !== 0) return false;
    done += n;
  }
  return true;
}
