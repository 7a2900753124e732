/**
 * Node's own http server on our TCP, for the kernel's clients:
 *
 *   sudo npx tsx examples/http-server.ts      then, elsewhere: curl http://10.81.0.2/
 */
import { createServer } from "node:http";
import { createStack, type Socket } from "glasstcp";

const stack = createStack({ tun: { name: "glasshttp", host: "10.81.0.1/24" }, addresses: ["10.81.0.2"] });

const http = createServer((request, response) => {
  const { tcp } = request.socket as unknown as Socket;
  response.setHeader("Content-Type", "text/plain");
  response.end(`${request.method} ${request.url}\nstate ${tcp?.state}, srtt ${tcp?.srtt?.toFixed(3) ?? "?"} ms, cwnd ${tcp?.cwnd} octets\n`);
});

// Any server of Node's, or a framework's, serves connections of the stack.
stack.net.serve(http, { port: 80, host: "10.81.0.2" }).once("listening", () => console.log("listening on http://10.81.0.2/"));

process.once("SIGINT", () => stack.close());
process.once("SIGTERM", () => stack.close());
