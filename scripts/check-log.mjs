/** node scripts/check-log.mjs FILE PORT: every line of a log is JSON, and every finished connection to PORT went from LISTEN to CLOSED in order. */
import { readFileSync } from "node:fs";

const [file, port] = process.argv.slice(2);
const paths = new Map();
for (const [i, line] of readFileSync(file, "utf8").split("\n").entries()) {
  if (line === "") continue;
  let entry;
  try {
    entry = JSON.parse(line);
  } catch {
    console.log(`0: line ${i + 1} is no JSON: ${line}`);
    process.exit(1);
  }
  if (entry.event !== "transition" || !entry.local.endsWith(`:${port}`)) continue;
  for (const field of ["level", "time", "conn", "local", "remote", "from", "to", "cause", "rule", "ms", "msg"]) {
    if (entry[field] === undefined) {
      console.log(`0: line ${i + 1} lacks ${field}: ${line}`);
      process.exit(1);
    }
  }
  const path = paths.get(entry.conn) ?? [entry.from];
  if (path.at(-1) !== entry.from) {
    console.log(`0: connection ${entry.conn} left ${entry.from}, but was in ${path.at(-1)}`);
    process.exit(1);
  }
  path.push(entry.to);
  paths.set(entry.conn, path);
}
const orderly = /^LISTEN SYN-RECEIVED ESTABLISHED( CLOSE-WAIT LAST-ACK| FIN-WAIT-1( FIN-WAIT-2| CLOSING)? TIME-WAIT) CLOSED$/;
let finished = 0;
for (const [conn, path] of paths) {
  if (path.at(-1) !== "CLOSED") continue;
  if (!orderly.test(path.join(" "))) {
    console.log(`0: connection ${conn} went ${path.join(" → ")}`);
    process.exit(1);
  }
  finished++;
}
console.log(`${finished} connections to port ${port} went from LISTEN to CLOSED in order`);
process.exit(finished > 0 ? 0 : 1);
