/** The base of wrappers: frames pass, change, wait, multiply or vanish as the filter says, in both directions, at any time. */
import { describe, expect, test } from "vitest";
import type { Frame } from "../../src/device/frame.js";
import { Frame as FrameClass } from "../../src/device/frame.js";
import { createPair } from "../../src/device/pair.js";
import { type Filter, FilterDevice, type Forward, type WrapperOptions } from "../../src/device/wrapper.js";
import { bytes } from "./contract.js";
import { isSound, tcpPacket } from "./packets.js";
import { late } from "../support/late.js";
import { readAll, sendWhole } from "./whole.js";

const packet = (sequence: number, size = 20): Uint8Array => tcpPacket({ sequence, flags: 0x18, text: bytes(size, sequence) });
const sequence = (frame: Uint8Array): number => Buffer.from(frame).readUInt32BE(24);

function rig(filter: Filter, options: WrapperOptions = {}, offload: "off" | "pass" = "off") {
  const { a, b } = createPair({ offload, queue: 10_000, schedule: () => {} });
  const calls: (() => void)[] = [];
  const device = new FilterDevice(a, filter, { schedule: (call) => calls.push(call), ...options });
  return {
    a,
    b,
    device,
    calls,
    out: (...packets: Uint8Array[]) => {
      for (const p of packets) sendWhole(device, p);
      device.tx.flush();
    },
    back: (...packets: Uint8Array[]) => {
      for (const p of packets) sendWhole(b, p);
      b.tx.flush();
    },
    left: () => readAll(b).map((f) => sequence(f.bytes)),
    got: () => readAll(device).map((f) => sequence(f.bytes)),
  };
}

