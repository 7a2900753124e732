/**
 * `--user`: from root, or from a user with capabilities, to a plain user, once the device is open. Whoever takes the
 * daemon over through a bug then owns a user without rights, a TUN and a socket, and nothing of the host.
 */
import { readFileSync } from "node:fs";
import { libc } from "../device/libc.js";
import { ConfigError } from "./config.js";

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** "nobody", "65534", "65534:65534". @throws ConfigError */
export function resolveUser(text: string, passwd = "/etc/passwd"): User {
  const numeric = /^(\d+)(?::(\d+))?$/.exec(text);
  let lines: string[] = [];
  try {
    lines = readFileSync(passwd, "utf8").split("\n");
  } catch {
    // Images without a passwd file know numbers only.
  }
  const entries = lines.map((l) => l.split(":")).filter((f) => f.length >= 4);
  const entry = entries.find((f) => (numeric === null ? f[0] === text : f[2] === numeric[1]));
  if (entry === undefined && numeric === null)
    throw new ConfigError(`--user ${text}: there is no such user`, "name one of /etc/passwd, such as nobody, or give UID:GID");
  const uid = Number(numeric?.[1] ?? entry?.[2]),
    gid = Number(numeric?.[2] ?? entry?.[3] ?? numeric?.[1]);
  if (uid === 0) throw new ConfigError(`--user ${text} is root: nothing would be dropped`, "name a user without rights, such as nobody");
  return { name: entry?.[0] ?? text, uid, gid };
}

/** Numbers of the system calls: x64 has its own table, the others share the generic one. */
const SYSCALLS = process.arch === "x64" ? { capset: 126, prctl: 157 } : { capset: 91, prctl: 167 };
const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
const PR_SET_NO_NEW_PRIVS = 38,
  PR_CAP_AMBIENT = 47,
  PR_CAP_AMBIENT_CLEAR_ALL = 4;

/** The privileges that could not be dropped, with the mend; exit 3. */
export class PrivilegeError extends Error {
  override readonly name = "PrivilegeError";
  readonly exitCode = 3;
  readonly mend: string;
  constructor(message: string, mend: string) {
    super(message);
    this.mend = mend;
  }
}

/** Becomes `user` for good. @throws PrivilegeError when anything is left */
export function dropPrivileges(user: User): void {
  if (process.getuid?.() !== user.uid || process.getgid?.() !== user.gid) {
    try {
      process.setgroups?.([]);
      process.setgid?.(user.gid);
      process.setuid?.(user.uid);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      throw new PrivilegeError(
        `--user ${user.name}: this process may not become uid ${user.uid} (${code})`,
        code === "EINVAL"
          ? "in a user namespace only mapped users exist: leave --user out"
          : "start it as root with CAP_SETUID and CAP_SETGID (docker: --cap-add SETUID --cap-add SETGID), or as that user from the beginning",
      );
    }
  }
  clearCapabilities();
  const left = statusOf();
  if (left.uid !== user.uid || left.effective !== 0n || left.permitted !== 0n || left.ambient !== 0n) {
    throw new PrivilegeError(
      `--user ${user.name}: privileges are left (uid ${left.uid}, CapEff ${left.effective.toString(16)})`,
      "report this; meanwhile start the daemon as that user",
    );
  }
}

/** setuid() from root has emptied the sets already; a plain user with file or ambient capabilities keeps them until now. */
function clearCapabilities(): void {
  const c = libc();
  c.syscall(SYSCALLS.prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  const header = new Uint32Array(new ArrayBuffer(8)),
    sets = new Uint32Array(new ArrayBuffer(24));
  header[0] = LINUX_CAPABILITY_VERSION_3;
  c.syscall(SYSCALLS.capset, c.address(header), c.address(sets), 0, 0, 0);
  c.syscall(SYSCALLS.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

export interface PrivilegeStatus {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly ambient: bigint;
  readonly noNewPrivileges: boolean;
}

/** What the kernel says of a process. */
export function statusOf(pid: number | "self" = "self"): PrivilegeStatus {
  const fields = new Map(
    readFileSync(`/proc/${pid}/status`, "utf8")
      .split("\n")
      .map((l) => l.split(":\t", 2) as [string, string]),
  );
  const hex = (name: string): bigint => BigInt(`0x${fields.get(name)?.trim() ?? "0"}`);
  return {
    uid: Number(fields.get("Uid")?.split("\t")[1]),
    gid: Number(fields.get("Gid")?.split("\t")[1]),
    groups: (fields.get("Groups") ?? "")
      .trim()
      .split(" ")
      .filter((g) => g !== "")
      .map(Number),
    effective: hex("CapEff"),
    permitted: hex("CapPrm"),
    ambient: hex("CapAmb"),
    noNewPrivileges: fields.get("NoNewPrivs")?.trim() === "1",
  };
}
