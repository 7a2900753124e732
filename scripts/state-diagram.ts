/** npm run docs:states: draws the state machine from the code's own table into the README. A test compares the two. */
import { mermaid } from "../src/cli/commands/states.js";
import { writeBlock } from "./readme-block.js";

const changed = writeBlock("states", `\`\`\`mermaid\n${mermaid()}\n\`\`\`\n`);
console.log(changed ? "README.md: state diagram written" : "README.md: state diagram is up to date");
