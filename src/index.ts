/** The library: a TCP of our own inside a program, with sockets in the manner of node:net. */
import { randomFillSync } from "node:crypto";
import { EventEmitter } from "node:events";
import type { LookupFunction } from "node:net";
import { drive, systemClock } from "./daemon/driver.js";
import type { Device, DeviceFailure } from "./device/device.js";
import { openTun, type TunOptions } from "./device/tun.js";
import { createNet, type Net } from "./sockets/net.js";
import type { ListenOptions, Server, ServerOptions } from "./sockets/server.js";
import type { Socket } from "./sockets/socket.js";
import type { StackLimits } from "./stack/limits.js";
import { Stack } from "./stack/stack.js";
import type { TcpEvent } from "./tcp/events.js";
import type { TcpOptions } from "./tcp/options.js";
import type { Status } from "./tcp/status.js";

export interface StackOptions {
  /** What carries the frames: an open device, such as one end of `createPair()`. The stack closes it when it is closed. */
  device?: Device | undefined;
  /** Or a TUN interface to make: its name, or what it is to be. Needs the right to make one (CAP_NET_ADMIN). */
  tun?: string | TunOptions | undefined;
  /** What is ours: addresses such as "10.77.0.2", and prefixes such as "10.77.1.0/24", every address of which is. */
  addresses: readonly string[];
  /** Settings of the TCP core for all connections; `OPTIONS` lists them with their bounds. */
  options?: Partial<TcpOptions> | undefined;
  /** Bounds of the stack as a whole: memory, connections, rates. */
  limits?: Partial<StackLimits> | undefined;
  /** Resolves the host names that `connect` and `listen` are given; default `dns.lookup`. Addresses never reach it. */
  lookup?: LookupFunction | undefined;
}

export interface StackEvents {
  /** Whatever happens inside: transitions, drops, timers, segments … An event is made only while somebody listens. */
  event: [event: TcpEvent];
  /** The device is gone for good. Live connections end by their timeouts. */
  failed: [failure: DeviceFailure];
}

/** One TCP endpoint: a device, the protocol, and sockets. Made by {@link createStack}. */
export class GlassStack extends EventEmitter<StackEvents> {
  /** The API of `node:net`, on this stack. */
  readonly net: Net;
  readonly device: Device;
  /** The protocol itself: connections, listeners, counters. */
  readonly stack: Stack;
  readonly #end: () => void;
  #closed = false;
  #ignore: (() => void) | undefined;

  /** @internal */
  constructor(options: StackOptions) {
    super();
    const device = options.device ?? openTun(typeof options.tun === "string" ? { name: options.tun } : options.tun);
    const secret = randomFillSync(new Uint32Array(4)),
      dice = new Uint32Array(64);
    let thrown = dice.length;
    const stack = new Stack({
      addresses: options.addresses,
      mtu: device.mtu,
      secret,
      random: () => {
        if (thrown === dice.length) {
          randomFillSync(dice);
          thrown = 0;
        }
        return dice[thrown++] as number;
      },
      ...(options.options === undefined ? {} : { options: options.options }),
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    });
    const clock = systemClock(true);
    const driver = drive(device, stack, clock, (failure) => {
      this.emit("failed", failure);
    });
    // Sockets and servers keep the process alive, as they do in Node; the descriptor below them does not.
    device.unref?.();
    const net = createNet(stack, { now: clock.now, lookup: options.lookup });
    this.device = device;
    this.stack = stack;
    this.net = net;
    this.#end = () => {
      const now = clock.now();
      net.context.closed = true;
      for (const server of net.context.servers) server.close();
      stack.shutdown(now);
      stack.transmit(now);
      driver.stop();
      device.close();
      net.context.lifetime.end();
    };
    const plain: EventEmitter = this;
    plain.on("newListener", (event) => {
      if (event === "event") this.#watch();
    });
    plain.on("removeListener", (event) => {
      if (event === "event" && this.listenerCount("event") === 0) this.#unwatch();
    });
  }

  #watch(): void {
    this.#ignore ??= this.stack.addObserver({
      wants: () => true,
      event: (event) => {
        this.emit("event", event);
      },
    });
  }
  #unwatch(): void {
    this.#ignore?.();
    this.#ignore = undefined;
  }

  /** A server of ours that listens: on a port or "any", on an address, several, or "any". Iterate over it for its connections. */
  listen(where: ListenOptions, options?: ServerOptions | null, connectionListener?: (socket: Socket) => void): Server {
    return this.net.createServer(options ?? {}, connectionListener).listen(where);
  }

  /**
   * Waits until every connection has ended in good order: what was written is acknowledged, and the FINs too.
   * @param timeoutMs after this long it gives up
   * @returns whether nothing but TIME-WAIT is left
   */
  drained(timeoutMs = 5_000): Promise<boolean> {
    const busy = (): boolean => {
      for (const conn of this.stack.connections()) if (conn.state !== "TIME-WAIT" && conn.state !== "CLOSED") return true;
      return false;
    };
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        stop();
        resolve(!busy());
      };
      const stop = this.stack.addObserver({
        wants: (kind) => kind === "transition",
        event: () => {
          setImmediate(look);
        },
      });
      const look = (): void => {
        if (!busy()) finish();
      };
      const timer = setTimeout(finish, timeoutMs);
      look();
    });
  }

  /** Closes servers, resets live connections, closes the device. No socket gets an error by it. A second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#end();
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Brings up a TCP endpoint.
 * @throws DeviceError when the TUN cannot be made, with the mend; StackError EINVAL for an address that is none;
 *   RangeError for an option out of bounds; TypeError when neither or both of `device` and `tun` are given
 */
export function createStack(options: StackOptions): GlassStack {
  if ((options.device === undefined) === (options.tun === undefined)) throw new TypeError("give createStack either a device or a tun");
  return new GlassStack(options);
}

export { createPair, type Pair, type PairOptions } from "./device/pair.js";
export type { Device } from "./device/device.js";
export { OPTIONS } from "./tcp/options.js";
export { RULES } from "./tcp/rules.js";
export { STATES, type State } from "./tcp/state.js";
export { Socket } from "./sockets/socket.js";
export { Server } from "./sockets/server.js";
export { SERVICES } from "./apps/index.js";
export type { ConnectOptions, SocketOptions } from "./sockets/socket.js";
export type { Net, ListenOptions, ServerOptions, Status, StackLimits, TcpEvent, TcpOptions, TunOptions };
