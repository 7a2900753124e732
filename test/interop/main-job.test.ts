/** The main job under load and under fire: every byte arrives, also over a lossy link; nothing stays behind; nonsense from the wire does no harm. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import koffi from "koffi";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pattern } from "../../src/apps/chargen.js";
import { type TestDaemon, serveIn } from "../support/daemon.js";
import { enterMissing, inNetns, type Netns, netnsMissing } from "../support/netns.js";
import { describeUnless } from "../support/skip.js";

const MIB = 1024 * 1024,
  SIZE = 64 * MIB;
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
let dir: string, file: string, upHash: string;
/** /bytes sends the pattern of RFC 864 in blocks of 256 KiB. What is unlike everywhere is the upload, which comes back by /echo. */
const BLOCK = 256 * 1024;
const downHash = sha256(Buffer.alloc(SIZE, pattern(BLOCK)));

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "main-job-"));
  file = join(dir, "up");
  const up = Buffer.alloc(SIZE);
  for (let i = 0, x = 1; i < SIZE; i += 4) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0; // no two blocks alike, so that a block in the wrong place shows
    up.writeUInt32LE(x, i);
  }
  writeFileSync(file, up);
  upHash = sha256(up);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const hashed = async (ns: Netns, curl: string): Promise<string> =>
  (await ns.must("sh", ["-c", `curl -sS --fail ${curl} | sha256sum`], { timeoutMs: 250_000 })).slice(0, 64);
const down = (ns: Netns): Promise<string> => hashed(ns, `http://10.77.0.2/bytes/${SIZE}`);
const up = (ns: Netns): Promise<string> => hashed(ns, `-T ${file} http://10.77.0.2/echo`);

/** Drops 2 of 100 packets at random, in both directions. */
const lossy = (ns: Netns): string =>
  ns.sh(`nft add table ip loss
    nft 'add chain ip loss in { type filter hook input priority 0; }'
    nft 'add chain ip loss out { type filter hook postrouting priority 0; }'
    nft add rule ip loss in iifname glass0 numgen random mod 100 lt 2 counter drop
    nft add rule ip loss out oifname glass0 numgen random mod 100 lt 2 counter drop`);

async function everythingIsOver(daemon: TestDaemon): Promise<void> {
  await expect.poll(async () => (await daemon.cli("ss", ["-tanH", "exclude", "listening"])).stdout, { timeout: 60_000, interval: 100 }).toBe("");
}

describeUnless(netnsMissing("curl", "nft"), "64 MiB by curl", () => {
  for (const offload of ["auto", "off"]) {
    test(
      `down and up arrive octet for octet (offload ${offload})`,
      () =>
        inNetns(async (ns) => {
          const daemon = await serveIn(ns, ["--offload", offload]);
          expect(await down(ns)).toBe(downHash);
          expect(await up(ns)).toBe(upHash);
          await daemon.stop();
        }),
      300_000,
    );

    test(
      `the same with 2 % of the packets dropped both ways (offload ${offload})`,
      () =>
        inNetns(async (ns) => {
          const daemon = await serveIn(ns, ["--offload", offload]);
          lossy(ns);
          expect(await down(ns)).toBe(downHash);
          expect(await up(ns)).toBe(upHash);
          const dropped = [...ns.sh("nft list table ip loss").matchAll(/counter packets (\d+)/g)].map((m) => Number(m[1]));
          expect(Math.min(...dropped)).toBeGreaterThan(0);
          await daemon.stop();
        }),
      300_000,
    );
  }

  test(
    "four at once, two down and two up, over the lossy link",
    () =>
      inNetns(async (ns) => {
        const daemon = await serveIn(ns);
        lossy(ns);
        expect(await Promise.all([down(ns), up(ns), down(ns), up(ns)])).toEqual([downHash, upHash, downHash, upHash]);
        await daemon.stop();
      }),
    300_000,
  );
});

