/**
 * A line from its parts, as a WebAssembly module: texts are copied sixteen octets at a time, numbers become digits in place. The same
 * in JavaScript takes four times as long, most of it for calls and checks of bounds around a few octets each.
 */
import { get, I32, i32, oneFunction, PAGE, set, tee, unsigned, v128, type Wasm, wasm } from "../wire/wasm-binary.js";

/**
 * A step copies a text and then writes what its kind says. Four words of 32 bits: where the text lies, its octets, the kind, the number.
 */
export const STEP_WORDS = 4,
  TEXT = 0,
  LENGTH = 1,
  KIND = 2,
  NUMBER = 3;
/** The line ends with the text. */
export const KIND_END = 0;
/** A whole number follows. */
export const KIND_WHOLE = 1;
/** Thousandths, as a whole number and up to three decimals, follow. */
export const KIND_THOUSANDTHS = 2;
/** Nothing follows but the next step. */
export const KIND_NONE = 3;
/** Texts are read, and lines written, this far beyond their ends. */
export const OVERSHOOT = 16;

/** What the module keeps at the beginning of the memory: "00" to "99", and the powers of ten. */
const PAIRS_AT = 0,
  POWERS_AT = 200;
export const FIRST_FREE = 240;

export interface LineModule {
  readonly bytes: Uint8Array;
  /** The memory by words of 32 bits. */
  readonly words: Uint32Array;
  /**
   * Writes a line.
   * @param at where to, an offset of `bytes` with room for the line and OVERSHOOT
   * @param steps offset of the first step
   * @returns the end of the line
   */
  readonly run: (at: number, steps: number) => number;
}

/** Undefined where the engine makes no code at run time or knows no SIMD, and on machines whose words are not in the module's order. */
export function lineModule(octets: number, engine: Wasm | undefined | null = wasm): LineModule | undefined {
  if (engine === undefined || engine === null || new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1) return undefined;
  const pages = Math.ceil(octets / PAGE);
  try {
    const memory = new engine.Memory({ initial: pages, maximum: pages }),
      { run } = new engine.Instance(new engine.Module(assemble()), { glass: { memory } }).exports,
      bytes = new Uint8Array(memory.buffer),
      words = new Uint32Array(memory.buffer);
    for (let n = 0; n < 100; n++) bytes.set([48 + Math.floor(n / 10), 48 + (n % 10)], PAIRS_AT + 2 * n);
    for (let n = 0; n < 10; n++) words[POWERS_AT / 4 + n] = 10 ** n;
    return { bytes, words, run };
  } catch {
    return undefined;
  }
}

