/** The real tuntap2, where a user has installed it: the same contract, with its calls made inside a namespace. */
import { expect } from "vitest";
import { openTuntap2, type Tuntap2Module } from "../../src/device/tuntap2.js";
import { deviceContract, OUR_PORT, OURS, THEIR_PORT, THEIRS } from "../device/contract.js";
import { KernelUdp } from "../support/kernel-udp.js";
import { enterMissing, makeNetns, type Netns } from "../support/netns.js";
import { describeUnless } from "../support/skip.js";

const found = await (import("tuntap2" as string) as Promise<Tuntap2Module>).catch(() => undefined);
const why = found === undefined ? "the optional package tuntap2 is not installed: npm install --no-save tuntap2" : enterMissing();

/** The package's class, each call of which is made with this thread in the namespace. */
function inside(ns: Netns, module: Tuntap2Module): Tuntap2Module {
  const Tun = new Proxy(module.Tun, {
    construct: (Original) =>
      new Proxy(
        ns.enter(() => new Original()),
        {
          set: (tun, key, value) => ns.enter(() => Reflect.set(tun, key, value, tun)),
          get: (tun, key) => {
            const value: unknown = Reflect.get(tun, key, tun);
            return typeof value === "function" ? value.bind(tun) : value;
          },
        },
      ),
  });
  return { Tun };
}

describeUnless(why, "tuntap2 itself", () => {
  deviceContract("tuntap2, the real one", async () => {
    const ns = await makeNetns();
    const device = await openTuntap2({ host: `${THEIRS}/24`, load: async () => inside(ns, found as Tuntap2Module) });
    const udp = new KernelUdp(ns, THEIRS, THEIR_PORT);
    return {
      device,
      arrive: (text) => {
        expect(udp.send(text, OURS, OUR_PORT)).toBe(text.length);
      },
      left: async (count) => {
        const got: Uint8Array[] = [],
          until = Date.now() + 60_000;
        while (got.length < count && Date.now() < until) {
          const text = udp.receive();
          if (text === undefined) await new Promise((resolve) => setImmediate(resolve));
          else got.push(text);
        }
        return got.map((text) => ({ source: OURS, destination: THEIRS, sourcePort: OUR_PORT, destinationPort: THEIR_PORT, text }));
      },
      close: async () => {
        device.close();
        udp.close();
        await ns.close();
      },
    };
  });
});
