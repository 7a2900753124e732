/** Skipping aloud: the reason stands in the report of the run, test by test. */
import { beforeEach, describe } from "vitest";

/** As `describe`, but skips each test with its reason in the report when there is one. */
export function describeUnless(why: string | undefined, name: string, body: () => void): void {
  describe(name, () => {
    if (why !== undefined) beforeEach((context) => context.skip(why));
    body();
  });
}
