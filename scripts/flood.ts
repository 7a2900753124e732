/**
 * Attacks a daemon from inside its own namespace with frames that no kernel socket would send: SYNs from random sources, or
 * blind injection into a connection between two others (RFC 5961). Raw socket, sendmmsg, as fast as this machine can.
 *
 *   glasstcp sandbox -- npx tsx scripts/flood.ts syn --port 80 --seconds 5
 *   npx tsx scripts/flood.ts rst --source 10.77.0.1:48308 --port 7 --count 100000 --rate 40000
 *
 * Prints one line of JSON: what the kernel took from us, and how many a second. Without --rate much of it may overflow the queue
 * of the interface, as it would that of any network card. Refuses to aim at anything but private addresses.
 */
import { libc } from "../src/device/libc.js";
import { fold } from "../src/wire/checksum.js";
import { formatAddress, parseAddress } from "../src/wire/ipv4.js";

type Kind = "syn" | "rst" | "ack" | "data" | "spoofed-syn";
const KINDS: readonly Kind[] = ["syn", "rst", "ack", "data", "spoofed-syn"];
const FLAGS: Readonly<Record<Kind, number>> = { syn: 0x02, rst: 0x04, ack: 0x10, data: 0x18, "spoofed-syn": 0x02 };

const AF_INET = 2,
  SOCK_RAW = 3,
  IPPROTO_RAW = 255;
const SENDMMSG = process.arch === "x64" ? 307 : 269;
const BATCH = 256;
/** IPv4 and TCP header, and room for an MSS option or four octets of text. */
const FRAME = 44;
const MMSGHDR = 64,
  IOVEC = 16,
  SOCKADDR = 16;

function words(): Record<string, string> {
  const given: Record<string, string> = {
    kind: process.argv[2] ?? "",
    port: "80",
    to: "10.77.0.2",
    seconds: "3",
    count: "Infinity",
    rate: "Infinity",
    source: "",
  };
  for (let i = 3; i < process.argv.length; i += 2) {
    const key = (process.argv[i] ?? "").replace(/^--/, ""),
      value = process.argv[i + 1];
    if (!(key in given) || value === undefined) throw new Error(`${process.argv[i]}: there are --port, --to, --seconds, --count, --rate, --source`);
    given[key] = value;
  }
  return given;
}

function main(): void {
  const given = words(),
    kind = KINDS.find((k) => k === given["kind"]),
    to = parseAddress(given["to"] ?? "");
  const [sourceText = "", sourcePort = "0"] = (given["source"] ?? "").split(":");
  const source = parseAddress(sourceText);
  if (kind === undefined) throw new Error(`name what to send: ${KINDS.join(", ")}`);
  if (to === undefined || (to >>> 24 !== 10 && to >>> 20 !== 0xac1 && to >>> 16 !== 0xc0a8))
    throw new Error(`--to ${given["to"]}: only 10/8, 172.16/12 and 192.168/16`);
  if (kind !== "syn" && source === undefined) throw new Error(`${kind} is injected into a connection: name its other end by --source ADDRESS:PORT`);

  const c = libc(),
    fd = c.socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) throw new Error(`no raw socket (${c.errnoName(c.errno())}): this needs CAP_NET_RAW, for example inside: glasstcp sandbox`);
  const frames = new Uint8Array(new ArrayBuffer(BATCH * FRAME)),
    head = new Uint8Array(new ArrayBuffer(SOCKADDR + BATCH * (IOVEC + MMSGHDR)));
  const view = new DataView(frames.buffer),
    headers = new DataView(head.buffer),
    framesAt = c.address(frames),
    headAt = c.address(head);
  headers.setUint16(0, AF_INET, true);
  headers.setInt32(4, to);
  for (let i = 0; i < BATCH; i++) {
    const iovec = SOCKADDR + i * IOVEC,
      message = SOCKADDR + BATCH * IOVEC + i * MMSGHDR;
    headers.setBigUint64(iovec, BigInt(framesAt + i * FRAME), true);
    headers.setBigUint64(iovec + 8, BigInt(FRAME), true);
    headers.setBigUint64(message, BigInt(headAt), true);
    headers.setUint32(message + 8, SOCKADDR, true);
    headers.setBigUint64(message + 16, BigInt(headAt + iovec), true);
    headers.setBigUint64(message + 24, 1n, true);
    const at = i * FRAME,
      withOption = kind === "syn" || kind === "spoofed-syn";
    view.setUint16(at, 0x4500);
    view.setUint16(at + 2, FRAME);
    view.setUint16(at + 8, 64 * 256 + 6);
    view.setInt32(at + 16, to);
    view.setUint16(at + 22, Number(given["port"]));
    view.setUint16(at + 32, ((withOption ? 6 : 5) << 12) | FLAGS[kind]);
    view.setUint16(at + 34, 64_240);
    view.setUint32(at + 40, withOption ? 0x020405b4 : 0x78787878);
  }

  const random = (): number => (Math.random() * 0x1_0000_0000) | 0;
  const fill = (at: number): void => {
    // 11.0.0.0 to 126.255.255.255: addresses that a host may have, and none of ours.
    view.setInt32(at + 12, source ?? ((11 + ((random() >>> 0) % 116)) << 24) | (random() & 0xffffff));
    view.setUint16(at + 20, kind === "syn" ? 1_024 + ((random() >>> 0) % 64_000) : Number(sourcePort));
    view.setInt32(at + 24, random());
    view.setInt32(at + 28, kind === "syn" || kind === "rst" || kind === "spoofed-syn" ? 0 : random());
    view.setUint16(at + 36, 0);
    let sum = 6 + FRAME - 20;
    for (let i = 12; i < FRAME; i += 2) sum += view.getUint16(at + i);
    view.setUint16(at + 36, ~fold(sum) & 0xffff);
  };

  const limit = Number(given["count"]),
    rate = Number(given["rate"]),
    start = performance.now(),
    end = start + Number(given["seconds"]) * 1_000;
  const nap = new Int32Array(new SharedArrayBuffer(4));
  let sent = 0,
    refused = 0;
  while (sent < limit && performance.now() < end) {
    if (sent > (rate * (performance.now() - start)) / 1_000) {
      // Whoever is ahead of his time leaves the processor to those whom he attacks.
      Atomics.wait(nap, 0, 0, 1);
      continue;
    }
    const count = Math.min(BATCH, limit - sent);
    for (let i = 0; i < count; i++) fill(i * FRAME);
    const n = c.syscall(SENDMMSG, fd, headAt + SOCKADDR + BATCH * IOVEC, count, 0, 0);
    if (n > 0) sent += n;
    else if (refused++ === 0) console.error(`flood: sendmmsg: ${c.errnoName(c.errno())}`);
  }
  const seconds = (performance.now() - start) / 1_000;
  console.log(JSON.stringify({ kind, to: formatAddress(to), sent, seconds: Number(seconds.toFixed(3)), perSecond: Math.round(sent / seconds), refused }));
  c.close(fd);
  // The kernel has read from both blocks until here; the engine must not think that nobody does.
  void [frames.length, head.length];
}

try {
  main();
} catch (error) {
  console.error(`flood: ${(error as Error).message}`);
  process.exitCode = 2;
}
