/** `glasstcp serve` against the kernel: real clients, real signals, real ends. */
import { createHash } from "node:crypto";
import { connect } from "node:net";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { statusOf } from "../../src/daemon/privileges.js";
import { MAIN, serveIn, SOON_MS, TestDaemon } from "../support/daemon.js";
import { enterMissing, inNetns, netnsMissing, type Netns } from "../support/netns.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "glasstcp-serve-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const links = (ns: Netns): string => ns.sh("ip -br link");
/** One request that the daemon answers for as long as one likes: 64 GB. */
const download = (ns: Netns) => ns.run("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/bytes/68719476736"]);

describe.skipIf(netnsMissing("curl", "nc"))("the daemon and real clients", () => {
  test("curl gets 200, and each transition is in the log, in order, with its cause and rule", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      expect(await ns.must("curl", ["-sS", "-w", "%{http_code}", "-o", "/dev/null", "http://10.77.0.2/"])).toBe("200");
      await daemon.event("closed", { conn: 1 });
      expect(daemon.path(1)).toEqual(["LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"]);
      for (const l of daemon.lines.filter((x) => x.event === "transition")) {
        expect(Object.keys(l)).toEqual(["level", "time", "event", "conn", "local", "remote", "from", "to", "cause", "rule", "ms", "msg"]);
        expect(l).toMatchObject({ level: 30, local: "10.77.0.2:80", remote: expect.stringMatching(/^10\.77\.0\.1:\d+$/) as string });
      }
      expect(daemon.noise).toEqual([]);
      expect(await daemon.stop()).toMatchObject({ code: 0 });
    }));

  test("64 MiB arrive octet for octet, both ways at once", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      const sent = Buffer.alloc(64 * 1024 * 1024);
      for (let i = 0; i < sent.length; i += 4) sent.writeUInt32LE((i * 2_654_435_761) >>> 0, i);
      const file = join(dir, "data"),
        back = join(dir, "back");
      writeFileSync(file, sent);
      await ns.must("curl", ["-sS", "-T", file, "-o", back, "http://10.77.0.2/echo"]);
      const hash = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
      expect(hash(readFileSync(back))).toBe(hash(sent));
      await daemon.stop();
    }));

  test("nc -N ends by four steps, nc to daytime sees our FIN first and leaves us in TIME-WAIT, a closed port refuses", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns, ["--set", "timeWait=300ms"]);
      expect(await ns.must("nc", ["-N", "10.77.0.2", "7"], { input: "hello" })).toBe("hello");
      expect((await ns.must("nc", ["10.77.0.2", "13"])).length).toBeGreaterThan(10);
      expect((await ns.run("curl", ["-sS", "http://10.77.0.2:81/"])).code).toBe(7);
      await daemon.event("transition", { to: "TIME-WAIT" });
      await daemon.event("refused");
      await daemon.line((l) => l.event === "transition" && l.from === "TIME-WAIT" && l.to === "CLOSED");
      expect((await daemon.cli("ss", ["-tanH", "exclude", "listening"])).stdout).toBe("");
      await daemon.stop();
    }));
});

describe.skipIf(netnsMissing("curl"))("wrappers around the device", () => {
  test("capture, bad link and fault at once: the client gets all, the fault is told, the capture is a capture", () =>
    inNetns(async (ns) => {
      const file = join(dir, "glass.pcapng");
      const daemon = await serveIn(ns, [
        "--offload",
        "off",
        "--pcap",
        file,
        "--impair",
        "loss=1%,delay=2ms,seed=3",
        "--fault",
        "port 80: out synack nth 1 drop",
      ]);
      const [code, connect, size] = (
        await ns.must("curl", ["-sS", "-o", "/dev/null", "-w", "%{http_code} %{time_connect} %{size_download}", "http://10.77.0.2/bytes/1000000"])
      ).split(" ");
      expect([code, size]).toEqual(["200", "1000000"]);
      expect(Number(connect)).toBeGreaterThan(0.9);
      expect(await daemon.event("fault")).toMatchObject({ fault: "f1", act: "drop", conn: 1 });
      expect((await daemon.cli("fault", ["ls", "--json"])).stdout).toContain('"hits":1');
      await daemon.stop();
      const capture = readFileSync(file);
      expect(capture.readUInt32BE(0)).toBe(0x0a0d0d0a);
      expect(capture.length).toBeGreaterThan(1_000_000);
    }));
});

