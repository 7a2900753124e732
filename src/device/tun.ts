/** The TUN device: wake-ups, spinning, failure and closing, around the rings that do the reading and writing. */
import type { Offload } from "../wire/frames.js";
import { Aio } from "./aio.js";
import { type Device, type DeviceCounters, type DeviceHandlers, LARGEST_MTU } from "./device.js";
import { DeviceError } from "./errors.js";
import { EBADFD, libc, type PollHandle } from "./libc.js";
import { type Cidr, covers, NetDevice, parseCidr } from "./netdevice.js";
import { openTunDescriptor } from "./tun-open.js";
import type { TunLine } from "./tun-line.js";
import { TunRx } from "./tun-rx.js";
import { TunTx } from "./tun-tx.js";

export interface TunOptions {
  /** Interface name, up to 15 octets. Default "glass0". */
  readonly name?: string;
  /** The kernel's side, such as "10.77.0.1/24". Without it the interface keeps the address it has. */
  readonly host?: string;
  /** Prefixes of ours that lie outside `host`, to be routed to the interface. */
  readonly routes?: readonly string[];
  /** Octets, 68 to 65,521. Default: 1500, or what an interface that is there already has. */
  readonly mtu?: number;
  /** `auto` (default): super-segments and checksums by the kernel where it can. `off`: plain frames. */
  readonly offload?: "auto" | "off";
  /** Packets that wait for our read before the kernel drops them; as far as allowed. Default 10,000; the kernel's own is 500. */
  readonly txqueuelen?: number;
  /** Busy polling after activity, microseconds, 0 (off, default) to 2000. See {@link TunDevice}. */
  readonly spinUs?: number;
  /** The interface must be there already. Default false: it is used if it is there, else made. */
  readonly attach?: boolean;
  /** The interface stays when the device closes. Default false. */
  readonly persist?: boolean;
  /** False: one system call a frame, as where Linux AIO is refused. For tests and comparisons. */
  readonly batch?: boolean;
}

/** Ethernet's, which the kernel gives a fresh TUN. */
const DEFAULT_MTU = 1500;
const DEFAULT_TXQUEUELEN = 10_000;
/** The kernel takes a packet of 65,535 octets in all; a super-segment's segments must have room for it too. */
const MAX_FRAME = 65_535;
const MAX_SPIN_US = 2000;
const POLLIN = 1;
/** Requests of one io_submit: the larger of the rings' batches. */
const AIO_ENTRIES = 256;

/**
 * Opens and configures a TUN by system calls alone.
 * @throws DeviceError with the mend
 */
export function openTun(options: TunOptions = {}): TunDevice {
  const name = options.name ?? "glass0",
    spinUs = options.spinUs ?? 0;
  if (!(spinUs >= 0 && spinUs <= MAX_SPIN_US)) {
    throw new DeviceError("EINVAL", "usage", `spinning for ${spinUs} µs is out of range`, `give 0 to ${MAX_SPIN_US}`);
  }
  if (options.mtu !== undefined && !(Number.isInteger(options.mtu) && options.mtu >= 68 && options.mtu <= LARGEST_MTU)) {
    throw new DeviceError("EINVAL", "usage", `an MTU of ${options.mtu} is out of range`, `give 68 to ${LARGEST_MTU}`);
  }
  const host = options.host === undefined ? undefined : parseCidr(options.host);
  const routes = (options.routes ?? []).map(parseCidr);
  const opened = openTunDescriptor({ name, offload: options.offload ?? "auto", attach: options.attach ?? false, persist: options.persist ?? false });
  try {
    const mtu = configure(opened.name, options, host, routes, opened.attached);
    return new TunDevice(opened.fd, opened.name, mtu, opened.vnet, spinUs, options.batch ?? true);
  } catch (error) {
    libc().close(opened.fd);
    throw error;
  }
}

function configure(name: string, options: TunOptions, host: Cidr | undefined, routes: readonly Cidr[], attached: boolean): number {
  const device = new NetDevice(name);
  try {
    device.raiseTxQueueLength(options.txqueuelen ?? DEFAULT_TXQUEUELEN);
    if (options.mtu !== undefined || !attached) device.setMtu(options.mtu ?? DEFAULT_MTU);
    if (host !== undefined) device.setAddress(host);
    device.up();
    for (const route of routes) if (host === undefined || !covers(host, route)) device.addRoute(route);
    return device.mtu;
  } finally {
    device.close();
  }
}

