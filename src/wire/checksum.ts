/** The Internet checksum (RFC 1071) for headers and pseudo-headers. Payload is summed by its {@link Memory}. */

/** Adds the 16-bit words of a header to a running sum. Headers are short: the sum stays below 2^31 for 32 KiB. */
export function sumHeader(bytes: Uint8Array, offset: number, length: number, sum: number): number {
  const even = offset + (length & ~1);
  let i = offset;
  for (; i < even; i += 2) sum += ((bytes[i] as number) << 8) | (bytes[i + 1] as number);
  if (length & 1) sum += (bytes[i] as number) << 8;
  return sum;
}

/** Folds a running sum to 16 bits, end-around carry included (RFC 1071 §2). */
export function fold(sum: number): number {
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}

/** Unfolded sum of the IPv4 pseudo-header (RFC 9293 §3.1). Addresses as 32-bit integers, length of header and text. */
export function pseudoHeaderSum(source: number, destination: number, protocol: number, length: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length;
}
