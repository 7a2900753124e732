/**
 * What a frame costs at the TUN, in ns, without any TCP: reads of datagrams that the kernel has queued, writes of
 * datagrams that the kernel takes and drops at a socket. In a namespace of its own.
 *
 *   npx tsx scripts/device-cost.ts          (as root, or under `unshare -Urn`)
 */
import { openTun, type TunDevice } from "../src/device/tun.js";
import { createMemory } from "../src/wire/wasm-memory.js";
import { KernelUdp } from "../test/support/kernel-udp.js";
import { makeNetns, type Netns } from "../test/support/netns.js";
import { datagram } from "../test/device/packets.js";

const ROUNDS = 40,
  FRAMES = 1000;
const median = (values: number[]): number => values.sort((x, y) => x - y)[values.length >> 1] as number;

function readCost(device: TunDevice, udp: KernelUdp, text: Uint8Array): number {
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < FRAMES; i++) udp.send(text, "10.77.0.2", 9);
    const start = process.hrtime.bigint();
    let frames = 0;
    for (let n = device.read(); n > 0; n = device.read()) frames += n;
    costs.push(Number(process.hrtime.bigint() - start) / Math.max(1, frames));
  }
  return median(costs);
}

function writeCost(device: TunDevice, text: Uint8Array, frames: number): number {
  const packet = datagram({ source: "10.77.0.2", destination: "10.77.0.1", sourcePort: 1, destinationPort: 9, text });
  const memory = createMemory(text.length);
  memory.bytes.set(text);
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < FRAMES; ) {
      for (const last = i + frames; i < last; i++) {
        device.tx.memory.bytes.set(packet.subarray(0, 28), device.tx.begin());
        device.tx.text(memory, 0, text.length);
        device.tx.end(28, 0, false);
      }
      device.tx.flush();
    }
    costs.push(Number(process.hrtime.bigint() - start) / FRAMES);
  }
  return median(costs);
}

async function inside(work: (ns: Netns) => void): Promise<void> {
  const ns = await makeNetns();
  try {
    work(ns);
  } finally {
    await ns.close();
  }
}

for (const [name, options] of [
  ["offload", { offload: "auto" }],
  ["plain", { offload: "off" }],
  ["plain, a call a frame", { offload: "off", batch: false }],
] as const) {
  await inside((ns) => {
    const device = ns.enter(() => openTun({ name: "tun0", host: "10.77.0.1/24", ...options }));
    const udp = new KernelUdp(ns, "10.77.0.1", 9),
      text = new Uint8Array(1432);
    readCost(device, udp, text);
    writeCost(device, text, 100);
    console.log(
      `${name}: read ${readCost(device, udp, text).toFixed(0)}, write one by one ${writeCost(device, text, 1).toFixed(0)}, write by 100 ${writeCost(device, text, 100).toFixed(0)} ns a frame of 1,460 octets`,
    );
    if (device.counters.rxErrors + device.counters.txErrors > 0) console.log("errors:", device.counters);
    udp.close();
    device.close();
  });
}
