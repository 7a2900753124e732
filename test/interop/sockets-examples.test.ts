/** Every example runs, against the kernel's clients where it has a TUN. */
import { execFileSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeNetns, netnsMissing, type Netns } from "../support/netns.js";

const ROOT = join(import.meta.dirname, "../..");
const env = { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, "examples/tsconfig.json") };
const args = (name: string, ...more: string[]): string[] => ["--import", "tsx", join(ROOT, "examples", name), ...more];

test("two-stacks", () => {
  const said = execFileSync(process.execPath, args("two-stacks.ts"), { cwd: ROOT, env, encoding: "utf8", timeout: 120_000 });
  expect(said).toContain("alice  got back: hello from one stack to the other\n");
  expect(said.match(/^bob +(.*?) {2}/gm)?.map((line) => line.trim())).toEqual([
    "bob    LISTEN → SYN-RECEIVED",
    "bob    SYN-RECEIVED → ESTABLISHED",
    "bob    ESTABLISHED → CLOSE-WAIT",
    "bob    CLOSE-WAIT → LAST-ACK",
    "bob    LAST-ACK → CLOSED",
  ]);
});

const why = netnsMissing("curl", "nc", "openssl");
describe.skipIf(why !== undefined)("with a TUN", () => {
  let ns: Netns, dir: string;
  beforeAll(async () => {
    ns = await makeNetns();
    dir = mkdtempSync(join(tmpdir(), "glasstcp-examples-"));
  });
  afterAll(async () => {
    await ns.close();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Starts an example and waits for its first line; `stop` ends it as Ctrl-C does and gives what it said. */
  const start = async (name: string, ...more: string[]): Promise<{ child: ChildProcess; said: () => string; stop(): Promise<number | null> }> => {
    const child = ns.spawn(process.execPath, args(name, ...more), { cwd: ROOT, env });
    let all = "";
    child.stdout?.on("data", (d) => {
      all += String(d);
    });
    child.stderr?.on("data", (d) => {
      all += String(d);
    });
    await Promise.race([
      new Promise<void>((ready) => {
        const look = (): void => {
          if (/listening|→|answers/.test(all)) ready();
        };
        child.stdout?.on("data", look);
        child.stderr?.on("data", look);
      }),
      once(child, "exit").then(() => {
        throw new Error(`${name} ended: ${all}`);
      }),
    ]);
    return {
      child,
      said: () => all,
      async stop() {
        child.kill("SIGINT");
        const [code] = await once(child, "exit");
        return code as number | null;
      },
    };
  };

  test("http-server", async () => {
    const example = await start("http-server.ts");
    expect(await ns.must("curl", ["-sS", "http://10.81.0.2/hello"])).toMatch(/^GET \/hello\nstate ESTABLISHED, srtt [\d.]+ ms, cwnd \d+ octets\n$/);
    expect(await example.stop()).toBe(0);
  });

  test("tls-server", async () => {
    const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
    execFileSync(
      "openssl",
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=glass"],
      { stdio: "ignore" },
    );
    const example = await start("tls-server.ts", key, cert);
    const session = ns.spawn("openssl", ["s_client", "-connect", "10.82.0.2:443", "-quiet", "-CAfile", cert]);
    let got = "";
    session.stdout?.on("data", (d) => {
      got += String(d);
    });
    session.stdin?.write("over and back\n");
    await expect.poll(() => got, { timeout: 60_000 }).toMatch(/^TLSv1\.3, TLS_\w+\nover and back\n$/);
    session.kill();
    expect(await example.stop()).toBe(0);
  });

  test("honeypot", async () => {
    const example = await start("honeypot.ts", "10.83.1.0/24");
    await ns.run("nc", ["-N", "10.83.1.99", "3389"], { input: "who is there?" });
    await ns.run("curl", ["-sS", "-m", "5", "http://10.83.1.7:8080/admin"]);
    await expect
      .poll(
        () =>
          example
            .said()
            .split("\n")
            .filter((l) => l.startsWith("{")).length,
        { timeout: 60_000 },
      )
      .toBe(2);
    const heard = example
      .said()
      .split("\n")
      .filter((l) => l.startsWith("{"))
      .map((l) => JSON.parse(l) as Record<string, unknown>);
    expect(heard).toContainEqual(expect.objectContaining({ to: "10.83.1.99:3389", octets: 13, text: "who is there?" }));
    expect(heard).toContainEqual(expect.objectContaining({ to: "10.83.1.7:8080", text: expect.stringMatching(/^GET \/admin HTTP/) }));
    expect(await example.stop()).toBe(0);
  });

  test("tcp-proxy", async () => {
    const kernel = ns.spawn(process.execPath, [
      "-e",
      'require("node:http").createServer((q, s) => q.pipe(s)).listen(8080, "127.0.0.1", () => console.log("up"))',
    ]);
    await once(kernel.stdout as NodeJS.ReadableStream, "data");
    const example = await start("tcp-proxy.ts", "127.0.0.1", "8080");
    const body = "through the proxy ".repeat(50_000);
    expect(await ns.must("curl", ["-sS", "--data-binary", "@-", "http://10.84.0.2/"], { input: body })).toBe(body);
    kernel.kill();
    expect(await example.stop()).toBe(0);
  });
});
