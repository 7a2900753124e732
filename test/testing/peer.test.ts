/** `createPeer` on a link in memory, and the matchers: no rights needed. */
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { createPeer, FaultSpecError, matchers, type Peer, type PeerOptions } from "../../src/testing/index.js";

expect.extend(matchers);

const open: Peer[] = [];
const memoryPeer = async (options: PeerOptions = {}): Promise<Peer> => {
  const peer = await createPeer({ link: "memory", ...options });
  open.push(peer);
  return peer;
};
afterEach(async () => {
  for (const peer of open.splice(0)) await peer.close();
});

/** GET over the peer's other end: octets of the body, or the code of the error. */
const get = (peer: Peer): Promise<number | string> =>
  new Promise((resolve) => {
    const request = http.get(peer.url, { createConnection: () => peer.client.connect(peer.port, peer.address) as never }, (response) => {
      let octets = 0;
      response.on("data", (chunk: Buffer) => {
        octets += chunk.length;
      });
      response.on("end", () => resolve(octets));
      response.on("error", (e: NodeJS.ErrnoException) => resolve(e.code ?? e.message));
    });
    request.on("error", (e: NodeJS.ErrnoException) => resolve(e.code ?? e.message));
  });

describe("a peer in memory", () => {
  test("answers as a plain server, and tells the life of the connection", async () => {
    const peer = await memoryPeer();
    expect(await get(peer)).toBe(1000);
    const conn = await peer.connection();
    await conn.ended();
    expect(conn).toHaveTraversed(["LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"]);
    expect(conn).not.toHaveBeenReset();
    expect(conn).not.toHaveRetransmitted();
    expect(conn.closedBy).toBe("peer");
  });
  test("behaviours and faults as for the kernel; what the client's own stack reports", async () => {
    const reset = await memoryPeer({ behaviour: "http abort body 100" });
    expect(await get(reset)).toBe("ECONNRESET");
    expect(reset.connections[0]).toHaveBeenReset("us");
    expect(reset.connections[0]).toHaveTraversed(["SYN-RECEIVED", "ESTABLISHED", "CLOSED"]);
    const refused = await memoryPeer({ behaviour: "none" });
    expect(await get(refused)).toBe("ECONNREFUSED");
    expect(await get(await memoryPeer({ chaos: "fin-mid-body" }))).toBe("ECONNRESET");
  });
  test("a reset by a fault is ours, and no fault's FIN is the peer's reset", async () => {
    const rst = await memoryPeer({ faults: "out byte 100 rst" });
    expect(await get(rst)).toBe("ECONNRESET");
    const [reset] = rst.connections;
    await reset?.ended();
    expect(reset).toHaveBeenReset("us");
    expect(reset).not.toHaveBeenReset("peer");
    const fin = await memoryPeer({ faults: "out byte 100 fin" });
    expect(await get(fin)).toBe("ECONNRESET");
    const [ended] = fin.connections;
    await ended?.ended();
    expect(ended).not.toHaveBeenReset();
  });
  test("a fault counts its hits; hold and release; remove and clear", async () => {
    const peer = await memoryPeer();
    const fault = peer.fault("as wait out data hold");
    const answer = get(peer);
    const conn = await peer.connection();
    await conn.until((c) => c.faults > 0);
    expect(conn.state).toBe("ESTABLISHED");
    expect(fault.held).toBe(fault.hits);
    expect(fault.release()).toBeGreaterThan(0);
    expect(fault.held).toBe(0);
    expect(await answer).toBe(1000);
    fault.remove();
    expect(peer.faults).toEqual([]);
    peer.fault("drop then drop");
    peer.clear();
    expect(await get(peer)).toBe(1000);
  });
  test("lost segments are sent again, and the same seed loses the same ones", async () => {
    const run = async (): Promise<number[]> => {
      const peer = await memoryPeer({ behaviour: "http body 200000", faults: "out data nth 3,9,10 drop", seed: 5 });
      expect(await get(peer)).toBe(200_000);
      const conn = await peer.connection();
      expect(conn).toHaveRetransmitted();
      return peer.events.flatMap((e) => (e.kind === "fault" ? [Number(/out \S+ (\d+)/.exec(e.detail)?.[1])] : []));
    };
    expect(await run()).toEqual(await run());
  });
  test("behave changes what later requests meet", async () => {
    const peer = await memoryPeer({ behaviour: "http body 10" });
    expect(await get(peer)).toBe(10);
    peer.behave("http fin request 1");
    expect(peer.behaviour).toBe("http fin request 1");
    expect(await get(peer)).toBe("ECONNRESET");
  });
  test("the peer connects too: a server under test meets a client that resets", async () => {
    const peer = await memoryPeer();
    const server = peer.client.createServer().listen(8080, peer.hostAddress);
    await once(server, "listening");
    expect((server.address() as AddressInfo).port).toBe(8080);
    const accepted = once(server, "connection") as Promise<[import("node:net").Socket]>;
    const mine = peer.net.connect(8080, peer.hostAddress);
    const [[theirs]] = await Promise.all([accepted, once(mine, "connect")]);
    const error = once(theirs, "error");
    mine.resetAndDestroy();
    expect(((await error) as [NodeJS.ErrnoException])[0].code).toBe("ECONNRESET");
    server.close();
  });
  test("a wrong spec is an error that points, and leaves nothing behind", async () => {
    await expect(createPeer({ link: "memory", faults: "synack dorp" })).rejects.toMatchObject({ name: "FaultSpecError", pointer: "synack dorp\n       ^^^^" });
    await expect(createPeer({ link: "memory", behaviour: "htpp" })).rejects.toBeInstanceOf(FaultSpecError);
    await expect(createPeer({ link: "memory", chaos: "nonsense" })).rejects.toThrow(/no port called nonsense/);
  });
  test("waiting for what does not come ends with where the connection stands", async () => {
    const peer = await memoryPeer({ behaviour: "silent" });
    await expect(peer.connection(1, 20)).rejects.toThrow("no connection 1 within 20 ms; there are 0");
    const socket = peer.client.connect(peer.port, peer.address);
    await once(socket, "connect");
    const conn = await peer.connection();
    await expect(conn.reached("CLOSE-WAIT", 20)).rejects.toThrow(/has not reached CLOSE-WAIT within 20 ms: LISTEN → SYN-RECEIVED → ESTABLISHED/);
    expect(conn.status).toMatchObject({ state: "ESTABLISHED" });
    socket.destroy();
  });
  test("closing twice is closing once; a client of a closed peer is reset", async () => {
    const peer = await memoryPeer({ behaviour: "silent" });
    const socket = peer.client.connect(peer.port, peer.address);
    await once(socket, "connect");
    await Promise.all([peer.close(), peer.close()]);
    expect(peer.connections[0]).toHaveTraversed(["ESTABLISHED", "CLOSED"]);
    socket.destroy();
  });
});

