import { expect, test } from "vitest";
import { type Placed, Roster } from "../../src/apps/roster.js";

test("a roster holds what was added and not deleted, whatever the order", () => {
  const roster = new Roster<Placed>((item) => item);
  const items: Placed[] = Array.from({ length: 50 }, () => ({}));
  const held = new Set<Placed>();
  for (let step = 0; step < 500; step++) {
    const item = items[(step * 7_919) % items.length]!;
    if (held.has(item)) {
      roster.delete(item);
      held.delete(item);
    } else {
      roster.add(item);
      held.add(item);
    }
    expect(new Set(roster.items())).toEqual(held);
    expect(roster.items()).toHaveLength(held.size);
  }
});

test("what is deleted while the items are walked through does not disturb the walk", () => {
  const roster = new Roster<Placed>((item) => item);
  for (let i = 0; i < 10; i++) roster.add({});
  let walked = 0;
  for (const item of roster.items()) {
    roster.delete(item);
    walked++;
  }
  expect(walked).toBe(10);
  expect(roster.items()).toEqual([]);
});
