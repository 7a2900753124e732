/**
 * What an endpoint does wrong by itself: never reads, never closes, stops in the middle. A behaviour is a service (`http`,
 * `echo`, `discard`, `chargen`, `silent`, `garbage`) and how it fails, in the words of the fault language:
 *
 *   http body 1000 abort body 100        RST after 100 octets of a body of 1000
 *   http rate 50B/s                      drips
 *   discard never-read buffer 4kB        the window closes and stays closed
 */
import type { TcpOptions } from "../tcp/options.js";
import { FaultSpecError, formatDuration, formatRate, nearest, parseDuration, parseRate, parseSize, parseWhole, type Word, words } from "./words.js";

export const SERVICES = {
  http: "answers each HTTP/1.1 request with 200 and a body",
  echo: "says back what it hears (RFC 862)",
  discard: "reads and says nothing (RFC 863)",
  chargen: "talks without end (RFC 864)",
  silent: "accepts, acknowledges, never answers",
  garbage: "answers with octets that are no HTTP",
} as const;
export type ServiceName = keyof typeof SERVICES;

/** Where a stream is broken off: after so many octets, so many of a body, or instead of answering the nth request. */
export interface Point {
  readonly unit: "after" | "body" | "request";
  readonly n: number;
}

export interface Behaviour {
  service: ServiceName;
  /** Octets of the body, and how its end is told. */
  body: number;
  length: "true" | "none" | "chunked";
  status: number;
  /** Milliseconds from request to answer. */
  waitMs: number;
  /** Bits a second of what we say; Infinity: as TCP allows. */
  rate: number;
  fin?: Point;
  abort?: Point;
  stall?: Point;
  /** Connections are not taken: they fill the accept queue, and then the listener takes no more SYNs. */
  neverAccept: boolean;
  /** Length of the accept queue; 0: the stack's. */
  backlog: number;
  /** Never takes what arrived. */
  neverRead: boolean;
  /** Bits a second at which it reads. */
  readRate: number;
  /** CLOSE is never called, whatever the peer does. */
  neverFin: boolean;
  /** CLOSE after the first answer, once it is acknowledged. */
  close: boolean;
  /** CLOSE after so many milliseconds without a request. */
  idleMs: number;
  /** Receive buffer, octets; 0: the stack's. */
  buffer: number;
}

interface Entry {
  readonly usage: string;
  readonly about: string;
  read(value: Reading, b: Behaviour): void;
}
interface Reading {
  take<T>(what: string, read: (text: string) => T | undefined): T;
}

const whole =
  (min: number, max: number) =>
  (text: string): number | undefined => {
    const n = parseSize(text);
    return n === undefined || n < min || n > max ? undefined : n;
  };
const point = (r: Reading): Point => {
  const unit = r.take("after, body or request", (t) => (t === "after" || t === "body" || t === "request" ? t : undefined));
  return { unit, n: r.take(unit === "request" ? "a count from 1" : "octets", whole(unit === "request" ? 1 : 0, Number.MAX_SAFE_INTEGER)) };
};

/** Every word that follows a service. */
export const FAILINGS: Readonly<Record<string, Entry>> = {
  body: {
    usage: "body 1000",
    about: "octets of an HTTP body",
    read: (r, b) => {
      b.body = r.take("octets", whole(0, 1e12));
    },
  },
  length: {
    usage: "length true|none|chunked",
    about: "how the end of the body is told: Content-Length, only by FIN, in chunks",
    read: (r, b) => {
      b.length = r.take("true, none or chunked", (t) => (t === "true" || t === "none" || t === "chunked" ? t : undefined));
    },
  },
  status: {
    usage: "status 503",
    about: "the HTTP status",
    read: (r, b) => {
      b.status = r.take("100 to 599", (t) => {
        const n = parseWhole(t);
        return n !== undefined && n >= 100 && n < 600 ? n : undefined;
      });
    },
  },
  wait: {
    usage: "wait 3s",
    about: "thinks so long before each answer",
    read: (r, b) => {
      b.waitMs = r.take("a time such as 3s", parseDuration);
    },
  },
  rate: {
    usage: "rate 50B/s",
    about: "talks no faster than that",
    read: (r, b) => {
      b.rate = r.take("a rate such as 50B/s", (t) => parseRate(t) || undefined);
    },
  },
  fin: {
    usage: "fin after 0",
    about: "CLOSE after so many octets; fin body 100: of the body; fin request 1: instead of the first answer",
    read: (r, b) => {
      b.fin = point(r);
    },
  },
  abort: {
    usage: "abort body 100",
    about: "RST there, once what came before is acknowledged",
    read: (r, b) => {
      b.abort = point(r);
    },
  },
  stall: {
    usage: "stall after 500",
    about: "says nothing more from there on",
    read: (r, b) => {
      b.stall = point(r);
    },
  },
  "never-accept": {
    usage: "never-accept",
    about: "the application never calls accept: connections wait, and when the queue is full SYNs are dropped",
    read: (_r, b) => {
      b.neverAccept = true;
    },
  },
  backlog: {
    usage: "backlog 1",
    about: "so many connections may wait to be accepted",
    read: (r, b) => {
      b.backlog = r.take("a count from 1", whole(1, 65_535));
    },
  },
  "never-read": {
    usage: "never-read",
    about: "the application never reads: the window closes",
    read: (_r, b) => {
      b.neverRead = true;
    },
  },
  read: {
    usage: "read 100B/s",
    about: "the application reads no faster than that",
    read: (r, b) => {
      b.readRate = r.take("a rate such as 100B/s", (t) => parseRate(t) || undefined);
    },
  },
  "never-close": {
    usage: "never-close",
    about: "the application never closes, even when the peer has: CLOSE-WAIT for ever",
    read: (_r, b) => {
      b.neverFin = true;
    },
  },
  "never-fin": {
    usage: "never-fin",
    about: "the same, seen from the wire",
    read: (_r, b) => {
      b.neverFin = true;
    },
  },
  close: {
    usage: "close",
    about: "CLOSE after the first answer, once it is acknowledged",
    read: (_r, b) => {
      b.close = true;
    },
  },
  idle: {
    usage: "idle 1s",
    about: "CLOSE after so long without a request",
    read: (r, b) => {
      b.idleMs = r.take("a time such as 1s", parseDuration);
    },
  },
  buffer: {
    usage: "buffer 4kB",
    about: "the receive buffer, and so the largest window",
    read: (r, b) => {
      b.buffer = r.take("octets from 512", whole(512, 1 << 30));
    },
  },
};

