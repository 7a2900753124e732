import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ControlClient, defaultControlPath } from "../../src/control/client.js";
import type { SocketsAnswer } from "../../src/control/contract.js";
import { EventReader, READER_LIMIT } from "../../src/control/feed.js";
import { type ControlServer, serveControl } from "../../src/control/server.js";
import { everyKind, synArrived } from "../observe/events.js";
import { connectionRow, FakeDaemon, listenerRow } from "./fake.js";

let dir: string, path: string, daemon: FakeDaemon, server: ControlServer | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "glasstcp-control-"));
  path = join(dir, "glasstcp.sock");
  daemon = new FakeDaemon();
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(dir, { recursive: true, force: true });
});
const start = async (): Promise<ControlClient> => {
  server = await serveControl(daemon, path);
  return new ControlClient(path);
};

describe("the socket file", () => {
  test("only its owner may open it, and it is gone when the server closes", async () => {
    await start();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await server?.close();
    expect(existsSync(path)).toBe(false);
  });

  test("what a dead daemon left is replaced", async () => {
    // A process that is killed leaves its socket file behind.
    spawnSync(process.execPath, ["-e", `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`]);
    expect(statSync(path).isSocket()).toBe(true);
    const client = await start();
    expect(await client.get<SocketsAnswer>("/v1/sockets")).toMatchObject({ pid: process.pid });
  });

  test("a living daemon's is refused with the mend, and left in peace", async () => {
    const client = await start();
    await expect(serveControl(new FakeDaemon(), path)).rejects.toMatchObject({ exitCode: 1, mend: expect.stringContaining("--control") as string });
    expect(await client.get<SocketsAnswer>("/v1/sockets")).toMatchObject({ pid: process.pid });
  });

  test("a file that is no socket is never removed", async () => {
    writeFileSync(path, "precious");
    await expect(serveControl(daemon, path)).rejects.toThrow("is no socket");
    expect(existsSync(path)).toBe(true);
  });

  test("a directory that is not there is one clear line", async () => {
    await expect(serveControl(daemon, join(dir, "none", "x.sock"))).rejects.toThrow(/cannot be made: EN?O?ENT|cannot be made: EACCES/);
  });
});

describe("the routes", () => {
  test("curl --unix-socket works on them", async () => {
    await start();
    const out = await new Promise<string>((resolve, reject) =>
      execFile("curl", ["-s", "--unix-socket", path, "http://localhost/v1/status"], (e, stdout) => (e ? reject(e) : resolve(stdout))),
    );
    expect(JSON.parse(out)).toMatchObject({ tun: { name: "glass0" } });
  });

  test("sockets, one socket, abort", async () => {
    daemon.connections = [connectionRow({ id: 1 }), connectionRow({ id: 2 })];
    daemon.listeners = [listenerRow(80)];
    const client = await start();
    const all = await client.get<SocketsAnswer>("/v1/sockets");
    expect(all.connections.map((c) => c.id)).toEqual([1, 2]);
    expect(all.connections[0]).toEqual(JSON.parse(JSON.stringify(connectionRow({ id: 1 }))));
    expect(all.listeners).toHaveLength(1);
    expect(await client.get("/v1/sockets/2")).toMatchObject({ id: 2 });
    expect(await client.delete("/v1/sockets/2")).toEqual({ aborted: 2 });
    expect(daemon.aborted).toEqual([2]);
    await expect(client.delete("/v1/sockets/2")).rejects.toThrow("no connection 2");
    await expect(client.get("/v1/sockets/x")).rejects.toThrow(/id/);
  });

  test("very many sockets come piece by piece, and the rest of the process goes on meanwhile", async () => {
    daemon.connections = Array.from({ length: 5_000 }, (_, i) => connectionRow({ id: i + 1 }));
    const client = await start();
    let turns = 0;
    const count = (): void => {
      turns++;
      again = setImmediate(count);
    };
    let again = setImmediate(count);
    const all = await client.get<SocketsAnswer>("/v1/sockets");
    clearImmediate(again);
    expect(all.connections.map((c) => c.id)).toEqual(daemon.connections.map((c) => c.id));
    expect(turns).toBeGreaterThanOrEqual(25);
  });

  test("options are read and set, and what is wrong is refused with a sentence", async () => {
    const client = await start();
    expect(await client.patch("/v1/options", { finWait2: "5s" })).toMatchObject({ options: [{ name: "finWait2", value: 5_000, default: 60_000 }] });
    await expect(client.patch("/v1/options", { finWait2: "soon" })).rejects.toThrow("a number from");
    await expect(client.patch("/v1/options", { nope: "1" })).rejects.toThrow("unknown option");
    await expect(client.patch("/v1/options", {})).rejects.toThrow();
  });

  test("faults are added, listed, removed and cleared", async () => {
    const client = await start();
    expect(await client.post("/v1/faults", { spec: "--port 80 drop" })).toMatchObject({ faults: [{ id: "f1" }] });
    expect(await client.post("/v1/faults/release", {})).toEqual({ released: 1 });
    expect(await client.post("/v1/faults/release", { id: "f9" })).toEqual({ released: 0 });
    await expect(client.post("/v1/faults", { spec: "nonsense" })).rejects.toThrow('no action "nonsense"');
    expect(await client.get("/v1/faults")).toMatchObject({ faults: [{ id: "f1", spec: "--port 80 drop" }] });
    await expect(client.delete("/v1/faults/f9")).rejects.toThrow("glasstcp fault ls");
    await client.delete("/v1/faults/f1");
    await client.post("/v1/faults", { spec: "a" });
    expect(await client.delete("/v1/faults")).toEqual({ removed: 1 });
  });

  test("counters and metrics", async () => {
    const client = await start();
    expect(await client.get("/v1/counters")).toMatchObject({ rules: { "ip-short": 1 } });
    expect(await client.get("/metrics")).toContain("x 1");
    await expect(client.get("/v1/nothing")).rejects.toThrow("no route");
  });
});

