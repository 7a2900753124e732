/**
 * Runs a stack at its own pace: drain the device, let time pass, send, sleep until the next deadline. The only place where
 * time, the kernel and the protocol meet. All arrivals are taken before the first reply leaves, which gives MUST-58 and
 * MUST-59 (aggregate ACKs) by construction.
 */
import type { Device, DeviceFailure } from "../device/device.js";
import type { Stack } from "../stack/stack.js";
import { Millis, NEVER } from "../tcp/time.js";

export interface Clock {
  /** Milliseconds since some start, with fractions. */
  now(): Millis;
  /** Calls `fn` at `at` or soon after. @returns how to take it back */
  at(at: Millis, fn: () => void): () => void;
}

/** The machine's monotonic clock. `unref`: a timer alone does not keep the process alive. */
export function systemClock(unref = false): Clock {
  return {
    now: () => Millis(performance.now()),
    at(at, fn) {
      let timer: NodeJS.Timeout;
      const arm = (): void => {
        timer = setTimeout(look, Math.min(2 ** 31 - 1, Math.max(0, Math.ceil(at - performance.now()))));
        if (unref) timer.unref();
      };
      // The engine counts whole milliseconds, and may come up to one too early.
      const look = (): void => {
        if (performance.now() < at) arm();
        else fn();
      };
      arm();
      return () => clearTimeout(timer);
    },
  };
}

export interface Driver {
  /** Queues a turn: something was written, read or ended outside of one. */
  wake(): void;
  /** No more turns. The device stays open. */
  stop(): void;
}

/** Told of turns: what is done at the end of one has waited until the answers have left. */
export interface AroundTurns {
  turnBegins(): void;
  turnEnds(): void;
}

/** Batches that one turn takes before it lets timers, and then others in the process, have their share. */
const BATCHES = 4;

export function drive(
  device: Device,
  stack: Stack,
  clock: Clock,
  onFailure: (failure: DeviceFailure) => void = () => {},
  around: AroundTurns = { turnBegins() {}, turnEnds() {} },
): Driver {
  let queued = false,
    stopped = false,
    turning = false;
  let wakeAt: Millis = NEVER,
    cancelWake = (): void => {};

  const turn = (): void => {
    if (stopped || turning) return;
    turning = true;
    queued = false;
    around.turnBegins();
    try {
      let now = clock.now();
      for (let i = 0; i < BATCHES; i++) {
        const count = device.read();
        if (count === 0) break;
        stack.packetsArrive(count, now);
        stack.transmit(now);
        now = clock.now();
      }
      stack.timeout(now);
      stack.transmit(now);
      schedule(now);
    } finally {
      turning = false;
      around.turnEnds();
    }
  };
  const schedule = (now: Millis): void => {
    const next = stack.nextTimeout();
    // A wake that is set for earlier stands: it finds nothing due and sets the right one, which is cheaper than moving it.
    if (next >= wakeAt && wakeAt > now) return;
    cancelWake();
    wakeAt = next;
    cancelWake = next === NEVER ? () => {} : clock.at(next, onWake);
  };
  const onWake = (): void => {
    wakeAt = NEVER;
    cancelWake = () => {};
    turn();
  };
  const wake = (): void => {
    if (queued || turning || stopped) return;
    queued = true;
    queueMicrotask(turn);
  };

  stack.attach(device.rx, device.tx, device.offload);
  stack.setTimeSource(clock.now);
  stack.onWork = wake;
  device.start({ readable: turn, failed: onFailure });
  return {
    wake,
    stop() {
      stopped = true;
      cancelWake();
    },
  };
}
