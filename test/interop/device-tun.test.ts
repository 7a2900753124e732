/** The TUN against the kernel, in namespaces of its own: the contract with offload, without, and without batching; failure, configuration, errors. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DeviceError } from "../../src/device/errors.js";
import { openTun, type TunDevice, type TunOptions } from "../../src/device/tun.js";
import { Uring } from "../../src/device/uring.js";
import { FilterDevice } from "../../src/device/wrapper.js";
import { createMemory } from "../../src/wire/wasm-memory.js";
import { bytes, datagrams, deviceContract, OUR_PORT, OURS, THEIR_PORT, THEIRS } from "../device/contract.js";
import { datagram } from "../device/packets.js";
import { KernelUdp } from "../support/kernel-udp.js";
import { enterMissing, inNetns, makeNetns, type Netns, realRoot } from "../support/netns.js";
import { describeUnless } from "../support/skip.js";

const HOST = `${THEIRS}/24`;
const why = enterMissing();

/** Where a test sees what the kernel gave and took: one namespace, one TUN, one kernel socket. */
async function rig(options: TunOptions, wrap = (device: TunDevice): FilterDevice | TunDevice => device) {
  const ns = await makeNetns();
  const tun = ns.enter(() => openTun({ name: "tun0", host: HOST, ...options }));
  const udp = new KernelUdp(ns, THEIRS, THEIR_PORT);
  return {
    ns,
    tun,
    udp,
    device: wrap(tun),
    arrive: (text: Uint8Array) => {
      expect(udp.send(text, OURS, OUR_PORT)).toBe(text.length);
    },
    left: async (count: number) => {
      const got: Uint8Array[] = [],
        until = Date.now() + 60_000;
      while (got.length < count) {
        const text = udp.receive();
        if (text !== undefined) got.push(text);
        else if (Date.now() > until) throw new Error(`only ${got.length} of ${count} datagrams reached the kernel`);
        else await new Promise((resolve) => setImmediate(resolve));
      }
      expect(udp.receive()).toBeUndefined();
      return got.map((text) => ({ source: OURS, destination: THEIRS, sourcePort: OUR_PORT, destinationPort: THEIR_PORT, text }));
    },
    breakDown: () => {
      ns.sh("ip link del tun0");
    },
    close: async () => {
      tun.close();
      udp.close();
      await ns.close();
    },
  };
}

describeUnless(why, "koffi TUN", () => {
  deviceContract("TUN with offload", () => rig({}));
  deviceContract("TUN without offload", () => rig({ offload: "off" }));
  deviceContract("TUN without offload, a system call a frame", () => rig({ offload: "off", batch: false }));
  deviceContract("TUN with offload, spinning", () => rig({ spinUs: 50 }));
  deviceContract("TUN in a wrapper that looks", () => rig({}, (tun) => new FilterDevice(tun, { incoming: (f, go) => go(f), outgoing: (f, go) => go(f) })));
});

