/** The command line as a whole: the registry and the modules agree, wrong use exits 2 in one line, errors bring their mend. */
import { describe, expect, test } from "vitest";
import { CliError, noDaemonError, permissionError, tell } from "../../src/cli/errors.js";
import { palette, table } from "../../src/cli/output.js";
import { program } from "../../src/cli/program.js";
import { COMMANDS } from "../../src/cli/registry.js";

describe("registry", () => {
  test("every module registers a command of the name it is listed under, with help text", async () => {
    const root = await program("*");
    for (const entry of COMMANDS) {
      const command = root.commands.find((c) => c.name() === entry.name);
      expect(command, entry.name).toBeDefined();
      expect(command?.description(), entry.name).not.toBe("");
    }
    expect(new Set(root.commands.map((c) => c.name())).size).toBe(root.commands.length);
  });
});

describe("errors", () => {
  test("an error with a mend is one line, and its kind decides the exit code", () => {
    expect(tell(permissionError("no right to open /dev/net/tun", "run with sudo"))).toEqual({
      text: "glasstcp: no right to open /dev/net/tun; run with sudo",
      exitCode: 3,
    });
    expect(tell(noDaemonError("no daemon at /run/glasstcp.sock")).exitCode).toBe(4);
    expect(tell(new CliError("two\n  lines"))).toEqual({ text: "glasstcp: two lines", exitCode: 1 });
  });
  test("an error of another room that has an errno and a mend means no permission", () => {
    const e = Object.assign(new Error("cannot open /dev/net/tun"), { code: "EACCES", mend: "add --device /dev/net/tun" });
    expect(tell(e)).toEqual({ text: "glasstcp: cannot open /dev/net/tun; add --device /dev/net/tun", exitCode: 3 });
  });
  test("an errno of a system call is the user's to mend: no stack", () => {
    const e = Object.assign(new Error("ENOENT: no such file or directory, open 'x.pkt'"), { code: "ENOENT", syscall: "open" });
    expect(tell(e)).toEqual({ text: "glasstcp: ENOENT: no such file or directory, open 'x.pkt'", exitCode: 1 });
  });
  test("only our own bug shows a stack", () => {
    expect(tell(new TypeError("x is undefined")).text).toMatch(/bug in glasstcp[^]*at /);
  });
});

describe("output", () => {
  test("columns line up, colours not counted", () => {
    expect(
      table([
        ["a", "long", "x"],
        ["\x1b[31mred\x1b[39m", "b", "y"],
      ]),
    ).toBe("a    long  x\n\x1b[31mred\x1b[39m  b     y");
  });
  test("colour on a terminal, unless NO_COLOR; forced by FORCE_COLOR", () => {
    expect(palette({ isTTY: true }, {}).red("x")).toBe("\x1b[31mx\x1b[39m");
    expect(palette({ isTTY: true }, { NO_COLOR: "1" }).red("x")).toBe("x");
    expect(palette({ isTTY: true }, { TERM: "dumb" }).red("x")).toBe("x");
    expect(palette({ isTTY: false }, {}).red("x")).toBe("x");
    expect(palette({ isTTY: false }, { FORCE_COLOR: "1" }).red("x")).toBe("\x1b[31mx\x1b[39m");
  });
});
