/** `glasstcp lab`: each of the nine states is shown by the kernel's ss for the whole hold; experiments show what they claim; the command line. */
import { execFile } from "node:child_process";
import { describe, expect, test } from "vitest";
import { LAB_STATES } from "../../src/lab/texts.js";
import { EXPERIMENTS } from "../../src/lab/experiments.js";
import { SCENES } from "../../src/lab/states.js";
import { netnsMissing } from "../support/netns.js";

const lab = (...args: string[]): Promise<{ exit: number; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, ["--import", "tsx", "src/cli/main.ts", "lab", ...args], { encoding: "utf8" }, (error, stdout, stderr) =>
      resolve({ exit: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });

describe.skipIf(netnsMissing("ss")).concurrent("states", () => {
  test.each(LAB_STATES)("%s is held, and ss shows it in every look", async (state) => {
    const { exit, stdout, stderr } = await lab(state.toLowerCase(), "--hold", "3s", "--json");
    expect(stderr).toBe("");
    const shown = JSON.parse(stdout) as { state: string; kernel: string; ours: string | null; looks: number; seen: number };
    expect(shown.state).toBe(state);
    expect(shown.kernel.split(" ")[0]).toBe(SCENES[state].ss);
    expect(shown.seen).toBe(shown.looks);
    expect(shown.looks).toBeGreaterThan(1);
    const ours = SCENES[state].ours;
    if (ours === undefined) expect(shown.ours).toBeNull();
    else expect(shown.ours).toMatch(new RegExp(`^${ours === "ESTABLISHED" ? "ESTAB" : ours} `));
    expect(exit).toBe(0);
  });
  test.each([
    ["syn-sent", "curl", "-m", "60", "-s", "{url}"],
    ["fin-wait-2", "curl", "-s", "-o", "/dev/null", "{url}"],
    ["closing", "curl", "-s", "-o", "/dev/null", "{url}"],
    ["last-ack", "curl", "-s", "-o", "/dev/null", "{url}"],
  ])("%s with %s as the client", async (state, ...command) => {
    expect(await lab(state, "--hold", "1s", "--", ...command)).toMatchObject({ exit: 0, stdout: expect.stringMatching(/ss showed \S+ in (\d+) of \1 looks/) });
  });
  test("a hold that the kernel cannot keep is not called kept", async () => {
    const { exit, stdout } = await lab("syn-sent", "--hold", "6s", "--json", "--", "curl", "-m", "3", "-s", "{url}");
    const { looks, seen } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { looks: number; seen: number };
    expect(seen).toBeLessThan(looks);
    expect(exit).toBe(1);
  });
});

describe.skipIf(netnsMissing("ss")).concurrent("experiments", () => {
  test.each(EXPERIMENTS.map((e) => e.name))("%s shows what it claims", async (name) => {
    const { exit, stdout, stderr } = await lab(name, "--lang", "zh");
    expect(stderr).toBe("");
    expect(exit).toBe(0);
    expect(stdout).toMatch(/\d+\.\d\d s {2}\S/);
    expect(stdout).toMatch(/[\u4e00-\u9fff]/);
  });
});

describe.concurrent("command line", () => {
  test("--list names all, in both languages", async () => {
    for (const lang of ["en", "zh"]) {
      const { exit, stdout } = await lab("--list", "--lang", lang);
      expect(exit).toBe(0);
      for (const name of [...LAB_STATES, ...EXPERIMENTS.map((e) => e.name)]) expect(stdout).toContain(name);
    }
  });
  test.each([
    [["closng"], /did you mean closing/],
    [["closed"], /nobody is put into CLOSED/],
    [["closing", "--hold", "long"], /--hold wants a time/],
    [["closing", "--lang", "fr"], /neither en nor zh/],
  ])("%j is a usage error", async (args, message) => {
    const { exit, stderr } = await lab(...args);
    expect([exit, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
  test("syn-recv with a command says whose state it is; an unknown program is named", async () => {
    expect(await lab("syn-recv", "--", "curl")).toMatchObject({ exit: 2, stderr: expect.stringMatching(/it is the server's state/) });
    expect(await lab("estab", "--", "no-such-program")).toMatchObject({ exit: 127, stderr: expect.stringMatching(/no such program/) });
  });
});
