/** As much of the test runner as the tests of the core use, so that one process can run one test again for each mutant. */
import { isDeepStrictEqual } from "node:util";

export interface Test {
  readonly name: string;
  readonly run: () => unknown;
}
export const tests: Test[] = [];
let prefix = "";

type Body = (...args: never[]) => unknown;
type Each = (cases: readonly unknown[]) => (title: string, body: Body) => void;
interface Define {
  (title: string, body: Body, timeout?: unknown): void;
  each: Each;
  skip: (title: string) => void;
}

const title = (text: string, args: readonly unknown[]): string => {
  let i = 0;
  return text.replaceAll(/%[sdijo]/g, () => String(args[i++]));
};
function each(define: (name: string, body: () => unknown) => void): Each {
  return (cases) => (text, body) => {
    for (const c of cases) {
      const args = Array.isArray(c) ? (c as unknown[]) : [c];
      define(title(text, args), () => body(...(args as never[])));
    }
  };
}
const addTest = (name: string, run: Body): void => {
  tests.push({ name: `${prefix}${name}`, run: run as () => unknown });
};
export const test: Define = Object.assign(addTest, { each: each(addTest), skip: () => {} });
export const it = test;
const addGroup = (name: string, body: Body): void => {
  const before = prefix;
  prefix = `${prefix}${name} > `;
  (body as () => unknown)();
  prefix = before;
};
export const describe: Define = Object.assign(addGroup, { each: each(addGroup), skip: () => {} });

/** What stands for a value in an expectation. */
class Like {
  readonly matches: (got: unknown) => boolean;
  constructor(matches: (got: unknown) => boolean) {
    this.matches = matches;
  }
}

/** Objects compare by what they hold; `undefined` properties do not count, as with toEqual. */
function plain(x: unknown): unknown {
  if (Array.isArray(x)) return x.map(plain);
  if (x instanceof Uint8Array) return [...x];
  if (x !== null && typeof x === "object" && (Object.getPrototypeOf(x) === Object.prototype || Object.getPrototypeOf(x) === null)) {
    return Object.fromEntries(
      Object.entries(x)
        .filter(([, v]) => v !== undefined)
        .map(([k, v]) => [k, plain(v)]),
    );
  }
  return Object.is(x, -0) ? 0 : x;
}
/** A `Like` may stand anywhere in `wanted`. */
const equal = (got: unknown, wanted: unknown): boolean => {
  if (wanted instanceof Like) return wanted.matches(got);
  if (Array.isArray(wanted) && wanted.some((x) => x instanceof Like))
    return Array.isArray(got) && got.length === wanted.length && wanted.every((x, i) => equal(got[i], x));
  return isDeepStrictEqual(plain(got), plain(wanted));
};
const matches = (got: unknown, wanted: unknown): boolean => {
  if (wanted instanceof Like) return wanted.matches(got);
  if (wanted !== null && typeof wanted === "object" && !Array.isArray(wanted) && got !== null && typeof got === "object") {
    return Object.entries(wanted).every(([k, v]) => matches((got as Record<string, unknown>)[k], v));
  }
  if (Array.isArray(wanted)) return Array.isArray(got) && got.length === wanted.length && wanted.every((v, i) => matches(got[i], v));
  return isDeepStrictEqual(plain(got), plain(wanted));
};
const caught = (run: unknown): Error | undefined => {
  try {
    (run as () => unknown)();
    return undefined;
  } catch (e) {
    return e as Error;
  }
};

const MATCHERS: Readonly<Record<string, (got: never, wanted: never, more: never) => boolean>> = {
  toBe: (a, b) => Object.is(a, b),
  toEqual: equal,
  toStrictEqual: equal,
  toMatchObject: matches,
  toHaveLength: (a: { length: number }, n) => a.length === n,
  toContain: (a: readonly unknown[] | string, x) => a.includes(x),
  toContainEqual: (a: readonly unknown[], x) => a.some((y) => equal(y, x)),
  toBeGreaterThan: (a: number, b: number) => a > b,
  toBeGreaterThanOrEqual: (a: number, b: number) => a >= b,
  toBeLessThan: (a: number, b: number) => a < b,
  toBeLessThanOrEqual: (a: number, b: number) => a <= b,
  toBeCloseTo: (a: number, b: number, digits: number | undefined) => Math.abs(a - b) < 10 ** -(digits ?? 2) / 2,
  toBeUndefined: (a) => a === undefined,
  toBeDefined: (a) => a !== undefined,
  toBeNull: (a) => a === null,
  toBeTruthy: (a) => Boolean(a),
  toBeFalsy: (a) => !a,
  toBeInstanceOf: (a: unknown, b: new () => unknown) => a instanceof b,
  toMatch: (a: string, b: RegExp | string) => (typeof b === "string" ? a.includes(b) : b.test(a)),
  toThrow: (run, wanted: RegExp | string | Like | (new () => Error) | undefined) => {
    const e = caught(run);
    if (typeof wanted === "function") return e instanceof wanted;
    if (wanted instanceof Like) return e !== undefined && wanted.matches(e);
    return e !== undefined && (wanted === undefined || (typeof wanted === "string" ? e.message.includes(wanted) : wanted.test(e.message)));
  },
};
type Matchers = Readonly<Record<string, (wanted?: unknown, more?: unknown) => void>>;
interface Expect {
  (got: unknown, say?: string): Matchers & { readonly not: Matchers };
  objectContaining(wanted: object): Like;
}
const expectThat = (got: unknown, say = ""): Matchers & { readonly not: Matchers } => {
  const make = (wantsTrue: boolean): Matchers =>
    Object.fromEntries(
      Object.entries(MATCHERS).map(([name, matcher]) => [
        name,
        (wanted?: unknown, more?: unknown) => {
          if (matcher(got as never, wanted as never, more as never) !== wantsTrue) throw new Error(`${say} ${wantsTrue ? "" : "not "}${name}`);
        },
      ]),
    );
  const yes = make(true);
  return Object.defineProperty(yes, "not", { get: () => make(false) }) as Matchers & { readonly not: Matchers };
};
export const expect: Expect = Object.assign(expectThat, {
  objectContaining: (wanted: object) => new Like((got) => matches(got, wanted)),
});
