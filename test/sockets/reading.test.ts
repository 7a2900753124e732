/** Reading: order, back-pressure, pause, EOF, onread, on node:net and on our stack. */
import { once } from "node:events";
import { pipeline } from "node:stream/promises";
import { describe, expect, test } from "vitest";
import { closed, dial, pair, record, serve, settled, text, turns, until, useWorlds, WORLDS } from "./support/worlds.js";

useWorlds();

const pattern = (length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff;
  return bytes;
};

describe.each(WORLDS)("$title: reading", (world) => {
  test("octets arrive in order and are counted", async () => {
    const { client, accepted } = await pair(world);
    const sent = pattern(300_000);
    client.end(sent);
    const got: Buffer[] = [];
    accepted.on("data", (chunk) => got.push(chunk));
    await once(accepted, "end");
    expect(Buffer.concat(got).equals(sent)).toBe(true);
    expect([accepted.bytesRead, client.bytesWritten]).toEqual([300_000, 300_000]);
  });

  test("chunks are Buffers; with an encoding they are strings, and characters are not torn", async () => {
    const { client, accepted } = await pair(world);
    accepted.setEncoding("utf8");
    const bytes = Buffer.from("grüße €uro 漢字");
    let got = "";
    accepted.on("data", (chunk: unknown) => {
      expect(typeof chunk).toBe("string");
      got += String(chunk);
    });
    for (const byte of bytes) {
      client.write(Buffer.from([byte]));
      await turns(1);
    }
    client.end();
    await once(accepted, "end");
    expect(got).toBe("grüße €uro 漢字");
  });

  test("readable and read() hand out what is asked for", async () => {
    const { client, accepted } = await pair(world);
    client.write("abcdefgh");
    await once(accepted, "readable");
    await until(() => accepted.readableLength === 8);
    expect([String(accepted.read(3)), String(accepted.read(2)), String(accepted.read())]).toEqual(["abc", "de", "fgh"]);
    expect(accepted.read()).toBeNull();
  });

  test("for await reads to the end", async () => {
    const { client, accepted } = await pair(world);
    client.end(pattern(100_000));
    let n = 0;
    for await (const chunk of accepted) n += (chunk as Buffer).length;
    expect(n).toBe(100_000);
  });

  test("a reader that is not there yet loses nothing", async () => {
    const { client, accepted } = await pair(world);
    client.end("early");
    await until(() => accepted.readableLength === 5);
    expect(await text(accepted)).toBe("early");
  });

  test("nobody reads: at most the high-water mark and a chunk lie in the stream, and the writer is held back", async () => {
    const { client, accepted } = await pair(world, { highWaterMark: 16_384 });
    const chunk = Buffer.alloc(65_536);
    let drained = true;
    client.on("drain", () => {
      drained = true;
    });
    for (let i = 0; i < 400 && drained; i++) {
      drained = client.write(chunk);
      for (let wait = 0; wait < 30 && !drained; wait++) await new Promise((done) => setTimeout(done, 2));
    }
    expect(drained).toBe(false);
    expect(accepted.readableLength).toBeLessThanOrEqual(16_384 + 65_536);
    const total = client.bytesWritten;
    let read = 0;
    accepted.on("data", (c: Buffer) => {
      read += c.length;
    });
    client.end();
    await once(accepted, "end");
    expect(read).toBe(total);
  });

  test("pause stops data, resume goes on where it stopped", async () => {
    const { client, accepted } = await pair(world);
    const sent = pattern(500_000),
      got: Buffer[] = [];
    accepted.on("data", (chunk) => {
      got.push(chunk);
      accepted.pause();
      setImmediate(() => accepted.resume());
    });
    client.end(sent);
    await once(accepted, "end");
    expect(Buffer.concat(got).equals(sent)).toBe(true);
  });

  test("pause before any data: no data comes", async () => {
    const { client, accepted } = await pair(world);
    let got = 0;
    accepted.pause();
    accepted.on("data", () => got++);
    client.write("x");
    await until(() => accepted.readableLength === 1);
    expect([got, accepted.isPaused()]).toEqual([0, true]);
    accepted.resume();
    await until(() => got === 1);
  });

  test("pauseOnConnect: nothing is read until resume", async () => {
    const { client, accepted } = await pair(world, { pauseOnConnect: true });
    client.end("late");
    await settled();
    expect([accepted.readableFlowing, accepted.bytesRead, accepted.readableLength]).toEqual([false, 0, 0]);
    const all = text(accepted);
    accepted.resume();
    expect(await all).toBe("late");
  });

  test("resume() without a listener throws the octets away and counts them", async () => {
    const { client, accepted } = await pair(world);
    accepted.resume();
    client.end(Buffer.alloc(200_000));
    await once(accepted, "end");
    expect(accepted.bytesRead).toBe(200_000);
  });

  test("a listener that comes while octets are thrown away gets the rest", async () => {
    const { client, accepted } = await pair(world);
    accepted.resume();
    client.write(Buffer.alloc(50_000));
    await until(() => accepted.bytesRead === 50_000);
    let got = 0;
    accepted.on("data", (chunk: Buffer) => {
      got += chunk.length;
    });
    client.end(Buffer.alloc(7));
    await once(accepted, "end");
    expect(got).toBe(7);
  });

  test("unshift gives octets back", async () => {
    const { client, accepted } = await pair(world);
    const got: string[] = [];
    accepted.once("data", (chunk: Buffer) => {
      accepted.pause();
      accepted.unshift(chunk.subarray(2));
      accepted.on("data", (rest: Buffer) => got.push(String(rest)));
      accepted.resume();
    });
    client.end("abcdef");
    await once(accepted, "end");
    expect(got.join("")).toBe("cdef");
  });

  test("end comes once, after all data, and then close", async () => {
    const { client, accepted } = await pair(world);
    const log = record(accepted, ["data", "end", "finish", "close"]);
    client.end("z");
    await closed(accepted);
    expect(log).toEqual(["data", "end", "finish", "close false"]);
  });

  test("end without data", async () => {
    const { client, accepted } = await pair(world);
    const log = record(accepted, ["data", "end", "finish", "close"]);
    accepted.resume();
    client.end();
    await closed(accepted);
    expect(log).toEqual(["end", "finish", "close false"]);
  });

  test("a paused reader gets the end only after its data", async () => {
    const { client, accepted } = await pair(world);
    const log = record(accepted, ["end"]);
    client.end(pattern(5_000));
    await settled();
    expect(log).toEqual([]);
    expect((await text(accepted)).length).toBeGreaterThan(0);
    expect(log).toEqual(["end"]);
  });

  test("data and end in one: all of a short exchange arrives", async () => {
    const { port } = await serve(world, {}, (socket) => {
      socket.end("short");
    });
    const client = dial(world, port);
    expect(await text(client)).toBe("short");
  });

  test("pipe to itself is an echo", async () => {
    const { port } = await serve(world, { allowHalfOpen: true }, (socket) => {
      socket.pipe(socket);
    });
    const client = dial(world, port);
    const sent = pattern(400_000);
    client.end(sent);
    const got: Buffer[] = [];
    client.on("data", (chunk) => got.push(chunk));
    await once(client, "end");
    expect(Buffer.concat(got).equals(sent)).toBe(true);
  });

  test("pipeline carries both ways", async () => {
    const { port } = await serve(world, { allowHalfOpen: true }, (socket) => {
      void pipeline(socket, socket);
    });
    const client = dial(world, port);
    client.end("through the pipeline");
    expect(await text(client)).toBe("through the pipeline");
  });

  test("onread reads into the given buffer, without data events", async () => {
    const { port } = await serve(world, {}, (socket) => {
      socket.end("0123456789");
    });
    const buffer = Buffer.alloc(4),
      got: string[] = [];
    let events = 0;
    const client = dial(world, port, {
      onread: {
        buffer,
        callback: (n: number, b: Uint8Array) => {
          expect(b).toBe(buffer);
          got.push(Buffer.from(b.subarray(0, n)).toString());
          return true;
        },
      },
    });
    client.on("data", () => events++);
    await once(client, "end");
    expect([got.join(""), events]).toEqual(["0123456789", 0]);
    expect(got.every((piece) => piece.length <= 4)).toBe(true);
    expect(client.bytesRead).toBe(10);
  });

  test("onread takes a function that gives buffers", async () => {
    const { port } = await serve(world, {}, (socket) => {
      socket.end("abcdefghij");
    });
    const buffers = new Set<Uint8Array>();
    let got = "";
    const client = dial(world, port, {
      onread: {
        buffer: () => Buffer.alloc(3),
        callback: (n: number, b: Uint8Array) => {
          buffers.add(b);
          got += Buffer.from(b.subarray(0, n)).toString();
          return true;
        },
      },
    });
    await once(client, "end");
    expect(got).toBe("abcdefghij");
    expect(buffers.size).toBeGreaterThanOrEqual(4);
  });

  test("onread: false pauses, resume goes on", async () => {
    const { port } = await serve(world, {}, (socket) => {
      socket.end("0123456789");
    });
    const got: string[] = [];
    const client = dial(world, port, {
      onread: {
        buffer: Buffer.alloc(4),
        callback: (n: number, b: Uint8Array) => {
          got.push(Buffer.from(b.subarray(0, n)).toString());
          return got.length !== 1;
        },
      },
    });
    await until(() => got.length === 1);
    await settled(10);
    expect(got.length).toBe(1);
    const end = once(client, "end");
    client.resume();
    await end;
    expect(got.join("")).toBe("0123456789");
  });

  test("many small writes arrive whole", async () => {
    const { client, accepted } = await pair(world);
    const all = text(accepted);
    let expected = "";
    for (let i = 0; i < 2_000; i++) {
      client.write(`${i};`);
      expected += `${i};`;
    }
    client.end();
    expect(await all).toBe(expected);
  });

  test("highWaterMark is the server's and the client's own", async () => {
    const { accepted, client } = await pair(world, { highWaterMark: 1_234 }, { highWaterMark: 4_321 });
    expect([accepted.readableHighWaterMark, accepted.writableHighWaterMark]).toEqual([1_234, 1_234]);
    expect([client.readableHighWaterMark, client.writableHighWaterMark]).toEqual([4_321, 4_321]);
  });

  test("a high-water mark of zero still reads", async () => {
    const { client, accepted } = await pair(world, { highWaterMark: 0 });
    client.end("zero");
    expect(await text(accepted)).toBe("zero");
  });

  test("read(n) beyond the high-water mark", async () => {
    const { client, accepted } = await pair(world, { highWaterMark: 100 });
    client.end(Buffer.alloc(10_000, 0x61));
    let piece: Buffer | null = null;
    while (piece === null) {
      piece = accepted.read(5_000) as Buffer | null;
      if (piece === null) await once(accepted, "readable");
    }
    expect(piece.length).toBe(5_000);
  });

  test("data that a reset follows is delivered first, then ECONNRESET", async () => {
    const { client, accepted } = await pair(world);
    const log: string[] = [];
    client.on("data", (chunk) => log.push(String(chunk)));
    client.on("error", (error: NodeJS.ErrnoException) => log.push(`${error.code} ${error.syscall} ${error.message}`));
    accepted.write("last words");
    await until(() => log.length === 1);
    accepted.resetAndDestroy();
    await closed(client);
    expect(log).toEqual(["last words", "ECONNRESET read read ECONNRESET"]);
  });
});
