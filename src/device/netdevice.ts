/**
 * A network interface by ioctl alone (netdevice(7), tun.txt of the kernel): no `ip` program is needed. Reads before it
 * writes, so that an interface which is as it should be needs no privilege.
 */
import { DeviceError } from "./errors.js";
import { EACCES, EEXIST, EPERM, libc } from "./libc.js";

const SIOCADDRT = 0x890b,
  SIOCGIFFLAGS = 0x8913,
  SIOCSIFFLAGS = 0x8914,
  SIOCGIFADDR = 0x8915,
  SIOCSIFADDR = 0x8916;
const SIOCGIFNETMASK = 0x891b,
  SIOCSIFNETMASK = 0x891c,
  SIOCGIFMTU = 0x8921,
  SIOCSIFMTU = 0x8922;
const SIOCGIFINDEX = 0x8933,
  SIOCGIFTXQLEN = 0x8942,
  SIOCSIFTXQLEN = 0x8943;
const AF_INET = 2,
  SOCK_DGRAM = 2,
  SOCK_CLOEXEC = 0o2000000;
const IFF_UP = 1,
  IFF_RUNNING = 0x40;
const RTF_UP = 1;

/** struct ifreq: 16 octets of name, 24 of union, whose first are what all of these requests use. */
export const IFREQ = 40,
  IFREQ_UNION = 16;
/** struct rtentry on 64-bit machines. */
const RTENTRY = 120,
  RT_DST = 8,
  RT_GENMASK = 40,
  RT_FLAGS = 56,
  RT_DEV = 88;

/** An IPv4 prefix: address with host bits, and the length of its network part. */
export interface Cidr {
  readonly address: readonly number[];
  readonly prefix: number;
}

/**
 * @param text "10.77.0.1/24"; without "/" the prefix is 32
 * @throws DeviceError of kind usage
 */
export function parseCidr(text: string): Cidr {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(text);
  const numbers = match?.slice(1, 5).map(Number) ?? [];
  const prefix = match?.[5] === undefined ? 32 : Number(match[5]);
  if (match === null || numbers.some((n) => n > 255) || prefix > 32) {
    throw new DeviceError("EINVAL", "usage", `${JSON.stringify(text)} is no IPv4 address with prefix`, "write it as 10.77.0.1/24");
  }
  return { address: numbers, prefix };
}

/** @throws DeviceError of kind usage unless the kernel takes `name` for an interface */
export function checkName(name: string): void {
  if (!/^[^\s/:%\0]{1,15}$/.test(name) || name === "." || name === ".." || Buffer.byteLength(name) > 15) {
    throw new DeviceError("EINVAL", "usage", `${JSON.stringify(name)} cannot name an interface`, "use 1 to 15 letters and digits, such as glass0");
  }
}

/** Requests about one interface, on a socket of their own. Close it when done. */
export class NetDevice {
  readonly name: string;
  readonly #fd: number;

