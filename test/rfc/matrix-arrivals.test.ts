/** RFC 9293 §3.10.7.4, the eight states of "Otherwise": each event of the state matrix, in the order of the steps. */
import { expect } from "vitest";
import { declare, on } from "./matrix.js";
import {
  AFTER_FIN,
  CLOSE_WAIT,
  CLOSING,
  ESTABLISHED,
  FIN_WAIT_1,
  FIN_WAIT_2,
  LAST_ACK,
  OTHERWISE,
  RECEIVING,
  SENDING,
  SYN_RECEIVED,
  SYN_RECEIVED_ACTIVE,
  type StateInfo,
  SYNCHRONIZED,
  TIME_WAIT,
} from "./states.js";
import type { PeerOptions, Peers } from "../support/peer.js";

const ACK = "+0 > . N:N(0) ack R";
const TS: PeerOptions = { syn: "mss 1460,TS" };
const withTs = (s: StateInfo): Peers => s.make(TS);
const shut = (s: StateInfo): Peers => (s.withShutWindow as NonNullable<StateInfo["withShutWindow"]>)();
const notTimeWait = SYNCHRONIZED.filter((s) => s !== TIME_WAIT);
/** After `withShutWindow` of our 1,000 octets. */
const full = { R: 1_001 };

// ---- Before the first: PAWS ----
on(OTHERWISE, "PAWS", "same", `+0 < . R:R+10(10) ack N <TS val 999>\n${ACK}`, withTs);
on(OTHERWISE, "NOTS", "same", "+0 < . R:R+10(10) ack N <nots>", withTs);

// ---- First: sequence number ----
on(OTHERWISE, "SEQ-old", "same", `+0 < . R-1:R-1(0) ack N\n${ACK}\n+0 < . R-1:R(1) ack N\n${ACK}`);
on(OTHERWISE, "SEQ-beyond", "same", `+0 < . W:W+10(10) ack N\n${ACK}\n+0 < . W:W(0) ack N\n${ACK}`);
on(SYNCHRONIZED, "SEQ-zerowin", undefined, (s) => {
  const peers = shut(s).play(`+0 < . R:R+10(10) ack A\n${ACK} win 0\n= ${s.name}`, { ...s.letters, ...full });
  expect(peers.taken).toBe(0);
});
on([FIN_WAIT_1, CLOSING], "SEQ-zerowin", undefined, (s) => {
  shut(s).play(`+0 < . R:R+10(10) ack N\n${ACK} win 0\n= ${s === CLOSING ? "TIME-WAIT" : "FIN-WAIT-2"}`, { ...s.letters, ...full });
});
on(notTimeWait, "SEQ-zerowin", undefined, (s) => {
  shut(s).play("+0 < R 1002:1002(0)\n+0 < R 1001:1001(0)\n= CLOSED", s.letters);
});

// ---- Second: RST ----
on(notTimeWait, "RST-exact", undefined, (s) => {
  const peers = s.make().play("+0 < R R:R(0)\n= CLOSED", s.letters);
  expect(peers.heard.at(-1)).toBe("closed reset");
  expect(peers.same((p) => p.stack.nextTimeout())).toBe(Infinity);
});
on(notTimeWait, "RST-data", "CLOSED", "+0 < R R:R+10(10)");
on(TIME_WAIT, "RST-exact", "same", "+0 < R R:R(0)");
on(TIME_WAIT, "RST-data", "same", "+0 < R R:R+10(10)");
on(TIME_WAIT, "RST-exact", "CLOSED", "+0 < R R:R(0)", (s) => s.make({ options: { ignoreTimeWaitReset: false } }));
on(TIME_WAIT, "RST-data", "CLOSED", "+0 < R R:R+10(10)", (s) => s.make({ options: { ignoreTimeWaitReset: false } }));
on(SYN_RECEIVED, "RST-exact-passive", undefined, (s) => {
  const peers = s.make().play("+0 < R R:R(0)\n= LISTEN", s.letters);
  expect(peers.heard).toEqual([]);
  // The listener was never gone.
  peers.play("+0 < S 100:100(0)\n+0 > S. 0:0(0) ack 101 <*>");
});
on(SYN_RECEIVED_ACTIVE, "RST-exact-active", undefined, (s) => {
  expect(s.make().play("+0 < R R:R(0)\n= CLOSED", s.letters).heard).toEqual(["closed refused"]);
});
on(SYN_RECEIVED, "RST-data", "LISTEN", "+0 < R R:R+10(10)");
on(OTHERWISE, "RST-inwin", "same", `+0 < R R+1:R+1(0)\n${ACK}\n+0 < R W-1:W-1(0)\n${ACK}`);
on(OTHERWISE, "RST-out", "same", "+0 < R R-1:R-1(0)\n+0 < R W:W(0)");

