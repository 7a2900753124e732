/**
 * Runs a command in a network of its own: unshare(1) starts this same program again in a fresh network namespace, as root
 * a plain one, else inside a user namespace. The host's own interfaces are out of reach there. Used by demo, sandbox, lab.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { constants } from "node:os";
import { hasCapability, namespaceWay, SYSTEM, tunTrouble } from "./environment.js";
import { CliError, permissionError } from "./errors.js";

/**
 * Tells the second run that it is inside, by naming the namespace that was left; a value that names the one we are in proves
 * nothing. Taken out of the environment at once, so that no child inherits it.
 */
const LEFT = "GLASSTCP_LEFT_NETNS";
const currentNetns = (): string => readlinkSync("/proc/self/ns/net");

/** Programs that are started beside the command and must not outlive it, even when it is killed with SIGKILL. */
export function dieWithParent(command: string, args: readonly string[], signal: "TERM" | "KILL"): [string, string[]] {
  return SYSTEM.run("setpriv", ["--pdeathsig", "KILL", "true"]).status === 0
    ? ["setpriv", ["--pdeathsig", signal, "--", command, ...args]]
    : [command, [...args]];
}

/** How this very program is started: node, its flags, the entry file. */
export const ownCommand = (): [string, string[]] => [process.execPath, [...process.execArgv, process.argv[1] ?? ""]];

/** An exit code as shells give it: 128 + n for signal n. */
export const exitCodeOf = (code: number | null, signal: NodeJS.Signals | null): number => code ?? 128 + (signal === null ? 0 : constants.signals[signal]);

/**
 * Runs `body` in a private network namespace whose loopback is up.
 * @param here use the namespace that we are in (a container's own), make none
 * @returns the exit code of body
 * @throws CliError with exit code 3 where the system allows no namespace or has no usable TUN node
 */
export async function inPrivateNetwork(here: boolean, body: () => Promise<number>): Promise<number> {
  const left = process.env[LEFT];
  delete process.env[LEFT];
  if (left !== undefined && left !== currentNetns()) {
    await loopbackUp();
    return body();
  }
  const tun = tunTrouble();
  if (tun !== undefined) throw permissionError(tun.why, tun.mend);
  if (here) {
    if (!hasCapability("CAP_NET_ADMIN")) throw permissionError("no CAP_NET_ADMIN in this network namespace", "leave out --here, or run it with: sudo");
    return body();
  }
  const way = namespaceWay();
  if (!way.ok)
    throw permissionError(way.why, hasCapability("CAP_NET_ADMIN") ? `${way.mend}; or, where this network is a container's own, add --here` : way.mend);
  const [node, args] = ownCommand();
  const [command, all] = dieWithParent("unshare", [...way.flags, "--", node, ...args, ...process.argv.slice(2)], "TERM");
  const child = spawn(command, all, { stdio: "inherit", env: { ...process.env, [LEFT]: currentNetns() } });
  return followed(child);
}

/**
 * Runs `body` so that no signal can end this process before it has cleaned up: SIGINT, SIGTERM and SIGHUP abort the signal that
 * body is given, with a wordless CliError of the exit code that a shell would show. While `followed` waits, they go to its child as well.
 */
export async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const handlers = (["SIGINT", "SIGTERM", "SIGHUP"] as const).map((signal) => {
    const abort = (): void => controller.abort(new CliError("", { exitCode: exitCodeOf(null, signal) }));
    process.on(signal, abort);
    return (): void => void process.off(signal, abort);
  });
  try {
    return await body(controller.signal);
  } finally {
    for (const off of handlers) off();
  }
}

/** Waits for a foreground child: signals that come to us go on to it. @returns its exit code */
export async function followed(child: ChildProcess): Promise<number> {
  const handlers = (["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const).map((signal) => {
    const pass = (): void => {
      if ((signal === "SIGINT" || signal === "SIGQUIT") && fromTerminal()) return;
      child.kill(signal);
    };
    process.on(signal, pass);
    return (): void => void process.off(signal, pass);
  });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", (e: NodeJS.ErrnoException) =>
        reject(
          e.code === "ENOENT"
            ? new CliError(`${child.spawnfile}: no such program`, { exitCode: 127 })
            : e.code === "EACCES"
              ? new CliError(`${child.spawnfile}: not executable`, { exitCode: 126 })
              : e,
        ),
      );
      child.once("exit", (code, signal) => resolve(exitCodeOf(code, signal)));
    });
  } finally {
    for (const off of handlers) off();
  }
}

/** A terminal's Ctrl-C reaches the whole foreground group, so the child has it already; a kill(1) of us alone does not. */
function fromTerminal(): boolean {
  try {
    const stat = readFileSync("/proc/self/stat", "utf8");
    const [, , pgrp, , , tpgid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return pgrp === tpgid;
  } catch {
    return false;
  }
}

/** A new namespace has its loopback down. */
async function loopbackUp(): Promise<void> {
  const { NetDevice } = await import("../device/netdevice.js");
  const lo = new NetDevice("lo");
  try {
    lo.up();
  } finally {
    lo.close();
  }
}
