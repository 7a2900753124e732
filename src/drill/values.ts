/** Values of a call's arguments: constants by name, lists, structures. */
import type { Expression } from "./ast.js";
import { CONSTANTS, ERRNO, OUT_OF_SCOPE } from "./constants.js";
import { ScriptError, Unsupported } from "./errors.js";
import { INFO_CONSTANTS } from "./tcp-info.js";

/** @throws ScriptError where it is no number, Unsupported for names that are out of scope */
export function numberOf(e: Expression | undefined, what: string, at: { line: number; column: number }): number {
  const n = e === undefined ? undefined : tryNumber(e);
  if (n === undefined) throw new ScriptError(e ?? at, e === undefined ? `${what} is missing` : `${what} must be a number, got ${describeValue(e)}`);
  return n;
}

/** undefined for what is not a number: a string, a list, `...`. */
export function tryNumber(e: Expression): number | undefined {
  switch (e.kind) {
    case "number":
      return e.value;
    case "name": {
      const value = CONSTANTS[e.name] ?? ERRNO[e.name] ?? INFO_CONSTANTS[e.name];
      if (value !== undefined) return value;
      if (OUT_OF_SCOPE.has(e.name) || /^(SCTP|MPTCP|IPPROTO_MPTCP|UDP|TCP_FASTOPEN|TCP_MD5|TCP_AO|SOF_|SO_EE_|SCM_)/.test(e.name))
        throw new Unsupported(e, `${e.name} is not supported`);
      throw new ScriptError(e, `unknown name "${e.name}"`);
    }
    case "or": {
      let value = 0;
      for (const part of e.parts) {
        const n = tryNumber(part);
        if (n === undefined) throw new ScriptError(part, `"|" joins numbers, got ${describeValue(part)}`);
        value = (value | n) >>> 0;
      }
      return value;
    }
    case "list":
      return e.items.length === 1 ? tryNumber(e.items[0] as Expression) : undefined;
    case "call":
      if ((e.name === "htons" || e.name === "htonl" || e.name === "ntohs") && e.args.length === 1) return tryNumber(e.args[0] as Expression);
      throw new ScriptError(e, `unknown function "${e.name}"`);
    default:
      return undefined;
  }
}

export function describeValue(e: Expression): string {
  switch (e.kind) {
    case "ellipsis":
      return '"..."';
    case "string":
      return `"${e.value}"`;
    case "list":
      return "a list";
    case "struct":
      return "a structure";
    case "name":
      return `"${e.name}"`;
    default:
      return "a number";
  }
}

export const isEllipsis = (e: Expression | undefined): boolean => e?.kind === "ellipsis";

/** `{name=value, …}` as a map; undefined for anything else. */
export function fieldsOf(e: Expression | undefined): ReadonlyMap<string, Expression> | undefined {
  if (e?.kind !== "struct") return undefined;
  const out = new Map<string, Expression>();
  for (const f of e.fields) if (f.name !== undefined) out.set(f.name, f.value);
  return out;
}

/** Octets that an iovec list names: `[{..., 10}, {..., 20}]`. */
export function iovecLength(e: Expression | undefined, at: { line: number; column: number }): number {
  if (e?.kind !== "list") throw new ScriptError(e ?? at, "wanted a list of buffers such as [{..., 1000}]");
  let total = 0;
  for (const item of e.items) {
    if (item.kind !== "struct") throw new ScriptError(item, "wanted a buffer such as {..., 1000}");
    const length = item.fields.find((f) => f.name === "iov_len") ?? item.fields[1];
    total += numberOf(length?.value, "the length of a buffer", item);
  }
  return total;
}
