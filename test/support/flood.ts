/** scripts/flood.ts inside a namespace, and room for all that it sends. */
import { fileURLToPath } from "node:url";
import type { Netns } from "./netns.js";

const FLOOD = fileURLToPath(new URL("../../scripts/flood.ts", import.meta.url));
const TSX = fileURLToPath(new URL("../../node_modules/tsx/dist/loader.mjs", import.meta.url));

export async function flood(ns: Netns, ...args: string[]): Promise<{ sent: number; perSecond: number }> {
  return JSON.parse(await ns.must(process.execPath, ["--import", TSX, FLOOD, ...args], { timeoutMs: 120_000 })) as { sent: number; perSecond: number };
}

/**
 * Gives the daemon's interface a queue that holds all of a flood, so that a daemon that gets no processor for a while loses none.
 * @returns whether that was allowed: root of a user namespace may not
 */
export function roomForAll(ns: Netns): boolean {
  try {
    ns.sh("ip link set glass0 txqueuelen 200000");
    return true;
  } catch {
    return false;
  }
}
