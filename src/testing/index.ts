/**
 * `glasstcp/testing`: a TCP peer for one's own tests, that misbehaves on demand and tells what happened.
 *
 *   const peer = await createPeer({ behaviour: "http body 1000 abort body 100", faults: "synack nth 1 drop" });
 *   await expect(fetch(peer.url).then((r) => r.text())).rejects.toThrow();
 *   expect(peer.connections[0]).toHaveTraversed(["SYN-RECEIVED", "ESTABLISHED", "CLOSED"]);
 */
import type { GlassMatchers } from "./matchers.js";

export { FaultSpecError } from "../faults/words.js";
export type { FaultInfo } from "../faults/faults.js";
export { type GlassMatchers, type MatcherResult, matchers } from "./matchers.js";
export { peerMissing, PeerUnavailable, type Where } from "./namespace.js";
export { createPeer, type Peer, type PeerFault, type PeerOptions } from "./peer.js";
export type { PeerConnection } from "./record.js";

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: vitest declares its type parameter so
  interface Matchers<T = any> extends GlassMatchers<T> {}
}
