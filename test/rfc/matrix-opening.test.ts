/** RFC 9293 §3.10.7.1 to §3.10.7.3: CLOSED, LISTEN and SYN-SENT, and OPEN. */
import { expect } from "vitest";
import { type Peer, reseal, tcp } from "../support/peer.js";
import { parse } from "../support/script.js";
import { parseAddress, writeInt32, writeUint16 } from "../../src/wire/ipv4.js";
import { declare, on } from "./matrix.js";
import { CLOSED, ESTABLISHED, LISTEN, SYN_SENT } from "./states.js";

/** A segment as `line` says, to and from whatever addresses. */
const misdirected = (p: Peer, line: string, to?: string, from?: string): void => {
  const [parsed] = parse(line);
  if (parsed?.is !== "in") throw new Error("no segment");
  const b = p.encode(parsed.packet);
  if (to !== undefined) writeInt32(b, 16, parseAddress(to) as number);
  if (from !== undefined) writeInt32(b, 12, parseAddress(from) as number);
  p.inject(reseal(b));
};
const NOBODY = ["255.255.255.255", "224.0.0.1", "10.0.0.255", "239.255.1.1"] as const;
const IMPOSSIBLE = ["0.0.0.0", "255.255.255.255", "224.0.0.9", "127.0.0.1", "240.0.0.1"] as const;

// ---- CLOSED ----
on(CLOSED, "RST", "same", "+0 < R 5:5(0)\n+0 < R. 5:5(0) ack 7\n+0 < RS 5:5(0)\n+0 < RF. 5:15(10) ack 7");
on(CLOSED, "SYN", "same", "+0 < S 5:5(0)\n+0 > R. Z:Z(0) ack 6 win 0\n+0 < S 5:15(10)\n+0 > R. Z:Z(0) ack 16");
on(CLOSED, "SYNACK", "same", "+0 < S. 5:5(0) ack 7\n+0 > R 7:7(0)");
on(CLOSED, "ACK", "same", "+0 < . 5:5(0) ack 7\n+0 > R 7:7(0)\n+0 < P. 5:15(10) ack -7\n+0 > R -7:-7(0)");
on(CLOSED, "DATA-NOACK", "same", "+0 < - 5:15(10)\n+0 > R. Z:Z(0) ack 15\n+0 < P 5:6(1)\n+0 > R. Z:Z(0) ack 6");
on(CLOSED, "FIN-ACK", "same", "+0 < F. 5:5(0) ack 7\n+0 > R 7:7(0)");
on(CLOSED, "FIN-NOACK", "same", "+0 < F 5:15(10)\n+0 > R. Z:Z(0) ack 16");
on(CLOSED, "URG", "same", "+0 < U. 5:15(10) ack 7 urg 4\n+0 > R 7:7(0)\n+0 < U 5:15(10) urg 4\n+0 > R. Z:Z(0) ack 15\n+0 < - 5:5(0)\n+0 > R. Z:Z(0) ack 5");
on(CLOSED, "BCAST", undefined, (s) => {
  s.make()
    .each((p) => {
      for (const to of NOBODY) misdirected(p, "+0 < S 5:5(0)", to);
      for (const from of IMPOSSIBLE) misdirected(p, "+0 < S 5:5(0)", undefined, from);
    })
    .play("= CLOSED");
});
on(CLOSED, "BADSUM", undefined, (s) => {
  s.make()
    .each((p) => {
      const [parsed] = parse("+0 < S 5:5(0)");
      if (parsed?.is !== "in") throw new Error("no segment");
      const b = p.encode(parsed.packet);
      writeUint16(b, 36, (((b[36] as number) << 8) | (b[37] as number)) ^ 1);
      p.inject(b);
      expect(p.rules).toContain("9293-MUST-3");
    })
    .play("= CLOSED");
});
on(CLOSED, "OPEN-passive", "LISTEN", "+0 listen");
on(CLOSED, "OPEN-active", undefined, () => {
  SYN_SENT.make().each((p) => {
    const st = p.conn.status(p.now);
    expect([st.state, st.sndUna, st.sndNxt, st.iss]).toEqual(["SYN-SENT", 0, 1, p.iss]);
  });
});
on(CLOSED, "OPEN-active-noremote", undefined, (s) => {
  s.make().each((p) => {
    expect(() => p.stack.connect({ remoteAddress: "", remotePort: 80 }, p)).toThrow(/is not an IPv4 address/);
    expect([...p.stack.connections()]).toHaveLength(0);
  });
});
on(CLOSED, "OPEN-badaddr", undefined, (s) => {
  s.make()
    .each((p) => {
      for (const remoteAddress of ["255.255.255.255", "224.0.0.1", "0.0.0.0", "127.0.0.1"])
        expect(() => p.stack.connect({ remoteAddress, remotePort: 80 }, p)).toThrow(/cannot be a peer/);
      expect(() => p.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 80, localAddress: "10.9.9.9" }, p)).toThrow(/not an address of this stack/);
    })
    .play("+1");
});
on(CLOSED, "OPEN-nores", undefined, () => {
  tcp({ stack: { limits: { maxConnections: 1 } } })
    .established()
    .each((p) => {
      expect(() => p.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 81 }, p)).toThrow(/too many connections/);
    });
});
const gone = (): ReturnType<typeof ESTABLISHED.make> => ESTABLISHED.make().play("+0 abort\n+0 > R. 1:1(0) ack 1\n= CLOSED");
on(CLOSED, "SEND", undefined, () => {
  gone().play("+0 send 5 -> 0\n+1\n= CLOSED");
});
on(CLOSED, "RECEIVE", undefined, () => {
  gone().play("+0 recv 5 -> 0\n= CLOSED");
});
on(CLOSED, "CLOSE", undefined, () => {
  gone().play("+0 close\n+1\n= CLOSED");
});
on(CLOSED, "ABORT", undefined, () => {
  gone().play("+0 abort\n+1\n= CLOSED");
});
on(CLOSED, "STATUS", undefined, () => {
  gone().play("+0 status -> CLOSED");
});

