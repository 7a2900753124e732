/** How the daemon ends: by signal, by a device that is gone, by a bug; always with its log written. */
import { constants } from "node:os";
import type { DeviceFailure } from "../device/device.js";
import type { Log } from "../observe/log.js";
import type { Daemon } from "./daemon.js";

/** Whatever hangs, the process is gone after this many milliseconds. */
const DEADLINE_MS = 900;
/** From the signal on, milliseconds for everything but the log's last call: that and the kernel's own tidying up come on top. */
const LOG_MS = 600;

/**
 * Waits for the end and brings it about.
 * @returns the exit code: 0 after SIGINT or SIGTERM, 1 when the device failed
 */
export function untilShutdown(daemon: Daemon, log: Log): Promise<number> {
  return new Promise((resolve) => {
    let ending = false;
    const end = (code: number): void => {
      ending = true;
      setTimeout(() => process.exit(code), DEADLINE_MS).unref();
      const start = performance.now();
      const flush = (): Promise<void> => log.flush(Math.max(0, LOG_MS - (performance.now() - start)));
      daemon
        .stop()
        .then(flush, flush)
        .then(
          () => resolve(code),
          () => resolve(code),
        );
    };
    const onSignal = (signal: NodeJS.Signals): void => {
      // Who presses Ctrl-C twice does not want to wait.
      if (ending) process.exit(128 + constants.signals[signal]);
      const live = [...daemon.stack.connections()].filter((c) => c.state !== "TIME-WAIT").length;
      log.logger.info({ event: "shutdown", signal, connections: live }, `${signal}: ${live} live connections are reset, ${daemon.tun} is closed`);
      end(0);
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
    process.on("SIGHUP", () => {
      // Without a file it means what it always meant: the terminal is gone.
      if (!log.isFile) return onSignal("SIGHUP");
      try {
        log.reopen();
        log.logger.info({ event: "log-reopened" }, "log file opened again");
      } catch (error) {
        log.logger.error({ event: "log-reopened" }, `the log file cannot be opened again: ${(error as Error).message}`);
      }
    });
    daemon.failed.then(
      (failure: DeviceFailure) => {
        if (ending) return;
        log.logger.fatal({ event: "device-failed", code: failure.code }, failure.message);
        process.stderr.write(`glasstcp: ${failure.message} (${failure.code}); start the daemon again\n`);
        end(1);
      },
      () => {},
    );
    process.on("uncaughtException", (error: Error) => {
      // A bug of ours. The log is the evidence: it is written before the process goes.
      log.logger.fatal({ event: "crash", stack: error.stack }, error.message);
      process.stderr.write(`glasstcp: this is a bug in glasstcp, please report it\n${error.stack ?? error.message}\n`);
      if (ending) return;
      end(1);
    });
    process.on("exit", () => log.flushSync());
  });
}
