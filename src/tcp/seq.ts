/** Sequence numbers (RFC 9293 §3.4): points on the circle of 2^32, typed so that `<`, `+` and `-` do not compile. */

declare const brand: unique symbol;
/** A point on the circle. An int32 at run time; typed as a kind of symbol, so that no operator but `===` compiles. */
export type Seq = symbol & { readonly [brand]: "Seq" };

const int = (s: Seq): number => s as unknown as number;

/** The only way in: any integer, taken modulo 2^32. */
export const seq = (n: number): Seq => (n | 0) as unknown as Seq;
/** The only way out: 0 to 2^32-1, as the header carries it. */
export const toWire = (s: Seq): number => int(s) >>> 0;
export const add = (s: Seq, octets: number): Seq => ((int(s) + octets) | 0) as unknown as Seq;
/** How far b lies ahead of a; negative when behind. Meaningful within half the circle. */
export const diff = (a: Seq, b: Seq): number => (int(b) - int(a)) | 0;
export const lt = (a: Seq, b: Seq): boolean => ((int(b) - int(a)) | 0) > 0;
export const leq = (a: Seq, b: Seq): boolean => ((int(b) - int(a)) | 0) >= 0;
export const gt = (a: Seq, b: Seq): boolean => ((int(a) - int(b)) | 0) > 0;
export const geq = (a: Seq, b: Seq): boolean => ((int(a) - int(b)) | 0) >= 0;
/** low =< x < low + span, on the circle (span below 2^31). */
export const inWindow = (x: Seq, low: Seq, span: number): boolean => ((int(x) - int(low)) | 0) >= 0 && ((int(x) - int(low)) | 0) < span;
export const max = (a: Seq, b: Seq): Seq => (lt(a, b) ? b : a);
export const min = (a: Seq, b: Seq): Seq => (lt(a, b) ? a : b);
