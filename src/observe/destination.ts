/**
 * Where log lines go: a file descriptor, written asynchronously in large pieces, bounded, never in the way of TCP.
 * It is a pino destination (`write(line)`). pino's own (sonic-boom) is not used for two reasons, both seen in its
 * source: each write measures the whole 16 KiB piece again, and its `flushSync` never ends when the disk is full.
 */
import { closeSync, openSync, write as writeFd, writeSync } from "node:fs";
import { toBytes } from "./lines.js";

export interface DestinationOptions {
  /** Octets that may wait; lines beyond are lost and counted. */
  readonly limit?: number;
  /** How long a line may wait for company, milliseconds. */
  readonly delayMs?: number;
}

/** A piece is handed to the kernel at once when this much waits. */
const PIECE = 64 * 1024;
const BLOCK = 4 * PIECE;
/** After an error that may pass (disk full), milliseconds until the next try. */
const RETRY_MS = 250;
/** How long the last, synchronous flush may wait for a full pipe, milliseconds. */
const LAST_CALL_MS = 200;

export class Destination {
  #fd: number;
  readonly #path: string | undefined;
  readonly #limit: number;
  readonly #delayMs: number;
  #waiting = "";
  #waitingLines = 0;
  #flying: Buffer | undefined;
  #flyingLines = 0;
  /** What flies lies here: one piece at a time, so one block is enough, and no fresh memory is touched. */
  readonly #block = Buffer.allocUnsafeSlow(BLOCK);
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #idle: (() => void)[] = [];
  /** Lines that were not written: the buffer was full, or nobody reads any more. */
  lostLines = 0;
  /** Writes that failed (disk full, reader gone). */
  errors = 0;
  /** Code of the last failed write, for the status page. */
  lastError: string | undefined;
  #reported = 0;
  /** Makes a line that tells how many lines are missing; written once the way is free again. */
  lostLine: ((lines: number) => string) | undefined;

  /** @param to a descriptor, or a path that is appended to (opened now; throws the system's error) */
  constructor(to: number | string, options: DestinationOptions = {}) {
    this.#path = typeof to === "string" ? to : undefined;
    this.#fd = typeof to === "string" ? openSync(to, "a", 0o640) : to;
    this.#limit = options.limit ?? 8 * 1024 * 1024;
    this.#delayMs = options.delayMs ?? 5;
  }

  write(line: string): void { this.writeBytes(toBytes(line)); }

  /** @param line one character per octet, see `eventBytes` in lines.ts */
  writeBytes(line: string): void {
    if (this.#closed || this.#waiting.length + line.length > this.#limit) {
      this.lostLines++;
      return;
    }
    this.#waiting += line;
    this.#waitingLines++;
    if (this.#flying !== undefined) return;
    if (this.#waiting.length >= PIECE) this.#launch();
    else if (this.#timer === undefined) this.#timer = setTimeout(this.#launch, this.#delayMs);
  }

  get isFile(): boolean { return this.#path !== undefined; }

  /** Opens the file again by its name, after logrotate moved it. Nothing to do for a descriptor. */
  reopen(): void {
    if (this.#path === undefined || this.#closed) return;
    const old = this.#fd;
    this.#fd = openSync(this.#path, "a", 0o640);
    // A piece in flight may still use the old descriptor.
    void this.flush(1_000).then(() => closeSync(old));
  }

  /** Resolves when all lines are written, or after `timeoutMs` when they cannot be. */
  flush(timeoutMs = 500): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed || (this.#waiting === "" && this.#flying === undefined)) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(resolve, timeoutMs);
      this.#idle.push(done);
      if (this.#flying === undefined) this.#launch();
    });
  }

  /** Last call when the process ends without time to wait (the `exit` event): writes what waits, synchronously. */
  flushSync(): void {
    if (this.#closed) return;
    const rest = Buffer.from(this.#waiting, "latin1");
    this.#waiting = "";
    let at = 0;
    const deadline = Date.now() + LAST_CALL_MS;
    while (at < rest.length && Date.now() < deadline) {
      try {
        at += writeSync(this.#fd, rest, at);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
      }
    }
  }

  readonly #launch = (): void => {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#flying !== undefined || this.#closed) return;
    if (this.lostLines > this.#reported && this.lostLine !== undefined) {
      this.#waiting += toBytes(this.lostLine(this.lostLines - this.#reported));
      this.#reported = this.lostLines;
    }
    if (this.#waiting === "") {
      const idle = this.#idle;
      this.#idle = [];
      for (const done of idle) done();
      return;
    }
    this.#flying = this.#waiting.length <= BLOCK ? this.#block.subarray(0, this.#block.write(this.#waiting, 0, "latin1")) : Buffer.from(this.#waiting, "latin1");
    this.#flyingLines = this.#waitingLines;
    this.#waiting = "";
    this.#waitingLines = 0;
    this.#send();
  };

  #send(): void {
    const piece = this.#flying as Buffer;
    writeFd(this.#fd, piece, 0, piece.length, null, (error, written) => {
      if (error === null) {
        this.#flying = written < piece.length ? piece.subarray(written) : undefined;
        if (this.#flying === undefined) this.#launch();
        else this.#send();
        return;
      }
      if (error.code === "EAGAIN") {
        setTimeout(() => this.#send(), 10);
        return;
      }
      this.errors++;
      this.lastError = error.code;
      if (error.code === "EPIPE" || error.code === "EBADF") {
        this.lostLines += this.#flyingLines + this.#waitingLines;
        this.#flying = undefined;
        this.#closed = true;
        this.#waiting = "";
        for (const done of this.#idle.splice(0)) done();
        return;
      }
      setTimeout(() => this.#send(), RETRY_MS).unref();
    });
  }
}
