/**
 * Two TCPs in one process, linked in memory: no root, no interface, no kernel. What a simulation or a test starts from.
 *
 *   npx tsx examples/two-stacks.ts
 */
import { pipeline } from "node:stream/promises";
import { createPair, createStack } from "glasstcp";

const { a, b } = createPair({ schedule: setImmediate });
const alice = createStack({ device: a, addresses: ["10.0.0.1"] });
const bob = createStack({ device: b, addresses: ["10.0.0.2"] });

// Every step of Bob's TCP, with the clause of the RFC behind it.
bob.on("event", (event) => {
  if (event.kind === "transition") console.log(`bob    ${event.from} → ${event.to}  [${event.rule}]`);
});

const server = bob.listen({ port: 7, host: "10.0.0.2" }, { allowHalfOpen: true }, (socket) => {
  void pipeline(socket, socket); // an echo
});

const socket = alice.net.connect({ host: "10.0.0.2", port: 7 });
socket.end("hello from one stack to the other");
for await (const chunk of socket) console.log(`alice  got back: ${String(chunk)}`);

server.close();
await bob.drained();
alice.close();
bob.close();
