/** npm run docs:demo: runs the demo and puts what it printed into the README, word for word. Needs what the demo needs. */
import { spawnSync } from "node:child_process";
import { writeBlock } from "./readme-block.js";

const { status, stdout, stderr } = spawnSync(process.execPath, ["dist/src/cli/main.js", "demo"], { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } });
if (status !== 0) {
  console.error(stderr || stdout);
  process.exit(1);
}
const changed = writeBlock("demo", `\`\`\`console\n$ scripts/start demo\n${stdout}\`\`\`\n`);
console.log(changed ? "README.md: demo output written" : "README.md: demo output is up to date");
