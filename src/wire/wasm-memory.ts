/**
 * {@link Memory} in two makes: a fixed WebAssembly.Memory with a SIMD checksum that sums it in place, and a plain
 * Uint8Array, which is the reference that the tests hold the first one to.
 *
 * Make few and large ones: each reserves some GiB of address space for guard pages, and V8 gives out a few thousand in
 * all. Connections take parts of a slab.
 */
import type { Memory } from "./memory.js";
import { get, I32, I64, i32, i64, oneFunction, PAGE, set, tee, unsigned, V128, v128, type Wasm, wasm } from "./wasm-binary.js";

/**
 * A zeroed block that never moves and never grows.
 * @param octets 0 to 2^31 - 1; the block is as long as asked
 * @param simd false: sum in JavaScript although the machine has SIMD (for tests)
 */
export function createMemory(octets: number, simd = true): Memory {
  if (!Number.isInteger(octets) || octets < 0 || octets > 0x7fffffff) throw new RangeError(`a block of ${octets} octets cannot be made`);
  if (wasm === undefined) return new Block(new Uint8Array(octets), undefined);
  const pages = Math.max(1, Math.ceil(octets / PAGE));
  const memory = new wasm.Memory({ initial: pages, maximum: pages });
  let sum: ((from: number, to: number) => number) | undefined;
  if (simd && (compiled ??= compile(wasm)) !== null) sum = new wasm.Instance(compiled, { glass: { memory } }).exports.run;
  return new Block(new Uint8Array(memory.buffer, 0, octets), sum);
}

/** The block that `bytes` are, summed in JavaScript. Their buffer must not be resized or transferred. */
export function plainMemory(bytes: Uint8Array): Memory {
  return new Block(bytes, undefined);
}

/** From here on the call into the module pays for itself; headers are shorter. */
const SIMD_FROM = 128;

/** WebAssembly always is; the machine's own words may not be. */
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

class Block implements Memory {
  readonly bytes: Uint8Array;
  readonly #simd: ((from: number, to: number) => number) | undefined;
  /** The whole buffer that `bytes` lie in, by words of the machine. */
  readonly #words: Uint16Array;

  constructor(bytes: Uint8Array, simd: ((from: number, to: number) => number) | undefined) {
    this.bytes = bytes;
    this.#simd = simd;
    this.#words = new Uint16Array(bytes.buffer, 0, bytes.buffer.byteLength >> 1);
  }

  sum(offset: number, length: number): number {
    const bytes = this.bytes;
    if (offset < 0 || length < 0 || offset + length > bytes.length)
      throw new RangeError(`octets ${offset} + ${length} are outside the block of ${bytes.length}`);
    // RFC 1071 §2(B): the sum is the same in either byte order, up to swapping its own two octets. Here it is little-endian.
    let sum = 0,
      at = offset;
    const end = offset + length;
    if (length >= SIMD_FROM) {
      if (this.#simd !== undefined) {
        const blocks = length & ~63;
        sum = this.#simd(at, at + blocks) >>> 0;
        at += blocks;
      } else if (LITTLE_ENDIAN) {
        const odd = (bytes.byteOffset + at) & 1;
        let word = (bytes.byteOffset + at + odd) >> 1;
        const words = this.#words,
          last = word + ((length - odd) >> 1);
        for (; word < last; word++) sum += words[word] as number;
        if (odd === 1) {
          // From the second octet on each word stands the other way round.
          sum = swap(fold(sum)) + (bytes[at] as number);
        }
        at += odd + ((length - odd) & ~1);
        // What is left is one octet at most: the first of a word, or after an odd start the second.
        if (at < end) sum += odd === 1 ? (bytes[at++] as number) << 8 : (bytes[at++] as number);
      }
    }
    const even = end - 1;
    for (; at < even; at += 2) sum += (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    if (at < end) sum += bytes[at] as number;
    return swap(fold(sum));
  }
}

/** To 16 bits. 2^31 octets of 0xff sum to less than 2^47, so the number is exact until here. */
function fold(sum: number): number {
  if (sum > 0xffffffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}

function swap(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8);
}

let compiled: object | null | undefined;

/** null where the engine refuses SIMD. */
function compile(engine: Wasm): object | null {
  try {
    return new engine.Module(assemble());
  } catch {
    return null;
  }
}

/**
 * The module for
 *
 *     sum(from, to): native-order sum of the 16-bit words in [from, to), a multiple of 64 octets, as an i64 folded to i32
 *
 * Two accumulators of four 32-bit lanes take 32 words a turn: extadd_pairwise adds neighbours first, so that a lane grows
 * by at most 2 * 2 * 0xffff a turn and holds 16,384 turns, 1 MiB. Longer runs are summed in laps of that.
 */
function assemble(): Uint8Array {
  const FROM = 0,
    TO = 1,
    LAP = 2,
    TOTAL = 3,
    EVEN = 4,
    ODD = 5;
  const load = (ahead: number): number[] => [...get(FROM), ...v128(0, 0, ...unsigned(ahead))];
  const pairs = v128(0x7f),
    addLanes = v128(0xae),
    zero = v128(12, ...new Array<number>(16).fill(0));
  const accumulate = (into: number, first: number): number[] => [
    ...get(into),
    ...load(first),
    ...pairs,
    ...addLanes,
    ...load(first + 16),
    ...pairs,
    ...addLanes,
    ...set(into),
  ];
  const lane = (from: number, n: number): number[] => [...get(from), ...v128(27, n), 0xad]; // extract_lane, i64.extend_i32_u

  const body = [
    0x02,
    0x40,
    0x03,
    0x40, //                                                block, loop over laps
    ...get(FROM),
    ...get(TO),
    0x4f,
    0x0d,
    1, //                                 from >= to: leave
    ...zero,
    ...set(EVEN),
    ...zero,
    ...set(ODD),
    ...get(FROM),
    ...i32(1 << 20),
    0x6a,
    ...tee(LAP),
    ...get(TO), //            lap = min(from + 1 MiB, to)
    ...get(LAP),
    ...get(TO),
    0x49,
    0x1b,
    ...set(LAP),
    0x03,
    0x40, //                                                              loop over 64 octets
    ...accumulate(EVEN, 0),
    ...accumulate(ODD, 32),
    ...get(FROM),
    ...i32(64),
    0x6a,
    ...tee(FROM),
    ...get(LAP),
    0x49,
    0x0d,
    0,
    0x0b,
    ...get(TOTAL),
    ...[0, 1, 2, 3].flatMap((n) => [...lane(EVEN, n), 0x7c, ...lane(ODD, n), 0x7c]),
    ...set(TOTAL),
    0x0c,
    0,
    0x0b,
    0x0b,
    ...get(TOTAL),
    ...i64(0xffff),
    0x83,
    ...get(TOTAL),
    ...i64(16),
    0x88,
    0x7c,
    0xa7, // fold once: fits 32 bits
  ];
  return oneFunction(
    [
      [1, I32],
      [1, I64],
      [2, V128],
    ],
    body,
  );
}
