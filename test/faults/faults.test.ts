/** What each fault does to the segments of a connection, in virtual time. Both ISNs lie just before a wrap. */
import { describe, expect, test } from "vitest";
import type { ConnectionNumbers } from "../../src/faults/rule.js";
import { checksumOk, Wire } from "./wire.js";

const acts = (w: Wire): string[] => w.events.map((e) => (e.kind === "fault" ? `${e.fault} ${e.act}` : ""));

describe("which segment", () => {
  test("classes: each segment of a whole connection is known for what it is", () => {
    const seen: string[] = [];
    const kinds = ["syn", "synack", "ack3", "data", "fin", "finack", "lastack", "rst", "dupack", "probe", "keepalive", "rexmit"];
    const script = `
      in S 0:0
      in S 0:0
      out S. 0:0 ack 1
      in . 1:1 ack 1
      in P. 1:11 ack 1
      out . 1:1 ack 11
      out P. 1:101 ack 11
      out P. 101:201 ack 11
      in . 11:11 ack 101
      in . 11:11 ack 101
      out P. 101:201 ack 11
      in . 11:11 ack 201 win 0
      out . 200:200 ack 11
      in . 11:11 ack 201 win 0
      out P. 201:202 ack 11
      in . 11:11 ack 202 win 1000
      out . 201:201 ack 11
      in F. 11:11 ack 202
      out . 202:202 ack 12
      out F. 202:202 ack 12
      in . 12:12 ack 203
      in R 12:12`;
    const w = new Wire(kinds.map((k) => `as ${k} match ${k} set urgent 0`).join(";"));
    for (const line of script.trim().split("\n")) {
      const before = w.events.length;
      w.say(line);
      seen.push(
        `${line.trim()} = ${w.events
          .slice(before)
          .map((e) => (e.kind === "fault" ? e.fault : ""))
          .join(" ")}`,
      );
    }
    expect(seen).toEqual([
      "in S 0:0 = syn",
      "in S 0:0 = syn rexmit",
      "out S. 0:0 ack 1 = synack",
      "in . 1:1 ack 1 = ack3",
      "in P. 1:11 ack 1 = data",
      "out . 1:1 ack 11 = ",
      "out P. 1:101 ack 11 = data",
      "out P. 101:201 ack 11 = data",
      "in . 11:11 ack 101 = ",
      "in . 11:11 ack 101 = dupack",
      "out P. 101:201 ack 11 = data rexmit",
      "in . 11:11 ack 201 win 0 = ",
      "out . 200:200 ack 11 = probe",
      "in . 11:11 ack 201 win 0 = ",
      "out P. 201:202 ack 11 = probe",
      "in . 11:11 ack 202 win 1000 = ",
      "out . 201:201 ack 11 = keepalive",
      "in F. 11:11 ack 202 = fin",
      "out . 202:202 ack 12 = finack",
      "out F. 202:202 ack 12 = fin finack",
      "in . 12:12 ack 203 = finack lastack",
      "in R 12:12 = rst",
    ]);
  });
  test("nth counts for each connection alone", () => {
    const w = new Wire("port 80 synack nth 1,2 drop");
    for (const port of [40_000, 40_001]) {
      w.port = port;
      expect(w.say("in S 0:0\nout S. 0:0 ack 1\nout S. 0:0 ack 1\nout S. 0:0 ack 1")).toEqual(["in S 0:0", "out S. 0:0 ack 1"]);
    }
    expect(w.faults.list()[0]).toMatchObject({ id: "f1", hits: 4, spec: "port 80 match synack nth 1,2 drop" });
    expect(acts(w)).toEqual(["f1 drop", "f1 drop", "f1 drop", "f1 drop"]);
  });
  test("every, times, len, flags, has, source, source-port", () => {
    const data = "in P. 1:11 ack 1\nin P. 11:21 ack 1\nin P. 21:31 ack 1\nin P. 31:41 ack 1";
    expect(new Wire("in data every 2 drop").shake().say(data)).toEqual(["in P. 1:11 ack 1", "in P. 21:31 ack 1"]);
    expect(new Wire("in data times 3 drop").shake().say(data)).toEqual(["in P. 31:41 ack 1"]);
    expect(new Wire("len >9 drop").shake().say(data)).toEqual([]);
    expect(new Wire("len >10 drop").shake().say(data)).toHaveLength(4);
    expect(new Wire("flags . drop").shake().say("in P. 1:2 ack 1\nin . 2:2 ack 1")).toEqual(["in P. 1:2 ack 1"]);
    expect(new Wire("has P drop").shake().say("in P. 1:2 ack 1\nin . 2:2 ack 1")).toEqual(["in . 2:2 ack 1"]);
    expect(new Wire("source 10.77.0.0/31 drop").say("in S 0:0")).toEqual([]);
    expect(new Wire("source 10.77.0.4 drop").say("in S 0:0")).toHaveLength(1);
    expect(new Wire("source-port 40000-40001 drop").say("in S 0:0")).toEqual([]);
    expect(new Wire("port 81 drop").say("in S 0:0")).toHaveLength(1);
  });
  test("byte N begins exactly there, and a range ends exactly there", () => {
    expect(new Wire("out byte 50 drop").shake().say("out P. 1:101 ack 1")).toEqual(["out . 1:51 ack 1"]);
    expect(new Wire("out byte 10..19 drop").shake().say("out FP. 1:101 ack 1")).toEqual(["out . 1:11 ack 1", "out FP. 21:101 ack 1"]);
    expect(new Wire("out byte 200.. drop").shake().say("out P. 1:101 ack 1\nout P. 101:301 ack 1\nout P. 301:401 ack 1")).toEqual([
      "out P. 1:101 ack 1",
      "out . 101:201 ack 1",
    ]);
  });
  test("octets are counted beyond the 4 GiB at which sequence numbers come round", () => {
    const w = new Wire("out byte 100 set urgent 1 then out byte 5_000_000_000 drop").shake();
    const G = 2 ** 30;
    const sent = [1, G, 2 * G, 3 * G, 4 * G, 4 * G + 91, 5_000_000_001].map((from) => w.say(`out . ${from}:${from + 10} ack 1`).length);
    expect(sent).toEqual([1, 1, 1, 1, 1, 1, 0]);
    expect(acts(w)).toEqual(["f2 drop"]);
    expect(new Wire("out byte 4294967396 drop").shake().say("out . 101:111 ack 1")).toHaveLength(1);
  });
  test("time since the connection began, and for how long the fault lives", () => {
    expect(new Wire("data time 2s.. drop").shake().say("in P. 1:2 ack 1\n+1999\nin P. 2:3 ack 1\n+2\nin P. 3:4 ack 1")).toEqual([
      "in P. 1:2 ack 1",
      "in P. 2:3 ack 1",
    ]);
    expect(new Wire("data for 1s drop").shake().say("in P. 1:2 ack 1\n+1001\nin P. 2:3 ack 1")).toEqual(["in P. 2:3 ack 1"]);
  });
  test("state and conn ask our stack; without an answer they mean nothing", () => {
    let state: "ESTABLISHED" | "FIN-WAIT-1" = "ESTABLISHED";
    const w = new Wire("state fin_wait1 conn 7 drop", { find: () => ({ id: 7, state }) });
    expect(w.shake().say("in . 1:1 ack 1")).toHaveLength(1);
    state = "FIN-WAIT-1";
    expect(w.say("in . 1:1 ack 1")).toHaveLength(0);
    expect(new Wire("state ESTAB drop").shake().say("in . 1:1 ack 1")).toHaveLength(1);
  });
  describe("a connection older than the fault is taken up as our stack knows it", () => {
    const at = (n: number): number => 0xffff_fff0 + n;
    const older: ConnectionNumbers = {
      iss: at(0),
      irs: 0x7fff_fff0,
      sndUna: at(51),
      sndNxt: at(51),
      rcvNxt: 0x7fff_fff0 + 11,
      sndWnd: 1000,
      rcvWnd: 1000,
      scales: undefined,
      finSent: false,
      finReceived: false,
      bornAt: -5000,
    };
    const wire = (fault: string, known: Partial<ConnectionNumbers> = {}): Wire => {
      const w = new Wire("", { find: () => ({ id: 1, state: "ESTABLISHED", numbers: { ...older, ...known } }) });
      w.faults.add(fault);
      return w;
    };
    test("octets", () => {
      expect(wire("out byte 100 rst").say("out P. 51:151 ack 11")).toEqual(["out . 51:101 ack 11", "out R. 101:101 ack 11", "in R. 11:11 ack 151"]);
      expect(wire("in byte 15.. drop").say("in P. 11:21 ack 51")).toEqual(["in . 11:16 ack 51"]);
    });
    test.each([
      ["keepalive", "in . 10:10 ack 51", {}],
      ["keepalive", "out . 50:50 ack 11", {}],
      ["probe", "in . 10:10 ack 51", { rcvWnd: 0 }],
      ["probe", "out . 50:50 ack 11", { sndWnd: 0 }],
      ["rexmit", "in P. 1:11 ack 51", {}],
      ["finack", "in . 11:11 ack 51", { finSent: true }],
      ["finack", "out . 51:51 ack 11", { finReceived: true }],
      ["lastack", "in . 11:11 ack 51", { finSent: true, finReceived: true }],
      ["time 5s..", "in . 11:11 ack 51", {}],
    ])("its very first segment is known for %s: %s", (kind, segment, known) => {
      expect(wire(`${kind} drop`, known).say(segment)).toEqual([]);
      expect(wire(`${kind} drop`).say("in P. 11:12 ack 51").length).toBe(kind.startsWith("time") ? 0 : 1);
    });
    test("what our stack sends for the first time is no retransmission, though it counts it as sent", () => {
      expect(wire("rexmit drop", { sndNxt: at(151) }).say("out . 51:101 ack 11\nout P. 101:151 ack 11\nout . 51:101 ack 11")).toHaveLength(2);
    });
    test("what it had sent before the fault came is one, when it is sent again", () => {
      const w = wire("out rexmit drop");
      w.say("in . 11:11 ack 1");
      expect(w.say("out P. 1:51 ack 11\nout . 51:61 ack 11")).toEqual(["out . 51:61 ack 11"]);
    });
    test("windows are scaled as the handshake had it", () => {
      const w = wire("set window 4000", { scales: { snd: 2, rcv: 5 } });
      w.say("in . 11:11 ack 51\nout . 51:51 ack 11");
      expect(w.frames.map(({ frame }) => new DataView(frame.bytes.buffer, frame.bytes.byteOffset).getUint16(34))).toEqual([1000, 125]);
    });
  });
  test("a super-segment is cut into what it stands for, of concerned connections only", () => {
    expect(new Wire("out data nth 2 drop").shake().say("out P. 1:3001 ack 1 gso 1000")).toEqual(["out . 1:1001 ack 1", "out P. 2001:3001 ack 1"]);
    const other = new Wire("port 81 drop").shake();
    other.say("out P. 1:3001 ack 1 gso 1000");
    expect(other.frames.at(-1)?.frame.gsoSize).toBe(1000);
  });
});

