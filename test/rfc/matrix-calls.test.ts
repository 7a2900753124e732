/** RFC 9293 §3.10.1 to §3.10.6: what each user call does in the states from SYN-RECEIVED on. */
import { expect } from "vitest";
import type { Peer } from "../support/peer.js";
import { declare, on } from "./matrix.js";
import {
  AFTER_FIN,
  CLOSE_WAIT,
  CLOSING,
  ESTABLISHED,
  EVERY,
  FIN_WAIT_1,
  FIN_WAIT_2,
  LAST_ACK,
  LISTEN,
  OTHERWISE,
  RECEIVING,
  SYN_RECEIVED,
  SYN_RECEIVED_ACTIVE,
  SYN_SENT,
  TIME_WAIT,
} from "./states.js";

const openAgain = (p: Peer): void => {
  expect(() => p.stack.connect({ remoteAddress: "10.0.0.1", remotePort: p.conn.remotePort, localPort: p.conn.localPort }, p)).toThrow(/already connected/);
};
on([SYN_SENT, ...OTHERWISE], "OPEN", undefined, (s) => {
  s.make().each(openAgain).play(`= ${s.name}`);
});

// ---- SEND ----
on([ESTABLISHED, CLOSE_WAIT], "SEND", undefined, (s) => {
  s.make().play(`+0 send 100 -> 100\n+0 > P. N:N+100(100) ack R\n= ${s.name}`, s.letters);
  // As window, MSS and silly-window avoidance allow: the peer has room for 80 octets more, which wait.
  s.make({ win: 3_000 }).play(
    "+0 send 4460 -> 4460\n+0 > . N:N+1460(1460) ack R\n+0 > . N+1460:N+2920(1460) ack R\n+.1 < . R:R(0) ack N+2920\n+0 > . N+2920:N+4380(1460) ack R\n+0 > P. N+4380:N+4460(80) ack R",
    s.letters,
  );
  s.make({ options: { sendBuffer: 512 } }).play("+0 send 600 -> 512\n+0 > P. N:N+512(512) ack R\n+0 send 1 -> 0", s.letters);
});
on([ESTABLISHED, CLOSE_WAIT], "SEND-URG", undefined, (s) => {
  s.make().play("+0 urgent 10 -> 10\n+0 > PU. N:N+10(10) ack R urg 10\n+0 < . R:R(0) ack N+10\n+0 send 5 -> 5\n+0 > P. N+10:N+15(5) ack R urg 0", s.letters);
});
on([SYN_SENT, SYN_RECEIVED], "SEND", undefined, (s) => {
  s.make().play(
    `+0 send 10 -> 10\n+.5\n= ${s.name}\n${s === SYN_SENT ? "+0 < S. 0:0(0) ack 1\n+0 > P. 1:11(10) ack 1" : "+0 < . R:R(0) ack N\n+0 > P. 1:11(10) ack 1"}\n= ESTABLISHED`,
    s.letters,
  );
});
on([FIN_WAIT_1, FIN_WAIT_2, CLOSING, LAST_ACK, TIME_WAIT], "SEND", "same", "+0 send 10 -> 0\n+.1");

// ---- RECEIVE ----
on(
  RECEIVING,
  "RECEIVE",
  "same",
  "+0 recv 10 -> 0\n+0 < . R:R+100(100) ack A\n+.04 > . N:N(0) ack R+100\n+0 recv 60 -> 60\n+0 recv 60 -> 40\n+0 recv 60 -> 0",
  (s) => s.make({ reads: false }),
);
// The window opens by the receiver's silly-window rule: not for little, then at once.
on(ESTABLISHED, "RECEIVE", "same", "+0 recv 400 -> 400\n+.1\n+0 recv 200 -> 200\n+0 > . N:N(0) ack 1001 win 600", (s) => s.withShutWindow?.() as never);
on([SYN_SENT, SYN_RECEIVED], "RECEIVE", undefined, (s) => {
  const peers = s.make().play(`+0 recv 10 -> 0\n= ${s.name}`, s.letters);
  peers.play(
    s === SYN_SENT
      ? "+0 < S. 0:0(0) ack 1\n+0 > . 1:1(0) ack 1\n+0 < . 1:11(10) ack 1\n+.04 > . 1:1(0) ack 11"
      : "+0 < . R:R+10(10) ack N\n+.04 > . 1:1(0) ack 11",
    s.letters,
  );
  expect(peers.taken).toBe(10);
});
on(AFTER_FIN, "RECEIVE", undefined, (s) => {
  // Text before the FIN is for the user still, in whatever state the connection is by now (D11).
  const peers = (s === CLOSING || s === TIME_WAIT ? FIN_WAIT_1 : ESTABLISHED)
    .make({ reads: false })
    .play(s === CLOSING || s === TIME_WAIT ? "+0 < F. 1:11(10) ack 1\n+0 > . 2:2(0) ack 12" : "+0 < F. 1:11(10) ack 1\n+0 > . 1:1(0) ack 12");
  if (s === LAST_ACK) peers.play("+0 close\n+0 > F. 1:1(0) ack 12");
  if (s === TIME_WAIT) peers.play("+0 < . 12:12(0) ack 2");
  peers.play(`= ${s.name}\n+0 recv 4 -> 4\n+0 recv 20 -> 6\n+0 recv 1 -> 0\n= ${s.name}`);
  expect(peers.same((p) => p.conn.ended)).toBe(true);
});

