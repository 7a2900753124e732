/** Tokens of the packet script language. White space and newlines mean nothing; a `#ifdef` works on lines, before tokens. */
import { type Position, ScriptError } from "./errors.js";

export type TokenKind = "number" | "word" | "string" | "command" | "code" | "option" | "mark" | "end";

export interface Token extends Position {
  readonly kind: TokenKind;
  /** The token as written; for strings, commands and code what stands between the delimiters. */
  readonly text: string;
  /** Where it begins and ends in the source, characters. */
  readonly from: number;
  readonly to: number;
  /** Only of numbers. */
  readonly form?: "integer" | "hex" | "decimal";
}

/** How a token reads in an error message. */
export function describe(token: Token): string {
  switch (token.kind) {
    case "end":
      return "end of the script";
    case "string":
      return `string "${token.text}"`;
    case "command":
      return `command \`${token.text.trim().slice(0, 40)}\``;
    case "code":
      return "a code block";
    default:
      return `"${token.text}"`;
  }
}

const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const HEX = /0[xX][0-9a-fA-F]+/y;
const DECIMAL = /[0-9]*\.[0-9]+/y;
const INTEGER = /[0-9]+/y;
const OPTION = /--[A-Za-z0-9_]+(?:=(?:"[^"\n]*"|[^\s]*))?/y;
const MARKS = new Set("+-*~<>()[]{}:,=.|!&");

/**
 * Cuts a script into tokens, the last of which is of kind "end".
 * @param macros bare words and what stands for them (`-D NAME=text`); a name also counts as defined for `#ifdef`
 * @throws ScriptError at a character that begins no token, or at an open string, comment, command or code block
 */
export function tokenize(source: string, macros: ReadonlyMap<string, string> = new Map()): Token[] {
  const kept = preprocess(source, macros);
  return expand(scan(kept, 1, 1), macros, []);
}

/** `#ifdef NAME` … `#endif`: what is left out becomes blank, so that lines keep their numbers. */
function preprocess(source: string, defined: ReadonlyMap<string, string>): string {
  if (!/^[ \t]*#/m.test(source)) return source;
  const isDefined = (name: string): boolean => defined.has(name) || (name === "STANDARD" && !defined.has("FreeBSD"));
  let open: Position | undefined,
    keep = true,
    inCode = false,
    inCommand = false;
  const out = source.split("\n").map((line, i) => {
    // A "#" in a code block or a command is a comment of Python's or the shell's.
    const startsInside = inCode || inCommand;
    const begin = line.lastIndexOf("%{"),
      end = line.lastIndexOf("}%");
    if (begin >= 0 || end >= 0) inCode = begin > end;
    if ((line.replace(inCommand ? "" : /\/\/.*$/, "").split("`").length - 1) % 2 === 1) inCommand = !inCommand;
    const m = startsInside ? null : /^[ \t]*#[ \t]*(\w*)(.*)$/.exec(line);
    if (m === null) return keep ? line : " ".repeat(line.length);
    const at = { line: i + 1, column: line.indexOf("#") + 1 };
    const [, directive = "", rest = ""] = m;
    const name = rest.trim();
    if (directive === "ifdef" || directive === "ifndef") {
      if (open !== undefined) throw new ScriptError(at, `"#${directive}" inside the one of line ${open.line}; they do not nest`);
      if (!/^\w+$/.test(name)) throw new ScriptError(at, `"#${directive}" wants one name, got "${name}"`);
      open = at;
      keep = isDefined(name) === (directive === "ifdef");
    } else if (directive === "endif") {
      if (open === undefined) throw new ScriptError(at, `"#endif" without "#ifdef"`);
      open = undefined;
      keep = true;
    } else if (i === 0 && line.startsWith("#!")) return " ".repeat(line.length);
    else throw new ScriptError(at, `unexpected "#${directive}"; only #ifdef and #endif are known`);
    return " ".repeat(line.length);
  });
  if (open !== undefined) throw new ScriptError(open, `"#ifdef" has no "#endif"`);
  return out.join("\n");
}

/** Puts the tokens of a macro's text where its name stands. */
function expand(tokens: readonly Token[], macros: ReadonlyMap<string, string>, busy: readonly string[]): Token[] {
  if (macros.size === 0) return tokens as Token[];
  return tokens.flatMap((token) => {
    const text = token.kind === "word" && !busy.includes(token.text) ? macros.get(token.text) : undefined;
    if (text === undefined) return [token];
    const inner = scan(text, token.line, token.column)
      .filter((t) => t.kind !== "end")
      .map((t) => ({ ...t, line: token.line, column: token.column, from: token.from, to: token.to }));
    return expand(inner, macros, [...busy, token.text]);
  });
}

function scan(source: string, firstLine: number, firstColumn: number): Token[] {
  const tokens: Token[] = [];
  let at = 0,
    line = firstLine,
    lineStart = 1 - firstColumn;
  const position = (): Position => ({ line, column: at - lineStart + 1 });
  const advance = (to: number): void => {
    for (let i = source.indexOf("\n", at); i >= 0 && i < to; i = source.indexOf("\n", i + 1)) {
      line++;
      lineStart = i + 1;
    }
    at = to;
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  const push = (kind: TokenKind, text: string, to: number, form?: "integer" | "hex" | "decimal"): void => {
    tokens.push({ ...position(), kind, text, from: at, to, ...(form !== undefined && { form }) });
    advance(to);
  };
  /** A stretch from here to `close`; `skip` characters open it. */
  const delimited = (kind: TokenKind, skip: number, close: string, what: string): void => {
    const end = source.indexOf(close, at + skip);
    if (end < 0) throw new ScriptError(position(), `${what} has no end (no ${close} follows)`);
    push(kind, source.slice(at + skip, end), end + close.length);
  };

  while (at < source.length) {
    const c = source[at] as string;
    if (c === " " || c === "\t" || c === "\r" || c === "\n" || c === "\f" || c === "\ufeff") {
      advance(at + 1);
      continue;
    }
    if (source.startsWith("//", at)) {
      const end = source.indexOf("\n", at);
      advance(end < 0 ? source.length : end);
      continue;
    }
    if (source.startsWith("/*", at)) {
      const end = source.indexOf("*/", at + 2);
      if (end < 0) throw new ScriptError(position(), "comment has no end (no */ follows)");
      advance(end + 2);
      continue;
    }
    if (c === "`") {
      delimited("command", 1, "`", "command");
      continue;
    }
    if (source.startsWith("%{", at)) {
      delimited("code", 2, "}%", "code block");
      continue;
    }
    if (c === '"') {
      let end = at + 1;
      while (end < source.length && source[end] !== '"' && source[end] !== "\n") end += source[end] === "\\" ? 2 : 1;
      if (source[end] !== '"') throw new ScriptError(position(), 'string has no end (no " follows)');
      push("string", source.slice(at + 1, end), end + 1);
      continue;
    }
    if (source.startsWith("--", at)) {
      const option = match(OPTION);
      if (option === undefined) throw new ScriptError(position(), 'unexpected "--"');
      push("option", option, at + option.length);
      continue;
    }
    if (source.startsWith("...", at)) {
      push("mark", "...", at + 3);
      continue;
    }
    const hex = match(HEX);
    const number = hex ?? match(DECIMAL) ?? match(INTEGER);
    if (number !== undefined) {
      // Digits that run into letters are no number; hex data of a raw option comes so, anywhere else the parser refuses it.
      const run = /[0-9A-Za-z_]*/y;
      run.lastIndex = at + number.length;
      const more = run.exec(source)?.[0] ?? "";
      if (more !== "") {
        push("word", number + more, at + number.length + more.length);
        continue;
      }
      push("number", number, at + number.length, hex !== undefined ? "hex" : number.includes(".") ? "decimal" : "integer");
      continue;
    }
    const word = match(WORD);
    if (word !== undefined) {
      push("word", word, at + word.length);
      continue;
    }
    if (MARKS.has(c)) {
      push("mark", c, at + 1);
      continue;
    }
    throw new ScriptError(position(), `unexpected "${c}"`);
  }
  tokens.push({ ...position(), kind: "end", text: "", from: at, to: at });
  return tokens;
}
