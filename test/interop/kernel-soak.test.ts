/** A short form of `npm run soak`: 15 seconds of mixed traffic, and 400 connections, against the kernel over a lossy link. */
import { expect, test } from "vitest";
import { soak } from "../../scripts/soak.js";
import { inNetns, netnsMissing } from "../support/netns.js";
import { describeUnless } from "../support/skip.js";

describeUnless(netnsMissing(), "soak", () => {
  test(
    "every octet comes back right, nothing grows, nothing is left",
    () =>
      inNetns(async (ns) => {
        const result = await soak(ns, 15, undefined, 400);
        expect(result.faults).toEqual([]);
        expect(result.connections).toBeGreaterThan(200);
        expect(result.octets).toBeGreaterThan(1_000_000);
        for (const kind of ["short", "long", "slow reader", "reset", "destroy", "idle"]) expect(result.byKind[kind], kind).toBeGreaterThan(0);
      }),
    180_000,
  );
});