describe("a wrapper", () => {
  test("drops what the filter does not forward, both ways, and keeps the order of the rest", () => {
    const odd = (frame: Frame, forward: Forward): void => {
      if (sequence(frame.bytes) % 2 === 1) forward(frame);
    };
    const { out, back, left, got } = rig({ incoming: odd, outgoing: odd });
    out(...[0, 1, 2, 3, 4, 5].map((n) => packet(n)));
    back(...[0, 1, 2, 3, 4, 5].map((n) => packet(n)));
    expect([left(), got()]).toEqual([
      [1, 3, 5],
      [1, 3, 5],
    ]);
  });

  test("submit: what a filter looks at is with the device, since its copy is written over in the next turn; the rest may wait", () => {
    const handed = (filter: Filter | undefined): number[] => {
      const { a, b } = createPair({ queue: 10_000, schedule: () => {} });
      Object.defineProperty(a, "tx", { value: late(a.tx) });
      const device = new FilterDevice(a, filter, {});
      sendWhole(device, packet(1));
      device.tx.submit();
      return readAll(b).map((f) => sequence(f.bytes));
    };
    expect([handed({ outgoing: (frame, forward) => forward(frame) }), handed(undefined)]).toEqual([[1], []]);
  });

  test("reads on when a whole batch is dropped, so that 0 means that nothing is there", () => {
    const { device, back } = rig({
      incoming: (frame, forward) => {
        if (sequence(frame.bytes) >= 64) forward(frame);
      },
    });
    back(...Array.from({ length: 65 }, (_, i) => packet(i)));
    expect(device.read()).toBe(1);
    expect(device.read()).toBe(0);
  });

  test("sends what the filter changed, sound again after seal()", () => {
    const change = (frame: Frame, forward: Forward): void => {
      frame.bytes[8] = 7; // TTL
      frame.bytes[33] = 0x14; // RST, ACK
      frame.seal();
      forward(frame);
    };
    const { b, device, out, back } = rig({ incoming: change, outgoing: change });
    out(packet(1));
    back(packet(2));
    for (const [frame] of [readAll(b), readAll(device)]) {
      expect([frame?.bytes[8], frame?.bytes[33], isSound(frame?.bytes as Uint8Array)]).toEqual([7, 0x14, true]);
    }
  });

  test("copies that are forwarded have octets of their own", () => {
    const twice = (frame: Frame, forward: Forward): void => {
      forward(frame);
      const second = frame.own();
      second.bytes[27] = 99;
      forward(second);
    };
    const { out, back, left, got } = rig({ incoming: twice, outgoing: twice });
    out(packet(1), packet(2));
    back(packet(1), packet(2));
    expect([left(), got()]).toEqual([
      [1, 99, 2, 99],
      [1, 99, 2, 99],
    ]);
  });

  test("the same frame may be forwarded many times over", () => {
    const many = (frame: Frame, forward: Forward): void => {
      for (let i = 0; i < 100; i++) forward(frame);
    };
    const { out, back, left, got } = rig({ incoming: many, outgoing: many });
    out(packet(1), packet(2));
    back(packet(1), packet(2));
    const expected = [...new Array<number>(100).fill(1), ...new Array<number>(100).fill(2)];
    expect([left(), got()]).toEqual([expected, expected]);
  });

  test("an altered copy between two of the same frame keeps its place, after one that was dropped", () => {
    const both = (frame: Frame, forward: Forward): void => {
      if (sequence(frame.bytes) === 0) return;
      forward(frame);
      const second = frame.own();
      second.bytes[27] = 99;
      forward(second);
      forward(frame);
    };
    const { out, back, left, got } = rig({ incoming: both, outgoing: both });
    out(packet(0), packet(1), packet(2));
    back(packet(0), packet(1), packet(2));
    expect([left(), got()]).toEqual([
      [1, 99, 1, 2, 99, 2],
      [1, 99, 1, 2, 99, 2],
    ]);
  });

  test("what is held back is delivered when forwarded, after readable was scheduled once; nothing re-enters", () => {
    const held: [Frame, Forward][] = [];
    const hold = (frame: Frame, forward: Forward): void => {
      held.push([frame.own(), forward]);
    };
    const { device, calls, out, back, left, got } = rig({ incoming: hold, outgoing: hold });
    let readable = 0;
    device.start({
      readable: () => {
        readable++;
      },
      failed: () => {},
    });
    out(packet(1), packet(2));
    back(packet(3), packet(4));
    expect([left(), got(), held.length]).toEqual([[], [], 4]);
    for (const [frame, forward] of held.splice(0).reverse()) forward(frame);
    expect(left()).toEqual([2, 1]);
    expect([readable, calls.length]).toEqual([0, 1]);
    calls.shift()?.();
    expect(readable).toBe(1);
    expect(calls).toHaveLength(1); // not read yet: it will be told again
    expect(got()).toEqual([4, 3]);
    calls.shift()?.();
    expect([readable, calls.length]).toEqual([1, 0]);
  });

  test("what was held back comes before what arrives later", () => {
    const { device, back, got } = rig({ incoming: (frame, forward) => forward(frame) });
    device.injectIncoming(FrameClass.of(packet(1)));
    back(packet(2));
    expect(got()).toEqual([1, 2]);
  });

  test("a frame that the filter answers itself: the answer goes out while the stack reads, or comes in while it sends", () => {
    const { device, calls, out, back, left, got } = rig({
      incoming: (frame) => device.injectOutgoing(FrameClass.of(packet(sequence(frame.bytes) + 100))),
      outgoing: (frame) => device.injectIncoming(FrameClass.of(packet(sequence(frame.bytes) + 200))),
    });
    device.start({ readable: () => {}, failed: () => {} });
    back(packet(1), packet(2));
    expect([got(), left()]).toEqual([[], [101, 102]]);
    out(packet(1));
    expect([left(), calls.length, got()]).toEqual([[], 1, [201]]);
  });

  test("an answer in the middle of the stack's turn does not disturb what the stack is sending", () => {
    const { device, left } = rig({
      outgoing: (frame, forward) => {
        device.injectOutgoing(FrameClass.of(packet(50)));
        forward(frame);
      },
    });
    sendWhole(device, packet(1));
    sendWhole(device, packet(2));
    expect(left()).toEqual([]);
    device.tx.flush();
    expect(left()).toEqual([50, 1, 50, 2]);
  });

  test("holds as many frames for the stack as it is told to, and counts what it must let go", () => {
    const { device, got } = rig({}, { queue: 100 });
    for (let i = 0; i < 130; i++) device.injectIncoming(FrameClass.of(packet(i)));
    expect(device.overflow).toBe(30);
    expect(got()).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test("more than its staging space holds goes out in order", () => {
    const { device, b } = rig({ outgoing: (frame, forward) => forward(frame) }, {}, "pass");
    for (let i = 0; i < 40; i++) sendWhole(device, packet(i, 60_000), 1448, true);
    device.tx.flush();
    const all = readAll(b);
    expect(all.map((f) => sequence(f.bytes))).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(all.every((f, i) => Buffer.from(f.bytes.subarray(52)).equals(Buffer.from(bytes(60_000, i))))).toBe(true);
  });

  test("an idle one hands through the rings themselves; a filter may come and go between frames", () => {
    const { a, device, out, back, left, got } = rig({});
    expect(device.rx).toBe(a.rx);
    expect(device.tx.memory).toBe(a.tx.memory);
    out(packet(1));
    back(packet(1));
    device.filter = { incoming: () => {}, outgoing: () => {} };
    out(packet(2));
    expect([left(), got()]).toEqual([[1], []]);
    back(packet(2));
    device.filter = {};
    out(packet(3));
    back(packet(3));
    expect([left(), got()]).toEqual([[3], [2, 3]]);
  });

  test("a frame that was begun before the filter came is still whole", () => {
    const { device, left } = rig({});
    const whole = packet(1);
    const slot = device.tx.begin();
    device.tx.memory.bytes.set(whole, slot);
    device.filter = { outgoing: () => {} };
    device.tx.end(whole.length, 0, false);
    device.tx.flush();
    expect(left()).toEqual([1]);
  });

  test("split: super-segments are seen and sent as what they stand for, sound and in order", () => {
    const sizes: number[] = [];
    const look = (frame: Frame, forward: Forward): void => {
      sizes.push(frame.length);
      forward(frame);
    };
    const { b, device } = rig({ incoming: look, outgoing: look }, { split: true }, "pass");
    sendWhole(device, packet(0, 4000), 1448, true);
    device.tx.flush();
    sendWhole(b, packet(0, 4000), 1448, true);
    b.tx.flush();
    for (const frames of [readAll(b), readAll(device)]) {
      expect(frames.map((f) => [f.bytes.length, f.gsoSize, f.trusted, isSound(f.bytes)])).toEqual([
        [1500, 0, 0, true],
        [1500, 0, 0, true],
        [1156, 0, 0, true],
      ]);
    }
    expect(sizes).toEqual([1500, 1500, 1156, 1500, 1500, 1156]);
  });

  test("closes its filter once, then its device, and takes no more frames", () => {
    let closed = 0;
    const { a, device, left } = rig({
      close: () => {
        closed++;
      },
    });
    device.close();
    device.close();
    device.injectOutgoing(FrameClass.of(packet(1)));
    device.injectIncoming(FrameClass.of(packet(1)));
    expect([closed, device.read(), left(), a.read()]).toEqual([1, 0, [], 0]);
  });
});
