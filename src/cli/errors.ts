/** How the command line fails: one line that names the mend, and an exit code that scripts can rely on. */

export const EXIT = { done: 0, failed: 1, usage: 2, permission: 3, noDaemon: 4 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Something that the user can mend. Printed as `glasstcp: MESSAGE; MEND`, never with a stack trace; an empty message prints nothing. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;
  readonly mend: string | undefined;
  constructor(message: string, options: { exitCode?: number; mend?: string } = {}) {
    super(message);
    this.exitCode = options.exitCode ?? EXIT.failed;
    this.mend = options.mend;
  }
}

/** The command line itself is wrong: exit 2. */
export const usageError = (message: string, mend?: string): CliError => new CliError(message, { exitCode: EXIT.usage, ...(mend !== undefined && { mend }) });
/** A right or a device is missing: exit 3, with the fix. */
export const permissionError = (message: string, mend: string): CliError => new CliError(message, { exitCode: EXIT.permission, mend });
/** No daemon answers on the control socket: exit 4. */
export const noDaemonError = (message: string, mend = "start one with: glasstcp serve"): CliError => new CliError(message, { exitCode: EXIT.noDaemon, mend });

/** What Node says when it has no descriptor left, or a package is not where it should be; the first looks like the second. */
const LOADING: Readonly<Record<string, string>> = {
  EMFILE: "raise the limit, for example: ulimit -n 1024",
  ENFILE: "the whole machine is out of descriptors: sysctl fs.file-max",
  ERR_MODULE_NOT_FOUND: "install again (npm ci), or, where descriptors are few: ulimit -n 1024",
};

const NO_PERMISSION = new Set(["EACCES", "EPERM", "ENOENT", "ENODEV", "ENXIO"]);

export interface Told {
  readonly text: string;
  readonly exitCode: number;
}

/**
 * What to print for something thrown, and the exit code. Errors that carry a `mend` (CliError, DeviceError, ConfigError) or
 * an errno are the user's to fix and take one line; anything else is our bug and brings its stack, so that it can be reported.
 */
export function tell(thrown: unknown): Told {
  const e = thrown as { message?: unknown; mend?: unknown; exitCode?: unknown; code?: unknown; kind?: unknown; stack?: unknown };
  if (!(thrown instanceof Error)) return { text: `glasstcp: ${String(thrown)}`, exitCode: EXIT.failed };
  if (thrown.message === "" && typeof e.exitCode === "number") return { text: "", exitCode: e.exitCode };
  const told = (exitCode: number): Told => ({
    text: oneLine(typeof e.mend === "string" ? `glasstcp: ${thrown.message}; ${e.mend}` : `glasstcp: ${thrown.message}`),
    exitCode,
  });
  if (typeof e.exitCode === "number") return told(e.exitCode);
  if (e.kind === "usage") return told(EXIT.usage);
  if (e.kind === "permission" || e.kind === "missing") return told(EXIT.permission);
  if (typeof e.mend === "string") return told(e.kind === undefined && typeof e.code === "string" && NO_PERMISSION.has(e.code) ? EXIT.permission : EXIT.failed);
  if (typeof e.code === "string" && Object.hasOwn(LOADING, e.code))
    return { text: oneLine(`glasstcp: ${thrown.message}; ${LOADING[e.code]}`), exitCode: EXIT.failed };
  if (typeof e.code === "string" && /^E[A-Z0-9]+$/.test(e.code) && "syscall" in thrown) return told(EXIT.failed);
  return { text: `glasstcp: this is a bug in glasstcp, please report it\n${thrown.stack ?? thrown.message}`, exitCode: EXIT.failed };
}

const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, " ");