describe.skipIf(netnsMissing("curl"))("the end of the daemon", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s while data flows: the client is reset, device and socket are gone, exit 0 at once, no line lost", (signal) =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      const client = download(ns);
      await daemon.event("transition", { to: "ESTABLISHED" });
      const { code, ms } = await daemon.stop(signal);
      expect(code).toBe(0);
      expect(ms).toBeLessThan(SOON_MS);
      expect((await client).code).toBe(56);
      expect(links(ns)).not.toContain("glass0");
      expect(() => statSync(daemon.control)).toThrow("ENOENT");
      expect(daemon.lines.find((l) => l.event === "shutdown")).toMatchObject({ signal, connections: 1 });
      expect(daemon.lines.at(-1)).toMatchObject({ event: "closed", by: "shutdown" });
    }),
  );

  test("the link is deleted under it: one clear line, exit 1", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      ns.sh("ip link del glass0");
      expect((await daemon.exited).code).toBe(1);
      expect(daemon.stderr).toBe("glasstcp: the interface glass0 was deleted (EBADFD); start the daemon again\n");
      expect(daemon.lines.at(-1)).toMatchObject({ event: "device-failed", level: 60 });
    }));

  test("after SIGKILL a new daemon takes the place over, and the old connections' peers learn it by RST", () =>
    inNetns(async (ns) => {
      const control = join(dir, "s");
      const first = await serveIn(ns, ["--control", control]);
      const client = ns.run("curl", ["-sS", "-T", "/dev/zero", "-o", "/dev/null", "http://10.77.0.2/echo"]);
      await first.event("transition", { to: "ESTABLISHED" });
      first.child.kill("SIGKILL");
      await first.exited;
      expect(statSync(control).isSocket()).toBe(true);
      const second = await serveIn(ns, ["--control", control]);
      expect([55, 56]).toContain((await client).code);
      await second.stop();
    }));
});

describe.skipIf(netnsMissing("curl"))("what the daemon refuses", () => {
  const refused = async (ns: Netns, options: string[]): Promise<{ code: number | null; stderr: string }> => {
    const daemon = new TestDaemon(ns, options);
    const { code } = await daemon.exited;
    return { code, stderr: daemon.stderr };
  };
  test("wrong options: exit 2, one line that names the mend, nothing left behind", () =>
    inNetns(async (ns) => {
      for (const [options, words] of [
        [["--service", "gopher:70"], /there is no such service; there are echo/],
        [["--service", "echo:7", "--service", "discard:7"], /has a service already/],
        [["--preset", "calm"], /not one of chaos/],
        [["--impair", "loss=lots"], /--impair: /],
        [["--fault", "port 80: explode"], /--fault: /],
        [["--user", "no-such-user"], /no such user/],
        [["--mtu", "9"], /--mtu 9/],
      ] as const) {
        const { code, stderr } = await refused(ns, [...options]);
        expect(stderr).toMatch(words);
        expect(
          stderr
            .trimEnd()
            .split("\n")
            .filter((l) => l.startsWith("glasstcp: ")),
        ).toHaveLength(1);
        expect(stderr).not.toMatch(/\n\s+at /);
        expect(code).toBe(2);
      }
      expect(links(ns)).not.toContain("glass0");
    }));

  test("a living daemon's control socket: exit 1, the living one unharmed", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      const { code, stderr } = await refused(ns, ["--tun", "glass1", "--host", "10.78.0.1/24", "--address", "10.78.0.2", "--control", daemon.control]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/another glasstcp daemon answers/);
      expect(links(ns)).not.toContain("glass1");
      expect((await daemon.cli("ss", ["-s"])).code).toBe(0);
      await daemon.stop();
    }));

  test("a log that cannot be opened: exit 1", () =>
    inNetns(async (ns) => {
      const { code, stderr } = await refused(ns, ["--log-file", join(dir, "none", "log")]);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/^glasstcp: the log file .* cannot be opened: ENOENT; .*\n$/)]);
    }));
});

