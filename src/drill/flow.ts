/** One connection as the script sees it: its four addresses, and how the script's numbers map to those on the wire (language §4, §5). */
import { ACK, SYN } from "../wire/segment.js";
import type { SequenceRange, TcpOption } from "./ast.js";
import type { Packet } from "./wire.js";

const U32 = 2 ** 32;
const wrap = (n: number): number => ((n % U32) + U32) % U32;

export class Flow {
  readonly localAddress: number;
  readonly remoteAddress: number;
  localPort: number;
  remotePort: number;
  /** ISNs. The script's local one is nearly always 0; live ones are as on the wire. */
  scriptLocalIsn = 0;
  liveLocalIsn = 0;
  remoteIsn = 0;
  /** Added to each number of the remote side on the wire, so that one script runs at several remote ISNs. */
  readonly remoteShift: number;
  #remoteSeen = false;
  #synSeen = false;
  #localSeen = false;
  /** The SYN that came last, for an incarnation that replaces one in TIME-WAIT. */
  #lastSyn: number | undefined;

  /** Timestamps (language §6.4): script value to live value, the offset between them, and when it was taken. */
  readonly #stamps = new Map<number, number>();
  stampOffset: number | undefined;

  constructor(localAddress: number, remoteAddress: number, localPort: number, remotePort: number, remoteShift: number) {
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
    this.localPort = localPort;
    this.remotePort = remotePort;
    this.remoteShift = remoteShift;
  }

  /** Whether a SYN or SYN,ACK of the host has fixed its ISN. */
  get isLocalKnown(): boolean {
    return this.#localSeen;
  }

  matches(p: Packet): boolean {
    return p.source === this.localAddress && p.destination === this.remoteAddress && p.sourcePort === this.localPort && p.destinationPort === this.remotePort;
  }

  // A packet with SYN has absolute numbers, all others are relative to the ISNs.
  #local(syn: boolean): number {
    return syn ? this.liveLocalIsn - this.scriptLocalIsn : this.liveLocalIsn;
  }
  #remote(syn: boolean): number {
    return (syn ? 0 : this.remoteIsn) + this.remoteShift;
  }

  /** Notes the first injected packet (its number is the remote ISN) and every SYN. */
  noteInjected(seq: SequenceRange, flags: number, isOpening: boolean): void {
    const syn = (flags & SYN) !== 0;
    if (!this.#remoteSeen || (syn && (isOpening || !this.#synSeen))) this.remoteIsn = seq.first;
    this.#remoteSeen = true;
    if (syn) {
      this.#synSeen = true;
      this.#lastSyn = seq.first;
    }
  }

  /** Notes a captured SYN or SYN,ACK that a script line `scriptSeq` expects: it fixes the local ISN. */
  noteCaptured(p: Packet, scriptSeq: number): void {
    if ((p.flags & SYN) === 0) return;
    // A SYN,ACK for a later SYN with another ISN of ours: the connection was opened anew from TIME-WAIT (RFC 6191).
    const reopened =
      this.#localSeen &&
      (p.flags & ACK) !== 0 &&
      this.#lastSyn !== undefined &&
      p.sequence !== this.liveLocalIsn &&
      p.acknowledgment === wrap(this.#lastSyn + 1 + this.remoteShift);
    if (this.#localSeen && !reopened) return;
    if (reopened) this.remoteIsn = this.#lastSyn as number;
    this.#localSeen = true;
    this.scriptLocalIsn = scriptSeq;
    this.liveLocalIsn = p.sequence;
  }

  /** Script numbers of an injected packet to the wire. */
  sequenceIn(seq: SequenceRange, flags: number): number {
    return seq.mode === "absolute" ? wrap(seq.first + this.remoteShift) : wrap(seq.first + this.#remote((flags & SYN) !== 0));
  }
  acknowledgmentIn(ack: { value: number; absolute: boolean } | undefined, flags: number): number {
    if (ack === undefined) return 0;
    return (flags & ACK) === 0 || ack.absolute ? ack.value : wrap(ack.value + this.#local((flags & SYN) !== 0));
  }
  /** A number of our side as quoted in ICMP or named by a SACK block. */
  localToWire(n: number, syn = false): number {
    return wrap(n + this.#local(syn));
  }

  optionsIn(options: readonly TcpOption[], flags: number): TcpOption[] {
    const offset = this.#local((flags & SYN) !== 0);
    return options.map((o) => (o.kind === "sack" ? { kind: "sack", blocks: o.blocks.map(([l, r]) => [wrap(l + offset), wrap(r + offset)] as const) } : o));
  }

  /** A captured packet in script numbers; of absolute ones (N's `!`) only the remote side is shifted back. */
  toScript(p: Packet, absolute = false): Packet {
    const syn = (p.flags & SYN) !== 0;
    const local = absolute ? 0 : this.#local(syn),
      remote = this.#remote(syn);
    return {
      ...p,
      sequence: wrap(p.sequence - local),
      acknowledgment: p.flags & ACK ? wrap(p.acknowledgment - remote) : p.acknowledgment,
      options: p.options.map((o) =>
        o.kind === "sack" ? { kind: "sack", blocks: o.blocks.map(([l, r]) => [wrap(l - remote), wrap(r - remote)] as const) } : o,
      ),
    };
  }

  noteStamp(script: number, live: number): void {
    this.stampOffset ??= wrap(live - script);
    this.#stamps.set(script, live);
  }
  /** The live value of a timestamp that the script expected before; by offset where `scaled`. */
  stampToWire(script: number, scaled: boolean): number | undefined {
    const known = this.#stamps.get(script);
    if (known !== undefined) return known;
    return scaled && this.stampOffset !== undefined ? wrap(script + this.stampOffset) : undefined;
  }
}
