/**
 * Where a rule can be taken out of the source. All mutants of a file stand in one instrumented copy of it, each behind
 * `__m(id)`, so that nothing has to be compiled again between two of them.
 *
 * The first set removes rules, one at a time: a condition that never holds, a statement or a case that is left out. The
 * second changes them: a condition that always holds, one side of `&&` and `||`, `<` for `=<`, plus for minus, the next
 * number for a constant.
 */
import { parseAst } from "rolldown/parseAst";

export interface Mutant {
  readonly id: number;
  readonly file: string;
  readonly line: number;
  readonly set: "rule" | "detail";
  readonly operator: string;
  readonly text: string;
}

// biome-ignore lint/suspicious/noExplicitAny: any node of a tree whose types the parser does not export
type Node = any;
interface Insertion {
  readonly at: number;
  readonly text: string;
  readonly closes: boolean;
  readonly other: number;
}

const BOUNDARY: Readonly<Record<string, string>> = {
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
};
/** The comparisons on the circle (src/tcp/seq.ts), and the two of Math. */
const CALLS: Readonly<Record<string, string>> = { lt: "leq", leq: "lt", gt: "geq", geq: "gt" };

/** Calls that say something to an observer or count: they decide nothing. Their own tests are elsewhere. */
const TALK =
  /^(this\.)?(#tcb\.)?(t\.)?env\.(hit|emit|drop|causedBy\w+)\(|\.counters\.|^t\.stats\.|\.stats\.|^this\.#?counts?\.|^tell\(|\.#tell(Arrived|Sent|Limit)\(/;

export function instrument(file: string, code: string, next: () => number, out: Mutant[]): string {
  const program = parseAst(code, { lang: "ts" }) as Node;
  const insertions: Insertion[] = [];
  const skipped = code.split("\n").flatMap((l, i) => (/^\s*\/\/ mutation: /.test(l) ? [i + 2] : []));
  const line = (at: number): number => code.slice(0, at).split("\n").length;
  const source = (n: Node): string => code.slice(n.start, n.end);

  const add = (n: Node, set: Mutant["set"], operator: string): number | undefined => {
    const at = line(n.start);
    if (skipped.includes(at)) return undefined;
    const id = next();
    out.push({ id, file, line: at, set, operator, text: source(n).split("\n")[0]?.slice(0, 100) ?? "" });
    return id;
  };
  const instead = (n: Node, set: Mutant["set"], operator: string, text: string): void => {
    const id = add(n, set, operator);
    if (id === undefined) return;
    insertions.push({ at: n.start, text: `(__m(${id})?(${text}):(`, closes: false, other: n.end });
    insertions.push({ at: n.end, text: "))", closes: true, other: n.start });
  };
  const isNumber = (n: Node): boolean => n?.type === "Literal" && typeof n.value === "number";
  const isText = (n: Node): boolean => n?.type === "TemplateLiteral" || (n?.type === "Literal" && typeof n.value === "string");

  const visit = (n: Node, topLevel: boolean): void => {
    if (n === null || typeof n !== "object") return;
    if (Array.isArray(n)) {
      for (const x of n) visit(x, topLevel);
      return;
    }
    if (
      typeof n.type !== "string" ||
      (n.type.startsWith("TS") && n.type !== "TSAsExpression" && n.type !== "TSNonNullExpression" && n.type !== "TSSatisfiesExpression")
    )
      return;
    switch (n.type) {
      case "IfStatement":
        // `if (wants(…)) emit(…)` is talk.
        if (!/\.wants\(/.test(source(n.test))) {
          instead(n.test, "rule", "if never", "false");
          instead(n.test, "detail", "if always", "true");
        }
        break;
      case "ConditionalExpression":
        instead(n.test, "rule", "?: never", "false");
        instead(n.test, "detail", "?: always", "true");
        break;
      case "LogicalExpression":
        if (n.operator === "??") break;
        instead(n, "detail", `${n.operator} without its right side`, source(n.left));
        instead(n, "detail", `${n.operator} without its left side`, source(n.right));
        break;
      case "ExpressionStatement": {
        const e = n.expression,
          kind = e.type;
        if (!["CallExpression", "AssignmentExpression", "UpdateExpression"].includes(kind) || TALK.test(source(n)) || source(n).startsWith("super(")) break;
        const id = add(n, "rule", "left out");
        if (id === undefined) break;
        // In braces of its own, or an else that follows would be that of this if.
        insertions.push({ at: n.start, text: `{if(!__m(${id})){`, closes: false, other: n.end });
        insertions.push({ at: n.end, text: "}}", closes: true, other: n.start });
        break;
      }
      case "SwitchCase":
        if (n.consequent.length > 0 && n.test !== null) {
          const id = add(n, "rule", "case left out");
          if (id !== undefined) insertions.push({ at: n.consequent[0].start, text: `if(__m(${id}))break;`, closes: false, other: Infinity });
        }
        break;
      case "BinaryExpression": {
        const other = BOUNDARY[n.operator as string];
        if (other === undefined || isText(n.left) || isText(n.right)) break;
        instead(n, "detail", `${n.operator} to ${other}`, `${source(n.left)} ${other} ${source(n.right)}`);
        break;
      }
      case "CallExpression": {
        const callee = n.callee.type === "Identifier" ? (n.callee.name as string) : "",
          other = CALLS[callee];
        const math = source(n.callee);
        if (other !== undefined) instead(n, "detail", `${callee} to ${other}`, `__seq.${other}${code.slice(n.callee.end, n.end)}`);
        else if (math === "Math.min" || math === "Math.max")
          instead(
            n,
            "detail",
            math === "Math.min" ? "min to max" : "max to min",
            `${math === "Math.min" ? "Math.max" : "Math.min"}${code.slice(n.callee.end, n.end)}`,
          );
        break;
      }
      case "VariableDeclarator":
        if (topLevel && isNumber(n.init)) instead(n.init, "detail", "constant", `${source(n.init)} + 1`);
        break;
      case "FunctionDeclaration":
      case "ClassDeclaration":
      case "ArrowFunctionExpression":
      case "FunctionExpression":
        topLevel = false;
        break;
      default:
    }
    for (const key of Object.keys(n)) {
      if (
        key === "type" ||
        key === "start" ||
        key === "end" ||
        key === "typeAnnotation" ||
        key === "typeArguments" ||
        key === "typeParameters" ||
        key === "returnType" ||
        key === "superTypeArguments"
      )
        continue;
      // What is assigned to, declared or named is no value.
      if (key === "key" && n.computed !== true) continue;
      visit(n[key], topLevel);
    }
  };
  visit(program.body, true);
  // Outer ones open first and close last.
  insertions.sort((a, b) => a.at - b.at || Number(b.closes) - Number(a.closes) || (a.closes ? b.other - a.other : b.other - a.other));
  let result = "",
    at = 0;
  for (const i of insertions) {
    result += code.slice(at, i.at) + i.text;
    at = i.at;
  }
  return result + code.slice(at);
}