describe("events", () => {
  const follow = async (client: ControlClient, query: Record<string, string>, count: number): Promise<{ event: string }[]> => {
    const stop = new AbortController();
    const seen: { event: string }[] = [];
    for await (const text of client.events(new URLSearchParams(query), stop.signal)) {
      seen.push(JSON.parse(text) as { event: string });
      if (seen.length === count) stop.abort();
    }
    return seen;
  };
  const observed = async (): Promise<void> => {
    while (daemon.observers.size === 0) await new Promise(setImmediate);
  };

  test.each([
    [{}, ["transition", "transition", "transition", "closed", "refused", "reset", "flood", "limit", "fault"]],
    [{ level: "trace" }, everyKind.map((e) => e.kind)],
    [{ event: "drop,timer" }, ["drop", "drop", "timer"]],
    [{ event: "transition", state: "syn_rcvd" }, ["transition"]],
    [{ state: "TIME-WAIT" }, ["transition"]],
    [{ conn: "12", event: "drop" }, ["drop"]],
    [{ port: "48308", event: "closed,flood" }, ["closed"]],
  ])("filter %j passes just these", async (query, kinds) => {
    const client = await start();
    const seen = follow(client, query, kinds.length);
    await observed();
    for (const e of everyKind) daemon.emit(e);
    expect((await seen).map((e) => e.event)).toEqual(kinds);
  });

  test("nobody reads, nothing is observed: the feed leaves with its last reader", async () => {
    const client = await start();
    const seen = follow(client, {}, 1);
    await observed();
    daemon.emit(synArrived());
    await seen;
    while (daemon.observers.size > 0) await new Promise(setImmediate);
    expect(daemon.observers.size).toBe(0);
  });

  test("a wrong filter is refused before the stream starts", async () => {
    const client = await start();
    await expect(follow(client, { event: "nonsense" }, 1)).rejects.toThrow('"nonsense" is no event');
    await expect(follow(client, { state: "SYN-LOST" }, 1)).rejects.toThrow("no state");
    await expect(follow(client, { port: "70000" }, 1)).rejects.toThrow(/port/);
  });

  test("a reader that is too slow loses events, is told how many, and costs no more than its buffer", () => {
    let buffered = 0;
    const written: string[] = [];
    const reader = new EventReader(
      {},
      {
        write: (t) => {
          written.push(t);
          buffered += t.length;
          return false;
        },
        get writableLength() {
          return buffered;
        },
      },
    );
    const line = `${"x".repeat(999)}\n`;
    for (let i = 0; i < 10_000; i++) reader.offer(line);
    reader.drained();
    expect(buffered).toBeLessThanOrEqual(READER_LIMIT + 2_000);
    buffered = 0;
    reader.offer(line);
    reader.drained();
    const text = written.join("");
    const passed = text.split("data: x").length - 1;
    const lost = Number(/"lost":(\d+)/.exec(text)?.[1]);
    expect(passed + lost).toBe(10_001);
    expect(lost).toBeGreaterThan(9_000);
  });

  test("a reader that vanishes leaves no trace", async () => {
    await start();
    const raw = connect(path);
    raw.write("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
    await observed();
    raw.destroy();
    while (daemon.observers.size > 0) await new Promise(setImmediate);
    expect(daemon.observers.size).toBe(0);
  });
});

describe("the client", () => {
  test("no daemon is exit 4 with the mend, whether the file is missing or dead", async () => {
    const client = new ControlClient(path);
    await expect(client.get("/v1/status")).rejects.toMatchObject({ exitCode: 4, mend: expect.stringContaining("glasstcp serve") as string });
    spawnSync(process.execPath, ["-e", `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`]);
    await expect(client.get("/v1/status")).rejects.toMatchObject({ exitCode: 4 });
  });

  test("a daemon that dies in the middle of an answer is exit 4", async () => {
    const half = createServer((s) => s.once("data", () => s.destroy()));
    await new Promise<void>((resolve) => half.listen(path, resolve));
    await expect(new ControlClient(path).get("/v1/status")).rejects.toMatchObject({ exitCode: 4 });
    half.close();
  });

  test("the default path follows XDG_RUNTIME_DIR", () => {
    expect(defaultControlPath({ XDG_RUNTIME_DIR: "/run/user/7/" })).toBe("/run/user/7/glasstcp.sock");
    expect(defaultControlPath({})).toBe("/run/glasstcp.sock");
  });
});
