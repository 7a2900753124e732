/** Writes captures in the pcapng format (draft-ietf-opsawg-pcapng), which tcpdump and Wireshark read. */
import type { Memory } from "../wire/memory.js";
import { createMemory } from "../wire/wasm-memory.js";
import { Frame } from "./frame.js";

/** Takes octets for good, in order, before it returns. */
export type PcapSink = (bytes: Uint8Array) => void;

const SECTION = 0x0a0d0d0a,
  INTERFACE = 1,
  ENHANCED_PACKET = 6;
const LINKTYPE_RAW = 101;
const OPT_COMMENT = 1,
  SHB_USERAPPL = 4,
  IF_NAME = 2,
  EPB_FLAGS = 2;
const INBOUND = 1,
  OUTBOUND = 2;

const BUFFER = 1 << 18;
/** Block header and trailer, flags, and the longest comment: what a packet needs beside its octets. */
const OVERHEAD = 160;

export class PcapngWriter {
  readonly #sink: PcapSink;
  readonly #snapLength: number;
  readonly #memory: Memory;
  readonly #view: DataView;
  #used = 0;

  /**
   * @param name the interface's
   * @param snapLength octets kept of each packet at most
   */
  constructor(sink: PcapSink, name: string, snapLength = 262_144) {
    this.#sink = sink;
    this.#snapLength = snapLength;
    this.#memory = createMemory(BUFFER);
    const bytes = this.#memory.bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#block(SECTION, () => {
      this.#put32(0x1a2b3c4d);
      this.#put32(1); // version 1.0
      this.#put32(0xffffffff);
      this.#put32(0xffffffff); // length of the section: not known
      this.#text(SHB_USERAPPL, "glasstcp");
      this.#put32(0);
    });
    this.#block(INTERFACE, () => {
      this.#put32(LINKTYPE_RAW);
      this.#put32(snapLength);
      this.#text(IF_NAME, name);
      this.#put32(0);
    });
  }

  /** Octets that wait for {@link flush}. */
  get buffered(): number {
    return this.#used;
  }

  /**
   * Records a packet as it would be on a wire: with its checksum, also where the kernel and we leave that away. A
   * super-segment is one packet, with a comment that says what it stands for.
   * @param timeMs milliseconds since 1970, fractions welcome; kept to the microsecond
   */
  write(frame: Frame, incoming: boolean, timeMs: number): void {
    const kept = Math.min(frame.length, this.#snapLength);
    if (this.#used + frame.length + OVERHEAD > BUFFER) this.flush();
    this.#block(ENHANCED_PACKET, () => {
      const micros = Math.round(timeMs * 1000);
      this.#put32(0);
      this.#put32(Math.floor(micros / 2 ** 32));
      this.#put32(micros % 2 ** 32);
      this.#put32(kept);
      this.#put32(frame.length);
      const at = this.#used;
      this.#memory.bytes.set(frame.bytes, at);
      if (frame.partial) new Frame(this.#memory, at, frame.length, 0, true).complete();
      this.#used += kept;
      this.#pad();
      this.#put32(EPB_FLAGS | (4 << 16));
      this.#put32(incoming ? INBOUND : OUTBOUND);
      const segments = frame.segments;
      if (segments > 1) this.#text(OPT_COMMENT, `super-segment: ${segments} segments of up to ${frame.gsoSize} octets`);
      this.#put32(0);
    });
  }

  /** Hands all that is buffered to the sink. */
  flush(): void {
    if (this.#used === 0) return;
    const length = this.#used;
    this.#used = 0;
    this.#sink(this.#memory.bytes.subarray(0, length));
  }

  #block(type: number, body: () => void): void {
    const start = this.#used;
    this.#put32(type);
    this.#put32(0);
    body();
    const length = this.#used + 4 - start;
    this.#put32(length);
    this.#view.setUint32(start + 4, length, true);
  }

  #put32(value: number): void {
    this.#view.setUint32(this.#used, value, true);
    this.#used += 4;
  }

  #text(option: number, text: string): void {
    const octets = Buffer.from(text).subarray(0, 64);
    this.#put32(option | (octets.length << 16));
    this.#memory.bytes.set(octets, this.#used);
    this.#used += octets.length;
    this.#pad();
  }

  #pad(): void {
    while ((this.#used & 3) !== 0) this.#memory.bytes[this.#used++] = 0;
  }
}
