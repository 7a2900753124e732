/** Loaded into a daemon with --import: SIGUSR2 collects all garbage, so that memory is counted without what is garbage anyway. */
process.on("SIGUSR2", () => globalThis.gc());