export const plain = (service: ServiceName): Behaviour => ({
  service,
  body: 1000,
  length: "true",
  status: 200,
  waitMs: 0,
  rate: Infinity,
  neverAccept: false,
  backlog: 0,
  neverRead: false,
  readRate: Infinity,
  neverFin: false,
  close: false,
  idleMs: Infinity,
  buffer: 0,
});

/** @throws FaultSpecError that points at the wrong word */
export function parseBehaviour(text: string): Behaviour {
  const all = words(text);
  let next = 0;
  const fail = (word: Word | undefined, why: string): never => {
    throw new FaultSpecError(text, word?.at ?? text.length, word?.text.length ?? 1, why);
  };
  const first = all[next++];
  if (first === undefined || !Object.hasOwn(SERVICES, first.text)) {
    const near = first === undefined ? undefined : nearest(first.text, Object.keys(SERVICES));
    return fail(first, `a behaviour begins with a service: ${Object.keys(SERVICES).join(" ")}${near === undefined ? "" : `; did you mean "${near}"?`}`);
  }
  const b = plain(first.text as ServiceName);
  while (next < all.length) {
    const key = all[next++] as Word;
    const entry = Object.hasOwn(FAILINGS, key.text) ? FAILINGS[key.text] : undefined;
    if (entry === undefined) {
      const near = nearest(key.text, Object.keys(FAILINGS));
      return fail(key, `"${key.text}" is no behaviour${near === undefined ? `: ${Object.keys(FAILINGS).join(" ")}` : `; did you mean "${near}"?`}`);
    }
    entry.read(
      {
        take: <T>(what: string, read: (t: string) => T | undefined): T => {
          const word = all[next++];
          const value = word === undefined ? undefined : read(word.text);
          return value === undefined ? fail(word, `"${key.text}" wants ${what}${word === undefined ? "" : `, not "${word.text}"`}`) : value;
        },
      },
      b,
    );
  }
  return b;
}

export function formatBehaviour(b: Behaviour): string {
  const normal = plain(b.service),
    out: string[] = [b.service];
  const at = (p: Point): string => `${p.unit} ${p.n}`;
  if (b.body !== normal.body) out.push(`body ${b.body}`);
  if (b.length !== normal.length) out.push(`length ${b.length}`);
  if (b.status !== normal.status) out.push(`status ${b.status}`);
  if (b.waitMs > 0) out.push(`wait ${formatDuration(b.waitMs)}`);
  if (b.rate !== Infinity) out.push(`rate ${formatRate(b.rate)}`);
  if (b.fin) out.push(`fin ${at(b.fin)}`);
  if (b.abort) out.push(`abort ${at(b.abort)}`);
  if (b.stall) out.push(`stall ${at(b.stall)}`);
  if (b.neverAccept) out.push("never-accept");
  if (b.backlog > 0) out.push(`backlog ${b.backlog}`);
  if (b.neverRead) out.push("never-read");
  if (b.readRate !== Infinity) out.push(`read ${formatRate(b.readRate)}`);
  if (b.neverFin) out.push("never-fin");
  if (b.close) out.push("close");
  if (b.idleMs !== Infinity) out.push(`idle ${formatDuration(b.idleMs)}`);
  if (b.buffer > 0) out.push(`buffer ${b.buffer}`);
  return out.join(" ");
}

/** Settings of the TCP core that a behaviour asks its listener for. */
export const listenOptions = (b: Behaviour): Partial<TcpOptions> => (b.buffer > 0 ? { receiveBuffer: b.buffer } : {});
