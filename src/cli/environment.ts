/** Where this process runs and what it may do there: facts for `doctor`, `sandbox`, `demo` and the test library, read once and judged elsewhere. */
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, readlinkSync } from "node:fs";

/** A plain host, a container of Docker or another engine, or a user namespace in which root is not the machine's root. */
export type Place = "host" | "docker" | "container" | "rootless";

/** The system as this room sees it, so that tests can show it another one. */
export interface System {
  /** Contents of a file; undefined if it cannot be read. */
  read(path: string): string | undefined;
  exists(path: string): boolean;
  /** Where a symbolic link points; undefined if it is none. */
  link(path: string): string | undefined;
  /** Opens for reading and writing, and closes. @returns undefined, or the errno name */
  open(path: string): string | undefined;
  /** Runs a program to its end, 10 s at most. status is null where it could not be run. */
  run(program: string, args: readonly string[]): { readonly status: number | null; readonly output: string; readonly error: string | undefined };
  readonly uid: number;
  readonly env: NodeJS.ProcessEnv;
}

export const SYSTEM: System = {
  read(path) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  },
  exists: existsSync,
  link(path) {
    try {
      return readlinkSync(path);
    } catch {
      return undefined;
    }
  },
  open(path) {
    try {
      closeSync(openSync(path, "r+"));
      return undefined;
    } catch (e) {
      return (e as NodeJS.ErrnoException).code ?? "EIO";
    }
  },
  run(program, args) {
    const done: SpawnSyncReturns<string> = spawnSync(program, args, {
      encoding: "utf8",
      timeout: 10_000,
      stdio: ["ignore", "pipe", "pipe"],
      env: withSbin(process.env),
    });
    return { status: done.status, output: `${done.stdout ?? ""}${done.stderr ?? ""}`.trim(), error: (done.error as NodeJS.ErrnoException | undefined)?.code };
  },
  uid: process.getuid?.() ?? -1,
  env: process.env,
};

/** A user's PATH often lacks the folders of `ip` and `nft`. */
export function withSbin(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const path = (env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(":");
  for (const dir of ["/usr/sbin", "/sbin"]) if (!path.includes(dir)) path.push(dir);
  return { ...env, PATH: path.join(":") };
}

export function placeOf(system: System): Place {
  // "0 0 4294967295" is the machine's own user namespace; anything else maps root to somebody else.
  const map = system.read("/proc/self/uid_map")?.trim().split(/\s+/);
  // A machine whose disk was made from an image has /.dockerenv too; the kernel's first PID namespace has this fixed number.
  const contained = system.link("/proc/self/ns/pid") !== "pid:[4026531836]";
  if (contained && system.exists("/.dockerenv")) return "docker";
  if (contained && (system.exists("/run/.containerenv") || system.env["KUBERNETES_SERVICE_HOST"] !== undefined)) return "container";
  if (map !== undefined && map.length >= 3 && !(map[0] === "0" && map[1] === "0" && map[2] === "4294967295")) return "rootless";
  return "host";
}

const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 } as const;

/** Whether the effective set of this process has the capability. */
export function hasCapability(name: keyof typeof CAPABILITIES, system: System = SYSTEM): boolean {
  const hex = /^CapEff:\s*([0-9a-f]+)/m.exec(system.read("/proc/self/status") ?? "")?.[1];
  return hex !== undefined && ((BigInt(`0x${hex}`) >> BigInt(CAPABILITIES[name])) & 1n) === 1n;
}

/** How a private network namespace can be had: flags for unshare(1), or why not and what to do. */
export type NamespaceWay = { readonly ok: true; readonly flags: readonly string[] } | { readonly ok: false; readonly why: string; readonly mend: string };

/** Tries it: asking the kernel is shorter than knowing every sysctl, profile and filter that may forbid it. */
export function namespaceWay(system: System = SYSTEM, place: Place = placeOf(system), program = "glasstcp ..."): NamespaceWay {
  let refused = "";
  const ways = hasCapability("CAP_SYS_ADMIN", system) ? [["--net"]] : [];
  ways.push(["--user", "--map-root-user", "--net"]);
  for (const flags of ways) {
    const { status, output, error } = system.run("unshare", [...flags, "true"]);
    if (status === 0) return { ok: true, flags };
    if (error === "ENOENT") return { ok: false, why: "the program unshare is missing", mend: "sudo apt-get install -y util-linux" };
    refused = output.replace(/^unshare: /, "").split("\n")[0] ?? "";
  }
  return { ok: false, why: `no private network namespace: ${refused || "refused"}`, mend: namespaceMend(system, place, program) };
}

