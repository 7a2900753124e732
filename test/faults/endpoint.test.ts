/** Behaviours on a connection made of plain fields: what is said, when, and how it is broken off. */
import fc from "../support/property.js";
import { describe, expect, test } from "vitest";
import { FAILINGS, formatBehaviour, parseBehaviour, SERVICES } from "../../src/faults/behaviours.js";
import { Endpoint, serveBehaviour } from "../../src/faults/endpoint.js";
import { FaultSpecError } from "../../src/faults/words.js";
import type { Connection } from "../../src/tcp/connection.js";

/** A connection whose peer takes and acknowledges at once, unless told otherwise. */
class Fake {
  state = "ESTABLISHED";
  said = "";
  calls: string[] = [];
  sendSpace = 1 << 20;
  sendQueued = 0;
  acknowledges = true;
  now = 0;
  #inbox = Buffer.alloc(0);
  #wantsDrain = false;
  #timers: { due: number; run: () => void }[] = [];
  readonly endpoint: Endpoint;

  constructor(behaviour: string) {
    const b = parseBehaviour(behaviour);
    const clock = {
      now: () => this.now,
      at: (due: number, run: () => void) => {
        const t = { due, run };
        this.#timers.push(t);
        return () => {
          this.#timers = this.#timers.filter((x) => x !== t);
        };
      },
    };
    this.endpoint = new Endpoint(
      this as unknown as Connection,
      () => b,
      clock,
      () => {},
    );
    this.endpoint.established();
  }
  get readable(): number {
    return this.#inbox.length;
  }
  peek(): Uint8Array {
    return this.#inbox.subarray(0, 7);
  }
  skip(n: number): void {
    this.#inbox = this.#inbox.subarray(n);
  }
  send(bytes: Uint8Array, from = 0, length = bytes.length - from): number {
    const taken = Math.min(length, this.sendSpace);
    this.said += Buffer.from(bytes.subarray(from, from + taken)).toString("latin1");
    this.sendSpace -= taken;
    if (!this.acknowledges) this.sendQueued += taken;
    return taken;
  }
  wantsDrain(): void {
    this.#wantsDrain = true;
  }
  acknowledge(): void {
    this.sendQueued = 0;
    if (this.#wantsDrain) {
      this.#wantsDrain = false;
      this.endpoint.drained();
    }
  }
  close(): void {
    if (!this.calls.includes("close")) this.calls.push("close");
  }
  abort(): void {
    this.state = "CLOSED";
    this.calls.push("abort");
  }
  hear(text: string): this {
    this.#inbox = Buffer.concat([this.#inbox, Buffer.from(text, "latin1")]);
    this.endpoint.readable();
    return this;
  }
  get timers(): number {
    return this.#timers.length;
  }
  pass(ms: number): this {
    const end = this.now + ms;
    for (;;) {
      const next = this.#timers.filter((t) => t.due <= end).sort((a, b) => a.due - b.due)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((t) => t !== next);
      this.now = next.due;
      next.run();
    }
    this.now = end;
    return this;
  }
}
const GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const bodyOf = (said: string): string => said.slice(said.indexOf("\r\n\r\n") + 4);