// ---- Fourth: SYN ----
on(
  SYNCHRONIZED.filter((s) => s !== TIME_WAIT),
  "SYN-inwin",
  "same",
  `+0 < S R:R(0)\n${ACK}\n+0 < S R+9:R+9(0)\n${ACK}\n+0 < S. R-1:R+8(9) ack N\n${ACK}`,
);
on(
  SYNCHRONIZED.filter((s) => s !== TIME_WAIT),
  "SYN-out",
  "same",
  `+0 < S R-1:R-1(0)\n${ACK}\n+0 < S W+9:W+9(0)\n${ACK}`,
);
on(
  SYNCHRONIZED.filter((s) => s !== TIME_WAIT),
  "SYNACK-dup",
  "same",
  `+0 < S. 0:0(0) ack 1\n${ACK}`,
);
on(SYN_RECEIVED, "SYN-dup", undefined, (s) => {
  // D4: the SYN,ACK again; and the handshake still completes.
  s.make().play("+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1 <*>\n= SYN-RECEIVED\n+0 < . 1:1(0) ack 1\n= ESTABLISHED", s.letters);
});
on(SYN_RECEIVED, "SYN-inwin-passive", "LISTEN", "+0 < S R+5:R+5(0)");
on(SYN_RECEIVED_ACTIVE, "SYN-inwin-active", "same", `+0 < S R+5:R+5(0)\n${ACK}`);
on(SYN_RECEIVED_ACTIVE, "SYNACK-simopen", "ESTABLISHED", "+0 < S. 0:0(0) ack 1");
on(TIME_WAIT, "SYN-6191-accept", undefined, (s) => {
  s.make()
    .batch("+0 < S R+1:R+1(0)", s.letters)
    .each((p) => {
      const [synAck] = p.sent();
      expect(synAck).toMatchObject({ flags: "S.", ack: s.letters.R + 2 });
      // Above all that the old connection used.
      expect(synAck?.seq).toBeGreaterThan(s.letters.N);
      expect(p.conn.state).toBe("SYN-RECEIVED");
    });
});
for (const [why, newer] of [
  ["newer timestamp", "R-9:R-9(0) <mss 1460,TS val 60000>"],
  ["the same timestamp, newer sequence", "R+1:R+1(0) <mss 1460,TS val 1000>"],
  ["no timestamp, newer sequence", "R+1:R+1(0) <mss 1460,nots>"],
] as const) {
  on(TIME_WAIT, "SYN-6191-accept", undefined, (s) => {
    s.make(TS)
      .batch(`+0 < S ${newer}`, s.letters)
      .each((p) => {
        expect(
          p.sent().map((x) => x.flags),
          why,
        ).toEqual(["S."]);
      });
  });
}
on(TIME_WAIT, "SYN-6191-accept", undefined, (s) => {
  s.make()
    .batch("+0 < S R-9:R-9(0) <mss 1460,TS val 5>", s.letters)
    .each((p) => {
      expect(
        p.sent().map((x) => x.flags),
        "timestamps newly in use",
      ).toEqual(["S."]);
    });
});
on(TIME_WAIT, "SYN-6191-reject", "same", "+0 < S R-1:R-1(0)\n+0 < S R:R(0)");
on(
  TIME_WAIT,
  "SYN-6191-reject",
  "same",
  "+0 < S R+1:R+1(0) <mss 1460,TS val 999>\n+0 < S R:R(0) <mss 1460,TS val 1000>\n+0 < S R-9:R-9(0) <mss 1460,nots>",
  withTs,
);
on(TIME_WAIT, "SYN-no6191", "same", `+0 < S R+1:R+1(0)\n${ACK}\n+0 < S R-1:R-1(0)\n${ACK}`, (s) => s.make({ options: { reuseTimeWait: false } }));

