/** The adapter of tuntap2 keeps the contract of a device, with a stand-in that has the package's API; the real one where it is installed. */
import { existsSync } from "node:fs";
import { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { DeviceError } from "../../src/device/errors.js";
import { openDevice } from "../../src/device/open.js";
import { openTuntap2, type Tuntap2Module, type Tuntap2Tun } from "../../src/device/tuntap2.js";
import { bytes, deviceContract, OUR_PORT, OURS, THEIR_PORT, THEIRS } from "./contract.js";
import { datagram, readDatagram } from "./packets.js";

/** As the package: configured by setters, one packet per chunk, `release()` lets the interface go. */
class StandIn extends Duplex implements Tuntap2Tun {
  static last: StandIn;
  readonly name = "tun0";
  mtu = 0;
  ipv4 = "";
  isUp = false;
  released = 0;
  readonly written: Buffer[] = [];

  constructor() {
    super({ allowHalfOpen: false });
    StandIn.last = this;
  }
  arrive(packet: Uint8Array): void {
    this.push(Buffer.from(packet));
  }
  release(): void {
    this.released++;
  }
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.written.push(Buffer.from(chunk));
    setImmediate(done);
  }
}
const load = async (): Promise<Tuntap2Module> => ({ Tun: StandIn });

deviceContract("tuntap2, a stand-in with its API", async () => {
  const device = await openTuntap2({ host: `${THEIRS}/24`, load });
  const tun = StandIn.last;
  return {
    device,
    arrive: (text) => {
      if (!tun.destroyed) tun.arrive(datagram({ source: THEIRS, destination: OURS, sourcePort: THEIR_PORT, destinationPort: OUR_PORT, text }));
    },
    left: async (count) => {
      while (tun.written.length < count) await new Promise((resolve) => setImmediate(resolve));
      return tun.written.splice(0).flatMap((packet) => readDatagram(packet) ?? []);
    },
    breakDown: () => {
      tun.destroy();
    },
    close: () => device.close(),
  };
});

describe("tuntap2", () => {
  test("is found as a default export too", async () => {
    (await openTuntap2({ host: "10.77.0.1/24", load: async () => ({ default: { Tun: StandIn } }) as unknown as Tuntap2Module })).close();
    expect(StandIn.last.isUp).toBe(true);
  });

  test("is configured by its own setters, and released at close", async () => {
    const routes: unknown[] = [];
    const device = await openTuntap2({ host: "10.77.0.1/24", mtu: 1280, routes: ["10.78.0.0/16"], load, addRoutes: (...all) => routes.push(all) });
    const tun = StandIn.last;
    expect(tun).toMatchObject({ mtu: 1280, ipv4: "10.77.0.1/24", isUp: true });
    expect(routes).toEqual([["tun0", ["10.78.0.0/16"]]]);
    expect(device).toMatchObject({ name: "tun0", mtu: 1280, offload: { checksum: false, maxFrame: 1280 } });
    device.close();
    expect([tun.released, tun.destroyed]).toEqual([1, true]);
  });

  test("pauses its stream when the stack does not read, and loses nothing", async () => {
    const device = await openTuntap2({ host: "10.77.0.1/24", load });
    const tun = StandIn.last;
    device.start({ readable: () => {}, failed: () => {} });
    const packet = datagram({ source: THEIRS, destination: OURS, sourcePort: 1, destinationPort: 2, text: bytes(10, 1) });
    for (let i = 0; i < 3000; i++) tun.arrive(packet);
    await new Promise((resolve) => setImmediate(resolve));
    expect(tun.isPaused()).toBe(true);
    let got = 0;
    for (let round = 0; round < 3000 && got < 3000; round++) {
      got += device.read();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(got).toBe(3000);
    device.close();
  });

  const refusal = async (work: Promise<unknown>): Promise<DeviceError> => {
    const error = await work.then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(DeviceError);
    return error as DeviceError;
  };

  test("an error of its stream fails the device with its code", async () => {
    const device = await openTuntap2({ host: "10.77.0.1/24", load });
    const failure = new Promise((resolve) => device.start({ readable: () => {}, failed: resolve }));
    StandIn.last.destroy(Object.assign(new Error("read failed\n  at native"), { code: "EIO" }));
    expect(await failure).toEqual({ code: "EIO", message: "the interface tun0 failed: read failed" });
    device.close();
  });

  test("that cannot make a TUN says so in one line, and what to do", async () => {
    class Refusing {
      constructor() {
        throw Object.assign(new Error("open failed\nstack"), { code: "EACCES" });
      }
    }
    const error = await refusal(openTuntap2({ host: "10.77.0.1/24", load: async () => ({ Tun: Refusing as unknown as Tuntap2Module["Tun"] }) }));
    expect(error).toMatchObject({ code: "EACCES", kind: "permission", message: "no TUN can be made with tuntap2: open failed" });
  });

  test("whose configuration is refused is released", async () => {
    const error = await refusal(
      openTuntap2({
        host: "10.77.0.1/24",
        routes: ["10.0.0.0/8"],
        load,
        addRoutes: () => {
          throw new Error("no");
        },
      }),
    );
    expect(error.kind).toBe("permission");
    expect(StandIn.last.released).toBe(1);
  });
});

test("without the package, --driver tuntap2 names the one line that gets it", async (context) => {
  if (existsSync(new URL("../../node_modules/tuntap2", import.meta.url))) return context.skip("tuntap2 is installed");
  await expect(openDevice({ driver: "tuntap2", host: "10.77.0.1/24" })).rejects.toMatchObject({
    kind: "missing",
    message: "the package tuntap2 is not installed",
    mend: expect.stringContaining("npm install tuntap2"),
  });
});

test("an unknown driver is a matter of usage", async () => {
  await expect(openDevice({ driver: "tap" as never })).rejects.toMatchObject({ kind: "usage", mend: expect.stringContaining("koffi, tuntap2") });
});
