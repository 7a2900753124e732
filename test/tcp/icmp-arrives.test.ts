/** ICMP errors about a connection (RFC 9293 §3.9.2.2): what they change, and what they must not. */
import { describe, expect, test } from "vitest";
import { tcp } from "../support/peer.js";

const plain = { receiveBuffer: 10_000, invalidAckInterval: 0, quickAcks: 0, windowScaling: false };

describe("ICMP [RFC 1191, RFC 5927]", () => {
  test("what would end an attempt is a hint in a synchronized state [RFC 5927 §5.2]", () => {
    const peer = tcp({ options: plain }).established().play("+0 send 5\n+0 > P. 1:6(5) ack 1\n+0 < icmp 3/3 1\n= ESTABLISHED");
    expect(peer.heard).toEqual(["established", "advised icmp"]);
    expect(peer.same((p) => p.stack.env.ruleHits["5927-5.2"])).toBe(1);
    peer.play("+0 < icmp 3/1 1");
    expect(peer.same((p) => p.stack.env.ruleHits["5927-5.2"])).toBe(1);
  });
  test("never raises the MTU: a link below the least that is believed stays as it is", () => {
    const peer = tcp({ options: plain, stack: { mtu: 500 } })
      .established()
      .play("+0 send 460\n+0 > P. 1:461(460) ack 1\n+0 < icmp 3/4 1 mtu 300");
    expect(peer.same((p) => p.conn.status(p.now).pmtu)).toBe(500);
  });
  test("what was too big goes again at once, and its timer starts anew: nothing was lost to congestion [RFC 1191 §6.4]", () => {
    const peer = tcp({ options: { ...plain, minPmtu: 552 } })
      .established()
      .play(`
        +0 send 1000
        +0 > P. 1:1001(1000) ack 1
        +.15 < icmp 3/4 1 mtu 640
        +0 > . 1:601(600) ack 1
        +0 > P. 601:1001(400) ack 1
        +.2 > . 1:601(600) ack 1
      `);
    expect(peer.same((p) => p.conn.status(p.now).timeouts)).toBe(1);
  });
});
