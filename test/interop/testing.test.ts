/** `glasstcp/testing` as its users have it: kernel sockets of the test itself, namespaces left as they were, without root, from an installed tarball. */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import net from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PAGES } from "../../scripts/fault-words.js";
import { createPeer, matchers, peerMissing } from "../../src/testing/index.js";
import { enterMissing, realRoot } from "../support/netns.js";

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

const canUnshare = spawnSync("unshare", ["-Urn", "true"]).status === 0;
if (!canUnshare) process.stderr.write("SKIPPED: a user namespace cannot be tried: unshare -Urn is refused here\n");
const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
/** Giving a user without rights a device node of his own takes the machine's root, and a mount namespace to hide the real one. */
const nobodyMissing =
  enterMissing("setpriv") ??
  (realRoot() && spawnSync("unshare", ["-m", ...asNobody, "true"]).status === 0 ? undefined : "a user without rights is tried by the machine's own root");
if (nobodyMissing !== undefined) process.stderr.write(`SKIPPED: ${nobodyMissing}\n`);

describe.skipIf(peerMissing())("from a tarball, in an empty project", () => {
  let dir: string, project: string;
  /** The package as it would be installed; its dependencies are those of this checkout. */
  beforeAll(() => {
    execFileSync("npm", ["run", "build"], { stdio: "ignore" });
    dir = mkdtempSync(join(tmpdir(), "glasstcp-example-"));
    project = join(dir, "project");
    const [packed] = JSON.parse(
      execFileSync("npm", ["pack", "--json", "--pack-destination", dir], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }),
    ) as { filename: string }[];
    cpSync("examples/vitest-client", project, { recursive: true, filter: (path) => !path.includes("node_modules") });
    const modules = join(project, "node_modules");
    mkdirSync(join(modules, "glasstcp"), { recursive: true });
    execFileSync("tar", ["-xzf", join(dir, packed?.filename ?? ""), "-C", join(modules, "glasstcp"), "--strip-components=1"]);
    for (const entry of readdirSync("node_modules")) {
      if (!entry.startsWith(".") && !existsSync(join(modules, entry))) symlinkSync(resolve("node_modules", entry), join(modules, entry));
    }
  }, 600_000);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const vitest = [process.execPath, "node_modules/vitest/vitest.mjs", "run", "--no-color"];
  const inProject = ([command = "", ...args]: readonly string[]): Promise<{ exit: number; output: string }> => run(command, args, project);

  /** @param node what this user may do with /dev/net/tun, in a mount namespace of this call alone */
  const asUser = (node: "open" | "closed", command: readonly string[]): Promise<{ exit: number; output: string }> => {
    // What was made as root, others may not write to.
    execFileSync("chmod", ["-R", "a+rwX", dir]);
    const line = 'n=$(mktemp -u "$1/tun-XXXXXX"); mknod "$n" c 10 200; chmod "$2" "$n"; mount --bind "$n" /dev/net/tun; shift 2; exec "$@"';
    const mode = node === "open" ? "666" : "600";
    return inProject(["unshare", "-m", "--propagation", "private", "sh", "-ec", line, "sh", dir, mode, ...asNobody, "env", `HOME=${dir}`, ...command]);
  };

  test("the example's types fit, and its client meets the ten misbehaviours as root", async () => {
    expect(await inProject([process.execPath, "node_modules/typescript/bin/tsc", "-p", "."])).toEqual({ exit: 0, output: "" });
    expect((await inProject(vitest)).output).toMatch(/Tests\s+11 passed/);
  });
  test("the example in docs/misbehaviour.md, in both languages, is one that types and passes", async () => {
    const made = PAGES.map((page, i) => {
      const code = /^```ts\n([^]*?)^```$/m.exec(readFileSync(page, "utf8"))?.[1] ?? "";
      const file = join(project, "test", `page-${i}.test.ts`);
      writeFileSync(file, code);
      return file;
    });
    expect(await inProject([process.execPath, "node_modules/typescript/bin/tsc", "-p", "."])).toEqual({ exit: 0, output: "" });
    expect((await inProject([...vitest, "test/page-"])).output).toMatch(/Tests\s+2 passed/);
    for (const file of made) rmSync(file);
  });
  test.skipIf(!canUnshare)("in a user namespace", async () => {
    expect((await inProject(["unshare", "-Urn", ...vitest])).output).toMatch(/Tests\s+11 passed/);
  });
  test.skipIf(nobodyMissing !== undefined || !canUnshare)("a user without any right meets all of them, where the device is open to him", async () => {
    expect((await asUser("open", ["unshare", "-Urn", ...vitest])).output).toMatch(/Tests\s+11 passed/);
  });
  test.skipIf(nobodyMissing !== undefined || !canUnshare)("without a namespace his tests are skipped, and the one command is named", async () => {
    const { exit, output } = await asUser("open", vitest);
    expect([exit, output]).toEqual([0, expect.stringMatching(/Tests\s+11 skipped/)]);
    // In a container the command is another, and unshare works or does not as the container's maker wanted it.
    expect(output).toMatch(/SKIPPED: making a network interface needs CAP_NET_ADMIN; (unshare -Urn npx vitest run|add to docker run: .*)\n/);
  });
  test.skipIf(nobodyMissing !== undefined || !canUnshare)(
    "where the device is closed to him, both commands are named at once; in a namespace, the one that is left",
    async () => {
      const { exit, output } = await asUser("closed", vitest);
      expect([exit, output]).toEqual([0, expect.stringMatching(/Tests\s+11 skipped/)]);
      expect(output).toMatch(
        /SKIPPED: \/dev\/net\/tun .*\(EACCES\).*, and making a network interface needs CAP_NET_ADMIN; .*unshare -Urn|SKIPPED: .* add to docker run: /,
      );
      expect((await asUser("closed", ["unshare", "-Urn", ...vitest])).output).toMatch(/SKIPPED: \/dev\/net\/tun .*\(EACCES\); /);
    },
  );
});
