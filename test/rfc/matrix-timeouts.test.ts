/** RFC 9293 §3.10.8 and §3.9.2.2: timeouts and ICMP errors, state by state. */
import { expect } from "vitest";
import { tcp, type Peer, type Peers } from "../support/peer.js";
import { quietly } from "../support/quietly.js";
import { declare, on } from "./matrix.js";
import {
  CLOSE_WAIT,
  CLOSED,
  CLOSING,
  ESTABLISHED,
  FIN_WAIT_1,
  FIN_WAIT_2,
  LAST_ACK,
  LISTEN,
  OTHERWISE,
  RECEIVING,
  SENDING,
  type StateInfo,
  SYN_RECEIVED,
  SYN_RECEIVED_ACTIVE,
  SYN_SENT,
  TIME_WAIT,
} from "./states.js";

const FINISHED = [FIN_WAIT_1, CLOSING, LAST_ACK];
const text = (s: StateInfo): Peers => (s.withText as NonNullable<StateInfo["withText"]>)({ options: { congestion: "reno" } });
const blocked = (s: StateInfo): Peers => (s.blocked as NonNullable<StateInfo["blocked"]>)();
const nothingArmed = (peers: Peers): void => {
  expect(peers.same((p) => p.stack.nextTimeout())).toBe(Infinity);
};

// ---- Retransmission timeout ----
on([ESTABLISHED, CLOSE_WAIT], "T-RTO", undefined, (s) => {
  const peers = text(s).play("+.2 > P. 1:101(100) ack R\n+.4 > P. 1:101(100) ack R\n+.8 > P. 1:101(100) ack R", s.letters);
  expect(
    peers.same((p) => {
      const st = p.conn.status(p.now);
      return [st.rto, st.cwnd, st.ssthresh, st.phase];
    }),
  ).toEqual([1_600, 1_460, 2_920, "loss"]);
  peers.play(`= ${s.name}`);
});
on(FINISHED, "T-RTO", undefined, (s) => {
  s.make().play("+.2 > F. 1:1(0) ack R\n+.4 > F. 1:1(0) ack R", s.letters).play(`= ${s.name}`);
  const peers = text(s).play("+.2 > P. 1:101(100) ack R\n+0 > F. 101:101(0) ack R\n+.4 > P. 1:101(100) ack R\n+0 > F. 101:101(0) ack R", s.letters);
  expect(
    peers.same((p) => {
      const st = p.conn.status(p.now);
      return [st.cwnd, st.ssthresh, st.rto];
    }),
  ).toEqual([1_460, 2_920, 800]);
});
on(SYN_RECEIVED, "T-RTO", undefined, (s) => {
  const peers = s
    .make()
    .play("+1 > S. 0:0(0) ack 1 <*>\n+2 > S. 0:0(0) ack 1 <*>\n= SYN-RECEIVED\n+1 < . 1:1(0) ack 1\n= ESTABLISHED\n+0 send 9000\n+0 > . 1:1461(1460) ack 1");
  // One segment after the SYN,ACK was lost twice (RFC 6928 §2), and the RTO is 3 s (RFC 6298 §5.7).
  expect(peers.same((p) => p.conn.status(p.now).cwnd)).toBe(1_460);
  peers.play("+3 > . 1:1461(1460) ack 1");
});
on(SYN_SENT, "T-RTO", undefined, (s) => {
  s.make().play("+1 > S 0:0(0) <*>\n+2 > S 0:0(0) <*>\n+4 > S 0:0(0) <*>\n= SYN-SENT", s.letters);
});
on(FIN_WAIT_2, "T-RTO", "same", "+300");
on(TIME_WAIT, "T-RTO", "same", "+59");
on(LISTEN, "T-RTO", "same", "+300");

