/**
 * The filter expressions of ss: `dport = :80`, `dst 10.0.0.0/8`, `( sport = :ssh or dport ge :1024 ) and not src :80`.
 * A superset of what iproute2's ss takes, since it wants spaces around everything and we do not; same meaning
 * (`test/interop/ss-filter.test.ts` asks the real one).
 */
import { usageError } from "../errors.js";
import { parseAddress } from "../../wire/ipv4.js";
import type { Row } from "./row.js";
import { servicePort } from "./services.js";

export type Side = "src" | "dst";
export type Comparison = "=" | "!=" | "<" | "<=" | ">" | ">=";

/** An address prefix, a port, or both; what is undefined matches all. */
export interface HostCondition {
  readonly prefix: { readonly address: number; readonly length: number } | undefined;
  readonly port: number | undefined;
}

export type Filter =
  | { readonly kind: "and" | "or"; readonly left: Filter; readonly right: Filter }
  | { readonly kind: "not"; readonly of: Filter }
  | { readonly kind: "host"; readonly side: Side; readonly host: HostCondition }
  | { readonly kind: "port"; readonly side: Side; readonly comparison: Comparison; readonly port: number | undefined }
  | { readonly kind: "autobound" };

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  "=": "=",
  "==": "=",
  eq: "=",
  "!=": "!=",
  ne: "!=",
  neq: "!=",
  "<": "<",
  lt: "<",
  "<=": "<=",
  le: "<=",
  leq: "<=",
  ">": ">",
  gt: ">",
  ">=": ">=",
  ge: ">=",
  geq: ">=",
};
const AND = new Set(["and", "&", "&&"]),
  OR = new Set(["or", "|", "||"]),
  NOT = new Set(["not", "!"]);
const EXAMPLE = "for example: glasstcp ss -tan '( dport = :80 or sport = :80 )'";

const TOKEN = /\s+|[()]|==|!=|<=|>=|&&|\|\||[=<>!&|]|\[[^\]]*\][^\s()=<>!&|]*|[^\s()=<>!&|]+/y;

export function tokens(words: readonly string[]): string[] {
  const found: string[] = [];
  for (const word of words) {
    TOKEN.lastIndex = 0;
    for (let m = TOKEN.exec(word); m !== null; m = TOKEN.exec(word)) if (m[0].trim() !== "") found.push(m[0]);
  }
  return found;
}

/** @returns undefined for no words. @throws CliError (usage) that names the word where it went wrong */
export function parseFilter(words: readonly string[]): Filter | undefined {
  const list = tokens(words);
  if (list.length === 0) return undefined;
  const parser = new Parser(list);
  const filter = parser.chain();
  parser.end();
  return filter;
}

/**
 * From left to right: `and`, `or` and nothing at all between two conditions bind alike, `not` takes the next condition
 * only. That is no usual precedence, but it is what ss does.
 */