// ---- LISTEN ----
on(LISTEN, "RST", "same", "+0 < R 5:5(0)\n+0 < R. 5:5(0) ack 7");
on(LISTEN, "ACK", "same", "+0 < . 5:5(0) ack 7\n+0 > R 7:7(0)\n+0 < F. 5:15(10) ack 7\n+0 > R 7:7(0)");
on(LISTEN, "SYNACK", "same", "+0 < S. 5:5(0) ack 7\n+0 > R 7:7(0)");
on(LISTEN, "SYN", undefined, (s) => {
  const peers = s
    .make({ options: { windowScaling: true, receiveBuffer: 4_194_304 } })
    .play("+0 < S 0:0(0) <mss 1000,sackOK,wscale 7,TS val 0>\n+0 > S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,wscale 7,TS val 0 ecr 0>\n= SYN-RECEIVED");
  peers.each((p) => {
    const st = p.conn.status(p.now);
    expect([st.sndUna, st.sndNxt, st.rcvNxt, st.iss, st.irs, st.passive]).toEqual([0, 1, 1, p.iss, p.irs, true]);
    expect([...p.stack.listeners()]).toHaveLength(1);
  });
});
on(LISTEN, "SYN-DATA", undefined, (s) => {
  const peers = s.make().play("+0 < S 0:10(10)\n+0 > S. 0:0(0) ack 1 <*>\n= SYN-RECEIVED");
  expect([peers.heard, peers.taken]).toEqual([[], 0]);
  // Not kept and not acknowledged, so it comes again.
  peers.play("+0 < . 1:1(0) ack 1\n= ESTABLISHED\n+.1 < P. 1:11(10) ack 1\n+.04 > . 1:1(0) ack 11");
  expect(peers.taken).toBe(10);
});
on(LISTEN, "SYN-FIN", undefined, (s) => {
  const peers = s
    .make()
    .play(
      "+0 < SF 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n= SYN-RECEIVED\n+0 < . 1:1(0) ack 1\n= ESTABLISHED\n+.1 < F. 1:1(0) ack 1\n+0 > . 1:1(0) ack 2\n= CLOSE-WAIT",
    );
  expect(peers.heard).toEqual(["established", "ended"]);
});
on(LISTEN, "SYN-RST", "same", "+0 < SR 5:5(0)");
on(LISTEN, "NOFLAG", "same", "+0 < - 5:15(10)\n+0 < F 5:5(0)\n+0 < U 5:15(10) urg 3\n+0 < - 5:5(0)");
on(LISTEN, "URG", "SYN-RECEIVED", "+0 < SU 0:0(0) urg 3\n+0 > S. 0:0(0) ack 1 <*>");
on(LISTEN, "SYN-BCAST", undefined, (s) => {
  s.make()
    .each((p) => {
      for (const to of NOBODY) misdirected(p, "+0 < S 5:5(0)", to);
      for (const from of IMPOSSIBLE) misdirected(p, "+0 < S 5:5(0)", undefined, from);
      expect([...p.stack.connections()]).toHaveLength(0);
    })
    .play("= LISTEN");
});
on(LISTEN, "SYN-BACKLOG", undefined, (s) => {
  const other = (p: Peer): void => misdirected(p, "+0 < S 5:5(0)", undefined, "10.0.0.9");
  s.make({ stack: { limits: { synBacklog: 1 }, synCookies: "off" } })
    .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>")
    .each(other)
    .play("+.5");
  s.make({ stack: { limits: { synBacklog: 1 } } })
    .play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>")
    .each(other)
    .each((p) => {
      expect(p.sent().map((x) => x.flags)).toEqual(["S."]);
      expect([p.stack.counters.halfOpen, p.stack.counters.cookiesSent]).toEqual([1, 1]);
    });
});
on(LISTEN, "OPEN-active", undefined, (s) => {
  s.make().each((p) => {
    const conn = p.stack.connect({ remoteAddress: "10.0.0.1", remotePort: 40_000, localPort: 80 }, p);
    p.turn();
    expect(p.sent().map((x) => [x.flags, x.seq])).toEqual([["S", 0]]);
    expect(conn.state).toBe("SYN-SENT");
    expect([...p.stack.listeners()]).toHaveLength(1);
  });
});
on(LISTEN, "OPEN-active-noremote", undefined, (s) => {
  s.make().each((p) => {
    expect(() => p.stack.connect({ remoteAddress: "", remotePort: 80, localPort: 80 }, p)).toThrow(/is not an IPv4 address/);
    expect([...p.stack.listeners()]).toHaveLength(1);
  });
});
on(LISTEN, "OPEN-passive", undefined, (s) => {
  s.make()
    .each((p) => {
      expect(() => p.stack.listen({ port: 80 }, () => p)).toThrow(/already listened on/);
    })
    .established();
});
on(LISTEN, "STATUS", undefined, (s) => {
  s.make().each((p) => {
    expect([...p.stack.listeners()].map((l) => [l.localAddress, l.port, l.halfOpen])).toEqual([["0.0.0.0", 80, 0]]);
  });
});

