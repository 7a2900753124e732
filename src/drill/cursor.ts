/** Reading tokens one by one, with errors that name line and token. */
import { ScriptError, Unsupported } from "./errors.js";
import { describe, type Token } from "./lexer.js";

export class Cursor {
  readonly #tokens: readonly Token[];
  readonly source: string;
  #i = 0;

  constructor(tokens: readonly Token[], source: string) {
    this.#tokens = tokens;
    this.source = source;
  }

  get token(): Token {
    return this.#tokens[this.#i] as Token;
  }
  peek(ahead = 1): Token {
    return this.#tokens[Math.min(this.#i + ahead, this.#tokens.length - 1)] as Token;
  }
  next(): Token {
    const token = this.token;
    if (token.kind !== "end") this.#i++;
    return token;
  }
  /** The source from a token to the one before the present. */
  textFrom(first: Token): string {
    const last = this.#tokens[this.#i - 1] as Token;
    return this.source.slice(first.from, Math.max(last.to, first.to)).replaceAll(/\s+/g, " ");
  }

  isMark(text: string): boolean {
    return this.token.kind === "mark" && this.token.text === text;
  }
  isWord(text?: string): boolean {
    return this.token.kind === "word" && (text === undefined || this.token.text === text);
  }
  takeMark(text: string): boolean {
    if (!this.isMark(text)) return false;
    this.#i++;
    return true;
  }
  takeWord(text: string): boolean {
    if (!this.isWord(text)) return false;
    this.#i++;
    return true;
  }
  mark(text: string, what: string): Token {
    if (!this.isMark(text)) throw this.unexpected(`"${text}" ${what}`);
    return this.next();
  }
  word(what: string): Token {
    if (this.token.kind !== "word") throw this.unexpected(what);
    return this.next();
  }
  /** An integer in decimal or hex. */
  integer(what: string, max = 0xffffffff): number {
    const token = this.token;
    if (token.kind !== "number" || token.form === "decimal") throw this.unexpected(what);
    const value = Number(token.text);
    if (value > max) throw new ScriptError(token, `${token.text} is too large: ${what} is at most ${max}`);
    this.#i++;
    return value;
  }
  unexpected(wanted: string, token: Token = this.token): ScriptError {
    return new ScriptError(token, `unexpected ${describe(token)}, wanted ${wanted}`);
  }
  unsupported(what: string, token: Token = this.token): Unsupported {
    return new Unsupported(token, what);
  }
}
