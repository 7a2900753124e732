/** Writing: callbacks, drain, counting, corking, writes at the wrong time, on node:net and on our stack. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { closed, dial, pair, record, serve, settled, text, thrown, turns, until, useWorlds, WORLDS } from "./support/worlds.js";

useWorlds();

describe.each(WORLDS)("$title: writing", (world) => {
  test("write calls back without an error, in order", async () => {
    const { client, accepted } = await pair(world);
    accepted.resume();
    const log: unknown[] = [];
    await new Promise<void>((done) => {
      client.write("a", (e) => log.push(["a", e ?? null]));
      client.write("b", "latin1", (e) => log.push(["b", e ?? null]));
      client.write(Buffer.from("c"), (e) => {
        log.push(["c", e ?? null]);
        done();
      });
    });
    expect(log).toEqual([
      ["a", null],
      ["b", null],
      ["c", null],
    ]);
  });

  test("write calls back after it returns", async () => {
    const { client, accepted } = await pair(world);
    accepted.resume();
    let returned = false;
    const order = new Promise((resolve) => {
      client.write("x", () => resolve(returned));
    });
    returned = true;
    expect(await order).toBe(true);
  });

  test.each(["utf8", "latin1", "ascii", "hex", "base64", "ucs2", "utf16le", "binary"] as const)("strings in %s", async (encoding) => {
    const { client, accepted } = await pair(world);
    const bytes = Buffer.from("Ab9z");
    client.end(bytes.toString(encoding), encoding);
    expect(await text(accepted)).toBe("Ab9z");
    expect(client.bytesWritten).toBe(4);
  });

  test("setDefaultEncoding counts", async () => {
    const { client, accepted } = await pair(world);
    client.setDefaultEncoding("hex");
    client.end("6869");
    expect(await text(accepted)).toBe("hi");
  });

  test("Uint8Array is taken as it is", async () => {
    const { client, accepted } = await pair(world);
    client.write(new Uint8Array([0x68, 0x69]));
    client.end();
    expect(await text(accepted)).toBe("hi");
  });

  test("a long string arrives whole", async () => {
    const { client, accepted } = await pair(world);
    const long = "äöü-€".repeat(60_000);
    client.end(long);
    expect(await text(accepted)).toBe(long);
    expect(client.bytesWritten).toBe(Buffer.byteLength(long));
  });

  test("write returns true when all was taken at once, however large, and nothing is buffered", async () => {
    const { client, accepted } = await pair(world, {}, { highWaterMark: 1_000 });
    accepted.resume();
    expect([client.write(Buffer.alloc(100)), client.write(Buffer.alloc(1_000))]).toEqual([true, true]);
    expect([client.writableLength, client.bufferSize]).toEqual([0, 0]);
  });

  test("write returns false when the mark is passed, and drain follows", async () => {
    const { port } = await serve(world, {}, (s) => s.resume());
    const client = dial(world, port, { highWaterMark: 1_000 });
    expect([client.write(Buffer.alloc(100)), client.write(Buffer.alloc(1_000))]).toEqual([true, false]);
    expect([client.writableLength, client.writableNeedDrain]).toEqual([1_100, true]);
    await once(client, "drain");
    expect([client.writableLength, client.writableNeedDrain]).toEqual([0, false]);
  });

  test("a peer that does not read holds the writer back, until it reads", async () => {
    const { client, accepted } = await pair(world, { pauseOnConnect: true });
    let drains = 0;
    client.on("drain", () => drains++);
    const chunk = Buffer.alloc(1 << 20);
    // More than the buffers of both ends take together.
    for (let i = 0; i < 64; i++) client.write(chunk);
    await settled(50);
    expect(drains).toBe(0);
    expect(client.writableLength).toBeGreaterThan(0);
    let got = 0;
    accepted.on("data", (c: Buffer) => {
      got += c.length;
    });
    accepted.resume();
    await until(() => got === 64 << 20);
    await until(() => drains === 1);
  });

  test("cork and uncork send once, whole", async () => {
    const { client, accepted } = await pair(world);
    client.cork();
    for (const piece of ["c", "o", "r", "k"]) client.write(piece);
    expect(client.writableLength).toBe(4);
    client.uncork();
    client.end();
    expect(await text(accepted)).toBe("cork");
  });

  test("corked writes of mixed kinds", async () => {
    const { client, accepted } = await pair(world);
    client.cork();
    client.write("one ");
    client.write(Buffer.from("two "));
    client.write("dGhyZWU=", "base64");
    client.uncork();
    client.end();
    expect(await text(accepted)).toBe("one two three");
    expect(client.bytesWritten).toBe(13);
  });

  test("many corked writes larger than the send buffer", async () => {
    const { client, accepted } = await pair(world);
    client.cork();
    for (let i = 0; i < 40; i++) {
      client.write(Buffer.alloc(200_000, i));
      client.write(`<${i}>`);
    }
    client.uncork();
    client.end();
    let n = 0;
    accepted.on("data", (c: Buffer) => {
      n += c.length;
    });
    await once(accepted, "end");
    expect(n).toBe(40 * 200_000 + 30 * 4 + 10 * 3);
    expect(client.bytesWritten).toBe(n);
  });

  test("an empty write calls back", async () => {
    const { client } = await pair(world);
    await new Promise((done) => client.write("", done));
    await new Promise((done) => client.write(Buffer.alloc(0), done));
    expect(client.bytesWritten).toBe(0);
  });

  test("write after end is ERR_STREAM_WRITE_AFTER_END", async () => {
    const { client } = await pair(world, { allowHalfOpen: true });
    client.end();
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => {
      client.on("error", () => {});
      client.write("late", (e) => resolve(e as NodeJS.ErrnoException));
    });
    expect(error.code).toBe("ERR_STREAM_WRITE_AFTER_END");
  });

  test("write after the peer's end on a socket that is not half open is EPIPE and says who ended", async () => {
    const { client, accepted } = await pair(world);
    accepted.resume();
    const errors: string[] = [];
    accepted.on("error", (error: NodeJS.ErrnoException) => errors.push(`${error.code}: ${error.message}`));
    client.end();
    await once(accepted, "end");
    await new Promise((done) => setImmediate(done));
    const back = await new Promise<NodeJS.ErrnoException>((resolve) => {
      accepted.write("x", (e) => resolve(e as NodeJS.ErrnoException));
    });
    expect(back.code).toMatch(/EPIPE|ERR_STREAM_DESTROYED/);
    expect(back.message).toBe("This socket has been ended by the other party");
  });

  test("write after destroy is ERR_STREAM_DESTROYED, to the callback only", async () => {
    const { client } = await pair(world);
    client.destroy();
    const log = record(client, ["error"]);
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => {
      client.write("x", (e) => resolve(e as NodeJS.ErrnoException));
    });
    expect(error.code).toBe("ERR_STREAM_DESTROYED");
    await turns();
    expect(log).toEqual([]);
  });

  test("writes that are waiting when the socket is destroyed are called back with ERR_STREAM_DESTROYED", async () => {
    const { client } = await pair(world, { pauseOnConnect: true });
    const codes: unknown[] = [];
    // More than the buffers of both ends take together, so that those behind it have not left the stream.
    client.write(Buffer.alloc(64 << 20), () => {});
    client.write("x", (e) => codes.push((e as NodeJS.ErrnoException | null)?.code));
    client.write("y", (e) => codes.push((e as NodeJS.ErrnoException | null)?.code));
    await turns();
    client.destroy();
    await until(() => codes.length === 2);
    expect(codes).toEqual(["ERR_STREAM_DESTROYED", "ERR_STREAM_DESTROYED"]);
  });

  test("a write that the peer's reset cuts off is an error of the socket", async () => {
    const { client, accepted } = await pair(world, { pauseOnConnect: true });
    const errors: string[] = [];
    client.on("error", (e: NodeJS.ErrnoException) => errors.push(e.code as string));
    client.write(Buffer.alloc(32 << 20));
    await settled();
    accepted.resetAndDestroy();
    await closed(client);
    expect(errors.length).toBe(1);
    expect(errors[0]).toMatch(/ECONNRESET|EPIPE/);
  });

  test.each([
    [null, "ERR_STREAM_NULL_VALUES"],
    [undefined, "ERR_INVALID_ARG_TYPE"],
    [5, "ERR_INVALID_ARG_TYPE"],
    [true, "ERR_INVALID_ARG_TYPE"],
    [{}, "ERR_INVALID_ARG_TYPE"],
    [[], "ERR_INVALID_ARG_TYPE"],
  ])("write(%j) throws %s", async (value, code) => {
    const { client } = await pair(world);
    expect(thrown(() => client.write(value as string)).code).toBe(code);
  });

  test("an unknown encoding throws ERR_UNKNOWN_ENCODING", async () => {
    const { client } = await pair(world);
    expect(thrown(() => client.write("x", "klingon" as BufferEncoding)).code).toBe("ERR_UNKNOWN_ENCODING");
  });

  test("finish comes when all is handed over, before the peer has read it", async () => {
    const { client, accepted } = await pair(world, { pauseOnConnect: true, allowHalfOpen: true });
    client.end("done");
    await once(client, "finish");
    expect([client.writableFinished, client.writableEnded, accepted.bytesRead]).toEqual([true, true, 0]);
  });

  test("end takes data, an encoding and a callback", async () => {
    const { client, accepted } = await pair(world);
    const finished = new Promise<void>((done) => {
      expect(client.end("6f6b", "hex", () => done())).toBe(client);
    });
    expect(await text(accepted)).toBe("ok");
    await finished;
  });

  test("setNoDelay, setKeepAlive and setTimeout return the socket", async () => {
    const { client } = await pair(world);
    expect([client.setNoDelay(), client.setNoDelay(false), client.setNoDelay(true)]).toEqual([client, client, client]);
    expect([client.setKeepAlive(), client.setKeepAlive(true, 1_000), client.setKeepAlive(false)]).toEqual([client, client, client]);
    expect(client.setTimeout(0)).toBe(client);
    const fresh = new world.client.Socket();
    expect([fresh.setNoDelay(), fresh.setKeepAlive(true, 5_000), fresh.setTimeout(0)]).toEqual([fresh, fresh, fresh]);
  });

  test("options noDelay, keepAlive and keepAliveInitialDelay are taken on both sides", async () => {
    const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 5_000 };
    const { client, accepted, server } = await pair(world, options, options);
    expect([
      (server as unknown as typeof options).noDelay,
      (server as unknown as typeof options).keepAlive,
      (server as unknown as typeof options).keepAliveInitialDelay,
    ]).toEqual([true, true, 5]);
    client.end("ok");
    expect(await text(accepted)).toBe("ok");
  });

  test("bytesWritten stays after the end", async () => {
    const { port } = await serve(world, {}, (s) => s.resume());
    const client = dial(world, port);
    client.resume().end("twelve bytes");
    await closed(client);
    expect(client.bytesWritten).toBe(12);
  });

  test("a request and an answer, a thousand times on one connection", async () => {
    const { port } = await serve(world, { noDelay: true }, (s) => {
      s.on("data", (c) => s.write(c));
    });
    const client = dial(world, port, { noDelay: true });
    for (let i = 0; i < 1_000; i++) {
      client.write(`m${i}`);
      const [reply] = await once(client, "data");
      expect(String(reply)).toBe(`m${i}`);
    }
  });
});
