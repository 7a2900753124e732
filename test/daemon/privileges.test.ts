import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConfigError } from "../../src/daemon/config.js";
import { resolveUser, statusOf } from "../../src/daemon/privileges.js";

let dir: string, passwd: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "glasstcp-user-"));
  passwd = join(dir, "passwd");
  writeFileSync(passwd, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:nobody:/:/bin/false\nbroken\n\n");
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("--user", () => {
  test.each([
    ["nobody", { name: "nobody", uid: 65_534, gid: 65_533 }],
    ["65534", { name: "nobody", uid: 65_534, gid: 65_533 }],
    ["65534:7", { name: "nobody", uid: 65_534, gid: 7 }],
    ["4711", { name: "4711", uid: 4_711, gid: 4_711 }],
    ["4711:12", { name: "4711:12", uid: 4_711, gid: 12 }],
  ])("%s", (text, user) => {
    expect(resolveUser(text, passwd)).toEqual(user);
  });

  test.each(["root", "0", "0:5", "alice", "", "broken", "-1"])("%j is refused", (text) => {
    expect(() => resolveUser(text, passwd)).toThrow(ConfigError);
  });
  test("without a passwd file numbers still work", () => {
    expect(resolveUser("5:6", join(dir, "none"))).toEqual({ name: "5:6", uid: 5, gid: 6 });
  });
});

test("what the kernel says of a process is read right", () => {
  expect(statusOf()).toMatchObject({ uid: process.geteuid?.(), gid: process.getegid?.(), groups: expect.any(Array) as number[] });
  expect(typeof statusOf().effective).toBe("bigint");
});