/**
 * A TUN by way of koffi. Wake-ups come from libuv's own poll, without a thread of the pool, and closing takes effect at once.
 *
 * With `spinUs` the device keeps looking after each batch, so that the next frame does not wait for a sleeping processor:
 * it looks for up to `spinUs`, and whenever something comes it goes once around the event loop (promises, timers and
 * other descriptors have their turn) before it looks on. When nothing comes for `spinUs`, it sleeps as ever.
 */
export class TunDevice implements Device {
  readonly name: string;
  readonly mtu: number;
  readonly offload: Offload;
  readonly rx: TunRx;
  readonly tx: TunTx;
  /** How often the device looked after activity ({@link TunOptions.spinUs}), and how often something came meanwhile. */
  readonly spins = { looks: 0, found: 0 };
  readonly counters: DeviceCounters = { rxFrames: 0, rxBytes: 0, rxErrors: 0, txFrames: 0, txBytes: 0, txErrors: 0 };
  readonly #fd: number;
  readonly #line: TunLine;
  readonly #spinMs: number;
  readonly #pollFd: Int32Array;
  readonly #pollFdAt: number;
  #watch: PollHandle | undefined;
  #handlers: DeviceHandlers | undefined;
  #spin: NodeJS.Immediate | undefined;
  #closed = false;
  #failed = false;

  /** Takes the descriptor over. */
  constructor(fd: number, name: string, mtu: number, vnet: boolean, spinUs: number, batch: boolean) {
    this.#fd = fd;
    this.name = name;
    this.mtu = mtu;
    this.offload = vnet ? { checksum: true, maxFrame: MAX_FRAME } : { checksum: false, maxFrame: mtu };
    this.#line = {
      fd,
      vnet,
      counters: this.counters,
      live: true,
      aio: batch ? Aio.make(AIO_ENTRIES) : undefined,
      gone: (errno) => this.#gone(errno),
    };
    this.rx = new TunRx(this.#line, mtu);
    this.tx = new TunTx(this.#line);
    this.#spinMs = spinUs / 1000;
    this.#pollFd = new Int32Array(new ArrayBuffer(8));
    this.#pollFd[0] = fd;
    this.#pollFd[1] = POLLIN;
    this.#pollFdAt = libc().address(this.#pollFd);
  }

  /** Whether several frames go into one system call. */
  get batches(): boolean {
    return this.#line.aio !== undefined;
  }

  /** Whether a thread of the kernel's writes the frames of streams; undefined before the first one. */
  get streams(): boolean | undefined {
    return this.tx.streams;
  }

  read(): number {
    return this.rx.read();
  }

  start(handlers: DeviceHandlers): void {
    if (this.#closed) return;
    this.#handlers = handlers;
    this.#watch = libc().watch(this.#fd, (status) => {
      // koffi swallows what is thrown here, and the handle would never fire again.
      try {
        if (status < 0) this.#gone(EBADFD);
        else this.#readable();
      } catch (error) {
        setImmediate(() => {
          throw error;
        });
      }
    });
  }

  unref(): void {
    this.#watch?.unref();
  }

  #readable(): void {
    if (this.#closed || this.#failed) return;
    const before = this.counters.rxFrames;
    this.#handlers?.readable();
    if (this.#spinMs > 0 && this.counters.rxFrames !== before) this.#spin ??= setImmediate(this.#look);
  }

  readonly #look = (): void => {
    this.#spin = undefined;
    this.spins.looks++;
    const { poll } = libc(),
      until = performance.now() + this.#spinMs;
    do {
      if (this.#closed || this.#failed) return;
      if (poll(this.#pollFdAt, 1, 0) > 0) {
        this.spins.found++;
        return this.#readable();
      }
    } while (performance.now() < until);
  };

  /** Tells the handlers in a turn of their own: a read or a flush of theirs may be under way. */
  #gone(errno: number): void {
    if (this.#failed || this.#closed) return;
    this.#failed = true;
    this.#line.live = false;
    this.#watch?.stop();
    const code = libc().errnoName(errno);
    setImmediate(() => {
      if (!this.#closed) this.#handlers?.failed({ code, message: `the interface ${this.name} was deleted` });
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.tx.close();
    this.rx.close();
    this.#line.live = false;
    if (this.#spin !== undefined) clearImmediate(this.#spin);
    // libuv must let go of the descriptor before its number can be given to another file.
    this.#watch?.close();
    this.#line.aio?.close();
    libc().close(this.#fd);
  }
}