// ---- R1 and R2 ----
on([ESTABLISHED, CLOSE_WAIT, ...FINISHED, SYN_RECEIVED_ACTIVE], "T-R1", undefined, (s) => {
  const peers = s.withText === undefined ? s.make() : text(s);
  const first = s === SYN_RECEIVED_ACTIVE ? 2.9 : 0.5;
  peers.each((p) => {
    quietly(p, first);
  });
  expect(peers.heard).not.toContain("advised retransmitting");
  peers.each((p) => {
    quietly(p, s === SYN_RECEIVED_ACTIVE ? 4.2 : 1);
  });
  expect(peers.heard.filter((h) => h.startsWith("advised"))).toEqual(["advised retransmitting"]);
  peers.play(`= ${s.name}`);
});
on([ESTABLISHED, CLOSE_WAIT, ...FINISHED], "T-R2", undefined, (s) => {
  // The third timeout leaves R1 behind, and the last data goes out well after 100 s.
  const peers = text(s);
  const sent = peers.same((p) => {
    const out = quietly(p, 2_000);
    return out.filter((x) => x.length > 0).map((x) => Math.round(x.at));
  });
  expect(sent).toHaveLength(15);
  expect(sent.at(-1)).toBeGreaterThan(100);
  peers.play("= CLOSED");
  expect(peers.heard.at(-1)).toBe("closed timeout");
  nothingArmed(peers);
});
on(SYN_SENT, "T-R2", undefined, (s) => {
  const peers = s.make();
  const sent = peers.same((p) => quietly(p, 400).map((x) => Math.round(x.at)));
  expect(sent).toEqual([1, 3, 7, 15, 31, 63, 127]);
  expect(peers.same((p) => p.events.filter((e) => e.kind === "closed").map((e) => e.kind === "closed" && Math.round(e.ms / 1_000)))).toEqual([247]);
  expect(peers.heard).toEqual(["advised retransmitting", "closed timeout"]);
  nothingArmed(peers);
});

// ---- Persist ----
const probe = (s: StateInfo): void => {
  const fin = s === FIN_WAIT_1 || s === CLOSING || s === LAST_ACK ? s.letters.N - 1 : s.letters.N;
  const letters = { ...s.letters, N: fin };
  const peers = blocked(s).play(
    "+.2 > . N:N+1(1) ack R\n+.4 > . N:N+1(1) ack R\n+.8 > . N:N+1(1) ack R\n+.1 < . R:R(0) ack N win 0\n+1.5 > . N:N+1(1) ack R",
    letters,
  );
  // Answered probes keep it open for ever (MUST-37).
  peers.each((p) => {
    const until = p.now + 3_600_000;
    while (p.now < until) {
      p.pass(until);
      for (const x of p.sent()) if (x.length > 0) p.play("+0 < . R:R(0) ack N win 0", letters);
    }
  });
  peers.play(`= ${s.name}`);
};
on(SENDING, "T-PERSIST", undefined, probe);
on([FIN_WAIT_2, LISTEN], "T-PERSIST", "same", "+300");
on(TIME_WAIT, "T-PERSIST", "same", "+0 < . R:R(0) ack N win 0\n+59");
on(SYN_SENT, "T-PERSIST", "same", "+.9\n+.1 > S 0:0(0) <*>\n+1.9");
on(SYN_RECEIVED, "T-PERSIST", "same", "+.9\n+.1 > S. 0:0(0) ack 1 <*>\n+1.9", () => tcp().play("+0 < S 0:0(0) win 0\n+0 > S. 0:0(0) ack 1 <*>"));