// ---- Fifth: ACK ----
on(OTHERWISE, "NOACK", undefined, (s) => {
  const peers = s.make().play(`+0 < - R:R+10(10)\n+0 < F R:R(0)\n+0 < - R:R(0)\n= ${s.name}`, s.letters);
  expect(peers.taken).toBe(0);
});
on(SYN_RECEIVED, "ACK-good", undefined, (s) => {
  const peers = s.make().play("+0 < . R:R(0) ack N win 777\n= ESTABLISHED", s.letters);
  expect(peers.heard).toEqual(["established"]);
  expect(peers.same((p) => p.conn.status(p.now).sndWnd)).toBe(777);
});
on([ESTABLISHED, CLOSE_WAIT], "ACK-good", undefined, (s) => {
  const peers = s
    .withText?.()
    .each((p) => {
      p.conn.wantsDrain();
    })
    .play(`+0 < . R:R(0) ack 51\n= ${s.name}\n+.1 < . R:R(0) ack 101 win 500\n+9`, s.letters) as Peers;
  expect(peers.heard).toContain("drained");
  expect(
    peers.same((p) => {
      const st = p.conn.status(p.now);
      return [st.sndUna, st.sendQ, st.sndWnd];
    }),
  ).toEqual([101, 0, 500]);
  // Nothing is outstanding, so no retransmission may come (the timer is stopped).
  expect(peers.same((p) => p.stack.nextTimeout())).toBe(Infinity);
});
on([FIN_WAIT_1, CLOSING, LAST_ACK], "ACK-good", undefined, (s) => {
  const peers = s.withText?.().play(`+0 < . R:R(0) ack 101\n= ${s.name}`, s.letters) as Peers;
  expect(
    peers.same((p) => {
      const st = p.conn.status(p.now);
      return [st.sndUna, st.sendQ];
    }),
  ).toEqual([101, 0]);
});
on(FIN_WAIT_1, "ACK-fin", "FIN-WAIT-2", "+0 < . R:R(0) ack N\n= FIN-WAIT-2\n+300");
on(CLOSING, "ACK-fin", undefined, (s) => {
  const peers = s.make().play("+0 < . R:R(0) ack N\n= TIME-WAIT\n+59.9\n= TIME-WAIT\n+.2\n= CLOSED", s.letters);
  expect(peers.heard.at(-1)).toBe("closed both");
});
on(LAST_ACK, "ACK-fin", undefined, (s) => {
  const peers = s.make().play("+0 < . R:R(0) ack N\n= CLOSED", s.letters);
  expect(peers.heard.at(-1)).toBe("closed peer");
  expect(peers.same((p) => [...p.stack.connections()].length)).toBe(0);
});
on(SENDING, "ACK-dup", "same", "+0 < . R:R(0) ack A\n+0 < . R:R(0) ack A");
on([FIN_WAIT_2, TIME_WAIT], "ACK-cur", "same", "+0 < . R:R(0) ack N\n+0 < . R:R(0) ack N");
on(SYN_RECEIVED, "ACK-dup", "same", "+0 < . R:R(0) ack A\n+0 > R A:A(0)");
on(SYN_RECEIVED, "ACK-old", "same", "+0 < . R:R(0) ack A-1\n+0 > R A-1:A-1(0)\n+0 < . R:R(0) ack A-70000\n+0 > R A-70000:A-70000(0)");
on(SYN_RECEIVED, "ACK-future", "same", "+0 < . R:R(0) ack N+1\n+0 > R N+1:N+1(0)");
on(RECEIVING, "ACK-old", undefined, (s) => {
  const peers = s.make().play(`+0 < . R:R+10(10) ack A-65535\n+.04 > . N:N(0) ack R+10\n= ${s.name}`, s.letters);
  expect(peers.taken).toBe(10);
});
on(AFTER_FIN, "ACK-old", "same", "+0 < . R:R+10(10) ack A-65535\n+0 < . R:R(0) ack A-1");
on(TIME_WAIT, "ACK-old", "same", `+0 < . R:R(0) ack A-65536\n${ACK}`);
on(notTimeWait, "ACK-tooold", undefined, (s) => {
  const peers = s.make().play(`+0 < . R:R+10(10) ack A-65536\n${ACK}\n= ${s.name}`, s.letters);
  expect(peers.taken).toBe(0);
});
on(SYNCHRONIZED, "ACK-future", undefined, (s) => {
  const peers = s.make().play(`+0 < . R:R+10(10) ack N+1\n${ACK}\n+0 < F. R:R(0) ack N+1\n${ACK}\n= ${s.name}`, s.letters);
  expect(peers.taken).toBe(0);
});
on([...SENDING, FIN_WAIT_2], "ACK-winold", undefined, (s) => {
  // WL1 is R and WL2 is A after the first; the second begins one octet earlier.
  const peers = s.make().play("+0 < . R:R(0) ack A win 3000\n+0 < . R-1:R+1(2) ack A win 9", s.letters);
  peers.each((p) => {
    p.sent();
    expect(p.conn.status(p.now).sndWnd).toBe(3_000);
  });
  // The same sequence number with the same ACK is not older.
  peers.each((p) => {
    p.batch("+0 < . R+1:R+1(0) ack A win 2000", s.letters);
    p.sent();
    expect(p.conn.status(p.now).sndWnd).toBe(2_000);
  });
});