function namespaceMend(system: System, place: Place, program: string): string {
  if (place === "docker" || place === "container") {
    return system.uid === 0
      ? "add to docker run: --cap-add SYS_ADMIN --security-opt apparmor=unconfined"
      : "add to docker run: --user 0 --cap-add SYS_ADMIN --security-opt apparmor=unconfined";
  }
  if (system.read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")?.trim() === "1")
    return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
  if (system.read("/proc/sys/kernel/unprivileged_userns_clone")?.trim() === "0") return "sudo sysctl -w kernel.unprivileged_userns_clone=1";
  if (system.read("/proc/sys/user/max_user_namespaces")?.trim() === "0") return "sudo sysctl -w user.max_user_namespaces=15000";
  return system.uid === 0 ? "run it outside of this sandbox: even root may not make a namespace here" : `run it as root: sudo ${program}`;
}

export const TUN_NODE = "/dev/net/tun";

/** Why the TUN node cannot be used, and the one command that mends it; undefined when it can. */
export function tunTrouble(system: System = SYSTEM, place: Place = placeOf(system)): { readonly why: string; readonly mend: string } | undefined {
  const contained = place === "docker" || place === "container";
  if (!system.exists(TUN_NODE)) {
    return contained
      ? { why: `${TUN_NODE} is missing in this container`, mend: `add to docker run: --cap-add NET_ADMIN --device ${TUN_NODE}` }
      : { why: `${TUN_NODE} is missing`, mend: `sudo modprobe tun; [ -e ${TUN_NODE} ] || sudo sh -c 'mkdir -p /dev/net && mknod -m 666 ${TUN_NODE} c 10 200'` };
  }
  const errno = system.open(TUN_NODE);
  if (errno === undefined) return undefined;
  if (errno === "ENODEV" || errno === "ENXIO")
    return {
      why: `${TUN_NODE} is there, but the kernel has no TUN driver (${errno})`,
      mend: contained ? "on the host: sudo modprobe tun" : "sudo modprobe tun",
    };
  if (errno === "EPERM" && contained) return { why: `the container may not use ${TUN_NODE} (EPERM)`, mend: `add to docker run: --device ${TUN_NODE}` };
  if (errno === "EACCES" && contained)
    return { why: `${TUN_NODE} is not for this user (EACCES)`, mend: "add to docker run: --user 0 (serve --user NAME drops root once the device is open)" };
  return {
    why: `${TUN_NODE} cannot be opened (${errno})`,
    mend: place === "rootless" || system.uid !== 0 ? `sudo chmod 666 ${TUN_NODE}` : `sudo rm ${TUN_NODE}; sudo mknod -m 666 ${TUN_NODE} c 10 200`,
  };
}

export interface Tool {
  readonly program: string;
  readonly debian: string;
  readonly why: string;
}
/** What demo, sandbox and the tests run beside the daemon. */
export const TOOLS: readonly Tool[] = [
  { program: "curl", debian: "curl", why: "demo and tests speak HTTP with it" },
  { program: "nc", debian: "netcat-openbsd", why: "demo and tests speak plain TCP with it" },
  { program: "ip", debian: "iproute2", why: "tests and sandbox shells look at the interface with it; the daemon needs no ip" },
];

/** Undefined when the program is there and is the one that we mean, else why not. */
export function toolTrouble(tool: Tool, system: System = SYSTEM): string | undefined {
  const { status, output, error } = system.run(tool.program, tool.program === "nc" ? ["-h"] : tool.program === "ip" ? ["-V"] : ["--version"]);
  if (status === null || error !== undefined) return `${tool.program} is missing`;
  // The traditional nc has no -N and half-closes differently.
  if (tool.program === "nc" && !/openbsd|-\w*N/i.test(output)) return "nc is not the OpenBSD one";
  return undefined;
}
export const toolMend = (tools: readonly Tool[], system: System = SYSTEM): string =>
  `${system.uid === 0 ? "" : "sudo "}apt-get install -y ${tools.map((t) => t.debian).join(" ")}`;
