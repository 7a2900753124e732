/** The capture is whole, in the format it claims, tells directions and super-segments, and loses nothing at close or exit. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DeviceError } from "../../src/device/errors.js";
import { createPair } from "../../src/device/pair.js";
import { capture } from "../../src/device/pcap.js";
import { bytes } from "./contract.js";
import { isSound, tcpPacket } from "./packets.js";
import { readAll, sendWhole } from "./whole.js";

interface Captured {
  readonly incoming: boolean;
  readonly timeMs: number;
  readonly bytes: Uint8Array;
  readonly original: number;
  readonly comment: string | undefined;
}

/** A reader of pcapng, written from the draft and apart from the writer. */
function read(file: Buffer): { linkType: number; name: string; packets: Captured[] } {
  let linkType = -1,
    name = "";
  const packets: Captured[] = [];
  const options = (from: number, to: number): Map<number, Buffer> => {
    const found = new Map<number, Buffer>();
    for (let at = from; at < to; ) {
      const code = file.readUInt16LE(at),
        length = file.readUInt16LE(at + 2);
      if (code === 0) break;
      found.set(code, file.subarray(at + 4, at + 4 + length));
      at += 4 + ((length + 3) & ~3);
    }
    return found;
  };
  for (let at = 0; at < file.length; ) {
    const type = file.readUInt32LE(at),
      length = file.readUInt32LE(at + 4);
    expect(length % 4).toBe(0);
    expect(file.readUInt32LE(at + length - 4), "length at the end of the block").toBe(length);
    if (type === 0x0a0d0d0a) expect([at, file.readUInt32LE(at + 8)]).toEqual([0, 0x1a2b3c4d]);
    else if (type === 1) {
      linkType = file.readUInt16LE(at + 8);
      name = (options(at + 16, at + length - 4).get(2) ?? "").toString();
    } else if (type === 6) {
      const kept = file.readUInt32LE(at + 20);
      const o = options(at + 28 + ((kept + 3) & ~3), at + length - 4);
      packets.push({
        incoming: ((o.get(2) as Buffer).readUInt32LE(0) & 3) === 1,
        timeMs: (file.readUInt32LE(at + 12) * 2 ** 32 + file.readUInt32LE(at + 16)) / 1000,
        bytes: new Uint8Array(file.subarray(at + 28, at + 28 + kept)),
        original: file.readUInt32LE(at + 24),
        comment: o.get(1)?.toString(),
      });
    } else throw new Error(`unknown block ${type}`);
    at += length;
  }
  return { linkType, name, packets };
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "glasstcp-pcap-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("a capture", () => {
  const partial = (text: Uint8Array): Uint8Array => {
    const packet = tcpPacket({ sequence: 1, flags: 0x18, text });
    packet[36] = packet[37] = 0x55;
    return packet;
  };

  test("has every frame of both directions with its time, checksums complete, and leaves the frames as they were", () => {
    const file = join(folder, "both.pcapng");
    let now = 1_764_000_000_000;
    const { a, b } = createPair({ offload: "pass" });
    const device = capture(a, file, { now: () => (now += 0.5) });
    const out = partial(bytes(33, 1)),
      back = partial(bytes(44, 2)),
      big = partial(bytes(4000, 3));
    sendWhole(device, out, 0, true);
    sendWhole(device, big, 1448, true);
    device.tx.flush();
    sendWhole(b, back, 0, true);
    b.tx.flush();
    expect(readAll(b)).toEqual(
      [
        { bytes: out, gsoSize: 0, trusted: 1 },
        { bytes: big, gsoSize: 1448, trusted: 1 },
      ].map((f) => ({ ...f, bytes: new Uint8Array(f.bytes) })),
    );
    expect(readAll(device)).toEqual([{ bytes: new Uint8Array(back), gsoSize: 0, trusted: 1 }]);
    device.close();
    const { linkType, name, packets } = read(readFileSync(file));
    expect([linkType, name]).toEqual([101, "pair-a"]);
    expect(packets.map((p) => [p.incoming, p.timeMs - 1_764_000_000_000, p.bytes.length, p.original, p.comment])).toEqual([
      [false, 0.5, 85, 85, undefined],
      [false, 1, 4052, 4052, "super-segment: 3 segments of up to 1448 octets"],
      [true, 1.5, 96, 96, undefined],
    ]);
    expect(packets.every((p) => isSound(p.bytes))).toBe(true);
    expect(packets[1]?.bytes.subarray(52)).toEqual(bytes(4000, 3));
  });

  test("cuts packets at the snap length and still says how long they were", () => {
    const file = join(folder, "snap.pcapng");
    const { a } = createPair();
    const device = capture(a, file, { snapLength: 54 });
    sendWhole(device, tcpPacket({ sequence: 1, flags: 0x18, text: bytes(500, 1) }));
    device.tx.flush();
    device.close();
    expect(read(readFileSync(file)).packets.map((p) => [p.bytes.length, p.original])).toEqual([[54, 552]]);
  });

  test("holds more than its buffer, in order, and shows what came before it is closed", async () => {
    const file = join(folder, "much.pcapng");
    const { a } = createPair({ queue: 1 });
    const device = capture(a, file);
    for (let i = 0; i < 2000; i++) sendWhole(device, tcpPacket({ sequence: i, flags: 0x10, text: bytes(1000, i) }));
    device.tx.flush();
    expect(statSync(file).size).toBeGreaterThan(1 << 20);
    while (read(readFileSync(file)).packets.length < 2000) await new Promise((resolve) => setTimeout(resolve, 20));
    device.close();
    expect(read(readFileSync(file)).packets.map((p) => Buffer.from(p.bytes).readUInt32BE(24))).toEqual(Array.from({ length: 2000 }, (_, i) => i));
  });

  test("is whole when the process just ends", () => {
    const file = join(folder, "exit.pcapng");
    const program = `
      import { createPair } from ${JSON.stringify(new URL("../../src/device/pair.ts", import.meta.url).href)};
      import { capture } from ${JSON.stringify(new URL("../../src/device/pcap.ts", import.meta.url).href)};
      const device = capture(createPair().a, process.argv[1]);
      for (let i = 0; i < 3; i++) { device.tx.begin(); device.tx.end(40, 0, false); }
      device.tx.flush();
      process.exit(0);`;
    execFileSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program, file]);
    expect(read(readFileSync(file)).packets).toHaveLength(3);
  });

  test("that cannot be opened says so with the mend; one that cannot go on says so once and lets frames pass", () => {
    const { a, b } = createPair();
    expect(() => capture(a, join(folder, "no", "such", "folder.pcapng"))).toThrow(DeviceError);
    const told: DeviceError[] = [];
    const device = capture(a, "/dev/full", { failed: (error) => told.push(error) });
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 300; i++) sendWhole(device, tcpPacket({ sequence: i, flags: 0x10, text: bytes(1000, i) }));
      device.tx.flush();
    }
    expect(readAll(b)).toHaveLength(900);
    device.close();
    expect(told.map((e) => [e.code, e.mend])).toEqual([["ENOSPC", "make room, or take another disk"]]);
  });

  test("is read by tcpdump", (context) => {
    if (spawnSync("tcpdump", ["--version"]).error !== undefined) return context.skip("the program tcpdump is missing: apt-get install tcpdump");
    const file = join(folder, "tcpdump.pcapng");
    const { a } = createPair({ offload: "pass" });
    const device = capture(a, file);
    sendWhole(device, partial(bytes(10, 1)), 0, true);
    sendWhole(device, partial(bytes(60_000, 1)), 1448, true);
    device.tx.flush();
    device.close();
    const said = spawnSync("tcpdump", ["-nvr", file], { encoding: "utf8" });
    expect(said.status, said.stderr).toBe(0);
    expect(said.stdout).toMatch(/10\.77\.0\.2\.80 > 10\.77\.0\.1\.50000: .*length 10\b[^]*length 60000/);
    expect(said.stdout).not.toContain("incorrect");
  });
});
