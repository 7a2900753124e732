/**
 * What carries frames: a TUN interface, a pair in memory, or a wrapper around either (pcap, impair, faults).
 * The one interface that every driver passes the contract test of.
 */
import type { Offload, RxRing, TxRing } from "../wire/frames.js";

/** Why a device will give no more frames. */
export interface DeviceFailure {
  /** Errno name, for example "EBADFD" when the link was deleted. */
  readonly code: string;
  /** One sentence for the operator. */
  readonly message: string;
}

export interface DeviceHandlers {
  /** Frames may be there: call `read()` until it returns 0, or return and be called again (level-triggered). */
  readable(): void;
  /** The device is gone for good (link deleted, descriptor closed). Called at most once; no `readable` follows. */
  failed(failure: DeviceFailure): void;
}

/** Counters that every driver keeps; all start at 0 and only grow. */
export interface DeviceCounters {
  rxFrames: number;
  rxBytes: number;
  /** Reads that failed with something other than EAGAIN. */
  rxErrors: number;
  txFrames: number;
  txBytes: number;
  /** Writes that the kernel or the other end refused; the frame is lost and TCP sends it again. */
  txErrors: number;
}

/** The largest MTU that Linux gives a TUN interface, octets. */
export const LARGEST_MTU = 65_521;

export interface Device {
  /** Interface name, such as "glass0". */
  readonly name: string;
  /** Largest IP packet of the link, octets. */
  readonly mtu: number;
  readonly offload: Offload;
  readonly rx: RxRing;
  readonly tx: TxRing;
  readonly counters: DeviceCounters;
  /** Takes a batch of frames that have arrived into `rx`. Never blocks. @returns how many; 0 when none is there. */
  read(): number;
  /** Starts watching for frames. Called once. */
  start(handlers: DeviceHandlers): void;
  /** Lets the process end although the device is being watched. Where it is missing, watching never keeps a process alive. */
  unref?(): void;
  /** Stops watching, at once; closes the descriptor. A second call does nothing. */
  close(): void;
}
