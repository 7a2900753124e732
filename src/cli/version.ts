/** The version, from package.json alone. */
import { readFileSync } from "node:fs";

/** Compiled, this file lies one folder deeper below the one package.json than its source does. */
export function version(): string {
  for (const up of ["../../../package.json", "../../package.json"]) {
    try {
      return (JSON.parse(readFileSync(new URL(up, import.meta.url), "utf8")) as { version: string }).version;
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== "ENOENT") throw e;
    }
  }
  return "unknown";
}
