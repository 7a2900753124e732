/** The stack itself: turns and upcalls, what is counted, and what holds between the frames of a batch. */
import { describe, expect, test } from "vitest";
import type { Stack } from "../../src/stack/stack.js";
import type { Connection } from "../../src/tcp/connection.js";
import type { TcpOptions } from "../../src/tcp/options.js";
import { PAGE } from "../../src/tcp/pages.js";
import { Millis } from "../../src/tcp/time.js";
import { fold, sumHeader } from "../../src/wire/checksum.js";
import { emitIpv4, IPV4_HEADER, PROTOCOL_ICMP, writeUint16 } from "../../src/wire/ipv4.js";
import { ACK, FIN, RST, SYN } from "../../src/wire/segment.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { type Fields, PEER, RawPeer, segment, US } from "../support/raw.js";
import { flags, from, NOBODY, Server } from "../support/server.js";

describe("turns", () => {
  test("user calls go by the time of the last turn, whichever part of it came last", () => {
    const parts: ((s: Stack, now: Millis) => void)[] = [(s, now) => s.packetsArrive(0, now), (s, now) => s.timeout(now), (s, now) => s.transmit(now)];
    for (const part of parts) {
      const p = new RawPeer(),
        then = Millis(p.now + 70);
      part(p.stack, then);
      const c = p.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 9 }, NOBODY);
      expect(c.status(then).ageMs).toBe(0);
    }
  });
  test("before the first turn they go by the time at which the stack began, and always by a better clock if there is one", () => {
    const p = new RawPeer();
    const connect = (): Connection => p.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 9 }, NOBODY);
    expect(connect().status(p.now).ageMs).toBe(0);
    p.stack.setTimeSource(() => Millis(p.now + 33));
    expect(connect().status(p.now).ageMs).toBe(-33);
  });

  /** Counts how often the driver is asked for a turn. */
  const working = (): { s: Server; asked: () => number } => {
    const s = new Server();
    let asked = 0;
    s.stack.onWork = () => {
      asked++;
    };
    return { s, asked: () => asked };
  };
  test("a user call outside of a turn asks for one, and only the first of several does", () => {
    const { s, asked } = working();
    s.open();
    const other = s.conn;
    s.open(from(1));
    expect(asked()).toBe(0);
    for (const c of [other, s.conn, other]) c.send(new Uint8Array(1));
    expect(asked()).toBe(1);
    s.turn();
    s.conn.send(new Uint8Array(1));
    expect(asked()).toBe(2);
  });
  test("none of the three parts of a turn asks for another, and each lets the next call ask", () => {
    const { s, asked } = working();
    s.user = {
      ...NOBODY,
      established: (c) => {
        c.send(new Uint8Array(1));
      },
      advised: (c) => {
        c.send(new Uint8Array(1));
      },
    };
    s.open();
    // The timeouts of what is not acknowledged touch it, and at the third the user is told.
    s.pass(10_000);
    expect(asked()).toBe(0);
    const calls: ((now: Millis) => void)[] = [(now) => s.stack.packetsArrive(0, now), (now) => s.stack.timeout(now), (now) => s.stack.transmit(now)];
    for (const [i, part] of calls.entries()) {
      s.turn();
      part(s.now);
      s.conn.send(new Uint8Array(1));
      expect(asked()).toBe(i + 1);
    }
  });
  test("pages that come back call whoever waits for them once, within the turn", () => {
    const s = new Server({ memory: plainMemory(new Uint8Array(256 * PAGE)) });
    let asked = 0;
    s.stack.onWork = () => {
      asked++;
    };
    const hungry: number[] = [];
    s.user = {
      ...NOBODY,
      writable: (c) => {
        hungry.push(c.remotePort);
        c.send(new Uint8Array(1_000));
      },
    };
    const places = Array.from({ length: 300 }, (_, i) => s.open({ ...from(i), win: 0 }));
    for (const c of s.accepted) c.send(new Uint8Array(4 * 1024 * 1024));
    s.turn();
    asked = 0;
    const waiting = s.accepted.filter((c) => c.sendQueued === 0);
    s.inject(segment({ ...from(0), ctl: RST, seq: 1_001, ack: places[0]?.ack ?? 0 }));
    expect(asked).toBe(0);
    expect(hungry.sort()).toEqual(waiting.map((c) => c.remotePort).sort());
    const fed = waiting.find((c) => c.sendQueued === 1_000) as Connection;
    // All of it was taken: an ACK is no reason to call it again.
    const i = s.accepted.indexOf(fed),
      { ack } = places[i] as { ack: number };
    s.inject(segment({ ...from(i), ctl: ACK, seq: 1_001, ack, win: 60_000 }));
    s.inject(segment({ ...from(i), ctl: ACK, seq: 1_001, ack: ack + 1_000, win: 60_000 }));
    expect(fed.sendQueued).toBe(0);
    expect(hungry.filter((port) => port === fed.remotePort)).toHaveLength(1);
  });
  test("a connection that waits for pages and ends waits no longer", () => {
    const s = new Server({ memory: plainMemory(new Uint8Array(256 * PAGE)) });
    for (let i = 0; i < 300; i++) s.open({ ...from(i), win: 0 });
    for (const c of s.accepted) c.send(new Uint8Array(4 * 1024 * 1024));
    expect(s.stack.env.starved.size).toBeGreaterThan(0);
    for (const t of s.stack.env.starved) t.connection.abort();
    s.turn();
    expect(s.stack.env.starved.size).toBe(0);
  });
  test("whoever asked runs once after each batch, before anything of it is answered, until it is stopped", () => {
    const s = new Server();
    let runs = 0;
    const stop = s.stack.onBatchEnd(() => {
      runs++;
      expect(s.sent()).toEqual([]);
    });
    s.inject(segment({ ctl: SYN, ...from(1) }), segment({ ctl: SYN, ...from(2) }));
    expect([runs, s.sent().length]).toEqual([1, 2]);
    stop();
    s.inject(segment({ ctl: SYN, ...from(3) }));
    expect(runs).toBe(1);
  });
});

