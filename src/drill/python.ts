/**
 * The part of Python that `%{ }%` blocks of packet scripts use: assert, print, assignment, and expressions over integers.
 * One environment serves all blocks of a script, so a name set in one is known in the next.
 */
import { type Position, ScriptError } from "./errors.js";

export interface Code extends Position {
  readonly statements: readonly Statement[];
}
type Statement = Position &
  (
    | { readonly kind: "assert"; readonly test: Node; readonly message: Node | undefined; readonly text: string }
    | { readonly kind: "assign"; readonly name: string; readonly operator: "" | "+" | "-" | "*"; readonly value: Node }
    | { readonly kind: "nothing" }
  );
type Node =
  | { readonly kind: "constant"; readonly value: Value }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "unary"; readonly operator: "not" | "-" | "+" | "~"; readonly operand: Node }
  | { readonly kind: "binary"; readonly operator: string; readonly left: Node; readonly right: Node }
  | { readonly kind: "and" | "or"; readonly left: Node; readonly right: Node }
  | { readonly kind: "compare"; readonly first: Node; readonly rest: readonly (readonly [operator: string, right: Node])[] }
  | { readonly kind: "tuple"; readonly items: readonly Node[] }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Node[] };
type Value = number | boolean | string | null | readonly Value[];

/** An assert that did not hold, or what Python would have raised. */
export class CodeFailure extends Error {
  override readonly name = "CodeFailure";
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

/** Names that a block may read: a number, "unknown" for no such name, "missing" for a counter that this stack does not keep. */
export type Lookup = (name: string) => number | "unknown" | "missing";

interface Lexeme {
  readonly kind: "number" | "name" | "string" | "op" | "end";
  readonly text: string;
  readonly column: number;
}
const LEXEME =
  /\s*(?:(0[xX][0-9a-fA-F]+|\d+\.\d*|\.\d+|\d+)|([A-Za-z_]\w*)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(\*\*|\/\/|<<|>>|==|!=|<=|>=|\+=|-=|\*=|[-+*/%&|^~<>=(),.[\]:]))/y;
const FUNCTIONS: Readonly<Record<string, (...args: number[]) => number>> = {
  abs: Math.abs,
  min: Math.min,
  max: Math.max,
  int: Math.trunc,
  float: (n) => n,
  round: Math.round,
};

/** Reads a block. `at` is where its text begins. @throws ScriptError with the line at fault */
export function parseCode(text: string, at: Position): Code {
  const statements: Statement[] = [];
  let joined = "",
    start = at.line;
  text.split("\n").forEach((raw, i) => {
    const line = joined + stripComment(raw);
    if (joined === "") start = at.line + i;
    if (/\\\s*$/.test(line) || depth(line) > 0) {
      joined = line.replace(/\\\s*$/, " ");
      return;
    }
    joined = "";
    for (const part of splitStatements(line)) if (part.trim() !== "") statements.push(new Parser(part, { line: start, column: 1 }).statement());
  });
  if (joined.trim() !== "") throw new ScriptError({ line: start, column: 1 }, `code: "${joined.trim()}" has no end`);
  return { ...at, statements };
}

function scanQuotes(text: string, visit: (c: string, i: number) => boolean): void {
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string;
    if (quote !== "") {
      if (c === "\\") i++;
      else if (c === quote) quote = "";
      continue;
    }
    if (c === '"' || c === "'") {
      quote = c;
      continue;
    }
    if (visit(c, i)) return;
  }
}
function stripComment(line: string): string {
  let end = line.length;
  scanQuotes(line, (c, i) => c === "#" && ((end = i), true));
  return line.slice(0, end);
}
function depth(line: string): number {
  let d = 0;
  scanQuotes(line, (c) => {
    if ("([".includes(c)) d++;
    else if (")]".includes(c)) d--;
    return false;
  });
  return d;
}
function splitStatements(line: string): string[] {
  const cuts: number[] = [];
  scanQuotes(line, (c, i) => {
    if (c === ";") cuts.push(i);
    return false;
  });
  return [...cuts, line.length].map((end, k) => line.slice(k === 0 ? 0 : (cuts[k - 1] as number) + 1, end));
}

