/** The log: pino for the daemon's own lines, and the events of the stack in the same format through the same destination. */
import { type Logger, pino } from "pino";
import { bitOf, type EventKind, type Observer, type TcpEvent } from "../tcp/events.js";
import { Destination } from "./destination.js";
import { kindsAt, type Level } from "./levels.js";
import { lineModule } from "./line-module.js";
import { LineWriter } from "./line-writer.js";
import { eventLine } from "./lines.js";
import { prettifier } from "./pretty.js";

export type LogFormat = "json" | "pretty";

export interface LogOptions {
  readonly level: Level;
  readonly format: LogFormat;
  /** Descriptor or path. */
  readonly to: number | string;
  /** Colours in the pretty format. */
  readonly colour?: boolean;
  /** Milliseconds since 1970; for tests. */
  readonly clock?: () => number;
}

/** SYNs to closed ports that get a line of their own; the counters have all of them. */
const REFUSALS_PER_SECOND = 100;

/** Events that may wait for the end of a turn. */
const WAITING = 1_024;

/** Counts of the log itself, for status and metrics. */
export interface LogCounters {
  readonly lines: number;
  readonly lostLines: number;
  readonly errors: number;
  readonly lastError: string | undefined;
}

export class Log implements Observer {
  readonly logger: Logger;
  readonly #destination: Destination;
  readonly #prettify: ((line: string) => string) | undefined;
  /** Of JSON; undefined where all lines are made the plain way. */
  readonly #writer: LineWriter | undefined;
  readonly #clock: () => number;
  #level: Level;
  /** Bits of the kinds that the level shows. */
  #wants: number;
  /** Events of this turn that are not lines yet. */
  readonly #events: (TcpEvent | undefined)[] = [];
  #waiting = 0;
  #defers = false;
  /** When the turn's first event was: a turn is one instant to the core as well, and asking for each costs. */
  #turnTime = 0;
  #lines = 0;
  #refusalSecond = -1;
  #refusals = 0;

  /** Throws the system's error when the file cannot be opened. */
  constructor(options: LogOptions) {
    this.#clock = options.clock ?? Date.now;
    this.#level = options.level;
    this.#wants = kindsAt(options.level);
    const destination = new Destination(options.to);
    this.#destination = destination;
    const prettify = options.format === "pretty" ? prettifier(options.colour ?? false) : undefined;
    this.#prettify = prettify;
    const module = prettify === undefined ? lineModule(LineWriter.octets) : undefined;
    this.#writer = module && new LineWriter(module, (octets, lines) => destination.writeLines(octets, lines));
    const write = (line: string): void => destination.write(prettify === undefined ? line : prettify(line));
    destination.lostLine = (lines) => {
      const line = `{"level":40,"time":${this.#clock()},"event":"log-lost","lines":${lines},"msg":"log lines lost: they could not be written"}\n`;
      return prettify === undefined ? line : prettify(line);
    };
    this.logger = pino(
      { level: options.level, base: null },
      {
        write: (line: string): void => {
          this.settle();
          this.#lines++;
          write(line);
        },
      },
    );
  }

  wants(kind: EventKind): boolean {
    return (this.#wants & bitOf(kind)) !== 0;
  }

  event(event: TcpEvent): void {
    // Another observer may have asked for a kind that is off here.
    if (!this.wants(event.kind) || (event.kind === "refused" && !this.#mayTellRefusal())) return;
    this.#put(event);
  }

  /** A turn begins: until `turnEnds`, or until there are {@link WAITING} of them, events wait. What answers the peer goes first. */
  turnBegins(): void {
    this.#defers = true;
    this.#turnTime = 0;
  }
  turnEnds(): void {
    this.#defers = false;
    this.settle();
  }
  /** Makes lines of the events that wait. */
  settle(): void {
    const count = this.#waiting;
    if (count === 0) return;
    this.#waiting = 0;
    for (let i = 0; i < count; i++) {
      this.#write(this.#events[i] as TcpEvent, this.#turnTime);
      this.#events[i] = undefined;
    }
    this.#writer?.handOver();
  }

  /** A stranger's SYN to a closed port costs him one packet: it must not cost us a line each. */
  #mayTellRefusal(): boolean {
    const second = Math.floor(this.#clock() / 1_000);
    if (second !== this.#refusalSecond) {
      if (this.#refusals > REFUSALS_PER_SECOND)
        this.#put({ kind: "limit", limit: "refused lines per second", value: REFUSALS_PER_SECOND, shed: this.#refusals - REFUSALS_PER_SECOND });
      this.#refusalSecond = second;
      this.#refusals = 0;
    }
    return ++this.#refusals <= REFUSALS_PER_SECOND;
  }

  #put(event: TcpEvent): void {
    this.#lines++;
    if (!this.#defers) {
      this.#write(event, this.#clock());
      this.#writer?.handOver();
      return;
    }
    if (this.#waiting === WAITING) this.settle();
    if (this.#turnTime === 0) this.#turnTime = this.#clock();
    this.#events[this.#waiting++] = event;
  }
  #write(event: TcpEvent, time: number): void {
    const writer = this.#writer;
    if (writer !== undefined) {
      if (writer.add(event, time)) return;
      writer.handOver();
    }
    const line = eventLine(event, time);
    this.#destination.write(this.#prettify === undefined ? line : this.#prettify(line));
  }

  /** A line of the daemon that is written whatever the level is. */
  always(fields: Readonly<Record<string, unknown>>, msg: string): void {
    const before = this.logger.level;
    this.logger.level = "info";
    this.logger.info(fields, msg);
    this.logger.level = before;
  }

  get level(): Level {
    return this.#level;
  }
  set level(level: Level) {
    this.#level = level;
    this.#wants = kindsAt(level);
    this.logger.level = level;
  }

  get counters(): LogCounters {
    this.settle();
    const d = this.#destination;
    return { lines: this.#lines, lostLines: d.lostLines, errors: d.errors, lastError: d.lastError };
  }
  /** Whether the log is a file, which can be opened again by its name. */
  get isFile(): boolean {
    return this.#destination.isFile;
  }
  reopen(): void {
    this.settle();
    this.#destination.reopen();
  }
  flush(timeoutMs?: number): Promise<void> {
    this.settle();
    return this.#destination.flush(timeoutMs);
  }
  flushSync(): void {
    this.settle();
    this.#destination.flushSync();
  }
}
