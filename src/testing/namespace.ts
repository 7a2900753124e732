/**
 * A network namespace for this thread: sockets that the thread makes from then on live in it, those that it has stay where
 * they are. libuv makes sockets on the thread that asks for them, so `fetch`, `http` and child processes follow, and
 * nothing of the machine's own network is touched or reached.
 */
import { closeSync, openSync, readFileSync } from "node:fs";
import koffi from "koffi";
import { NetDevice } from "../device/netdevice.js";

const CLONE_NEWNET = 0x40000000;
const CAP_NET_ADMIN = 12n,
  CAP_SYS_ADMIN = 21n;

/** Where a peer's interface is made: in a namespace of its own, or where the process is (a container that has none else). */
export type Where = "own" | "here";

/** A peer cannot be had here. `mend` says what to do. */
export class PeerUnavailable extends Error {
  override readonly name = "PeerUnavailable";
  readonly mend: string;
  constructor(why: string, mend: string) {
    super(`${why}; ${mend}`);
    this.mend = mend;
  }
}

function capable(cap: bigint): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> cap) & 1n) === 1n;
}

/**
 * Why kernel sockets of this process cannot have a peer, as one sentence with the mend; undefined when they can. For
 * `describe.skipIf(peerMissing())`; says it aloud, once, so that no skipped test goes unnoticed.
 */
export function peerMissing(where: Where = "own"): string | undefined {
  const why = lacking(where)?.message;
  if (why !== undefined && !said.has(why)) {
    said.add(why);
    process.stderr.write(`SKIPPED: ${why}\n`);
  }
  return why;
}
const said = new Set<string>();

export function lacking(where: Where): PeerUnavailable | undefined {
  if (process.platform !== "linux")
    return new PeerUnavailable(
      `a peer for kernel sockets needs Linux, this is ${process.platform}`,
      'use createPeer({ link: "memory" }), or a Linux container',
    );
  try {
    closeSync(openSync("/dev/net/tun", "r+"));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return new PeerUnavailable(
      `/dev/net/tun cannot be opened: ${code}`,
      code === "EACCES" ? "sudo chmod a+rw /dev/net/tun (most systems have it so)" : "in Docker: --device /dev/net/tun; on a host: sudo modprobe tun",
    );
  }
  if (!capable(CAP_NET_ADMIN)) return new PeerUnavailable("making a network interface needs CAP_NET_ADMIN", "without root: unshare -Urn npx vitest run");
  if (where === "own" && !capable(CAP_SYS_ADMIN))
    return new PeerUnavailable("a network namespace of its own needs CAP_SYS_ADMIN", 'in Docker with NET_ADMIN alone: createPeer({ namespace: "here" })');
  return undefined;
}

let users = 0;
let home: number | undefined;

/**
 * Moves this thread into a fresh network namespace with its loopback up, or joins the one that it is in by an earlier
 * call. Every call wants one `leave`; the last one brings the thread back.
 * @throws PeerUnavailable
 */
export function enter(): () => void {
  if (users++ === 0) {
    const fd = openSync("/proc/thread-self/ns/net", "r");
    if (libc("unshare", ["int"])(CLONE_NEWNET) !== 0) {
      users--;
      closeSync(fd);
      throw new PeerUnavailable(`the system refuses a network namespace (errno ${koffi.errno()})`, "run as root, or without it: unshare -Urn npx vitest run");
    }
    home = fd;
    const lo = new NetDevice("lo");
    lo.up();
    lo.close();
  }
  let left = false;
  return () => {
    if (left || ((left = true), --users > 0) || home === undefined) return;
    libc("setns", ["int", "int"])(home, CLONE_NEWNET);
    closeSync(home);
    home = undefined;
  };
}

const libc = (name: string, parameters: string[]): ((...args: number[]) => number) =>
  koffi.load(null).func(name, "int", parameters) as (...args: number[]) => number;
