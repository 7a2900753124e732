/** What our sockets have and node:net has not, and what the stack promises beyond its API. */
import { AsyncLocalStorage } from "node:async_hooks";
import { execFile } from "node:child_process";
import { once } from "node:events";
import type * as nodeNet from "node:net";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from "vitest";
import { createPair, createStack, type GlassStack, type Server, type Socket, type TcpEvent } from "../../src/index.js";
import { linkedStacks } from "./support/linked.js";

const OURS = "10.0.0.2";
let client: GlassStack, server: GlassStack, close: () => void;
beforeEach(() => {
  ({ client, server, close } = linkedStacks());
});
afterEach(() => {
  close();
});

const listening = async (s: Server): Promise<number> => {
  if (s.address() === null || !s.listening) await once(s, "listening");
  return (s.address() as nodeNet.AddressInfo).port;
};
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((done) => setTimeout(done, 1));
};
async function connected(serverOptions: object = {}, clientOptions: object = {}): Promise<{ c: Socket; s: Socket; listener: Server }> {
  const listener = server.listen({ port: 0, host: OURS }, serverOptions);
  const arrival = once(listener, "connection");
  const c = client.net.connect({ port: await listening(listener), host: OURS, ...clientOptions });
  const [[s]] = await Promise.all([arrival, once(c, "connect")]);
  c.on("error", () => {});
  (s as Socket).on("error", () => {});
  return { c, s: s as Socket, listener };
}

describe("types", () => {
  test("our socket and server are accepted where Node's are expected", () => {
    const takesSocket = (socket: nodeNet.Socket): nodeNet.Socket => socket;
    const takesServer = (server: nodeNet.Server): nodeNet.Server => server;
    expectTypeOf(takesSocket).toBeCallableWith(new client.net.Socket());
    expectTypeOf(takesServer).toBeCallableWith(new client.net.Server());
  });
});

describe("facts", () => {
  test("socket.tcp tells the live state, and nothing without a connection", async () => {
    expect(new client.net.Socket().tcp).toBeUndefined();
    const { c, s } = await connected({ allowHalfOpen: true });
    expect(c.tcp).toMatchObject({
      state: "ESTABLISHED",
      passive: false,
      remote: { address: OURS, port: c.remotePort },
      local: { address: "10.0.0.1", port: c.localPort },
    });
    expect(s.tcp).toMatchObject({ state: "ESTABLISHED", passive: true });
    c.end();
    await until(() => c.tcp?.state === "FIN-WAIT-2");
    expect(s.tcp?.state).toBe("CLOSE-WAIT");
    s.resume().end();
    c.resume();
    await once(c, "close");
    expect(c.tcp).toBeUndefined();
  });

  test("options of the TCP core: for a connection, for a listener", async () => {
    const { c, s } = await connected({ tcp: { congestion: "reno", timestamps: false } }, { tcp: { mss: 600 } });
    expect([c.tcp?.advmss, s.tcp?.mss, s.tcp?.congestion, c.tcp?.congestion, c.tcp?.timestamps]).toEqual([600, 600, "reno", "cubic", false]);
    expect(() => server.listen({ port: 0 }, { tcp: { mss: -1 } })).toThrow(/mss/);
  });

  test("stack.on('event') sees transitions in order; without a listener no event is made", async () => {
    const seen: TcpEvent[] = [];
    const listener = (e: TcpEvent): void => {
      seen.push(e);
    };
    expect(client.stack.env.wants("segment")).toBe(false);
    client.on("event", listener);
    const { c, s } = await connected();
    c.end();
    s.resume().end();
    c.resume();
    await once(c, "close");
    const edges = seen.flatMap((e) => (e.kind === "transition" ? [`${e.from} → ${e.to}`] : []));
    expect(edges.slice(0, 3)).toEqual(["CLOSED → SYN-SENT", "SYN-SENT → ESTABLISHED", "ESTABLISHED → FIN-WAIT-1"]);
    client.off("event", listener);
    expect(client.stack.env.wants("transition")).toBe(false);
  });
});

