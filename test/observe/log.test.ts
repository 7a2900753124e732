import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Destination } from "../../src/observe/destination.js";
import { EVENT_KINDS } from "../../src/observe/levels.js";
import { eventLine, millis } from "../../src/observe/lines.js";
import { Log } from "../../src/observe/log.js";
import { everyKind, synArrived } from "./events.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "glasstcp-log-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const linesOf = (path: string): string[] =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((l) => l !== "");

describe("an event as a line", () => {
  test("a transition has the fields, the order and the words of the documentation", () => {
    expect(eventLine(synArrived(), 1_764_000_000_000)).toBe(
      '{"level":30,"time":1764000000000,"event":"transition","conn":12,"local":"10.77.0.2:80","remote":"10.77.0.1:48308","from":"LISTEN","to":"SYN-RECEIVED",' +
        '"cause":{"kind":"segment","flags":"S","seq":473250676,"ack":0,"len":0,"win":64240},"rule":"9293-3.10.7.2/3","ms":0,"msg":"LISTEN → SYN-RECEIVED: SYN arrived, sent SYN,ACK"}\n',
    );
  });

  test("every kind is one line of valid JSON with level, time, event and msg, also where the text is free", () => {
    expect(new Set(everyKind.map((e) => e.kind))).toEqual(new Set(EVENT_KINDS));
    for (const e of everyKind) {
      const line = eventLine(e, 5);
      expect(line.indexOf("\n")).toBe(line.length - 1);
      const parsed = JSON.parse(line) as Record<string, unknown>;
      expect(Object.keys(parsed).slice(0, 3)).toEqual(["level", "time", "event"]);
      expect(parsed["event"]).toBe(e.kind);
      expect(Object.keys(parsed).at(-1)).toBe("msg");
      expect(parsed["msg"]).not.toBe("");
    }
  });
});

test("milliseconds are cut to a thousandth and read back as the number they are", () => {
  for (const n of [0, 1, 0.001, 0.01, 0.1, 0.12, 0.123, 1.5, 59_999.999, 60_000.1239, 1e-9, 5e9 + 0.5, 2 ** 40, 0.999_9]) {
    expect(Number(millis(n))).toBe(Math.round(n * 1_000) / 1_000);
    expect(String(Number(millis(n)))).toBe(millis(n));
  }
  expect(millis(Number.POSITIVE_INFINITY)).toBe("null");
});

describe("the log", () => {
  test("asks only for kinds that its level shows, and writes no other even when another observer asked", async () => {
    const path = join(dir, "log");
    const log = new Log({ level: "warn", format: "json", to: path });
    expect(EVENT_KINDS.filter((k) => log.wants(k))).toEqual(["flood", "limit"]);
    for (const e of everyKind) log.event(e);
    await log.flush();
    expect(linesOf(path)).toHaveLength(2);
    log.level = "trace";
    expect(EVENT_KINDS.every((k) => log.wants(k))).toBe(true);
  });

  test("a scan of closed ports gets a hundred lines a second and one that counts the rest", async () => {
    const path = join(dir, "log");
    let now = 5_000;
    const log = new Log({ level: "info", format: "json", to: path, clock: () => now });
    const refused = everyKind.find((e) => e.kind === "refused")!;
    for (let i = 0; i < 50_000; i++) log.event(refused);
    now = 6_000;
    log.event(refused);
    await log.flush();
    const lines = linesOf(path).map((l) => JSON.parse(l) as { event: string; shed?: number });
    expect(lines).toHaveLength(102);
    expect(lines[100]).toMatchObject({ event: "limit", level: 40, shed: 49_900 });
  });

  test("events and the daemon's own lines come out in order, one line each", async () => {
    const path = join(dir, "log");
    const log = new Log({ level: "trace", format: "json", to: path });
    for (const e of everyKind) {
      log.event(e);
      log.logger.info({ event: "between" }, "ünïcode");
    }
    await log.flush();
    const lines = linesOf(path).map((l) => JSON.parse(l) as { event: string; msg: string });
    expect(lines.map((l) => l.event)).toEqual(everyKind.flatMap((e) => [e.kind, "between"]));
    expect(lines[1]?.msg).toBe("ünïcode");
    expect(log.counters).toMatchObject({ lines: everyKind.length * 2, lostLines: 0, errors: 0 });
  });

  test("where the engine makes no code at run time the lines are the same", async () => {
    const written = async (name: string, LogOf: typeof Log): Promise<string> => {
      const log = new LogOf({ level: "trace", format: "json", to: join(dir, name), clock: () => 1_764_000_000_000 });
      for (const e of everyKind) log.event(e);
      await log.flush();
      return readFileSync(join(dir, name), "utf8");
    };
    vi.resetModules();
    const lineModule = vi.fn(() => undefined);
    vi.doMock("../../src/observe/line-module.js", async (original) => ({ ...(await original<object>()), lineModule }));
    try {
      const without = await import("../../src/observe/log.js");
      expect(await written("without", without.Log)).toBe(await written("with", Log));
      expect(lineModule).toHaveBeenCalledOnce();
    } finally {
      vi.doUnmock("../../src/observe/line-module.js");
      vi.resetModules();
    }
  });

  test("lines that do not fit what may wait are lost and counted one by one, also when they come together", () => {
    const d = new Destination(join(dir, "log"), { limit: 100 });
    d.writeLines(Buffer.from("one\ntwo\n"), 2);
    d.writeLines(Buffer.from(`${"x".repeat(45)}\n`.repeat(2)), 2);
    expect(d.lostLines).toBe(0);
    d.writeLines(Buffer.from("one\ntwo\nthree\n"), 3);
    expect(d.lostLines).toBe(3);
  });

  test("within a turn events wait for its end and have its time; a line of the daemon comes after those before it", async () => {
    const path = join(dir, "log");
    let now = 1_764_000_000_010;
    const log = new Log({ level: "trace", format: "json", to: path, clock: () => now });
    log.turnBegins();
    log.event(everyKind[0]!);
    now += 10;
    log.logger.info({ event: "between" }, "of the daemon");
    log.event(everyKind[1]!);
    now += 10;
    log.turnEnds();
    log.event(everyKind[2]!);
    await log.flush();
    const lines = linesOf(path).map((l) => JSON.parse(l) as { event: string; time: number });
    expect(lines.map((l) => l.event)).toEqual([everyKind[0]!.kind, "between", everyKind[1]!.kind, everyKind[2]!.kind]);
    expect(lines.filter((l) => l.event !== "between").map((l) => l.time % 100)).toEqual([10, 10, 30]);
    log.turnBegins();
    log.event(everyKind[0]!);
    expect(log.counters.lines).toBe(5);
    log.turnEnds();
    await log.flush();
    expect(linesOf(path)).toHaveLength(5);
  });

  test("however long a turn is, no event is lost and what waits is bounded; one that ends the process writes what waits", () => {
    const path = join(dir, "log");
    const log = new Log({ level: "trace", format: "json", to: path });
    const many = everyKind.filter((e) => e.kind !== "refused");
    log.turnBegins();
    for (let i = 0; i < 5_000; i++) log.event(many[i % many.length]!);
    log.flushSync();
    expect(linesOf(path).map((l) => (JSON.parse(l) as { event: string }).event)).toEqual(Array.from({ length: 5_000 }, (_, i) => many[i % many.length]!.kind));
  });

  test("pretty is one line each, with the words and the clause", async () => {
    const path = join(dir, "log");
    const log = new Log({ level: "trace", format: "pretty", to: path });
    for (const e of everyKind) log.event(e);
    log.logger.info({ event: "ready", tun: "glass0" }, "ready");
    await log.flush();
    const lines = linesOf(path);
    expect(lines).toHaveLength(everyKind.length + 1);
    expect(lines[0]).toContain("#12 10.77.0.1:48308 > :80 LISTEN → SYN-RECEIVED: SYN arrived, sent SYN,ACK [9293-3.10.7.2/3]");
    expect(lines.at(-1)).toContain("ready tun=glass0");
  });
});

