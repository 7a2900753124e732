/** Two stacks of ours, linked in memory and driven in real time: 10.0.0.1 for clients, 10.0.0.2 for servers. */
import { createPair, createStack, type GlassStack, type StackOptions } from "../../../src/index.js";

export function linkedStacks(options: StackOptions["options"] = { timeWait: 10 }): { client: GlassStack; server: GlassStack; close(): void } {
  // A macrotask per hop: a stack that answers itself for ever must not starve the event loop.
  const { a, b } = createPair({ schedule: setImmediate, queue: 65_536 });
  const client = createStack({ device: a, addresses: ["10.0.0.1"], options });
  const server = createStack({ device: b, addresses: ["10.0.0.2"], options });
  return {
    client,
    server,
    close: () => {
      client.close();
      server.close();
    },
  };
}
