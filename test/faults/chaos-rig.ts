/** All ports of the chaos preset on one TUN in a namespace of the test's own. */
import { openTun } from "../../src/device/tun.js";
import { PRESETS, portsOf, type Preset, startPreset } from "../../src/faults/presets.js";
import { enter } from "../../src/testing/namespace.js";
import { Rig } from "../../src/testing/rig.js";

export const chaos = PRESETS["chaos"] as Preset;
export const ADDRESS = "10.77.0.2",
  HOST = "10.77.0.1";
export const portOf = (name: string): number => portsOf(chaos, name).port;
export const urlOf = (name: string): string => `http://${ADDRESS}:${portOf(name)}/`;

export function startChaos(): { readonly rig: Rig; close(): void } {
  const leave = enter();
  const rig = new Rig({ device: openTun({ name: "chaos0", host: `${HOST}/24`, mtu: 1500 }), addresses: [ADDRESS], seed: 7 });
  startPreset(chaos, rig.stack, rig.faults, { now: () => rig.clock.now(), at: (when, run) => rig.clock.at(when as never, run) });
  return {
    rig,
    close: () => {
      rig.close();
      leave();
    },
  };
}
