/** Two projects: `unit` needs no root and takes seconds; `interop` talks to the kernel, one file at a time, in namespaces that its tests make. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    teardownTimeout: 20_000,
    reporters: ["default", "./scripts/vitest-skips.ts"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/interop/**", "**/node_modules/**"],
          sequence: { groupOrder: 0 },
          // They take milliseconds; the limit is for a machine that is busy otherwise.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "interop",
          include: ["test/interop/**/*.test.ts"],
          // The kernel's timers are real time, and two cores shared by several files would make honest deadlines flaky.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          // Most take a second. Only what hangs shall meet these, on a machine that has ten other things to do as well.
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
