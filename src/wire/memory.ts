/**
 * Blocks of bytes that never move. Frames and connection buffers live in them, so that a driver may hand their
 * addresses to the kernel, and a checksum may be taken in place.
 */

/** A block of bytes whose backing store stays where it is for as long as the block lives. */
export interface Memory {
  /** The whole block. The view is made once and stays valid. */
  readonly bytes: Uint8Array;
  /**
   * Sum of the 16-bit big-endian words of `length` octets at `offset`, an odd last octet padded with zero, folded to
   * 16 bits and not complemented (RFC 1071 §1, §2). May start at an odd offset.
   */
  sum(offset: number, length: number): number;
}
