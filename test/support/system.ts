/** Systems of other people, as doctor and the test library would see them: rights, the device node, containers. */
import type { System } from "../../src/cli/environment.js";

const caps = (...bits: number[]): string =>
  `CapEff:\t${bits
    .reduce((set, bit) => set | (1n << BigInt(bit)), 0n)
    .toString(16)
    .padStart(16, "0")}\n`;
export const NET_ADMIN = 12,
  SYS_ADMIN = 21;

export interface Shown {
  files?: Record<string, string>;
  caps?: number[];
  tun?: string | undefined | "none";
  unshare?: "refused" | "missing" | "works";
  tools?: Record<string, string | undefined>;
  uid?: number;
  contained?: boolean;
}
export function system(shown: Shown): System {
  const files: Record<string, string> = { "/proc/self/status": caps(...(shown.caps ?? [])), "/proc/self/uid_map": "0 0 4294967295", ...shown.files };
  if (shown.tun !== "none") files["/dev/net/tun"] = "";
  const tools: Record<string, string | undefined> = { curl: "curl 7.88", nc: "OpenBSD netcat\n-46bCDdFhklNnrStUuvZz", ip: "ip utility", ...shown.tools };
  return {
    read: (path) => files[path],
    exists: (path) => files[path] !== undefined,
    link: (path) => (path === "/proc/self/ns/pid" ? (shown.contained === true ? "pid:[4026532999]" : "pid:[4026531836]") : undefined),
    open: () => shown.tun,
    run(program) {
      if (program === "unshare") {
        if (shown.unshare === "missing") return { status: null, output: "", error: "ENOENT" };
        return shown.unshare === "refused"
          ? { status: 1, output: "unshare: unshare failed: Operation not permitted", error: undefined }
          : { status: 0, output: "", error: undefined };
      }
      const output = tools[program];
      return output === undefined ? { status: null, output: "", error: "ENOENT" } : { status: 0, output, error: undefined };
    },
    uid: shown.uid ?? 0,
    env: {},
  };
}
