import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { operatingPage } from "../../scripts/operating-tables.js";

test("docs/operating.md has the options, settings and limits that the code has (else: npm run docs:operating)", () => {
  const page = readFileSync(new URL("../../docs/operating.md", import.meta.url), "utf8");
  expect(page).toBe(operatingPage(page));
});