test("simultaneous open: two connects meet, and carry text both ways [RFC 9293 §3.5, Figure 7]", async () => {
  const edges: string[] = [];
  for (const stack of [client, server])
    stack.on("event", (e) => {
      if (e.kind === "transition") edges.push(`${e.from} → ${e.to}`);
    });
  const c = client.net.connect({ host: OURS, port: 2_000, localPort: 1_000 }),
    s = server.net.connect({ host: "10.0.0.1", port: 1_000, localPort: 2_000 });
  await Promise.all([once(c, "connect"), once(s, "connect")]);
  // One of the two, or both, have a SYN come before the answer to their own.
  expect(edges).toContain("SYN-SENT → SYN-RECEIVED");
  expect([c.tcp?.passive, s.tcp?.passive]).toEqual([false, false]);
  c.write("from one");
  s.write("from the other");
  expect([String((await once(s, "data"))[0]), String((await once(c, "data"))[0])]).toEqual(["from one", "from the other"]);
});

describe("reading and the window", () => {
  test("a paused reader leaves octets in the connection beyond the high-water mark, and the window closes", async () => {
    const { c, s } = await connected({ highWaterMark: 10_000, tcp: { receiveBuffer: 65_536 } });
    c.write(Buffer.alloc(500_000));
    await until(() => (s.tcp?.rcvWnd ?? 1) === 0 || (c.tcp?.sndWnd ?? 1) === 0);
    expect(s.readableLength).toBeLessThanOrEqual(10_000);
    expect(s.tcp?.recvQ).toBeGreaterThan(40_000);
    let n = 0;
    s.on("data", (chunk: Buffer) => {
      n += chunk.length;
    });
    await until(() => n === 500_000);
  });

  test("resume() without a listener: octets are freed where they lie, none is in the stream", async () => {
    const { c, s } = await connected();
    s.resume();
    c.end(Buffer.alloc(2_000_000));
    await once(s, "end");
    expect(s.bytesRead).toBe(2_000_000);
  });

  test("onread for accepted sockets reads into one buffer", async () => {
    const buffer = Buffer.alloc(1_000);
    let got = "",
      events = 0;
    const { c, s } = await connected({
      onread: {
        buffer,
        callback: (n: number, b: Uint8Array) => {
          got += Buffer.from(b.subarray(0, n)).toString();
          return true;
        },
      },
    });
    s.on("data", () => events++);
    c.end("x".repeat(50_000));
    await once(s, "end");
    expect([got.length, events, s.bytesRead]).toEqual([50_000, 0, 50_000]);
  });

  test("a listener that throws loses nothing of what is left", async () => {
    const { c, s } = await connected();
    const before = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    let thrown = 0,
      octets = 0;
    process.on("uncaughtException", () => {
      thrown++;
    });
    try {
      s.on("data", (chunk: Buffer) => {
        octets += chunk.length;
        throw new Error("from a listener");
      });
      c.end(Buffer.alloc(2_000_000));
      await until(() => octets === 2_000_000);
      expect(thrown).toBeGreaterThan(1);
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const listener of before) process.on("uncaughtException", listener);
    }
  });

  test("an empty onread buffer is ENOBUFS, and no loop", async () => {
    const { c, s } = await connected({ onread: { buffer: Buffer.alloc(0), callback: () => true } });
    c.write("x");
    expect((await once(s, "error"))[0]).toMatchObject({ code: "ENOBUFS" });
  });

  test("small segments of one turn come as one chunk", async () => {
    const { c, s } = await connected({}, { noDelay: true });
    let chunks = 0,
      octets = 0;
    s.on("data", (chunk: Buffer) => {
      chunks++;
      octets += chunk.length;
    });
    for (let i = 0; i < 100; i++) c.write("0123456789");
    await until(() => octets === 1_000);
    expect(chunks).toBeLessThanOrEqual(3);
  });
});

