/** `glasstcp/testing` as its users have it: kernel sockets of the test itself, namespaces left as they were, without root, from an installed tarball. */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import net from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { createPeer, matchers, peerMissing } from "../../src/testing/index.js";

expect.extend(matchers);

const run = (command: string, args: readonly string[], cwd = "."): Promise<{ exit: number; output: string }> =>
  new Promise((done) => {
    execFile(command, [...args], { cwd, encoding: "utf8", maxBuffer: 1 << 24 }, (error, stdout, stderr) =>
      done({ exit: error === null ? 0 : Number(error.code), output: stdout + stderr }),
    );
  });
const namespace = (): string => readlinkSync("/proc/thread-self/ns/net");

describe.skipIf(peerMissing())("with kernel sockets", () => {
  test("the thread has a network of its own as long as a peer lives, and comes home when the last one closes", async () => {
    const home = namespace(),
      before = Object.keys(networkInterfaces());
    const one = await createPeer(),
      two = await createPeer();
    expect(namespace()).not.toBe(home);
    expect(Object.keys(networkInterfaces()).filter((name) => name !== "lo")).toHaveLength(2);
    expect(await (await fetch(one.url)).text()).toHaveLength(1000);
    await one.close();
    expect(namespace()).not.toBe(home);
    expect(await (await fetch(two.url)).text()).toHaveLength(1000);
    await two.close();
    expect(namespace()).toBe(home);
    expect(Object.keys(networkInterfaces())).toEqual(before);
  });
  test("sockets from before keep working while the thread is elsewhere", async () => {
    const server = net.createServer((s) => s.pipe(s)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
    await once(socket, "connect");
    const peer = await createPeer();
    socket.write("still here");
    expect(String((await once(socket, "data"))[0])).toBe("still here");
    await peer.close();
    socket.destroy();
    server.close();
  });
  test("child processes of the test reach the peer; nothing else is reachable", async () => {
    const peer = await createPeer();
    expect((await run("curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", peer.url])).output).toBe("200");
    const elsewhere = net.connect(9, "192.0.2.1");
    expect(((await once(elsewhere, "error")) as [NodeJS.ErrnoException])[0].code).toBe("ENETUNREACH");
    await peer.close();
  });
  test("a server under test is reached by the peer, which resets in the middle", async () => {
    const peer = await createPeer();
    const server = net.createServer().listen(0, peer.hostAddress);
    await once(server, "listening");
    const accepted = once(server, "connection");
    const mine = peer.net.connect((server.address() as net.AddressInfo).port, peer.hostAddress);
    const [[theirs]] = (await Promise.all([accepted, once(mine, "connect")])) as [[net.Socket], unknown];
    const failed = once(theirs, "error");
    mine.resetAndDestroy();
    expect(((await failed) as [NodeJS.ErrnoException])[0].code).toBe("ECONNRESET");
    server.close();
    await peer.close();
  });
  test("await using closes the peer at the end of the block", async () => {
    const home = namespace();
    {
      await using peer = await createPeer();
      expect(namespace()).not.toBe(home);
      expect(peer.address).toMatch(/^10\.77\.\d+\.2$/);
    }
    expect(namespace()).toBe(home);
  });
});

const asNobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
const canBeNobody = process.getuid?.() === 0 && spawnSync("setpriv", [...asNobody, "true"]).status === 0;
const canUnshare = spawnSync("unshare", ["-Urn", "true"]).status === 0;
if (!canBeNobody) process.stderr.write("SKIPPED: a user without rights cannot be tried: setpriv and root are needed for that\n");
if (!canUnshare) process.stderr.write("SKIPPED: a user namespace cannot be tried: unshare -Urn is refused here\n");

describe.skipIf(peerMissing())("from a tarball, in an empty project", () => {
  /** The package as it would be installed; its dependencies are those of this checkout. */
  const install = (): string => {
    execFileSync("npm", ["run", "build"], { stdio: "ignore" });
    const dir = mkdtempSync(join(tmpdir(), "glasstcp-example-"));
    const tarball =
      (
        JSON.parse(execFileSync("npm", ["pack", "--json", "--pack-destination", dir], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })) as {
          filename: string;
        }[]
      )[0]?.filename ?? "";
    cpSync("examples/vitest-client", join(dir, "project"), { recursive: true, filter: (path) => !path.includes("node_modules") });
    const modules = join(dir, "project", "node_modules");
    mkdirSync(join(modules, "glasstcp"), { recursive: true });
    execFileSync("tar", ["-xzf", join(dir, tarball), "-C", join(modules, "glasstcp"), "--strip-components=1"]);
    for (const entry of readdirSync("node_modules")) {
      if (!entry.startsWith(".") && !existsSync(join(modules, entry))) symlinkSync(resolve("node_modules", entry), join(modules, entry));
    }
    execFileSync("chmod", ["-R", "a+rwX", dir]);
    return dir;
  };
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--no-color"];

  test("the example's client meets its ten misbehaviours, as root, as a user with a namespace, and is skipped aloud without", async () => {
    const dir = install(),
      project = join(dir, "project");
    try {
      const typed = await run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "."], project);
      expect(typed).toEqual({ exit: 0, output: "" });
      const asRoot = await run(process.execPath, vitest, project);
      expect(asRoot.output).toMatch(/Tests\s+11 passed/);
      // What vitest made as root, others may not write to.
      execFileSync("chmod", ["-R", "a+rwX", dir]);
      if (canUnshare) {
        const inNamespace = await run("unshare", ["-Urn", process.execPath, ...vitest], project);
        expect(inNamespace.output).toMatch(/Tests\s+11 passed/);
      }
      if (canBeNobody) {
        const without = await run("setpriv", [...asNobody, "env", `HOME=${dir}`, process.execPath, ...vitest], project);
        expect(without.output).toMatch(
          /SKIPPED: (\/dev\/net\/tun cannot be opened: EACCES; sudo chmod|making a network interface needs CAP_NET_ADMIN; without root: unshare -Urn)/,
        );
        expect(without.output).toMatch(/Tests\s+11 skipped/);
        expect(without.exit).toBe(0);
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }, 120_000);
});
