/** A stack on rings in memory, and the other end of its connections, which writes segments that need no thought. */
import { Stack } from "../../src/stack/stack.js";
import type { ConnectionUser } from "../../src/tcp/user.js";
import { Millis } from "../../src/tcp/time.js";
import type { Offload, RxRing, TxRing } from "../../src/wire/frames.js";
import { emitIpv4, IPV4_HEADER, PROTOCOL_TCP, parseAddress, readInt32 } from "../../src/wire/ipv4.js";
import { ACK, FIN, PSH, SYN } from "../../src/wire/segment.js";
import { emitTcp, finishChecksum, SegmentHeader } from "../../src/wire/tcp.js";
import { createMemory } from "../../src/wire/wasm-memory.js";

const THEIRS = parseAddress("10.77.0.1") as number,
  OURS = parseAddress("10.77.0.2") as number;
const MTU = 1_500,
  LARGEST = 65_535;
const PORT = 7;

/** How the stack's frames leave and arrive: as over a TUN with offload, or without. */
export type Link = "offload" | "plain";

export class Peer {
  readonly stack: Stack;
  /** Of the segment that the stack sent last. */
  sequence = 0;
  acknowledgment = 0;
  sentText = 0;
  #now = 1;
  readonly #plain: boolean;
  readonly #memory = createMemory(1 << 17);
  readonly #header = new SegmentHeader();
  readonly #rx: RxRing;

  constructor(link: Link, user: ConnectionUser) {
    this.#plain = link === "plain";
    this.#rx = {
      memory: this.#memory,
      offset: new Int32Array(1),
      length: new Int32Array(1),
      trusted: Uint8Array.of(this.#plain ? 0 : 1),
      gsoSize: new Uint16Array(1),
    };
    let random = 1;
    this.stack = new Stack({
      addresses: ["10.77.0.2"],
      mtu: MTU,
      secret: Uint32Array.of(1, 2, 3, 4),
      now: Millis(0),
      random: () => (random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0),
    });
    const offload: Offload = this.#plain ? { checksum: false, maxFrame: MTU } : { checksum: true, maxFrame: LARGEST };
    this.stack.attach(this.#rx, this.#tx(), offload);
    this.stack.listen({ port: PORT }, () => user);
  }

  #tx(): TxRing {
    const memory = createMemory(1 << 12);
    const peer = this;
    let text = 0;
    return {
      memory,
      begin: () => {
        text = 0;
        return 0;
      },
      text: (_memory, _offset, length) => {
        text += length;
      },
      end: () => {
        peer.sequence = readInt32(memory.bytes, IPV4_HEADER + 4);
        peer.acknowledgment = readInt32(memory.bytes, IPV4_HEADER + 8);
        peer.sentText += text;
      },
      submit: () => {},
      flush: () => {},
    };
  }

  /** Lets a millisecond pass. */
  tick(): void {
    this.#now++;
    this.stack.timeout(Millis(this.#now));
  }

  /** A segment arrives in a turn of its own. */
  send(ctl: number, port: number, sequence: number, acknowledgment: number, text = 0): void {
    const h = this.#header,
      b = this.#memory.bytes,
      now = Millis(this.#now);
    h.clear();
    h.sourcePort = port;
    h.destinationPort = PORT;
    h.sequence = sequence;
    h.acknowledgment = acknowledgment;
    h.ctl = ctl;
    h.window = 0xffff;
    h.hasTimestamps = true;
    h.tsVal = this.#now;
    h.tsEcr = 0;
    if ((ctl & SYN) !== 0) {
      h.mss = 1_460;
      h.windowScale = 7;
      h.sackPermitted = true;
    }
    const length = emitTcp(b, IPV4_HEADER, h);
    const textSum = this.#plain && text > 0 ? this.#memory.sum(IPV4_HEADER + length, text) : 0;
    finishChecksum(b, IPV4_HEADER, length, text, THEIRS, OURS, textSum, !this.#plain);
    emitIpv4(b, 0, IPV4_HEADER + length + text, 0, 64, PROTOCOL_TCP, THEIRS, OURS);
    this.#rx.length[0] = IPV4_HEADER + length + text;
    this.#rx.gsoSize[0] = text > MTU ? 1_448 : 0;
    this.stack.packetsArrive(1, now);
    this.stack.transmit(now);
  }

  /** Opens a connection from `port`. @returns our next sequence number; theirs is in `sequence` */
  open(port: number, iss: number): number {
    this.send(SYN, port, iss, 0);
    this.send(ACK, port, iss + 1, this.sequence + 1);
    return iss + 1;
  }

  /** Handshake, an octet there and back, and a close by both: what `bench connect` does. */
  life(port: number, iss: number): void {
    this.send(SYN, port, iss, 0);
    const theirs = this.sequence + 1;
    this.send(ACK, port, iss + 1, theirs);
    this.send(ACK | PSH, port, iss + 1, theirs, 1);
    this.send(ACK, port, iss + 2, theirs + 1);
    this.send(ACK | FIN, port, iss + 2, theirs + 1);
    this.send(ACK, port, iss + 3, theirs + 2);
  }
}