// ---- Sixth: URG ----
on(RECEIVING, "URG", undefined, (s) => {
  const peers = s.make({ reads: false }).play("+0 < U. R:R+10(10) ack A urg 10\n+.04 > . N:N(0) ack R+10", s.letters);
  expect(peers.heard.filter((h) => h.startsWith("urgent"))).toEqual(["urgent 10"]);
  // Once per run: the same end again says nothing, a later one does, an earlier one never moves it back.
  peers.play("+0 < U. R+10:R+11(1) ack A\n+0 < U. R+11:R+12(1) ack A urg 30\n+0 < U. R+12:R+13(1) ack A urg 1", s.letters);
  expect(peers.heard.filter((h) => h.startsWith("urgent"))).toEqual(["urgent 10", "urgent 41"]);
});
on(SYN_RECEIVED, "URG", undefined, (s) => {
  const peers = s.make().play("+0 < U. R:R+10(10) ack N urg 10\n+.04 > . N:N(0) ack R+10\n= ESTABLISHED", s.letters);
  expect(peers.heard).toEqual(["established", "urgent 10"]);
});
on(AFTER_FIN, "URG", undefined, (s) => {
  const peers = s.make().play(`+0 < U. R:R+10(10) ack A urg 10\n= ${s.name}`, s.letters);
  expect(peers.heard.filter((h) => h.startsWith("urgent"))).toEqual([]);
});
on(RECEIVING, "URG-zerowin", undefined, (s) => {
  const peers = shut(s).play(`+0 < U. R:R+1(1) ack A urg 1\n${ACK} win 0\n= ${s.name}`, { ...s.letters, ...full });
  expect(peers.heard.filter((h) => h.startsWith("urgent"))).toEqual(["urgent 1001"]);
  expect(peers.same((p) => p.conn.readable)).toBe(1_000);
});

// ---- Seventh: text ----
const taken = (s: StateInfo, script: string, octets: number, o?: PeerOptions): void => {
  const peers = s.make(o).play(script, s.letters);
  expect(peers.taken).toBe(octets);
  peers.play(`= ${s === SYN_RECEIVED ? "ESTABLISHED" : s.name}`);
};
on(RECEIVING, "DATA-inorder", undefined, (s) => taken(s, "+0 < . R:R+100(100) ack A\n+.04 > . N:N(0) ack R+100", 100));
// At least each second full-sized segment.
on(RECEIVING, "DATA-inorder", undefined, (s) => taken(s, "+0 < . R:R+1460(1460) ack A\n+0 < . R+1460:R+2920(1460) ack A\n+0 > . N:N(0) ack R+2920", 2_920));
on(SYN_RECEIVED, "DATA-inorder", undefined, (s) => taken(s, "+0 < . R:R+100(100) ack N\n+.04 > . N:N(0) ack R+100", 100));
on(RECEIVING, "DATA-ooo", undefined, (s) => taken(s, `+0 < . R+100:R+200(100) ack A\n${ACK}`, 0));
on(RECEIVING, "DATA-ooo", undefined, (s) => taken(s, "+0 < . R+100:R+200(100) ack A\n+0 > . N:N(0) ack R <sack R+100:R+200>", 0, { syn: "mss 1460,sackOK" }));
on(SYN_RECEIVED, "DATA-ooo", undefined, (s) => taken(s, `+0 < . R+100:R+200(100) ack N\n${ACK}\n+0 < . R:R+100(100) ack N\n+0 > . N:N(0) ack R+200`, 200));
on(RECEIVING, "DATA-fillgap", undefined, (s) =>
  taken(s, `+0 < . R+100:R+200(100) ack A\n${ACK}\n+0 < . R:R+50(50) ack A\n+0 > . N:N(0) ack R+50\n+0 < . R+50:R+100(50) ack A\n+0 > . N:N(0) ack R+200`, 200),
);
on(RECEIVING, "DATA-leftover", undefined, (s) =>
  taken(s, "+0 < . R:R+100(100) ack A\n+.04 > . N:N(0) ack R+100\n+0 < . R+50:R+150(100) ack A\n+.04 > . N:N(0) ack R+150", 150),
);
on(RECEIVING, "DATA-rightover", undefined, (s) =>
  taken(s, "+0 < F. R:R+1100(1100) ack A\n+0 > . N:N(0) ack R+1000", 1_000, { options: { receiveBuffer: 1_000 } }),
);
on(RECEIVING, "DATA-overlap", undefined, (s) =>
  taken(
    s,
    `+0 < . R+100:R+200(100) ack A\n${ACK}\n+0 < . R+50:R+150(100) ack A\n${ACK}\n+0 < . R+150:R+250(100) ack A\n${ACK}\n+0 < . R:R+120(120) ack A\n+0 > . N:N(0) ack R+250`,
    250,
  ),
);
on(RECEIVING, "PSH", undefined, (s) => taken(s, "+0 < P. R:R+10(10) ack A\n+.04 > . N:N(0) ack R+10", 10));
on([FIN_WAIT_1, FIN_WAIT_2], "DATA-halfduplex", undefined, (s) => {
  const peers = ESTABLISHED.make().play("+0 release\n+0 > F. 1:1(0) ack 1", ESTABLISHED.letters);
  if (s === FIN_WAIT_2) peers.play("+0 < . 1:1(0) ack 2\n= FIN-WAIT-2");
  peers.play("+0 < . R:R+10(10) ack A\n+0 > R A:A(0)\n= CLOSED", s.letters);
  expect(peers.heard.at(-1)).toBe("closed abort");
});
on(AFTER_FIN, "DATA", undefined, (s) => {
  const peers = s.make().play(`+0 < . R:R+10(10) ack A\n= ${s.name}`, s.letters);
  expect(peers.taken).toBe(0);
});
// The ACK field of such text counts.
on([CLOSING], "DATA", "TIME-WAIT", "+0 < . R:R+10(10) ack N");
on([LAST_ACK], "DATA", "CLOSED", "+0 < . R:R+10(10) ack N");

