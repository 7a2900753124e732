import { describe, expect, test } from "vitest";
import { KIND_END, KIND_NONE, KIND_THOUSANDTHS, KIND_WHOLE, FIRST_FREE, type LineModule, lineModule } from "../../src/observe/line-module.js";
import { LineWriter } from "../../src/observe/line-writer.js";
import { eventLine } from "../../src/observe/lines.js";
import type { Cause, TcpEvent } from "../../src/tcp/events.js";
import { wasm } from "../../src/wire/wasm-binary.js";
import { everyKind, synArrived, who } from "./events.js";

const moduleOf = (octets: number): LineModule => {
  const made = lineModule(octets);
  if (made === undefined) throw new Error("this engine has no WebAssembly with SIMD");
  return made;
};

describe("the module", () => {
  const TEXT_AT = 4_096,
    STEPS_AT = 1_024,
    INTO = 8_192;
  const { bytes, words, run } = moduleOf(16_384);
  const line = (...steps: readonly (readonly [text: string, kind: number, number?: number])[]): string => {
    let at = TEXT_AT;
    steps.forEach(([text, kind, number = 0], i) => {
      const octets = Buffer.from(text);
      bytes.set(octets, at);
      words.set([at, octets.length, kind, number], STEPS_AT / 4 + 4 * i);
      at += octets.length;
    });
    return Buffer.from(bytes.subarray(INTO, run(INTO, STEPS_AT))).toString();
  };
  /** Every length of a number, and the edges between them. */
  const numbers = [0, 1, 5, 4_294_967_295, ...Array.from({ length: 10 }, (_, n) => [10 ** n - 1, 10 ** n, 10 ** n + 1, 7 * 10 ** n]).flat()].filter(
    (n) => n <= 0xffffffff,
  );

  test("copies texts of any length, none included, and nothing beyond their ends is left in the line", () => {
    for (const length of [0, 1, 15, 16, 17, 31, 32, 33, 400]) {
      const text = "abcdefghijklmnopqrstuvwxyz".repeat(16).slice(0, length);
      expect(line([text, KIND_NONE], ["", KIND_NONE], [`${text}|`, KIND_END])).toBe(`${text}${text}|`);
    }
  });
  test("writes whole numbers as JavaScript does", () => {
    for (const n of numbers) expect(line(["a ", KIND_WHOLE, n], [" b ", KIND_WHOLE, n], [".", KIND_END])).toBe(`a ${n} b ${n}.`);
  });
  test("writes thousandths without zeros at the end", () => {
    for (const n of [...numbers, ...Array.from({ length: 1_100 }, (_, i) => i), 1_230, 1_203, 45_600])
      expect(line(["", KIND_THOUSANDTHS, n], [" ms", KIND_END])).toBe(`${n / 1_000} ms`);
  });
  test("does not come about where the engine refuses it", () => {
    const refusing = class {
      constructor() {
        throw new Error("not here");
      }
    };
    expect(lineModule(FIRST_FREE, null)).toBeUndefined();
    expect(lineModule(FIRST_FREE, { Memory: wasm!.Memory, Module: refusing, Instance: wasm!.Instance })).toBeUndefined();
  });
});

