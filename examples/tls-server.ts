/**
 * TLS over our TCP: an echo that openssl can talk to.
 *
 *   openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=glass
 *   sudo npx tsx examples/tls-server.ts key.pem cert.pem
 *   openssl s_client -connect 10.82.0.2:443 -brief
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:tls";
import { createStack } from "glasstcp";

const [keyFile, certFile] = process.argv.slice(2);
if (keyFile === undefined || certFile === undefined) {
  console.error("usage: tls-server.ts KEY.pem CERT.pem");
  process.exit(2);
}
const stack = createStack({ tun: { name: "glasstls", host: "10.82.0.1/24" }, addresses: ["10.82.0.2"] });

const tls = createServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, (socket) => {
  socket.write(`${socket.getProtocol()}, ${socket.getCipher().name}\n`);
  socket.pipe(socket);
  socket.on("error", (error) => console.error(error.message));
});
tls.on("tlsClientError", (error) => console.error(error.message));
stack.net.serve(tls, { port: 443, host: "10.82.0.2" }).once("listening", () => console.log("listening on 10.82.0.2:443"));

process.once("SIGINT", () => stack.close());
process.once("SIGTERM", () => stack.close());
