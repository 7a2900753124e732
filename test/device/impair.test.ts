/** The impaired link does what its words say, in virtual time and the same for the same seed; wrong words are pointed at. */
import { describe, expect, test } from "vitest";
import { type ImpairClock, impair, ImpairSyntaxError, parseImpair } from "../../src/device/impair.js";
import { createPair } from "../../src/device/pair.js";
import { bytes } from "./contract.js";
import { isSound, tcpPacket } from "./packets.js";
import { readAll, sendWhole } from "./whole.js";

/** Time that moves when told to. */
class VirtualClock implements ImpairClock {
  #now = 0;
  #calls: { ms: number; call: () => void }[] = [];
  now(): number {
    return this.#now;
  }
  at(ms: number, call: () => void): () => void {
    const entry = { ms, call };
    this.#calls.push(entry);
    return () => {
      this.#calls = this.#calls.filter((e) => e !== entry);
    };
  }
  get waiting(): number {
    return this.#calls.length;
  }
  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#calls.filter((e) => e.ms <= end).sort((x, y) => x.ms - y.ms)[0];
      if (next === undefined) break;
      this.#calls = this.#calls.filter((e) => e !== next);
      this.#now = Math.max(this.#now, next.ms);
      next.call();
    }
    this.#now = end;
  }
}

function link(words: string, offload: "off" | "pass" = "off") {
  const { a, b } = createPair({ offload, queue: 100_000, schedule: () => {} });
  const clock = new VirtualClock(),
    calls: (() => void)[] = [];
  const device = impair(a, parseImpair(words), clock, { schedule: (call) => calls.push(call) });
  device.start({ readable: () => {}, failed: () => {} });
  const numbers = (frames: { bytes: Uint8Array }[]) => frames.map((f) => Buffer.from(f.bytes).readUInt32BE(24));
  const send = (count: number, size = 100): void => {
    for (let i = 0; i < count; i++) sendWhole(device, tcpPacket({ sequence: i, flags: 0x18, text: bytes(size, i) }));
    device.tx.flush();
  };
  return { a, b, device, clock, calls, send, numbers, left: () => numbers(readAll(b)) };
}
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

describe("an impaired link", () => {
  test("loss: about as many as asked vanish, both ways, by fates of their own", () => {
    const { b, device, send, left, numbers } = link("loss=10%,seed=3");
    send(10_000, 10);
    const out = left();
    for (let i = 0; i < 10_000; i++) {
      sendWhole(b, tcpPacket({ sequence: i, flags: 0x18, text: bytes(10, i) }));
      if (i % 200 === 0) b.tx.flush();
    }
    b.tx.flush();
    const back = numbers(readAll(device));
    for (const [got, counters] of [
      [out, device.impaired.outgoing],
      [back, device.impaired.incoming],
    ] as const) {
      expect(got.length).toBeGreaterThan(8850);
      expect(got.length).toBeLessThan(9150);
      expect(counters).toMatchObject({ frames: 10_000, lost: 10_000 - got.length });
    }
    expect(out).not.toEqual(back);
  });

  test("the same seed gives the same fates, another seed others", () => {
    const run = (seed: number): number[] => {
      const { send, left } = link(`loss=50%,seed=${seed}`);
      send(200);
      return left();
    };
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
  });

  test("delay: not a moment before, in order, both ways; the stack is told", () => {
    const { b, device, clock, calls, send, left, numbers } = link("delay=20ms");
    send(3);
    clock.pass(19.5);
    expect(left()).toEqual([]);
    clock.pass(0.5);
    expect(left()).toEqual([0, 1, 2]);
    sendWhole(b, tcpPacket({ sequence: 9, flags: 0x10, text: bytes(1, 1) }));
    b.tx.flush();
    expect(device.read()).toBe(0);
    clock.pass(20);
    expect(calls).toHaveLength(1);
    expect(numbers(readAll(device))).toEqual([9]);
  });

  test("jitter: within its bounds, and frames overtake each other", () => {
    const { clock, send, left } = link("delay=20ms,jitter=10ms,seed=2");
    send(200);
    clock.pass(9.9);
    expect(left()).toEqual([]);
    clock.pass(20.1);
    const got = left();
    expect(got).not.toEqual(upTo(200));
    expect(got.sort((x, y) => x - y)).toEqual(upTo(200));
  });

  test("reorder: some come at once, the others after the delay", () => {
    const { device, clock, send, left } = link("delay=10ms,reorder=25%,seed=5");
    send(400);
    const early = left();
    expect(early.length).toBeGreaterThan(70);
    expect(early.length).toBeLessThan(130);
    expect(device.impaired.outgoing.reordered).toBe(early.length);
    clock.pass(10);
    expect(left()).toHaveLength(400 - early.length);
  });

  test("duplicate: all arrive, some twice", () => {
    const { device, send, left } = link("duplicate=30%,seed=5");
    send(300);
    const got = left();
    expect(new Set(got).size).toBe(300);
    expect(got.length).toBe(300 + device.impaired.outgoing.duplicated);
    expect(device.impaired.outgoing.duplicated).toBeGreaterThan(60);
  });

  test("corrupt: exactly one bit of a frame, which no checksum hides, also where the kernel would have vouched", () => {
    for (const offload of ["off", "pass"] as const) {
      const { b, device } = link("corrupt=100%", offload);
      const packet = tcpPacket({ sequence: 1, flags: 0x18, text: bytes(300, 1) });
      const whole = Uint8Array.from(packet);
      if (offload === "pass") packet[36] = packet[37] = 0;
      sendWhole(device, packet, 0, offload === "pass");
      device.tx.flush();
      sendWhole(b, packet, 0, offload === "pass");
      b.tx.flush();
      for (const [got] of [readAll(b), readAll(device)]) {
        if (got === undefined) throw new Error("no frame came");
        expect(got.trusted).toBe(0);
        expect(isSound(got.bytes)).toBe(false);
        const bits = got.bytes.reduce((n, octet, i) => n + (octet ^ (whole[i] as number)).toString(2).replaceAll("0", "").length, 0);
        expect(bits).toBe(1);
      }
    }
  });

  test("rate: 1,000 octets at 1 Mbit/s take 8 ms, one after the other; what exceeds the queue is lost", () => {
    const { device, clock, send, left } = link("rate=1mbit,limit=5");
    send(8, 948);
    expect(left()).toEqual([]);
    const arrivals: number[] = [];
    for (let ms = 1; ms <= 100; ms++) {
      clock.pass(1);
      for (const n of left()) arrivals.push(ms, n);
    }
    expect(arrivals).toEqual([8, 0, 16, 1, 24, 2, 32, 3, 40, 4]);
    expect(device.impaired.outgoing.overflowed).toBe(3);
  });

  test("direction: the other one is left alone", () => {
    const { device, b, send, left } = link("loss=100%,direction=in");
    send(5);
    expect(left()).toHaveLength(5);
    sendWhole(b, tcpPacket({ sequence: 1, flags: 0x10, text: bytes(1, 1) }));
    b.tx.flush();
    expect(readAll(device)).toEqual([]);
  });

  test("super-segments lose segments, not themselves: their parts arrive sound", () => {
    const { b, device } = link("loss=30%,seed=4", "pass");
    const big = tcpPacket({ sequence: 0, flags: 0x18, text: bytes(14_480, 1) });
    sendWhole(device, big, 1448, true);
    device.tx.flush();
    const got = readAll(b);
    expect(got).toHaveLength(10 - device.impaired.outgoing.lost);
    expect(device.impaired.outgoing.lost).toBeGreaterThan(0);
    expect(got.every((f) => isSound(f.bytes) && f.gsoSize === 0)).toBe(true);
  });

  test("closing ends its timers and what was on its way", () => {
    const { device, clock, send, left } = link("delay=10ms");
    send(3);
    device.close();
    expect(clock.waiting).toBe(0);
    clock.pass(50);
    expect(left()).toEqual([]);
  });
});