describe("the frames of a batch", () => {
  test("what one brings is told before the next is looked at", () => {
    const s = new Server(),
      { seq, ack } = s.open();
    const text = (at: number, length: number): Uint8Array => segment({ ctl: ACK, seq: seq + at, ack, text: new Uint8Array(length) });
    s.inject(text(0, 10), text(10, 5), segment({ ctl: FIN | ACK, seq: seq + 15, ack }));
    expect(s.heard).toEqual(["established", "readable 10", "readable 15", "ended"]);
  });
  test("a connection that one ends makes room for the next", () => {
    const s = new Server({ limits: { maxConnections: 1 } }),
      { seq } = s.open();
    s.inject(segment({ ctl: RST, seq }), segment({ ctl: SYN, ...from(1) }));
    expect(flags(s)).toEqual([SYN | ACK]);
    expect(s.heard).toEqual(["established", "closed reset"]);
  });
  test("a new SYN from where a connection was that the user has just aborted opens another", () => {
    const s = new Server();
    s.open();
    const old = s.conn;
    old.abort();
    // It comes twice in one batch: the second is the new one's.
    s.inject(segment({ ctl: SYN, seq: 9_000 }), segment({ ctl: SYN, seq: 9_000 }));
    const answers = s.sent().filter((x) => x.seg.ctl === (SYN | ACK));
    expect(new Set(answers.map((x) => x.seg.acknowledgment))).toEqual(new Set([9_001]));
    expect(s.stack.counters).toMatchObject({ connections: 1, halfOpen: 1 });
    expect(s.heard).toEqual(["established", "closed abort"]);
    s.inject(segment({ ctl: ACK, seq: 9_001, ack: (answers[0]?.seg.sequence ?? 0) + 1 }));
    expect([s.conn === old, s.conn.state, s.stack.counters.connections]).toEqual([false, "ESTABLISHED", 1]);
  });
  test("each echo request of many is answered with its own data, though the next ones come to lie where it lay", () => {
    const p = new RawPeer(),
      pings = Array.from({ length: 300 }, (_, i) => {
        const b = new Uint8Array(IPV4_HEADER + 8 + 100).fill(i);
        b.fill(0, IPV4_HEADER, IPV4_HEADER + 8);
        b[IPV4_HEADER] = 8;
        writeUint16(b, IPV4_HEADER + 6, i);
        writeUint16(b, IPV4_HEADER + 2, ~fold(sumHeader(b, IPV4_HEADER, 108, 0)));
        emitIpv4(b, 0, b.length, 0, 64, PROTOCOL_ICMP, PEER, US);
        return b;
      });
    p.inject(...pings);
    const data = p.sent().map((s) => [...s.bytes.subarray(IPV4_HEADER + 6)]);
    expect(data).toEqual(pings.map((b) => [...b.subarray(IPV4_HEADER + 6)]));
  });
  test("a super-segment counts as the segments that it stands for, and is acknowledged as two are", () => {
    const link = { offload: "pass" } as const;
    const a = new Server({ options: { quickAcks: 0 } }, link),
      { seq, ack } = a.open();
    const before = a.conn.status(a.now).segmentsIn;
    a.injectSuper(segment({ ctl: ACK, seq, ack, text: new Uint8Array(4_000) }), 1_460);
    expect(a.conn.status(a.now).segmentsIn - before).toBe(3);
    expect(flags(a)).toEqual([ACK]);
  });
});