// ---- SYN-SENT ----
on(SYN_SENT, "ACK-old", "same", "+0 < . 5:5(0) ack 0\n+0 > R 0:0(0)\n+0 < P. 5:15(10) ack -9\n+0 > R -9:-9(0)");
on(SYN_SENT, "ACK-future", "same", "+0 < . 5:5(0) ack 2\n+0 > R 2:2(0)");
on(SYN_SENT, "SYNACK-badack", "same", "+0 < S. 0:0(0) ack 0\n+0 > R 0:0(0)\n+0 < S. 0:0(0) ack 2\n+0 > R 2:2(0)");
on(SYN_SENT, "RST-badack", "same", "+0 < R. 0:0(0) ack 0\n+0 < R. 0:0(0) ack 2\n+0 < RS. 0:0(0) ack 2");
on(SYN_SENT, "RST-goodack", undefined, (s) => {
  // D2: a closed port answers with SEQ 0, wherever that lies.
  const peers = s.make().play("+0 < R. Z:Z(0) ack 1 win 0\n= CLOSED\n+9");
  expect(peers.heard).toEqual(["closed refused"]);
});
on(SYN_SENT, "RST-noack", "same", "+0 < R 0:0(0)\n+0 < R Z:Z(0)\n+0 < RS 0:0(0)");
on(SYN_SENT, "ACK-good", "same", "+0 < . 5:5(0) ack 1");
on(SYN_SENT, "DATA", "same", "+0 < - 5:15(10)\n+0 < P. 5:15(10) ack 1");
on(SYN_SENT, "FIN", "same", "+0 < F 5:5(0)\n+0 < F. 5:5(0) ack 1");
on(SYN_SENT, "URG", "same", "+0 < U 5:15(10) urg 4\n+0 < U. 5:15(10) ack 1 urg 4");
on(SYN_SENT, "SYNACK", undefined, (s) => {
  const peers = s.make().play("+0 < S. 0:0(0) ack 1 win 2000 <mss 900,wscale 9>\n+0 > . 1:1(0) ack 1\n= ESTABLISHED");
  expect(peers.heard).toEqual(["established"]);
  peers.each((p) => {
    const st = p.conn.status(p.now);
    // D13: the window comes with it, unscaled; text may follow at once, by the peer's MSS.
    expect([st.irs, st.rcvNxt, st.sndUna, st.sndWnd]).toEqual([p.irs, 1, 1, 2_000]);
  });
  peers.play("+0 send 2000\n+0 > . 1:901(900) ack 1\n+0 > . 901:1801(900) ack 1\n+0 > P. 1801:2001(200) ack 1");
});
on(SYN_SENT, "SYNACK-DATA", undefined, (s) => {
  const peers = s.make().play("+0 < S. 0:10(10) ack 1\n+0 > . 1:1(0) ack 11\n= ESTABLISHED");
  expect(peers.taken).toBe(10);
});
on(SYN_SENT, "SYNACK-FIN", undefined, (s) => {
  const peers = s.make().play("+0 < SF. 0:10(10) ack 1\n+0 > . 1:1(0) ack 12\n= CLOSE-WAIT");
  expect([peers.heard, peers.taken]).toEqual([["established", "ended"], 10]);
});
on(SYN_SENT, "SYNACK-URG", undefined, (s) => {
  // The pointer counts from SEG.SEQ, which is the SYN's own number (§3.1).
  const peers = s.make({ reads: false }).play("+0 < SU. 0:10(10) ack 1 urg 6\n+0 > . 1:1(0) ack 11\n= ESTABLISHED");
  expect(peers.heard).toEqual(["established", "urgent 5"]);
});
on(SYN_SENT, "SYN", undefined, (s) => {
  const peers = s.make().play("+0 < S 0:0(0) win 700\n+0 > S. 0:0(0) ack 1 <*>\n= SYN-RECEIVED");
  expect(
    peers.same((p) => {
      const st = p.conn.status(p.now);
      return [st.passive, st.sndWnd, st.rcvNxt];
    }),
  ).toEqual([false, 700, 1]);
  peers.play("+0 < . 1:1(0) ack 1\n= ESTABLISHED");
});
on(SYN_SENT, "SYN-DATA", undefined, (s) => {
  const peers = s.make().play("+0 < S 0:10(10)\n+0 > S. 0:0(0) ack 1 <*>\n= SYN-RECEIVED");
  expect([peers.heard, peers.taken]).toEqual([[], 0]);
  peers.play("+0 < . 1:11(10) ack 1\n+.04 > . 1:1(0) ack 11\n= ESTABLISHED");
  expect(peers.taken).toBe(10);
});
on(SYN_SENT, "SELF", undefined, () => {
  CLOSED.make().each((p) => {
    p.conn = p.stack.connect({ remoteAddress: "10.0.0.2", remotePort: 40_000, localPort: 40_000 }, p);
    p.turn();
    // Each frame comes back as on a loopback.
    const states: string[] = [];
    for (let sent = p.sent(); sent.length > 0; sent = p.sent()) {
      for (const s of sent) p.inject(s.bytes);
      states.push(p.conn.state);
    }
    expect(states.slice(0, 2)).toEqual(["SYN-RECEIVED", "ESTABLISHED"]);
  });
});

declare("RFC 9293 §3.10.7.1 to §3.10.7.3: CLOSED, LISTEN and SYN-SENT");
