/** The presets are written right: every spec reads, ports and names are unique, the table says all of it. */
import { expect, test } from "vitest";
import { parseBehaviour } from "../../src/faults/behaviours.js";
import { parseFaults } from "../../src/faults/parse.js";
import { faultsOf, PRESETS, presetTable, type Preset, startPreset } from "../../src/faults/presets.js";
import { Wire } from "./wire.js";

const chaos = PRESETS["chaos"] as Preset;

test("every port of a preset has faults and a behaviour that read", () => {
  for (const p of chaos.ports) {
    if (p.behaviour !== undefined) expect(() => parseBehaviour(p.behaviour as string), p.name).not.toThrow();
    const spec = faultsOf(p);
    if (spec !== undefined) expect(() => parseFaults(spec), p.name).not.toThrow();
  }
});
test("ports and names are unique", () => {
  expect(new Set(chaos.ports.map((p) => p.port)).size).toBe(chaos.ports.length);
  expect(new Set(chaos.ports.map((p) => p.name)).size).toBe(chaos.ports.length);
});
test("starting it listens on each port with a behaviour, and names the faults after their ports", () => {
  const w = new Wire(),
    listened: (number | "any")[] = [];
  startPreset(
    chaos,
    {
      listen: ({ port }) => {
        listened.push(port);
        return { close() {}, waiting: 0 };
      },
    },
    w.faults,
    { now: () => 0, at: () => () => {} },
  );
  expect(listened).toEqual(chaos.ports.filter((p) => p.behaviour !== undefined).map((p) => p.port));
  const ids = w.faults.list().map((f) => f.id);
  expect(ids).toContain("closing-2");
  expect(w.faults.list().every((f) => f.spec.includes("port 80"))).toBe(true);
});
test("the table names each port", () => {
  const table = presetTable(chaos, "10.77.0.2");
  for (const p of chaos.ports) expect(table).toMatch(new RegExp(`^${p.port}  ${p.name} +\\S`, "m"));
});
