/** What needs a client of its own making: keep-alive connections, nc, half-open applications, uploads, and the order of faults. */
import { spawn } from "node:child_process";
import http from "node:http";
import net from "node:net";
import { once } from "node:events";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createPeer, matchers, type Peer, type PeerOptions, peerMissing } from "../../src/testing/index.js";
import { ADDRESS, portOf, startChaos, urlOf } from "../faults/chaos-rig.js";
import { row } from "../faults/client-table.js";
import { curl, fetched, nc, nodeHttp, ssGone, ssSees } from "../faults/clients.js";

expect.extend(matchers);

describe.skipIf(peerMissing("own"))("the chaos preset, with clients of another kind", () => {
  let stop = (): void => {};
  beforeAll(() => {
    stop = startChaos().close;
  });
  afterAll(() => stop());

  test.each([[], ["-d", "x=1"]])(`${row("keep-alive race: curl")}: it hides the reset, with %j as well`, async (...data) => {
    await using peer = await createPeer({ chaos: "keep-alive-race" });
    const twice = await curl(peer.url, ...data, peer.url, "-o", "/dev/null", "-o", "/dev/null");
    expect(twice).toMatchObject({ exit: 0, stderr: "" });
    expect(peer.connections).toHaveLength(2);
    expect(peer.connections[0]).toHaveBeenReset("us");
  });
  test(`${row("keep-alive race: Node http.Agent")}: ECONNRESET to the second request`, async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    expect(await nodeHttp(urlOf("keep-alive-race"), { agent })).toBe(1000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await nodeHttp(urlOf("keep-alive-race"), { agent })).toBe("ECONNRESET");
    agent.destroy();
  });
  test.each(["GET", "POST"])(`${row("keep-alive race: fetch")}: %s on a kept connection fails; nothing is sent again`, async (method) => {
    await using peer = await createPeer({ chaos: "keep-alive-race" });
    const init = method === "POST" ? { method, body: "x=1" } : { method };
    // Right after an answer fetch may take its connection for busy still, and open another: only a kept one is in question.
    for (let kept = 0; kept < 3; ) {
      const before = peer.connections.length;
      const got = await fetched(peer.url, 30_000, init);
      if (peer.connections.length > before) expect(got).toBe(1000);
      else {
        expect(got).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
        kept++;
      }
    }
  });
  test("idle-close: a connection kept too long is closed under the pool, and the next request opens anew", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    expect(await nodeHttp(urlOf("idle-close"), { agent })).toBe(1000);
    // The agent closes its end when the server has: the kernel then has no row left.
    await ssGone(ADDRESS, portOf("idle-close"));
    expect(await nodeHttp(urlOf("idle-close"), { agent })).toBe(1000);
    agent.destroy();
  });

  /** A kept connection is used again when the port's 2 s are over: the waiting itself is the case. */
  const HALF_A_REQUEST_A_SECOND = ["--rate", "24/m"];
  const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2_100));
  test("vanishes: a kept connection that the path has forgotten: the second request waits in vain, and only ss tells why", async () => {
    const url = urlOf("vanishes");
    const waiting = curl(url, ...HALF_A_REQUEST_A_SECOND, "-m", "6", url, "-o", "/dev/null", "-o", "/dev/null");
    await ssSees(ADDRESS, portOf("vanishes"), /^ESTAB 0 [1-9]\d* .* timer:\(on,/);
    expect(await waiting).toMatchObject({ exit: 28, stderr: expect.stringMatching(/\(28\) Operation timed out after \d+ milliseconds with 0 bytes received/) });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    expect(await nodeHttp(url, { agent })).toBe(1000);
    expect(await fetched(url)).toBe(1000);
    await later();
    // fetch keeps a connection for 4 s, the agent for ever.
    expect(await fetched(url, 500)).toBe("TimeoutError");
    expect(await nodeHttp(url, { agent, timeout: 500 })).toBe("TIMEOUT");
    agent.destroy();
  });
  test("half-open, curl: it hides that the server has forgotten the connection", async () => {
    const url = urlOf("half-open");
    expect(await curl(url, ...HALF_A_REQUEST_A_SECOND, url, "-o", "/dev/null", "-o", "/dev/null")).toMatchObject({ exit: 0, stderr: "" });
  });
  test("half-open, Node's http.Agent: its keep-alive probe earns the RST, and the next request finds another connection", async () => {
    await using peer = await createPeer({ chaos: "half-open" });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    expect(await nodeHttp(peer.url, { agent })).toBe(1000);
    await new Promise((resolve) => setImmediate(resolve));
    const [kept] = Object.values(agent.freeSockets).flat();
    await new Promise((resolve) => kept?.once("close", resolve));
    const conn = await (await peer.connection()).ended(60_000);
    expect(conn.events.find((e) => e.kind === "fault")).toMatchObject({ act: "rst", detail: expect.stringMatching(/^in \. /) });
    expect(await nodeHttp(peer.url, { agent })).toBe(1000);
    expect(peer.connections).toHaveLength(2);
    agent.destroy();
  });
  test("half-open, fetch: the request is reset", async () => {
    await using peer = await createPeer({ chaos: "half-open" });
    expect(await fetched(peer.url)).toBe(1000);
    await later();
    expect(await fetched(peer.url)).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
    expect(peer.connections).toHaveLength(1);
  });
  test("flaky: some connections are refused and others are not; who tries again gets through", async () => {
    const all = await Promise.all(Array.from({ length: 40 }, () => nodeHttp(urlOf("flaky"))));
    expect(new Set(all)).toEqual(new Set([1000, "ECONNREFUSED"]));
    expect(await curl(urlOf("flaky"), "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "-o", "/dev/null")).toMatchObject({ exit: 0, status: 200 });
  });

  test(`${row("server's FIN first, the application keeps its end open")}: CLOSE-WAIT; when it closes at last, it is gone`, async () => {
    const socket = net.connect({ host: ADDRESS, port: portOf("closes-first"), allowHalfOpen: true });
    socket.write("GET / HTTP/1.0\r\n\r\n");
    socket.resume();
    await once(socket, "end");
    expect(await ssSees(ADDRESS, portOf("closes-first"), /^CLOSE-WAIT/)).toMatch(/^CLOSE-WAIT \d 0 (?!.*timer)/);
    socket.end();
    await once(socket, "close");
    await ssGone(ADDRESS, portOf("closes-first"));
  });
  test(`${row("FIN and ACK in one")}: the client goes straight to TIME-WAIT`, async () => {
    const socket = net.connect(portOf("ok"), ADDRESS);
    await once(socket, "connect");
    socket.end();
    socket.resume();
    await once(socket, "close");
    expect(await ssSees(ADDRESS, portOf("ok"), /^TIME-WAIT/)).toMatch(/timer:\(timewait,([3-5]\dsec|1min)/);
  });

  test("nc: refused, reset, and cut off", async () => {
    expect(await nc(ADDRESS, portOf("refused"), "", "-v", "-w", "30")).toMatchObject({ exit: 1, stderr: expect.stringMatching(/Connection refused/) });
    const request = "GET / HTTP/1.0\r\n\r\n";
    const cut = await nc(ADDRESS, portOf("fin-mid-body"), request, "-N", "-w", "30");
    expect([cut.exit, cut.stdout.slice(cut.stdout.indexOf("\r\n\r\n") + 4).length]).toEqual([0, 100]);
    // nc takes a reset for an end: its exit code does not tell the two apart.
    const reset = await nc(ADDRESS, portOf("reset-mid-body"), request, "-w", "30");
    expect(reset.stdout.slice(reset.stdout.indexOf("\r\n\r\n") + 4).length).toBeLessThanOrEqual(100);
  });
  test("nc waits in SYN-SENT, and gives up in its own time", async () => {
    const running = nc(ADDRESS, portOf("syn-lost"), "", "-v", "-w", "3");
    await ssSees(ADDRESS, portOf("syn-lost"), /^SYN-SENT/);
    expect(await running).toMatchObject({ exit: 1, stderr: expect.stringMatching(/timed out|in progress/) });
  });
});

describe.skipIf(peerMissing())("one peer", () => {
  const open: Peer[] = [];
  const peerOf = async (options: PeerOptions): Promise<Peer> => {
    const peer = await createPeer(options);
    open.push(peer);
    return peer;
  };
  afterEach(async () => {
    for (const peer of open.splice(0)) await peer.close();
  });

  test("faults compose: SYN,ACK dropped twice, then 5 % loss, then RST at octet 100,000; each act is an event", async () => {
    const peer = await peerOf({ behaviour: "http body 1000000", faults: "synack nth 1,2 drop; data loss 5%; out byte 100000 rst" });
    const c = await curl(peer.url, "-m", "60");
    expect(c).toMatchObject({ exit: 56, status: 200 });
    expect(c.connectS).toBeGreaterThan(0.9);
    const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n".length;
    expect(c.octets).toBe(100_000 - head);
    const [syn, loss, rst] = peer.faults;
    expect([syn?.hits, rst?.hits]).toEqual([2, 1 + peer.events.filter((e) => e.kind === "fault" && e.fault === rst?.id && e.act === "drop").length]);
    const acts = peer.events.filter((e) => e.kind === "fault");
    expect(acts.filter((e) => e.fault === syn?.id).map((e) => e.act)).toEqual(["drop", "drop"]);
    expect(acts.filter((e) => e.fault === loss?.id)).toHaveLength(loss?.hits ?? -1);
    expect(acts.filter((e) => e.fault === loss?.id).every((e) => e.detail.endsWith(": loss 5%"))).toBe(true);
    expect(acts.at(-1)).toMatchObject({ act: "rst", detail: expect.stringMatching(/^out \S+ 100001:.*: at octet 100000, an RST to each end$/) });
    expect(peer.connections[0]).toHaveTraversed(["SYN-RECEIVED", "ESTABLISHED", "CLOSED"]);
    expect(peer.connections[0]).toHaveRetransmitted();
  });

  test(`${row("we SYN the kernel, no third ACK")}: SYN-RECV, and its application hears nothing of us`, async () => {
    const peer = await peerOf({ faults: "out ack3,ack drop" });
    const server = net.createServer().listen(0, peer.hostAddress);
    await once(server, "listening");
    let accepted = 0;
    server.on("connection", () => accepted++);
    const socket = peer.net.connect({ host: peer.hostAddress, port: (server.address() as net.AddressInfo).port, localPort: 40_000 });
    socket.on("error", () => {});
    await once(socket, "connect");
    await ssSees(peer.address, 40_000, /^SYN-RECV 0 0 .* timer:\(on,/);
    expect(accepted).toBe(0);
    socket.destroy();
    server.close();
  });

  test("an upload into a window that never opens: the client's timer is persist, and ss says rwnd_limited", async () => {
    const peer = await peerOf({ behaviour: "discard never-read buffer 4kB" });
    const socket = net.connect(peer.port, peer.address);
    socket.write(Buffer.alloc(200_000));
    socket.on("error", () => {});
    await ssSees(peer.address, peer.port, /timer:\(persist.*rwnd_limited:.*notsent:/, 30_000, "-iO");
    socket.destroy();
  });

  test("hold and release: the client waits in FIN-WAIT-1 exactly as long as the test wants", async () => {
    const peer = await peerOf({});
    const fault = peer.fault("in fin hold");
    const socket = net.connect(peer.port, peer.address);
    await once(socket, "connect");
    socket.end();
    socket.resume();
    await ssSees(peer.address, peer.port, /^FIN-WAIT-1/);
    expect(fault.held).toBeGreaterThan(0);
    fault.release();
    await once(socket, "close");
    await ssSees(peer.address, peer.port, /^TIME-WAIT/);
  });

  test("a peer that vanishes: the client only learns of it by asking (keep-alive)", async () => {
    const peer = await peerOf({ behaviour: "silent" });
    const child = spawn(
      "python3",
      [
        "-c",
        `
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
try:
    s.recv(1)
except OSError as e:
    print(type(e).__name__)
`,
        peer.address,
        String(peer.port),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await (await peer.connection(1, 60_000)).reached("ESTABLISHED");
    const fault = peer.fault("in keepalive drop");
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    expect(said.toString().trim()).toBe("TimeoutError");
    expect(fault.hits).toBeGreaterThanOrEqual(2);
  });

  test("ICMP frag: the kernel lowers its MTU and the upload goes on", async () => {
    const peer = await peerOf({ behaviour: "http", faults: "in len >1000 icmp frag 1000", offload: "off" });
    const c = await curl(peer.url, "-m", "60", "-d", "x".repeat(20_000));
    expect(c).toMatchObject({ exit: 0, status: 200 });
    expect(peer.events.some((e) => e.kind === "fault" && e.act === "icmp")).toBe(true);
  });

  test.each(["auto", "off"] as const)("octet and count conditions mean the same with offload %s", async (offload) => {
    const peer = await peerOf({ behaviour: "http body 500000", faults: "out byte 123456 rst", offload });
    const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 500000\r\n\r\n".length;
    expect((await curl(peer.url)).octets).toBe(123_456 - head);
  });

  test("without faults a peer is a plain server: fetch 50 times, none fails, none is touched", async () => {
    const peer = await peerOf({ behaviour: "http body 10000" });
    const all = await Promise.all(Array.from({ length: 50 }, () => fetched(peer.url)));
    expect(all.every((n) => n === 10_000)).toBe(true);
    expect(peer.events.some((e) => e.kind === "fault")).toBe(false);
  });
});
