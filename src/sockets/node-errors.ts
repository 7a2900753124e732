/**
 * Argument errors with the codes, names and texts that Node's own `node:net` throws, so that a program which handles
 * them for `node:net` handles them here. Node keeps its makers to itself; these are ours.
 */
import { inspect } from "node:util";

export interface CodedError extends Error {
  code: string;
}

type ErrorClass = new (message: string) => Error;

/** An error whose `name` stays "TypeError" while its stack reads "TypeError [CODE]", as Node's do. */
function coded(Base: ErrorClass, code: string, message: string): CodedError {
  const error = new Base(message) as CodedError;
  error.code = code;
  const plain = error.name;
  Object.defineProperty(error, "name", { value: `${plain} [${code}]`, configurable: true, enumerable: false, writable: true });
  // Reading the stack fixes its first line while the longer name is in place.
  void error.stack;
  delete (error as { name?: string }).name;
  Object.defineProperty(error, "toString", { value: toString, configurable: true, enumerable: false, writable: true });
  return error;
}

function toString(this: CodedError): string {
  return `${this.name} [${this.code}]: ${this.message}`;
}

/** "Received …" as Node words it. */
function received(value: unknown): string {
  if (value === undefined || value === null) return `Received ${value}`;
  if (typeof value === "function") return `Received function ${value.name}`;
  if (typeof value === "object") {
    const name = (value as { constructor?: { name?: string } }).constructor?.name;
    return name ? `Received an instance of ${name}` : `Received ${inspect(value, { depth: -1 })}`;
  }
  let text = inspect(value, { colors: false });
  if (text.length > 28) text = `${text.slice(0, 25)}...`;
  return `Received type ${typeof value} (${text})`;
}

const PRIMITIVES = new Set(["string", "number", "boolean", "function", "object", "bigint", "symbol", "Object"]);

function oneOf(words: readonly string[]): string {
  if (words.length < 3) return words.join(" or ");
  return `${words.slice(0, -1).join(", ")}, or ${words.at(-1)}`;
}

/** ERR_INVALID_ARG_TYPE. Lower-case names are primitive types, others are classes. */
export function invalidArgType(name: string, expected: string | readonly string[], value: unknown): CodedError {
  const all = typeof expected === "string" ? [expected] : expected;
  const types = all.filter((t) => PRIMITIVES.has(t)).map((t) => t.toLowerCase());
  const classes = all.filter((t) => !PRIMITIVES.has(t));
  const parts: string[] = [];
  if (types.length > 0) parts.push(`${types.length > 1 ? "one of type" : "of type"} ${oneOf(types)}`);
  if (classes.length > 0) parts.push(`an instance of ${oneOf(classes)}`);
  const kind = name.endsWith(" argument") ? "" : name.includes(".") ? "property" : "argument";
  const subject = kind === "" ? `The ${name}` : `The "${name}" ${kind}`;
  return coded(TypeError, "ERR_INVALID_ARG_TYPE", `${subject} must be ${parts.join(" or ")}. ${received(value)}`);
}

/** ERR_INVALID_ARG_VALUE. */
export function invalidArgValue(name: string, value: unknown, reason = "is invalid"): CodedError {
  let text = inspect(value);
  if (text.length > 128) text = `${text.slice(0, 128)}...`;
  return coded(TypeError, "ERR_INVALID_ARG_VALUE", `The ${name.includes(".") ? "property" : "argument"} '${name}' ${reason}. Received ${text}`);
}

/** Node writes long whole numbers with underscores: 4_294_967_296. */
function grouped(value: unknown): string {
  if (typeof value !== "number" && typeof value !== "bigint") return inspect(value);
  const text = String(value);
  if (!Number.isInteger(Number(value)) || Math.abs(Number(value)) <= 2 ** 32) return text;
  return `${text.replace(/\B(?=(\d{3})+$)/g, "_")}${typeof value === "bigint" ? "n" : ""}`;
}

/** ERR_OUT_OF_RANGE. */
export const outOfRange = (name: string, range: string, value: unknown): CodedError =>
  coded(RangeError, "ERR_OUT_OF_RANGE", `The value of "${name}" is out of range. It must be ${range}. Received ${grouped(value)}`);

