/** Reads a system call of a script and its expressions (language §8). */
import type { CallAction, Expression, StructField, Time } from "./ast.js";
import type { Cursor } from "./cursor.js";
import { ScriptError } from "./errors.js";
import { describe, type Token } from "./lexer.js";

/** At the name of the call; `end` is when a blocking call returns, `first` the token its text begins with. */
export function parseCall(c: Cursor, end: Time | undefined, first: Token): CallAction {
  const name = c.word("a packet, a call, a command or a code block");
  c.mark("(", `after "${name.text}"`);
  const args = parseList(c, ")");
  c.mark("=", "and the result of the call");
  const result = parseExpression(c);
  let errno: string | undefined;
  if (c.isWord()) errno = c.next().text;
  skipNote(c);
  return { kind: "call", name: name.text, args, result, errno, end, text: c.textFrom(first) };
}

/** The words in parentheses after a result are decoration. */
function skipNote(c: Cursor): void {
  if (!c.isMark("(")) return;
  const open = c.token;
  for (let depth = 0; ; ) {
    const token = c.next();
    if (token.kind === "end") throw new ScriptError(open, `unexpected ${describe(token)}, wanted ")"`);
    if (token.kind === "mark" && token.text === "(") depth++;
    if (token.kind === "mark" && token.text === ")" && --depth === 0) return;
  }
}

function parseList(c: Cursor, close: string): Expression[] {
  const items: Expression[] = [];
  if (c.takeMark(close)) return items;
  do items.push(parseExpression(c));
  while (c.takeMark(","));
  c.mark(close, "or another value");
  return items;
}

export function parseExpression(c: Cursor): Expression {
  const at = c.token,
    first = parseAtom(c);
  if (!c.isMark("|")) return first;
  const parts = [first];
  while (c.takeMark("|")) parts.push(parseAtom(c));
  return { line: at.line, column: at.column, kind: "or", parts };
}

function parseAtom(c: Cursor): Expression {
  const { line, column, kind, text, form } = c.token;
  const at = { line, column };
  if (kind === "mark") {
    switch (text) {
      case "...":
        c.next();
        return { ...at, kind: "ellipsis" };
      case "-":
        c.next();
        return { ...at, kind: "number", value: -c.integer("a number", Number.MAX_SAFE_INTEGER) };
      case "[":
        c.next();
        return { ...at, kind: "list", items: parseList(c, "]") };
      case "{":
        c.next();
        return { ...at, kind: "struct", fields: parseFields(c) };
      case "(": {
        c.next();
        const inner = parseExpression(c);
        c.mark(")", "after the value");
        return inner;
      }
      default:
        throw c.unexpected("a value");
    }
  }
  if (kind === "number") {
    c.next();
    if (form === "decimal") return { ...at, kind: "number", value: Number(text) };
    return { ...at, kind: "number", value: Number(text) };
  }
  if (kind === "string") {
    c.next();
    if (c.isMark("...")) c.next();
    return { ...at, kind: "string", value: text };
  }
  if (kind === "word") {
    c.next();
    if (c.takeMark("(")) return { ...at, kind: "call", name: text, args: parseList(c, ")") };
    return { ...at, kind: "name", name: text };
  }
  throw c.unexpected("a value");
}

function parseFields(c: Cursor): StructField[] {
  const fields: StructField[] = [];
  if (c.takeMark("}")) return fields;
  do {
    let name: string | undefined,
      args: Expression[] = [];
    if (c.isWord() && (c.peek().text === "=" || (c.peek().text === "(" && isFieldCall(c)))) {
      name = c.next().text;
      if (c.takeMark("(")) args = parseList(c, ")");
      c.mark("=", `after "${name}"`);
    }
    fields.push({ name, args, value: parseExpression(c) });
  } while (c.takeMark(","));
  c.mark("}", "or another field");
  return fields;
}

/** `msg_iov(2)=` is a field, `htons(80)` a value: look behind the closing parenthesis. */
function isFieldCall(c: Cursor): boolean {
  for (let i = 1, depth = 0; ; i++) {
    const t = c.peek(i);
    if (t.kind === "end") return false;
    if (t.text === "(" && t.kind === "mark") depth++;
    if (t.text === ")" && t.kind === "mark" && --depth === 0) return c.peek(i + 1).text === "=";
  }
}
