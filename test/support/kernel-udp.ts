/** A UDP socket of the kernel inside a test's namespace, used by plain calls: Node opens its own later than one can step in. */
import koffi from "koffi";
import type { Netns } from "./netns.js";

const AF_INET = 2,
  SOCK_DGRAM = 2,
  SOCK_NONBLOCK = 0o4000,
  SOCK_CLOEXEC = 0o2000000,
  SOL_SOCKET = 1,
  SO_RCVBUF = 8,
  SO_RCVBUFFORCE = 33;

const lib = koffi.load(null);
type Call = (...parameters: unknown[]) => number;
const socket = lib.func("socket", "int", ["int", "int", "int"]) as Call;
const bind = lib.func("bind", "int", ["int", "void *", "int"]) as Call;
const setsockopt = lib.func("setsockopt", "int", ["int", "int", "int", "void *", "int"]) as Call;
const sendto = lib.func("sendto", "int64_t", ["int", "void *", "size_t", "int", "void *", "int"]) as Call;
const recv = lib.func("recv", "int64_t", ["int", "void *", "size_t", "int"]) as Call;
const close = lib.func("close", "int", ["int"]) as Call;

function sockaddr(address: string, port: number): Buffer {
  const out = Buffer.alloc(16);
  out.writeUInt16LE(AF_INET, 0);
  out.writeUInt16BE(port, 2);
  out.set(address.split(".").map(Number), 4);
  return out;
}

function must(result: number, what: string): number {
  if (result < 0) throw new Error(`${what} failed with errno ${koffi.errno()}`);
  return result;
}

export class KernelUdp {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(65_536);

  constructor(ns: Netns, address: string, port: number) {
    this.#fd = ns.enter(() => must(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
    const size = Buffer.alloc(4);
    size.writeInt32LE(8 << 20);
    // As much as anybody may have, and then as much as only the machine's root may.
    for (const option of [SO_RCVBUF, SO_RCVBUFFORCE]) setsockopt(this.#fd, SOL_SOCKET, option, size, 4);
    must(bind(this.#fd, sockaddr(address, port), 16), "bind");
  }

  /** @returns octets sent, or minus the errno */
  send(text: Uint8Array, address: string, port: number): number {
    const sent = sendto(this.#fd, text.length === 0 ? Buffer.alloc(1) : text, text.length, 0, sockaddr(address, port), 16);
    return sent < 0 ? -koffi.errno() : Number(sent);
  }

  /** The next datagram that waits, or undefined. */
  receive(): Uint8Array | undefined {
    const length = Number(recv(this.#fd, this.#buffer, this.#buffer.length, 0));
    return length < 0 ? undefined : Uint8Array.from(this.#buffer.subarray(0, length));
  }

  close(): void {
    close(this.#fd);
  }
}