describe("the writer", () => {
  const TIME = 1_764_000_000_123;
  /** All that a writer hands on, and how many lines it says that these are. */
  class Taken {
    text = "";
    lines = 0;
    readonly writer = new LineWriter(moduleOf(LineWriter.octets), (octets, lines) => {
      this.text += Buffer.from(octets).toString();
      this.lines += lines;
    });
    /** The line of one event, or undefined when it is not made here. */
    line(e: TcpEvent, time = TIME): string | undefined {
      this.text = "";
      const isMade = this.writer.add(e, time);
      this.writer.handOver();
      return isMade ? this.text : undefined;
    }
  }
  const causes: readonly Cause[] = [
    { kind: "call", call: "CLOSE" },
    { kind: "timer", timer: "timeWait" },
    { kind: "segment", flags: "P.", seq: 4_294_967_295, ack: 1, len: 1_448, win: 0 },
    { kind: "segment", flags: "P.", seq: 1, ack: 4_294_967_295, len: 0, win: 12 },
    { kind: "segment", flags: "F.", seq: 0, ack: 4_294_967_295, len: 0, win: 65_535 },
  ];

  test("transitions and ends of connections are the octets of eventLine; other kinds are not made", () => {
    const taken = new Taken();
    for (const e of everyKind) expect(taken.line(e), e.kind).toBe(e.kind === "transition" || e.kind === "closed" ? eventLine(e, TIME) : undefined);
  });
  test("so are those of all causes, numbers and times of a kind of line, one after the other from the same parts", () => {
    const taken = new Taken();
    for (const ms of [0, 0.5, 12.345, 99.9, 1_000.02, 59_999.999, 0.0004, 0.0006])
      for (const cause of causes)
        for (const sent of ["", "F."]) {
          const e = { ...synArrived(), cause, ms, sent } as TcpEvent;
          expect(taken.line(e)).toBe(eventLine(e, TIME));
        }
    for (const n of [0, 1, 4_294_967_295])
      for (const by of ["peer", "reset"] as const) {
        const e: TcpEvent = { kind: "closed", conn: who(), by, ms: 7.25, rxBytes: n, txBytes: 12, retransmits: n };
        expect(taken.line(e)).toBe(eventLine(e, TIME));
      }
  });
  test("the stamp follows the clock, back as well as on, and a time with another number of digits is left to eventLine", () => {
    const taken = new Taken();
    for (const time of [1e12, 1e12 + 1, 1_999_999_999_999, 2e12, 1_764_000_000_123, 1_764_000_000_122, 9_999_999_999_999])
      expect(taken.line(synArrived(), time)).toBe(eventLine(synArrived(), time));
    for (const time of [7, 1e12 - 1, 1e13, 2e12 + 0.5, Number.NaN]) expect(taken.line(synArrived(), time)).toBeUndefined();
    expect(taken.line(synArrived(), 1e12)).toBe(eventLine(synArrived(), 1e12));
  });
  test("what 32 bits do not hold is left to eventLine", () => {
    const taken = new Taken(),
      end = { kind: "closed", conn: who(), by: "peer", ms: 1, rxBytes: 1, txBytes: 1, retransmits: 1 } as const;
    const cases: readonly TcpEvent[] = [
      { ...end, rxBytes: 2 ** 32 },
      { ...end, txBytes: 2 ** 32 },
      { ...end, retransmits: 2 ** 32 },
      { ...end, ms: 4_294_968 },
      { ...end, ms: Number.POSITIVE_INFINITY },
      { ...end, conn: who(2 ** 32) },
      { ...end, conn: { id: 1, local: "x".repeat(60), remote: "1234" } },
      { ...synArrived(), cause: { kind: "icmp", type: 3, code: 1 } } as TcpEvent,
    ];
    for (const e of cases) expect(taken.line(e)).toBeUndefined();
    const longest = { ...end, conn: { id: 2 ** 32 - 1, local: "x".repeat(60), remote: "123" } };
    expect(taken.line(longest)).toBe(eventLine(longest, TIME));
    expect(taken.line({ ...end, ms: 4_294_967.295 })).toBe(eventLine({ ...end, ms: 4_294_967.295 }, TIME));
  });
  test("connections whose numbers share a place in the table are told apart", () => {
    const taken = new Taken(),
      [one, other] = [1, 1 + 1_024].map((id) => ({ ...synArrived(), conn: { id, local: `10.0.0.1:${id}`, remote: "255.255.255.255:65535" } }) as TcpEvent);
    for (const e of [one, other, other, one, one]) expect(taken.line(e!)).toBe(eventLine(e!, TIME));
    // The number and not the object is what a second stack may give again.
    const again = { ...synArrived(), conn: { id: 1, local: "10.9.9.9:9", remote: "10.0.0.2:2" } } as TcpEvent;
    expect(taken.line(again)).toBe(eventLine(again, TIME));
  });
  test("however many kinds of lines there are, memory is bounded and each is right", () => {
    const taken = new Taken();
    for (let round = 0; round < 2; round++)
      for (let n = 0; n < 600; n++) {
        const e = { ...synArrived(), cause: { ...causes[3]!, flags: `flags ${n}` } } as TcpEvent;
        expect(taken.line(e)).toBe(eventLine(e, TIME));
      }
  });
  test("a block that is full is handed on, so that no line is missing and all are in order", () => {
    const taken = new Taken(),
      events = Array.from({ length: 5_000 }, (_, id) => synArrived(id));
    for (const e of events) expect(taken.writer.add(e, TIME)).toBe(true);
    expect(taken.lines).toBeGreaterThan(4_800);
    expect(taken.lines).toBeLessThan(5_000);
    taken.writer.handOver();
    taken.writer.handOver();
    expect(taken.lines).toBe(5_000);
    expect(taken.text).toBe(events.map((e) => eventLine(e, TIME)).join(""));
  });
});
