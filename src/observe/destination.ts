/**
 * Where log lines go: a file descriptor, written asynchronously in large pieces, bounded, never in the way of TCP.
 * It is a pino destination (`write(line)`). pino's own (sonic-boom) is not used for two reasons, both seen in its
 * source: each write measures the whole 16 KiB piece again, and its `flushSync` never ends when the disk is full.
 */
import { closeSync, openSync, write as writeFd, writeSync } from "node:fs";
import { Octets } from "./octets.js";

export interface DestinationOptions {
  /** Octets that may wait; lines beyond are lost and counted. */
  readonly limit?: number;
  /** How long a line may wait for company, milliseconds. */
  readonly delayMs?: number;
}

/** Lines are gathered in pieces of this size; a full one is handed to the kernel at once. */
const PIECE = 256 * 1024;
/** Empty pieces that are kept. */
const SPARE = 4;
/** After an error that may pass (disk full), milliseconds until the next try. */
const RETRY_MS = 250;
/** How long the last, synchronous flush may wait for a full pipe, milliseconds. */
const LAST_CALL_MS = 150;

export class Destination {
  #fd: number;
  readonly #path: string | undefined;
  readonly #limit: number;
  readonly #delayMs: number;
  /** The piece that lines go into, those that are full, and the one that the kernel is writing. */
  #open = new Octets(PIECE);
  #full: Octets[] = [];
  #flying: Octets | undefined;
  /** Octets of `#flying` that are written. */
  #written = 0;
  readonly #spare: Octets[] = [];
  #waiting = 0;
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
    this.#limit = options.limit ?? 32 * 1024 * 1024;
    this.#delayMs = options.delayMs ?? 5;
  }

  write(line: string): void {
    this.#write(line, this.#limit);
  }

  #write(line: string, limit: number): void {
    const octets = Buffer.byteLength(line),
      piece = this.#room(octets, limit, 1);
    if (piece === undefined) return;
    piece.utf8(line);
    piece.lines++;
    this.#wrote(octets);
  }

  /** @param octets whole lines, copied */
  writeLines(octets: Uint8Array, lines: number): void {
    const piece = this.#room(octets.length, this.#limit, lines);
    if (piece === undefined) return;
    piece.octets(octets);
    piece.lines += lines;
    this.#wrote(octets.length);
  }

  /** The piece to write up to `octets` into, or undefined when they are too many and the lines are lost. */
  #room(octets: number, limit: number, lines: number): Octets | undefined {
    if (this.#closed || this.#waiting + Math.min(octets, this.#limit >> 3) > limit) {
      this.lostLines += lines;
      return undefined;
    }
    if (this.#open.room < octets) {
      if (this.#open.at > 0) this.#full.push(this.#open);
      this.#open = octets > PIECE ? new Octets(octets) : (this.#spare.pop() ?? new Octets(PIECE));
    }
    return this.#open;
  }
  #wrote(octets: number): void {
    this.#waiting += octets;
    if (this.#flying !== undefined) return;
    if (this.#full.length > 0) this.#launch();
    else this.#timer ??= setTimeout(this.#launch, this.#delayMs);
  }

  get isFile(): boolean {
    return this.#path !== undefined;
  }

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
      if (this.#closed || (this.#waiting === 0 && this.#flying === undefined)) return resolve();
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
    const pieces = [...this.#full, this.#open];
    this.#full = [];
    this.#open = new Octets(PIECE);
    this.#waiting = 0;
    const deadline = Date.now() + LAST_CALL_MS;
    for (const piece of pieces) {
      for (let at = 0; at < piece.at && Date.now() < deadline; ) {
        try {
          at += writeSync(this.#fd, piece.bytes, at, piece.at - at);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
        }
      }
    }
  }

  readonly #launch = (): void => {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#flying !== undefined || this.#closed) return;
    if (this.lostLines > this.#reported && this.lostLine !== undefined) {
      const lost = this.lostLines - this.#reported;
      this.#reported = this.lostLines;
      this.#write(this.lostLine(lost), Infinity);
    }
    let piece = this.#full.shift();
    if (piece === undefined && this.#open.at > 0) {
      piece = this.#open;
      this.#open = this.#spare.pop() ?? new Octets(PIECE);
    }
    if (piece === undefined) {
      const idle = this.#idle;
      this.#idle = [];
      for (const done of idle) done();
      return;
    }
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flying = piece;
    this.#written = 0;
    this.#waiting -= piece.at;
    this.#send(piece);
  };

  #send(piece: Octets): void {
    writeFd(this.#fd, piece.bytes, this.#written, piece.at - this.#written, null, (error, written) => {
      if (error === null) {
        this.#written += written;
        if (this.#written < piece.at) return this.#send(piece);
        this.#flying = undefined;
        piece.clear();
        if (this.#spare.length < SPARE && piece.bytes.length === PIECE) this.#spare.push(piece);
        // A few lines do not fly at once behind the last ones: a call for each connection would cost more than its lines.
        if (this.#full.length > 0 || this.#open.at === 0 || this.#idle.length > 0) return this.#launch();
        this.#timer ??= setTimeout(this.#launch, this.#delayMs);
        return;
      }
      if (error.code === "EAGAIN") {
        setTimeout(() => this.#send(piece), 10);
        return;
      }
      this.errors++;
      this.lastError = error.code;
      if (error.code === "EPIPE" || error.code === "EBADF") return this.#abandon(piece);
      setTimeout(() => this.#send(piece), RETRY_MS).unref();
    });
  }

  /** Nobody reads any more. */
  #abandon(piece: Octets): void {
    for (const p of [piece, ...this.#full, this.#open]) this.lostLines += p.lines;
    this.#flying = undefined;
    this.#full = [];
    this.#open.clear();
    this.#waiting = 0;
    this.#closed = true;
    for (const done of this.#idle.splice(0)) done();
  }
}