describe("writing by reference", () => {
  test("writeShared sends the octets, counts them, and calls back", async () => {
    const { c, s } = await connected();
    const block = client.net.share(Buffer.from("shared ".repeat(100_000)));
    let got = 0;
    s.on("data", (chunk: Buffer) => {
      got += chunk.length;
    });
    await new Promise<void>((done) => c.writeShared(block, () => done()));
    c.writeShared(block);
    c.writeShared(new TextEncoder().encode("plain octets"));
    c.end();
    await once(s, "end");
    expect([got, c.bytesWritten]).toEqual([1_400_012, 1_400_012]);
  });

  test("shared and copied writes keep their order, beyond the send buffer too", async () => {
    const { c, s } = await connected({}, { tcp: { sendBuffer: 100_000 } });
    const block = client.net.share(Buffer.alloc(150_000, "s"));
    const got: Buffer[] = [];
    s.on("data", (chunk: Buffer) => got.push(chunk));
    for (let i = 0; i < 5; i++) {
      c.write(`<${i}>`);
      c.writeShared(block);
    }
    c.end("end");
    await once(s, "end");
    expect(Buffer.concat(got).toString()).toBe(`${[0, 1, 2, 3, 4].map((i) => `<${i}>${"s".repeat(150_000)}`).join("")}end`);
  });

  test("a shared block goes by reference through node's http", async () => {
    const { createServer } = await import("node:http");
    const block = server.net.share(Buffer.alloc(300_000, "h"));
    const http = createServer((_q, r) => {
      r.setHeader("Content-Length", block.length);
      r.end(block);
    });
    const listener = server.net.serve(http, { port: 0, host: OURS });
    const c = client.net.connect({ port: await listening(listener), host: OURS });
    c.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let n = 0;
    c.on("data", (chunk: Buffer) => {
      n += chunk.length;
    });
    await once(c, "end");
    expect(n).toBeGreaterThan(300_000);
    http.close();
  });
});

