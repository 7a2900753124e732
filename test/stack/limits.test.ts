/**
 * Limits in virtual time: at each one the newest or the least valuable goes, one line a second at most says so, the stack
 * does not grow and lives on. And what a connection may cost over time (bounds.ts).
 */
import { describe, expect, test } from "vitest";
import { LIMITS } from "../../src/stack/limits.js";
import type { StackConfig } from "../../src/stack/stack.js";
import type { Connection } from "../../src/tcp/connection.js";
import type { TcpEvent } from "../../src/tcp/events.js";
import { PAGE } from "../../src/tcp/pages.js";
import type { ConnectionUser } from "../../src/tcp/user.js";
import { fold, sumHeader } from "../../src/wire/checksum.js";
import { emitIpv4, IPV4_HEADER, parseAddress, PROTOCOL_ICMP, PROTOCOL_TCP, writeUint16 } from "../../src/wire/ipv4.js";
import { ACK, FIN, RST, SYN } from "../../src/wire/segment.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { type Fields, PEER, RawPeer, segment, US } from "../support/raw.js";

const NOBODY: ConnectionUser = { established() {}, readable() {}, writable() {}, ended() {}, closed() {} };

/** A stack whose port 80 takes everybody, and peers that are bytes. */
class Siege extends RawPeer {
  readonly accepted: Connection[] = [];
  user: ConnectionUser = NOBODY;
  constructor(config: Partial<StackConfig> = {}) {
    super(config);
    this.stack.listen({ port: 80 }, (c) => {
      this.accepted.push(c);
      return this.user;
    });
  }
  /** SYN and the ACK of the answer. @returns where both ends are, or undefined when no SYN,ACK came */
  open(f: Partial<Fields> = {}): { seq: number; ack: number } | undefined {
    this.sent();
    this.inject(segment({ ctl: SYN, seq: 1_000, mss: 1_460, ...f }));
    const answer = this.sent().find((s) => s.seg.ctl === (SYN | ACK));
    if (answer === undefined) return undefined;
    const at = { seq: 1_001, ack: answer.seg.sequence + 1 };
    this.inject(segment({ ...f, ctl: ACK, ...at, mss: 0 }));
    return at;
  }
  limits(name: string): Extract<TcpEvent, { kind: "limit" }>[] {
    return this.events.filter((e) => e.kind === "limit").filter((e) => e.limit === name);
  }
  dropped(rule: string): number {
    return this.events.filter((e) => e.kind === "drop" && e.rule === rule).length;
  }
  closedBy(): string[] {
    return this.events.filter((e) => e.kind === "closed").map((e) => e.by);
  }
}
/** A datagram of any protocol, or the first fragment of one. */
function datagram(protocol: number, payload: Uint8Array, fragment?: { id: number; more: boolean }): Uint8Array {
  const b = new Uint8Array(IPV4_HEADER + payload.length);
  emitIpv4(b, 0, b.length, 0, 64, protocol, PEER, US);
  b.set(payload, IPV4_HEADER);
  writeUint16(b, 4, fragment?.id ?? 0);
  writeUint16(b, 6, fragment?.more === true ? 0x2000 : 0);
  writeUint16(b, 10, 0);
  writeUint16(b, 10, ~fold(sumHeader(b, 0, IPV4_HEADER, 0)));
  return b;
}
const from = (i: number): Partial<Fields> => ({ from: (parseAddress("10.0.1.0") as number) + (i >> 14), sourcePort: 1_024 + (i & 16_383) });

