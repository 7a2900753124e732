/** The C library's functions that the TUN needs, by way of koffi. Loaded when first asked for: other drivers do without. */
import { createRequire } from "node:module";
import { endianness } from "node:os";
import { DeviceError } from "./errors.js";

/** What koffi calls a poll handle: a uv_poll_t without a thread of the pool. */
export interface PollHandle {
  stop(): void;
  unref(): void;
  close(): void;
}

interface Koffi {
  load(path: null): { func(name: string, result: string, parameters: string[]): unknown };
  address(value: unknown): bigint;
  view(address: bigint, length: number): ArrayBuffer;
  errno(value?: number): number;
  readonly os: { readonly errno: Readonly<Record<string, number>> };
  /** Not in koffi's documentation; its types leave out `status`. koffi's version is therefore pinned, and a test watches. */
  readonly node: { poll(fd: number, callback: (status: number) => void): PollHandle };
}

/** Addresses are plain Numbers: user space ends at 2^47 (2^56 with five-level tables), Numbers are exact to 2^53. */
export interface Libc {
  open(path: string, flags: number): number;
  close(fd: number): number;
  socket(domain: number, type: number, protocol: number): number;
  /** `argument` is passed by reference and may be written to. */
  ioctl(fd: number, request: number, argument: Uint8Array): number;
  /** For requests whose argument is a number. */
  ioctlNumber(fd: number, request: number, argument: number): number;
  read(fd: number, address: number, octets: number): number;
  writev(fd: number, iovec: number, count: number): number;
  syscall(number: number, a: number, b: number, c: number, d: number, e: number): number;
  /** @returns an address; what is no safe integer is a failure */
  mmap(address: number, octets: number, protection: number, flags: number, fd: number, offset: number): number;
  munmap(address: number, octets: number): number;
  /** @param fds address of an array of struct pollfd */
  poll(fds: number, count: number, timeoutMs: number): number;
  /** Number of the last error on this thread. Ask at once. */
  errno(): number;
  /** "EINVAL" for 22. */
  errnoName(errno: number): string;
  /** Where the octets of an array lie. The array must be kept alive by the caller for as long as the address is used. */
  address(array: Uint8Array | Uint32Array | Int32Array): number;
  /** A view on memory that is not the engine's. */
  view(address: number, octets: number): ArrayBuffer;
  watch(fd: number, callback: (status: number) => void): PollHandle;
}

export const EPERM = 1,
  ENOENT = 2,
  EINTR = 4,
  EIO = 5,
  ENXIO = 6,
  EBADF = 9,
  EAGAIN = 11,
  EACCES = 13,
  EBUSY = 16,
  EEXIST = 17,
  ENODEV = 19,
  EINVAL = 22,
  EBADFD = 77,
  EOPNOTSUPP = 95;

let loaded: Libc | undefined;

/** @throws DeviceError when koffi has no build for this machine, or the machine is none that the driver knows */
export function libc(): Libc {
  return (loaded ??= load());
}

function load(): Libc {
  if (process.platform !== "linux")
    throw new DeviceError("ENOTSUP", "failed", `a TUN device needs Linux, this is ${process.platform}`, "run it in a Linux container or virtual machine");
  if (endianness() !== "LE" || !["x64", "arm64", "riscv64", "loong64"].includes(process.arch)) {
    throw new DeviceError("ENOTSUP", "failed", `the TUN driver knows 64-bit little-endian machines, this is ${process.arch}`, "use --driver tuntap2");
  }
  let koffi: Koffi;
  try {
    koffi = createRequire(import.meta.url)("koffi") as Koffi;
  } catch (error) {
    throw new DeviceError(
      "ENOTSUP",
      "missing",
      `koffi does not load here: ${(error as Error).message.split("\n")[0]}`,
      "install it again with `npm install koffi`, or use --driver tuntap2",
    );
  }
  const lib = koffi.load(null);
  const define = <F>(name: string, result: string, ...parameters: string[]): F => lib.func(name, result, parameters) as F;
  const names = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));
  return {
    open: define("open", "int", "str", "int"),
    close: define("close", "int", "int"),
    socket: define("socket", "int", "int", "int", "int"),
    ioctl: define("ioctl", "int", "int", "unsigned long", "void *"),
    ioctlNumber: define("ioctl", "int", "int", "unsigned long", "unsigned long"),
    read: define("read", "int64_t", "int", "uintptr_t", "size_t"),
    writev: define("writev", "int64_t", "int", "uintptr_t", "int"),
    syscall: define("syscall", "int64_t", "int64_t", "int64_t", "int64_t", "int64_t", "int64_t", "int64_t"),
    mmap: define("mmap", "uintptr_t", "uintptr_t", "size_t", "int", "int", "int", "int64_t"),
    munmap: define("munmap", "int", "uintptr_t", "size_t"),
    poll: define("poll", "int", "uintptr_t", "unsigned long", "int"),
    errno: () => koffi.errno(),
    errnoName: (errno) => (errno === EAGAIN ? "EAGAIN" : (names.get(errno) ?? `errno ${errno}`)),
    address: (array) => {
      void array.buffer; // V8 keeps short arrays inside the heap, where they move, until their buffer is asked for
      return Number(koffi.address(array));
    },
    view: (address, octets) => koffi.view(BigInt(address), octets),
    watch: (fd, callback) => koffi.node.poll(fd, callback),
  };
}
