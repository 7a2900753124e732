/** A program for tests: a TUN whose process may not use one of the calls of Linux AIO or io_uring. Sends a stream, sends and reads 100 datagrams, and says how it went. */
import { createSocket } from "node:dgram";
import koffi from "koffi";
import { openTun } from "../../src/device/tun.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { datagram } from "../device/packets.js";

const NUMBERS: Readonly<Record<string, number>> = {
  ...(process.arch === "x64" ? { io_setup: 206, io_submit: 209 } : { io_setup: 0, io_submit: 2 }),
  io_uring_setup: 425,
  io_uring_enter: 426,
};
const PR_SET_NO_NEW_PRIVS = 38,
  PR_SET_SECCOMP = 22,
  SECCOMP_MODE_FILTER = 2,
  EPERM = 1;

/** The system call gives EPERM from here on, on this thread; all others work (seccomp(2)). */
function forbid(number: number): void {
  const program = Buffer.alloc(32);
  [
    [0x20, 0, 0, 0],
    [0x15, 0, 1, number],
    [0x06, 0, 0, 0x00050000 | EPERM],
    [0x06, 0, 0, 0x7fff0000],
  ].forEach(([code, yes, no, k], i) => {
    program.writeUInt16LE(code as number, i * 8);
    program.writeUInt8(yes as number, i * 8 + 2);
    program.writeUInt8(no as number, i * 8 + 3);
    program.writeUInt32LE(k as number, i * 8 + 4);
  });
  const header = Buffer.alloc(16);
  header.writeUInt16LE(4, 0);
  header.writeBigUInt64LE(BigInt(koffi.address(program)), 8);
  const prctl = koffi.load(null).func("prctl", "int", ["int", "unsigned long", "void *", "unsigned long", "unsigned long"]) as (...all: unknown[]) => number;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, null, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) < 0)
    throw new Error(`seccomp is refused: errno ${koffi.errno()}`);
}

const COUNT = 100;
forbid(NUMBERS[process.argv[2] as string] as number);
const tun = openTun({ name: "tun0", host: "10.77.0.1/24", offload: "off" });
const socket = createSocket("udp4");
await new Promise<void>((resolve) => socket.bind(4001, "10.77.0.1", resolve));
let toKernel = 0,
  fromKernel = 0;
const arrived = new Promise<void>((resolve) =>
  socket.on("message", () => {
    if (++toKernel === COUNT) resolve();
  }),
);
// Nobody listens there: the kernel takes them, and that is all.
const text = plainMemory(new Uint8Array(1_400));
for (let i = 0; i < 2 * COUNT; i++) {
  const packet = datagram({ source: "10.77.0.2", destination: "10.77.0.1", sourcePort: 4000, destinationPort: 9, text: text.bytes });
  tun.tx.memory.bytes.set(packet.subarray(0, 28), tun.tx.begin());
  tun.tx.text(text, 0, text.bytes.length);
  tun.tx.end(28, 0, false);
}
tun.tx.submit();
for (let i = 0; i < COUNT; i++) {
  const packet = datagram({ source: "10.77.0.2", destination: "10.77.0.1", sourcePort: 4000, destinationPort: 4001, text: new Uint8Array(10) });
  tun.tx.memory.bytes.set(packet, tun.tx.begin());
  tun.tx.end(packet.length, 0, false);
}
tun.tx.flush();
await arrived;
const read = new Promise<void>((resolve) =>
  tun.start({
    readable: () => {
      for (let n = tun.read(); n > 0; n = tun.read())
        for (let i = 0; i < n; i++) if (tun.rx.memory.bytes[(tun.rx.offset[i] as number) + 9] === 17) fromKernel++;
      if (fromKernel === COUNT) resolve();
    },
    failed: () => {},
  }),
);
for (let i = 0; i < COUNT; i++) socket.send("0123456789", 4000, "10.77.0.2");
await read;
const { txFrames, txErrors, rxErrors } = tun.counters;
console.log(JSON.stringify({ batches: tun.batches, streams: tun.streams, toKernel, fromKernel, txFrames, txErrors, rxErrors }));
tun.close();
socket.close();
