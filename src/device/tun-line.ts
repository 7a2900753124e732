/**
 * What both rings of a TUN share. They (`tun-rx.ts`, `tun-tx.ts`) are the only files that make raw addresses of memory for
 * the kernel to read and write. Each is the address of a block that the ring holds on to, plus an offset and a length that
 * were checked against the block.
 */
import type { Aio } from "./aio.js";
import type { DeviceCounters } from "./device.js";

/** The state that both rings share: the descriptor, batching, and what went wrong. */
export interface TunLine {
  readonly fd: number;
  readonly vnet: boolean;
  readonly aio: Aio | undefined;
  readonly counters: DeviceCounters;
  /** False once the descriptor is closed or the link deleted. */
  live: boolean;
  /** Told when a call said that the link is gone. */
  gone(errno: number): void;
}

/** Words that the kernel reads through pointers, at an address that never changes. */
export function words(count: number): Uint32Array {
  return new Uint32Array(new ArrayBuffer(count * 4));
}

export function putAddress(into: Uint32Array, word: number, address: number): void {
  into[word] = address;
  into[word + 1] = address / 0x1_0000_0000;
}
