/** Two stacks on a pair of devices in virtual time: nothing waits, and every run is the same. */
import { createPair, type Pair, type PairOptions } from "../../src/device/pair.js";
import type { Device } from "../../src/device/device.js";
import { Stack, type StackConfig } from "../../src/stack/stack.js";
import type { TcpEvent } from "../../src/tcp/events.js";
import { Millis, NEVER } from "../../src/tcp/time.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";

export interface World {
  readonly a: Stack;
  readonly b: Stack;
  readonly pair: Pair;
  readonly events: { a: TcpEvent[]; b: TcpEvent[] };
  now: Millis;
  /** Moves frames and runs timers until nothing happens before `until` (default: at this instant). */
  run(until?: number): void;
}

export function seeded(seed: number): () => number {
  let s = seed >>> 0;
  return () => {
    s = (s + 0x9e3779b9) >>> 0;
    let z = s;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
}

export function world(
  options: { a?: Partial<StackConfig>; b?: Partial<StackConfig>; pair?: PairOptions; wrap?: (device: Device) => Device; record?: readonly string[] } = {},
): World {
  const pair = createPair({ schedule: () => {}, ...options.pair });
  const events: World["events"] = { a: [], b: [] };
  const record = new Set(options.record ?? ["transition", "closed", "drop", "reset", "refused"]);
  const make = (side: "a" | "b", address: string): Stack => {
    const random = seeded(side === "a" ? 1 : 2);
    const stack = new Stack({
      addresses: [address],
      mtu: pair[side].mtu,
      secret: new Uint32Array([random(), random(), random(), random()]),
      random,
      memory: plainMemory(new Uint8Array(32 * 1024 * 1024)),
      now: Millis(1_000),
      observer: {
        wants: (k) => record.has(k),
        event: (e) => {
          events[side].push(e);
        },
      },
      ...options[side],
    });
    const device = side === "a" && options.wrap !== undefined ? options.wrap(pair.a) : pair[side];
    stack.attach(device.rx, device.tx, device.offload);
    device.start({
      readable() {
        for (let n = device.read(); n > 0; n = device.read()) stack.packetsArrive(n, w.now);
        stack.transmit(w.now);
      },
      failed() {},
    });
    return stack;
  };
  const w: World = {
    a: undefined as unknown as Stack,
    b: undefined as unknown as Stack,
    pair,
    events,
    now: Millis(1_000),
    run(until = w.now) {
      for (;;) {
        w.a.timeout(w.now);
        w.b.timeout(w.now);
        w.a.transmit(w.now);
        w.b.transmit(w.now);
        pair.pump();
        const next = Math.min(w.a.nextTimeout(), w.b.nextTimeout());
        if (next === NEVER || next > until) break;
        w.now = Millis(Math.max(w.now, next));
      }
      if (until > w.now && Number.isFinite(until)) w.now = Millis(until);
    },
  };
  (w as { a: Stack }).a = make("a", "10.0.0.1");
  (w as { b: Stack }).b = make("b", "10.0.0.2");
  return w;
}
