/**
 * Byte-exact streams against the kernel's TCP over bad links: loss, reordering, duplication, delay, tiny windows, small and
 * large MTUs, options switched off on the kernel's side. The kernel is the client (curl to our /echo) and the server (our
 * active open to an echo). Either way both directions are full at once.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MAIN, serveIn, type TestDaemon } from "../support/daemon.js";
import { inNetns, type Netns, netnsMissing } from "../support/netns.js";
import { describeUnless } from "../support/skip.js";

const KIB = 1024;
let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "kernel-stream-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Octets no two blocks of which are alike. @returns file and hash */
function stream(octets: number): { file: string; hash: string } {
  const bytes = Buffer.alloc(octets);
  for (let i = 0, x = 88_172_645; i + 4 <= octets; i += 4) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(x, i);
  }
  const file = join(dir, `${octets}`);
  writeFileSync(file, bytes);
  return { file, hash: createHash("sha256").update(bytes).digest("hex") };
}

interface Condition {
  readonly name: string;
  readonly octets: number;
  /** How many of 100 packets nftables drops, each way. */
  readonly loss?: number;
  readonly impair?: string;
  readonly mtu?: number;
  readonly set?: readonly string[];
  /** Of the kernel. */
  readonly sysctl?: readonly string[];
  readonly offload?: "auto" | "off";
}

/** What may differ on both sides alike. */
const BOTH: readonly Condition[] = [
  { name: "1 % loss", octets: 2_048 * KIB, loss: 1 },
  { name: "5 % loss of super-segments", octets: 8_192 * KIB, loss: 5, offload: "auto" },
  { name: "5 % loss", octets: 1_024 * KIB, loss: 5 },
  { name: "15 % loss", octets: 96 * KIB, loss: 15 },
  { name: "tiny windows", octets: 128 * KIB, set: ["receiveBuffer=2048", "sendBuffer=4096"] },
  { name: "MTU 576", octets: 1_024 * KIB, mtu: 576, loss: 1 },
  { name: "MTU 9000", octets: 4_096 * KIB, mtu: 9_000, loss: 1 },
  { name: "no timestamps", octets: 1_024 * KIB, loss: 1, sysctl: ["net.ipv4.tcp_timestamps=0"] },
  { name: "no SACK", octets: 512 * KIB, loss: 1, sysctl: ["net.ipv4.tcp_sack=0"] },
  { name: "no window scaling", octets: 1_024 * KIB, loss: 1, sysctl: ["net.ipv4.tcp_window_scaling=0"] },
  { name: "none of the three", octets: 512 * KIB, loss: 1, sysctl: ["net.ipv4.tcp_timestamps=0", "net.ipv4.tcp_sack=0", "net.ipv4.tcp_window_scaling=0"] },
];
/** The impairing device belongs to the daemon. */
const IMPAIRED: readonly Condition[] = [
  { name: "reordering and duplication", octets: 1_024 * KIB, impair: "delay=2ms,jitter=1ms,reorder=10%,duplicate=5%" },
  { name: "damaged frames", octets: 512 * KIB, impair: "corrupt=2%" },
  { name: "a round trip of 100 ms", octets: 2_048 * KIB, impair: "delay=50ms" },
  { name: "100 ms, loss, reordering and duplication", octets: 128 * KIB, impair: "delay=50ms,loss=1%,reorder=5%,duplicate=5%" },
];

const prepare = (ns: Netns, c: Condition): void => {
  for (const line of c.sysctl ?? []) ns.sh(`echo ${line.split("=")[1]} > /proc/sys/${(line.split("=")[0] as string).replaceAll(".", "/")}`);
};
/**
 * So many packets of each hundred, alone and in pairs, counted out: each stream loses some for certain, and none waits for as many
 * retries as chance may ask for once in a thousand runs.
 */
function lose(ns: Netns, percent: number): void {
  const lost: number[] = [];
  for (let k = 0; lost.length < percent; k++) {
    const at = (30 + 37 * k) % 100;
    lost.push(at);
    if (k % 2 === 1 && lost.length < percent) lost.push(at + 1);
  }
  const which = `numgen inc mod 100 vmap { ${lost.map((at) => `${at} : goto gone`).join(", ")} }`;
  ns.sh(`nft add table ip loss
    nft add chain ip loss gone
    nft add rule ip loss gone counter drop
    nft 'add chain ip loss in { type filter hook input priority 0; }'
    nft 'add chain ip loss out { type filter hook postrouting priority 0; }'
    nft 'add rule ip loss in iifname != lo ${which}'
    nft 'add rule ip loss out oifname != lo ${which}'`);
}
const dropped = (ns: Netns): number => [...ns.sh("nft list table ip loss").matchAll(/counter packets (\d+)/g)].reduce((sum, m) => sum + Number(m[1]), 0);
const common = (c: Condition): string[] => [
  "--offload",
  c.offload ?? (c.loss === undefined ? "auto" : "off"),
  "--mtu",
  `${c.mtu ?? 1_500}`,
  ...(c.set ?? []).flatMap((s) => ["--set", s]),
];

const nothingLeft = (daemon: TestDaemon): Promise<void> =>
  expect
    .poll(async () => (await daemon.cli("ss", ["-tanH", "exclude", "listening", "exclude", "time-wait"])).stdout, { timeout: 100_000, interval: 200 })
    .toBe("");

describeUnless(netnsMissing("curl", "nft"), "the kernel as client", () => {
  test.each([...BOTH, ...IMPAIRED])(
    "$name",
    (c) =>
      inNetns(async (ns) => {
        const { file, hash } = stream(c.octets);
        prepare(ns, c);
        const daemon = await serveIn(ns, [...common(c), ...(c.impair === undefined ? [] : ["--impair", c.impair])]);
        if (c.loss !== undefined) lose(ns, c.loss);
        const out = await ns.must("sh", ["-c", `curl -sS --fail -H Expect: -T ${file} http://10.77.0.2/echo | sha256sum`]);
        expect(out.slice(0, 64)).toBe(hash);
        if (c.loss !== undefined) expect(dropped(ns)).toBeGreaterThan(0);
        await nothingLeft(daemon);
        expect((await daemon.stop()).code).toBe(0);
      }),
    180_000,
  );
});

const ECHO =
  "require('net').createServer({ allowHalfOpen: true }, (s) => { s.on('error', () => {}); s.pipe(s); }).listen(9000, '0.0.0.0', () => console.log('ready'))";

describeUnless(netnsMissing("nft"), "the kernel as server", () => {
  test.each(BOTH)(
    "$name",
    (c) =>
      inNetns(async (ns) => {
        const { file, hash } = stream(c.octets);
        prepare(ns, c);
        const server = ns.spawn(process.execPath, ["-e", ECHO]);
        await new Promise((resolve) => server.stdout?.once("data", resolve));
        if (c.loss !== undefined) lose(ns, c.loss);
        const out = await ns.must("sh", ["-c", `${process.execPath} ${MAIN} connect -N ${common(c).join(" ")} 10.78.0.1 9000 < ${file} | sha256sum`], {});
        expect(out.slice(0, 64)).toBe(hash);
        if (c.loss !== undefined) expect(dropped(ns)).toBeGreaterThan(0);
      }),
    180_000,
  );
});