describe("how many", () => {
  test("half-open: beyond synBacklog a SYN leaves no state, and is answered by a cookie or not at all; one flood line a second", () => {
    for (const [synCookies, answers] of [
      ["auto", 3_000],
      ["off", 64],
    ] as const) {
      const s = new Siege({ limits: { synBacklog: 64 }, synCookies });
      for (let i = 0; i < 3_000; i++) {
        s.inject(segment({ ctl: SYN, seq: i, mss: 1_460, ...from(i) }));
        if (i % 1_000 === 999) s.pass(400);
      }
      expect(s.stack.counters.halfOpen).toBe(64);
      expect([...s.stack.connections()]).toHaveLength(64);
      const synAcks = s.sent().filter((x) => x.seg.ctl === (SYN | ACK));
      expect(new Set(synAcks.map((x) => `${x.ip.destination}:${x.seg.destinationPort}`)).size).toBe(answers);
      const floods = s.events.filter((e) => e.kind === "flood");
      expect(floods.length).toBeGreaterThanOrEqual(1);
      expect(floods.length).toBeLessThanOrEqual(3);
      // They go by themselves: 63 s of SYN,ACKs without an answer.
      s.pass(64_000);
      expect(s.stack.counters).toMatchObject({ halfOpen: 0, connections: 0 });
      expect(s.open({ sourcePort: 9 })).toBeDefined();
    }
  });

  test("connections: the newest SYN is not taken, the old ones live; cookies do not get around it", () => {
    for (const synCookies of ["auto", "always"] as const) {
      const s = new Siege({ limits: { maxConnections: 10 }, synCookies });
      for (let i = 0; i < 10; i++) expect(s.open(from(i))).toBeDefined();
      for (let i = 10; i < 200; i++) s.open(from(i));
      expect(s.stack.counters.connections).toBe(10);
      expect(s.accepted).toHaveLength(10);
      expect(s.accepted.every((c) => c.state === "ESTABLISHED")).toBe(true);
      expect(s.dropped("limit-connections")).toBe(190);
      expect(s.limits("maxConnections").map(({ value, shed }) => ({ value, shed }))).toEqual([{ value: 10, shed: 1 }]);
      s.accepted[0]?.abort();
      s.turn();
      s.pass(1_000);
      expect(s.open(from(500))).toBeDefined();
      expect(s.stack.counters.connections).toBe(10);
      expect(() => s.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 9 }, NOBODY)).toThrow(expect.objectContaining({ code: "ENOBUFS" }));
    }
  });

  test("connections of one address: it is held to its share, everybody else is not", () => {
    for (const synCookies of ["auto", "always"] as const) {
      const s = new Siege({ limits: { maxPerSource: 3 }, synCookies });
      for (let i = 0; i < 50; i++) s.open({ sourcePort: 5_000 + i });
      expect(s.stack.counters.connections).toBe(3);
      expect(s.dropped("limit-per-source")).toBe(47);
      expect(s.open({ from: parseAddress("10.0.0.9") as number })).toBeDefined();
      expect(s.stack.counters.connections).toBe(4);
      expect(s.limits("maxPerSource")).toHaveLength(1);
      for (const c of s.accepted) c.abort();
      s.turn();
      expect(s.stack.counters.connections).toBe(0);
      s.pass(1_000);
      for (let i = 0; i < 5; i++) s.open({ sourcePort: 6_000 + i });
      expect(s.stack.counters.connections).toBe(3);
    }
  });

  test("an application that accepts nothing: its backlog fills, then SYNs are dropped, with a line a second", () => {
    for (const synCookies of ["auto", "always"] as const) {
      const s = new Siege({ limits: { acceptBacklog: 3 }, synCookies });
      const [listener] = [...s.stack.listeners()];
      if (listener === undefined) throw new Error("nobody listens");
      s.user = {
        ...NOBODY,
        established() {
          listener.waiting++;
        },
      };
      for (let i = 0; i < 3; i++) expect(s.open(from(i))).toBeDefined();
      for (let i = 3; i < 100; i++) expect(s.open(from(i))).toBeUndefined();
      expect(s.stack.counters).toMatchObject({ connections: 3, halfOpen: 0, listenOverflows: 97, synBacklogOverflows: 0 });
      expect(s.dropped("accept-backlog")).toBe(97);
      expect(s.limits("acceptBacklog").map(({ value, shed }) => ({ value, shed }))).toEqual([{ value: 3, shed: 1 }]);
      listener.waiting--;
      expect(s.open(from(100))).toBeDefined();
    }
  });

  test("accept backlog: the last ACK of a handshake that finds it full is as good as lost; the SYN,ACK comes again, and text tries again", () => {
    const s = new Siege({ limits: { acceptBacklog: 1 } });
    const [listener] = [...s.stack.listeners()];
    if (listener === undefined) throw new Error("nobody listens");
    const handshakes = [0, 1].map((i) => {
      s.inject(segment({ ctl: SYN, seq: 1_000, mss: 1_460, ...from(i) }));
      return { ...from(i), ctl: ACK, seq: 1_001, ack: (s.sent()[0]?.seg.sequence ?? 0) + 1 };
    });
    s.inject(segment(handshakes[0] as Fields));
    listener.waiting = 1;
    s.inject(segment(handshakes[1] as Fields), segment({ ...(handshakes[1] as Fields), text: Buffer.from("hello") }));
    expect([...s.stack.connections()].map((c) => c.state)).toEqual(["ESTABLISHED", "SYN-RECEIVED"]);
    expect(s.stack.counters).toMatchObject({ halfOpen: 1, listenOverflows: 2 });
    expect(s.sent()).toEqual([]);
    s.pass(1_000);
    expect(s.sent().map((x) => x.seg.ctl)).toEqual([SYN | ACK]);
    listener.waiting = 0;
    s.inject(segment({ ...(handshakes[1] as Fields), text: Buffer.from("hello") }));
    expect(s.accepted.map((c) => [c.state, c.readable])).toEqual([
      ["ESTABLISHED", 0],
      ["ESTABLISHED", 5],
    ]);
    expect(s.stack.counters).toMatchObject({ halfOpen: 0, listenOverflows: 2 });
  });

  test("a backlog of nothing, or less, lets one wait", () => {
    for (const backlog of [0, -1, 0.5]) {
      const s = new Siege();
      s.stack.listen({ port: 81, backlog }, () => NOBODY);
      expect(s.open({ port: 81 })).toBeDefined();
    }
  });

  test("abortOnOverflow: it is answered by RST instead", () => {
    const s = new Siege({ limits: { acceptBacklog: 1 }, options: { abortOnOverflow: true } });
    const [listener] = [...s.stack.listeners()];
    if (listener === undefined) throw new Error("nobody listens");
    s.inject(segment({ ctl: SYN, seq: 1_000, mss: 1_460 }));
    const [synAck] = s.sent();
    listener.waiting = 1;
    s.inject(segment({ ctl: ACK, seq: 1_001, ack: (synAck?.seg.sequence ?? 0) + 1 }));
    expect(s.sent().map((x) => x.seg.ctl & RST)).toEqual([RST]);
    expect(s.stack.counters).toMatchObject({ connections: 0, halfOpen: 0, listenOverflows: 1 });
    expect(s.closedBy()).toEqual(["limit"]);
    expect(s.accepted).toEqual([]);
  });

  test("accept backlog: a cookie that finds it full makes no connection and is not refused", () => {
    const s = new Siege({ limits: { acceptBacklog: 1 }, synCookies: "always" });
    const [listener] = [...s.stack.listeners()];
    if (listener === undefined) throw new Error("nobody listens");
    s.inject(segment({ ctl: SYN, seq: 1_000, mss: 1_460 }));
    const [synAck] = s.sent();
    const ack: Fields = { ctl: ACK, seq: 1_001, ack: (synAck?.seg.sequence ?? 0) + 1, text: Buffer.from("x") };
    listener.waiting = 1;
    s.inject(segment(ack));
    expect(s.sent()).toEqual([]);
    expect(s.stack.counters).toMatchObject({ connections: 0, listenOverflows: 1 });
    listener.waiting = 0;
    s.inject(segment(ack));
    expect(s.accepted.map((c) => c.readable)).toEqual([1]);
  });

  test("TIME-WAIT: the oldest goes, and none is left above the limit", () => {
    const s = new Siege({ limits: { maxTimeWait: 5 } });
    s.user = {
      ...NOBODY,
      established(c) {
        c.release();
      },
    };
    for (let i = 0; i < 40; i++) {
      const at = s.open(from(i));
      s.inject(segment({ ...from(i), ctl: FIN | ACK, seq: at?.seq ?? 0, ack: (at?.ack ?? 0) + 1 }));
    }
    expect(s.stack.counters.timeWait).toBe(5);
    expect([...s.stack.connections()].map((c) => c.remotePort)).toEqual([35, 36, 37, 38, 39].map((i) => 1_024 + i));
    expect(s.limits("maxTimeWait")).toHaveLength(1);
    s.pass(60_001);
    expect(s.stack.counters).toMatchObject({ timeWait: 0, connections: 0 });
  });

  test("orphans: the newest is reset", () => {
    const s = new Siege({ limits: { maxOrphans: 5 } });
    for (let i = 0; i < 20; i++) s.open(from(i));
    for (const c of s.accepted) {
      c.send(new Uint8Array(100));
      c.release();
      s.turn();
    }
    expect(s.stack.counters).toMatchObject({ orphans: 5, connections: 5 });
    expect(s.closedBy()).toEqual(Array.from({ length: 15 }, () => "limit"));
    expect(s.limits("maxOrphans")).toHaveLength(1);
  });

  test("RSTs and challenge ACKs: no more a second than allowed, and a line a second says how many were not sent", () => {
    const s = new Siege({ limits: { resetRate: 50 }, options: { challengeAckLimit: 20, invalidAckInterval: 0 } });
    const at = s.open();
    s.sent();
    for (let i = 0; i < 1_000; i++) s.inject(segment({ ctl: SYN, port: 81, ...from(i) }));
    expect(s.sent().filter((x) => x.seg.ctl & RST)).toHaveLength(50);
    expect(s.stack.counters.resetsLimited).toBe(950);
    // In the window, not at RCV.NXT: RFC 5961 §3.2.
    for (let i = 1; i <= 1_000; i++) s.inject(segment({ ctl: RST, seq: (at?.seq ?? 0) + i }));
    const challenges = s.sent().length;
    expect(challenges).toBeGreaterThan(0);
    expect(challenges).toBeLessThanOrEqual(30); // half of the limit to one and a half: jittered
    expect(s.accepted[0]?.state).toBe("ESTABLISHED");
    for (const name of ["resetRate", "challengeAckLimit"]) expect(s.limits(name)).toHaveLength(1);
    s.pass(1_000);
    s.inject(segment({ ctl: SYN, port: 81 }), segment({ ctl: RST, seq: (at?.seq ?? 0) + 7 }));
    expect(s.sent().map((x) => x.seg.ctl)).toEqual([RST | ACK, ACK]);
  });

  test("ICMP errors: no more a second than icmpRate, and a line a second says how many were not sent", () => {
    const s = new Siege({ limits: { icmpRate: 5 } });
    const unknown = datagram(200, new Uint8Array(8));
    for (let i = 0; i < 100; i++) s.inject(unknown);
    expect(s.sent().map((x) => x.ip.protocol)).toEqual(Array.from({ length: 5 }, () => PROTOCOL_ICMP));
    expect(s.stack.counters.icmpLimited).toBe(95);
    expect(s.limits("icmpRate").map(({ value, shed }) => ({ value, shed }))).toEqual([{ value: 5, shed: 1 }]);
    s.pass(1_000);
    for (let i = 0; i < 6; i++) s.inject(unknown);
    expect(s.limits("icmpRate").map((l) => l.shed)).toEqual([1, 95]);
  });

  test("fragments: the oldest datagram goes, what waits stays below maxFragments, and a line a second says so", () => {
    const s = new Siege({ limits: { maxFragments: 20_000 } });
    const first = (id: number): Uint8Array => datagram(PROTOCOL_TCP, new Uint8Array(1_000), { id, more: true });
    for (let id = 1; id <= 200; id++) s.inject(first(id));
    expect(s.stack.counters.fragmentOctets).toBeGreaterThan(0);
    expect(s.stack.counters.fragmentOctets).toBeLessThanOrEqual(20_000);
    const [told, ...more] = s.limits("maxFragments");
    expect(told?.value).toBe(20_000);
    expect(s.stack.counters.fragmentsShed).toBeGreaterThan(100);
    expect(more).toEqual([]);
    s.pass(1_000);
    for (let id = 201; id <= 220; id++) s.inject(first(id));
    expect(s.limits("maxFragments")).toHaveLength(2);
    expect(s.limits("maxFragments")[1]?.shed).toBeGreaterThan(100);
  });

  test("every limit has bounds within which the default lies, and says why", () => {
    for (const spec of Object.values(LIMITS)) {
      expect(spec.default).toBeGreaterThanOrEqual(spec.min);
      expect(spec.default).toBeLessThanOrEqual(spec.max);
      expect(spec.source).not.toBe("");
      expect(spec.why).not.toBe("");
    }
  });
});

