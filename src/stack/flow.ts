/** The two ends of a connection as integers, for looking up and for headers; as text when somebody asks. */
import type { Path } from "../tcp/tcb.js";
import { formatAddress } from "../wire/ipv4.js";

export class Flow implements Path {
  readonly local: number;
  readonly remote: number;
  readonly localPort: number;
  readonly remotePort: number;
  #localText: string | undefined;
  #remoteText: string | undefined;

  constructor(local: number, localPort: number, remote: number, remotePort: number) {
    this.local = local;
    this.localPort = localPort;
    this.remote = remote;
    this.remotePort = remotePort;
  }
  /** Both ports in one int32, as `Demux` wants them. */
  get ports(): number {
    return (this.remotePort << 16) | this.localPort;
  }
  get localAddress(): string {
    return (this.#localText ??= formatAddress(this.local));
  }
  get remoteAddress(): string {
    return (this.#remoteText ??= formatAddress(this.remote));
  }
}