describeUnless(netnsMissing("curl"), "many connections", () => {
  const config = (url: string, times: number): string => `url = "http://10.77.0.2${url}"\noutput = "/dev/null"\n`.repeat(times);
  const connects = async (ns: Netns, urls: string, ...options: string[]): Promise<string[]> =>
    (
      await ns.must("curl", ["-sS", "--fail", "-H", "Connection: close", "-w", "%{http_code} %{num_connects}\n", ...options, "--config", "-"], {
        input: urls,
      })
    )
      .trim()
      .split("\n");

  test(
    "1,000 one after the other, then 200 at once: all answered, nothing left after 2 MSL",
    () =>
      inNetns(async (ns) => {
        const daemon = await serveIn(ns, ["--set", "timeWait=300ms"]);
        expect(await connects(ns, config("/healthz", 1_000))).toEqual(Array.from({ length: 1_000 }, () => "200 1"));
        // Each holds its connection for eight seconds, so that they are there together when they are counted.
        const together = connects(ns, config("/slow/8000", 200), "--parallel", "--parallel-immediate", "--parallel-max", "200");
        await expect
          .poll(async () => (await daemon.cli("ss", ["-tnH", "state", "established"])).stdout.trim().split("\n").length, { timeout: 60_000, interval: 20 })
          .toBeGreaterThan(100);
        expect(await together).toEqual(Array.from({ length: 200 }, () => "200 1"));
        await everythingIsOver(daemon);
        const over = (): number[] =>
          [daemon.lines.filter((l) => l.event === "closed"), daemon.lines.filter((l) => l.event === "transition" && l.to === "CLOSED")].map((l) => l.length);
        await daemon.line(() => over().every((n) => n >= 1_200));
        expect(over()).toEqual([1_200, 1_200]);
        await daemon.stop();
      }),
    300_000,
  );
});

