/**
 * The kernel's side of a soak: mixed traffic to the daemon at 10.77.0.2 until its input ends, every octet checked. Prints
 * one line of JSON at the end. Started by soak.ts inside the namespace.
 */
import { connect, type Socket } from "node:net";

const HOST = "10.77.0.2",
  ECHO = 7;
const AT_ONCE = Number(process.argv[2] ?? 12);
const result = { connections: 0, octets: 0, byKind: {} as Record<string, number>, wrong: [] as string[] };
let state = Number(process.argv[3] ?? 1),
  stopping = false;

const random = (): number => {
  state = (state + 0x9e3779b9) | 0;
  let z = state;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
};
const upTo = (n: number): number => 1 + Math.floor(random() * n);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Noise that every stream takes a part of, beginning anywhere. */
const noise = Buffer.alloc(8 * 1024 * 1024);
for (let i = 0; i < noise.length; i += 4) noise.writeUInt32LE(Math.floor(random() * 2 ** 32), i);

function open(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: HOST, port: ECHO, allowHalfOpen: true });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Sends `octets`, and holds what comes back against them. `pause`: ms between reads. */
async function exchange(octets: number, pause: number): Promise<void> {
  const socket = await open(),
    from = Math.floor(random() * (noise.length - octets));
  let received = 0;
  socket.end(noise.subarray(from, from + octets));
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    if (noise.compare(chunk, 0, chunk.length, from + received, from + received + chunk.length) !== 0)
      throw new Error(`octets ${received} to ${received + chunk.length} of ${octets} came back changed`);
    received += chunk.length;
    if (pause > 0 && !stopping) await sleep(pause);
  }
  if (received !== octets) throw new Error(`${received} of ${octets} octets came back`);
  result.octets += octets;
}

async function cut(how: "reset" | "destroy"): Promise<void> {
  const socket = await open();
  socket.on("error", () => {});
  socket.write(noise.subarray(0, upTo(200_000)));
  await sleep(upTo(20));
  if (how === "reset") socket.resetAndDestroy();
  else socket.destroy();
}

async function idle(): Promise<void> {
  const socket = await open();
  await sleep(upTo(stopping ? 1 : 1_000));
  socket.destroy();
}

const KINDS: readonly (readonly [string, number, () => Promise<void>])[] = [
  ["short", 0.5, () => exchange(upTo(2_000), 0)],
  ["medium", 0.15, () => exchange(upTo(200_000), 0)],
  ["long", 0.05, () => exchange(1_000_000 + upTo(3_000_000), 0)],
  ["slow reader", 0.05, () => exchange(upTo(600_000), 10)],
  ["reset", 0.1, () => cut("reset")],
  ["destroy", 0.1, () => cut("destroy")],
  ["idle", 0.05, idle],
];

async function worker(): Promise<void> {
  while (!stopping) {
    let at = random();
    const [name, , run] = KINDS.find(([, share]) => (at -= share) < 0) ?? (KINDS[0] as (typeof KINDS)[number]);
    result.connections++;
    result.byKind[name] = (result.byKind[name] ?? 0) + 1;
    try {
      await run();
    } catch (error) {
      result.wrong.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      if (result.wrong.length > 20) stopping = true;
    }
  }
}

process.stdin.resume().once("end", () => {
  stopping = true;
});
await Promise.all(Array.from({ length: AT_ONCE }, worker));
console.log(JSON.stringify(result));