describeUnless(why, "opening a TUN", () => {
  let ns: Netns;
  const open: TunDevice[] = [];
  beforeEach(async () => {
    ns = await makeNetns();
  });
  afterEach(async () => {
    for (const device of open.splice(0)) device.close();
    await ns.close();
  });
  const make = (options: TunOptions): TunDevice => {
    const device = ns.enter(() => openTun(options));
    open.push(device);
    return device;
  };
  const refusal = (work: () => unknown): DeviceError => {
    try {
      work();
    } catch (error) {
      if (error instanceof DeviceError) return error;
      throw error;
    }
    throw new Error("it was not refused");
  };

  test("configures address, MTU, queue length, state and routes by itself", async () => {
    const device = make({ name: "tun7", host: "10.77.0.1/20", mtu: 1400, txqueuelen: 3000, routes: ["10.77.1.0/24", "192.0.2.9", "198.51.100.128/25"] });
    expect(device).toMatchObject({ name: "tun7", mtu: 1400 });
    const [link] = JSON.parse(await ns.must("ip", ["-j", "addr", "show", "dev", "tun7"]));
    expect(link).toMatchObject({ mtu: 1400 });
    // The queue's length is the one thing that root of a user namespace may not set: then the kernel's own stays.
    expect([3000, 500]).toContain(link.txqlen);
    if (realRoot()) expect(link.txqlen).toBe(3000);
    expect(link.flags).toContain("UP");
    expect(link.addr_info.filter((a: { family: string }) => a.family === "inet")).toMatchObject([{ local: "10.77.0.1", prefixlen: 20 }]);
    const routes = JSON.parse(await ns.must("ip", ["-j", "route", "show", "dev", "tun7"])) as { dst: string }[];
    expect(routes.map((r) => r.dst).sort()).toEqual(["10.77.0.0/20", "192.0.2.9", "198.51.100.128/25"]);
  });

  test("two live side by side", () => {
    expect([make({ name: "glass0" }).name, make({ name: "glass1" }).name]).toEqual(["glass0", "glass1"]);
  });

  test("is gone from the kernel, with its descriptor, when closed; and was never open for children", async () => {
    const held = () =>
      readdirSync("/proc/self/fd").filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`) === "/dev/net/tun";
        } catch {
          return false;
        }
      });
    const device = make({ name: "tun0", host: HOST });
    expect(held()).toHaveLength(1);
    const child = spawnSync("sh", ["-c", "ls -l /proc/self/fd"], { encoding: "utf8" });
    expect(child.stdout).not.toContain("/dev/net/tun");
    device.close();
    expect(held()).toEqual([]);
    expect((await ns.run("ip", ["link", "show", "tun0"])).code).not.toBe(0);
  });

  test("attaches to one that root made for a user, and leaves it behind", async () => {
    ns.sh(`ip tuntap add dev tun3 mode tun && ip addr add ${HOST} dev tun3 && ip link set tun3 mtu 1300 up`);
    const device = make({ name: "tun3", attach: true, host: HOST });
    expect(device.mtu).toBe(1300);
    device.close();
    expect((await ns.run("ip", ["link", "show", "tun3"])).code).toBe(0);
  });

  test("attaches to a multi-queue one, with and without offload, one after the other", () => {
    ns.sh("ip tuntap add dev tun3 mode tun multi_queue");
    const first = make({ name: "tun3", attach: true });
    expect(first.offload.checksum).toBe(true);
    first.close();
    expect(make({ name: "tun3", attach: true, offload: "off" }).offload).toEqual({ checksum: false, maxFrame: 1500 });
  });

  test("makes one that stays", async () => {
    make({ name: "tun4", persist: true }).close();
    expect((await ns.run("ip", ["link", "show", "tun4"])).code).toBe(0);
  });

  test("says what is wrong and how to mend it", () => {
    make({ name: "tun0" });
    ns.sh("ip tuntap add dev tap0 mode tap; ip link add dummy0 type dummy 2>/dev/null || ip link add dummy0 type veth peer name dummy1");
    const refused = (options: TunOptions): [string, string, string, string] => {
      const e = refusal(() => make(options));
      return [e.code, e.kind, e.message, e.mend];
    };
    expect(refused({ name: "tun0" })).toEqual(["EBUSY", "busy", "tun0 is in use by another program", expect.stringContaining("--tun NAME")]);
    expect(refused({ name: "nothere", attach: true })).toEqual([
      "ENODEV",
      "missing",
      "there is no interface nothere to attach to",
      expect.stringContaining("ip tuntap add dev nothere mode tun"),
    ]);
    expect(refused({ name: "tap0" })).toEqual(["EINVAL", "busy", expect.stringMatching(/^tap0 is there and /), expect.stringContaining("ip link del tap0")]);
    expect(refused({ name: "lo" })[1]).toBe("busy");
    expect(refused({ name: "dummy0" })[1]).toBe("busy");
    for (const name of ["", "a/b", "sixteen-octets-x", "a b", ".", "tun%d"]) expect(refused({ name }).slice(0, 2), name).toEqual(["EINVAL", "usage"]);
    for (const host of ["10.77.0.1/33", "10.77.0", "10.77.0.256/24", "fe80::1/64"])
      expect(refused({ name: "tun1", host }).slice(0, 2), host).toEqual(["EINVAL", "usage"]);
    expect(refused({ name: "tun1", mtu: 67 })[1]).toBe("usage");
    expect(refused({ name: "tun1", spinUs: 2001 })[1]).toBe("usage");
  });

  test("leaves no descriptor behind when it is refused halfway", () => {
    const count = () => readdirSync("/proc/self/fd").length,
      before = count();
    refusal(() => make({ name: "tun1", host: HOST, routes: ["240.0.0.0/4", "0.0.0.0/0", "10.0.0.0/8", "bogus"] }));
    expect(count()).toBe(before);
  });
});

describeUnless(why, "a TUN without batches", () => {
  test.each([
    ["io_setup", { batches: false, streams: false }],
    ["io_submit", { batches: true }],
    ["io_uring_setup", { batches: true, streams: false }],
    ["io_uring_enter", { batches: true, streams: false }],
  ])("%s refused, as by a seccomp profile: other system calls instead, nothing lost", (call, left) =>
    inNetns(async (ns) => {
      const said = await ns.must(process.execPath, ["--import", "tsx", fileURLToPath(new URL("../support/seccomp-device.ts", import.meta.url)), call]);
      expect(JSON.parse(said)).toMatchObject({ ...left, toKernel: 100, fromKernel: 100, txFrames: 300, txErrors: 0, rxErrors: 0 });
    }),
  );
});

describeUnless(why, "a stream's frames", () => {
  /** What the kernel sends back whence it came, so that what was written can be read: its order and its octets. */
  const SOMEWHERE = "10.99.0.1",
    TEXT = 1_400;
  let at: Awaited<ReturnType<typeof rig>>;
  /** What of io_uring this process has. Node may have a descriptor of its own, but no thread that polls. */
  const ours = (folder: string, name: (id: string) => string) => (): number =>
    readdirSync(folder).filter((id) => {
      try {
        return /iou-sqp|io_uring/.test(name(`${folder}/${id}`));
      } catch {
        return false; // gone meanwhile
      }
    }).length;
  const workers = ours("/proc/self/task", (id) => readFileSync(`${id}/comm`, "latin1")),
    descriptors = ours("/proc/self/fd", (id) => readlinkSync(id));
  let before = 0;
  beforeEach(async () => {
    before = descriptors();
    at = await rig({ offload: "off", routes: ["10.99.0.0/24"] });
    at.ns.sh(
      "for f in all/forwarding all/send_redirects tun0/send_redirects; do case $f in *ing) v=1;; *) v=0;; esac; echo $v > /proc/sys/net/ipv4/conf/$f; done",
    );
  });
  afterEach(() => at.close());

  /** Room for what is made between two flushes. */
  const slab = createMemory(1 << 21);
  let port = 0;
  function send(octets: number): void {
    const { tx } = at.tun,
      place = (port * 1_408) % (slab.bytes.length - 1_408),
      text = slab.bytes.subarray(place, place + octets);
    text.fill(++port & 255);
    const packet = datagram({ source: OURS, destination: SOMEWHERE, sourcePort: port, destinationPort: OUR_PORT, text });
    tx.memory.bytes.set(packet.subarray(0, 28), tx.begin());
    tx.text(slab, place, octets);
    tx.end(28, 0, false);
  }
  /** Ports and texts of what has come back. */
  function back(): { ports: number[]; whole: boolean } {
    const ports: number[] = [];
    let whole = true;
    for (let n = at.tun.read(); n > 0; n = at.tun.read())
      for (const p of datagrams(at.tun, n)) {
        ports.push(p.sourcePort);
        whole &&= p.text.every((o) => o === (p.sourcePort & 255));
      }
    return { ports, whole };
  }
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
  /** Whether this machine lets us have a thread. */
  const threads = (): boolean => {
    if (availableParallelism() < 2) return false;
    const uring = Uring.make(2, true);
    uring?.close();
    return uring !== undefined;
  };

  test("flush: all of them are with the kernel, in order, and their memory may hold something else", () => {
    port = 0;
    for (let i = 0; i < 200; i++) send(TEXT);
    at.tun.tx.flush();
    slab.bytes.fill(0);
    expect(at.tun.streams).toBe(threads());
    expect(back()).toEqual({ ports: upTo(200), whole: true });
    expect(at.tun.counters).toMatchObject({ txFrames: 200, txBytes: 200 * (TEXT + 28), txErrors: 0 });
  });

  test("submit: single frames, streams beyond the ring's end and what is made meanwhile keep their order", () => {
    port = 0;
    // Neither a divisor of the ring's 256 slots nor one of a portion: every part of it ends a stream once.
    const turns = [1, 3, 130, 1, 300, 2, 129, 700, 5, 260, 1];
    const total = turns.reduce((a, b) => a + b);
    for (const frames of turns) {
      for (let i = 0; i < frames; i++) send(frames > 100 ? TEXT : 64);
      if (frames === 300 || frames === 5) at.tun.tx.flush();
      else at.tun.tx.submit();
    }
    at.tun.tx.flush();
    expect(at.tun.counters).toMatchObject({ txFrames: total, txErrors: 0 });
    expect(back().ports).toEqual(upTo(total));
  });

  test("while one is under way the link is deleted: each frame is counted, and the failure is told", async () => {
    const failure = new Promise((resolve) => at.tun.start({ readable: () => back(), failed: resolve }));
    for (let i = 0; i < 100; i++) send(TEXT);
    at.tun.tx.submit();
    at.ns.sh("ip link del tun0");
    for (let i = 0; i < 300; i++) send(TEXT);
    at.tun.tx.flush();
    const { txFrames, txErrors } = at.tun.counters;
    expect([txFrames + txErrors, txErrors >= 300]).toEqual([400, true]);
    expect(await failure).toEqual({ code: "EBADFD", message: "the interface tun0 was deleted" });
  });

  test("closing waits for what is under way, and leaves neither thread nor descriptor", async () => {
    for (let i = 0; i < 100; i++) send(TEXT);
    at.tun.tx.submit();
    const streams = at.tun.streams ? 1 : 0;
    expect(descriptors() - before).toBe(streams);
    // A thread takes its name when it first runs.
    await expect.poll(workers, { timeout: 60_000 }).toBe(streams);
    at.tun.close();
    expect(at.tun.counters).toMatchObject({ txFrames: 100, txErrors: 0 });
    expect(descriptors()).toBe(before);
    await expect.poll(workers, { timeout: 60_000 }).toBe(0);
  });
});

describeUnless(why, "a TUN in trouble", () => {
  let at: Awaited<ReturnType<typeof rig>>;
  afterEach(() => at.close());

  test.each(["auto", "off"] as const)("offload %s: link down costs frames, counted; up again, all goes on", async (offload) => {
    at = await rig({ offload });
    const { ns, tun, udp } = at;
    const send = (text: Uint8Array): void => {
      const packet = datagram({ source: OURS, destination: THEIRS, sourcePort: OUR_PORT, destinationPort: THEIR_PORT, text });
      const slot = tun.tx.begin();
      tun.tx.memory.bytes.set(packet, slot);
      tun.tx.end(packet.length, 0, false);
    };
    let failed = false;
    let look = (): void => {};
    const got: number[] = [];
    tun.start({
      readable: () => {
        for (let n = tun.read(); n > 0; n = tun.read()) got.push(...datagrams(tun, n).map((p) => p.text.length));
        look();
      },
      failed: () => {
        failed = true;
      },
    });
    ns.sh("ip link set tun0 down");
    send(bytes(1, 1));
    tun.tx.flush();
    send(bytes(2, 1));
    send(bytes(3, 1));
    tun.tx.flush();
    expect(tun.counters).toMatchObject({ txFrames: 0, txErrors: 3 });
    ns.sh("ip link set tun0 up");
    send(bytes(4, 1));
    tun.tx.flush();
    expect((await at.left(1))[0]?.text).toHaveLength(4);
    const arrived = new Promise<void>((resolve) => {
      look = () => {
        if (got.length > 0) resolve();
      };
    });
    udp.send(bytes(5, 1), OURS, OUR_PORT);
    await arrived;
    expect(got).toEqual([5]);
    expect(failed).toBe(false);
  });

  test("a write to a deleted link is an error like any other, and the failure is told afterwards", async () => {
    at = await rig({});
    const { ns, tun } = at;
    let told = 0;
    const failure = new Promise((resolve) =>
      tun.start({
        readable: () => {
          tun.read();
        },
        failed: (f) => {
          told++;
          resolve(f);
        },
      }),
    );
    ns.sh("ip link del tun0");
    for (let i = 0; i < 3; i++) {
      tun.tx.begin();
      tun.tx.end(40, 0, false);
    }
    tun.tx.flush();
    expect([tun.counters.txErrors, told]).toEqual([3, 0]);
    expect(await failure).toEqual({ code: "EBADFD", message: "the interface tun0 was deleted" });
  });

  test("what a handler throws reaches the process, and frames are still delivered", async () => {
    at = await rig({});
    const { tun, udp } = at;
    let calls = 0,
      look = (): void => {};
    const kept = process.listeners("uncaughtException");
    const thrown = new Promise<Error>((resolve) => {
      process.removeAllListeners("uncaughtException");
      process.once("uncaughtException", resolve);
    });
    tun.start({
      readable: () => {
        let n = 0,
          frames = 0;
        for (n = tun.read(); n > 0; n = tun.read()) frames += datagrams(tun, n).length;
        if (frames === 0) return;
        calls++;
        look();
        if (calls === 1) throw new Error("a bug of ours");
      },
      failed: () => {},
    });
    try {
      udp.send(bytes(1, 1), OURS, OUR_PORT);
      expect((await thrown).message).toBe("a bug of ours");
    } finally {
      for (const listener of kept) process.on("uncaughtException", listener);
    }
    const again = new Promise<void>((resolve) => {
      look = resolve;
    });
    udp.send(bytes(1, 1), OURS, OUR_PORT);
    await again;
    expect(calls).toBe(2);
  });

  test("a frame longer than the room for it (an MTU raised by hand) is a counted error, not half a frame", async () => {
    at = await rig({ offload: "off" });
    const { ns, tun, udp } = at;
    ns.sh("ip link set tun0 mtu 9000");
    udp.send(bytes(5000, 1), OURS, OUR_PORT);
    udp.send(bytes(10, 1), OURS, OUR_PORT);
    const got: number[] = [];
    for (let n = tun.read(); n > 0; n = tun.read()) got.push(...datagrams(tun, n).map((p) => p.text.length));
    expect(got).toEqual([10]);
    expect(tun.counters.rxErrors).toBe(1);
  });

  test("spinning: finds what comes while it looks, and is idle when nothing comes", async () => {
    at = await rig({ spinUs: 2000 });
    const { ns, tun } = at;
    // An echo of datagrams, as fast as the kernel's client asks.
    tun.start({
      readable: () => {
        for (let n = tun.read(); n > 0; n = tun.read()) {
          for (const p of datagrams(tun, n)) {
            const back = datagram({ ...p, source: p.destination, destination: p.source, sourcePort: p.destinationPort, destinationPort: p.sourcePort });
            tun.tx.memory.bytes.set(back, tun.tx.begin());
            tun.tx.end(back.length, 0, false);
          }
        }
        tun.tx.flush();
      },
      failed: () => {},
    });
    const client = `
      const socket = require("node:dgram").createSocket("udp4");
      let left = 200;
      const ask = () => socket.send("x", ${OUR_PORT}, "${OURS}");
      socket.on("message", () => { if (--left === 0) socket.close(); else ask(); });
      socket.bind(0, "${THEIRS}", ask);`;
    const start = process.cpuUsage();
    await ns.must(process.execPath, ["-e", client]);
    const asked = process.cpuUsage(start);
    expect(asked.user + asked.system).toBeLessThan(700_000); // each look ends after 2 ms
    // How many is a matter of who else wants the processors.
    expect(tun.spins.found).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const looks = tun.spins.looks,
      before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const spent = process.cpuUsage(before);
    // The kernel's own noise may wake it once or twice; without an end to the looking it would be 100 %.
    expect(tun.spins.looks - looks).toBeLessThan(10);
    expect(spent.user + spent.system).toBeLessThan(150_000);
  });
});
