/** Whatever arrives: nothing throws, nothing grows without bound, and a connection goes on. The static half is test/house. */
import fc from "../support/property.js";
import { describe, expect, test } from "vitest";
import { ACK, SYN } from "../../src/wire/segment.js";
import { PEER, RawPeer, segment, US } from "../support/raw.js";
import { fold, sumHeader } from "../../src/wire/checksum.js";
import { writeInt32, writeUint16 } from "../../src/wire/ipv4.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";

function listening(): RawPeer {
  const p = new RawPeer({ limits: { synBacklog: 64, maxFragments: 65_536 } });
  p.stack.listen({ port: 80 }, () => ({ established() {}, readable: (c) => c.skip(c.readable), writable() {}, ended() {}, closed() {} }));
  return p;
}
/** Makes octets look as much like a packet for us as `care` says, so that they get further in. */
function disguise(bytes: Uint8Array, care: number): Uint8Array {
  const b = bytes.slice();
  if (care === 0 || b.length < 40) return b;
  b[0] = 0x45;
  writeUint16(b, 2, b.length);
  b[6] = care > 3 ? 0 : (b[6] as number);
  b[7] = care > 3 ? 0 : (b[7] as number);
  b[9] = care === 2 ? 1 : 6;
  writeInt32(b, 12, PEER);
  writeInt32(b, 16, US);
  if (care >= 3) {
    writeUint16(b, 20, 40_000);
    writeUint16(b, 22, 80);
  }
  if (care >= 5) b[32] = 0x50 + (((b[32] as number) & 3) << 4);
  writeUint16(b, 10, 0);
  writeUint16(b, 10, ~fold(sumHeader(b, 0, 20, 0)));
  if (care >= 2) {
    const at = b[9] === 1 ? 22 : 36;
    writeUint16(b, at, 0);
    const pseudo = b[9] === 1 ? 0 : 6 + (b.length - 20) + (PEER >>> 16) + (PEER & 0xffff) + (US >>> 16) + (US & 0xffff);
    writeUint16(b, at, ~fold(pseudo + plainMemory(b).sum(20, b.length - 20)));
  }
  return b;
}
const frame = fc.tuple(fc.uint8Array({ minLength: 0, maxLength: 120 }), fc.integer({ min: 0, max: 6 }));

describe("hostile input", () => {
  test("random octets, more and more like segments for us, never throw and hold no memory [9293:MUST-7]", () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 60 }), (frames) => {
        const p = listening();
        for (const [bytes, care] of frames) p.inject(disguise(bytes, care));
        p.sent();
        p.pass(200_000);
        p.sent();
        const c = p.stack.counters;
        expect([c.connections, c.pagesUsed, c.halfOpen, c.fragmentOctets]).toEqual([0, 0, 0, 0]);
        expect(p.stack.nextTimeout()).toBe(Infinity);
      }),
      { numRuns: 60, seed: 9293 },
    );
  });
  test("segments with any numbers and flags around a live connection do not throw; it obeys the window", () => {
    const any = fc.record({
      ctl: fc.integer({ min: 0, max: 255 }),
      seq: fc.integer({ min: -70_000, max: 70_000 }),
      ack: fc.integer({ min: -70_000, max: 70_000 }),
      win: fc.integer({ min: 0, max: 65_535 }),
      length: fc.integer({ min: 0, max: 1_460 }),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 80 }), (segments) => {
        const p = listening();
        p.inject(segment({ ctl: SYN, seq: 100 }));
        const iss = p.sent()[0]?.seg.sequence as number;
        p.inject(segment({ ctl: ACK, seq: 101, ack: iss + 1 }));
        const [conn] = p.stack.connections();
        conn?.send(new Uint8Array(5_000));
        for (const s of segments) {
          p.inject(segment({ ctl: s.ctl, seq: 101 + s.seq, ack: iss + 1 + s.ack, win: s.win, text: new Uint8Array(s.length) }));
          p.sent();
        }
        for (const c of p.stack.connections()) c.abort();
        p.pass(200_000);
        p.sent();
        expect(p.stack.counters.pagesUsed).toBe(0);
      }),
      { numRuns: 60, seed: 5961 },
    );
  });
});
