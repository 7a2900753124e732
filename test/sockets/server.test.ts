/** Servers: listen in all its forms, close, counts, limits, and errors, on node:net and on our stack. */
import { once } from "node:events";
import { createServer as createHttp } from "node:http";
import { describe, expect, test } from "vitest";
import { closed, dial, errorOf, keep, pair, portOf, record, serve, thrown, turns, useWorlds, WORLDS } from "./support/worlds.js";

useWorlds();

describe.each(WORLDS)("$title: server", (world) => {
  const make = () => keep(world.server.createServer());

  test("listen() chooses a port; listening comes later", async () => {
    const server = make();
    let heard = false;
    server.on("listening", () => {
      heard = true;
    });
    expect(server.listening).toBe(false);
    expect(server.address()).toBeNull();
    expect(server.listen()).toBe(server);
    expect([server.listening, heard]).toEqual([true, false]);
    await once(server, "listening");
    expect(portOf(server)).toBeGreaterThan(0);
  });

  test("with a host the address is known at listening, not before", async () => {
    const server = make().listen(0, world.host);
    expect(server.address()).toBeNull();
    await once(server, "listening");
    expect(server.address()).toEqual({ address: world.host, family: "IPv4", port: portOf(server) });
  });

  test.each([
    ["listen(0, host, backlog, callback)", [0, "HOST", 16]],
    ["listen(0, host, callback)", [0, "HOST"]],
    ["listen(0, backlog, callback)", [0, 16]],
    ["listen(0, callback)", [0]],
    ["listen({ port, host }, callback)", [{ port: 0, host: "HOST" }]],
    ["listen({ port, backlog }, callback)", [{ port: 0, backlog: 5 }]],
    ["listen('0', callback)", ["0"]],
    ["listen(callback)", []],
    ["listen(null, callback)", [null]],
    ["listen(undefined, callback)", [undefined]],
    ["listen({ port: null }, callback)", [{ port: null }]],
  ] as [string, unknown[]][])("%s", async (_name, args) => {
    const server = make();
    const real = args.map((a) => (a === "HOST" ? world.host : a !== null && typeof a === "object" && "host" in a ? { ...a, host: world.host } : a));
    await new Promise<void>((done) => {
      (server.listen as (...a: unknown[]) => unknown)(...real, () => done());
    });
    expect(portOf(server)).toBeGreaterThan(0);
  });

  test.each([[-1], [65_536], [1.5], [1e7], [Number.NaN], ["70000"], [" "]])("listen(%s) is ERR_SOCKET_BAD_PORT", (port) => {
    const error = thrown(() => make().listen({ port } as { port: number }));
    expect([error.name, error.code]).toEqual(["RangeError", "ERR_SOCKET_BAD_PORT"]);
    expect(error.message).toMatch(/^options\.port should be >= 0 and < 65536\. Received type (number|string) \(.*\)\.$/);
  });

  test.each([[true], [false], [{}], [{ host: "127.0.0.1" }], [{ exclusive: true }]])("listen(%j) is ERR_INVALID_ARG_VALUE", (options) => {
    const error = thrown(() => (make().listen as (o: unknown) => unknown)(options));
    expect([error.name, error.code]).toEqual(["TypeError", "ERR_INVALID_ARG_VALUE"]);
  });

  test("the texts of bad listen arguments", () => {
    expect(thrown(() => (make().listen as (o: unknown) => unknown)({ exclusive: true })).message).toBe(
      `The argument 'options' must have the property "port" or "path". Received { exclusive: true }`,
    );
    expect(thrown(() => (make().listen as (o: unknown) => unknown)(true)).message).toMatch(/^The argument 'options' .*Received /);
  });

  test("listening twice is ERR_SERVER_ALREADY_LISTEN", async () => {
    const server = make().listen(0);
    const error = thrown(() => server.listen(0));
    expect(error).toEqual({ name: "Error", code: "ERR_SERVER_ALREADY_LISTEN", message: "Listen method has been called more than once without closing." });
    await once(server, "listening");
  });

  test("a port that is taken is EADDRINUSE, later, as an event", async () => {
    const { port } = await serve(world);
    const server = make();
    let early = true;
    const error = errorOf(server);
    server.on("error", () => expect(early).toBe(false));
    server.listen(port, world.host);
    early = false;
    const e = await error;
    expect(e).toMatchObject({ code: "EADDRINUSE", errno: -98, syscall: "listen", address: world.host, port });
    expect(e.message).toBe(`listen EADDRINUSE: address already in use ${world.host}:${port}`);
    expect(server.listening).toBe(false);
  });

  test("an address that is not ours is EADDRNOTAVAIL", async () => {
    const server = make();
    const error = errorOf(server);
    server.listen(0, "192.0.2.99");
    const e = await error;
    expect(e).toMatchObject({ code: "EADDRNOTAVAIL", errno: -99, syscall: "listen", address: "192.0.2.99" });
    expect(e.message).toBe("listen EADDRNOTAVAIL: address not available 192.0.2.99");
  });

  test("after an error the server can listen again", async () => {
    const { port } = await serve(world);
    const server = make();
    server.listen(port, world.host);
    await errorOf(server);
    server.listen(0, world.host);
    await once(server, "listening");
    expect(portOf(server)).not.toBe(port);
  });

  test("close: no new connections, address is null, close comes", async () => {
    const { server, port } = await serve(world);
    const done = once(server, "close");
    expect(server.close()).toBe(server);
    expect([server.listening, server.address()]).toEqual([false, null]);
    await done;
    expect((await errorOf(dial(world, port))).code).toBe("ECONNREFUSED");
  });

  test("close waits for the connections that are open", async () => {
    const { server, client, accepted } = await pair(world);
    let isClosed = false;
    server.close(() => {
      isClosed = true;
    });
    await turns(5);
    expect(isClosed).toBe(false);
    accepted.resume();
    client.end();
    await once(server, "close");
    expect(isClosed).toBe(true);
  });

  test("closing the server while a socket is open: both close", async () => {
    const { server, client, accepted } = await pair(world);
    const log: string[] = [];
    server.on("close", () => log.push("server"));
    accepted.on("close", () => log.push("socket")).resume();
    server.close();
    client.end();
    await Promise.all([once(server, "close"), closed(accepted)]);
    expect(log.length).toBe(2);
  });

  test("close without listen calls back with ERR_SERVER_NOT_RUNNING", async () => {
    const server = make();
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => {
      server.close((e) => resolve(e as NodeJS.ErrnoException));
    });
    expect([error.code, error.message]).toEqual(["ERR_SERVER_NOT_RUNNING", "Server is not running."]);
  });

  test("closed before it listened: no listening event", async () => {
    const server = make();
    const log: string[] = [];
    server.on("listening", () => log.push("listening"));
    server.listen(0, world.host);
    server.close();
    await turns(5);
    expect(log).toEqual([]);
    expect(server.listening).toBe(false);
  });

  test("a closed server can listen again, on the same port", async () => {
    const { server, port } = await serve(world);
    server.close();
    await once(server, "close");
    server.listen(port, world.host);
    await once(server, "listening");
    expect(portOf(server)).toBe(port);
    await once(dial(world, port), "connect");
  });

  test("getConnections counts, later", async () => {
    const { server, port } = await serve(world);
    const count = () =>
      new Promise<number>((resolve, reject) => {
        expect(
          server.getConnections((e, n) => {
            if (e) reject(e);
            else resolve(n);
          }),
        ).toBe(server);
      });
    expect(await count()).toBe(0);
    const arrivals = once(server, "connection");
    const client = dial(world, port);
    const [accepted] = await arrivals;
    expect(await count()).toBe(1);
    accepted.resume();
    client.end();
    await closed(accepted);
    expect(await count()).toBe(0);
  });

  test("maxConnections: more are dropped, told, and closed", async () => {
    const { server, port } = await serve(world);
    server.maxConnections = 1;
    const first = dial(world, port);
    await once(server, "connection");
    const drop = once(server, "drop");
    const second = dial(world, port);
    const log = record(second);
    second.resume();
    const [data] = await drop;
    expect(data).toMatchObject({
      localAddress: world.host,
      localPort: port,
      localFamily: "IPv4",
      remoteAddress: world.clientHost,
      remotePort: second.localPort ?? expect.any(Number),
      remoteFamily: "IPv4",
    });
    await closed(second);
    expect(log.at(-1)).toMatch(/^close/);
    expect(first.destroyed).toBe(false);
    first.destroy();
    await turns(5);
  });

  test("a connection listener may be given with or without options", async () => {
    for (const create of [
      (l: () => void) => world.server.createServer(l),
      (l: () => void) => world.server.createServer({}, l),
      (l: () => void) => world.server.createServer(null as unknown as undefined, l),
      (l: () => void) => new world.server.Server(l),
    ]) {
      let called = false;
      const server = keep(
        create(() => {
          called = true;
        }),
      ).listen(0, world.host);
      await once(server, "listening");
      const arrival = once(server, "connection");
      dial(world, portOf(server));
      await arrival;
      expect(called).toBe(true);
    }
  });

  test.each([["text"], [1], [true]])("createServer(%j) is ERR_INVALID_ARG_TYPE", (options) => {
    const error = thrown(() => world.server.createServer(options as unknown as object));
    expect([error.name, error.code]).toEqual(["TypeError", "ERR_INVALID_ARG_TYPE"]);
    expect(error.message).toMatch(/^The "options" argument must be of type object\. Received type /);
  });

  test("createServer checks highWaterMark and keepAliveInitialDelay", () => {
    expect(thrown(() => world.server.createServer({ highWaterMark: "16" as unknown as number })).message).toBe(
      `The "options.highWaterMark" property must be of type number. Received type string ('16')`,
    );
    expect(thrown(() => world.server.createServer({ keepAliveInitialDelay: "5" as unknown as number })).code).toBe("ERR_INVALID_ARG_TYPE");
  });

  test("a signal closes the server", async () => {
    const controller = new AbortController();
    const server = make();
    server.listen({ port: 0, host: world.host, signal: controller.signal });
    await once(server, "listening");
    const done = once(server, "close");
    controller.abort();
    await done;
  });

  test("a signal that is aborted already closes the server too", async () => {
    const server = make();
    const done = once(server, "close");
    server.listen({ port: 0, host: world.host, signal: AbortSignal.abort() });
    await done;
    expect(server.listening).toBe(false);
  });

  test("a signal that is none is ERR_INVALID_ARG_TYPE", () => {
    expect(thrown(() => make().listen({ port: 0, signal: "stop" as unknown as AbortSignal })).code).toBe("ERR_INVALID_ARG_TYPE");
  });

  test("ref and unref return the server", () => {
    const server = make();
    expect([server.unref(), server.ref()]).toEqual([server, server]);
  });

  test("captureRejections: a rejecting connection listener destroys its socket", async () => {
    const { EventEmitter } = await import("node:events");
    EventEmitter.captureRejections = true;
    try {
      const { server, port } = await serve(world);
      const gone = new Promise<NodeJS.ErrnoException>((resolve) => {
        server.on("connection", async (socket) => {
          socket.on("error", resolve);
          await turns(1);
          throw Object.assign(new Error("handler"), { code: "HANDLER" });
        });
      });
      dial(world, port).on("error", () => {});
      expect((await gone).code).toBe("HANDLER");
    } finally {
      EventEmitter.captureRejections = false;
    }
  });

  test("Node's http server answers on connections that are given to it", async () => {
    const http = createHttp((request, response) => {
      response.end(`${request.method} ${request.url}`);
    });
    const { port } = await serve(world, { allowHalfOpen: true, noDelay: true }, (socket) => {
      http.emit("connection", socket);
    });
    const client = dial(world, port);
    client.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let all = "";
    client.on("data", (c) => {
      all += String(c);
    });
    await once(client, "end");
    expect(all).toMatch(/GET \/a[\s\S]*GET \/b/);
    http.close();
  });
});