describe("with segmentation offload", () => {
  /** Octets of each IP packet that a window of text goes out in, cut by the device. */
  const sizes = (offload: "off" | "segment", gap: boolean, options: Partial<TcpOptions> = {}): { frames: number; packets: number[] } => {
    const s = new Server({ options }, { offload }),
      { seq, ack } = s.open({ sackOk: true });
    if (gap) s.inject(segment({ ctl: ACK, seq: seq + 100, ack, text: new Uint8Array(10) }));
    s.sent();
    const before = s.framesOut;
    s.conn.send(new Uint8Array(14_600));
    s.turn();
    return { frames: s.framesOut - before, packets: s.sent().map((x) => x.bytes.length) };
  };
  test("one frame carries a window; without it no frame is above the MTU", () => {
    expect(sizes("off", false)).toEqual({ frames: 10, packets: Array.from({ length: 10 }, () => 1_500) });
    expect(sizes("segment", false)).toEqual({ frames: 1, packets: Array.from({ length: 10 }, () => 1_500) });
  });
  test("nor does a user timeout option lift a piece above it [5482:3-3]", () => {
    const { frames, packets } = sizes("segment", false, { userTimeoutOption: true, userTimeout: 200_000 });
    expect(frames).toBeLessThan(packets.length);
    expect(Math.max(...packets)).toBe(1_500);
  });
  test("the device cuts so that SACK blocks, which every piece repeats, fit below the MTU", () => {
    const { frames, packets } = sizes("segment", true);
    expect(frames).toBeLessThan(packets.length);
    expect(Math.max(...packets)).toBe(1_500);
    expect(packets.reduce((sum, n) => sum + n - 52, 0)).toBeGreaterThan(13_000);
  });
});

describe("counts", () => {
  test("a listener counts who is half open and who was accepted; what ends in between is neither", () => {
    const s = new Server(),
      { listener } = s;
    const seen = (): number[] => [listener.halfOpen, listener.accepted, s.stack.counters.halfOpen];
    s.inject(segment({ ctl: SYN, ...from(1) }), segment({ ctl: SYN, ...from(2) }));
    expect(seen()).toEqual([2, 0, 2]);
    s.inject(segment({ ctl: RST, seq: 1, ...from(1) }));
    expect(seen()).toEqual([1, 0, 1]);
    const { seq } = s.open();
    expect(seen()).toEqual([1, 1, 1]);
    s.inject(segment({ ctl: RST, seq }));
    expect(seen()).toEqual([1, 1, 1]);
  });
  test("one that a cookie opens is half open until it is accepted, within the same step", () => {
    const s = new Server({ synCookies: "always" });
    s.open();
    expect([s.accepted.length, s.listener.halfOpen, s.listener.accepted, s.stack.counters.halfOpen]).toEqual([1, 0, 1, 0]);
  });
  test("a share of one address is given back one by one", () => {
    const s = new Server({ limits: { maxPerSource: 3 } });
    const [first] = [1, 2, 3].map((i) => s.open(from(i)));
    s.inject(segment({ ctl: RST, seq: first?.seq ?? 0, ...from(1) }));
    s.inject(...[4, 5, 6].map((i) => segment({ ctl: SYN, ...from(i) })));
    expect(flags(s)).toEqual([SYN | ACK]);
  });
  test("pages that there are, in all", () => {
    expect(new RawPeer({ memory: plainMemory(new Uint8Array(300 * PAGE)) }).stack.counters.pagesCapacity).toBe(300);
  });
  test("a flood is told with the addresses that are half open, each once", () => {
    const s = new Server({ limits: { synBacklog: 3 } });
    s.open({ from: PEER + 50 });
    for (const [i, who] of [1, 1, 2, 3].entries()) s.inject(segment({ ctl: SYN, from: PEER + 10 + who, ...from(i) }));
    const floods = s.events.filter((e) => e.kind === "flood");
    expect(floods.map((e) => [e.halfOpen, e.sources])).toEqual([[3, 2]]);
  });
  test("the limit of challenge ACKs is told by its own value", () => {
    const s = new Server({ options: { challengeAckLimit: 2, invalidAckInterval: 0 } }),
      { seq } = s.open();
    for (let i = 1; i <= 10; i++) s.inject(segment({ ctl: RST, seq: seq + i }));
    expect(s.events.filter((e) => e.kind === "limit").map((e) => [e.limit, e.value])).toEqual([["challengeAckLimit", 2]]);
  });
});

