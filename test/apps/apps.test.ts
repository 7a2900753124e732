/** The services, on node:net and on our stack. */
import { once } from "node:events";
import { request } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { CYCLE, pattern } from "../../src/apps/chargen.js";
import { daytimeText } from "../../src/apps/daytime.js";
import { SERVICES, type NetLike, type RunningService } from "../../src/apps/index.js";
import { dial, text, useWorlds, WORLDS } from "../sockets/support/worlds.js";

useWorlds();

const running: RunningService[] = [];
afterEach(async () => {
  for (const service of running.splice(0)) await service.close();
});

describe.each(WORLDS)("$title: services", (world) => {
  const start = async (name: string): Promise<number> => {
    const service = await (SERVICES[name] as NonNullable<(typeof SERVICES)[string]>).start(world.server as unknown as NetLike, { host: world.host, port: 0 });
    running.push(service);
    return service.port;
  };
  const get = async (
    port: number,
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: Buffer } = {},
  ): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer; socket: AddressInfo }> =>
    new Promise((resolve, reject) => {
      const req = request({ path, method: options.method ?? "GET", headers: options.headers, createConnection: () => dial(world, port) }, (response) => {
        const chunks: Buffer[] = [];
        response
          .on("data", (c) => chunks.push(c))
          .on("end", () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks), socket: req.socket?.address() as AddressInfo }),
          )
          .on("error", reject);
      });
      req.on("error", reject);
      req.end(options.body);
    });

  test("echo sends back all, also after the client's end", async () => {
    const client = dial(world, await start("echo"));
    const sent = pattern(700_000);
    client.end(sent);
    const got: Buffer[] = [];
    client.on("data", (c) => got.push(c));
    await once(client, "end");
    expect(Buffer.concat(got).equals(sent)).toBe(true);
  });

  test("discard takes everything and says nothing", async () => {
    const client = dial(world, await start("discard"));
    client.end(Buffer.alloc(1_000_000));
    expect(await text(client)).toBe("");
    expect(client.bytesWritten).toBe(1_000_000);
  });

  test("daytime says the time in words, and closes first", async () => {
    const client = dial(world, await start("daytime"), { allowHalfOpen: true });
    expect(await text(client)).toMatch(/^\w+day, \w+ \d{1,2}, \d{4}, \d\d:\d\d:\d\d UTC\r\n$/);
    client.end();
  });

  test("chargen sends the pattern of RFC 864 for as long as it is read", async () => {
    const client = dial(world, await start("chargen"));
    let n = 0;
    const want = 3 * (1 << 20),
      expected = pattern(CYCLE);
    await new Promise<void>((resolve) => {
      client.on("data", (chunk: Buffer) => {
        for (let at = 0; at < chunk.length; ) {
          const from = (n + at) % CYCLE,
            length = Math.min(chunk.length - at, CYCLE - from);
          if (!chunk.subarray(at, at + length).equals(expected.subarray(from, from + length))) throw new Error(`differs near octet ${n + at}`);
          at += length;
        }
        n += chunk.length;
        if (n >= want) resolve();
      });
    });
    client.destroy();
  });

  test("http / tells about the connection, as text and as HTML", async () => {
    const port = await start("http");
    const plain = await get(port, "/");
    expect([plain.status, plain.headers["content-type"]]).toEqual([200, "text/plain; charset=utf-8"]);
    expect(String(plain.body)).toContain(`${plain.socket.address}:${plain.socket.port}`);
    if (world.name === "glasstcp") expect(String(plain.body)).toMatch(/state +ESTABLISHED[\s\S]*srtt[\s\S]*cwnd/);
    const page = await get(port, "/", { headers: { Accept: "text/html,*/*" } });
    expect(page.headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(String(page.body)).toMatch(/^<!doctype html>[\s\S]*<table>/);
  });

  test("http /bytes/N is N octets, exactly", async () => {
    const port = await start("http");
    for (const n of [0, 1, 262_144, 1_000_003]) {
      const { body, headers } = await get(port, `/bytes/${n}`);
      expect([headers["content-length"], body.length]).toEqual([String(n), n]);
      expect(body.subarray(0, 100_000).equals(pattern(262_144).subarray(0, Math.min(n, 100_000)))).toBe(true);
    }
    expect((await get(port, "/bytes/many")).status).toBe(400);
    expect((await get(port, "/bytes/5", { method: "HEAD" })).body.length).toBe(0);
  });

  test("http /echo returns the body, with and without a length", async () => {
    const port = await start("http");
    const body = pattern(500_000);
    const sized = await get(port, "/echo", { method: "POST", body, headers: { "Content-Length": String(body.length), "Content-Type": "text/x" } });
    expect([sized.body.equals(body), sized.headers["content-type"], sized.headers["content-length"]]).toEqual([true, "text/x", "500000"]);
    const chunked = await get(port, "/echo", { method: "PUT", body, headers: { "Transfer-Encoding": "chunked" } });
    expect(chunked.body.equals(body)).toBe(true);
  });

  test("http /slow, /healthz and what is not there", async () => {
    const port = await start("http");
    const before = performance.now();
    expect(String((await get(port, "/slow/50")).body)).toBe("50 ms later\n");
    expect(performance.now() - before).toBeGreaterThanOrEqual(49);
    expect(String((await get(port, "/healthz")).body)).toBe("ok\n");
    expect((await get(port, "/slow/never")).status).toBe(400);
    expect((await get(port, "/nothing")).status).toBe(404);
  });

  test("a service that stops ends its connections", async () => {
    const service = await SERVICES.echo!.start(world.server as unknown as NetLike, { host: world.host, port: 0 });
    const client: Socket = dial(world, service.port);
    await once(client, "connect");
    client.write("?");
    await once(client, "data");
    const gone = once(client, "end");
    client.resume();
    await service.close();
    await gone;
  });

  test("a port that is taken is an error of start", async () => {
    const port = await start("echo");
    await expect(SERVICES.discard!.start(world.server as unknown as NetLike, { host: world.host, port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});

test("the default ports are the well-known ones", () => {
  expect(Object.fromEntries(Object.values(SERVICES).map((s) => [s.name, s.defaultPort]))).toEqual({ echo: 7, discard: 9, daytime: 13, chargen: 19, http: 80 });
});

test("daytime's text", () => {
  expect(daytimeText(new Date(Date.UTC(2026, 10, 21, 9, 5, 7)))).toBe("Saturday, November 21, 2026, 09:05:07 UTC\r\n");
});
