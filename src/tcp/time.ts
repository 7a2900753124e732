/** Time as an argument. Milliseconds since some start, with fractions; the core never asks a clock. */
declare const brand: unique symbol;
export type Millis = number & { readonly [brand]: "Millis" };
export const Millis = (n: number): Millis => n as Millis;
/** Later than everything: a timer that is not armed. */
export const NEVER = Infinity as Millis;
export const after = (t: Millis, ms: number): Millis => (t + ms) as Millis;
