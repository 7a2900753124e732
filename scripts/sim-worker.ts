/** A process of scripts/sim.ts: runs the seeds that it is given, one at a time. */
import { simulateHostile } from "../test/sim/hostile.js";
import { simulate } from "../test/sim/simulate.js";

process.on("message", ({ kind, seed }: { kind: "link" | "hostile"; seed: number }) => {
  process.send?.((kind === "link" ? simulate : simulateHostile)(seed));
});
