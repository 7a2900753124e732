/** A program for tests: opens a device as its arguments say and prints what came of it as JSON. */
import { DeviceError } from "../../src/device/errors.js";
import { type OpenDeviceOptions, openDevice } from "../../src/device/open.js";

try {
  const device = await openDevice(JSON.parse(process.argv[2] as string) as OpenDeviceOptions);
  console.log(JSON.stringify({ name: device.name, mtu: device.mtu, checksum: device.offload.checksum }));
  device.close();
} catch (error) {
  if (!(error instanceof DeviceError)) throw error;
  const { code, kind, message, mend } = error;
  console.log(JSON.stringify({ code, kind, message, mend }));
}
