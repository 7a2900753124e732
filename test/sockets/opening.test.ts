/** Opening and accepting, on node:net and on our stack. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { closed, closedPort, dial, errorOf, keep, pair, portOf, record, serve, settled, text, turns, useWorlds, WORLDS } from "./support/worlds.js";

useWorlds();

describe.each(WORLDS)("$title: opening", (world) => {
  test("connect comes before ready, and a socket is opening until then", async () => {
    const { port } = await serve(world);
    const client = dial(world, port);
    const log = record(client);
    expect([client.connecting, client.pending, client.readyState]).toEqual([true, true, "opening"]);
    await once(client, "ready");
    expect(log).toEqual(["connect", "ready"]);
    expect([client.connecting, client.pending, client.readyState]).toEqual([false, false, "open"]);
  });

  test("a new socket is pending, not connecting, and has no addresses", () => {
    const socket = keep(new world.client.Socket());
    expect([socket.pending, socket.connecting, socket.destroyed]).toEqual([true, false, false]);
    expect([socket.localAddress, socket.localPort, socket.remoteAddress, socket.remotePort, socket.remoteFamily]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(socket.address()).toEqual({});
    expect([socket.bytesRead, socket.bytesWritten]).toEqual([0, 0]);
    expect(socket.bufferSize).toBeUndefined();
    expect(socket.readyState).toBe("open");
  });

  test("Socket and Server can be called without new", () => {
    const call = world.client as unknown as { Socket(): unknown; Server(): unknown };
    expect(call.Socket()).toBeInstanceOf(world.client.Socket);
    expect(call.Server()).toBeInstanceOf(world.client.Server);
    expect(world.client.connect).toBe(world.client.createConnection);
    expect((world.client as unknown as { Stream: unknown }).Stream).toBe(world.client.Socket);
  });

  test("both ends know each other's addresses", async () => {
    const { client, accepted, port } = await pair(world);
    expect([client.remoteAddress, client.remotePort, client.remoteFamily]).toEqual([world.host, port, "IPv4"]);
    expect([client.localAddress, client.localFamily]).toEqual([world.clientHost, "IPv4"]);
    expect([accepted.localAddress, accepted.localPort]).toEqual([world.host, port]);
    expect([accepted.remoteAddress, accepted.remotePort]).toEqual([client.localAddress, client.localPort]);
    expect(client.address()).toEqual({ address: world.clientHost, family: "IPv4", port: client.localPort });
  });

  test("addresses are gone after destroy, but for those that were read before", async () => {
    const { client, port } = await pair(world);
    expect(client.remotePort).toBe(port);
    client.destroy();
    expect([client.localAddress, client.localPort, client.remotePort]).toEqual([undefined, undefined, port]);
    const other = (await pair(world)).client;
    other.destroy();
    expect([other.remotePort, other.remoteAddress]).toEqual([undefined, undefined]);
  });

  test("connect(port, host, callback) and connect(options, callback) call back once", async () => {
    const { port } = await serve(world);
    const calls: string[] = [];
    const one = keep(world.client.connect(port, world.host, () => calls.push("one")));
    const two = keep(world.client.createConnection({ port, host: world.host }, () => calls.push("two")));
    await Promise.all([once(one, "ready"), once(two, "ready")]);
    expect(calls.sort()).toEqual(["one", "two"]);
    expect([one.listenerCount("connect"), two.listenerCount("connect")]).toEqual([0, 0]);
  });

  test("a port may be text", async () => {
    const { port } = await serve(world);
    const client = keep(world.client.connect({ port: String(port) as unknown as number, host: world.host }));
    await once(client, "connect");
    expect(client.remotePort).toBe(port);
  });

  test("new Socket().connect() opens", async () => {
    const { port } = await serve(world);
    const socket = keep(new world.client.Socket());
    expect(socket.connect(port, world.host)).toBe(socket);
    await once(socket, "connect");
  });

  test("a refused port is ECONNREFUSED with everything that Node says", async () => {
    const port = await closedPort(world);
    const client = dial(world, port);
    const log = record(client);
    const error = await errorOf(client);
    expect(error).toMatchObject({ code: "ECONNREFUSED", errno: -111, syscall: "connect", address: world.host, port });
    expect(error.message).toBe(`connect ECONNREFUSED ${world.host}:${port}`);
    await once(client, "close");
    expect(log).toEqual(["error ECONNREFUSED", "close true"]);
    expect([client.connecting, client.destroyed, client.readyState]).toEqual([false, true, "closed"]);
  });

  test("attempts are told: connectionAttempt, connectionAttemptFailed", async () => {
    const port = await closedPort(world);
    const client = dial(world, port);
    const log: unknown[] = [];
    client.on("connectionAttempt", (ip, p, family) => log.push(["attempt", ip, p, family]));
    client.on("connectionAttemptFailed", (ip: string, p: number, family: number, error: NodeJS.ErrnoException) =>
      log.push(["failed", ip, p, family, error.code]),
    );
    await closed(client);
    expect(log).toEqual([
      ["attempt", world.host, port, 4],
      ["failed", world.host, port, 4, "ECONNREFUSED"],
    ]);
  });

  test("a failed socket can be used again", async () => {
    const refused = await closedPort(world);
    const { port } = await serve(world, {}, (s) => s.end("hi"));
    const socket = dial(world, refused);
    await closed(socket);
    socket.connect({ port, host: world.host });
    expect([socket.destroyed, socket.connecting]).toEqual([false, true]);
    expect(await text(socket)).toBe("hi");
    if (!socket.closed) await once(socket, "close");
  });

  test("a closed socket can be opened again", async () => {
    const { port } = await serve(world, {}, (s) => s.end("again"));
    const socket = dial(world, port);
    expect(await text(socket)).toBe("again");
    if (!socket.closed) await once(socket, "close");
    socket.removeAllListeners("data");
    socket.connect({ port, host: world.host });
    expect(await text(socket)).toBe("again");
  });

  test("localAddress and localPort are used", async () => {
    const { port } = await serve(world);
    const localPort = await closedPort({ ...world, server: world.client, host: world.clientHost });
    const client = dial(world, port, { localAddress: world.clientHost, localPort });
    await once(client, "connect");
    expect([client.localAddress, client.localPort]).toEqual([world.clientHost, localPort]);
  });

  test("a refusal tells our own end where it was asked for", async () => {
    const port = await closedPort(world);
    const localPort = await closedPort({ ...world, server: world.client, host: world.clientHost });
    const error = await errorOf(dial(world, port, { localAddress: world.clientHost, localPort }));
    expect(error.message).toBe(`connect ECONNREFUSED ${world.host}:${port} - Local (${world.clientHost}:${localPort})`);
    expect(error).toMatchObject({ localAddress: world.clientHost, localPort });
  });

  test("a local address that is not ours is EADDRNOTAVAIL at bind", async () => {
    const { port } = await serve(world);
    const error = await errorOf(dial(world, port, { localAddress: "192.0.2.77" }));
    expect(error).toMatchObject({ code: "EADDRNOTAVAIL", errno: -99, syscall: "bind", address: "192.0.2.77" });
    expect(error.message).toBe("bind EADDRNOTAVAIL 192.0.2.77");
  });

  test("names are looked up with the lookup option", async () => {
    const { port } = await serve(world);
    const asked: unknown[] = [];
    const lookup = (host: string, options: { all?: boolean }, back: (e: null, a: unknown, f?: number) => void): void => {
      asked.push(host);
      process.nextTick(() => {
        if (options.all) back(null, [{ address: world.host, family: 4 }]);
        else back(null, world.host, 4);
      });
    };
    const client = dial(world, port, { host: "some.example", lookup });
    const told = once(client, "lookup");
    const log = record(client);
    expect(await told).toEqual([null, world.host, 4, "some.example"]);
    await once(client, "ready");
    expect(asked).toEqual(["some.example"]);
    expect(log).toEqual(["lookup", "connect", "ready"]);
  });

  test("a failed lookup is the socket's error", async () => {
    const failure = Object.assign(new Error("getaddrinfo ENOTFOUND no.example"), { code: "ENOTFOUND" });
    const client = dial(world, 80, {
      host: "no.example",
      lookup: (_h: string, _o: unknown, back: (e: Error) => void) => {
        process.nextTick(back, failure);
      },
    });
    const log = record(client);
    expect(await errorOf(client)).toBe(failure);
    await once(client, "close");
    expect(log).toEqual(["lookup", "error ENOTFOUND", "close true"]);
  });

  test("a lookup that finds no address is ERR_INVALID_IP_ADDRESS", async () => {
    const client = dial(world, 80, {
      host: "bad.example",
      family: 4,
      lookup: (_h: string, _o: unknown, back: (e: null, a: string, f: number) => void) => back(null, "nonsense", 4),
    });
    expect(await errorOf(client)).toMatchObject({ code: "ERR_INVALID_IP_ADDRESS", message: "Invalid IP address: nonsense" });
  });

  test("a lookup that finds a family that is none is ERR_INVALID_ADDRESS_FAMILY", async () => {
    const client = dial(world, 80, {
      host: "bad.example",
      family: 4,
      lookup: (_h: string, _o: unknown, back: (e: null, a: string, f: number) => void) => back(null, "127.0.0.1", 100),
    });
    expect(await errorOf(client)).toMatchObject({
      code: "ERR_INVALID_ADDRESS_FAMILY",
      host: "bad.example",
      port: 80,
      message: "Invalid address family: 100 bad.example:80",
    });
  });

  test("destroyed while looking up: the result is of no consequence", async () => {
    let answer = (): void => {};
    const client = dial(world, 80, {
      host: "slow.example",
      family: 4,
      lookup: (_h: string, _o: unknown, back: (e: null, a: string, f: number) => void) => {
        answer = () => back(null, world.host, 4);
      },
    });
    const log = record(client);
    client.destroy();
    await once(client, "close");
    answer();
    await turns();
    expect(log).toEqual(["close false", "lookup"]);
  });

  test("destroyed in the tick of connect: only close", async () => {
    const { port, server } = await serve(world);
    let accepted = 0;
    server.on("connection", () => accepted++);
    const client = dial(world, port);
    const log = record(client);
    client.destroy();
    await once(client, "close");
    await turns(5);
    expect(log).toEqual(["close false"]);
    expect(accepted).toBe(0);
  });

  test("destroyed with an error while connecting: error, then close", async () => {
    const { port } = await serve(world);
    const client = dial(world, port);
    const log = record(client);
    client.destroy(Object.assign(new Error("enough"), { code: "ENOUGH" }));
    await closed(client);
    expect(log).toEqual(["error ENOUGH", "close true"]);
  });

  test("an aborted signal destroys with AbortError", async () => {
    const { port } = await serve(world);
    const controller = new AbortController();
    const client = dial(world, port, { signal: controller.signal });
    controller.abort();
    const error = await errorOf(client);
    expect([error.name, error.code]).toEqual(["AbortError", "ABORT_ERR"]);
    await once(client, "close");
    expect(client.destroyed).toBe(true);
  });

  test("a signal aborted beforehand destroys too", async () => {
    const { port } = await serve(world);
    const client = dial(world, port, { signal: AbortSignal.abort() });
    const error = await errorOf(client);
    expect(error.name).toBe("AbortError");
  });

  test("a signal destroys an open connection", async () => {
    const controller = new AbortController();
    const { client, accepted } = await pair(world, {}, { signal: controller.signal });
    const log = record(client);
    const end = once(accepted, "end");
    accepted.resume();
    controller.abort();
    await closed(client);
    expect(log).toEqual(["error ABORT_ERR", "close true"]);
    await end;
  });

  test("writes before connect are kept, counted, and sent", async () => {
    const { port, server } = await serve(world);
    const client = dial(world, port);
    client.write("one,");
    client.write(Buffer.from("two,"));
    client.write("746872656521", "hex");
    expect(client.bytesWritten).toBe(14);
    client.end();
    const [accepted] = await once(server, "connection");
    expect(await text(accepted)).toBe("one,two,three!");
    expect(client.bytesWritten).toBe(14);
  });

  test("end before connect sends and closes", async () => {
    const { port, server } = await serve(world);
    const client = dial(world, port);
    client.resume().end("bye");
    const log = record(client);
    const [accepted] = await once(server, "connection");
    expect(await text(accepted)).toBe("bye");
    if (!client.closed) await once(client, "close");
    expect(log).toEqual(["connect", "ready", "finish", "end", "close false"]);
  });

  test("a write that was waiting for a connection fails with it", async () => {
    const port = await closedPort(world);
    const client = dial(world, port);
    client.on("error", () => {});
    const [error] = await new Promise<unknown[]>((resolve) => client.write("x", (...args) => resolve(args)));
    expect((error as NodeJS.ErrnoException).code).toMatch(/ECONNREFUSED|ERR_SOCKET_CLOSED_BEFORE_CONNECTION/);
  });

  test("the connection is given to the server once for each client", async () => {
    const { server, port } = await serve(world);
    const seen: number[] = [];
    server.on("connection", (socket) => seen.push(socket.remotePort as number));
    const clients = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const c = dial(world, port);
        await once(c, "connect");
        return c.localPort as number;
      }),
    );
    while (seen.length < 20) await turns(1);
    expect(seen.sort()).toEqual(clients.sort());
  });

  test("an accepted socket knows its server and is not connecting", async () => {
    const { accepted, server } = await pair(world);
    expect([accepted.connecting, accepted.pending, accepted.readyState]).toEqual([false, false, "open"]);
    expect((accepted as unknown as { server: unknown }).server).toBe(server);
    expect(accepted).toBeInstanceOf(world.server.Socket);
  });

  test("connect on a connected socket connects once more; beside a running attempt it is EALREADY", async () => {
    const { client, port } = await pair(world);
    client.connect({ port, host: world.host });
    expect(client.connecting).toBe(true);
    await once(client, "connect");
    expect(client.connecting).toBe(false);
    const twice = dial(world, port);
    const already = errorOf(twice);
    twice.connect({ port, host: world.host });
    expect(await already).toMatchObject({ code: "EALREADY", syscall: "connect", address: world.host, port });
  });

  test("a write is called back with ERR_SOCKET_CLOSED_BEFORE_CONNECTION when the socket is destroyed first", async () => {
    const { port } = await serve(world);
    const client = dial(world, port);
    const log = record(client);
    const code = new Promise((resolve) => {
      client.write("never sent", (e) => resolve((e as NodeJS.ErrnoException).code));
    });
    client.destroy();
    expect(await code).toBe("ERR_SOCKET_CLOSED_BEFORE_CONNECTION");
    await turns(5);
    expect(log).toEqual(["close false"]);
  });

  test("the idle timeout runs while connecting, and ends nothing", async () => {
    let answer = (): void => {};
    const { port } = await serve(world);
    const client = dial(world, port, {
      host: "slow.example",
      family: 4,
      timeout: 20,
      lookup: (_h: string, _o: unknown, back: (e: null, a: string, f: number) => void) => {
        answer = () => back(null, world.host, 4);
      },
    });
    await once(client, "timeout");
    expect([client.connecting, client.destroyed]).toEqual([true, false]);
    answer();
    await once(client, "connect");
  });

  test("paused while connecting: nothing flows until resume", async () => {
    const { port } = await serve(world, {}, (s) => s.end("held"));
    const client = dial(world, port);
    client.pause();
    let got = "";
    client.on("data", (c) => {
      got += String(c);
    });
    await once(client, "connect");
    await settled();
    expect(got).toBe("");
    client.resume();
    await once(client, "end");
    expect(got).toBe("held");
  });

  test("options may be inherited, and are not changed", async () => {
    const { port } = await serve(world);
    const options = Object.freeze(Object.create({ port, host: world.host }) as { port: number });
    const client = keep(world.client.connect(options));
    await once(client, "connect");
    expect(Object.keys(options)).toEqual([]);
  });

  test("ref and unref return the socket, before and after connect", async () => {
    const socket = keep(new world.client.Socket());
    expect([socket.ref(), socket.unref(), socket.ref()]).toEqual([socket, socket, socket]);
    const { client } = await pair(world);
    expect([client.unref(), client.ref()]).toEqual([client, client]);
  });

  test("listening on every address accepts on each", async () => {
    const server = keep(world.server.createServer()).listen(0);
    await once(server, "listening");
    const client = dial(world, portOf(server));
    await once(client, "connect");
  });
});
