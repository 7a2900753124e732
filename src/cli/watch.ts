/** Prints the same again and again: in place on a terminal, one after the other elsewhere, until Ctrl-C. */
import { setTimeout as sleep } from "node:timers/promises";
import { usageError } from "./errors.js";
import { print } from "./output.js";

/** @param seconds as the user wrote it */
export async function watch(once: () => Promise<string>, seconds: string): Promise<void> {
  const every = Number(seconds);
  if (!(every >= 0.1 && every <= 86_400)) throw usageError(`--watch ${seconds} is not a number of seconds from 0.1 to 86400`);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  process.once("SIGTERM", () => stop.abort());
  const clear = process.stdout.isTTY ? "\x1b[H\x1b[2J" : "";
  while (!stop.signal.aborted) {
    print(clear + (await once()));
    await sleep(every * 1_000, undefined, { signal: stop.signal }).catch(() => {});
  }
}
