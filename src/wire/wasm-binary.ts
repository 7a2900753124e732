/**
 * WebAssembly modules put together by hand, in the binary format of its specification: what is the same for each. The few that there
 * are take a page each, and a compiler for them would be the only build step besides tsc.
 */

/** The part of WebAssembly that is used here. The language's library has no types for it without the DOM's. */
export interface Wasm {
  Memory: new (descriptor: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: { readonly run: (a: number, b: number) => number } };
}
/** Not there where the engine may make no code at run time. */
export const wasm = (globalThis as unknown as { readonly WebAssembly?: Wasm }).WebAssembly;

/** Octets of a page of memory. */
export const PAGE = 65_536;

export const I32 = 0x7f,
  I64 = 0x7e,
  V128 = 0x7b;

/** LEB128. */
export const unsigned = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...unsigned(n >>> 7)]);
export const signed = (n: number): number[] => {
  const low = n & 127,
    rest = n >> 7;
  return (rest === 0 && (low & 64) === 0) || (rest === -1 && (low & 64) !== 0) ? [low] : [low | 128, ...signed(rest)];
};

export const get = (local: number): number[] => [0x20, local],
  set = (local: number): number[] => [0x21, local],
  tee = (local: number): number[] => [0x22, local];
export const i32 = (n: number): number[] => [0x41, ...signed(n)],
  i64 = (n: number): number[] => [0x42, ...signed(n)];
export const v128 = (op: number, ...more: number[]): number[] => [0xfd, ...unsigned(op), ...more];

/**
 * A module of one function, "run", of two i32 and with an i32 for a result, over the memory "glass.memory".
 * @param locals how many more of which type, in order; numbered from 2
 * @param body instructions without the last `end`
 */
export function oneFunction(locals: readonly (readonly [count: number, type: number])[], body: readonly number[]): Uint8Array {
  const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content];
  const name = (text: string): number[] => [text.length, ...Array.from(text, (c) => c.charCodeAt(0))];
  const code = [locals.length, ...locals.flat(), ...body, 0x0b];
  return new Uint8Array([
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, [1, 0x60, 2, I32, I32, 1, I32]),
    ...section(2, [1, ...name("glass"), ...name("memory"), 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("run"), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
}
