/** Ten ways in which a server can misbehave, against a small HTTP client. No server is mocked: the client's own kernel sockets meet them. */
import http from "node:http";
import { createPeer, type Peer, type PeerOptions, peerMissing } from "glasstcp/testing";
import { afterEach, describe, expect, test } from "vitest";
import { fetchText } from "../src/client.js";

describe.skipIf(peerMissing())("fetchText", () => {
  let peer: Peer;
  const meet = async (options: PeerOptions): Promise<Peer> => (peer = await createPeer(options));
  afterEach(() => peer.close());

  test("0: a server that behaves", async () => {
    await meet({ behaviour: "http body 5000" });
    expect(await fetchText(peer.url)).toHaveLength(5000);
    expect(await (await peer.connection()).ended()).toHaveTraversed(["SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"]);
  });
  test("1: nobody listens", async () => {
    await meet({ behaviour: "none" });
    await expect(fetchText(peer.url)).rejects.toMatchObject({ failure: "refused" });
  });
  test("2: the SYN is never answered", async () => {
    await meet({ faults: "in syn drop" });
    await expect(fetchText(peer.url, { connectMs: 300 })).rejects.toMatchObject({ failure: "connect-timeout" });
  });
  test("3: the first SYN,ACK is lost: slow, but fine", async () => {
    await meet({ faults: "synack nth 1 drop" });
    expect(await fetchText(peer.url, { connectMs: 5000 })).toHaveLength(1000);
    expect(peer.connections[0]).toHaveRetransmitted();
  });
  test("4: ICMP says that the host cannot be reached", async () => {
    await meet({ faults: "in syn icmp host" });
    await expect(fetchText(peer.url)).rejects.toMatchObject({ failure: "unreachable" });
  });
  test("5: reset in the middle of the body", async () => {
    await meet({ behaviour: "http body 1000 abort body 100" });
    await expect(fetchText(peer.url)).rejects.toMatchObject({ failure: "cut-short" });
    expect(peer.connections[0]).toHaveBeenReset("us");
  });
  test("6: the body ends too early, by a FIN that looks like an end", async () => {
    await meet({ behaviour: "http body 1000 fin body 100" });
    await expect(fetchText(peer.url)).rejects.toMatchObject({ failure: "cut-short" });
  });
  test("7: the server accepts and never answers", async () => {
    await meet({ behaviour: "silent" });
    await expect(fetchText(peer.url, { idleMs: 200 })).rejects.toMatchObject({ failure: "timeout" });
  });
  test("8: the path dies in the middle of the body", async () => {
    await meet({ behaviour: "http body 200000", faults: "out blackhole after 50kB" });
    await expect(fetchText(peer.url, { idleMs: 300 })).rejects.toMatchObject({ failure: "timeout" });
  });
  test("9: the keep-alive race: a kept connection is reset as the next request arrives; a retry hides it", async () => {
    await meet({ behaviour: "http abort request 2" });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    await fetchText(peer.url, { agent });
    await new Promise((resolve) => setImmediate(resolve));
    expect(await fetchText(peer.url, { agent, retries: 1 })).toHaveLength(1000);
    expect(peer.connections).toHaveLength(2);
    expect(peer.connections[0]).toHaveTraversed(["SYN-RECEIVED", "ESTABLISHED", "CLOSED"]);
    agent.destroy();
  });
  test("10: 5 % loss and every seventh segment out of order: all of it arrives", async () => {
    await meet({ behaviour: "http body 300000", faults: "data loss 5%; out data every 7 reorder 2" });
    expect(await fetchText(peer.url, { idleMs: 8000 })).toHaveLength(300_000);
  });
});
