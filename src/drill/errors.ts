/** The three ways in which a script ends without passing, as values that the runner turns into a result line. */

/** A place in a script: line and column count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The script cannot be read: the message names the token. Never a PASS. */
export class ScriptError extends Error {
  override readonly name = "ScriptError";
  readonly at: Position;
  constructor(at: Position, message: string) {
    super(message);
    this.at = at;
  }
}

/** The script asks for something that this runner knows of and does not do: SKIP. */
export class Unsupported extends Error {
  override readonly name = "Unsupported";
  readonly at: Position;
  constructor(at: Position, message: string) {
    super(message);
    this.at = at;
  }
}

/** An expectation was not met: FAIL. `wanted` and `got` are in the script's own numbers. */
export class Mismatch extends Error {
  override readonly name = "Mismatch";
  readonly wanted: string | undefined;
  readonly got: string | undefined;
  constructor(message: string, wanted?: string, got?: string) {
    super(message);
    this.wanted = wanted;
    this.got = got;
  }
}
