/** RFC 9293 §3.8.6.3 and RFC 5681 §4.2: when text is acknowledged. */
import { describe, test } from "vitest";
import { tcp } from "../support/peer.js";

const plain = { receiveBuffer: 10_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false };

describe("delayed ACKs [9293:MUST-40 9293:SHLD-18]", () => {
  test("small segments wait; counted as segments they do not, two by two [RFC 5681 §4.2]", () => {
    const small = "+0 < P. 1001:1011(10) ack 1\n+0 < P. 1011:1021(10) ack 1";
    const large = "+0 < P. 1:1001(1000) ack 1\n+.04 > . 1:1(0) ack 1001";
    tcp({ options: plain }).established().play(`${large}\n${small}\n+.04 > . 1:1(0) ack 1021`);
    tcp({ options: { ...plain, strictAcks: true } })
      .established()
      .play(`${large}\n${small}\n+0 > . 1:1(0) ack 1021\n+0 < P. 1021:1031(10) ack 1\n+.04 > . 1:1(0) ack 1031`);
  });
  test("text that goes out takes the ACK along, and none follows", () => {
    tcp({ options: plain }).established().play("+0 < P. 1:11(10) ack 1\n+.01 send 5\n+0 > P. 1:6(5) ack 11\n+.1");
  });
  test("a duplicate is reported once [RFC 2883 §4]", () => {
    tcp({ options: plain, syn: "mss 1460,sackOK" })
      .established()
      .play(
        "+0 < P. 1:11(10) ack 1\n+.04 > . 1:1(0) ack 11\n+0 < P. 1:11(10) ack 1\n+0 > . 1:1(0) ack 11 <sack 1:11>\n+0 < P. 11:21(10) ack 1\n+.04 > . 1:1(0) ack 21",
      );
  });
});
