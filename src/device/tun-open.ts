/** Opening and naming a TUN (the kernel's Documentation/networking/tuntap.rst), with an error that names the mend for each refusal. */
import { readFileSync } from "node:fs";
import { DeviceError } from "./errors.js";
import { EACCES, EBUSY, EINVAL, ENODEV, ENOENT, ENXIO, EPERM, libc } from "./libc.js";
import { IFREQ, IFREQ_UNION, NetDevice } from "./netdevice.js";

const O_RDWR = 2,
  O_NONBLOCK = 0o4000,
  O_CLOEXEC = 0o2000000;
const TUNSETIFF = 0x400454ca,
  TUNSETPERSIST = 0x400454cb,
  TUNSETOFFLOAD = 0x400454d0,
  TUNSETVNETHDRSZ = 0x400454d8;
const IFF_TUN = 0x0001,
  IFF_TAP = 0x0002,
  IFF_MULTI_QUEUE = 0x0100,
  IFF_NO_PI = 0x1000,
  IFF_VNET_HDR = 0x4000;
const TUN_F_CSUM = 1,
  TUN_F_TSO4 = 2,
  TUN_F_TSO6 = 4;

/** struct virtio_net_hdr_mrg_rxbuf: with its 12 octets instead of 10 the IP header is 4-byte aligned. */
export const VNET_HEADER = 12;
/** Its flags: the checksum is still to be completed. */
export const VNET_NEEDS_CSUM = 1;

const NODE = "/dev/net/tun";

export interface TunRequest {
  readonly name: string;
  readonly offload: "auto" | "off";
  /** The interface must be there already. */
  readonly attach: boolean;
  /** The interface stays when the descriptor is closed. */
  readonly persist: boolean;
}

export interface OpenedTun {
  readonly fd: number;
  /** As the kernel calls it: a "%d" in the request is a number here. */
  readonly name: string;
  /** The interface was there before. */
  readonly attached: boolean;
  readonly vnet: boolean;
}

/** @throws DeviceError */
export function openTunDescriptor(request: TunRequest): OpenedTun {
  const existing = exists(request.name);
  if (request.attach && !existing) {
    throw new DeviceError(
      "ENODEV",
      "missing",
      `there is no interface ${request.name} to attach to`,
      `make it: ip tuntap add dev ${request.name} mode tun user "$USER"`,
    );
  }
  if (request.offload === "auto") {
    const opened = attempt(request, existing, true);
    if (opened !== undefined) return opened;
  }
  return attempt(request, existing, false) as OpenedTun;
}

function exists(name: string): boolean {
  const device = new NetDevice(name);
  try {
    return device.exists;
  } finally {
    device.close();
  }
}

/** @returns undefined when the kernel does not do offload, as before 2.6.27 or in some sandboxes */
function attempt(request: TunRequest, existing: boolean, vnet: boolean): OpenedTun | undefined {
  const c = libc(),
    fd = c.open(NODE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) throw openError(c.errno());
  try {
    const flags = IFF_TUN | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0);
    let name = setInterface(fd, request.name, flags);
    // A queue of an interface that was made with several must say so itself; one that we make has one.
    if (name === -EINVAL && existing) name = setInterface(fd, request.name, flags | IFF_MULTI_QUEUE);
    if (typeof name === "number") {
      if (vnet && name === -EINVAL && !existing) {
        c.close(fd);
        return undefined;
      }
      throw attachError(-name, request.name, existing);
    }
    // An interface that stays keeps the offloads of whoever had it last: without a header they would reach us as lies.
    const offloads = vnet ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0;
    if (vnet) {
      const size = Buffer.alloc(4);
      size.writeInt32LE(VNET_HEADER);
      if (c.ioctl(fd, TUNSETVNETHDRSZ, size) < 0 || c.ioctlNumber(fd, TUNSETOFFLOAD, offloads) < 0) {
        c.close(fd);
        return undefined;
      }
    } else c.ioctlNumber(fd, TUNSETOFFLOAD, offloads);
    if (request.persist && c.ioctlNumber(fd, TUNSETPERSIST, 1) < 0) {
      throw new DeviceError(c.errnoName(c.errno()), "permission", `${name} cannot be made to stay`, "leave persist away, or run as root");
    }
    return { fd, name, attached: existing, vnet };
  } catch (error) {
    c.close(fd);
    throw error;
  }
}

/** @returns the interface's name, or minus the errno */
function setInterface(fd: number, name: string, flags: number): string | number {
  const request = Buffer.alloc(IFREQ);
  request.write(name, 0, 15, "utf8");
  request.writeUInt16LE(flags, IFREQ_UNION);
  if (libc().ioctl(fd, TUNSETIFF, request) < 0) return -libc().errno();
  return request.toString("utf8", 0, request.indexOf(0));
}

function openError(errno: number): DeviceError {
  const code = libc().errnoName(errno);
  switch (errno) {
    case ENOENT:
      return new DeviceError(
        code,
        "missing",
        `${NODE} is not there`,
        `in Docker: --device ${NODE}; else: mkdir -p /dev/net && mknod ${NODE} c 10 200 && chmod 666 ${NODE}`,
      );
    case ENODEV:
    case ENXIO:
      return new DeviceError(code, "missing", `the kernel has no TUN driver behind ${NODE}`, "load it: modprobe tun");
    case EACCES:
    case EPERM:
      return new DeviceError(code, "permission", `${NODE} may not be opened by this user`, `in Docker: --device ${NODE}; else, as root: chmod 666 ${NODE}`);
    default:
      return new DeviceError(code, "failed", `${NODE} cannot be opened: ${code}`, "see what `glasstcp doctor` says");
  }
}

function attachError(errno: number, name: string, existing: boolean): DeviceError {
  const code = libc().errnoName(errno);
  switch (errno) {
    case EPERM:
    case EACCES:
      return existing
        ? new DeviceError(
            code,
            "permission",
            `${name} belongs to another user`,
            `as root: ip tuntap del dev ${name} mode tun; ip tuntap add dev ${name} mode tun user "$USER"`,
          )
        : new DeviceError(
            code,
            "permission",
            `no permission to make the interface ${name}`,
            "run as root, in Docker with --cap-add NET_ADMIN, or without any right in `glasstcp sandbox`",
          );
    case EBUSY:
      return new DeviceError(code, "busy", `${name} is in use by another program`, "end that program, or take another name with --tun NAME");
    case EINVAL:
      return new DeviceError(
        code,
        "busy",
        existing ? `${name} is there and ${whatIs(name)}` : `the kernel refuses the interface ${name}`,
        `take another name with --tun NAME, or remove it: ip link del ${name}`,
      );
    default:
      return new DeviceError(code, "failed", `${name} cannot be made a TUN: ${code}`, "see what `glasstcp doctor` says");
  }
}

function whatIs(name: string): string {
  try {
    const flags = Number(readFileSync(`/sys/class/net/${name}/tun_flags`, "utf8"));
    if ((flags & IFF_TAP) !== 0) return "is a TAP, which carries Ethernet frames";
    return `its flags (${flags.toString(16)}) do not go with ours: MULTI_QUEUE and VNET_HDR must match`;
  } catch {
    return "is no TUN";
  }
}
