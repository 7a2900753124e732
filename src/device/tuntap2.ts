/**
 * The optional driver `tuntap2`: adapts the package of that name where a user has installed it. One packet per `data`
 * and per `write`, through streams; no offload, no say in the interface's name. native-notes/why-not-tuntap2.md tells why
 * it is not the default.
 */
import { createRequire } from "node:module";
import type { Duplex } from "node:stream";
import type { Offload } from "../wire/frames.js";
import { plainMemory } from "../wire/wasm-memory.js";
import type { Device, DeviceCounters, DeviceHandlers } from "./device.js";
import { DeviceError } from "./errors.js";
import { NetDevice, parseCidr } from "./netdevice.js";
import { fill, RxBatch, type Waiting } from "./rx-batch.js";
import { type Gather, TxQueue } from "./tx-queue.js";

/** What this adapter uses of the package's `Tun`. */
export interface Tuntap2Tun extends Duplex {
  readonly name: string;
  mtu: number;
  ipv4: string;
  isUp: boolean;
  release(): void;
}

export interface Tuntap2Module {
  readonly Tun: new () => Tuntap2Tun;
}

export interface Tuntap2Options {
  /** The kernel's side, such as "10.77.0.1/24". */
  readonly host: string;
  /** Octets. Default 1500. */
  readonly mtu?: number;
  readonly routes?: readonly string[];
  /** Where the package comes from; for tests. */
  readonly load?: () => Promise<Tuntap2Module>;
  /** Sets routes; for tests. */
  readonly addRoutes?: (name: string, routes: readonly string[]) => void;
}

const BATCH = 64;
/** Packets that wait for the stack at most; the stream is paused beyond. */
const QUEUE = 1024;
/** Octets that may wait inside the package's stream before frames are refused. */
const WRITE_LIMIT = 4 << 20;

/** @throws DeviceError, of kind "missing" when the package is not installed */
export async function openTuntap2(options: Tuntap2Options): Promise<Tuntap2Device> {
  parseCidr(options.host);
  const { Tun } = await find(options.load);
  let tun: Tuntap2Tun;
  try {
    tun = new Tun();
  } catch (error) {
    throw refused(error, "no TUN can be made with tuntap2");
  }
  try {
    tun.mtu = options.mtu ?? 1500;
    tun.ipv4 = options.host;
    tun.isUp = true;
    if (options.routes !== undefined && options.routes.length > 0) (options.addRoutes ?? addRoutes)(tun.name, options.routes);
    return new Tuntap2Device(tun);
  } catch (error) {
    tun.release();
    throw error instanceof DeviceError ? error : refused(error, `tuntap2 cannot configure ${tun.name}`);
  }
}