  constructor(name: string) {
    checkName(name);
    this.name = name;
    this.#fd = libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (this.#fd < 0) {
      const code = libc().errnoName(libc().errno());
      throw new DeviceError(code, "failed", `no socket to configure ${name} with: ${code}`, "allow the process more file descriptors, and sockets of AF_INET");
    }
  }

  close(): void {
    libc().close(this.#fd);
  }

  get exists(): boolean {
    return this.#ask(SIOCGIFINDEX) !== undefined;
  }

  get mtu(): number {
    return this.#must(SIOCGIFMTU, "its MTU cannot be read").readInt32LE(IFREQ_UNION);
  }

  setMtu(mtu: number): void {
    if (this.mtu === mtu) return;
    this.#set(SIOCSIFMTU, (r) => r.writeInt32LE(mtu, IFREQ_UNION), `its MTU cannot be set to ${mtu}`, `ip link set ${this.name} mtu ${mtu}`);
  }

  /** @returns whether it worked: a user namespace does not allow it */
  raiseTxQueueLength(packets: number): boolean {
    const now = this.#ask(SIOCGIFTXQLEN);
    if (now !== undefined && now.readInt32LE(IFREQ_UNION) >= packets) return true;
    return (
      this.#call(
        SIOCSIFTXQLEN,
        this.#request((r) => r.writeInt32LE(packets, IFREQ_UNION)),
      ) === 0
    );
  }

  setAddress(cidr: Cidr): void {
    const mask = maskOf(cidr.prefix);
    if (same(this.#ask(SIOCGIFADDR), cidr.address) && same(this.#ask(SIOCGIFNETMASK), mask)) return;
    const mend = `ip addr add ${cidr.address.join(".")}/${cidr.prefix} dev ${this.name}`;
    this.#set(SIOCSIFADDR, (r) => putAddress(r, IFREQ_UNION, cidr.address), `its address cannot be set to ${cidr.address.join(".")}`, mend);
    this.#set(SIOCSIFNETMASK, (r) => putAddress(r, IFREQ_UNION, mask), `its netmask cannot be set to /${cidr.prefix}`, mend);
  }

  up(): void {
    const flags = this.#must(SIOCGIFFLAGS, "its flags cannot be read").readUInt16LE(IFREQ_UNION);
    if ((flags & IFF_UP) !== 0) return;
    this.#set(SIOCSIFFLAGS, (r) => r.writeUInt16LE(flags | IFF_UP | IFF_RUNNING, IFREQ_UNION), "it cannot be brought up", `ip link set ${this.name} up`);
  }

  /** Routes a prefix to the interface; one that is there already is fine. */
  addRoute(cidr: Cidr): void {
    const mask = maskOf(cidr.prefix),
      prefix = `${cidr.address.join(".")}/${cidr.prefix}`;
    // rt_dev points to the name, which lies behind the structure so that both live as long as the call.
    const entry = Buffer.alloc(RTENTRY + IFREQ_UNION);
    putAddress(
      entry,
      RT_DST,
      cidr.address.map((octet, i) => octet & (mask[i] as number)),
    );
    putAddress(entry, RT_GENMASK, mask);
    entry.writeUInt16LE(RTF_UP, RT_FLAGS);
    entry.writeBigUInt64LE(BigInt(libc().address(entry) + RTENTRY), RT_DEV);
    entry.write(this.name, RTENTRY, 15, "utf8");
    const failed = this.#call(SIOCADDRT, entry);
    if (failed !== 0 && failed !== EEXIST) throw this.#error(failed, `${prefix} cannot be routed to it`, `ip route add ${prefix} dev ${this.name}`);
  }

  #request(fillIn: (request: Buffer) => void): Buffer {
    const request = Buffer.alloc(IFREQ);
    request.write(this.name, 0, 15, "utf8");
    fillIn(request);
    return request;
  }

  /** @returns 0 or the errno */
  #call(request: number, argument: Buffer): number {
    return libc().ioctl(this.#fd, request, argument) < 0 ? libc().errno() : 0;
  }

  #ask(request: number): Buffer | undefined {
    const answer = this.#request(() => {});
    return this.#call(request, answer) === 0 ? answer : undefined;
  }

  #must(request: number, what: string): Buffer {
    const answer = this.#request(() => {});
    const failed = this.#call(request, answer);
    if (failed !== 0) throw this.#error(failed, what, `look at it with: ip link show ${this.name}`);
    return answer;
  }

  #set(request: number, fillIn: (request: Buffer) => void, what: string, command: string): void {
    const failed = this.#call(request, this.#request(fillIn));
    if (failed !== 0) throw this.#error(failed, what, command);
  }

  #error(errno: number, what: string, command: string): DeviceError {
    const code = libc().errnoName(errno);
    if (errno === EPERM || errno === EACCES) {
      return new DeviceError(
        code,
        "permission",
        `${this.name}: ${what}: ${code}`,
        `give the process CAP_NET_ADMIN, or let root prepare the interface: ${command}`,
      );
    }
    return new DeviceError(code, "failed", `${this.name}: ${what}: ${code}`, `check the value; by hand it would be: ${command}`);
  }
}

/** Whether every address of `inner` lies in `outer`. */
export function covers(outer: Cidr, inner: Cidr): boolean {
  const mask = maskOf(outer.prefix);
  return (
    inner.prefix >= outer.prefix && inner.address.every((octet, i) => (octet & (mask[i] as number)) === ((outer.address[i] as number) & (mask[i] as number)))
  );
}

function maskOf(prefix: number): number[] {
  return [0, 8, 16, 24].map((before) => 0xff & ~(0xff >> Math.min(8, Math.max(0, prefix - before))));
}

/** struct sockaddr_in: family, port 0, address. */
function putAddress(into: Buffer, at: number, address: readonly number[]): void {
  into.writeUInt16LE(AF_INET, at);
  into.set(address, at + 4);
}

function same(answer: Buffer | undefined, address: readonly number[]): boolean {
  return answer !== undefined && address.every((octet, i) => answer[IFREQ_UNION + 4 + i] === octet);
}
