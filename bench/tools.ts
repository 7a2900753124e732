/** The C programs of the benchmark, built into a folder of this run. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCES = fileURLToPath(new URL("c/", import.meta.url));

export interface Tools {
  readonly client: string;
  readonly kernel: string;
  readonly responder: string;
}

/** @throws Error that names the mend */
export function buildTools(folder: string): Tools {
  const build = (name: keyof Tools): string => {
    const program = join(folder, name);
    try {
      execFileSync("cc", ["-O2", "-Wall", "-o", program, join(SOURCES, `${name}.c`)], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") throw new Error("a C compiler is missing: apt-get install gcc libc6-dev");
      throw error;
    }
    return program;
  };
  return { client: build("client"), kernel: build("kernel"), responder: build("responder") };
}