// ---- Keep-alive ----
on(
  [ESTABLISHED, FIN_WAIT_2, CLOSE_WAIT],
  "T-KEEPALIVE",
  "same",
  "+0 keepalive on 1000 500 3\n+1 > . N-1:N-1(0) ack R\n+.1 < . R:R(0) ack N\n+.9\n+.1 > . N-1:N-1(0) ack R\n+.1 < . R:R(0) ack N",
);
on([ESTABLISHED, FIN_WAIT_2, CLOSE_WAIT], "T-KEEPALIVE-fail", undefined, (s) => {
  const reset = s === FIN_WAIT_2 ? "+.5" : "+.5 > R. N:N(0) ack R";
  const peers = s
    .make()
    .play(
      `+0 keepalive on 1000 500 3\n+1 > . N-1:N-1(0) ack R\n+.5 > . N-1:N-1(0) ack R\n= ${s.name}\n+.5 > . N-1:N-1(0) ack R\n= ${s.name}\n${reset}\n= CLOSED`,
      s.letters,
    );
  expect(peers.heard.at(-1)).toBe("closed timeout");
});
on(FINISHED, "T-KEEPALIVE", undefined, (s) => {
  s.make().play("+0 keepalive on 50 50 3\n+.2 > F. 1:1(0) ack R\n+.4 > F. 1:1(0) ack R", s.letters).play(`= ${s.name}`);
});
on(TIME_WAIT, "T-KEEPALIVE", "same", "+0 keepalive on 50 50 3\n+59");
on([SYN_SENT, SYN_RECEIVED], "T-KEEPALIVE", "same", "+0 keepalive on 50 50 3\n+.9");
on(LISTEN, "T-KEEPALIVE", "same", "+300", () => tcp({ options: { keepAlive: true, keepAliveIdle: 50 } }));

// ---- TIME-WAIT, FIN-WAIT-2, delayed ACK ----
on(TIME_WAIT, "T-TIMEWAIT", undefined, (s) => {
  nothingArmed(s.make().play("+59.9\n= TIME-WAIT\n+.2\n= CLOSED", s.letters));
});
on([SYN_SENT, ...OTHERWISE.filter((s) => s !== TIME_WAIT)], "T-TIMEWAIT", undefined, (s) => {
  // The listener's SYN,ACK gives up after 63 s.
  s.make()
    .each((p) => {
      quietly(p, 61);
    })
    .play(`= ${s.name}`);
});
on(LISTEN, "T-TIMEWAIT", "same", "+61");
on(FIN_WAIT_2, "T-FINWAIT2", undefined, (s) => {
  s.make().play("+3600\n= FIN-WAIT-2");
  const orphan = ESTABLISHED.make().play("+0 release\n+0 > F. 1:1(0) ack 1\n+0 < . 1:1(0) ack 2\n= FIN-WAIT-2\n+59.9\n= FIN-WAIT-2\n+.2\n= CLOSED");
  nothingArmed(orphan);
  orphan.play("+0 < F. 1:1(0) ack 2\n+0 > R 2:2(0)");
  // The same where the application lets go later.
  s.make().play("+100 release\n+59.9\n= FIN-WAIT-2\n+.2\n= CLOSED");
});
on([SYN_SENT, ...OTHERWISE.filter((s) => s !== TIME_WAIT && s !== FIN_WAIT_2)], "T-FINWAIT2", undefined, (s) => {
  s.make({ options: { finWait2: 1_000 } })
    .each((p) => {
      quietly(p, 5);
    })
    .play(`= ${s.name}`);
});
on(TIME_WAIT, "T-FINWAIT2", "same", "+0 release\n+5", (s) => s.make({ options: { finWait2: 1_000 } }));
on(LISTEN, "T-FINWAIT2", "same", "+5", () => tcp({ options: { finWait2: 1_000 } }));
on(RECEIVING, "T-DELACK", "same", "+0 < . R:R+10(10) ack A\n+.04 > . N:N(0) ack R+10\n+.1", (s) => s.make());

