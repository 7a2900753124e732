/** `glasstcp doctor`: one line per check, and for what is missing the one command that mends it. */
import { arch, release } from "node:os";
import { closeSync, openSync } from "node:fs";
import type { Command } from "commander";
import { hasCapability, namespaceWay, type Place, placeOf, SYSTEM, type System, TOOLS, TUN_NODE, toolMend, toolTrouble, tunTrouble } from "../environment.js";
import { EXIT } from "../errors.js";
import { padEnd, palette, print, printJson } from "../output.js";

/** ok; note: something works less well or only in part; missing: something that glasstcp needs. */
export type Verdict = "ok" | "note" | "missing";
export interface Check {
  readonly name: string;
  readonly verdict: Verdict;
  readonly detail: string;
  readonly mend?: string;
}

/** What cannot be had from files and programs: Node's own version, and koffi with an ioctl through it. */
export interface Runtime {
  readonly node: string;
  readonly platform: string;
  readonly kernel: string;
  /** Loads koffi. @returns its version; rejects where it does not load */
  koffi(): Promise<string>;
  /** TUNGETFEATURES of the TUN driver; undefined if it cannot be asked. */
  tunFeatures(): Promise<number | undefined>;
  /** Whether the kernel gives a thread that takes writes from shared memory. */
  ioUring(): Promise<boolean>;
}

const PLACES: Readonly<Record<Place, string>> = {
  host: "a host",
  docker: "a Docker container",
  container: "a container",
  rootless: "a user namespace: root here is an ordinary user outside",
};

const IFF_VNET_HDR = 0x4000;

/** All checks, in the order in which they are printed. */
export async function examine(system: System, runtime: Runtime): Promise<Check[]> {
  const place = placeOf(system);
  const contained = place === "docker" || place === "container";
  const checks: Check[] = [];
  const add = (name: string, verdict: Verdict, detail: string, mend?: string): void =>
    void checks.push({ name, verdict, detail, ...(mend !== undefined && { mend }) });

  if (runtime.platform === "linux") add("system", "ok", `${PLACES[place]}, Linux ${runtime.kernel}, ${arch()}`);
  else add("system", "missing", `${runtime.platform} has no Linux TUN`, "docker run --cap-add NET_ADMIN --device /dev/net/tun glasstcp");

  const [major = 0, minor = 0] = runtime.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) add("node", "ok", `Node.js ${runtime.node}`);
  else add("node", "missing", `Node.js ${runtime.node} is older than 20.19`, "nvm install 22");

  let koffi = true;
  try {
    add("koffi", "ok", `koffi ${await runtime.koffi()} loads: system calls without a compiler`);
  } catch (e) {
    koffi = false;
    add("koffi", "missing", `koffi does not load: ${String((e as Error).message).split("\n")[0]}`, "npm ci");
  }

  const tun = tunTrouble(system, place);
  if (tun === undefined) add("tun", "ok", `${TUN_NODE} opens for reading and writing`);
  else add("tun", "missing", tun.why, tun.mend);

  const way = namespaceWay(system, place);
  if (hasCapability("CAP_NET_ADMIN", system)) add("right", "ok", "CAP_NET_ADMIN: serve may make its interface here");
  else if (contained)
    add(
      "right",
      "missing",
      "no CAP_NET_ADMIN in this container: serve cannot make its interface",
      "add to docker run: --user 0 --cap-add NET_ADMIN --device /dev/net/tun",
    );
  else if (way.ok) add("right", "note", "no CAP_NET_ADMIN: demo, sandbox and lab work, serve on this host does not", "sudo glasstcp serve");
  else add("right", "missing", "no CAP_NET_ADMIN: serve cannot make its interface", "sudo glasstcp serve");

  if (way.ok) add("namespace", "ok", `unshare ${way.flags.join(" ")} gives demo, sandbox and lab a network of their own`);
  else if (contained && hasCapability("CAP_NET_ADMIN", system))
    add("namespace", "note", `${way.why}; the container's own network will do`, "glasstcp demo --here");
  else add("namespace", "missing", way.why, way.mend);

  if (tun === undefined && koffi) {
    const features = await runtime.tunFeatures();
    if (features === undefined) add("offload", "note", "the TUN driver does not tell its features; serve tries, and falls back to plain frames");
    else if ((features & IFF_VNET_HDR) !== 0) add("offload", "ok", "the kernel's TUN has vnet headers: super-segments of 64 KB, checksums left to us");
    else add("offload", "note", "the kernel's TUN has no vnet headers: plain frames only, slower");
  } else add("offload", "note", "not looked at: it takes koffi and an open TUN node");

  if (koffi && (await runtime.ioUring())) add("io_uring", "ok", "the kernel writes the frames of streams on another processor");
  else if (koffi)
    add(
      "io_uring",
      "note",
      system.read("/proc/sys/kernel/io_uring_disabled")?.trim() === "2"
        ? "switched off: streams are sent by one processor, slower"
        : "refused by a seccomp profile (Docker's own) or before Linux 5.11: streams are sent by one processor, slower",
    );

  const lacking = TOOLS.map((tool) => ({ tool, trouble: toolTrouble(tool, system) }));
  for (const { tool, trouble } of lacking) {
    if (trouble === undefined) add(tool.program, "ok", tool.why);
    else add(tool.program, tool.program === "ip" ? "note" : "missing", `${trouble}; ${tool.why}`, toolMend([tool], system));
  }

  if (!contained) {
    const docker = system.run("docker", ["version", "--format", "{{.Server.Version}}"]);
    if (docker.status === 0)
      add("docker", "ok", `engine ${docker.output.split("\n")[0]}; not needed, but: docker run --cap-add NET_ADMIN --device /dev/net/tun glasstcp`);
    else
      add(
        "docker",
        "note",
        docker.error === undefined ? "no engine answers; only scripts/test-docker needs one" : "not installed; only scripts/test-docker needs it",
      );
  }
  return checks;
}