describe("memory", () => {
  /** 4 MiB: 256 pages, of which 64 are for what arrives. */
  const small = (): Siege => new Siege({ memory: plainMemory(new Uint8Array(256 * PAGE)) });
  const octets = new Uint8Array(4 * 1024 * 1024),
    text = (n: number): Uint8Array => octets.subarray(0, n);

  test("send takes less and then nothing; an ACK somewhere frees pages, and whoever could queue nothing is told", () => {
    const s = small(),
      told: number[] = [];
    s.user = {
      ...NOBODY,
      writable(c) {
        told.push(c.remotePort);
      },
    };
    const places = Array.from({ length: 300 }, (_, i) => s.open({ ...from(i), win: 0 }));
    // Windows are shut, so that all that is taken has to be kept.
    const taken = s.accepted.map((c) => c.send(text(4 * 1024 * 1024)));
    expect(taken[0]).toBeGreaterThan(PAGE);
    expect(taken[0]).toBeLessThan(64 * PAGE);
    expect(taken.at(-1)).toBe(0);
    expect(s.stack.counters.pagesUsed).toBe(256 - 64);
    s.turn();
    expect(s.limits("memory")).toHaveLength(1);
    expect(s.accepted.every((c) => c.state === "ESTABLISHED")).toBe(true);
    s.inject(segment({ ...from(0), ctl: RST, seq: places[0]?.seq ?? 0, ack: places[0]?.ack ?? 0 }));
    expect(told).toContain(s.accepted.at(-1)?.remotePort);
    expect(s.accepted.at(-1)?.send(text(100))).toBe(100);
    for (const c of s.accepted) c.abort();
    s.turn();
    expect(s.stack.counters.pagesUsed).toBe(0);
  });

  test("however much one connection or forty could hold, the next gets its share", () => {
    const s = small();
    for (let i = 0; i < 41; i++) s.open({ ...from(i), win: 0 });
    const taken = s.accepted.map((c) => c.send(text(4 * 1024 * 1024)));
    // A sixteenth of what was left, each.
    expect(taken[0]).toBeLessThanOrEqual((192 / 16) * PAGE);
    expect(taken[10]).toBeGreaterThanOrEqual(4 * PAGE);
    expect(taken[40]).toBeGreaterThanOrEqual(PAGE);
  });

  test("text beyond gaps cannot take the memory from others: it is dropped first, and the connection survives", () => {
    const s = small();
    const places = Array.from({ length: 400 }, (_, i) => s.open(from(i)));
    places.forEach((at, i) => {
      s.inject(segment({ ...from(i), ctl: ACK, seq: (at?.seq ?? 0) + 1, ack: at?.ack ?? 0, text: text(1_000) }));
    });
    expect(s.stack.counters.pagesUsed).toBeLessThanOrEqual((256 * 3) / 4);
    expect(s.stack.env.counters.memoryDrops).toBeGreaterThan(200);
    expect(s.limits("memory")).toHaveLength(1);
    // The last is one of those that were refused. Its gap is filled, and text in order is taken from it as ever.
    const at = places.at(-1),
      c = s.accepted.at(-1);
    s.inject(segment({ ...from(399), ctl: ACK, seq: at?.seq ?? 0, ack: at?.ack ?? 0, text: text(1_001) }));
    expect(c?.readable).toBe(1_001);
    expect(s.closedBy()).toEqual([]);
  });

  test("pieces beyond gaps: outOfOrderRanges of them and no more, with a line a second; what makes one longer or fills the gap is taken", () => {
    const s = new Siege({ options: { outOfOrderRanges: 8 } }),
      at = s.open() as { seq: number; ack: number };
    const piece = (i: number): Uint8Array => segment({ ctl: ACK, seq: at.seq + i * 10, ack: at.ack, text: text(5) });
    for (let i = 1; i <= 100; i++) s.inject(piece(i));
    expect(s.accepted[0]?.status(s.now).outOfOrder).toBe(8 * 5);
    expect([s.dropped("limit-gaps"), s.stack.env.counters.gapDrops, s.stack.env.counters.memoryDrops]).toEqual([92, 92, 0]);
    expect(s.limits("outOfOrderRanges").map(({ value, shed }) => ({ value, shed }))).toEqual([{ value: 8, shed: 1 }]);
    for (let i = 0; i <= 8; i++) s.inject(segment({ ctl: ACK, seq: at.seq + i * 10, ack: at.ack, text: text(10) }));
    expect(s.accepted[0]?.readable).toBe(90);
    expect(s.closedBy()).toEqual([]);
  });

  test("what fills a gap is taken although much lies beyond it", () => {
    const s = small(),
      at = s.open() as { seq: number; ack: number };
    for (let i = 0; i < 2_000; i++) s.inject(segment({ ctl: ACK, seq: at.seq + 1 + i * 1_000, ack: at.ack, text: text(1_000) }));
    const kept = s.accepted[0]?.status(s.now).outOfOrder ?? 0;
    expect(kept).toBeGreaterThan(PAGE);
    s.inject(segment({ ctl: ACK, seq: at.seq, ack: at.ack, text: text(1) }));
    expect(s.accepted[0]?.readable).toBe(kept + 1);
  });
});