// ---- User timeout ----
on([ESTABLISHED, CLOSE_WAIT, ...FINISHED], "T-USER", undefined, (s) => {
  const peers = text(s).play("+0 usertimeout 3000", s.letters);
  const from = peers.same((p) => p.conn.status(p.now).sendQ);
  expect(from).toBe(100);
  peers
    .each((p) => {
      quietly(p, 2);
    })
    .play(`= ${s.name}`);
  peers
    .each((p) => {
      quietly(p, 2.5);
    })
    .play("= CLOSED\n+0 send 1 -> 0");
  expect(peers.heard.at(-1)).toBe("closed timeout");
  expect(peers.same((p) => p.stack.counters.pagesUsed)).toBe(0);
  nothingArmed(peers);
});
on(FIN_WAIT_2, "T-USER", undefined, (s) => {
  // Nothing of ours is outstanding: it is the unanswered probes that the user timeout limits (RFC 5482 §4.2).
  const peers = s.make().play("+0 keepalive on 1000 500 100\n+0 usertimeout 3000");
  peers
    .each((p) => {
      quietly(p, 2.9);
    })
    .play("= FIN-WAIT-2")
    .each((p) => {
      quietly(p, 0.7);
    })
    .play("= CLOSED");
  expect(peers.heard.at(-1)).toBe("closed timeout");
});
on([SYN_SENT, SYN_RECEIVED_ACTIVE], "T-USER", undefined, (s) => {
  const peers = s
    .make()
    .play("+0 usertimeout 2500")
    .each((p) => {
      quietly(p, 2.4);
    })
    .play(`= ${s.name}`)
    .each((p) => {
      quietly(p, 1);
    })
    .play("= CLOSED");
  expect(peers.heard.at(-1)).toBe("closed timeout");
  nothingArmed(peers);
});

// ---- CLOSED: no timer is left where a connection was ----
const afterAll: readonly (readonly [string, (p: Peer) => void])[] = [
  [
    "T-RTO",
    (p) => {
      p.play("+0 send 10\n+0 > P. 1:11(10) ack 1");
    },
  ],
  [
    "T-PERSIST",
    (p) => {
      p.play("+0 < . 1:1(0) ack 1 win 0\n+0 send 10");
    },
  ],
  [
    "T-KEEPALIVE",
    (p) => {
      p.play("+0 keepalive on 1000 500 3");
    },
  ],
  [
    "T-USER",
    (p) => {
      p.play("+0 usertimeout 1000\n+0 send 10\n+0 > P. 1:11(10) ack 1");
    },
  ],
  [
    "T-FINWAIT2",
    (p) => {
      p.play("+0 release\n+0 > F. 1:1(0) ack 1\n+0 < . 1:1(0) ack 2");
    },
  ],
  [
    "T-TIMEWAIT",
    (p) => {
      p.play("+0 close\n+0 > F. 1:1(0) ack 1\n+0 < F. 1:1(0) ack 2\n+0 > . 2:2(0) ack 2");
    },
  ],
];
for (const [key, arm] of afterAll) {
  on(CLOSED, key, undefined, () => {
    const peers = tcp().established().each(arm);
    expect(peers.first.stack.nextTimeout()).toBeLessThan(Infinity);
    peers
      .each((p) => {
        p.call("abort", []);
        p.turn();
        p.sent();
      })
      .play("= CLOSED\n+300");
    nothingArmed(peers);
  });
}

