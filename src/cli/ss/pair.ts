/** `ss --pair`: the kernel's own row for the other end of each connection, by asking the system's ss. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { CliError } from "../errors.js";
import type { Row } from "./row.js";

const run = promisify(execFile);

/** "10.77.0.1:48308>10.77.0.2:80", as the kernel sees the connection. */
const keyOf = (local: string, peer: string): string => `${local}>${peer}`;

/**
 * The kernel's TCP sockets by their ends.
 * @param args what `ss` is called with; for tests
 * @throws CliError when there is no ss
 */
export async function kernelRows(command = "ss", args: readonly string[] = ["-tanoiHO"]): Promise<ReadonlyMap<string, string>> {
  let text: string;
  try {
    text = (await run(command, args, { maxBuffer: 256 * 1024 * 1024 })).stdout;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new CliError("--pair asks the program ss, and there is none", { mend: "apt-get install iproute2" });
    throw new CliError(`--pair: ss failed: ${(error as Error).message.split("\n")[0]}`);
  }
  const rows = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, , , local, peer] = line.trim().split(/\s+/);
    if (local !== undefined && peer !== undefined) rows.set(keyOf(stripZone(local), stripZone(peer)), line.trim());
  }
  return rows;
}

/** "10.77.0.1%glass0:80" is 10.77.0.1:80 on an interface. */
const stripZone = (end: string): string => end.replace(/%[^:]*/, "");

/** The two lines that go under ours: the kernel's columns, and its details. */
export function kernelLines(row: Row, rows: ReadonlyMap<string, string>): readonly string[] | undefined {
  if (row.remote === undefined) return undefined;
  const line = rows.get(keyOf(`${row.remote.address}:${row.remote.port}`, `${row.local.address}:${row.local.port}`));
  if (line === undefined) return ["\t kernel: has no socket for it (the peer is another host, or gone)"];
  const [state = "", recvQ = "", sendQ = "", , , ...rest] = line.split(/\s+/);
  return [`\t kernel: ${state} Recv-Q ${recvQ} Send-Q ${sendQ} ${rest.join(" ")}`.trimEnd()];
}
