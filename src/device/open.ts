/** Opens the device that `--driver` names. */
import type { Device } from "./device.js";
import { DeviceError } from "./errors.js";
import type { TunOptions } from "./tun.js";

export const DRIVERS = ["koffi", "tuntap2"] as const;
export type DriverName = (typeof DRIVERS)[number];

export interface OpenDeviceOptions extends TunOptions {
  /** Default "koffi". */
  readonly driver?: DriverName;
}

/**
 * @throws DeviceError; a driver is loaded only when asked for, so a missing one disturbs nobody else
 */
export async function openDevice(options: OpenDeviceOptions): Promise<Device> {
  const driver = options.driver ?? "koffi";
  switch (driver) {
    case "koffi": {
      const { openTun } = await import("./tun.js");
      return openTun(options);
    }
    case "tuntap2": {
      const { openTuntap2 } = await import("./tuntap2.js");
      if (options.host === undefined) throw new DeviceError("EINVAL", "usage", "tuntap2 needs the kernel's address", "give --host 10.77.0.1/24");
      return openTuntap2({
        host: options.host,
        ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
        ...(options.routes === undefined ? {} : { routes: options.routes }),
      });
    }
    default:
      throw new DeviceError("EINVAL", "usage", `${JSON.stringify(driver as string)} is no driver`, `take one of ${DRIVERS.join(", ")}`);
  }
}
