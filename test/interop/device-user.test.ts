/** What a user without rights gets: an interface that root made for him, one in a namespace of his own, or an error that names the mend. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { OpenDeviceOptions } from "../../src/device/open.js";
import { enterMissing, makeNetns, type Netns, realRoot } from "../support/netns.js";
import { describeUnless } from "../support/skip.js";

const PROGRAM = fileURLToPath(new URL("../support/open-device.ts", import.meta.url));
const NOBODY = 65_534;
const why = enterMissing("setpriv") ?? (realRoot() ? undefined : "needs the machine's own root, to make device nodes");

describeUnless(why, "a user without rights", () => {
  let ns: Netns, folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "glasstcp-user-"));
    chmodSync(folder, 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  beforeEach(async () => {
    ns = await makeNetns();
  });
  afterEach(() => ns.close());

  /** @param node what /dev/net/tun is, in a mount namespace of this call alone */
  async function open(node: "open" | "closed" | "absent" | "dead", options: OpenDeviceOptions, before = ""): Promise<Record<string, unknown>> {
    const mounts =
      node === "absent"
        ? "mount -t tmpfs none /dev/net"
        : `n=$(mktemp -u ${folder}/XXXXXX); mknod $n c 10 ${node === "dead" ? 254 : 200}; chmod ${node === "closed" ? 600 : 666} $n; mount --bind $n /dev/net/tun`;
    const line = `${mounts}; exec setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups --inh-caps=-all ${before} "$@"`;
    const out = await ns.must("unshare", [
      "-m",
      "--propagation",
      "private",
      "sh",
      "-ec",
      line,
      "sh",
      process.execPath,
      "--import",
      "tsx",
      PROGRAM,
      JSON.stringify(options),
    ]);
    return JSON.parse(out) as Record<string, unknown>;
  }

  test("and without the device node", async () => {
    expect(await open("absent", {})).toEqual({
      code: "ENOENT",
      kind: "missing",
      message: "/dev/net/tun is not there",
      mend: expect.stringMatching(/--device \/dev\/net\/tun.*mknod \/dev\/net\/tun c 10 200/),
    });
  });

  test("and with a node that no driver stands behind", async () => {
    expect(await open("dead", {})).toMatchObject({ kind: "missing", mend: "load it: modprobe tun" });
  });

  test("and with a node that he may not open", async () => {
    expect(await open("closed", {})).toMatchObject({ code: "EACCES", kind: "permission", mend: expect.stringContaining("chmod 666 /dev/net/tun") });
  });

  test("cannot make an interface", async () => {
    expect(await open("open", { name: "tun9" })).toEqual({
      code: "EPERM",
      kind: "permission",
      message: "no permission to make the interface tun9",
      mend: expect.stringMatching(/as root.*--cap-add NET_ADMIN.*glasstcp sandbox/),
    });
  });

  test("uses one that root made and configured for him, with offload", async () => {
    ns.sh(`ip tuntap add dev tun9 mode tun user ${NOBODY}; ip addr add 10.77.0.1/24 dev tun9; ip link set tun9 mtu 1400 up`);
    expect(await open("open", { name: "tun9", host: "10.77.0.1/24", routes: ["10.77.0.64/26"] })).toEqual({ name: "tun9", mtu: 1400, checksum: true });
  });

  test("is told what root has still to do to it", async () => {
    ns.sh(`ip tuntap add dev tun9 mode tun user ${NOBODY}; ip link set tun9 up`);
    expect(await open("open", { name: "tun9", host: "10.77.0.1/24" })).toMatchObject({
      code: "EPERM",
      kind: "permission",
      mend: expect.stringContaining("ip addr add 10.77.0.1/24 dev tun9"),
    });
    ns.sh("ip addr add 10.77.0.1/24 dev tun9");
    expect(await open("open", { name: "tun9", host: "10.77.0.1/24", routes: ["10.78.0.0/16"] })).toMatchObject({
      mend: expect.stringContaining("ip route add 10.78.0.0/16 dev tun9"),
    });
    expect(await open("open", { name: "tun9", mtu: 1300 })).toMatchObject({ mend: expect.stringContaining("ip link set tun9 mtu 1300") });
    ns.sh("ip link set tun9 down");
    expect(await open("open", { name: "tun9" })).toMatchObject({ mend: expect.stringContaining("ip link set tun9 up") });
  });

  test("does not get one that belongs to another", async () => {
    ns.sh("ip tuntap add dev tun9 mode tun user 1");
    expect(await open("open", { name: "tun9" })).toMatchObject({
      code: "EPERM",
      kind: "permission",
      message: "tun9 belongs to another user",
      mend: expect.stringContaining("ip tuntap add dev tun9 mode tun user"),
    });
  });

  test("makes and configures one in a user and network namespace of his own", async (context) => {
    const tried = await ns.run("setpriv", [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "unshare", "-Urn", "true"]);
    if (tried.code !== 0) return context.skip(`user namespaces are not allowed here: ${tried.stderr.trim()}`);
    expect(await open("open", { name: "tun9", host: "10.77.0.1/24", mtu: 1400, routes: ["10.78.0.0/16"] }, "unshare -Urn")).toEqual({
      name: "tun9",
      mtu: 1400,
      checksum: true,
    });
  });
});
