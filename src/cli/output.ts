/** What commands print with: colour only where a person reads it, columns that line up, JSON for programs. */
import type { Writable } from "node:stream";

export type Paint = (text: string) => string;
export interface Palette {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly blue: Paint;
  readonly magenta: Paint;
  readonly cyan: Paint;
}

const PLAIN: Paint = (text) => text;
const sgr =
  (on: number, off: number): Paint =>
  (text) =>
    `\x1b[${on}m${text}\x1b[${off}m`;
const COLOURED: Palette = {
  bold: sgr(1, 22),
  dim: sgr(2, 22),
  red: sgr(31, 39),
  green: sgr(32, 39),
  yellow: sgr(33, 39),
  blue: sgr(34, 39),
  magenta: sgr(35, 39),
  cyan: sgr(36, 39),
};
const COLOURLESS: Palette = { bold: PLAIN, dim: PLAIN, red: PLAIN, green: PLAIN, yellow: PLAIN, blue: PLAIN, magenta: PLAIN, cyan: PLAIN };

/** Whether a stream is for a person who sees colours: a terminal, unless NO_COLOR is set; any when FORCE_COLOR is (https://no-color.org). */
export function isColoured(stream: { readonly isTTY?: boolean } = process.stdout, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env["NO_COLOR"]) return false;
  if (env["FORCE_COLOR"] !== undefined && env["FORCE_COLOR"] !== "0") return true;
  return stream.isTTY === true && env["TERM"] !== "dumb";
}
export const palette = (stream?: { readonly isTTY?: boolean }, env?: NodeJS.ProcessEnv): Palette => (isColoured(stream, env) ? COLOURED : COLOURLESS);

/** Columns of a terminal; 100 where nobody can tell. */
export const terminalWidth = (stream: { readonly columns?: number } = process.stdout): number => stream.columns ?? 100;

export const print = (text: string, to: Writable = process.stdout): void => void to.write(text.endsWith("\n") ? text : text + "\n");
export const printJson = (value: unknown, to: Writable = process.stdout): void => print(JSON.stringify(value), to);

const SGR = /\x1b\[[0-9;]*m/g;
/** Columns that a text takes on a terminal, colours not counted. */
export const visibleWidth = (text: string): number => [...text.replaceAll(SGR, "")].length;
export const padEnd = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - visibleWidth(text)));

/** Rows as left-aligned columns, two spaces between them, nothing behind the last. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, visibleWidth(cell));
    });
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : padEnd(cell, widths[i] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