describe("the destination", () => {
  test("a full disk loses no line that fits the buffer, counts its errors and kills nobody; what is lost is said", async () => {
    // /dev/full answers each write with ENOSPC, and the link is then turned to a file: the disk has room again.
    const path = join(dir, "log");
    symlinkSync("/dev/full", path);
    const d = new Destination(path, { limit: 1_000, delayMs: 0 });
    d.lostLine = (n) => `lost ${n}\n`;
    for (let i = 0; i < 200; i++) d.write(`line ${i}\n`);
    await d.flush(50);
    expect(d.errors).toBeGreaterThan(0);
    expect(d.lastError).toBe("ENOSPC");
    expect(d.lostLines).toBeGreaterThan(0);
    rmSync(path);
    d.reopen();
    await d.flush(2_000);
    const lines = linesOf(path);
    expect(lines.filter((l) => l.startsWith("line"))).toEqual(Array.from({ length: 200 - d.lostLines }, (_, i) => `line ${i}`));
    expect(lines).toContain(`lost ${d.lostLines}`);
  });

  test("lines that come one by one share calls to the kernel: one for each delay, not one behind the other", async () => {
    const path = join(dir, "log"),
      destination = new Destination(path);
    const calls = (): number => Number(/^syscw: (\d+)/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
    const before = calls(),
      from = performance.now();
    for (let i = 0; i < 20_000; i++) {
      destination.write(`${i}\n`);
      await new Promise(setImmediate);
    }
    await destination.flush();
    // A write, and the thread's word that it is done, each 5 ms at most; and a little for whatever else the process wrote.
    expect(calls() - before).toBeLessThan(10 + ((performance.now() - from) / 5) * 2);
    expect(linesOf(path)).toEqual(Array.from({ length: 20_000 }, (_, i) => String(i)));
  });

  test("a reader that went away is no error of ours: lines are counted as lost", async () => {
    const fifo = join(dir, "fifo");
    execFileSync("mkfifo", [fifo]);
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const d = new Destination(openSync(fifo, "w"), { delayMs: 0 });
    closeSync(reader);
    d.write("a\n");
    d.write("b\n");
    await d.flush(1_000);
    d.write("c\n");
    expect(d.lostLines).toBe(3);
    expect(d.lastError).toBe("EPIPE");
  });

  test("what waits is written when the process exits at once", async () => {
    const path = join(dir, "log");
    const d = new Destination(path, { delayMs: 1_000 });
    d.write("last words → ü\n");
    d.flushSync();
    expect(linesOf(path)).toEqual(["last words → ü"]);
  });
});
