import { defineConfig } from "vitest/config";

export default defineConfig({ test: { setupFiles: ["glasstcp/testing/setup"], testTimeout: 15_000 } });