describe("the words of --impair", () => {
  test("all of them", () => {
    expect(parseImpair("loss=1%, delay=20ms,jitter=500us,reorder=2.5%,duplicate=.5%,corrupt=0.1%,rate=10mbit,limit=50,direction=out,seed=7")).toEqual({
      loss: 0.01,
      delayMs: 20,
      jitterMs: 0.5,
      reorder: 0.025,
      duplicate: 0.005,
      corrupt: 0.001,
      rateBps: 1e7,
      limit: 50,
      direction: "out",
      seed: 7,
    });
    expect(parseImpair("delay=1.5s").delayMs).toBe(1500);
    expect(parseImpair("LOSS=3%", 99)).toMatchObject({ loss: 0.03, rateBps: Infinity, limit: 1000, direction: "both", seed: 99 });
  });

  test.each([
    ["los=1%", "los", /nothing a link can do/, "did you mean loss?"],
    ["loss=1%,gravity=9", "gravity", /"gravity"/, /choose of loss, delay/],
    ["loss=1", "1", /"1" does not do/, /1%/],
    ["loss=101%", "101%", /"101%"/, /100%/],
    ["delay=20ms,loss= 1x", "1x", /"1x"/, /percentage/],
    ["delay=20", "20", /"20"/, /20ms/],
    ["loss", "loss", /needs a value/, /percentage/],
    ["loss=1%,,seed=1", "^", /missing/, /loss=1%/],
    ["", "^", /missing/, /loss=1%/],
    ["loss=1%,loss=2%", "loss=2%", /twice/, /leave/],
    ["reorder=1%", "reorder=1%", /nothing to overtake/, "add delay=10ms"],
    ["delay=5ms,jitter=6ms", "jitter=6ms", /before it is sent/, "add delay=6ms or more"],
    ["rate=0mbit", "0mbit", /rate/, /10mbit/],
    ["constructor=1", "constructor", /nothing a link can do/, /choose/],
    ["direction=up", "up", /direction/, /both/],
  ])("%j is refused and %j pointed at", (text, word, message, mend) => {
    let error: unknown;
    try {
      parseImpair(text);
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(ImpairSyntaxError);
    const { message: said, mend: told, pointer, kind } = error as ImpairSyntaxError;
    expect(said).toMatch(message);
    expect(told).toEqual(typeof mend === "string" ? mend : expect.stringMatching(mend));
    expect(kind).toBe("usage");
    const [line, carets] = pointer.split("\n") as [string, string];
    expect(line).toBe(text);
    if (word !== "^") expect(text.slice(carets.indexOf("^"), carets.lastIndexOf("^") + 1)).toBe(word);
  });
});
