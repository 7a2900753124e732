/**
 * A network namespace for this thread: sockets that the thread makes from then on live in it, those that it has stay where
 * they are. libuv makes sockets on the thread that asks for them, so `fetch`, `http` and child processes follow, and
 * nothing of the machine's own network is touched or reached.
 */
import { closeSync, openSync } from "node:fs";
import koffi from "koffi";
import { hasCapability, namespaceWay, placeOf, SYSTEM, type System, TUN_NODE, tunTrouble } from "../cli/environment.js";
import { NetDevice } from "../device/netdevice.js";

const CLONE_NEWNET = 0x40000000;

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

const RUN = "npx vitest run",
  ROOTLESS = `unshare -Urn ${RUN}`;

/** All that is missing in one error, with the whole way to mend it: nobody mends one thing only to be told the next. */
export function lacking(where: Where, system: System = SYSTEM, platform: string = process.platform): PeerUnavailable | undefined {
  if (platform !== "linux")
    return new PeerUnavailable(`a peer for kernel sockets needs Linux, this is ${platform}`, 'use createPeer({ link: "memory" }), or a Linux container');
  const place = placeOf(system),
    tun = tunTrouble(system, place),
    contained = place === "docker" || place === "container";
  if (!hasCapability("CAP_NET_ADMIN", system)) {
    const why = [...(tun === undefined ? [] : [tun.why]), "making a network interface needs CAP_NET_ADMIN"];
    if (contained) {
      const user = system.uid === 0 ? "" : "--user 0 ";
      return new PeerUnavailable(why.join(", and "), `add to docker run: ${user}--cap-add NET_ADMIN --cap-add SYS_ADMIN --device ${TUN_NODE}`);
    }
    const way = namespaceWay(system, place, RUN);
    if (!way.ok) why.push(way.why);
    const mend = way.ok ? [ROOTLESS] : way.mend.startsWith("sudo sysctl") ? [way.mend, ROOTLESS] : [way.mend];
    return new PeerUnavailable(why.join(", and "), [...(tun === undefined ? [] : [tun.mend]), ...mend].join(", then: "));
  }
  if (tun !== undefined) return new PeerUnavailable(tun.why, tun.mend);
  if (where === "own" && !hasCapability("CAP_SYS_ADMIN", system))
    return new PeerUnavailable(
      "a network namespace of its own needs CAP_SYS_ADMIN",
      `createPeer({ namespace: "here" }) does without${contained ? ", or add to docker run: --cap-add SYS_ADMIN" : ""}`,
    );
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
      throw new PeerUnavailable(`the system refuses a network namespace (errno ${koffi.errno()})`, `run as root, or without it: ${ROOTLESS}`);
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
