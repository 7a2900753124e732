/**
 * Real software on our sockets, with the kernel's clients and servers on the other side of a TUN: http, https, http2,
 * WebSocket, fastify, undici, and `glasstcp connect`. Each file of tests has a network namespace of its own.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as http from "node:http";
import * as http2 from "node:http2";
import * as https from "node:https";
import type { Socket as NodeSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tls from "node:tls";
import fastify from "fastify";
import { Client, fetch, Agent } from "undici";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { SERVICES } from "../../src/apps/index.js";
import type { NetLike } from "../../src/apps/index.js";
import { pattern } from "../../src/apps/chargen.js";
import { createStack, type GlassStack, type Server, type TcpEvent } from "../../src/index.js";
import { enterMissing, makeNetns, netnsMissing, type Netns } from "../support/netns.js";

const KERNEL = "10.79.0.1",
  OURS = "10.79.0.2";
const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe.each([
  ["offload", "auto"],
  ["plain frames", "off"],
] as const)("real software on our sockets, %s", (_name, offload) => {
  const why = enterMissing("curl", "nc", "openssl");
  let ns: Netns, stack: GlassStack, dir: string;
  const servers: Server[] = [];
  const serve = async (on: NodeJS.EventEmitter, port: number): Promise<Server> => {
    const server = stack.net.serve(on, { port, host: OURS });
    servers.push(server);
    await once(server, "listening");
    return server;
  };
  /** Connections that are left but for TIME-WAIT. */
  const live = (): string[] => [...stack.stack.connections()].map((c) => c.state).filter((s) => s !== "TIME-WAIT" && s !== "CLOSED");

  beforeAll(async () => {
    if (why !== undefined) return;
    dir = mkdtempSync(join(tmpdir(), "glasstcp-sockets-"));
    ns = await makeNetns();
    stack = ns.enter(() =>
      createStack({ tun: { name: "glass0", host: `${KERNEL}/24`, offload }, addresses: [OURS, "10.79.1.0/24"], options: { timeWait: 100 } }),
    );
    ns.sh("ip route add 10.79.1.0/24 dev glass0");
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        join(dir, "key.pem"),
        "-out",
        join(dir, "cert.pem"),
        "-days",
        "2",
        "-subj",
        "/CN=glass.test",
        "-addext",
        `subjectAltName=IP:${OURS}`,
      ],
      { stdio: "ignore" },
    );
  });
  afterEach(async () => {
    await Promise.all(
      servers.splice(0).map(
        (server) =>
          new Promise<void>((done) => {
            if (server.listening) server.close(() => done());
            else done();
          }),
      ),
    );
  });
  afterAll(async () => {
    if (why !== undefined) return;
    stack.close();
    await ns.close();
    rmSync(dir, { recursive: true, force: true });
  });

  describe.skipIf(why !== undefined)("servers", () => {
    test("the services: nc speaks to echo, daytime and chargen; curl to http", async () => {
      const running = await Promise.all(Object.values(SERVICES).map((s) => s.start(stack.net as unknown as NetLike, { host: OURS })));
      expect(running.map((r) => r.port)).toEqual([7, 9, 13, 19, 80]);
      expect(await ns.must("nc", ["-N", OURS, "7"], { input: "hello" })).toBe("hello");
      expect(await ns.must("nc", [OURS, "13"])).toMatch(/day, .* UTC\r\n$/);
      expect((await ns.must("sh", ["-c", `nc ${OURS} 19 | head -c 5000000 | sha256sum`])).split(" ")[0]).toBe(sha(pattern(5_000_000)));
      expect(await ns.must("curl", ["-s", `http://${OURS}/`])).toMatch(/state +ESTABLISHED/);
      const got = await ns.must("sh", ["-c", `curl -s http://${OURS}/bytes/67108864 | sha256sum`]);
      const block = pattern(262_144),
        all = createHash("sha256");
      for (let i = 0; i < 256; i++) all.update(block);
      expect(got.split(" ")[0]).toBe(all.digest("hex"));
      const file = join(dir, "upload");
      writeFileSync(file, pattern(20_000_003));
      expect((await ns.must("sh", ["-c", `curl -s -T ${file} http://${OURS}/echo | sha256sum`])).split(" ")[0]).toBe(sha(readFileSync(file)));
      for (const service of running) await service.close();
    });

    test("http: keep-alive, pipelining, chunked both ways, 100-continue, upgrade", async () => {
      let connections = 0;
      const server = http.createServer((req, res) => {
        if (req.url === "/chunked") {
          for (let i = 0; i < 50; i++) res.write(`chunk ${i}\n`);
          res.end();
        } else req.pipe(res);
      });
      server.on("upgrade", (_req, socket) => {
        socket.end("HTTP/1.1 101 Switching Protocols\r\nUpgrade: own\r\nConnection: Upgrade\r\n\r\nraw from here");
      });
      const listening = await serve(server, 8080);
      listening.on("connection", () => connections++);
      const url = `http://${OURS}:8080`;
      await ns.must("curl", ["-sS", `${url}/a`, `${url}/b`, `${url}/c`]);
      expect(connections).toBe(1);
      expect((await ns.must("curl", ["-sS", `${url}/chunked`])).split("\n").length).toBe(51);
      expect(
        await ns.must("curl", ["-sS", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-", `${url}/echo`], { input: "x".repeat(100_000) }),
      ).toHaveLength(100_000);
      expect(await ns.must("curl", ["-sSv", "-H", "Expect: 100-continue", "-d", "body", url]).then(String)).toBe("body");
      // Without -N: Node's http drops answers that are still to come when a client half-closes.
      const pipelined = await ns.must("nc", [OURS, "8080"], {
        input:
          "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nonePOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\ntwoGET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      });
      expect(pipelined.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
      expect(pipelined.indexOf("one")).toBeLessThan(pipelined.indexOf("two"));
      expect(await ns.must("nc", [OURS, "8080"], { input: "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: own\r\nConnection: Upgrade\r\n\r\n" })).toContain(
        "raw from here",
      );
      server.closeAllConnections?.();
    });

    test("https with curl, and TLS 1.3 with openssl s_client", async () => {
      const server = https.createServer({ key: readFileSync(join(dir, "key.pem")), cert: readFileSync(join(dir, "cert.pem")) }, (req, res) => {
        res.end(`${(req.socket as tls.TLSSocket).getProtocol()} ${req.url}`);
      });
      await serve(server, 8443);
      expect(await ns.must("curl", ["-sS", "--cacert", join(dir, "cert.pem"), `https://${OURS}:8443/secure`])).toBe("TLSv1.3 /secure");
      expect(await ns.must("curl", ["-sS", "--tls-max", "1.2", "--cacert", join(dir, "cert.pem"), `https://${OURS}:8443/old`])).toBe("TLSv1.2 /old");
      const said = await ns.must("openssl", ["s_client", "-connect", `${OURS}:8443`, "-tls1_3", "-CAfile", join(dir, "cert.pem"), "-ign_eof", "-brief"], {
        input: "GET /s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      });
      expect(said).toContain("TLSv1.3 /s");
    });

    test("a plain TLS server carries 8 MiB, byte by byte", async () => {
      const secure = tls.createServer({ key: readFileSync(join(dir, "key.pem")), cert: readFileSync(join(dir, "cert.pem")) }, (socket) => {
        socket.end(pattern(8 << 20));
      });
      await serve(secure, 8444);
      const got = await ns.must("sh", [
        "-c",
        `openssl s_client -connect ${OURS}:8444 -quiet -CAfile ${join(dir, "cert.pem")} 2>/dev/null </dev/null | sha256sum`,
      ]);
      expect(got.split(" ")[0]).toBe(sha(pattern(8 << 20)));
    });

    test("http2 with curl's prior knowledge", async () => {
      const server = http2.createServer((req, res) => {
        if (req.url === "/echo") req.pipe(res);
        else res.end(`h2 ${req.httpVersion} ${req.url}`);
      });
      await serve(server, 8081);
      expect(await ns.must("curl", ["-sS", "--http2-prior-knowledge", `http://${OURS}:8081/x`])).toBe("h2 2.0 /x");
      const upload = join(dir, "h2-upload");
      writeFileSync(upload, pattern(3_000_000));
      expect(
        (await ns.must("sh", ["-c", `curl -sS --http2-prior-knowledge --data-binary @${upload} http://${OURS}:8081/echo | sha256sum`])).split(" ")[0],
      ).toBe(sha(pattern(3_000_000)));
    });

    test.skipIf(netnsMissing("h2load") !== undefined)("http2 under h2load: 10 clients, 100 streams each, no failure", async () => {
      const server = http2.createServer((_req, res) => {
        res.end("ok");
      });
      await serve(server, 8082);
      const report = await ns.must("h2load", ["-n", "2000", "-c", "10", "-m", "100", `http://${OURS}:8082/`]);
      expect(report).toMatch(/2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout/);
    });

    test("WebSocket: 1,000 messages there and back, in order", async () => {
      const server = http.createServer();
      const sockets = new WebSocketServer({ server });
      sockets.on("connection", (socket) => {
        socket.on("message", (data, binary) => {
          socket.send(data, { binary });
        });
      });
      await serve(server, 8083);
      const program = `
        const { WebSocket } = require(${JSON.stringify(join(import.meta.dirname, "../../node_modules/ws"))});
        const ws = new WebSocket("ws://${OURS}:8083/"); let n = 0;
        ws.on("open", () => { for (let i = 0; i < 1000; i++) ws.send(i % 2 ? "message " + i : Buffer.alloc(i * 10, i)); });
        ws.on("message", (d, binary) => {
          const i = n++; const ok = i % 2 ? !binary && String(d) === "message " + i : binary && d.length === i * 10 && d.every((b) => b === (i & 255));
          if (!ok) { console.log("wrong", i); process.exit(1); }
          if (n === 1000) { ws.close(); }
        });
        ws.on("close", (code) => { console.log("closed", code, n); });`;
      expect(await ns.must(process.execPath, ["-e", program])).toBe("closed 1005 1000\n");
      sockets.close();
    });

    test.skipIf(netnsMissing("ab") !== undefined)("fastify under ab, 200 connections: no failed request, no connection left", async () => {
      const app = fastify();
      app.get("/", async () => ({ hello: "world" }));
      await app.ready();
      await serve(app.server, 8084);
      for (const keepAlive of [[], ["-k"]]) {
        const report = await ns.must("ab", ["-q", "-n", "4000", "-c", "200", ...keepAlive, `http://${OURS}:8084/`]);
        expect(report).toMatch(/Complete requests: +4000\n/);
        expect(report).toMatch(/Failed requests: +0\n/);
        expect(report).not.toContain("Non-2xx");
      }
      await expect.poll(live, { timeout: 60_000 }).toEqual([]);
      await app.close();
    });

    test("every port and address of a prefix, and per-connection facts", async () => {
      const server = stack.listen({ port: "any", host: "any" });
      servers.push(server);
      const told = (async () => {
        const seen: string[] = [];
        for await (const socket of server) {
          const { tcp } = socket;
          seen.push(`${socket.localAddress}:${socket.localPort} ${tcp?.state}`);
          socket.end(`you reached ${socket.localAddress} ${socket.localPort}\n`);
          socket.resume();
          if (seen.length === 3) break;
        }
        return seen;
      })();
      for (const [host, port] of [
        [OURS, "1234"],
        ["10.79.1.77", "22"],
        ["10.79.1.200", "50000"],
      ] as const) {
        expect(await ns.must("nc", [host, port])).toBe(`you reached ${host} ${port}\n`);
      }
      expect(await told).toEqual([`${OURS}:1234 ESTABLISHED`, "10.79.1.77:22 ESTABLISHED", "10.79.1.200:50000 ESTABLISHED"]);
    });
  });

  describe.skipIf(why !== undefined)("clients", () => {
    /** A server of the kernel's, in the namespace. */
    const kernelHttp = async (): Promise<{ url: string; stop(): void }> => {
      const child = ns.spawn(process.execPath, [
        "-e",
        `
        const server = require("node:http").createServer((q, s) => { let n = 0; q.on("data", (d) => n += d.length).on("end", () => s.end(q.method + " " + q.url + " " + n + " " + q.socket.remoteAddress)); });
        server.keepAliveTimeout = 60000;
        server.listen(0, "${KERNEL}", () => console.log(server.address().port));`,
      ]);
      const [line] = await once(child.stdout as NodeJS.ReadableStream, "data");
      return { url: `http://${KERNEL}:${String(line).trim()}`, stop: () => child.kill() };
    };
    const dial = (options: { port?: unknown; host?: unknown; hostname?: unknown }): NodeSocket =>
      stack.net.connect({ port: Number(options.port), host: String(options.hostname ?? options.host) }) as unknown as NodeSocket;

    test("http.Agent with createConnection, keep-alive", async () => {
      const { url, stop } = await kernelHttp();
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      let opened = 0;
      (agent as unknown as { createConnection: typeof dial }).createConnection = (options) => {
        opened++;
        return dial(options);
      };
      for (let i = 0; i < 20; i++) {
        const body = await new Promise<string>((resolve, reject) => {
          http
            .request(`${url}/${i}`, { agent, method: "POST" }, (res) => {
              let all = "";
              res
                .on("data", (d) => {
                  all += d;
                })
                .on("end", () => resolve(all));
            })
            .on("error", reject)
            .end("x".repeat(i));
        });
        expect(body).toBe(`POST /${i} ${i} ${OURS}`);
      }
      expect(opened).toBe(1);
      agent.destroy();
      stop();
    });

    test("undici: a pipelining client, and fetch through a dispatcher", async () => {
      const { url, stop } = await kernelHttp();
      const connect = (options: { hostname: string; port: string }, callback: (e: Error | null, s: NodeSocket | null) => void): void => {
        const socket = dial(options);
        socket.once("connect", () => {
          socket.removeListener("error", onError);
          callback(null, socket);
        });
        const onError = (error: Error): void => {
          callback(error, null);
        };
        socket.once("error", onError);
      };
      const client = new Client(url, { pipelining: 10, connect: connect as never });
      const bodies = await Promise.all(Array.from({ length: 50 }, (_, i) => client.request({ path: `/p${i}`, method: "GET" }).then((r) => r.body.text())));
      expect(bodies).toEqual(Array.from({ length: 50 }, (_, i) => `GET /p${i} 0 ${OURS}`));
      await client.close();
      const dispatcher = new Agent({ connect: connect as never });
      const response = await fetch(`${url}/fetched`, { method: "POST", body: "12345", dispatcher });
      expect(await response.text()).toBe(`POST /fetched 5 ${OURS}`);
      await dispatcher.close();
      stop();
    });

    test("ws as a client on createConnection", async () => {
      const child = ns.spawn(process.execPath, [
        "-e",
        `
        const { WebSocketServer } = require(${JSON.stringify(join(import.meta.dirname, "../../node_modules/ws"))});
        const s = new WebSocketServer({ port: 0, host: "${KERNEL}" }, () => console.log(s.address().port));
        s.on("connection", (c) => c.on("message", (m) => c.send(String(m).toUpperCase())));`,
      ]);
      const [line] = await once(child.stdout as NodeJS.ReadableStream, "data");
      const ws = new WebSocket(`ws://${KERNEL}:${String(line).trim()}`, { createConnection: ((o: { port: number; host: string }) => dial(o)) as never });
      await once(ws, "open");
      ws.send("quiet");
      const [message] = await once(ws, "message");
      expect(String(message)).toBe("QUIET");
      ws.close();
      await once(ws, "close");
      child.kill();
    });

    test("TLS as a client, over our socket to the kernel's server", async () => {
      const child = ns.spawn("openssl", [
        "s_server",
        "-accept",
        `${KERNEL}:9443`,
        "-key",
        join(dir, "key.pem"),
        "-cert",
        join(dir, "cert.pem"),
        "-www",
        "-tls1_3",
      ]);
      let said = "";
      for await (const chunk of child.stdout as NodeJS.ReadableStream) if ((said += String(chunk)).includes("ACCEPT")) break;
      const socket = tls.connect({ socket: dial({ port: 9443, host: KERNEL }), ca: readFileSync(join(dir, "cert.pem")), checkServerIdentity: () => undefined });
      await once(socket, "secureConnect");
      expect([socket.authorized, socket.getProtocol()]).toEqual([true, "TLSv1.3"]);
      socket.write("GET / HTTP/1.0\r\n\r\n");
      let page = "";
      for await (const chunk of socket) page += String(chunk);
      expect(page).toContain("TLSv1.3");
      child.kill();
    });

    test("refused, unreachable, and no answer: Node's codes", async () => {
      const error = async (host: string, port: number, extra: object = {}): Promise<string> => {
        const socket = stack.net.connect({ host, port, ...extra });
        const [e] = await once(socket, "error");
        return `${(e as NodeJS.ErrnoException).code} ${(e as Error).message}`;
      };
      expect(await error(KERNEL, 9)).toBe(`ECONNREFUSED connect ECONNREFUSED ${KERNEL}:9`);
      // Nobody has this address on the link: the kernel drops it, and the retries run out.
      expect(await error("10.79.0.99", 9, { tcp: { initialRto: 50, synRetries: 2 } })).toBe("ETIMEDOUT connect ETIMEDOUT 10.79.0.99:9");
      ns.sh("sysctl -qw net.ipv4.ip_forward=1");
      expect(await error("192.0.2.1", 9)).toMatch(/^(EHOSTUNREACH|ENETUNREACH) connect/);
    });

    test.skipIf(netnsMissing("nft") !== undefined)("ICMP unreachable by its code: the errno that Linux would give", async () => {
      ns.sh("nft add table ip t; nft 'add chain ip t in { type filter hook input priority 0; }'");
      for (const [port, type, code] of [
        [6001, "net-unreachable", "ENETUNREACH"],
        [6002, "host-unreachable", "EHOSTUNREACH"],
        [6003, "port-unreachable", "ECONNREFUSED"],
        [6004, "prot-unreachable", "ENOPROTOOPT"],
        [6005, "admin-prohibited", "EHOSTUNREACH"],
      ] as const) {
        ns.sh(`nft add rule ip t in tcp dport ${port} reject with icmp type ${type}`);
        const [error] = await once(stack.net.connect({ host: KERNEL, port }), "error");
        expect([(error as NodeJS.ErrnoException).code, (error as Error).message]).toEqual([code, `connect ${code} ${KERNEL}:${port}`]);
      }
      ns.sh("nft delete table ip t");
    });

    test("a long-lived socket: 2,000 requests one after the other", async () => {
      const child = ns.spawn(process.execPath, [
        "-e",
        `require("node:net").createServer({ noDelay: true }, (s) => s.pipe(s)).listen(9100, "${KERNEL}", () => console.log("up"))`,
      ]);
      await once(child.stdout as NodeJS.ReadableStream, "data");
      const socket = stack.net.connect({ host: KERNEL, port: 9100, noDelay: true });
      await once(socket, "connect");
      for (let i = 0; i < 2_000; i++) {
        socket.write(`query ${i}`);
        const [reply] = await once(socket, "data");
        if (String(reply) !== `query ${i}`) throw new Error(`${String(reply)} for query ${i}`);
      }
      socket.end();
      await once(socket.resume(), "close");
      child.kill();
    });

    test("glasstcp connect: to a server of the kernel's and back, refusal, and time-out", async () => {
      const child = ns.spawn(process.execPath, [
        "-e",
        `
        require("node:net").createServer({ allowHalfOpen: true }, (s) => { let n = 0; s.on("data", (d) => { n += d.length; }).on("end", () => s.end("got " + n + "\\n")); }).listen(9200, () => console.log("up"))`,
      ]);
      await once(child.stdout as NodeJS.ReadableStream, "data");
      const command = (...args: string[]): [string, string[]] => [
        process.execPath,
        ["--import", "tsx", join(import.meta.dirname, "../../src/cli/main.ts"), "connect", ...args],
      ];
      const said = await ns.run(...command("-v", "-N", "-p", "4321", "--offload", offload, "10.78.0.1", "9200"), { input: pattern(3_000_000) });
      expect([said.code, said.stdout]).toEqual([0, "got 3000000\n"]);
      expect(
        said.stderr
          .split("\n")
          .filter((l) => l.includes("→"))
          .map((l) => l.replace(/ +\[.*/, "")),
      ).toEqual([
        "10.78.0.2:4321 > 10.78.0.1:9200  CLOSED → SYN-SENT",
        "10.78.0.2:4321 > 10.78.0.1:9200  SYN-SENT → ESTABLISHED",
        "10.78.0.2:4321 > 10.78.0.1:9200  ESTABLISHED → FIN-WAIT-1",
        "10.78.0.2:4321 > 10.78.0.1:9200  FIN-WAIT-1 → FIN-WAIT-2",
        "10.78.0.2:4321 > 10.78.0.1:9200  FIN-WAIT-2 → TIME-WAIT",
        "10.78.0.2:4321 > 10.78.0.1:9200  TIME-WAIT → CLOSED",
      ]);
      expect(await ns.run(...command("10.78.0.1", "9"))).toMatchObject({
        code: 1,
        stderr: "glasstcp: connect ECONNREFUSED 10.78.0.1:9; nothing listens there\n",
      });
      const late = await ns.run(...command("-w", "0.3", "10.78.0.3", "9"));
      expect([late.code, late.stderr]).toEqual([1, expect.stringMatching(/^glasstcp: connect ETIMEDOUT 10\.78\.0\.3:9; [^\n]*\n$/)]);
      expect((await ns.run(...command("10.78.0.1", "http"))).code).toBe(2);
      expect(ns.sh("ip -o link")).not.toContain("glassc");
      child.kill();
    });

    test("resets both ways", async () => {
      const child = ns.spawn(process.execPath, [
        "-e",
        `
        require("node:net").createServer((s) => { s.on("error", (e) => console.log(e.code)); s.on("data", (d) => String(d) === "reset me" && s.resetAndDestroy()); }).listen(9101, "${KERNEL}", () => console.log("up"))`,
      ]);
      const out = child.stdout as NodeJS.ReadableStream;
      await once(out, "data");
      const one = stack.net.connect({ host: KERNEL, port: 9101 });
      one.write("reset me");
      const [e] = await once(one, "error");
      expect(e).toMatchObject({ code: "ECONNRESET", syscall: "read" });
      const two = stack.net.connect({ host: KERNEL, port: 9101 });
      await once(two, "connect");
      const told = once(out, "data");
      two.resetAndDestroy();
      expect(String((await told)[0])).toBe("ECONNRESET\n");
      child.kill();
    });

    test("events of the stack while somebody listens", async () => {
      const events: TcpEvent[] = [];
      const listener = (event: TcpEvent): void => {
        events.push(event);
      };
      stack.on("event", listener);
      const socket = stack.net.connect({ host: KERNEL, port: 9 });
      await once(socket, "error");
      stack.off("event", listener);
      // What was closed before may still leave TIME-WAIT meanwhile.
      const seen = events.flatMap((e) => (e.kind === "transition" && e.conn.remote === `${KERNEL}:9` ? [`${e.from} → ${e.to}`] : []));
      expect(seen).toEqual(["CLOSED → SYN-SENT", "SYN-SENT → CLOSED"]);
      const before = events.length;
      await once(stack.net.connect({ host: KERNEL, port: 9 }), "error");
      expect(events.length).toBe(before);
    });
  });
});