describe("matchers", () => {
  const conn = async (): Promise<Peer["connections"][number]> => {
    const peer = await memoryPeer();
    await get(peer);
    return (await peer.connection()).ended();
  };
  test("toHaveTraversed wants neighbours; … stands for any number between; spellings are free", async () => {
    const c = await conn();
    expect(c).toHaveTraversed(["syn_rcvd", "ESTAB"]);
    expect(c).toHaveTraversed(["SYN-RECEIVED", "…", "CLOSED"]);
    expect(c).toHaveTraversed(["SYN-RECEIVED", "ESTABLISHED", "...", "CLOSE-WAIT"]);
    expect(c).not.toHaveTraversed(["SYN-RECEIVED", "CLOSE-WAIT"]);
    expect(c).not.toHaveTraversed(["FIN-WAIT-1"]);
    expect(() => expect(c).toHaveTraversed(["ESTABLISHED", "CLOSED"])).toThrow(
      /did not go through ESTABLISHED → CLOSED; it went LISTEN → SYN-RECEIVED → ESTABLISHED → CLOSE-WAIT → LAST-ACK → CLOSED and ended by peer/,
    );
    expect(() => expect(c).toHaveTraversed(["OPENED"])).toThrow(/"OPENED" is no TCP state/);
  });
  test("toHaveRetransmitted and toHaveBeenReset say what they saw", async () => {
    const c = await conn();
    expect(c).toHaveRetransmitted(0);
    expect(() => expect(c).toHaveRetransmitted()).toThrow(/retransmitted 0 times, expected at least 1/);
    expect(() => expect(c).toHaveBeenReset("peer")).toThrow(/was not reset by peer \(RSTs in 0, out 0\)/);
  });
});
