/**
 * One table from the RFC's sentences (RFC 9293 §3.9.1, §3.10: "connection refused", "connection reset" …) to the errors
 * that Node's sockets give for them: code, errno, syscall, address, port and text are Node's.
 */
import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import type { ClosedBy } from "../tcp/events.js";

export interface SocketError extends Error {
  code: string;
  errno: number;
  syscall: string;
  address?: string;
  port?: number;
  localAddress?: string;
  localPort?: number;
}

/**
 * Why a connection ended, as the code that the kernel's TCP would have given: while it was being opened, and afterwards.
 * Undefined: no error, both sides agreed.
 */
const CODE_OF: Readonly<Record<ClosedBy, { readonly opening: string; readonly open: string | undefined }>> = {
  local: { opening: "ECONNABORTED", open: undefined },
  peer: { opening: "ECONNABORTED", open: undefined },
  both: { opening: "ECONNABORTED", open: undefined },
  reset: { opening: "ECONNRESET", open: "ECONNRESET" }, // "connection reset"
  abort: { opening: "ECONNABORTED", open: undefined }, // our own call
  refused: { opening: "ECONNREFUSED", open: "ECONNREFUSED" }, // "connection refused"
  timeout: { opening: "ETIMEDOUT", open: "ETIMEDOUT" }, // "connection aborted due to user timeout"
  unreachable: { opening: "EHOSTUNREACH", open: "EHOSTUNREACH" },
  limit: { opening: "ENOBUFS", open: "ENOBUFS" }, // "insufficient resources"
  shutdown: { opening: "ECONNABORTED", open: undefined }, // our own call, on the stack
};

/** What Linux makes of the codes of ICMP's destination unreachable (RFC 1122 §3.2.2.1; net/ipv4/icmp.c, icmp_err_convert). */
const UNREACHABLE: readonly string[] = [
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENOPROTOOPT",
  "ECONNREFUSED",
  "EMSGSIZE",
  "EOPNOTSUPP",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENONET",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "EHOSTUNREACH",
  "EHOSTUNREACH",
  "EHOSTUNREACH",
];
const ICMP_UNREACHABLE = 3;

/**
 * The code of an ending, or undefined where it is none to complain of. The last ICMP error says more than "unreachable",
 * and more than that time ran out.
 */
export function codeOf(by: ClosedBy, opening: boolean, icmp: { readonly type: number; readonly code: number } | undefined): string | undefined {
  const told = (by === "unreachable" || by === "timeout") && icmp?.type === ICMP_UNREACHABLE ? UNREACHABLE[icmp.code] : undefined;
  return told ?? CODE_OF[by][opening ? "opening" : "open"];
}

/** The negative number that libuv uses for an errno name; 0 for an unknown name. */
export const errnoOf = (code: string): number => -((constants.errno as Readonly<Record<string, number>>)[code] ?? 0);

function make(message: string, code: string, syscall: string): SocketError {
  const error = new Error(message) as SocketError;
  error.errno = errnoOf(code);
  error.code = code;
  error.syscall = syscall;
  return error;
}

/** "read ECONNRESET" */
export const errnoError = (code: string, syscall: string): SocketError => make(`${syscall} ${code}`, code, syscall);

/** "connect ECONNREFUSED 10.77.0.1:80", and " - Local (10.77.0.2:4000)" where our end was asked for. */
export function hostPortError(code: string, syscall: string, address: string, port: number | undefined, local?: string): SocketError {
  const where = port !== undefined && port > 0 ? `${address}:${port}` : address;
  const error = make(`${syscall} ${code} ${where}${local === undefined ? "" : ` - Local (${local})`}`, code, syscall);
  error.address = address;
  if (port) error.port = port;
  return error;
}

/** "listen EADDRINUSE: address already in use 10.77.0.2:80" */
export function listenError(code: string, address: string | undefined, port: number | undefined): SocketError {
  const sentence = getSystemErrorMap().get(errnoOf(code))?.[1] ?? "unknown error";
  const where = port ? ` ${address ?? ""}:${port}` : address ? ` ${address}` : "";
  const error = make(`listen ${code}: ${sentence}${where}`, code, "listen");
  if (address !== undefined) error.address = address;
  if (port) error.port = port;
  return error;
}

/** Errno name of what the stack threw; rethrows what is not a refusal of the stack. */
export function codeOfThrown(thrown: unknown): string {
  const code = (thrown as { code?: unknown } | null)?.code;
  if (typeof code === "string" && code in constants.errno) return code;
  throw thrown;
}
