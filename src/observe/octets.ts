/** A block that lines are gathered in. */
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

  octets(from: Uint8Array): void {
    this.bytes.set(from, this.at);
    this.at += from.length;
  }
  /** Any text, as UTF-8. The caller has seen to the room. */
  utf8(text: string): void {
    this.at += this.bytes.write(text, this.at, "utf8");
  }
}