describe.skipIf(netnsMissing("curl"))("least privilege", () => {
  test.skipIf(enterMissing())("--user drops uid, gid, groups and every capability, and the daemon goes on working", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns, ["--user", "nobody"]);
      const pid = (JSON.parse(await ns.must("curl", ["-s", "--unix-socket", daemon.control, "http://localhost/v1/status"])) as { pid: number }).pid;
      expect(statusOf(pid)).toMatchObject({ uid: 65_534, gid: 65_534, groups: [], effective: 0n, permitted: 0n, ambient: 0n, noNewPrivileges: true });
      expect(statSync(daemon.control)).toMatchObject({ uid: 65_534, mode: 0o140600 });
      await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
      expect(await daemon.stop()).toMatchObject({ code: 0 });
      expect(links(ns)).not.toContain("glass0");
    }),
  );

  test.skipIf(enterMissing())(
    "the control socket after --user: removed where its directory was made for it; where it must stay, a line says so, and the next daemon replaces it",
    () =>
      inNetns(async (ns) => {
        chmodSync(dir, 0o755);
        const own = join(dir, "own", "s"),
          roots = join(dir, "s");
        const first = await serveIn(ns, ["--user", "nobody", "--control", own]);
        expect(statSync(join(dir, "own"))).toMatchObject({ uid: 65_534, mode: 0o40700 });
        expect(await first.stop()).toMatchObject({ code: 0 });
        expect(readdirSync(join(dir, "own"))).toEqual([]);
        expect(first.lines.filter((l) => l.event === "control")).toEqual([]);
        for (let i = 0; i < 2; i++) {
          const daemon = await serveIn(ns, ["--user", "nobody", "--control", roots]);
          expect(daemon.lines.find((l) => l.event === "control")?.msg).toMatch(/will stay behind.*the next daemon replaces it/);
          expect(await daemon.stop()).toMatchObject({ code: 0 });
          expect(readdirSync(dir)).toContain("s");
        }
      }),
  );

  test.skipIf(enterMissing())("a plain user with an ambient CAP_NET_ADMIN loses it the same way", () =>
    inNetns(async (ns) => {
      chmodSync(dir, 0o755);
      ns.sh(`install -d -o 65534 ${dir}/run`);
      const log = join(dir, "run", "log");
      // A node of its own that this user may open, in a mount namespace: the machine's /dev/net/tun stays as it is.
      const child = ns.spawn("unshare", [
        "-m",
        "sh",
        "-ec",
        `mknod ${dir}/tun c 10 200; chmod 666 ${dir}/tun; mount --bind ${dir}/tun /dev/net/tun; exec "$@"`,
        "sh",
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=+net_admin",
        "--ambient-caps=+net_admin",
        "--",
        process.execPath,
        MAIN,
        "serve",
        "--user",
        "65534:65534",
        "--control",
        join(dir, "run", "s"),
        "--log-file",
        log,
      ]);
      const said = await new Promise<string>((resolve, reject) => {
        let text = "",
          wrong = "";
        child.stderr?.on("data", (c: Buffer) => {
          wrong += c;
        });
        child.stdout?.on("data", (c: Buffer) => {
          text += c;
          if (text.includes("\n")) resolve(text);
        });
        child.once("exit", (code) => reject(new Error(`ended with ${code}: ${wrong}`)));
      });
      expect(JSON.parse(said)).toMatchObject({ event: "ready" });
      const pid = (JSON.parse(await ns.must("curl", ["-s", "--unix-socket", join(dir, "run", "s"), "http://localhost/v1/status"])) as { pid: number }).pid;
      expect(statusOf(pid)).toMatchObject({ uid: 65_534, effective: 0n, permitted: 0n, ambient: 0n, noNewPrivileges: true });
      await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
      const gone = new Promise((resolve) => child.once("exit", resolve));
      process.kill(pid, "SIGTERM");
      await gone;
      expect(readFileSync(log, "utf8")).toContain('"to":"ESTABLISHED"');
    }),
  );
});

describe.skipIf(netnsMissing("curl"))("without any privilege", () => {
  test.skipIf(enterMissing())("a plain user attaches to a persistent TUN that root made for him, and leaves it behind", () =>
    inNetns(async (ns) => {
      chmodSync(dir, 0o755);
      ns.sh(
        `install -d -o 65534 ${dir}/run; ip tuntap add dev glass0 mode tun user 65534 vnet_hdr; ip addr add 10.77.0.1/24 dev glass0; ip link set glass0 up`,
      );
      const control = join(dir, "run", "s");
      const child = ns.spawn("unshare", [
        "-m",
        "sh",
        "-ec",
        `mknod ${dir}/tun c 10 200; chmod 666 ${dir}/tun; mount --bind ${dir}/tun /dev/net/tun; exec "$@"`,
        "sh",
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--bounding-set=-all",
        "--no-new-privs",
        "--",
        process.execPath,
        MAIN,
        "serve",
        "--control",
        control,
      ]);
      await new Promise<void>((resolve, reject) => {
        let wrong = "";
        child.stderr?.on("data", (c: Buffer) => {
          wrong += c;
        });
        child.stdout?.once("data", () => resolve());
        child.once("exit", (code) => reject(new Error(`ended with ${code}: ${wrong}`)));
      });
      await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
      const { pid } = JSON.parse(await ns.must("curl", ["-s", "--unix-socket", control, "http://localhost/v1/status"])) as { pid: number };
      expect(statusOf(pid)).toMatchObject({ uid: 65_534, effective: 0n, permitted: 0n });
      const gone = new Promise((resolve) => child.once("exit", resolve));
      process.kill(pid, "SIGTERM");
      expect(await gone).toBe(0);
      expect(links(ns)).toContain("glass0");
    }),
  );
});

