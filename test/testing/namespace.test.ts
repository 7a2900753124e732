/** Why a peer cannot be had: one sentence for each system, with the whole way to mend it. */
import { expect, test } from "vitest";
import { lacking, type Where } from "../../src/testing/namespace.js";
import { NET_ADMIN, type Shown, SYS_ADMIN, system } from "../support/system.js";

const why = (shown: Shown, where: Where = "own"): string | undefined => lacking(where, system(shown), "linux")?.message;
const USER = { uid: 1000 };
const DOCKER = { contained: true, files: { "/.dockerenv": "" } };

test("root with both rights and the device lacks nothing, nor does a user in a namespace of his own", () => {
  expect(why({ caps: [NET_ADMIN, SYS_ADMIN] })).toBeUndefined();
  expect(why({ ...USER, caps: [NET_ADMIN, SYS_ADMIN], files: { "/proc/self/uid_map": "0 1000 1" } })).toBeUndefined();
});
test.each<[string, Shown, string]>([
  ["a plain user", USER, "making a network interface needs CAP_NET_ADMIN; unshare -Urn npx vitest run"],
  [
    "a plain user, the device closed to him: both at once",
    { ...USER, tun: "EACCES" },
    "/dev/net/tun cannot be opened (EACCES), and making a network interface needs CAP_NET_ADMIN; sudo chmod 666 /dev/net/tun, then: unshare -Urn npx vitest run",
  ],
  [
    "a plain user where user namespaces are forbidden by a sysctl",
    { ...USER, unshare: "refused", files: { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1" } },
    "making a network interface needs CAP_NET_ADMIN, and no private network namespace: unshare failed: Operation not permitted; sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, then: unshare -Urn npx vitest run",
  ],
  [
    "a plain user where they are forbidden otherwise",
    { ...USER, unshare: "refused" },
    "making a network interface needs CAP_NET_ADMIN, and no private network namespace: unshare failed: Operation not permitted; run it as root: sudo npx vitest run",
  ],
  [
    "Docker without any right",
    { ...DOCKER, tun: "none" },
    "/dev/net/tun is missing in this container, and making a network interface needs CAP_NET_ADMIN; add to docker run: --cap-add NET_ADMIN --cap-add SYS_ADMIN --device /dev/net/tun",
  ],
  [
    "Docker with NET_ADMIN alone",
    { ...DOCKER, caps: [NET_ADMIN] },
    'a network namespace of its own needs CAP_SYS_ADMIN; createPeer({ namespace: "here" }) does without, or add to docker run: --cap-add SYS_ADMIN',
  ],
  [
    "root without the device",
    { caps: [NET_ADMIN, SYS_ADMIN], tun: "ENODEV" },
    "/dev/net/tun is there, but the kernel has no TUN driver (ENODEV); sudo modprobe tun",
  ],
])("%s", (_, shown, message) => {
  expect(why(shown)).toBe(message);
});
test("the process's own network wants NET_ADMIN only", () => {
  expect(why({ ...DOCKER, caps: [NET_ADMIN] }, "here")).toBeUndefined();
});
test("another system than Linux", () => {
  expect(lacking("own", system({}), "darwin")?.message).toBe(
    'a peer for kernel sockets needs Linux, this is darwin; use createPeer({ link: "memory" }), or a Linux container',
  );
});