describeUnless(netnsMissing("curl"), "a peer that is gone", () => {
  test(
    "its address is removed in the middle of a download: closed by timeout, nothing leaks",
    () =>
      inNetns(async (ns) => {
        const daemon = await serveIn(ns, ["--set", "retries2=4", "--set", "maxRto=1s", "--set", "orphanRetries=2"]);
        const client = ns.spawn("curl", ["-sS", "-o", "/dev/null", "--limit-rate", "1M", "http://10.77.0.2/bytes/1000000000"]);
        await daemon.event("transition", { to: "ESTABLISHED" });
        ns.sh("ip addr del 10.77.0.1/24 dev glass0");
        expect(await daemon.event("closed", { conn: 1 })).toMatchObject({ by: "timeout", retransmits: expect.any(Number) as number });
        expect(daemon.path(1).slice(-2)).toEqual(["ESTABLISHED", "CLOSED"]);
        client.kill("SIGKILL");
        await everythingIsOver(daemon);
        ns.sh("ip addr add 10.77.0.1/24 dev glass0");
        expect(await ns.must("curl", ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://10.77.0.2/"])).toBe("200");
        await daemon.stop();
      }),
    180_000,
  );
});

/** Frames as they are onto the interface: AF_PACKET takes what no IP layer would send. */
function rawSender(ns: Netns): { send(frame: Uint8Array): void; close(): void } {
  const libc = koffi.load(null);
  const socket = libc.func("int socket(int, int, int)") as (domain: number, type: number, protocol: number) => number;
  const sendto = libc.func("int64_t sendto(int, const uint8_t *, size_t, int, const uint8_t *, uint32_t)") as (
    fd: number,
    frame: Uint8Array,
    n: number,
    flags: number,
    to: Uint8Array,
    toLength: number,
  ) => number;
  const close = libc.func("int close(int)") as (fd: number) => number;
  const AF_PACKET = 17,
    SOCK_DGRAM = 2,
    ETH_P_IP = 0x0800;
  const index = Number(ns.sh("cat /proc/net/dev >/dev/null; ip -o link show glass0").split(":")[0]);
  const fd = ns.enter(() => socket(AF_PACKET, SOCK_DGRAM, 0));
  if (fd < 0) throw new Error(`no packet socket: errno ${koffi.errno()}`);
  const to = Buffer.alloc(20); // struct sockaddr_ll
  to.writeUInt16LE(AF_PACKET, 0);
  to.writeUInt16BE(ETH_P_IP, 2);
  to.writeInt32LE(index, 4);
  return {
    send(frame) {
      if (sendto(fd, frame, frame.length, 0, to, to.length) < 0) throw new Error(`a frame of ${frame.length} octets was not taken: errno ${koffi.errno()}`);
    },
    close: () => void close(fd),
  };
}

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
/** An IPv4 packet with a TCP segment, right in every way until `spoil` has been at it. */
function packet(
  options: { flags?: number; tcpOptions?: readonly number[]; text?: number; fragment?: number; id?: number; badChecksum?: boolean; offset?: number } = {},
): Buffer {
  const more = Buffer.from(options.tcpOptions ?? []);
  const header = 20 + more.length,
    tcp = Buffer.alloc(header + (options.text ?? 0), 0x61);
  tcp.writeUInt16BE(40_000, 0);
  tcp.writeUInt16BE(80, 2);
  tcp.writeUInt32BE(1_000, 4);
  tcp.writeUInt32BE(0, 8);
  tcp[12] = (options.offset ?? header / 4) << 4;
  tcp[13] = options.flags ?? 2;
  tcp.writeUInt16BE(65_535, 14);
  tcp.writeUInt32BE(0, 16);
  more.copy(tcp, 20);
  const ip = Buffer.alloc(20);
  ip[0] = 0x45;
  ip.writeUInt16BE(Math.min(65_535, 20 + tcp.length), 2);
  ip.writeUInt16BE(options.id ?? 1, 4);
  ip.writeUInt16BE(options.fragment ?? 0, 6);
  ip[8] = 64;
  ip[9] = 6;
  ip.set([10, 77, 0, 1, 10, 77, 0, 2], 12);
  ip.writeUInt16BE(checksum(ip), 10);
  const pseudo = Buffer.concat([ip.subarray(12, 20), Buffer.from([0, 6, tcp.length >>> 8, tcp.length & 0xff]), tcp]);
  tcp.writeUInt16BE(checksum(pseudo) ^ (options.badChecksum === true ? 0x5555 : 0), 16);
  return Buffer.concat([ip, tcp]);
}

/** The largest MTU that Linux gives a TUN interface: 65,535 less the header of a link layer that it does not have. */
const LARGEST = 65_521;

describeUnless(enterMissing("curl"), "nonsense from the wire", () => {
  test(
    "short, wrong and hostile frames are counted, the daemon goes on, and curl still works",
    () =>
      inNetns(async (ns) => {
        const daemon = await serveIn(ns, ["--mtu", String(LARGEST)]);
        const raw = rawSender(ns);
        const whole = packet();
        const version6 = Buffer.from(whole);
        version6[0] = 0x65;
        const tooLong = Buffer.from(whole);
        tooLong.writeUInt16BE(4_000, 2);
        tooLong.writeUInt16BE(0, 10);
        tooLong.writeUInt16BE(checksum(tooLong.subarray(0, 20)), 10);
        const badHeaderSum = Buffer.from(whole);
        badHeaderSum.writeUInt16BE(badHeaderSum.readUInt16BE(10) ^ 1, 10);
        const frames: Buffer[] = [
          whole.subarray(0, 1),
          whole.subarray(0, 19),
          whole.subarray(0, 20),
          whole.subarray(0, 39),
          version6,
          tooLong,
          badHeaderSum,
          packet({ badChecksum: true }),
          packet({ offset: 4 }),
          packet({ offset: 0 }),
          packet({ offset: 15 }),
          packet({ tcpOptions: [2, 40, 1, 1] }),
          packet({ tcpOptions: [2, 0, 1, 1] }),
          packet({ tcpOptions: [8, 1, 1, 1] }),
          packet({ tcpOptions: [254, 4, 1, 1] }),
          ...Array.from({ length: 256 }, (_, flags) => packet({ flags })), // flag soup
          packet({ fragment: 0x2000, text: 1_000 }),
          packet({ fragment: 0x2000 | 125, text: 1_000 }),
          packet({ fragment: 0x1fff, text: 8 }),
          packet({ fragment: 0x2000, id: 2, text: 8 }),
          packet({ text: LARGEST - 40 }),
        ];
        for (const frame of frames) raw.send(frame);
        for (let i = 0; i < 2_000; i++)
          raw.send(Buffer.from(Array.from({ length: 20 + (i % 60) }, (_, at) => (at === 0 ? 0x45 : (Math.imul(i + 1, 2_654_435_761) >>> (at % 24)) & 0xff))));
        raw.close();
        expect(await ns.must("curl", ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://10.77.0.2/"])).toBe("200");
        // Frames of a host that is not ours or wrong below TCP are counted by the rule that dropped them, not logged one by one.
        const counted = JSON.parse(await ns.must("curl", ["-sS", "--unix-socket", daemon.control, "http://localhost/v1/counters"])) as {
          rules: Record<string, number>;
        };
        const reasons = ["ip-short", "ip-version", "791-total-length", "1122-3.2.1.2", "9293-MUST-3", "9293-3.1-data-offset", "9293-MUST-7"];
        expect(reasons.filter((reason) => (counted.rules[reason] ?? 0) === 0)).toEqual([]);
        expect(daemon.child.exitCode).toBeNull();
        expect(daemon.noise).toEqual([]);
        expect(daemon.stderr).toBe("");
        expect(await daemon.stop()).toMatchObject({ code: 0 });
      }),
    180_000,
  );
});
