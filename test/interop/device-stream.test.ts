/** Streams of a kernel client through the TUN and the stack arrive octet for octet in every mode of the device, and through every wrapper. */
import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { SERVICES } from "../../src/apps/index.js";
import { drive, systemClock } from "../../src/daemon/driver.js";
import type { Device } from "../../src/device/device.js";
import { impair, parseImpair } from "../../src/device/impair.js";
import { capture } from "../../src/device/pcap.js";
import { openTun, type TunDevice, type TunOptions } from "../../src/device/tun.js";
import { FilterDevice } from "../../src/device/wrapper.js";
import { createNet } from "../../src/sockets/net.js";
import { Stack } from "../../src/stack/stack.js";
import { enterMissing, makeNetns, type Netns } from "../support/netns.js";
import { describeUnless } from "../support/skip.js";

/** Sends `octets` to the echo service, half-closes, and says whether the same came back. */
const CLIENT = `
  const net = require("node:net"), { createHash, randomBytes } = require("node:crypto");
  const octets = Number(process.argv[1]), data = randomBytes(octets), back = createHash("sha256");
  let got = 0;
  const socket = net.connect({ host: "10.77.0.2", port: 7 });
  socket.on("data", (chunk) => { got += chunk.length; back.update(chunk); });
  socket.on("error", (error) => { console.log(error.code); process.exit(1); });
  socket.on("end", () => console.log(JSON.stringify({ got, same: back.digest("hex") === createHash("sha256").update(data).digest("hex") })));
  socket.end(data);`;

describeUnless(enterMissing(), "8 MiB to the echo service and back", () => {
  let clean: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const work of clean.reverse()) await work();
    clean = [];
  });

  async function serve(options: TunOptions, wrap: (tun: TunDevice) => Device): Promise<Netns> {
    const ns = await makeNetns();
    clean.push(() => ns.close());
    const tun = ns.enter(() => openTun({ name: "tun0", host: "10.77.0.1/24", ...options }));
    const device = wrap(tun),
      clock = systemClock();
    const stack = new Stack({ addresses: ["10.77.0.2"], mtu: device.mtu, secret: new Uint32Array(4), random: () => Math.floor(Math.random() * 2 ** 32) });
    const driver = drive(device, stack, clock);
    const net = createNet(stack, { now: clock.now });
    const service = await SERVICES["echo"]?.start(net as never, {});
    clean.push(async () => {
      await service?.close();
      driver.stop();
      device.close();
    });
    return ns;
  }

  async function echo(ns: Netns, octets: number): Promise<void> {
    const said = await ns.must(process.execPath, ["-e", CLIENT, `${octets}`]);
    expect(JSON.parse(said)).toEqual({ got: octets, same: true });
  }

  /** A wrapper that notes the longest frame either way. */
  function longest(inner: Device): { device: Device; seen: { in: number; out: number } } {
    const seen = { in: 0, out: 0 };
    const device = new FilterDevice(inner, {
      incoming: (frame, forward) => {
        seen.in = Math.max(seen.in, frame.length);
        forward(frame);
      },
      outgoing: (frame, forward) => {
        seen.out = Math.max(seen.out, frame.length);
        forward(frame);
      },
    });
    return { device, seen };
  }

  const modes: [string, TunOptions, boolean][] = [
    ["offload", {}, true],
    ["offload, a system call a frame", { batch: false }, true],
    ["offload, spinning", { spinUs: 20 }, true],
    ["offload, jumbo MTU", { mtu: 9000 }, true],
    ["plain", { offload: "off" }, false],
    ["plain, a system call a frame", { offload: "off", batch: false }, false],
    ["plain, small MTU", { offload: "off", mtu: 576 }, false],
  ];
  test.each(modes)("%s", async (_name, options) => {
    const ns = await serve(options, (tun) => tun);
    await echo(ns, 8 << 20);
  });

  test.each(modes)("%s, seen by a wrapper: super-segments with offload and none without", async (_name, options, large) => {
    let seen = { in: 0, out: 0 };
    const ns = await serve(options, (tun) => {
      const watched = longest(tun);
      seen = watched.seen;
      return watched.device;
    });
    await echo(ns, 8 << 20);
    const mtu = options.mtu ?? 1500;
    if (large) {
      expect(seen.in).toBeGreaterThan(mtu * 3);
      expect(seen.out).toBeGreaterThan(mtu * 3);
    } else expect([seen.in, seen.out]).toEqual([mtu, mtu]);
  });

  test.each(["auto", "off"] as const)(
    "offload %s, over a link that loses, doubles, damages, delays and reorders, recorded on both sides of it",
    async (offload) => {
      const folder = mkdtempSync(join(tmpdir(), "glasstcp-stream-"));
      clean.unshift(async () => rmSync(folder, { recursive: true }));
      const ns = await serve({ offload }, (tun) =>
        capture(
          impair(capture(tun, join(folder, "wire.pcapng")), parseImpair("loss=0.5%,duplicate=0.5%,corrupt=0.5%,delay=2ms,jitter=1ms,reorder=1%,seed=7")),
          join(folder, "stack.pcapng"),
        ),
      );
      await echo(ns, 1 << 20);
      // The last of it is written up to 200 ms later.
      for (const name of ["wire", "stack"])
        await expect.poll(() => readFileSync(join(folder, `${name}.pcapng`)).length, { timeout: 60_000, interval: 20 }).toBeGreaterThan(2 << 20);
    },
  );
});