// ---- Eighth: FIN ----
const afterFin = (s: StateInfo): string => (s === ESTABLISHED || s === SYN_RECEIVED ? "CLOSE-WAIT" : s === FIN_WAIT_1 ? "CLOSING" : "TIME-WAIT");
on([...RECEIVING, SYN_RECEIVED], "FIN", undefined, (s) => {
  const peers = s.make().play(`+0 < F. R:R(0) ack ${s === SYN_RECEIVED ? "N" : "A"}\n+0 > . N:N(0) ack R+1\n= ${afterFin(s)}`, s.letters);
  expect(peers.heard.filter((h) => h === "ended")).toHaveLength(1);
});
on(FIN_WAIT_2, "FIN", "CLOSED", "+0 < F. R:R(0) ack A\n+0 > . N:N(0) ack R+1\n= TIME-WAIT\n+59.9\n= TIME-WAIT\n+.2");
on(FIN_WAIT_1, "FIN-ackfin", "CLOSED", "+0 < F. R:R(0) ack N\n+0 > . N:N(0) ack R+1\n= TIME-WAIT\n+59.9\n= TIME-WAIT\n+.2");
on(RECEIVING, "FIN-data", undefined, (s) => {
  const peers = s.make().play(`+0 < F. R:R+100(100) ack A\n+0 > . N:N(0) ack R+101\n= ${afterFin(s)}`, s.letters);
  expect(peers.taken).toBe(100);
});
on(RECEIVING, "FIN-ooo", undefined, (s) => {
  const peers = s
    .make()
    .play(`+0 < F. R+100:R+200(100) ack A\n${ACK}\n= ${s.name}\n+0 < . R:R+100(100) ack A\n+0 > . N:N(0) ack R+201\n= ${afterFin(s)}`, s.letters);
  expect(peers.taken).toBe(200);
});
on([...RECEIVING], "FIN-out", "same", `+0 < F. W:W(0) ack A\n${ACK}\n+0 < F. W+50:W+50(0) ack A\n${ACK}`);
on(AFTER_FIN, "FIN-dup", "same", `+0 < F. R-1:R-1(0) ack A\n${ACK}`);
// 2 MSL start again.
on(TIME_WAIT, "FIN-dup", "CLOSED", `+30 < F. R-1:R-1(0) ack A\n${ACK}\n+59.9\n= TIME-WAIT\n+.2`);
on(AFTER_FIN, "FIN-new", "same", `+0 < F. R+5:R+5(0) ack A\n+0 < . R-1:R-1(0) ack A\n${ACK}`);

declare("RFC 9293 §3.10.7.4: segments in the synchronized states and SYN-RECEIVED");
