/** A ring that reads what `submit` was given only when it is flushed, as a device may that writes on another processor. */
import type { TxRing } from "../../src/wire/frames.js";

/** Nothing is read before `flush`. */
export const late = (tx: TxRing): TxRing => ({
  memory: tx.memory,
  begin: () => tx.begin(),
  text: (memory, offset, length) => tx.text(memory, offset, length),
  end: (...frame) => tx.end(...frame),
  submit: () => {},
  flush: () => tx.flush(),
});