describe("listening", () => {
  test("a for-await loop that is slow fills the backlog; SYNs beyond it wait with the peer until it takes one", async () => {
    const listener = server.listen({ port: 0, host: OURS, backlog: 2 });
    const port = await listening(listener);
    const loop = listener[Symbol.asyncIterator]();
    const first = loop.next();
    const dial = (): Socket => client.net.connect({ host: OURS, port });
    const connected = async (n: number): Promise<void> => {
      for (let i = 0; i < n; i++) await once(dial(), "connect");
    };
    await connected(1);
    const taken = (await first).value as Socket;
    await connected(2);
    const overflows = server.stack.counters.listenOverflows;
    const late = dial();
    await until(() => server.stack.counters.listenOverflows > overflows);
    expect([...server.stack.listeners()].find((l) => l.port === port)).toMatchObject({ waiting: 2, backlog: 2 });
    expect(late.connecting).toBe(true);
    const next = (await loop.next()).value as Socket;
    // Its SYN comes again after a second, and finds room.
    await until(() => [...server.stack.listeners()].some((l) => l.port === port && l.waiting === 2));
    for (const s of [taken, next]) s.destroy();
    await loop.return();
    listener.close();
  });

  test("any port and any address of a prefix; a port with a listener of its own keeps it", async () => {
    const { a, b } = createPair({ schedule: setImmediate });
    using one = createStack({ device: a, addresses: ["10.1.0.1"] });
    using many = createStack({ device: b, addresses: ["10.1.1.0/24"] });
    many.listen({ port: "any", host: "any" }, null, (s) => s.end(`any ${s.localAddress}:${s.localPort}`));
    many.listen({ port: 80, host: "10.1.1.5" }, null, (s) => s.end("own"));
    const ask = async (host: string, port: number): Promise<string> => {
      let all = "";
      for await (const chunk of one.net.connect({ host, port })) all += String(chunk);
      return all;
    };
    expect(await ask("10.1.1.9", 4_444)).toBe("any 10.1.1.9:4444");
    expect(await ask("10.1.1.254", 80)).toBe("any 10.1.1.254:80");
    expect(await ask("10.1.1.5", 80)).toBe("own");
  });

  test("several addresses, one ephemeral port", async () => {
    const { a, b } = createPair({ schedule: setImmediate });
    using one = createStack({ device: a, addresses: ["10.1.0.1"] });
    using two = createStack({ device: b, addresses: ["10.1.1.1", "10.1.1.2", "10.1.1.3"] });
    const listener = two.listen({ port: 0, host: ["10.1.1.1", "10.1.1.3"] }, null, (s) => s.end(s.localAddress));
    const port = await listening(listener);
    for (const host of ["10.1.1.1", "10.1.1.3"]) {
      const [data] = await once(one.net.connect({ host, port }), "data");
      expect(String(data)).toBe(host);
    }
    const [error] = await once(one.net.connect({ host: "10.1.1.2", port }), "error");
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
  });

  test("for await over a server ends with it, and throws its error", async () => {
    const listener = server.listen({ port: 0, host: OURS });
    const port = await listening(listener);
    const seen: number[] = [];
    const loop = (async () => {
      for await (const socket of listener) {
        seen.push(socket.remotePort as number);
        socket.resume().end();
      }
    })();
    const ports: number[] = [];
    for (let i = 0; i < 3; i++) {
      const c = client.net.connect({ host: OURS, port });
      await once(c, "connect");
      ports.push(c.localPort as number);
      c.resume();
      await once(c, "close");
    }
    listener.close();
    await loop;
    expect(seen).toEqual(ports);
    const taken = server.listen({ port: 0, host: OURS });
    const again = server.net.createServer();
    const failing = (async () => {
      for await (const _ of again) throw new Error("no connection was expected");
    })();
    again.listen(await listening(taken), OURS);
    await expect(failing).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  test("blockList: blocked clients are closed, blocked destinations are refused", async () => {
    const blockList = new client.net.BlockList();
    blockList.addAddress("10.0.0.1");
    const listener = server.listen({ port: 0, host: OURS }, { blockList });
    let accepted = 0;
    listener.on("connection", () => accepted++);
    const c = client.net.connect({ host: OURS, port: await listening(listener) });
    c.resume();
    await once(c, "end");
    expect(accepted).toBe(0);
    const out = new client.net.BlockList();
    out.addSubnet("10.0.0.0", 24);
    const [error] = await once(client.net.connect({ host: OURS, port: 1, blockList: out }), "error");
    expect(error).toMatchObject({ code: "ERR_IP_BLOCKED" });
  });
});

describe("the stack", () => {
  test("close() resets what is alive and frees everything; our own sockets close without an error", async () => {
    const { c, s } = await connected();
    const opening = server.net.connect({ host: "10.0.0.99", port: 1 });
    c.resume();
    const reset = once(c, "error"),
      down = once(s, "close"),
      given = once(opening, "close");
    await new Promise(setImmediate);
    server.close();
    server.close();
    expect((await reset)[0]).toMatchObject({ code: "ECONNRESET" });
    expect([await down, await given]).toEqual([[false], [false]]);
    expect([...server.stack.connections()]).toEqual([]);
    expect((await once(server.net.connect({ host: "10.0.0.1", port: 1 }), "error"))[0]).toMatchObject({ code: "ENETDOWN", syscall: "connect" });
    expect((await once(server.listen({ port: 1 }), "error"))[0]).toMatchObject({ code: "ENETDOWN", syscall: "listen" });
  });

  test("nothing is left after a thousand connections", async () => {
    const listener = server.listen({ port: 0, host: OURS }, null, (s) => {
      s.resume();
      s.end("x");
    });
    const port = await listening(listener);
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        Array.from({ length: 50 }, async () => {
          const c = client.net.connect({ host: OURS, port });
          c.resume().end("y");
          await once(c, "close");
        }),
      );
    }
    await until(() => [...client.stack.connections(), ...server.stack.connections()].length === 0);
    expect([client.stack.counters.pagesUsed, server.stack.counters.pagesUsed]).toEqual([0, 0]);
  });

  test("drained() waits for the last acknowledgment", async () => {
    const { c, s } = await connected();
    s.resume();
    c.end(Buffer.alloc(1_000_000));
    c.destroy();
    expect(await client.drained()).toBe(true);
    expect([...client.stack.connections()].every((x) => x.state === "TIME-WAIT" || x.state === "CLOSED")).toBe(true);
  });

  test("arguments", () => {
    expect(() => createStack({ addresses: ["10.0.0.1"] })).toThrow(TypeError);
    const { a } = createPair();
    expect(() => createStack({ device: a, addresses: ["nonsense"] })).toThrow(/nonsense/);
    expect(() => createStack({ device: a, addresses: ["10.0.0.1"], options: { mss: 7e9 } })).toThrow(RangeError);
  });

  test("handlers see the AsyncLocalStorage of where their socket was made", async () => {
    const als = new AsyncLocalStorage<string>();
    const listener = als.run("server", () => server.listen({ port: 0, host: OURS }));
    const port = await listening(listener);
    const seen: string[] = [];
    listener.on("connection", (s) => {
      seen.push(`connection ${als.getStore()}`);
      als.run("handler", () => {
        s.on("data", () => seen.push(`data ${als.getStore()}`));
      });
    });
    const c = als.run("client", () => client.net.connect({ host: OURS, port }));
    c.on("connect", () => seen.push(`connect ${als.getStore()}`));
    await once(c, "connect");
    als.run("somebody else", () => {
      c.write("x");
    });
    await until(() => seen.length === 3);
    expect(seen.sort()).toEqual(["connect client", "connection server", "data server"]);
  });
});

