/** Closing: half-close, destroy in every state, resets, timeouts, on node:net and on our stack. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { closed, dial, errorOf, keep, pair, record, serve, settled, text, thrown, turns, until, useWorlds, WORLDS } from "./support/worlds.js";

useWorlds();

describe.each(WORLDS)("$title: closing", (world) => {
  test("we end first: finish, end, close on our side; end, finish, close on theirs", async () => {
    const { client, accepted } = await pair(world);
    const a = record(client),
      b = record(accepted);
    client.resume();
    accepted.resume();
    client.end();
    await Promise.all([closed(client), closed(accepted)]);
    expect(a).toEqual(["finish", "end", "close false"]);
    expect(b).toEqual(["end", "finish", "close false"]);
  });

  test("both end at once", async () => {
    const { client, accepted } = await pair(world);
    const a = record(client),
      b = record(accepted);
    client.resume().end();
    accepted.resume().end();
    await Promise.all([closed(client), closed(accepted)]);
    expect(a.slice().sort()).toEqual(["close false", "end", "finish"]);
    expect(a.at(-1)).toBe("close false");
    expect(b.at(-1)).toBe("close false");
  });

  test("allowHalfOpen on the server: it answers after the client's end", async () => {
    const { port } = await serve(world, { allowHalfOpen: true }, (socket) => {
      let got = "";
      socket.on("data", (c) => {
        got += String(c);
      });
      socket.on("end", () => {
        setTimeout(() => socket.end(got.toUpperCase()), 5);
      });
    });
    const client = dial(world, port);
    client.end("shout");
    expect(await text(client)).toBe("SHOUT");
  });

  test("half open: readyState goes from open to readOnly to closed", async () => {
    const { client, accepted } = await pair(world, { allowHalfOpen: true });
    client.resume();
    accepted.resume();
    const end = once(accepted, "end");
    client.end();
    await once(client, "finish");
    expect(client.readyState).toBe("readOnly");
    await end;
    expect(accepted.readyState).toBe("writeOnly");
    accepted.end();
    await closed(client);
    expect(client.readyState).toBe("closed");
  });

  test("allowHalfOpen on the client: it goes on writing after the server's end", async () => {
    const { client, accepted } = await pair(world, {}, { allowHalfOpen: true });
    expect(client.allowHalfOpen).toBe(true);
    accepted.end("first");
    expect(await text(client)).toBe("first");
    const rest = text(accepted);
    client.write("second ");
    await turns();
    client.end("third");
    expect(await rest).toBe("second third");
  });

  test("not half open: the socket ends itself after the peer", async () => {
    const { client, accepted } = await pair(world);
    expect(client.allowHalfOpen).toBe(false);
    const log = record(client);
    client.resume();
    accepted.end();
    await closed(client);
    expect(log).toEqual(["end", "finish", "close false"]);
  });

  test("what was written before the peer's end still goes out", async () => {
    const { client, accepted } = await pair(world);
    const all = text(client);
    accepted.on("end", () => {});
    accepted.write(Buffer.alloc(3_000_000, "x"));
    accepted.resume();
    client.end();
    expect((await all).length).toBe(3_000_000);
  });

  test("destroy on an open connection: close without error; the peer sees an end", async () => {
    const { client, accepted } = await pair(world);
    const a = record(client),
      b = record(accepted);
    accepted.resume();
    expect(client.destroy()).toBe(client);
    expect([client.destroyed, client.readyState, client.writable, client.readable]).toEqual([true, "closed", false, false]);
    await Promise.all([closed(client), closed(accepted)]);
    expect(a).toEqual(["close false"]);
    expect(b).toEqual(["end", "finish", "close false"]);
  });

  test("destroy with an error: error, then close(true)", async () => {
    const { client } = await pair(world);
    const log = record(client);
    client.destroy(Object.assign(new Error("mine"), { code: "MINE" }));
    await once(client, "close").catch(() => once(client, "close"));
    expect(log).toEqual(["error MINE", "close true"]);
  });

  test("destroy twice: one close", async () => {
    const { client } = await pair(world);
    const log = record(client);
    client.destroy();
    client.destroy(new Error("too late"));
    await closed(client);
    await turns();
    expect(log).toEqual(["close false"]);
  });

  test("close is not emitted in the tick of destroy", async () => {
    const { client } = await pair(world);
    const log = record(client);
    client.destroy();
    await new Promise(process.nextTick);
    expect(log).toEqual([]);
    await closed(client);
  });

  test("destroy a socket that was never opened: close, without an argument", async () => {
    const socket = keep(new world.client.Socket());
    const log = record(socket);
    socket.destroy();
    await once(socket, "close");
    expect(log).toEqual(["close undefined"]);
  });

  test("destroy with unread data resets the peer", async () => {
    const { client, accepted } = await pair(world, { pauseOnConnect: true });
    client.write("unread");
    const error = errorOf(client);
    client.resume();
    await settled();
    accepted.destroy();
    expect((await error).code).toBe("ECONNRESET");
  });

  test("destroy sends what was written before it", async () => {
    const { client, accepted } = await pair(world);
    const all = text(accepted);
    client.write("parting words", () => client.destroy());
    expect(await all).toBe("parting words");
  });

  test("destroySoon sends everything first", async () => {
    const { client, accepted } = await pair(world);
    let n = 0;
    accepted.on("data", (c: Buffer) => {
      n += c.length;
    });
    const log = record(client);
    client.write(Buffer.alloc(2_000_000));
    client.destroySoon();
    await Promise.all([closed(client), once(accepted, "end")]);
    expect(n).toBe(2_000_000);
    expect(log).toEqual(["finish", "close false"]);
  });

  test("resetAndDestroy: the peer gets ECONNRESET, we only close", async () => {
    const { client, accepted } = await pair(world);
    const a = record(client),
      b = record(accepted);
    accepted.resume();
    expect(client.resetAndDestroy()).toBe(client);
    await Promise.all([closed(client), closed(accepted)]);
    expect(a).toEqual(["close false"]);
    expect(b).toEqual(["error ECONNRESET", "close true"]);
  });

  test("the reset error is Node's in every field", async () => {
    const { client, accepted } = await pair(world);
    const error = errorOf(accepted);
    client.resetAndDestroy();
    const e = await error;
    expect({ ...e, message: e.message }).toEqual({ errno: -104, code: "ECONNRESET", syscall: "read", message: "read ECONNRESET" });
  });

  test("resetAndDestroy while connecting waits for the connection", async () => {
    const { port, server } = await serve(world);
    const arrived = once(server, "connection");
    const client = dial(world, port);
    const log = record(client),
      gone = closed(client);
    client.resetAndDestroy();
    const [accepted] = await arrived;
    const error = errorOf(accepted);
    await gone;
    expect(log).toEqual(["connect", "ready", "close false"].filter((e) => log.includes(e)));
    expect(log[0]).toBe("connect");
    expect((await error).code).toBe("ECONNRESET");
  });

  test("resetAndDestroy on a socket that was never opened is ERR_SOCKET_CLOSED", async () => {
    const socket = keep(new world.client.Socket());
    const error = errorOf(socket);
    socket.resetAndDestroy();
    expect(await error).toMatchObject({ code: "ERR_SOCKET_CLOSED", message: "Socket is closed" });
  });

  test("resetAndDestroy after destroy does nothing", async () => {
    const { client } = await pair(world);
    const log = record(client);
    client.destroy();
    client.resetAndDestroy();
    await closed(client);
    expect(log).toEqual(["close false"]);
  });

  test("a reader that is paused hears of a reset when it reads again", async () => {
    const { client, accepted } = await pair(world, { pauseOnConnect: true });
    const log = record(accepted);
    client.resetAndDestroy();
    await closed(client);
    await settled();
    expect(log).toEqual([]);
    accepted.resume();
    await closed(accepted);
    expect(log).toEqual(["error ECONNRESET", "close true"]);
  });

  test("unread data and then a reset", async () => {
    const { client, accepted } = await pair(world, { pauseOnConnect: true });
    const log = record(accepted);
    accepted.on("data", (chunk) => log.push(String(chunk)));
    accepted.pause();
    client.write("kept");
    await settled(10);
    client.resetAndDestroy();
    await closed(client);
    await settled();
    accepted.resume();
    await closed(accepted);
    // A difference on purpose. RFC 9293 §3.10.7.4: a reset flushes all queues. Linux keeps the text, and libuv then takes
    // the hang-up after a short read for an orderly end.
    expect(log).toEqual(world.name === "node:net" ? ["kept", "end", "finish", "close false"] : ["error ECONNRESET", "close true"]);
  });

  test("destroy inside data, end, connect and connection handlers", async () => {
    const { port, server } = await serve(world);
    server.on("connection", (s) => {
      if (s.remotePort === 1) s.destroy();
      else s.end("data");
    });
    const inData = dial(world, port);
    inData.on("data", () => inData.destroy());
    const inEnd = dial(world, port);
    inEnd.resume().on("end", () => inEnd.destroy());
    const inConnect = dial(world, port);
    inConnect.on("connect", () => inConnect.destroy());
    await Promise.all([closed(inData), closed(inEnd), closed(inConnect)]);
    server.removeAllListeners("connection").on("connection", (s) => s.destroy());
    const client = dial(world, port);
    client.resume();
    expect(await closed(client)).toBe(false);
  });

  test("an error in the tick of end comes before finish, and finish never", async () => {
    const { client } = await pair(world);
    const log = record(client);
    client.end();
    client.destroy(Object.assign(new Error("late"), { code: "LATE" }));
    await closed(client);
    await turns();
    expect(log).toEqual(["error LATE", "close true"]);
  });

  test("a write after an unheard reset fails, and is not counted", async () => {
    const { client, accepted } = await pair(world, { pauseOnConnect: true });
    client.resetAndDestroy();
    await closed(client);
    await settled();
    const error = errorOf(accepted);
    const back = new Promise<unknown>((resolve) => {
      accepted.write("lost", (e) => resolve((e as NodeJS.ErrnoException).code));
    });
    expect(await error).toMatchObject({ code: "ECONNRESET", syscall: "write", message: "write ECONNRESET" });
    expect([await back, accepted.bytesWritten]).toEqual(["ECONNRESET", 0]);
  });

  test("after close no event comes", async () => {
    const { client, accepted } = await pair(world);
    client.destroy();
    await closed(client);
    const log = record(client, ["data", "end", "error", "close", "finish", "drain"]);
    accepted.on("error", () => {});
    accepted.write("to nobody");
    await settled();
    expect(log).toEqual([]);
  });

  test("asynchronous disposal of a server closes it", async () => {
    const server = world.server.createServer().listen(0, world.host);
    await once(server, "listening");
    await server[Symbol.asyncDispose]();
    expect(server.listening).toBe(false);
    await server[Symbol.asyncDispose]();
  });

  test("a throwing data listener does not stop the others", async () => {
    const { client, accepted } = await pair(world);
    const second = await pair(world);
    const uncaught = new Promise<Error>((resolve) => {
      const before = process.listeners("uncaughtException");
      process.removeAllListeners("uncaughtException");
      process.once("uncaughtException", (error) => {
        for (const listener of before) process.on("uncaughtException", listener);
        resolve(error);
      });
    });
    accepted.once("data", () => {
      throw new Error("from a listener");
    });
    client.write("x");
    expect((await uncaught).message).toBe("from a listener");
    const all = text(second.accepted);
    second.client.end("still here");
    expect(await all).toBe("still here");
  });
});

describe.each(WORLDS)("$title: timeouts", (world) => {
  test("an idle socket emits timeout, and is left open", async () => {
    const { client } = await pair(world);
    const log = record(client);
    client.setTimeout(20);
    expect(client.timeout).toBe(20);
    await once(client, "timeout");
    expect([log, client.destroyed]).toEqual([["timeout"], false]);
  });

  test("the callback is a listener for once, taken off by setTimeout(0, callback)", async () => {
    const { client } = await pair(world);
    let calls = 0;
    const back = (): void => {
      calls++;
    };
    client.setTimeout(10_000, back);
    expect(client.listenerCount("timeout")).toBe(1);
    client.setTimeout(0, back);
    expect([client.listenerCount("timeout"), client.timeout]).toEqual([0, 0]);
    client.setTimeout(10, back);
    await once(client, "timeout");
    expect(calls).toBe(1);
  });

  test("traffic puts the timeout off, both ways", async () => {
    const { client, accepted } = await pair(world);
    accepted.on("data", (c) => accepted.write(c));
    client.resume();
    let fired = 0;
    client.setTimeout(2_000, () => fired++);
    for (let i = 0; i < 11; i++) {
      client.write(".");
      await new Promise((done) => setTimeout(done, 200));
    }
    expect(fired).toBe(0);
    await once(client, "timeout");
  });

  test("the timeout option of connect", async () => {
    const { port } = await serve(world);
    const client = dial(world, port, { timeout: 30 });
    expect(client.timeout).toBe(30);
    await once(client, "timeout");
  });

  test("no timeout after destroy", async () => {
    const { client } = await pair(world);
    const log = record(client);
    client.setTimeout(10);
    client.destroy();
    await settled(30);
    expect(log).toEqual(["close false"]);
    expect(client.setTimeout(5)).toBe(client);
  });

  test.each([
    ["100", "ERR_INVALID_ARG_TYPE"],
    [undefined, "ERR_INVALID_ARG_TYPE"],
    [null, "ERR_INVALID_ARG_TYPE"],
    [{}, "ERR_INVALID_ARG_TYPE"],
    [true, "ERR_INVALID_ARG_TYPE"],
    [-1, "ERR_OUT_OF_RANGE"],
    [Number.NaN, "ERR_OUT_OF_RANGE"],
    [Infinity, "ERR_OUT_OF_RANGE"],
  ])("setTimeout(%s) throws %s", (value, code) => {
    const socket = new world.client.Socket();
    expect(thrown(() => socket.setTimeout(value as number)).code).toBe(code);
  });

  test("setTimeout wants a function", () => {
    const socket = new world.client.Socket();
    for (const bad of [1, "f", null, {}, []]) expect(thrown(() => socket.setTimeout(1, bad as unknown as () => void)).code).toBe("ERR_INVALID_ARG_TYPE");
  });

  test("a timeout on a socket that is not yet open", async () => {
    const socket = keep(new world.client.Socket());
    socket.setTimeout(10);
    await once(socket, "timeout");
    await until(() => true);
  });
});
