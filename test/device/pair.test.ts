/** The pair in memory keeps the contract of a device, and its own: bounded, clockless, three kinds of offload. */
import { describe, expect, test } from "vitest";
import type { Device } from "../../src/device/device.js";
import { createPair, type PairDevice } from "../../src/device/pair.js";
import { FilterDevice } from "../../src/device/wrapper.js";
import { bytes, datagrams, deviceContract, OUR_PORT, OURS, THEIR_PORT, THEIRS } from "./contract.js";
import { datagram, isSound, readDatagram, tcpPacket } from "./packets.js";
import { readAll, sendWhole } from "./whole.js";

for (const offload of ["off", "pass", "segment"] as const) {
  const rigOf = (wrap: (device: PairDevice) => Device) => () => {
    const { a, b } = createPair({ offload });
    return {
      device: wrap(a),
      arrive: (text: Uint8Array) => {
        sendWhole(b, datagram({ source: THEIRS, destination: OURS, sourcePort: THEIR_PORT, destinationPort: OUR_PORT, text }));
        b.tx.flush();
      },
      left: async (count: number) => {
        const got = readAll(b).flatMap((f) => readDatagram(f.bytes) ?? []);
        expect(got).toHaveLength(count);
        return got;
      },
      breakDown: () => a.fail({ code: "EBADFD", message: "the interface pair-a was deleted" }),
      close: () => {
        a.close();
        b.close();
      },
    };
  };
  deviceContract(
    `pair, offload ${offload}`,
    rigOf((device) => device),
  );
  deviceContract(
    `pair, offload ${offload}, in a wrapper without filter`,
    rigOf((device) => new FilterDevice(device)),
  );
  deviceContract(
    `pair, offload ${offload}, in three wrappers that look, split, and copy`,
    rigOf((device) => {
      const look = new FilterDevice(device, { incoming: (f, go) => go(f), outgoing: (f, go) => go(f) });
      const split = new FilterDevice(look, { incoming: (f, go) => go(f), outgoing: (f, go) => go(f) }, { split: true });
      return new FilterDevice(split, { incoming: (f, go) => go(f.own()), outgoing: (f, go) => go(f.own()) });
    }),
  );
}

describe("a pair", () => {
  const text = (n: number) => datagram({ source: OURS, destination: THEIRS, sourcePort: 1, destinationPort: OUR_PORT, text: bytes(n, 1) });

  test("delivers nothing by itself when told not to schedule; pump delivers until all is quiet", () => {
    const { a, b, pump } = createPair({ schedule: () => {} });
    const got: number[] = [];
    a.start({
      readable: () => {
        got.push(...datagrams(a, a.read()).map((p) => p.text.length));
      },
      failed: () => {},
    });
    // b answers each datagram but the empty one with one that is an octet shorter
    b.start({
      readable: () => {
        for (const p of datagrams(b, b.read())) if (p.text.length > 0) sendWhole(b, text(p.text.length - 1));
        b.tx.flush();
      },
      failed: () => {},
    });
    sendWhole(a, text(3));
    a.tx.flush();
    expect(got).toEqual([]);
    expect(pump()).toBe(2);
    expect(got).toEqual([2]);
    expect(pump()).toBe(0);
  });

  test("never calls readable before the sender's flush has returned", async () => {
    const { a, b } = createPair();
    let returned = false,
      seen: boolean | undefined;
    const arrived = new Promise<void>((resolve) =>
      b.start({
        readable: () => {
          seen = returned;
          b.read();
          resolve();
        },
        failed: () => {},
      }),
    );
    sendWhole(a, text(3));
    a.tx.flush();
    returned = true;
    await arrived;
    expect(seen).toBe(true);
  });

  test("loses what its queue cannot hold, and counts it at the sender", () => {
    const { a, b } = createPair({ queue: 10 });
    for (let i = 0; i < 15; i++) sendWhole(a, text(i));
    a.tx.flush();
    expect(a.counters).toMatchObject({ txFrames: 10, txErrors: 5 });
    expect(readAll(b)).toHaveLength(10);
  });

  test("refuses frames beyond its MTU when it has no offload", () => {
    const { a, b } = createPair({ mtu: 1000 });
    sendWhole(a, text(1000 - 28));
    sendWhole(a, text(1001 - 28));
    a.tx.flush();
    expect(a.counters).toMatchObject({ txFrames: 1, txErrors: 1 });
    expect(readAll(b)[0]?.bytes).toHaveLength(1000);
    a.tx.begin();
    expect(() => a.tx.end(40, 0, true)).toThrow(/no checksums/);
  });

  const superSegment = tcpPacket({ sequence: 0xfffffff0, flags: 0x19, text: bytes(3000, 5), id: 0xffff });

  test("offload pass: a super-segment crosses whole, with its segment size and its trust", () => {
    const { a, b } = createPair({ offload: "pass" });
    sendWhole(a, superSegment, 1448, true);
    a.tx.flush();
    expect(readAll(b)).toEqual([{ bytes: new Uint8Array(superSegment), gsoSize: 1448, trusted: 1 }]);
  });

  test("offload segment: the reader gets sound segments with the sequence, flags and text of each", () => {
    const { a, b } = createPair({ offload: "segment" });
    sendWhole(a, superSegment, 1448, true);
    a.tx.flush();
    const got = readAll(b);
    expect(got.map((f) => [f.bytes.length, f.gsoSize, f.trusted])).toEqual([
      [1500, 0, 0],
      [1500, 0, 0],
      [156, 0, 0],
    ]);
    expect(got.every((f) => isSound(f.bytes))).toBe(true);
    const view = got.map((f) => Buffer.from(f.bytes));
    expect(view.map((v) => v.readUInt32BE(24))).toEqual([0xfffffff0, 0xfffffff0 + 1448 - 2 ** 32, 0xfffffff0 + 2896 - 2 ** 32]);
    expect(view.map((v) => v[33])).toEqual([0x10, 0x10, 0x19]);
    expect(view.map((v) => v.readUInt16BE(4))).toEqual([0xffff, 0, 1]);
    expect(Buffer.concat(view.map((v) => v.subarray(52)))).toEqual(Buffer.from(bytes(3000, 5)));
  });

  test("offload segment: an ordinary packet with a partial checksum is completed", () => {
    const { a, b } = createPair({ offload: "segment" });
    const packet = tcpPacket({ sequence: 1, flags: 0x18, text: bytes(11, 5) });
    packet[36] = packet[37] = 0xab;
    sendWhole(a, packet, 0, true);
    a.tx.flush();
    const [got] = readAll(b);
    expect(got?.trusted).toBe(0);
    expect(isSound(got?.bytes as Uint8Array)).toBe(true);
  });
});