test("resetAndDestroy right after end reaches the peer as a reset, although the FIN has not left", async () => {
  const { c, s } = await connected();
  s.resume();
  const error = once(s, "error");
  c.end();
  c.resetAndDestroy();
  expect((await error)[0]).toMatchObject({ code: "ECONNRESET" });
});

describe("lifetime", () => {
  const run = async (body: string): Promise<string> => {
    const program = `
      import { createPair, createStack } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)};
      import { once } from "node:events";
      const { a, b } = createPair({ schedule: setImmediate });
      const client = createStack({ device: a, addresses: ["10.0.0.1"] }), server = createStack({ device: b, addresses: ["10.0.0.2"] });
      process.on("exit", () => console.log("exit"));
      ${body}`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], { timeout: 60_000 });
    return stdout;
  };

  test("a stack alone does not keep the process alive", async () => {
    expect(await run("")).toBe("exit\n");
  });
  test("a server keeps it alive until it closes", async () => {
    expect(await run(`const l = server.listen({ port: 80 }); setTimeout(() => { console.log("closing"); l.close(); }, 100).unref();`)).toBe("closing\nexit\n");
  });
  test("unref'd servers and sockets do not", async () => {
    expect(
      await run(`
      const l = server.listen({ port: 80 }, null, (s) => { s.unref(); }); l.unref();
      const c = client.net.connect({ host: "10.0.0.2", port: 80 }); c.unref();
      setTimeout(() => console.log("too late"), 60_000).unref();`),
    ).toBe("exit\n");
  });
  test("a socket keeps it alive until it closes", async () => {
    expect(
      await run(`
      const l = server.listen({ port: 80 }, null, (s) => { s.unref(); s.resume(); }); l.unref();
      const c = client.net.connect({ host: "10.0.0.2", port: 80 }, () => { setTimeout(() => { console.log("ending"); c.destroy(); }, 50).unref(); });`),
    ).toBe("ending\nexit\n");
  });
});