describe.skipIf(netnsMissing("curl"))("faults of the host", () => {
  test("the log's disk is full: the daemon goes on and counts the failed writes", () =>
    inNetns(async (ns) => {
      const daemon = new TestDaemon(ns, ["--log-file", "/dev/full"]);
      await daemon.line((l) => l.event === "ready");
      for (let i = 0; i < 3; i++) await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
      const counters = JSON.parse(await ns.must("curl", ["-s", "--unix-socket", daemon.control, "http://localhost/v1/counters"])) as {
        log: { lines: number; errors: number };
      };
      expect(counters.log.errors).toBeGreaterThan(0);
      expect(counters.log.lines).toBeGreaterThan(15);
      const { code, ms } = await daemon.stop();
      expect(code).toBe(0);
      expect(ms).toBeLessThan(SOON_MS);
    }));

  test("SIGHUP opens the log file again after it was moved", () =>
    inNetns(async (ns) => {
      const log = join(dir, "log");
      const daemon = new TestDaemon(ns, ["--log-file", log]);
      await daemon.line((l) => l.event === "ready");
      ns.sh(`mv ${log} ${log}.1`);
      daemon.child.kill("SIGHUP");
      await expect.poll(() => existsSync(log), { timeout: 60_000, interval: 10 }).toBe(true);
      await ns.must("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"]);
      await daemon.stop();
      expect(readFileSync(`${log}.1`, "utf8")).toContain('"event":"ready"');
      expect(readFileSync(log, "utf8")).toContain('"to":"ESTABLISHED"');
    }));

  test("stopped for a while under load, it goes on where it was", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      const client = ns.run("curl", ["-sS", "-o", "/dev/null", "-w", "%{size_download}", "http://10.77.0.2/bytes/2000000000"]);
      await daemon.event("transition", { to: "ESTABLISHED" });
      daemon.child.kill("SIGSTOP");
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      daemon.child.kill("SIGCONT");
      expect(await client).toMatchObject({ code: 0, stdout: "2000000000" });
      await daemon.stop();
    }));

  test("the link goes down for a while in the middle of a transfer: it goes on when the link is up again", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      const client = ns.run("curl", ["-sS", "-o", "/dev/null", "-w", "%{size_download}", "http://10.77.0.2/bytes/3000000000"]);
      await daemon.event("transition", { to: "ESTABLISHED" });
      ns.sh("ip link set glass0 down; sleep 1; ip link set glass0 up");
      expect(await client).toMatchObject({ code: 0, stdout: "3000000000" });
      expect(daemon.lines.some((l) => l.event === "device-failed")).toBe(false);
      await daemon.stop();
    }));

  test("no descriptor is left: clients of the TUN do not notice, since none of them needs one", () =>
    inNetns(async (ns) => {
      const daemon = await serveIn(ns);
      const used = readdirSync(`/proc/${daemon.child.pid}/fd`).length;
      ns.sh(`prlimit --pid ${daemon.child.pid} --nofile=${used + 10}`);
      const holders = Array.from({ length: 60 }, () => connect(daemon.control).on("error", () => {}));
      while (readdirSync(`/proc/${daemon.child.pid}/fd`).length < used + 9) await new Promise((resolve) => setTimeout(resolve, 10));
      expect(
        (await Promise.all(Array.from({ length: 100 }, () => ns.run("curl", ["-sS", "-o", "/dev/null", "http://10.77.0.2/"])))).every((r) => r.code === 0),
      ).toBe(true);
      for (const h of holders) h.destroy();
      expect((await daemon.cli("ss", ["-s"])).code).toBe(0);
      expect(await daemon.stop()).toMatchObject({ code: 0 });
    }));
});