function assemble(): Uint8Array {
  const AT = 0,
    STEP = 1,
    FROM = 2,
    END = 3,
    KIND_NOW = 4,
    N = 5,
    TENS = 6,
    TO = 7,
    REST = 8;
  const block = [0x02, 0x40],
    loop = [0x03, 0x40],
    when = [0x04, 0x40],
    otherwise = [0x05],
    end = [0x0b],
    isZero = [0x45],
    same = [0x46],
    differs = [0x47],
    below = [0x49],
    leadingZeros = [0x67],
    plus = [0x6a],
    minus = [0x6b],
    times = [0x6c],
    over = [0x6e],
    or = [0x72],
    shiftRight = [0x76];
  const branch = (depth: number): number[] => [0x0c, depth],
    branchIf = (depth: number): number[] => [0x0d, depth];
  const load = (ahead: number): number[] => [0x28, 0, ...unsigned(ahead)],
    load16 = (ahead: number): number[] => [0x2f, 0, ...unsigned(ahead)],
    store8 = (ahead: number): number[] => [0x3a, 0, ...unsigned(ahead)],
    store16 = (ahead: number): number[] => [0x3b, 0, ...unsigned(ahead)];
  const word = (index: number): number[] => [...get(STEP), ...load(4 * index)];
  /** TENS = n / by, and n - TENS * by. */
  const divide = (n: number, by: number): number[] => [...get(n), ...get(n), ...i32(by), ...over, ...tee(TENS), ...i32(by), ...times, ...minus];
  /** The two digits of the number on the stack. */
  const pairOf = [...i32(2), ...times, ...load16(PAIRS_AT)];

  const copy = [
    ...word(TEXT),
    ...set(FROM),
    ...get(AT),
    ...word(LENGTH),
    ...plus,
    ...set(END),
    ...loop,
    ...get(AT),
    ...get(FROM),
    ...v128(0, 0, 0),
    ...v128(11, 0, 0),
    ...get(FROM),
    ...i32(16),
    ...plus,
    ...set(FROM),
    ...get(AT),
    ...i32(16),
    ...plus,
    ...tee(AT),
    ...get(END),
    ...below,
    ...branchIf(0),
    ...end,
    ...get(END),
    ...set(AT),
  ];
  // log10 from log2: 1233/4096 is log10(2) closely enough for 32 bits, and the power of ten tells whether it is one too many.
  const makeRoomForDigits = [
    ...get(AT),
    ...i32(1),
    ...plus,
    ...i32(32),
    ...get(N),
    ...i32(1),
    ...or,
    ...tee(TO),
    ...leadingZeros,
    ...minus,
    ...i32(1233),
    ...times,
    ...i32(12),
    ...shiftRight,
    ...tee(TENS),
    ...plus,
    ...get(TO),
    ...get(TENS),
    ...i32(4),
    ...times,
    ...load(POWERS_AT),
    ...below,
    ...minus,
    ...tee(AT),
    ...set(TO),
  ];
  const whole = [
    ...makeRoomForDigits,
    ...block,
    ...loop,
    ...get(N),
    ...i32(100),
    ...below,
    ...branchIf(1),
    ...get(TO),
    ...i32(2),
    ...minus,
    ...tee(TO),
    ...divide(N, 100),
    ...pairOf,
    ...store16(0),
    ...get(TENS),
    ...set(N),
    ...branch(0),
    ...end,
    ...end,
    ...get(N),
    ...i32(10),
    ...below,
    ...when,
    ...get(TO),
    ...i32(1),
    ...minus,
    ...get(N),
    ...i32(48),
    ...plus,
    ...store8(0),
    ...otherwise,
    ...get(TO),
    ...i32(2),
    ...minus,
    ...get(N),
    ...pairOf,
    ...store16(0),
    ...end,
  ];
  const decimals = [
    ...get(REST),
    ...when,
    ...divide(REST, 100),
    ...set(REST),
    ...get(AT),
    ...i32(".".charCodeAt(0)),
    ...store8(0),
    ...get(AT),
    ...get(TENS),
    ...i32(48),
    ...plus,
    ...store8(1),
    ...get(AT),
    ...get(REST),
    ...pairOf,
    ...store16(2),
    // Without the zeros at the end.
    ...get(AT),
    ...i32(2),
    ...plus,
    ...get(REST),
    ...isZero,
    ...isZero,
    ...plus,
    ...divide(REST, 10),
    ...isZero,
    ...isZero,
    ...plus,
    ...set(AT),
    ...end,
  ];
  return oneFunction(
    [[7, I32]],
    [
      ...loop,
      ...copy,
      ...word(KIND),
      ...tee(KIND_NOW),
      ...when,
      ...get(KIND_NOW),
      ...i32(KIND_NONE),
      ...differs,
      ...when,
      ...word(NUMBER),
      ...set(N),
      ...i32(0),
      ...set(REST),
      ...get(KIND_NOW),
      ...i32(KIND_THOUSANDTHS),
      ...same,
      ...when,
      ...divide(N, 1_000),
      ...set(REST),
      ...get(TENS),
      ...set(N),
      ...end,
      ...whole,
      ...decimals,
      ...end,
      ...get(STEP),
      ...i32(4 * STEP_WORDS),
      ...plus,
      ...set(STEP),
      ...branch(1),
      ...end,
      ...end,
      ...get(AT),
    ],
  );
}
