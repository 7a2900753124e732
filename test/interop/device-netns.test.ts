/** The namespaces that tests against the kernel live in: really apart, and really gone afterwards. */
import { existsSync, readlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { enterMissing, inNetns, netnsMissing } from "../support/netns.js";
import { describeUnless } from "../support/skip.js";

describeUnless(netnsMissing(), "a namespace of a test", () => {
  test("has its own interfaces: loopback alone", () =>
    inNetns(async (ns) => {
      const links = JSON.parse(await ns.must("ip", ["-j", "link"])) as { ifname: string }[];
      expect(links.map((l) => l.ifname)).toEqual(["lo"]);
      expect(ns.sh("cat /proc/self/net/dev | wc -l").trim()).toBe("3");
    }));

  test("takes what was spawned inside with it when it closes", async () => {
    let pid = 0;
    await inNetns(async (ns) => {
      pid = ns.spawn("sleep", ["60"]).pid as number;
    });
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test("must() rejects with the program's own words", () =>
    inNetns(async (ns) => {
      await expect(ns.must("ip", ["link", "set", "nothere", "up"])).rejects.toThrow(/nothere/);
    }));
});

describeUnless(enterMissing(), "stepping into a namespace", () => {
  test("happens for the length of the call, also when it throws", () =>
    inNetns(async (ns) => {
      const home = readlinkSync("/proc/thread-self/ns/net");
      const inside = ns.enter(() => readlinkSync("/proc/thread-self/ns/net"));
      expect(inside).not.toBe(home);
      expect(() =>
        ns.enter(() => {
          throw new Error("inside");
        }),
      ).toThrow("inside");
      expect(readlinkSync("/proc/thread-self/ns/net")).toBe(home);
    }));
});