const RUNTIME: Runtime = {
  node: process.versions.node,
  platform: process.platform,
  kernel: release(),
  koffi: async () => (await import("koffi")).default.version,
  async tunFeatures() {
    const { default: koffi } = await import("koffi");
    const fd = openSync(TUN_NODE, "r+");
    try {
      const features = new Uint32Array(1);
      const ioctl = koffi.load(null).func("int ioctl(int fd, unsigned long request, _Inout_ uint32_t *arg)") as (
        fd: number,
        request: number,
        arg: Uint32Array,
      ) => number;
      const TUNGETFEATURES = 0x800454cf;
      return ioctl(fd, TUNGETFEATURES, features) < 0 ? undefined : features[0];
    } finally {
      closeSync(fd);
    }
  },
  async ioUring() {
    const { Uring } = await import("../../device/uring.js");
    const uring = Uring.make(2, true);
    uring?.close();
    return uring !== undefined;
  },
};

export function register(program: Command): void {
  program
    .command("doctor")
    .summary("check what is needed here; name the one command that mends what is missing")
    .description("Checks what glasstcp needs on this machine, one line each. Exits 0 when nothing is missing, else 1. Changes nothing.")
    .option("--json", "as one JSON object: ok, and checks with name, verdict, detail, mend")
    .addHelpText("after", "\nExamples:\n  $ glasstcp doctor\n  $ glasstcp doctor --json | jq -r '.checks[] | select(.mend) | .mend'")
    .action(async (options: { json?: true }) => {
      const checks = await examine(SYSTEM, RUNTIME);
      const ok = checks.every((c) => c.verdict !== "missing");
      if (options.json) printJson({ ok, place: placeOf(SYSTEM), checks });
      else {
        const paint = palette();
        const marks: Readonly<Record<Verdict, string>> = { ok: paint.green("ok     "), note: paint.yellow("note   "), missing: paint.red("MISSING") };
        for (const c of checks)
          print(`${marks[c.verdict]}  ${padEnd(c.name, 9)}  ${c.detail}${c.mend === undefined ? "" : `\n${" ".repeat(20)}${paint.bold(c.mend)}`}`);
        print(ok ? "Nothing is missing. Next: glasstcp demo" : `${checks.filter((c) => c.verdict === "missing").length} missing; the commands above mend it.`);
      }
      process.exitCode = ok ? EXIT.done : EXIT.failed;
    });
}
