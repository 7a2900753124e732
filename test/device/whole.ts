/** Whole packets into and out of a device's rings, for tests. */
import type { Device } from "../../src/device/device.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";

/** Sends a whole packet through a device's leaving ring: 52 octets of header, the rest by reference. */
export function sendWhole(device: Device, packet: Uint8Array, gsoSize = 0, partial = false): void {
  const header = Math.min(52, packet.length);
  const slot = device.tx.begin();
  device.tx.memory.bytes.set(packet.subarray(0, header), slot);
  device.tx.text(plainMemory(packet), header, packet.length - header);
  device.tx.end(header, gsoSize, partial);
}

/** Every frame that waits at a device, copied. */
export function readAll(device: Device): { bytes: Uint8Array; gsoSize: number; trusted: number }[] {
  const out = [];
  for (let n = device.read(); n > 0; n = device.read()) {
    for (let i = 0; i < n; i++) {
      const at = device.rx.offset[i] as number;
      out.push({
        bytes: device.rx.memory.bytes.slice(at, at + (device.rx.length[i] as number)),
        gsoSize: device.rx.gsoSize[i] as number,
        trusted: device.rx.trusted[i] as number,
      });
    }
  }
  return out;
}