describe("http", () => {
  test("answers each request, bodies of requests skipped, requests in one segment or in pieces", () => {
    const c = new Fake("http body 10");
    c.hear(GET + "POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\n" + "x".repeat(30) + GET);
    expect(c.said.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
    expect(bodyOf(c.said).slice(0, 10)).toBe("The quick ");
    for (const letter of GET) c.hear(letter);
    expect(c.said.match(/200 OK/g)).toHaveLength(4);
    expect(c.calls).toEqual([]);
  });
  test("what follows a request in the same octets belongs to the next one", () => {
    // Read in sevens, the first body begins in the middle of one: were its octets lost, the next Content-Length would be too.
    const c = new Fake("http body 1");
    c.hear("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789Content-Length: 8\r\n\r\n\r\n\r\n\r\n\r\n" + GET);
    expect(c.said.match(/200 OK/g)).toHaveLength(3);
  });
  test("chunked bodies are well formed", () => {
    const c = new Fake("http body 5000 length chunked").hear(GET);
    const [, first] = /^([0-9a-f]+)\r\n/.exec(bodyOf(c.said)) ?? [];
    expect(Number.parseInt(first ?? "", 16)).toBe(4096);
    expect(c.said.endsWith("\r\n0\r\n\r\n")).toBe(true);
  });
  test("without a length the end is told by FIN alone; never-fin keeps even that back", () => {
    expect(new Fake("http length none").hear(GET).calls).toEqual(["close"]);
    const c = new Fake("http length none never-fin").hear(GET);
    c.endpoint.ended();
    expect(c.calls).toEqual([]);
  });
  test("fin and abort in the middle of a body; abort waits until what came before is acknowledged", () => {
    const fin = new Fake("http fin body 100").hear(GET);
    expect([bodyOf(fin.said).length, fin.calls]).toEqual([100, ["close"]]);
    const abort = new Fake("http abort body 100");
    abort.acknowledges = false;
    abort.hear(GET);
    expect([bodyOf(abort.said).length, abort.calls]).toEqual([100, []]);
    abort.acknowledge();
    expect(abort.calls).toEqual(["abort"]);
  });
  test("fin after 0 closes at once, abort after 0 resets at once, on request n instead of the answer", () => {
    expect(new Fake("http fin after 0").calls).toEqual(["close"]);
    expect(new Fake("http abort after 0").calls).toEqual(["abort"]);
    const second = new Fake("http abort request 2").hear(GET);
    expect(second.calls).toEqual([]);
    expect(second.hear(GET).calls).toEqual(["abort"]);
    expect(new Fake("http fin request 1").hear(GET)).toMatchObject({ said: "", calls: ["close"] });
  });
  test("stall says so much and no more, and does not close with the peer", () => {
    const c = new Fake("http stall body 10").hear(GET);
    c.endpoint.ended();
    expect([bodyOf(c.said).length, c.calls]).toEqual([10, []]);
  });
  test("wait, rate and idle keep their times", () => {
    const wait = new Fake("http wait 3s").hear(GET).pass(2999);
    expect(wait.said).toBe("");
    expect(wait.pass(2).said).toContain("200 OK");
    const rate = new Fake("http body 1000 rate 100B/s").hear(GET).pass(2000);
    expect(rate.said.length).toBe(201);
    expect(rate.pass(20_000).said.length).toBeGreaterThan(1000);
    const idle = new Fake("http idle 1s").pass(900).hear(GET).pass(999);
    expect(idle.calls).toEqual([]);
    expect(idle.pass(2).calls).toEqual(["close"]);
  });
  test("a pace begins anew after silence", () => {
    const c = new Fake("echo rate 10B/s").pass(60_000).hear("0123456789").pass(100);
    expect(c.said.length).toBe(2);
    c.pass(60_000).hear("0123456789").pass(100);
    expect(c.said.length).toBe(12);
  });
  test("a full send queue is waited for", () => {
    const c = new Fake("http body 3000");
    c.sendSpace = 500;
    c.hear(GET);
    expect(c.said.length).toBe(500);
    c.sendSpace = 10_000;
    c.endpoint.writable();
    expect(bodyOf(c.said).length).toBe(3000);
  });
  test("a head without end is not kept for ever", () => {
    expect(new Fake("http").hear("x".repeat(70_000)).calls).toEqual(["abort"]);
  });
});

describe("other services", () => {
  test("echo, silent, discard, garbage, chargen", () => {
    expect(new Fake("echo").hear("hello").said).toBe("hello");
    expect(new Fake("silent").hear("hello").said).toBe("");
    expect(new Fake("garbage").hear(GET).said).not.toMatch(/^HTTP/);
    const c = new Fake("chargen");
    expect(c.said.length).toBe(1 << 20);
    const d = new Fake("discard").hear("hello");
    d.endpoint.ended();
    expect([d.readable, d.calls]).toEqual([0, ["close"]]);
  });
  test("never-read leaves all where it is; read N takes at its pace", () => {
    expect(new Fake("discard never-read").hear("hello").readable).toBe(5);
    const c = new Fake("discard read 10B/s").hear("x".repeat(20));
    expect(c.readable).toBe(19);
    expect(c.pass(500).readable).toBe(14);
    expect(c.pass(2000).readable).toBe(0);
    expect(c.timers).toBe(0);
  });
  test("never-accept hears nothing, says nothing and closes nothing; accepted later, it does all of it", () => {
    let b = parseBehaviour("chargen never-accept backlog 2");
    let waiting = 0,
      accept: ((conn: Connection) => unknown) | undefined;
    const listener = {
      close() {},
      get waiting() {
        return waiting;
      },
      set waiting(n) {
        waiting = n;
      },
    };
    let asked: unknown;
    const service = serveBehaviour(
      {
        listen(where, a) {
          asked = where;
          accept = a;
          return listener;
        },
      },
      80,
      b,
      { now: () => 0, at: () => () => {} },
    );
    expect(asked).toMatchObject({ port: 80, backlog: 2 });
    const conns = [new Fake("silent"), new Fake("silent")];
    for (const c of conns) {
      const endpoint = accept?.(c as unknown as Connection) as Endpoint;
      endpoint.established();
      c.hear("hello");
      endpoint.readable();
      endpoint.ended();
      expect([c.said, c.calls]).toEqual(["", []]);
    }
    expect(waiting).toBe(2);
    b = parseBehaviour("chargen");
    service.behaviour = b;
    expect(waiting).toBe(0);
    for (const c of conns) expect(c.said.length).toBe(1 << 20);
  });
  test("timers end with the connection", () => {
    const c = new Fake("http wait 1h idle 1h").hear(GET);
    c.endpoint.closed(c as unknown as Connection, "reset");
    expect(c.timers).toBe(0);
  });
});

describe("the words", () => {
  test("canonical text reads back to the same", () => {
    const failing = fc.constantFrom(
      "body 5",
      "length none",
      "status 503",
      "wait 3s",
      "rate 50B/s",
      "fin after 0",
      "fin request 2",
      "abort body 100",
      "stall after 7",
      "never-accept",
      "backlog 4",
      "never-read",
      "read 9B/s",
      "never-close",
      "close",
      "idle 1s",
      "buffer 4kB",
    );
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(SERVICES)), fc.array(failing), (service, list) => {
        const b = parseBehaviour([service, ...list].join(" "));
        expect(parseBehaviour(formatBehaviour(b))).toEqual(b);
      }),
    );
  });
  test("every usage in the table is read", () => {
    for (const [key, { usage }] of Object.entries(FAILINGS)) expect(() => parseBehaviour(`http ${usage.split("|")[0]}`), key).not.toThrow();
  });
  test.each([
    ["htpp", "htpp"],
    ["http abrot body 3", "abrot"],
    ["http fin somewhere", "somewhere"],
    ["http body many", "many"],
    ["", " "],
    ["http abort body", " "],
  ])("%j points at %j", (text, word) => {
    try {
      parseBehaviour(text);
      expect.unreachable();
    } catch (error) {
      const e = error as FaultSpecError;
      expect(e).toBeInstanceOf(FaultSpecError);
      expect(`${e.text} `.slice(e.at, e.at + e.length)).toBe(word);
    }
  });
});