class Parser {
  readonly #text: string;
  readonly #at: Position;
  readonly #lexemes: Lexeme[] = [];
  #i = 0;

  constructor(text: string, at: Position) {
    this.#text = text.trim();
    this.#at = at;
    let pos = 0;
    for (const s = text.trimEnd(); pos < s.length; ) {
      LEXEME.lastIndex = pos;
      const m = LEXEME.exec(s);
      if (m === null) throw new ScriptError(at, `code: unexpected "${s.slice(pos).trim()[0]}" in "${this.#text}"`);
      const kind = m[1] !== undefined ? "number" : m[2] !== undefined ? "name" : m[3] !== undefined ? "string" : "op";
      this.#lexemes.push({ kind, text: m[1] ?? m[2] ?? m[3] ?? m[4] ?? "", column: pos });
      pos = LEXEME.lastIndex;
    }
  }

  statement(): Statement {
    const word = this.#peek();
    if (this.#take("assert")) {
      const from = this.#i,
        test = this.#or();
      const until = this.#peek();
      const text = this.#text.slice(this.#lexemes[from]?.column ?? 0, until.kind === "end" ? undefined : until.column).trim();
      const message = this.#take(",") ? this.#expression() : undefined;
      return this.#finish({ ...this.#at, kind: "assert", test, message, text });
    }
    if (word.kind === "name" && (word.text === "pass" || word.text === "import" || word.text === "from")) {
      this.#i = this.#lexemes.length;
      return { ...this.#at, kind: "nothing" };
    }
    if (word.kind === "name" && word.text === "print") {
      this.#i++;
      if (this.#peek().kind !== "end") this.#expression();
      return this.#finish({ ...this.#at, kind: "nothing" });
    }
    if (word.kind === "name") {
      const operator = this.#lexemes[this.#i + 1]?.text;
      if (operator === "=" || operator === "+=" || operator === "-=" || operator === "*=") {
        this.#i += 2;
        return this.#finish({ ...this.#at, kind: "assign", name: word.text, operator: operator.slice(0, -1) as "" | "+" | "-" | "*", value: this.#or() });
      }
    }
    throw this.#error("assert, print or an assignment");
  }

  #expression(): Node {
    const first = this.#or();
    if (this.#peek().text !== ",") return first;
    const items = [first];
    while (this.#take(",")) if (this.#peek().kind !== "end" && this.#peek().text !== ")") items.push(this.#or());
    return { kind: "tuple", items };
  }
  #or(): Node {
    let left = this.#and();
    while (this.#take("or")) left = { kind: "or", left, right: this.#and() };
    return left;
  }
  #and(): Node {
    let left = this.#not();
    while (this.#take("and")) left = { kind: "and", left, right: this.#not() };
    return left;
  }
  #not(): Node {
    return this.#take("not") ? { kind: "unary", operator: "not", operand: this.#not() } : this.#comparison();
  }
  #comparison(): Node {
    const first = this.#binary(0),
      rest: [string, Node][] = [];
    for (;;) {
      const operator = this.#peek();
      if (operator.kind !== "op" || !["==", "!=", "<", "<=", ">", ">="].includes(operator.text)) break;
      this.#i++;
      rest.push([operator.text, this.#binary(0)]);
    }
    return rest.length === 0 ? first : { kind: "compare", first, rest };
  }
  #binary(level: number): Node {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      const operator = this.#peek();
      if (operator.kind !== "op" || !operators.includes(operator.text)) return left;
      this.#i++;
      left = { kind: "binary", operator: operator.text, left, right: this.#binary(level + 1) };
    }
  }
  #unary(): Node {
    for (const operator of ["-", "+", "~"] as const) if (this.#take(operator)) return { kind: "unary", operator, operand: this.#unary() };
    return this.#atom();
  }
  #atom(): Node {
    const t = this.#peek();
    if (t.kind === "number") {
      this.#i++;
      return { kind: "constant", value: Number(t.text) };
    }
    if (t.kind === "string") {
      this.#i++;
      return { kind: "constant", value: t.text.slice(1, -1) };
    }
    if (t.text === "(") {
      this.#i++;
      if (this.#take(")")) return { kind: "tuple", items: [] };
      const inner = this.#expression();
      if (!this.#take(")")) throw this.#error('")"');
      return inner;
    }
    if (t.kind === "name" && !KEYWORDS.has(t.text)) {
      this.#i++;
      if (t.text === "True" || t.text === "False") return { kind: "constant", value: t.text === "True" };
      if (t.text === "None") return { kind: "constant", value: null };
      if (!this.#take("(")) return { kind: "name", name: t.text };
      const args: Node[] = [];
      while (!this.#take(")")) {
        args.push(this.#or());
        if (this.#peek().text !== ")" && !this.#take(",")) throw this.#error('")"');
      }
      return { kind: "call", name: t.text, args };
    }
    throw this.#error("a value");
  }

  #peek(): Lexeme {
    return this.#lexemes[this.#i] ?? { kind: "end", text: "", column: 0 };
  }
  #take(text: string): boolean {
    const t = this.#peek();
    if (t.text !== text || t.kind === "string" || t.kind === "end") return false;
    this.#i++;
    return true;
  }
  #finish(statement: Statement): Statement {
    if (this.#peek().kind !== "end") throw this.#error("the end of the statement");
    return statement;
  }
  #error(wanted: string): ScriptError {
    const t = this.#peek();
    return new ScriptError(this.#at, `code: unexpected ${t.kind === "end" ? "end" : `"${t.text}"`} in "${this.#text}", wanted ${wanted}`);
  }
}
const LEVELS: readonly (readonly string[])[] = [["|"], ["^"], ["&"], ["<<", ">>"], ["+", "-"], ["*", "/", "//", "%"]];
const KEYWORDS = new Set(["and", "or", "not", "assert", "if", "else", "for", "while", "in", "is", "lambda"]);

class Missing extends Error {}

/** Runs blocks one after the other in one name space. */
export class Interpreter {
  readonly #names = new Map<string, Value>();

  /**
   * @returns asserts that were left out because they read a counter that the stack does not keep
   * @throws CodeFailure at the first assert that does not hold, or what Python would raise
   */
  run(code: Code, lookup: Lookup): string[] {
    const skipped: string[] = [];
    for (const s of code.statements) {
      try {
        if (s.kind === "assert") {
          if (truth(this.#value(s.test, s.line, lookup))) continue;
          const message = s.message === undefined ? "" : `: ${this.#show(s.message, s.line, lookup)}`;
          throw new CodeFailure(s.line, `assert ${s.text}${message}${this.#facts(s.test, lookup)}`);
        }
        if (s.kind === "assign") {
          const value = this.#value(s.value, s.line, lookup);
          this.#names.set(
            s.name,
            s.operator === "" ? value : arithmetic(s.operator, this.#value({ kind: "name", name: s.name }, s.line, lookup), value, s.line),
          );
        }
      } catch (e) {
        if (!(e instanceof Missing)) throw e;
        skipped.push(`line ${s.line}: ${e.message}`);
      }
    }
    return skipped;
  }

  /** The names in a failed test and what they were, for the message. */
  #facts(test: Node, lookup: Lookup): string {
    const seen = new Map<string, string>();
    const visit = (n: Node): void => {
      switch (n.kind) {
        case "name":
          if (/^tcpi_/.test(n.name) || this.#names.has(n.name)) seen.set(n.name, this.#show(n, 0, lookup));
          break;
        case "unary":
          visit(n.operand);
          break;
        case "binary":
        case "and":
        case "or":
          visit(n.left);
          visit(n.right);
          break;
        case "compare":
          visit(n.first);
          for (const [, right] of n.rest) visit(right);
          break;
        case "tuple":
          n.items.forEach(visit);
          break;
        case "call":
          n.args.forEach(visit);
          break;
        default:
      }
    };
    visit(test);
    return seen.size === 0 ? "" : ` (${[...seen].map(([k, v]) => `${k}=${v}`).join(", ")})`;
  }

  #show(node: Node, line: number, lookup: Lookup): string {
    try {
      const v = this.#value(node, line, lookup);
      return typeof v === "string" ? v : JSON.stringify(v);
    } catch (e) {
      return e instanceof Error ? e.message : "?";
    }
  }

  #value(n: Node, line: number, lookup: Lookup): Value {
    const number = (m: Node): number => toNumber(this.#value(m, line, lookup), line);
    switch (n.kind) {
      case "constant":
        return n.value;
      case "name": {
        const own = this.#names.get(n.name);
        if (own !== undefined) return own;
        const found = lookup(n.name);
        if (found === "missing") throw new Missing(`${n.name} is not kept by this stack`);
        if (found === "unknown") throw new CodeFailure(line, `NameError: name '${n.name}' is not defined`);
        return found;
      }
      case "unary": {
        if (n.operator === "not") return !truth(this.#value(n.operand, line, lookup));
        const v = number(n.operand);
        return n.operator === "-" ? -v : n.operator === "~" ? -v - 1 : v;
      }
      case "and": {
        const left = this.#value(n.left, line, lookup);
        return truth(left) ? this.#value(n.right, line, lookup) : left;
      }
      case "or": {
        const left = this.#value(n.left, line, lookup);
        return truth(left) ? left : this.#value(n.right, line, lookup);
      }
      case "binary": {
        const left = this.#value(n.left, line, lookup);
        if (n.operator === "%" && typeof left === "string") return left; // a format string; only its text is of use here
        return arithmetic(n.operator, left, this.#value(n.right, line, lookup), line);
      }
      case "compare": {
        let left = this.#value(n.first, line, lookup);
        for (const [operator, node] of n.rest) {
          const right = this.#value(node, line, lookup);
          if (!compare(operator, left, right, line)) return false;
          left = right;
        }
        return true;
      }
      case "tuple":
        return n.items.map((item) => this.#value(item, line, lookup));
      case "call": {
        const f = FUNCTIONS[n.name];
        if (n.name === "str" || n.name === "hex" || n.name === "len") return String(n.args.map((a) => this.#show(a, line, lookup)));
        if (f === undefined) throw new CodeFailure(line, `NameError: name '${n.name}' is not defined`);
        return f(...n.args.map(number));
      }
    }
  }
}

const truth = (v: Value): boolean => (Array.isArray(v) ? v.length > 0 : Boolean(v));
function toNumber(v: Value, line: number): number {
  if (typeof v === "number") return v;
  if (typeof v === "boolean") return v ? 1 : 0;
  throw new CodeFailure(line, `TypeError: ${JSON.stringify(v)} is not a number`);
}
function arithmetic(operator: string, left: Value, right: Value, line: number): Value {
  if (operator === "+" && typeof left === "string" && typeof right === "string") return left + right;
  const a = toNumber(left, line),
    b = toNumber(right, line);
  if (b === 0 && (operator === "/" || operator === "//" || operator === "%")) throw new CodeFailure(line, "ZeroDivisionError: division by zero");
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
    case "//":
      return Math.floor(a / b);
    case "%":
      return a - b * Math.floor(a / b);
    case "|":
      return Number(BigInt(a) | BigInt(b));
    case "&":
      return Number(BigInt(a) & BigInt(b));
    case "^":
      return Number(BigInt(a) ^ BigInt(b));
    case "<<":
      return a * 2 ** b;
    default:
      return Math.floor(a / 2 ** b);
  }
}
function compare(operator: string, left: Value, right: Value, line: number): boolean {
  if (operator === "==" || operator === "!=") {
    const same =
      typeof left === "object" || typeof right === "object" || typeof left === "string" || typeof right === "string"
        ? JSON.stringify(left) === JSON.stringify(right)
        : Number(left) === Number(right);
    return same === (operator === "==");
  }
  const a = toNumber(left, line),
    b = toNumber(right, line);
  return operator === "<" ? a < b : operator === "<=" ? a <= b : operator === ">" ? a > b : a >= b;
}
