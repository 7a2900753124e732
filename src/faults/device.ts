/** Puts faults in front of a device: the thin part between `Faults` and the frames. */
import type { Device } from "../device/device.js";
import { FilterDevice, type WrapperOptions } from "../device/wrapper.js";
import { Faults, type FaultsOptions } from "./faults.js";

export interface FaultyDevice {
  readonly device: FilterDevice;
  readonly faults: Faults;
}

/** Wraps `inner`. Without a fault both directions go straight through. */
export function withFaults(inner: Device, options: FaultsOptions, wrapper: WrapperOptions = {}): FaultyDevice {
  const faults = new Faults(options);
  const idle = { close: () => faults.close() };
  const device = new FilterDevice(inner, idle, wrapper);
  faults.outlets = { toStack: device.injectIncoming, toPeer: device.injectOutgoing };
  faults.onActive = (active) => {
    device.filter = active ? faults : idle;
  };
  return { device, faults };
}
