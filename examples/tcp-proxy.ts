/**
 * A proxy from our TCP to a socket of the kernel's: what comes in on the TUN goes out by node:net. The base of a VPN's
 * far end, or of a sandbox that may talk only where you let it.
 *
 *   sudo npx tsx examples/tcp-proxy.ts 127.0.0.1 8080      then: curl http://10.84.0.2/
 */
import * as net from "node:net";
import { pipeline } from "node:stream";
import { createStack } from "glasstcp";

const [host = "127.0.0.1", port = "8080"] = process.argv.slice(2);
const stack = createStack({ tun: { name: "glassproxy", host: "10.84.0.1/24" }, addresses: ["10.84.0.2"] });

const server = stack.listen({ port: 80, host: "10.84.0.2" }, { allowHalfOpen: true, noDelay: true }, (inside) => {
  const outside = net.connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
  // Half-closes go through either way; an error on one side ends the other.
  pipeline(inside, outside, (error) => {
    if (error) inside.resetAndDestroy();
  });
  pipeline(outside, inside, (error) => {
    if (error) outside.destroy();
  });
});
server.once("listening", () => console.log(`10.84.0.2:80 → ${host}:${port}`));

process.once("SIGINT", () => stack.close());
process.once("SIGTERM", () => stack.close());