describe("what happens to it", () => {
  test("delay with jitter comes later and in order", () => {
    const w = new Wire("in data delay 200ms jitter 150ms").shake();
    expect(w.say("in P. 1:2 ack 1\nin P. 2:3 ack 1\nin P. 3:4 ack 1\n+49")).toEqual([]);
    expect(w.say("+400")).toEqual(["in P. 1:2 ack 1", "in P. 2:3 ack 1", "in P. 3:4 ack 1"]);
  });
  test("duplicate, split, truncate", () => {
    expect(new Wire("in data duplicate 2").shake().say("in P. 1:2 ack 1")).toEqual(["in P. 1:2 ack 1", "in P. 1:2 ack 1", "in P. 1:2 ack 1"]);
    expect(new Wire("out data split 2").shake().say("out FP. 1:6 ack 1")).toEqual(["out . 1:3 ack 1", "out . 3:5 ack 1", "out FP. 5:6 ack 1"]);
    expect(new Wire("out data truncate 2").shake().say("out P. 1:6 ack 1")).toEqual(["out . 1:3 ack 1"]);
  });
  test("reorder lets the next one overtake, or gives up waiting", () => {
    expect(new Wire("in data nth 1 reorder").shake().say("in P. 1:2 ack 1\nin P. 2:3 ack 1")).toEqual(["in P. 2:3 ack 1", "in P. 1:2 ack 1"]);
    expect(new Wire("in data nth 1 reorder 2").shake().say("in P. 1:2 ack 1\nin P. 2:3 ack 1\nin P. 3:4 ack 1")).toEqual([
      "in P. 2:3 ack 1",
      "in P. 3:4 ack 1",
      "in P. 1:2 ack 1",
    ]);
    expect(new Wire("in data nth 1 reorder within 30ms").shake().say("in P. 1:2 ack 1\n+31")).toEqual(["in P. 1:2 ack 1"]);
  });
  test("corrupt and badsum fail the checksum, mangle does not, also where the device would complete it", () => {
    const bad = /BADSUM$/;
    expect(new Wire("in data corrupt 3").shake().say("in P. 1:9 ack 1")[0]).toMatch(bad);
    expect(new Wire("out synack badsum").say("out S. 0:0 ack 1")[0]).toMatch(bad);
    const w = new Wire("in data mangle 1").shake();
    expect(w.say("in P. 1:9 ack 1")).toEqual(["in P. 1:9 ack 1"]);
    const text = Buffer.from(w.frames.at(-1)?.frame.bytes.slice(-8) ?? []).toString("latin1");
    expect(text).not.toBe("BCDEFGHI");
    for (const spec of ["badsum", "corrupt"]) {
      const partial = new Wire(spec).shake();
      const frame = partial.make("in", 24, 1, 10, 1, 1000);
      frame.partial = true;
      partial.faults.incoming(frame);
      expect(partial.log.at(-1)).toMatch(bad);
    }
  });
  test.each(["badsum", "corrupt 3"])("after %s the checksum stays wrong, whatever later faults alter, cut or number anew", (spoil) => {
    for (const later of ["set ttl 9", "mangle 1", "truncate 4", "split 4", "delay 1ms then set window 0", "badsum"]) {
      const w = new Wire(`out isn 100 then out data ${spoil} then out data ${later}`).shake();
      w.say("out P. 1:9 ack 1\n+2");
      expect(w.log.length, later).toBeGreaterThan(0);
      for (const line of w.log) expect(line, later).toMatch(/BADSUM$/);
    }
  });
  test("set: window (scaled), ack, seq, ttl, mss", () => {
    const w = new Wire("out set window 400 then out set ack +1000 then out data set seq -1 then set ttl 3 then syn set mss 100");
    w.say("in S 0:0\nout S. 0:0 ack 1\nin . 1:1 ack 1\nout P. 1:2 ack 1");
    expect(w.log).toEqual(["in S 0:0", "out S. 0:0 ack 1001", "in . 1:1 ack 1", "out P. 0:1 ack 1001"]);
    const words = w.frames.map(({ frame }) => ({
      window: ((frame.bytes[34] as number) << 8) | (frame.bytes[35] as number),
      ttl: frame.bytes[8],
      mss: frame.bytes[43],
    }));
    expect(words.map((x) => x.window)).toEqual([1000, 400, 1000, 100]);
    expect(words.every((x) => x.ttl === 3)).toBe(true);
    expect(words[0]?.mss).toBe(100);
  });
  test("hold keeps until released, and is open from then on", () => {
    const w = new Wire("in fin hold").shake();
    expect(w.say("in F. 1:1 ack 1\nin . 2:2 ack 1")).toEqual(["in . 2:2 ack 1"]);
    expect(w.faults.list()[0]?.held).toBe(1);
    expect(w.faults.release()).toBe(1);
    expect(w.log.at(-1)).toBe("in F. 1:1 ack 1");
    expect(w.say("in F. 1:1 ack 1")).toHaveLength(1);
  });
  test("hold for a time; removing a fault lets go what it holds", () => {
    expect(new Wire("in fin hold 1s").shake().say("in F. 1:1 ack 1\n+999\nin . 2:2 ack 1\n+2")).toEqual(["in . 2:2 ack 1", "in F. 1:1 ack 1"]);
    const w = new Wire("as keep in fin hold").shake();
    w.say("in F. 1:1 ack 1");
    expect(w.faults.remove("keep")).toBe(true);
    expect(w.faults.remove("keep")).toBe(false);
    expect(w.log.at(-1)).toBe("in F. 1:1 ack 1");
  });
  test("rate: octets leave at that pace, the queue is bounded", () => {
    const w = new Wire("out data rate 8kbit queue 2").shake(); // 1000 octets a second
    expect(w.say("out P. 1:961 ack 1\nout P. 961:1921 ack 1\nout P. 1921:2881 ack 1\n+999")).toEqual([]);
    expect(w.say("+2")).toEqual(["out P. 1:961 ack 1"]);
    expect(w.say("+1000")).toEqual(["out P. 961:1921 ack 1"]);
    expect(w.say("+5000")).toEqual([]);
    expect(acts(w)).toEqual(["f1 rate", "f1 rate", "f1 drop"]);
  });
  test("rst in mid-stream sits at the peer's RCV.NXT, tells our stack too, and cuts the connection", () => {
    const w = new Wire("out byte 50 rst").shake();
    expect(w.say("in P. 1:11 ack 1\nout P. 1:101 ack 11\nin . 11:11 ack 51\nout P. 51:101 ack 11")).toEqual([
      "in P. 1:11 ack 1",
      "out . 1:51 ack 11",
      "out R. 51:51 ack 11",
      "in R. 11:11 ack 101",
    ]);
  });
  test.each(["rst", "fin"])("after %s what either end still says is gone without an act of its own: one event, one hit", (action) => {
    const w = new Wire(`out byte 50 ${action}`).shake();
    w.say("out P. 1:101 ack 1\nout P. 101:201 ack 1\nin . 1:1 ack 51");
    expect(acts(w)).toEqual([`f1 ${action}`]);
    expect(w.faults.list()[0]?.hits).toBe(1);
  });
  test("rst at an octet waits until all octets before it have arrived, and sits behind what arrived out of order", () => {
    const w = new Wire("out data nth 1 drop then out byte 300 rst").shake();
    expect(w.say("out . 1:101 ack 1\nout . 101:201 ack 1\nout . 201:301 ack 1\nout . 301:401 ack 1")).toEqual(["out . 101:201 ack 1", "out . 201:301 ack 1"]);
    expect(w.say("out . 1:101 ack 1\nout . 301:401 ack 1")).toEqual(["out . 1:101 ack 1", "out R. 301:301 ack 1", "in R. 1:1 ack 401"]);
  });
  test("rst to a SYN acknowledges it (RFC 9293 §3.10.7.1) and our stack hears nothing", () => {
    const w = new Wire("syn rst");
    expect(w.say("in S 0:0")).toEqual([expect.stringMatching(/^out R\. -?\d+:-?\d+ ack 1$/)]);
    expect(w.events).toMatchObject([{ detail: "in S 0:0(0): an RST to the peer" }]);
  });
  test("fin: the peer sees the end of the stream and can close in peace", () => {
    const w = new Wire("out byte 50 fin").shake();
    expect(w.say("out P. 1:101 ack 1\nin . 1:1 ack 52\nin F. 1:1 ack 52\nin R 2:2")).toEqual([
      "out . 1:51 ack 1",
      "out F. 51:51 ack 1",
      "in R. 1:1 ack 101",
      "out . 52:52 ack 2",
    ]);
  });
  test("blackhole swallows both ways from the first match; without the fault the path is back", () => {
    const w = new Wire("out byte 100.. blackhole").shake();
    expect(w.say("out P. 1:101 ack 1\nout P. 101:201 ack 1\nin . 1:1 ack 101\nout . 1:1 ack 1")).toEqual(["out P. 1:101 ack 1"]);
    w.faults.clear();
    expect(w.say("in . 1:1 ack 101")).toHaveLength(1);
  });
  test("isn: the peer sees other numbers than our stack, both ways, SACK included", () => {
    const w = new Wire("out isn 100 then out byte 30 rst");
    w.say("in S 0:0\nout S. 0:0 ack 1");
    const raw = (i: number): number => {
      const b = w.frames[i]?.frame.bytes as Uint8Array;
      return new DataView(b.buffer, b.byteOffset).getUint32(24);
    };
    expect(raw(1)).toBe(100);
    const ack = w.make("in", 16, 1, 0, 1, 1000);
    new DataView(ack.bytes.buffer).setUint32(28, 101);
    ack.seal();
    w.faults.incoming(ack);
    expect(w.log.at(-1)).toBe("in . 1:1 ack 1");
    w.say("out P. 1:11 ack 1\nout P. 1:11 ack 1");
    expect([raw(3), raw(4)]).toEqual([101, 101]);
    w.say("out P. 11:61 ack 1");
    expect([raw(5), raw(6)]).toEqual([111, 131]);
    expect(w.log.at(-1)).toBe("in R. 1:1 ack 61");
    expect(w.frames.every(({ frame }) => checksumOk(frame))).toBe(true);
  });
  test("icmp answers in the name of the other end and quotes the segment", () => {
    const w = new Wire("syn icmp host");
    expect(w.say("in S 0:0")).toEqual(["out icmp 3/1"]);
    const b = w.frames[0]?.frame.bytes as Uint8Array;
    expect([...b.slice(12, 20)]).toEqual([10, 77, 0, 2, 10, 77, 0, 1]);
    expect([...b.slice(48, 52)]).toEqual([0x9c, 0x40, 0, 80]);
  });
});

