/** Ephemeral ports by RFC 6056, algorithm 3: hard to guess, and one that was used lately comes back last. */
import { keyedHash } from "../tcp/isn.js";

/** The range of RFC 6335 §6. */
export const FIRST_EPHEMERAL = 49_152,
  LAST_EPHEMERAL = 65_535;

export class EphemeralPorts {
  readonly #key: Uint32Array;
  #next = 0;
  constructor(key: Uint32Array) {
    this.#key = key;
  }

  /** @returns a port for which `isFree` holds, or undefined when none is left */
  choose(local: number, remote: number, remotePort: number, isFree: (port: number) => boolean): number | undefined {
    const count = LAST_EPHEMERAL - FIRST_EPHEMERAL + 1;
    const offset = keyedHash(this.#key, local, remote, remotePort, 0x706f7274) >>> 0;
    for (let i = 0; i < count; i++) {
      const port = FIRST_EPHEMERAL + ((offset + this.#next++) % count);
      if (isFree(port)) return port;
    }
    return undefined;
  }
}