describe("at a limit", () => {
  /** Connections that the user has let go of, and what their peers need to close them. */
  const released = (s: Server, n: number): { f: Partial<Fields>; seq: number; ack: number }[] =>
    Array.from({ length: n }, (_, i) => {
      const at = s.open(from(i));
      s.conn.release();
      s.turn();
      return { f: from(i), ...at };
    });
  test("an orphan that comes to TIME-WAIT is an orphan no more, nor when that is over", () => {
    const s = new Server(),
      [one] = released(s, 2);
    expect(s.stack.counters).toMatchObject({ orphans: 2, timeWait: 0 });
    s.inject(segment({ ...one?.f, ctl: FIN | ACK, seq: one?.seq ?? 0, ack: (one?.ack ?? 0) + 1 }));
    expect(s.stack.counters).toMatchObject({ orphans: 1, timeWait: 1 });
    s.pass(60_000);
    expect(s.stack.counters).toMatchObject({ orphans: 1, timeWait: 0, connections: 1 });
  });
  test("as many TIME-WAITs go as come in one turn", () => {
    const s = new Server({ limits: { maxTimeWait: 5 } }),
      all = released(s, 12);
    s.inject(...all.map(({ f, seq, ack }) => segment({ ...f, ctl: FIN | ACK, seq, ack: ack + 1 })));
    expect(s.stack.counters).toMatchObject({ timeWait: 5, connections: 5 });
  });
  test("those in TIME-WAIT go oldest first, though some in between have left", () => {
    const s = new Server({ limits: { maxTimeWait: 5 } }),
      ports: number[] = [];
    const enter = (): void => {
      const f = from(ports.length),
        { seq, ack } = s.open(f);
      ports.push(f.sourcePort as number);
      s.conn.close();
      s.turn();
      s.inject(segment({ ...f, ctl: FIN | ACK, seq, ack: ack + 1 }));
    };
    const left = (): number[] => [...s.stack.connections()].map((c) => ports.indexOf(c.remotePort));
    for (let i = 0; i < 5; i++) enter();
    for (const i of [2, 4]) s.accepted[i]?.abort();
    s.turn();
    expect(left()).toEqual([0, 1, 3]);
    for (const still of [
      [0, 1, 3, 5],
      [0, 1, 3, 5, 6],
      [1, 3, 5, 6, 7],
      [3, 5, 6, 7, 8],
      [5, 6, 7, 8, 9],
      [6, 7, 8, 9, 10],
    ]) {
      enter();
      expect(left()).toEqual(still);
    }
    for (const i of [8, 9, 6]) s.accepted[i]?.abort();
    s.turn();
    for (const still of [
      [7, 10, 11],
      [7, 10, 11, 12],
      [7, 10, 11, 12, 13],
      [10, 11, 12, 13, 14],
      [11, 12, 13, 14, 15],
    ]) {
      enter();
      expect(left()).toEqual(still);
    }
    s.pass(60_000);
    expect([left(), s.stack.counters.timeWait]).toEqual([[], 0]);
  });
  test("an orphan that has to go is told to its user", () => {
    const s = new Server({ limits: { maxOrphans: 1 } });
    released(s, 2);
    expect(s.heard.slice(-1)).toEqual(["closed limit"]);
  });
});
