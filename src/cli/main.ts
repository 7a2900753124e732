#!/usr/bin/env node
/** The entry of `glasstcp`. Commands are in registry.ts; nothing is imported here before the version of Node is known to do. */

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `glasstcp: Node.js 20.19 or newer is needed and this is ${process.versions.node}; install it from https://nodejs.org or with: nvm install 22\n`,
  );
  process.exit(1);
}
// `glasstcp ss | head` is no failure.
process.stdout.on("error", (e: NodeJS.ErrnoException) => process.exit(e.code === "EPIPE" ? 0 : 1));
const argv = process.argv.slice(2);
if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) {
  // Not worth the 30 ms that loading commander takes.
  const { version } = await import("./version.js");
  process.stdout.write(`${version()}\n`);
} else {
  try {
    const { main } = await import("./program.js");
    process.exitCode = await main(argv);
  } catch (e) {
    // Not even the part that tells of errors could be loaded.
    if ((e as NodeJS.ErrnoException).code !== "EMFILE") throw e;
    process.stderr.write(`glasstcp: ${(e as Error).message}; raise the limit, for example: ulimit -n 1024\n`);
    process.exitCode = 1;
  }
}