class Parser {
  readonly #tokens: readonly string[];
  #at = 0;
  #depth = 0;
  constructor(list: readonly string[]) {
    this.#tokens = list;
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at];
  }
  #fail(what: string): never {
    const at = this.#peek();
    throw usageError(`filter: ${what}${at === undefined ? " at the end" : ` at "${at}"`}`, EXAMPLE);
  }

  chain(): Filter {
    let left = this.#negation();
    for (;;) {
      const next = this.#peek();
      if (next === undefined || next === ")") return left;
      const kind = OR.has(next) ? ("or" as const) : ("and" as const);
      if (kind === "or" || AND.has(next)) this.#at++;
      left = { kind, left, right: this.#negation() };
    }
  }

  #negation(): Filter {
    const next = this.#peek();
    if (next !== undefined && NOT.has(next)) {
      this.#at++;
      // A chain of nots or brackets as long as the command line must not end the stack.
      if (++this.#depth > 500) this.#fail("nested too deep");
      const of = this.#negation();
      this.#depth--;
      return { kind: "not", of };
    }
    if (next === "(") {
      this.#at++;
      if (++this.#depth > 500) this.#fail("nested too deep");
      const inside = this.chain();
      if (this.#peek() !== ")") this.#fail('")" is missing');
      this.#at++;
      this.#depth--;
      return inside;
    }
    return this.#condition();
  }

  #condition(): Filter {
    const word = this.#peek();
    switch (word) {
      case "dst":
      case "src": {
        this.#at++;
        const comparison = this.#comparison();
        const host = parseHost(this.#operand(`an address behind ${word}`));
        if (comparison === "=") return { kind: "host", side: word, host };
        if (comparison === "!=") return { kind: "not", of: { kind: "host", side: word, host } };
        throw usageError(`filter: ${word} knows = and != only`, "compare ports with dport and sport");
      }
      case "dport":
      case "sport": {
        this.#at++;
        const comparison = this.#comparison();
        return { kind: "port", side: word === "dport" ? "dst" : "src", comparison, port: parsePort(this.#operand(`a port behind ${word}`)) };
      }
      case "autobound":
        this.#at++;
        return { kind: "autobound" };
      case "dev":
      case "fwmark":
      case "cgroup":
        throw usageError(`filter: ${word} belongs to the kernel's sockets; ours have none`, "filter by dst, src, dport or sport");
      case undefined:
        return this.#fail("a condition is missing");
      default:
        return this.#fail("dst, src, dport, sport or ( is expected");
    }
  }

  #comparison(): Comparison {
    const comparison = COMPARISONS[this.#peek() ?? ""];
    if (comparison === undefined) return "=";
    this.#at++;
    return comparison;
  }

  #operand(what: string): string {
    const word = this.#peek();
    if (word === undefined || word === ")" || word === "(" || word in COMPARISONS) return this.#fail(`${what} is missing`);
    this.#at++;
    return word;
  }

  end(): void {
    if (this.#at < this.#tokens.length) this.#fail("nothing more is expected");
  }
}

/** ":80", "80", "http", ":http", "*". */
export function parsePort(text: string): number | undefined {
  const word = text.startsWith(":") ? text.slice(1) : text;
  if (word === "*" || word === "") return undefined;
  const port = /^\d+$/.test(word) ? Number(word) : servicePort(word);
  if (port === undefined || port > 65_535)
    throw usageError(`filter: "${text}" is not a port`, "write a number from 0 to 65535, with or without a colon before it, or a service name");
  return port;
}

/** "10.0.0.1", "10.0.0.0/8", "10.0.0.0/255.0.0.0", "10.0.0.1:80", ":80", "*:80", "*". */
export function parseHost(text: string): HostCondition {
  if (text.startsWith("[") || (text.match(/:/g) ?? []).length > 1) throw usageError(`filter: "${text}" is an IPv6 address`, "there are IPv4 connections only");
  const colon = text.indexOf(":");
  const port = colon < 0 ? undefined : parsePort(text.slice(colon));
  const host = colon < 0 ? text : text.slice(0, colon);
  if (host === "" || host === "*") return { prefix: undefined, port };
  const [addressText = "", lengthText] = host.split("/");
  // As inet_aton of iproute2: missing parts are zero.
  const parts = addressText.split(".");
  const address = parts.length > 4 ? undefined : parseAddress([...parts, "0", "0", "0"].slice(0, 4).join("."));
  const length = lengthText === undefined ? 32 : parseLength(lengthText);
  if (address === undefined || length === undefined) throw usageError(`filter: "${text}" is not an address or prefix`, "for example: dst 10.77.0.0/24");
  return { prefix: { address, length }, port };
}

function parseLength(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) return Number(text) <= 32 ? Number(text) : undefined;
  const mask = parseAddress(text);
  if (mask === undefined) return undefined;
  const length = Math.clz32(~mask);
  return mask === (length === 0 ? 0 : -1 << (32 - length)) ? length : undefined;
}

/** Addresses of ours are IPv4 text; what a listener on all addresses has is 0.0.0.0. */
export function matches(filter: Filter, row: Row): boolean {
  switch (filter.kind) {
    case "and":
      return matches(filter.left, row) && matches(filter.right, row);
    case "or":
      return matches(filter.left, row) || matches(filter.right, row);
    case "not":
      return !matches(filter.of, row);
    case "autobound":
      return row.connection !== undefined && !row.connection.passive;
    case "port": {
      const port = filter.side === "src" ? row.local.port : (row.remote?.port ?? 0);
      return filter.port === undefined || compare(port, filter.comparison, filter.port);
    }
    case "host": {
      const end = filter.side === "src" ? row.local : row.remote;
      const { prefix, port } = filter.host;
      if (port !== undefined && (end?.port ?? 0) !== port) return false;
      if (prefix === undefined || prefix.length === 0) return true;
      const address = parseAddress(end?.address ?? "0.0.0.0") ?? 0;
      return (address ^ prefix.address) >>> (32 - prefix.length) === 0;
    }
  }
}

function compare(a: number, comparison: Comparison, b: number): boolean {
  switch (comparison) {
    case "=":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    case ">=":
      return a >= b;
  }
}

/** A filter in the words that `parseFilter` takes. */
export function formatFilter(f: Filter): string {
  switch (f.kind) {
    case "and":
    case "or":
      return `( ${formatFilter(f.left)} ${f.kind} ${formatFilter(f.right)} )`;
    case "not":
      return `not ${formatFilter(f.of)}`;
    case "autobound":
      return "autobound";
    case "port":
      return `${f.side === "src" ? "sport" : "dport"} ${f.comparison} :${f.port ?? "*"}`;
    case "host":
      return `${f.side} ${formatHost(f.host)}`;
  }
}

function formatHost({ prefix, port }: HostCondition): string {
  const a = prefix?.address ?? 0;
  const host = prefix === undefined ? "*" : `${a >>> 24}.${(a >>> 16) & 255}.${(a >>> 8) & 255}.${a & 255}/${prefix.length}`;
  return port === undefined ? host : `${host}:${port}`;
}
