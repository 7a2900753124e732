/**
 * The contract between the stack and whatever carries its frames: a ring that frames arrive in and a ring that frames
 * leave by. A frame is one IP packet without link header. Where segmentation offload is on, it may be a super-segment
 * of up to 64 KiB that stands for several TCP segments of `gsoSize` octets of text each.
 */
import type { Memory } from "./memory.js";

/** Bytes that a header slot of {@link TxRing} holds: IPv4 (up to 60) and TCP (up to 60) headers. */
export const HEADER_SLOT = 128;

/** Frames of one batch, valid until the next `read()` of the device. Slot i is `length[i]` octets at `offset[i]`. */
export interface RxRing {
  readonly memory: Memory;
  readonly offset: Int32Array;
  readonly length: Int32Array;
  /** 1 where the kernel vouches for the transport checksum (vnet header flags bit 0 or 1), else 0: verify it. */
  readonly trusted: Uint8Array;
  /** Octets of text per segment that a super-segment stands for; 0 for an ordinary packet. */
  readonly gsoSize: Uint16Array;
}

/** Frames on their way out. `begin`, then `text` as often as needed, then `end`; `submit` or `flush` hand all of them over. */
export interface TxRing {
  /** The header slots' memory; `begin` returns an offset into it. */
  readonly memory: Memory;
  /** Claims a header slot of {@link HEADER_SLOT} octets; makes room first when the ring is full. */
  begin(): number;
  /** Adds payload by reference. The bytes must not change until the peer has acknowledged them, or `flush` has returned. At most 8 pieces a frame. */
  text(memory: Memory, offset: number, length: number): void;
  /**
   * Completes the frame that `begin` opened.
   * @param headerLength octets of IP and TCP header in the slot
   * @param gsoSize octets of text per segment if the frame is a super-segment, else 0
   * @param partialChecksum the TCP checksum field holds only the folded pseudo-header sum, not inverted; the device
   *   completes it. Only allowed where {@link Offload.checksum} is true.
   */
  end(headerLength: number, gsoSize: number, partialChecksum: boolean): void;
  /** Hands all completed frames to the device, in order; it may still be reading them. What it refuses is counted there, never thrown. */
  submit(): void;
  /** The same, and returns when the device has all of them. */
  flush(): void;
}

/** What the device can do for the stack. */
export interface Offload {
  /** The device completes transport checksums on the way out and vouches for them on the way in. */
  readonly checksum: boolean;
  /** Largest IP packet the device takes in one frame, octets; equal to `mtu` without segmentation offload. */
  readonly maxFrame: number;
}
