/** A stack with faults on a device, driven in real time, and a recorder of what happens: what peers and the lab are made of. */
import { randomFillSync } from "node:crypto";
import { type Clock, drive, type Driver, systemClock } from "../daemon/driver.js";
import type { Device, DeviceFailure } from "../device/device.js";
import type { FilterDevice } from "../device/wrapper.js";
import { withFaults } from "../faults/device.js";
import { factsOf } from "../faults/facts.js";
import type { Faults } from "../faults/faults.js";
import { seeded } from "../faults/random.js";
import type { StackLimits } from "../stack/limits.js";
import { Stack } from "../stack/stack.js";
import type { TcpOptions } from "../tcp/options.js";
import { Recorder } from "./record.js";

export interface RigOptions {
  readonly device: Device;
  readonly addresses: readonly string[];
  readonly options?: Partial<TcpOptions>;
  /** Makes chance repeat: that of the faults, and our sequence numbers and ports. */
  readonly seed?: number;
  /** Bounds of the stack, and whether a full backlog answers by SYN cookies. */
  readonly limits?: Partial<StackLimits>;
  readonly synCookies?: "auto" | "off";
  readonly onFailure?: (failure: DeviceFailure) => void;
}

/** Enough for tests; the stack's own default is made for servers. Octets. */
const MEMORY = 64 * 1024 * 1024;

export class Rig {
  readonly stack: Stack;
  readonly device: FilterDevice;
  readonly faults: Faults;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly #driver: Driver;
  #closed = false;

  constructor(options: RigOptions) {
    this.clock = systemClock();
    const { device, faults } = withFaults(options.device, {
      clock: { now: () => this.clock.now(), at: (when, run) => this.clock.at(when as never, run) },
      seed: options.seed ?? 1,
      observer: { wants: () => true, event: (e) => this.recorder.event(e) },
      find: factsOf(() => this.stack),
    });
    this.device = device;
    this.faults = faults;
    const dice = options.seed === undefined ? undefined : seeded(options.seed);
    const random = (): number => (dice === undefined ? (randomFillSync(new Uint32Array(1))[0] as number) : Math.floor(dice() * 2 ** 32));
    this.stack = new Stack({
      addresses: options.addresses,
      mtu: device.mtu,
      random,
      limits: { memory: MEMORY, ...options.limits },
      secret: Uint32Array.from({ length: 4 }, random),
      now: this.clock.now(),
      ...(options.synCookies === undefined ? {} : { synCookies: options.synCookies }),
      ...(options.options === undefined ? {} : { options: options.options }),
    });
    this.recorder = new Recorder(
      (id) => this.stack.connection(id),
      () => this.clock.now(),
    );
    this.stack.addObserver(this.recorder);
    this.#driver = drive(device, this.stack, this.clock, options.onFailure);
  }

  /** Resets what lives and lets the device go. A second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.faults.clear();
    const now = this.clock.now();
    this.stack.shutdown(now);
    this.stack.transmit(now);
    this.#driver.stop();
    this.device.close();
  }
}