// ---- CLOSE ----
on(ESTABLISHED, "CLOSE", undefined, (s) => {
  s.make({ win: 100 }).play(
    "+0 send 150\n+0 > . 1:101(100) ack 1\n+0 close\n= FIN-WAIT-1\n+.1 < . 1:1(0) ack 101\n+0 > FP. 101:151(50) ack 1\n= FIN-WAIT-1",
    s.letters,
  );
});
on(CLOSE_WAIT, "CLOSE", undefined, (s) => {
  s.make({ win: 100 }).play("+0 send 150\n+0 > . 1:101(100) ack 2\n+0 close\n+.1 < . 2:2(0) ack 101\n+0 > FP. 101:151(50) ack 2\n= LAST-ACK", s.letters);
});
on([FIN_WAIT_1, FIN_WAIT_2, CLOSING, LAST_ACK, TIME_WAIT], "CLOSE", "same", "+0 close\n+.1");
on(SYN_SENT, "CLOSE", undefined, (s) => {
  const peers = s.make().play("+0 send 10\n+0 close\n= CLOSED\n+9", s.letters);
  expect(peers.heard).toEqual(["closed local"]);
});
on(SYN_RECEIVED_ACTIVE, "CLOSE-queued", undefined, (s) => {
  s.make().play("+0 send 10 -> 10\n+0 close\n= SYN-RECEIVED\n+0 < . 1:1(0) ack 1\n+0 > FP. 1:11(10) ack 1\n= FIN-WAIT-1", s.letters);
});
on(ESTABLISHED, "CLOSE-unread", undefined, (s) => {
  const peers = s
    .make({ reads: false })
    .play("+0 < . R:R+100(100) ack A\n+.04 > . N:N(0) ack R+100\n+0 release\n+0 > R. N:N(0) ack R+100\n= CLOSED", s.letters);
  expect(peers.heard.at(-1)).toBe("closed abort");
});
on(LISTEN, "CLOSE", undefined, (s) => {
  const peers = s.make().each((p) => {
    p.listener?.close();
    p.listener = undefined;
    p.turn();
  });
  peers.play("= CLOSED\n+0 < S 5:5(0)\n+0 > R. Z:Z(0) ack 6", s.letters);
});

// ---- ABORT ----
on([ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, CLOSE_WAIT, SYN_RECEIVED_ACTIVE], "ABORT", undefined, (s) => {
  const peers = s.make({ reads: false }).play("+0 abort\n+0 > R. N:N(0) ack R\n= CLOSED\n+0 send 1 -> 0\n+9", s.letters);
  expect(peers.heard.at(-1)).toBe("closed abort");
  expect(peers.same((p) => [p.stack.nextTimeout(), p.stack.counters.pagesUsed, p.stack.counters.connections])).toEqual([Infinity, 0, 0]);
});
on(SYN_RECEIVED, "ABORT", "LISTEN", "+0 abort\n+0 > R. N:N(0) ack R");
on([SYN_SENT, CLOSING, LAST_ACK, TIME_WAIT], "ABORT", undefined, (s) => {
  const peers = s.make().play("+0 abort\n= CLOSED\n+9", s.letters);
  // In TIME-WAIT the user's part was over before.
  expect(peers.heard.at(-1)).toBe(s === TIME_WAIT ? "closed local" : "closed abort");
  expect(peers.same((p) => p.stack.nextTimeout())).toBe(Infinity);
});

// ---- STATUS ----
on(
  EVERY.filter((s) => s.id !== "CLS" && s.id !== "LIS"),
  "STATUS",
  undefined,
  (s) => {
    s.make().play(`+0 status -> ${s.name}`);
  },
);

declare("RFC 9293 §3.10.1 to §3.10.6: user calls");
