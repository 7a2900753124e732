/** `--set KEY=VALUE` reaches every limit and every option, with its suffixes, and nothing that is out of bounds. */
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/daemon/config.js";
import { LIMITS } from "../../src/stack/limits.js";
import { OPTIONS, type OptionSpec } from "../../src/tcp/options.js";

const parse = (...set: string[]): ReturnType<typeof parseConfig> => parseConfig({ set }, "/run/x.sock");
/** A value that is allowed and not the default. */
function another(spec: OptionSpec): string {
  switch (spec.kind) {
    case "number":
      return String(spec.default === spec.max ? spec.min : spec.max);
    case "boolean":
      return spec.default ? "off" : "on";
    case "choice":
      return spec.choices.find((c) => c !== spec.default) as string;
  }
}
const read = (spec: OptionSpec, text: string): unknown => (spec.kind === "number" ? Number(text) : spec.kind === "boolean" ? text === "on" : text);

describe("--set", () => {
  test.each(Object.entries<OptionSpec>(LIMITS))("%s is a limit of the stack", (name, spec) => {
    expect(parse(`${name}=${another(spec)}`)).toMatchObject({ limits: { [name]: read(spec, another(spec)) }, options: {} });
  });
  test.each(Object.entries<OptionSpec>(OPTIONS))("%s is an option of the core", (name, spec) => {
    expect(parse(`${name}=${another(spec)}`)).toMatchObject({ options: { [name]: read(spec, another(spec)) }, limits: {} });
  });
  test("synCookies is auto, off or always", () => {
    expect(parse().synCookies).toBe("auto");
    for (const mode of ["auto", "off", "always"] as const) expect(parse(`synCookies=${mode}`).synCookies).toBe(mode);
    expect(() => parse("synCookies=on")).toThrow(/auto, off, always/);
  });
  test.each([
    ["memory=64Mi", { memory: 67_108_864 }],
    ["memory=1G", { memory: 1e9 }],
    ["maxConnections=10k", { maxConnections: 10_000 }],
    ["fragmentTimeout=1m", { fragmentTimeout: 60_000 }],
    ["fragmentTimeout=1.5s", { fragmentTimeout: 1_500 }],
  ])("%s", (set, limits) => {
    expect(parse(set).limits).toEqual(limits);
  });
  test.each([
    "maxConnections=5s",
    "maxConnections=1.5",
    "maxConnections=0",
    "maxConnections=1e9",
    "maxConnections=",
    "memory=1",
    "fragmentTimeout=3Ki",
    "maxOrphans=-1",
    "ackEvery=1.5",
    "idleTimeout=3M",
    "minSendRate=10s",
    "maxAge=32d",
  ])("%s is refused, and what is allowed is said", (set) => {
    expect(() => parse(set)).toThrow(/is not a number from \d+ to \d+ \(/);
  });
});
