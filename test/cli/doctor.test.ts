/** `doctor` tells apart the places it may run in, and names one command for each thing that is missing. */
import { describe, expect, test } from "vitest";
import { examine, type Runtime } from "../../src/cli/commands/doctor.js";
import { NET_ADMIN, type Shown, SYS_ADMIN, system } from "../support/system.js";

const RUNTIME: Runtime = {
  node: "20.20.0",
  platform: "linux",
  kernel: "6.1",
  koffi: async () => "3.3.4",
  tunFeatures: async () => 0x7137,
  ioUring: async () => true,
};
const missing = async (shown: Shown, runtime = RUNTIME): Promise<Record<string, string | undefined>> =>
  Object.fromEntries((await examine(system(shown), runtime)).filter((c) => c.verdict === "missing").map((c) => [c.name, c.mend]));

describe("doctor", () => {
  test("root on a host with all there: nothing is missing", async () => {
    expect(await missing({ caps: [NET_ADMIN, SYS_ADMIN] })).toEqual({});
  });
  test("a plain user where namespaces work: a note, since demo works", async () => {
    const shown = { uid: 1000 };
    expect(await missing(shown)).toEqual({});
    expect((await examine(system(shown), RUNTIME)).find((c) => c.name === "right")).toMatchObject({ verdict: "note", mend: "sudo glasstcp serve" });
  });
  test("the TUN node closed to a plain user: chmod", async () => {
    expect(await missing({ uid: 1000, tun: "EACCES" })).toEqual({ tun: "sudo chmod 666 /dev/net/tun" });
  });
  test("no driver in the kernel: modprobe", async () => {
    expect((await missing({ caps: [NET_ADMIN, SYS_ADMIN], tun: "ENODEV" }))["tun"]).toBe("sudo modprobe tun");
    expect((await missing({ caps: [NET_ADMIN, SYS_ADMIN], tun: "none" }))["tun"]).toMatch(/^sudo modprobe tun; .*mknod/);
  });
  test("Docker without --device, and with the node made by hand but denied", async () => {
    const docker: Shown = { contained: true, files: { "/.dockerenv": "" }, caps: [NET_ADMIN] };
    expect((await missing({ ...docker, tun: "none" }))["tun"]).toContain("--device /dev/net/tun");
    expect((await missing({ ...docker, tun: "EPERM" }))["tun"]).toContain("--device /dev/net/tun");
  });
  test("Docker with the device but without the capability", async () => {
    expect((await missing({ contained: true, files: { "/.dockerenv": "" }, unshare: "refused" }))["right"]).toContain("--cap-add NET_ADMIN");
  });
  test("Docker with NET_ADMIN alone: its own network will do for demo", async () => {
    const shown: Shown = { contained: true, files: { "/.dockerenv": "" }, caps: [NET_ADMIN], unshare: "refused" };
    expect(await missing(shown)).toEqual({});
    expect((await examine(system(shown), RUNTIME)).find((c) => c.name === "namespace")).toMatchObject({ verdict: "note", mend: "glasstcp demo --here" });
  });
  test("a disk made from an image is no container", async () => {
    const checks = await examine(system({ files: { "/.dockerenv": "" }, caps: [NET_ADMIN, SYS_ADMIN] }), RUNTIME);
    expect(checks[0]?.detail).toMatch(/^a host/);
  });
  test("a rootless namespace is told as such", async () => {
    const checks = await examine(system({ files: { "/proc/self/uid_map": "0 1000 1" }, caps: [NET_ADMIN, SYS_ADMIN] }), RUNTIME);
    expect(checks[0]?.detail).toMatch(/^a user namespace/);
  });
  test.each([
    ["/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"],
    ["/proc/sys/kernel/unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"],
    ["/proc/sys/user/max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"],
  ])("namespaces forbidden by %s = %s", async (file, value, mend) => {
    expect((await missing({ uid: 1000, unshare: "refused", files: { [file]: `${value}\n` } }))["namespace"]).toBe(mend);
  });
  test("tools: Debian's package, and the traditional nc is the wrong one", async () => {
    expect(await missing({ caps: [NET_ADMIN, SYS_ADMIN], tools: { curl: undefined, nc: "[v1.10-47]" } })).toEqual({
      curl: "apt-get install -y curl",
      nc: "apt-get install -y netcat-openbsd",
    });
    expect(await missing({ uid: 1000, tools: { nc: undefined } })).toEqual({ nc: "sudo apt-get install -y netcat-openbsd" });
  });
  test("Node too old, koffi that does not load", async () => {
    const runtime: Runtime = { ...RUNTIME, node: "18.20.1", koffi: () => Promise.reject(new Error("no binary\nmore")) };
    expect(await missing({ caps: [NET_ADMIN, SYS_ADMIN] }, runtime)).toEqual({ node: "nvm install 22", koffi: "npm ci" });
  });
  test("a kernel without vnet headers is a note", async () => {
    const checks = await examine(system({ caps: [NET_ADMIN, SYS_ADMIN] }), { ...RUNTIME, tunFeatures: async () => 0x1003 });
    expect(checks.find((c) => c.name === "offload")).toMatchObject({ verdict: "note" });
  });
  test("io_uring refused is a note that names who refuses it", async () => {
    const row = async (files: Readonly<Record<string, string>>): Promise<unknown> =>
      (await examine(system({ caps: [NET_ADMIN, SYS_ADMIN], files }), { ...RUNTIME, ioUring: async () => false })).find((c) => c.name === "io_uring");
    expect(await row({})).toMatchObject({ verdict: "note", detail: expect.stringContaining("seccomp") });
    expect(await row({ "/proc/sys/kernel/io_uring_disabled": "2\n" })).toMatchObject({ verdict: "note", detail: expect.stringMatching(/^switched off/) });
  });
});
