/** A wire in memory for the tests of faults: says segments in either direction and writes down what comes out. */
import { Frame } from "../../src/device/frame.js";
import { Faults, type FaultsOptions } from "../../src/faults/faults.js";
import { SegmentView } from "../../src/faults/segment.js";
import type { Direction } from "../../src/faults/spec.js";
import type { TcpEvent } from "../../src/tcp/events.js";
import { fold, pseudoHeaderSum, sumHeader } from "../../src/wire/checksum.js";
import { emitIpv4, parseAddress } from "../../src/wire/ipv4.js";
import { ACK, CWR, ECE, FIN, formatCtl, PSH, RST, SYN, URG } from "../../src/wire/segment.js";
import { emitTcp, SegmentHeader } from "../../src/wire/tcp.js";

const CLIENT = parseAddress("10.77.0.1") as number,
  SERVER = parseAddress("10.77.0.2") as number;
const BITS: Record<string, number> = { S: SYN, F: FIN, R: RST, P: PSH, U: URG, E: ECE, W: CWR, ".": ACK };
export const CLIENT_ISN = 0x7fff_fff0,
  SERVER_ISN = 0xffff_fff0;

/** `say("in S 0:0")`: direction, flags, relative from:to, then `ack N`, `win N`, `gso N`, `sack N-M`. */
export class Wire {
  now = 0;
  readonly log: string[] = [];
  readonly events: TcpEvent[] = [];
  readonly frames: { readonly direction: Direction; readonly frame: Frame }[] = [];
  readonly faults: Faults;
  #timers: { due: number; run: () => void }[] = [];
  port = 40_000;
  /** Whether segments of either direction carry timestamps: 1000 more than `now` those from us, 5000 more those of the peer. */
  stamps = { in: false, out: false };

  constructor(specs = "", options: Partial<FaultsOptions> = {}) {
    this.faults = new Faults({
      clock: {
        now: () => this.now,
        at: (due, run) => {
          const timer = { due, run };
          this.#timers.push(timer);
          return () => {
            this.#timers = this.#timers.filter((t) => t !== timer);
          };
        },
      },
      observer: { wants: (kind) => kind === "fault", event: (e) => void this.events.push(e) },
      ...options,
    });
    const out =
      (direction: Direction) =>
      (frame: Frame): void => {
        this.frames.push({ direction, frame: frame.own() });
        this.log.push(this.describe(direction, frame));
      };
    this.faults.outlets = { toStack: out("in"), toPeer: out("out") };
    if (specs !== "") this.faults.add(specs);
  }

  /** Lets time pass, timers in their order. */
  pass(ms: number): this {
    const end = this.now + ms;
    for (;;) {
      const next = this.#timers.filter((t) => t.due <= end).sort((a, b) => a.due - b.due)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((t) => t !== next);
      this.now = Math.max(this.now, next.due);
      next.run();
    }
    this.now = end;
    return this;
  }

  /** Says segments, one a line. @returns what came out by them */
  say(script: string): string[] {
    const before = this.log.length;
    for (const line of script
      .trim()
      .split("\n")
      .map((l) => l.trim())
      .filter((l) => l !== "")) {
      if (line.startsWith("+")) this.pass(Number(line.slice(1)));
      else this.#one(line);
    }
    return this.log.slice(before);
  }

  /** The three segments of an opening by the client. */
  shake(): this {
    this.say("in S 0:0\nout S. 0:0 ack 1\nin . 1:1 ack 1");
    this.log.length = 0;
    return this;
  }

  #one(line: string): void {
    const m = /^(in|out) (\S+) (\d+):(\d+)(?: ack (\d+))?(?: win (\d+))?(?: gso (\d+))?(?: sack (\d+)-(\d+))?$/.exec(line);
    if (m === null) throw new Error(`not a segment: ${line}`);
    const direction = m[1] as Direction;
    const ctl = [...(m[2] as string)].reduce((bits, letter) => bits | (BITS[letter] as number), 0);
    const frame = this.make(
      direction,
      ctl,
      Number(m[3]),
      Number(m[4]) - Number(m[3]),
      Number(m[5] ?? 0),
      Number(m[6] ?? 1000),
      m[8] === undefined ? undefined : [Number(m[8]), Number(m[9])],
    );
    if (m[7] !== undefined) frame.gsoSize = Number(m[7]);
    if (direction === "in") this.faults.incoming(frame);
    else this.faults.outgoing(frame);
  }

  make(direction: Direction, ctl: number, from: number, length: number, ack: number, window: number, sack?: readonly [number, number]): Frame {
    const inward = direction === "in";
    const h = new SegmentHeader();
    h.sourcePort = inward ? this.port : 80;
    h.destinationPort = inward ? 80 : this.port;
    h.sequence = ((inward ? CLIENT_ISN : SERVER_ISN) + from) | 0;
    h.acknowledgment = ctl & ACK ? ((inward ? SERVER_ISN : CLIENT_ISN) + ack) | 0 : 0;
    h.ctl = ctl;
    h.window = window;
    if (ctl & SYN) {
      h.mss = 1460;
      h.windowScale = 2;
    }
    h.hasTimestamps = this.stamps[direction];
    h.tsVal = this.now + (inward ? 5000 : 1000);
    if (sack !== undefined) {
      h.sackCount = 1;
      sack.forEach((edge, i) => {
        h.sackEdges[i] = ((inward ? SERVER_ISN : CLIENT_ISN) + edge) | 0;
      });
    }
    const bytes = new Uint8Array(20 + 60 + length);
    const headers = 20 + emitTcp(bytes, 20, h);
    for (let i = 0; i < length; i++) bytes[headers + i] = 65 + ((from + i) % 26);
    emitIpv4(bytes, 0, headers + length, 0, 64, 6, inward ? CLIENT : SERVER, inward ? SERVER : CLIENT);
    const frame = Frame.of(bytes.slice(0, headers + length));
    frame.seal();
    return frame;
  }

  describe(direction: Direction, frame: Frame): string {
    const s = SegmentView.of(frame, direction);
    if (s === undefined) return `${direction} ${frame.bytes[9] === 1 ? `icmp ${frame.bytes[20]}/${frame.bytes[21]}` : "other"}`;
    const isn = direction === "in" ? CLIENT_ISN : SERVER_ISN,
      other = direction === "in" ? SERVER_ISN : CLIENT_ISN;
    const from = (s.sequence - isn) | 0;
    const ack = s.has(ACK) ? ` ack ${(s.acknowledgment - other) | 0}` : "";
    return `${direction} ${formatCtl(s.ctl)} ${from}:${from + s.textLength}${ack}${checksumOk(frame) ? "" : " BADSUM"}`;
  }
}

export function checksumOk(frame: Frame): boolean {
  if (frame.partial) return true;
  const b = frame.bytes,
    ip = ((b[0] as number) & 15) << 2;
  const word = (o: number): number => ((b[o] as number) << 24) | ((b[o + 1] as number) << 16) | ((b[o + 2] as number) << 8) | (b[o + 3] as number);
  return fold(sumHeader(b, ip, b.length - ip, pseudoHeaderSum(word(12), word(16), 6, b.length - ip))) === 0xffff;
}