async function find(load: (() => Promise<Tuntap2Module>) | undefined): Promise<Tuntap2Module> {
  try {
    const found: Tuntap2Module & { default?: Tuntap2Module } = await (load ?? installed)();
    const module = found.Tun === undefined && found.default !== undefined ? found.default : found;
    if (typeof module.Tun !== "function")
      throw new DeviceError("ENOTSUP", "missing", "the installed tuntap2 exports no Tun", "npm install tuntap2@latest, or leave --driver away");
    return module;
  } catch (error) {
    if (error instanceof DeviceError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (code === "MODULE_NOT_FOUND") {
      throw new DeviceError(
        code,
        "missing",
        "the package tuntap2 is not installed",
        "npm install tuntap2, or leave --driver away: the default driver needs nothing more",
      );
    }
    throw new DeviceError(
      code === "" ? "ENOTSUP" : code,
      "missing",
      `the package tuntap2 does not load: ${firstLine(error)}`,
      "npm rebuild tuntap2, or leave --driver away",
    );
  }
}

/** The package itself. Looked for first, so that one that is missing is told from one that does not load. */
async function installed(): Promise<Tuntap2Module> {
  const specifier = "tuntap2"; // a variable: the compiler must not look for an optional package
  try {
    createRequire(import.meta.url).resolve(specifier);
  } catch (error) {
    // A package for `import` alone is there all the same.
    if ((error as NodeJS.ErrnoException).code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
  }
  return import(specifier) as Promise<Tuntap2Module>;
}

function refused(error: unknown, what: string): DeviceError {
  const code = (error as NodeJS.ErrnoException).code ?? "EPERM";
  return new DeviceError(code, "permission", `${what}: ${firstLine(error)}`, "run as root or with CAP_NET_ADMIN, and see that /dev/net/tun is there");
}

function firstLine(error: unknown): string {
  return String((error as Error)?.message ?? error).split("\n")[0] ?? "";
}

function addRoutes(name: string, routes: readonly string[]): void {
  const device = new NetDevice(name);
  try {
    for (const route of routes) device.addRoute(parseCidr(route));
  } finally {
    device.close();
  }
}

export class Tuntap2Device implements Device {
  readonly name: string;
  readonly mtu: number;
  readonly offload: Offload;
  readonly rx: RxBatch;
  readonly tx: TxQueue;
  readonly counters: DeviceCounters = { rxFrames: 0, rxBytes: 0, rxErrors: 0, txFrames: 0, txBytes: 0, txErrors: 0 };
  readonly #tun: Tuntap2Tun;
  #waiting: Waiting[] = [];
  #taken = 0;
  #woken = false;
  #handlers: DeviceHandlers | undefined;
  #closed = false;
  #failed = false;

  /** Takes the interface over, which must be up. */
  constructor(tun: Tuntap2Tun) {
    this.#tun = tun;
    this.name = tun.name;
    this.mtu = tun.mtu;
    this.offload = { checksum: false, maxFrame: this.mtu };
    this.rx = new RxBatch(plainMemory(new Uint8Array(BATCH * 2048)), BATCH);
    this.tx = new TxQueue((length, _gsoSize, _partial, gather) => this.#send(length, gather), false);
    tun.on("data", (packet: Buffer) => this.#arrived(packet));
    tun.on("error", (error: NodeJS.ErrnoException) => this.#fail(error.code ?? "EIO", `the interface ${this.name} failed: ${firstLine(error)}`));
    tun.on("close", () => this.#fail("EBADFD", `the interface ${this.name} was closed`));
  }

  read(): number {
    if (this.#closed || this.#failed || this.#taken === this.#waiting.length) return 0;
    const { put, taken } = fill(this.rx, this.#waiting, this.#taken);
    this.#taken += taken;
    this.counters.rxErrors += taken - put;
    for (let i = 0; i < put; i++) this.counters.rxBytes += this.rx.length[i] as number;
    this.counters.rxFrames += put;
    if (this.#taken === this.#waiting.length) {
      this.#waiting = [];
      this.#taken = 0;
      if (this.#tun.isPaused()) this.#tun.resume();
    }
    return put;
  }

  start(handlers: DeviceHandlers): void {
    this.#handlers = handlers;
    if (this.#waiting.length > this.#taken) this.#signal();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = [];
    this.#taken = 0;
    this.#tun.release();
    this.#tun.destroy();
  }

  #arrived(packet: Buffer): void {
    if (this.#closed) return;
    if (packet.length > this.rx.memory.bytes.length) {
      this.counters.rxErrors++;
      return;
    }
    this.#waiting.push({ bytes: packet, gsoSize: 0, trusted: false });
    if (this.#waiting.length - this.#taken >= QUEUE) this.#tun.pause();
    this.#signal();
  }

  #send(length: number, gather: Gather): void {
    // The stream takes any amount: what does not fit is lost here, as the kernel would lose it.
    if (this.#closed || this.#failed || this.#tun.writableLength > WRITE_LIMIT) {
      this.counters.txErrors++;
      return;
    }
    const packet = Buffer.allocUnsafeSlow(length);
    gather(packet, 0);
    this.#tun.write(packet);
    this.counters.txFrames++;
    this.counters.txBytes += length;
  }

  /** One `readable` for all packets of a turn; again as long as some are left. */
  #signal(): void {
    if (this.#woken || this.#handlers === undefined) return;
    this.#woken = true;
    setImmediate(() => {
      this.#woken = false;
      if (this.#closed || this.#failed || this.#waiting.length === this.#taken) return;
      this.#handlers?.readable();
      if (this.#waiting.length > this.#taken) this.#signal();
    });
  }

  #fail(code: string, message: string): void {
    if (this.#closed || this.#failed) return;
    this.#failed = true;
    this.#waiting = [];
    this.#taken = 0;
    this.#handlers?.failed({ code, message });
  }
}