// ---- ICMP ----
const outstanding = (s: StateInfo): Peers => (s.withText === undefined ? s.make() : text(s));
on(
  OTHERWISE.filter((s) => s !== TIME_WAIT),
  "ICMP-soft",
  undefined,
  (s) => {
    const peers = outstanding(s)
      .play(["3/0", "3/1", "3/5", "11/0", "11/1", "12/0"].map((e) => `+0 < icmp ${e} A`).join("\n"), s.letters)
      .play(`= ${s.name}`);
    if (s !== SYN_RECEIVED) expect(peers.heard.filter((h) => h === "advised icmp").length).toBe(6);
  },
);
on(
  OTHERWISE.filter((s) => s !== TIME_WAIT && s !== SYN_RECEIVED),
  "ICMP-hard",
  undefined,
  (s) => {
    const peers = outstanding(s).play("+0 < icmp 3/2 A\n+0 < icmp 3/3 A", s.letters).play(`= ${s.name}`);
    expect(peers.heard.filter((h) => h === "advised icmp").length).toBe(2);
  },
);
on(SYN_RECEIVED, "ICMP-hard", "LISTEN", "+0 < icmp 3/3 A");
on(SYN_RECEIVED_ACTIVE, "ICMP-hard", undefined, (s) => {
  expect(s.make().play("+0 < icmp 3/2 A\n= CLOSED", s.letters).heard).toEqual(["closed unreachable"]);
});
on(SYN_SENT, "ICMP-hard", undefined, (s) => {
  for (const code of [2, 3]) expect(s.make().play(`+0 < icmp 3/${code} A\n= CLOSED\n+9`, s.letters).heard).toEqual(["closed unreachable"]);
  // What quotes nothing that is outstanding is not about this connection (RFC 5927 §4.1).
  s.make().play("+0 < icmp 3/3 A+5\n+0 < icmp 3/3 A-1\n= SYN-SENT", s.letters);
});
on(SYN_SENT, "ICMP-soft", undefined, (s) => {
  const peers = s.make({ options: { icmpAbortsOpen: false } }).play("+0 < icmp 3/0 A\n+0 < icmp 3/1 A\n+0 < icmp 11/0 A\n= SYN-SENT", s.letters);
  expect(peers.heard).toEqual(["advised icmp", "advised icmp", "advised icmp"]);
});
on([TIME_WAIT], "ICMP", "same", "+0 < icmp 3/3 A\n+0 < icmp 3/1 A-1\n+0 < icmp 3/4 A-1 mtu 600");
on(LISTEN, "ICMP", "same", "+0 < icmp 3/3 5\n+0 < icmp 3/1 5");
on(CLOSED, "ICMP", "same", "+0 < icmp 3/3 5\n+0 < icmp 3/1 5");
on(SENDING, "ICMP-toobig", undefined, (s) => {
  // 1,460 octets and, where CLOSE was called, the FIN behind them.
  const opened = (s === ESTABLISHED || s === FIN_WAIT_1 || s === CLOSING ? ESTABLISHED : CLOSE_WAIT).make();
  const fin = FINISHED.includes(s),
    r = s === ESTABLISHED || s === FIN_WAIT_1 ? 1 : 2;
  opened.play("+0 send 1460\n+0 > P. 1:1461(1460) ack R", { R: s === CLOSE_WAIT || s === LAST_ACK ? 2 : 1 });
  if (fin) opened.play("+0 close\n+0 > F. 1461:1461(0) ack R", { R: s === LAST_ACK ? 2 : 1 });
  if (s === CLOSING) opened.play("+0 < F. 1:1(0) ack 1\n+0 > . 1462:1462(0) ack 2");
  opened.play(`= ${s.name}\n+.05 < icmp 3/4 1 mtu 1000\n+0 > . 1:961(960) ack R\n+0 > P. 961:1461(500) ack R\n= ${s.name}`, { R: r });
  expect(opened.same((p) => p.conn.status(p.now).pmtu)).toBe(1_000);
});
on(SYN_RECEIVED, "ICMP-toobig", undefined, (s) => {
  s.make().play("+0 < icmp 3/4 0 mtu 1000\n= SYN-RECEIVED\n+0 < . 1:1(0) ack 1\n+0 send 1000\n+0 > . 1:961(960) ack 1\n+0 > P. 961:1001(40) ack 1", s.letters);
});
on(FIN_WAIT_2, "ICMP-toobig", "same", "+0 < icmp 3/4 A-1 mtu 1000\n+0 < icmp 3/4 A mtu 1000");

declare("RFC 9293 §3.10.8, §3.9.2.2: timeouts and ICMP");
