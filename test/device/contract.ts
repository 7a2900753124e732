/**
 * What every device promises, as tests: run by the pair, by wrappers, by the adapter of tuntap2 and, in a namespace, by
 * the TUN. A rig has a device and its far end, which is the kernel or whatever plays it.
 */
import { afterEach, describe, expect, test } from "vitest";
import type { Device, DeviceFailure } from "../../src/device/device.js";
import { createMemory } from "../../src/wire/wasm-memory.js";
import { datagram, type Packet, readDatagram } from "./packets.js";

export interface Rig {
  readonly device: Device;
  /** Makes one UDP datagram of `text` octets arrive at the device. */
  arrive(text: Uint8Array): void | Promise<void>;
  /** UDP datagrams that the far end has got from the device, in order, once there are `count`. */
  left(count: number): Promise<Packet[]>;
  /** Makes the device fail for good, as when its link is deleted. */
  breakDown?(): void | Promise<void>;
  close(): void | Promise<void>;
}

/** The device's own address and the far end's, and their ports, in every rig. */
export const OURS = "10.77.0.2",
  THEIRS = "10.77.0.1",
  OUR_PORT = 4000,
  THEIR_PORT = 4001;

export function deviceContract(name: string, make: () => Rig | Promise<Rig>): void {
  describe(`the contract of a device: ${name}`, () => {
    let rig: Rig | undefined;
    afterEach(async () => {
      await rig?.close();
      rig = undefined;
    });
    const setUp = async (): Promise<Rig> => (rig = await make());

    /** Starts the device and gathers the datagrams that arrive, until told to stop. */
    function listen(device: Device): { got: Packet[]; failures: DeviceFailure[]; until(count: number): Promise<Packet[]> } {
      const got: Packet[] = [],
        failures: DeviceFailure[] = [];
      let look = (): void => {};
      device.start({
        readable: () => {
          for (let n = device.read(); n > 0; n = device.read()) got.push(...datagrams(device, n));
          look();
        },
        failed: (failure) => {
          failures.push(failure);
          look();
        },
      });
      return {
        got,
        failures,
        until: (count) =>
          new Promise((resolve) => {
            look = () => {
              if (got.length >= count) resolve(got);
            };
            look();
          }),
      };
    }

    function send(device: Device, pieces: Uint8Array[]): void {
      const text = Buffer.concat(pieces);
      const whole = datagram({ source: OURS, destination: THEIRS, sourcePort: OUR_PORT, destinationPort: THEIR_PORT, text });
      const memory = createMemory(text.length + 64);
      memory.bytes.set(text, 5);
      const slot = device.tx.begin();
      device.tx.memory.bytes.set(whole.subarray(0, 28), slot);
      let at = 5;
      for (const piece of pieces) {
        device.tx.text(memory, at, piece.length);
        at += piece.length;
      }
      device.tx.end(28, 0, false);
    }

    test("gives nothing before anything has arrived, and starts all counters at zero", async () => {
      const { device } = await setUp();
      expect(datagrams(device, device.read())).toEqual([]);
      expect(device.counters).toMatchObject({ rxErrors: 0, txFrames: 0, txBytes: 0, txErrors: 0 });
      expect(device.offload.maxFrame).toBeGreaterThanOrEqual(device.mtu);
    });

    test("calls readable for what arrives, and read() gives it octet for octet and in order", async () => {
      const { device, arrive } = await setUp();
      const sink = listen(device);
      const texts = Array.from({ length: 40 }, (_, i) => bytes(i * 31 + 1, i));
      for (const text of texts) await arrive(text);
      const got = await sink.until(texts.length);
      expect(got.map((p) => Buffer.from(p.text).toString("hex"))).toEqual(texts.map((t) => Buffer.from(t).toString("hex")));
      expect(got[0]).toMatchObject({ source: THEIRS, destination: OURS, destinationPort: OUR_PORT });
      expect(device.counters.rxFrames).toBeGreaterThanOrEqual(texts.length);
    });

    test("stays readable for who reads one batch a call", async () => {
      const { device, arrive } = await setUp();
      const got: Packet[] = [];
      await new Promise<void>((resolve) => {
        device.start({
          readable: () => {
            got.push(...datagrams(device, device.read()));
            if (got.length >= 300) resolve();
          },
          failed: () => {},
        });
        for (let i = 0; i < 300; i++) void arrive(bytes(100, i));
      });
      expect(got.map((p) => p.text[0])).toEqual(Array.from({ length: 300 }, (_, i) => i & 255));
    });

    test("sends frames whole and in order: no text, one piece, eight pieces, pieces at odd places", async () => {
      const { device, left } = await setUp();
      const frames = [
        [],
        [bytes(1, 1)],
        [bytes(1400, 2)],
        Array.from({ length: 8 }, (_, i) => bytes(2 * i + 1, i)),
        [bytes(3, 4), bytes(0, 0), bytes(1001, 5)],
      ];
      for (const pieces of frames) send(device, pieces);
      device.tx.flush();
      const got = await left(frames.length);
      expect(got.map((p) => Buffer.from(p.text).toString("hex"))).toEqual(frames.map((pieces) => Buffer.concat(pieces).toString("hex")));
      expect(device.counters).toMatchObject({ txFrames: frames.length, txErrors: 0 });
      expect(device.counters.txBytes).toBe(frames.reduce((sum, pieces) => sum + 28 + Buffer.concat(pieces).length, 0));
    });

    test("sends one frame alone", async () => {
      const { device, left } = await setUp();
      send(device, [bytes(9, 9), bytes(8, 8)]);
      device.tx.flush();
      expect((await left(1)).map((p) => p.text.length)).toEqual([17]);
    });

    test("takes more frames than its ring has before a flush, none is lost", async () => {
      const { device, left } = await setUp();
      const got: Packet[] = [];
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 350; i++) send(device, [bytes(20, i)]);
        device.tx.flush();
        got.push(...(await left(350)));
      }
      expect(got.map((p) => p.text[0])).toEqual([0, 1].flatMap(() => Array.from({ length: 350 }, (_, i) => i & 255)));
    });

    test("forgets a frame that was begun and not ended", async () => {
      const { device, left } = await setUp();
      const memory = createMemory(10);
      device.tx.begin();
      device.tx.text(memory, 0, 10);
      send(device, [bytes(3, 1)]);
      device.tx.begin();
      device.tx.flush();
      send(device, [bytes(4, 1)]);
      device.tx.flush();
      expect((await left(2)).map((p) => p.text.length)).toEqual([3, 4]);
    });

    test("refuses, as our own bug, text outside its memory, a ninth piece, a header beyond its slot", async () => {
      const { device } = await setUp();
      const memory = createMemory(10);
      device.tx.begin();
      expect(() => device.tx.text(memory, 5, 6)).toThrow(RangeError);
      expect(() => device.tx.text(memory, -1, 2)).toThrow(RangeError);
      for (let i = 0; i < 8; i++) device.tx.text(memory, i, 1);
      expect(() => device.tx.text(memory, 0, 1)).toThrow(/8 pieces/);
      device.tx.begin();
      expect(() => device.tx.end(129, 0, false)).toThrow(RangeError);
      device.tx.begin();
      device.tx.flush();
      expect(device.counters.txFrames).toBe(0);
    });

    test("a flush of nothing is nothing, and close() may come twice, before or after a start", async () => {
      const { device } = await setUp();
      device.tx.flush();
      device.start({
        readable: () => {},
        failed: () => {
          throw new Error("failed() after close()");
        },
      });
      device.close();
      device.close();
      expect(device.read()).toBe(0);
      device.tx.begin();
      device.tx.end(28, 0, false);
      device.tx.flush();
      expect(device.counters.txErrors).toBe(1);
    });

    test("calls nothing once it is closed", async () => {
      const { device, arrive } = await setUp();
      let calls = 0;
      device.start({
        readable: () => {
          calls++;
        },
        failed: () => {
          calls++;
        },
      });
      device.close();
      try {
        await arrive(bytes(10, 1));
      } catch {
        /* the far end may have noticed */
      }
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      expect(calls).toBe(0);
    });

    test("says once that it failed, with an errno's name and a sentence, and then is silent", async (context) => {
      const { device, breakDown } = await setUp();
      if (breakDown === undefined) return context.skip("this driver cannot be broken from outside");
      const failures: DeviceFailure[] = [];
      await new Promise<void>((resolve) => {
        device.start({
          readable: () => {
            while (device.read() > 0);
          },
          failed: (failure) => {
            failures.push(failure);
            resolve();
          },
        });
        void breakDown();
      });
      await new Promise((resolve) => setImmediate(resolve));
      expect(device.read()).toBe(0);
      expect(failures).toHaveLength(1);
      expect(failures[0]?.code).toMatch(/^E[A-Z]+$/);
      expect(failures[0]?.message).toMatch(/^\S.*\S$/);
      device.close();
    });
  });
}

/** UDP datagrams to our port among a batch; the kernel's own noise (IPv6 router solicitations) is left out. */
export function datagrams(device: Device, count: number): Packet[] {
  const out: Packet[] = [];
  for (let i = 0; i < count; i++) {
    const at = device.rx.offset[i] as number,
      length = device.rx.length[i] as number;
    const packet = readDatagram(device.rx.memory.bytes.slice(at, at + length));
    if (packet !== undefined && packet.destinationPort === OUR_PORT) out.push(packet);
  }
  return out;
}

/** Octets that tell their frame: the first is `seed`. */
export function bytes(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seed + i * 7) & 255);
}
