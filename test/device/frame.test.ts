/** Frames: cutting a super-segment loses nothing, checksums come out right, and no octets whatever make them throw. */
import fc from "../support/property.js";
import { describe, expect, test } from "vitest";
import { Frame } from "../../src/device/frame.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { bytes } from "./contract.js";
import { checksum, datagram, isSound, tcpPacket } from "./packets.js";

/** An IPv6 packet with 20 octets of TCP header, or any other next header. */
function packet6(text: Uint8Array, next = 6, header = 20): Uint8Array {
  const packet = Buffer.alloc(40 + header + text.length);
  packet[0] = 0x60;
  packet.writeUInt16BE(header + text.length, 4);
  packet[6] = next;
  packet[7] = 64;
  packet.set(bytes(32, 3), 8);
  if (next === 6) packet[40 + 12] = 0x50;
  packet.set(text, 40 + header);
  return packet;
}
function isSound6(packet: Uint8Array): boolean {
  const length = packet.length - 40;
  return checksum(packet.subarray(8, 40), Uint8Array.from([0, 0, length >> 8, length & 255, 0, 0, 0, packet[6] as number]), packet.subarray(40)) === 0;
}

describe("a frame", () => {
  test("is cut into sound segments that hold its text in order, whatever the sizes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 1, max: 9000 }), fc.nat(0xffffffff), (length, gsoSize, sequence) => {
        const text = bytes(length, 9);
        const whole = new Frame(plainMemory(tcpPacket({ sequence, flags: 0x19, text })), 0, 52 + length, gsoSize, true);
        const parts = whole.split();
        if (length <= gsoSize) {
          expect(parts).toEqual([whole]);
          return;
        }
        expect(parts).toHaveLength(whole.segments);
        let at = 0;
        for (const part of parts) {
          const view = Buffer.from(part.bytes);
          expect(isSound(part.bytes)).toBe(true);
          expect(part.length - 52).toBeLessThanOrEqual(gsoSize);
          expect(view.readUInt32BE(24)).toBe((sequence + at) % 2 ** 32);
          expect(view.subarray(52).equals(Buffer.from(text.subarray(at, at + part.length - 52)))).toBe(true);
          at += part.length - 52;
        }
        expect(at).toBe(length);
      }),
      { numRuns: 60 },
    );
  });

  test("CWR stays on the first segment, FIN and PSH on the last", () => {
    const whole = new Frame(plainMemory(tcpPacket({ sequence: 0, flags: 0x99, text: bytes(250, 1) })), 0, 302, 100, true);
    expect(whole.split().map((part) => part.bytes[33])).toEqual([0x90, 0x10, 0x19]);
  });

  test("of IPv6 is cut and summed as well", () => {
    const parts = new Frame(plainMemory(packet6(bytes(250, 1))), 0, 310, 100, true).split();
    expect(parts.map((part) => [part.length, isSound6(part.bytes), Buffer.from(part.bytes).readUInt16BE(4)])).toEqual([
      [160, true, 120],
      [160, true, 120],
      [110, true, 70],
    ]);
  });

  test.each([
    ["TCP", () => tcpPacket({ sequence: 1, flags: 2, text: bytes(33, 1) }), 36, isSound],
    ["UDP", () => datagram({ source: "10.0.0.1", destination: "10.0.0.2", sourcePort: 1, destinationPort: 2, text: bytes(7, 1) }), 26, isSound],
    ["TCP over IPv6", () => packet6(bytes(9, 1)), 56, isSound6],
    ["UDP over IPv6", () => packet6(bytes(9, 1), 17, 8), 46, isSound6],
    ["ICMPv6", () => packet6(bytes(9, 1), 58, 4), 42, isSound6],
  ])("completes the checksum of %s", (_name, make, field, sound) => {
    const frame = Frame.of(Uint8Array.from(make()));
    frame.bytes[field] = 0x12;
    frame.partial = true;
    frame.complete();
    expect([sound(frame.bytes), frame.partial]).toEqual([true, false]);
  });

  test("seal() of a frame whose checksum is partial leaves the folded pseudo-header sum, as the kernel wants it", () => {
    const frame = new Frame(plainMemory(tcpPacket({ sequence: 1, flags: 0x10, text: bytes(3000, 1) })), 0, 3052, 1448, true);
    frame.seal();
    const { source, length } = { source: frame.bytes.subarray(12, 20), length: frame.length - 20 };
    expect(Buffer.from(frame.bytes).readUInt16BE(36)).toBe(~checksum(source, Uint8Array.from([0, 6, length >> 8, length & 255])) & 0xffff);
  });

  test("leaves the octets of fragments alone: their sum spans other frames", () => {
    const packet = Uint8Array.from(tcpPacket({ sequence: 1, flags: 2, text: bytes(33, 1) }));
    packet[6] = 0x20;
    const frame = Frame.of(packet);
    frame.bytes[36] = 0xaa;
    frame.partial = true;
    frame.complete();
    expect(frame.bytes[36]).toBe(0xaa);
  });

  test("no octets make it throw or reach outside of itself", () => {
    const first = fc.constantFrom(0x45, 0x46, 0x4f, 0x40, 0x60, 0x00, 0xff);
    fc.assert(
      fc.property(first, fc.uint8Array({ maxLength: 90 }), fc.integer({ min: 0, max: 200 }), fc.boolean(), (start, noise, gsoSize, partial) => {
        const memory = plainMemory(new Uint8Array(200).fill(0xee));
        const octets = noise.length > 0 ? Uint8Array.from([start, ...noise.subarray(1)]) : noise;
        if (octets.length > 10) octets[9] = [6, 17, 58][gsoSize % 3] as number;
        memory.bytes.set(octets, 50);
        const frame = new Frame(memory, 50, octets.length, gsoSize, partial);
        expect(frame.headerLength).toBeLessThanOrEqual(octets.length);
        frame.split();
        frame.seal();
        frame.complete();
        expect(frame.segments).toBeGreaterThan(0);
        expect(memory.bytes.subarray(0, 50).every((b) => b === 0xee)).toBe(true);
        expect(memory.bytes.subarray(50 + octets.length).every((b) => b === 0xee)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