/** ERR_SOCKET_BAD_PORT. */
export const badPort = (name: string, value: unknown): CodedError =>
  coded(RangeError, "ERR_SOCKET_BAD_PORT", `${name} should be >= 0 and < 65536. ${received(value)}.`);

/** ERR_MISSING_ARGS; several names are alternatives. */
export const missingArgs = (names: readonly string[]): CodedError =>
  coded(TypeError, "ERR_MISSING_ARGS", `The ${names.map((n) => `"${n}"`).join(" or ")} argument must be specified`);

export const socketClosed = (): CodedError => coded(Error, "ERR_SOCKET_CLOSED", "Socket is closed");
export const closedBeforeConnection = (): CodedError =>
  coded(Error, "ERR_SOCKET_CLOSED_BEFORE_CONNECTION", "Socket closed before the connection was established");
export const alreadyListening = (): CodedError => coded(Error, "ERR_SERVER_ALREADY_LISTEN", "Listen method has been called more than once without closing.");
export const notRunning = (): CodedError => coded(Error, "ERR_SERVER_NOT_RUNNING", "Server is not running.");
export const invalidIp = (value: unknown): CodedError => coded(TypeError, "ERR_INVALID_IP_ADDRESS", `Invalid IP address: ${String(value)}`);
export const ipBlocked = (ip: string): CodedError => coded(Error, "ERR_IP_BLOCKED", `IP(${ip}) is blocked by net.BlockList`);

/** ERR_INVALID_ADDRESS_FAMILY carries the host and port that were asked for. */
export function invalidFamily(family: unknown, host: unknown, port: unknown): CodedError & { host: unknown; port: unknown } {
  const error = coded(RangeError, "ERR_INVALID_ADDRESS_FAMILY", `Invalid address family: ${String(family)} ${String(host)}:${String(port)}`);
  return Object.assign(error, { host, port });
}

/** What a write gets after the peer has ended a socket that does not allow to be half open. */
export function endedByPeer(): CodedError {
  const error = new Error("This socket has been ended by the other party") as CodedError;
  error.code = "EPIPE";
  return error;
}

export function checkNumber(value: unknown, name: string): asserts value is number {
  if (typeof value !== "number") throw invalidArgType(name, "number", value);
}
export function checkBoolean(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== "boolean") throw invalidArgType(name, "boolean", value);
}
export function checkString(value: unknown, name: string): asserts value is string {
  if (typeof value !== "string") throw invalidArgType(name, "string", value);
}
export function checkFunction(value: unknown, name: string): asserts value is (...args: never[]) => unknown {
  if (typeof value !== "function") throw invalidArgType(name, "function", value);
}
export function checkInt32(value: unknown, name: string, min: number): asserts value is number {
  checkNumber(value, name);
  if (!Number.isInteger(value)) throw outOfRange(name, "an integer", value);
  if (value < min || value > 2 ** 31 - 1) throw outOfRange(name, `>= ${min} && <= 2147483647`, value);
}
export function checkSignal(value: unknown, name: string): asserts value is AbortSignal {
  if (value === null || typeof value !== "object" || !("aborted" in value)) throw invalidArgType(name, "AbortSignal", value);
}

/** A port as a number or as text in any base that `Number` reads. @returns it as a number, 0 to 65535 */
export function checkPort(value: unknown, name = "Port"): number {
  const isText = typeof value === "string" && value.trim().length > 0;
  if ((typeof value !== "number" && !isText) || +(value as number) !== +(value as number) >>> 0 || +(value as number) > 0xffff) throw badPort(name, value);
  return Number(value);
}

const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** Milliseconds for a timer, by the rules of `timers`: too long ones are clipped with a warning. */
export function checkDuration(value: unknown, name: string): number {
  checkNumber(value, name);
  if (value < 0 || !Number.isFinite(value)) throw outOfRange(name, "a non-negative finite number", value);
  if (value <= LONGEST_TIMEOUT) return value;
  process.emitWarning(`${value} does not fit into a 32-bit signed integer.\nTimer duration was truncated to ${LONGEST_TIMEOUT}.`, "TimeoutOverflowWarning");
  return LONGEST_TIMEOUT;
}
