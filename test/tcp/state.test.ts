/** The switch and the bits that `setState` goes by are another form of STATES and EDGES: they must say the same. */
import { describe, expect, test } from "vitest";
import { EDGES, isEdge, placeOf, STATES } from "../../src/tcp/state.js";

describe("states", () => {
  test("a state's place is its place in STATES", () => {
    expect(STATES.map(placeOf)).toEqual(STATES.map((_, i) => i));
  });
  test("an edge is one that EDGES lists, and no other", () => {
    for (const from of STATES) expect({ from, to: STATES.filter((to) => isEdge(from, to)).sort() }).toEqual({ from, to: [...EDGES[from]].sort() });
  });
});
