/**
 * A block that lines are written into octet by octet. Strings would be the plainer way, but a line of thirty parts leaves
 * a tree of strings behind, and at a hundred thousand lines a second the garbage costs more than the lines.
 */

/** Room that a line of the core's own may need: no such line is longer. */
export const LINE_MAX = 2_048;

const ZERO = 48;

export class Octets {
  readonly bytes: Buffer;
  at = 0;
  lines = 0;
  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  get room(): number {
    return this.bytes.length - this.at;
  }
  clear(): void {
    this.at = 0;
    this.lines = 0;
  }

  /** ASCII text. */
  ascii(text: string): void {
    const b = this.bytes;
    let at = this.at;
    for (let i = 0; i < text.length; i++) b[at++] = text.charCodeAt(i);
    this.at = at;
  }
  /** Octets that are the same in many lines: some dozens at a time, or the call costs more than the copying. */
  copy(from: Uint8Array): void {
    this.bytes.set(from, this.at);
    this.at += from.length;
  }
  /** As `copy`, for parts of a larger block: a view of each would be garbage. */
  part(from: Uint8Array, offset: number, length: number): void {
    const b = this.bytes,
      at = this.at;
    for (let i = 0; i < length; i++) b[at + i] = from[offset + i] as number;
    this.at = at + length;
  }
  /** A whole number from 0 to 2^53. */
  whole(n: number): void {
    if (n < 0 || n > 0xffffffff) {
      this.ascii(String(n));
      return;
    }
    let digits = 1;
    for (let limit = 10; digits < 10 && n >= limit; limit *= 10) digits++;
    const b = this.bytes;
    let at = this.at + digits;
    this.at = at;
    do {
      const rest = Math.floor(n / 10);
      b[--at] = ZERO + (n - rest * 10);
      n = rest;
    } while (--digits > 0);
  }
  /** Milliseconds to a thousandth: longer fractions are noise. */
  millis(n: number): void {
    const thousandths = Math.round(n * 1_000);
    if (!(thousandths >= 0 && thousandths < 0xffffffff)) {
      this.ascii(Number.isFinite(n) ? String(thousandths / 1_000) : "null");
      return;
    }
    const whole = Math.floor(thousandths / 1_000);
    let rest = thousandths - whole * 1_000;
    this.whole(whole);
    if (rest === 0) return;
    const b = this.bytes;
    b[this.at++] = 46;
    for (let unit = 100; rest > 0; unit /= 10) {
      const digit = Math.floor(rest / unit);
      b[this.at++] = ZERO + digit;
      rest -= digit * unit;
    }
  }
  /** Any text, as UTF-8. The caller has seen to the room. */
  utf8(text: string): void {
    this.at += this.bytes.write(text, this.at, "utf8");
  }
}
