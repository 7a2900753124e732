/** npm run throughput [-- --write]: prints the throughput table of the simulation, or writes it to where a test compares it. */
import { writeFileSync } from "node:fs";
import { measureAll, table } from "../test/sim/throughput.js";

const text = table(measureAll());
if (process.argv.includes("--write")) writeFileSync(new URL("../test/sim/throughput.md", import.meta.url), text);
else process.stdout.write(text);
