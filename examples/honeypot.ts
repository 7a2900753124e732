/**
 * Accepts every connection, to every port of every address of a prefix, and logs what was sent, one JSON object a line.
 * The kernel never sees the connections: nothing of the host is exposed.
 *
 *   sudo npx tsx examples/honeypot.ts 10.83.1.0/24
 *   sudo ip route add 10.83.1.0/24 dev glasspot      then: nc 10.83.1.99 3389
 */
import { createStack } from "glasstcp";

const LISTEN_MS = 10_000;
const KEEP = 512;

const prefix = process.argv[2] ?? "10.83.1.0/24";
const stack = createStack({ tun: { name: "glasspot", host: "10.83.0.1/24", routes: [prefix] }, addresses: [prefix], limits: { maxPerSource: 100 } });
process.once("SIGINT", () => stack.close());
process.once("SIGTERM", () => stack.close());

const server = stack.listen({ port: "any", host: "any" });
server.once("listening", () => console.error(`every port of ${prefix} answers`));
for await (const socket of server) {
  const started = new Date();
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  const heard: Buffer[] = [];
  let octets = 0;
  socket.on("data", (chunk: Buffer) => {
    if (octets < KEEP) heard.push(chunk.subarray(0, KEEP - octets));
    octets += chunk.length;
  });
  socket.setTimeout(LISTEN_MS, () => socket.destroy());
  socket.on("error", () => {});
  socket.on("close", () => {
    const text = Buffer.concat(heard);
    console.log(
      JSON.stringify({
        time: started,
        from: `${remoteAddress}:${remotePort}`,
        to: `${localAddress}:${localPort}`,
        octets,
        text: text.toString("latin1"),
        hex: text.toString("hex"),
      }),
    );
  });
}
