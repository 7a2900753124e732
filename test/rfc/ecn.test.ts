/** RFC 3168: what an end remembers of marks, and for how long. */
import { test } from "vitest";
import { tcp } from "../support/peer.js";

const options = { receiveBuffer: 60_000, quickAcks: 0, windowScaling: false, timestamps: false, sack: false, ecn: "passive" } as const;
const agreed = (): ReturnType<typeof tcp> =>
  tcp({ syn: "mss 1000", options }).play("+0 < SEW 0:0(0)\n+0 > SE. 0:0(0) ack 1 <*>\n+0 < . 1:1(0) ack 1\n= ESTABLISHED");

test("a mark is echoed until CWR, and no longer than the connection has text to hear of: TIME-WAIT forgets it [3168:6.1.1-11]", () => {
  agreed().play(`
    +0 < P. 1:101(100) ack 1 ecn 3
    +0 > E. 1:1(0) ack 101
    +0 close
    +0 > FE. 1:1(0) ack 101
    +0 < . 101:101(0) ack 2
    +0 < P. 101:201(100) ack 2 ecn 2
    +0 > E. 2:2(0) ack 201
    +0 < F. 201:201(0) ack 2
    +0 > . 2:2(0) ack 202
    = TIME-WAIT
    +1 < F. 201:201(0) ack 2 ecn 3
    +0 > . 2:2(0) ack 202
  `);
});