describe("together", () => {
  test("faults compose in their order and each says what it did", () => {
    const w = new Wire("port 80: synack nth 1,2 drop; data loss 5%; out byte 100000 rst");
    w.say("in S 0:0\nout S. 0:0 ack 1\n+1000\nout S. 0:0 ack 1\n+2000\nout S. 0:0 ack 1\nin . 1:1 ack 1\nin P. 1:101 ack 1");
    for (let at = 1; at < 120_000 && !w.log.some((l) => l.startsWith("out R")); at += 1000) {
      while (w.say(`out P. ${at}:${at + 1000} ack 101`).length === 0);
    }
    const [syn, loss, rst] = w.faults.list();
    expect(syn?.hits).toBe(2);
    expect(loss?.hits).toBeGreaterThan(1);
    expect(loss?.hits).toBeLessThan(20);
    expect(rst?.hits).toBe(1);
    const told = w.events.map((e) => (e.kind === "fault" ? `${e.fault} ${e.act} ${e.conn?.remote} ${e.detail}` : ""));
    expect(told.slice(0, 2)).toEqual(Array.from({ length: 2 }, () => "f1 drop 10.77.0.1:40000 out S. 0:0(0) ack 1"));
    for (const line of told.slice(2, -1)) expect(line).toMatch(/^f2 drop 10\.77\.0\.1:40000 out P\. \d+:\d+\(1000\) ack 101: loss 5%$/);
    // 100001 counts the SYN, as sequence numbers do; the octet does not.
    expect(told.at(-1)).toBe("f3 rst 10.77.0.1:40000 out P. 100001:101001(1000) ack 101: at octet 100000, an RST to each end");
  });
  test("the same seed repeats the run, another one does not", () => {
    const run = (seed: number): string[] => {
      const w = new Wire("loss 30% then burst 10% 30% then delay 10ms jitter 9ms", { seed });
      for (let i = 1; i < 200; i++) w.say(`in P. ${i}:${i + 1} ack 1\n+1`);
      return w.pass(100).log;
    };
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
  });
  test("uniform loss loses its share, Gilbert-Elliott loses in bursts", () => {
    const lost = (spec: string): number[] => {
      const w = new Wire(spec);
      const out: number[] = [];
      for (let i = 1; i <= 4000; i++) if (w.say(`in P. ${i}:${i + 1} ack 1`).length === 0) out.push(i);
      return out;
    };
    const uniform = lost("loss 10%"),
      burst = lost("burst 1% 25%");
    expect(uniform.length / 4000).toBeCloseTo(0.1, 1);
    const runs = (l: number[]): number => l.filter((n, i) => l[i - 1] !== n - 1).length;
    // Mean burst length is 1 / 25 % = 4 segments; of uniform loss 1 / 90 % = 1.1.
    expect(burst.length / runs(burst)).toBeGreaterThan(2.5);
    expect(uniform.length / runs(uniform)).toBeLessThan(1.4);
  });
  test("what is not a whole TCP segment passes untouched", () => {
    const w = new Wire("drop");
    const f = w.make("in", 2, 0, 0, 0, 0);
    f.bytes[6] = 0x20; // more fragments
    w.faults.incoming(f);
    const short = w.make("in", 2, 0, 0, 0, 0);
    short.length = 30;
    w.faults.incoming(short);
    expect(w.log).toEqual(["in other", "in other"]);
  });
  test("the first rule wakes the device, the last one gone lets it sleep", () => {
    const w = new Wire();
    const calls: boolean[] = [];
    w.faults.onActive = (a) => void calls.push(a);
    w.faults.add("drop");
    w.faults.add("as b drop");
    expect(() => w.faults.add("as b drop")).toThrow(/already/);
    expect(w.faults.clear()).toBe(2);
    expect(calls).toEqual([true, false]);
  });
});
