/** A connection's place in the stack's timer wheel. */
import type { Tcb } from "./tcb.js";

export class Wake {
  readonly tcb: Tcb;
  /** When it is to be woken, ms; Infinity when it is in no slot. */
  at = Infinity;
  slot = -1;
  previous: Wake | undefined;
  following: Wake | undefined;
  constructor(tcb: Tcb) {
    this.tcb = tcb;
  }
}
