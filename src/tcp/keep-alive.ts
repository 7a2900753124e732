/** Keep-alive (RFC 9293 §3.8.4): off unless asked for; only when nothing is outstanding (MUST-26). */
import type { Tcb } from "./tcb.js";
import { after, type Millis } from "./time.js";
import { isSynchronized } from "./state.js";
import { keepAliveIdleOf } from "./user-timeout.js";

/** Starts or restarts the idle time. */
export function armKeepAlive(t: Tcb, now: Millis): void {
  if (!t.keepAlive || !isSynchronized(t.state) || t.state === "TIME-WAIT") return t.timers.disarm("keepAlive");
  t.timers.arm("keepAlive", after(now, keepAliveIdleOf(t)));
}
