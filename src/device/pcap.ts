/** `--pcap FILE`: a wrapper that records every frame, both ways, into a file for tcpdump and Wireshark. */
import { closeSync, openSync, writeSync } from "node:fs";
import type { Device } from "./device.js";
import { DeviceError } from "./errors.js";
import type { Frame } from "./frame.js";
import { PcapngWriter } from "./pcapng.js";
import { FilterDevice, type Forward } from "./wrapper.js";

export interface PcapOptions {
  /** Octets kept of each packet at most. Default all. */
  readonly snapLength?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Told once when the file cannot be written any more; recording ends then, frames go on. */
  readonly failed?: (error: DeviceError) => void;
}

/** After this long at most a frame can be read in the file, so that it can be watched as it grows. */
const FLUSH_MS = 200;

/**
 * Records into `path`, which is overwritten. Up to 256 KiB wait in memory, for 200 ms at most; all of it is written when
 * the device closes and when the process exits. Written synchronously: a capture that drops is worth less than one that
 * slows things down.
 * @throws DeviceError when the file cannot be opened
 */
export function capture(inner: Device, path: string, options: PcapOptions = {}): FilterDevice {
  let fd: number;
  try {
    fd = openSync(path, "w", 0o600);
  } catch (error) {
    throw fileError(error, path);
  }
  const now = options.now ?? (() => performance.timeOrigin + performance.now());
  let timer: NodeJS.Timeout | undefined;
  let open = true;

  const writer = new PcapngWriter(
    (bytes) => {
      try {
        for (let at = 0; open && at < bytes.length; ) at += writeSync(fd, bytes, at);
      } catch (error) {
        open = false;
        options.failed?.(fileError(error, path));
      }
    },
    inner.name,
    options.snapLength,
  );

  const flush = (): void => {
    timer = undefined;
    writer.flush();
  };
  const record = (frame: Frame, incoming: boolean): void => {
    if (!open) return;
    writer.write(frame, incoming, now());
    timer ??= setTimeout(flush, FLUSH_MS).unref();
  };
  const finish = (): void => {
    if (timer !== undefined) clearTimeout(timer);
    flush();
    open = false;
    process.off("exit", finish);
    closeSync(fd);
  };
  process.on("exit", finish);
  flush();
  return new FilterDevice(inner, {
    incoming: (frame: Frame, forward: Forward) => {
      record(frame, true);
      forward(frame);
    },
    outgoing: (frame: Frame, forward: Forward) => {
      record(frame, false);
      forward(frame);
    },
    close: finish,
  });
}

function fileError(error: unknown, path: string): DeviceError {
  const code = (error as NodeJS.ErrnoException).code ?? "EIO";
  const mend =
    code === "ENOENT"
      ? "make its folder first"
      : code === "EACCES" || code === "EPERM"
        ? "take a folder that this user may write to"
        : code === "ENOSPC"
          ? "make room, or take another disk"
          : "take another file";
  return new DeviceError(code, code === "EACCES" || code === "EPERM" ? "permission" : "failed", `the capture ${path} cannot be written: ${code}`, mend);
}