describe("what a connection may cost over time", () => {
  const rules = (s: Siege): string[] => s.events.filter((e) => e.kind === "reset").map((e) => e.rule);

  test("none of it by default: idle, shut or slow for days, and nothing happens", () => {
    const s = new Siege();
    s.open();
    s.pass(3 * 24 * 3_600_000);
    expect(s.accepted[0]?.state).toBe("ESTABLISHED");
    expect(s.stack.nextTimeout()).toBe(Infinity);
  });

  test("idleTimeout: counted from the last text either way; keep-alive probes and their answers are no text", () => {
    const s = new Siege({ options: { idleTimeout: 60_000, keepAlive: true, keepAliveIdle: 20_000, delayedAck: 0 } });
    const at = s.open() as { seq: number; ack: number };
    const born = s.now;
    s.pass(50_000);
    s.inject(segment({ ctl: ACK, ...at, text: Buffer.from("x") }));
    for (let i = 0; i < 5; i++) {
      s.pass(10_000);
      s.inject(segment({ ctl: ACK, seq: at.seq + 1, ack: at.ack }));
    }
    expect(s.accepted[0]?.state).toBe("ESTABLISHED");
    s.sent();
    s.pass(10_000);
    expect(rules(s)).toEqual(["limit-idle"]);
    expect(s.now - born).toBe(110_000);
    expect(s.sent().at(-1)?.seg.ctl).toBe(RST | ACK);
    expect(s.closedBy()).toEqual(["limit"]);
    expect(s.stack.counters.connections).toBe(0);
  });

  test("zeroWindowTimeout: answered probes do not help, one open window does", () => {
    const s = new Siege({ options: { zeroWindowTimeout: 30_000 } });
    const at = s.open({ win: 0 }) as { seq: number; ack: number };
    /** Acknowledges whatever came, and keeps the window shut. */
    let ack = at.ack;
    const answer = (win: number): void => {
      for (const { seg } of s.sent()) if (seg.textLength > 0) ack = seg.sequence + seg.textLength;
      s.inject(segment({ ctl: ACK, seq: at.seq, ack, win }));
    };
    // A shut window alone costs nothing.
    s.pass(100_000);
    s.accepted[0]?.send(new Uint8Array(10_000));
    s.turn();
    for (let i = 0; i < 29; i++) {
      s.pass(1_000);
      answer(0);
    }
    expect(s.accepted[0]?.state).toBe("ESTABLISHED");
    answer(100);
    s.pass(100);
    answer(0);
    for (let i = 0; i < 29; i++) {
      s.pass(1_000);
      answer(0);
    }
    expect(s.accepted[0]?.state).toBe("ESTABLISHED");
    for (let i = 0; i < 2; i++) {
      s.pass(1_000);
      answer(0);
    }
    expect(rules(s)).toEqual(["limit-zero-window"]);
    expect(s.stack.counters.connections).toBe(0);
  });

  test("minSendRate: a trickle that never shuts the window is too slow; whoever takes all there is, or the rate, is not", () => {
    const slow = (perSecond: number, octets: number): string[] => {
      const s = new Siege({ options: { minSendRate: 500, minSendRatePeriod: 10_000 } });
      const at = s.open({ win: 1 }) as { seq: number; ack: number };
      s.accepted[0]?.send(new Uint8Array(octets));
      s.turn();
      for (let i = 1; i <= 60; i++) {
        s.pass(1_000);
        s.inject(segment({ ctl: ACK, seq: at.seq, ack: at.ack + Math.min(s.accepted[0]?.status(s.now).sndNxt ?? 1, octets + 1) - 1, win: perSecond }));
      }
      return rules(s);
    };
    expect(slow(100, 1_000_000)).toEqual(["limit-slow-reader"]);
    expect(slow(1_000, 1_000_000)).toEqual([]);
    expect(slow(100, 90)).toEqual([]);
  });

  test("maxAge: a slow sender is not idle, and yet its time is over", () => {
    const s = new Siege({ options: { idleTimeout: 60_000, maxAge: 600_000 } });
    const at = s.open() as { seq: number; ack: number };
    for (let i = 0; i < 59; i++) {
      s.pass(10_000);
      s.inject(segment({ ctl: ACK, seq: at.seq + i, ack: at.ack, text: Buffer.from("x") }));
    }
    expect(s.accepted[0]?.state).toBe("ESTABLISHED");
    s.pass(10_000);
    expect(rules(s)).toEqual(["limit-age"]);
  });

  test("TIME-WAIT is not cut short by them", () => {
    const s = new Siege({ options: { idleTimeout: 1_000, maxAge: 5_000 } });
    const at = s.open() as { seq: number; ack: number };
    s.accepted[0]?.close();
    s.turn();
    s.inject(segment({ ctl: FIN | ACK, seq: at.seq, ack: at.ack + 1 }));
    s.pass(59_000);
    expect(s.accepted[0]?.state).toBe("TIME-WAIT");
    expect(rules(s)).toEqual([]);
  });
});
