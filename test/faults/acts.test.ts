/** What each act tells, what it leaves of a segment, and that nothing else is touched. In virtual time, as in faults.test.ts. */
import { describe, expect, test } from "vitest";
import { fold, sumHeader } from "../../src/wire/checksum.js";
import type { Frame } from "../../src/device/frame.js";
import { checksumOk, SERVER_ISN, Wire } from "./wire.js";

const told = (w: Wire): string[] => w.events.map((e) => (e.kind === "fault" ? `${e.act} ${e.detail}` : ""));
const word = (w: Wire, frame: number, at: number): number => {
  const b = w.frames.at(frame)?.frame.bytes as Uint8Array;
  return ((b[at] as number) << 8) | (b[at + 1] as number);
};
const text = (w: Wire, frame: number): string => {
  const b = w.frames.at(frame)?.frame.bytes as Uint8Array;
  return Buffer.from(b.subarray(20 + ((b[32] as number) >> 4) * 4)).toString("latin1");
};

describe("every act is one event with its words, and one hit", () => {
  const DATA = "in P. 1:9 ack 1",
    S = "in P. 1:9(8) ack 1";
  test.each([
    ["in data drop", DATA, `drop ${S}`],
    ["in data loss 100%", DATA, `drop ${S}: loss 100%`],
    ["in data burst 100% 0%", DATA, `drop ${S}: burst`],
    ["in data burst 0% 100% 0% 100%", DATA, `drop ${S}: loss`],
    ["in data delay 200ms", DATA, `delay ${S}: 200ms`],
    ["in data duplicate 2", DATA, `duplicate ${S}: 2 more`],
    ["in data reorder 3", DATA, `reorder ${S}: behind the next 3`],
    ["in data corrupt 3", DATA, `corrupt ${S}: 3 bits`],
    ["in data mangle 1", DATA, `mangle ${S}: 1 bits, checksum mended`],
    ["in data badsum", DATA, `badsum ${S}`],
    ["in data truncate 2", DATA, `truncate ${S}: to 2 octets`],
    ["in data split 3", DATA, `split ${S}: into 3`],
    ["in data set window +7", DATA, `set ${S}: window +7`],
    ["in data set window -7", DATA, `set ${S}: window -7`],
    ["in data set window 7", DATA, `set ${S}: window 7`],
    ["in data hold", DATA, `hold ${S}: until released`],
    ["in data hold 2s", DATA, `hold ${S}: 2s`],
    ["in data rate 8kbit", DATA, `rate ${S}: ${((20 + 20 + 8) * 8000) / 8000}ms`],
    ["in data icmp port", DATA, `icmp ${S}: port`],
    ["in data rst", DATA, `rst ${S}: an RST to each end`],
    ["in data fin", DATA, `fin ${S}: a FIN to the peer, an RST to our end, and a stand-in acknowledges what the peer still says`],
    ["in data blackhole", DATA, `blackhole ${S}`],
    ["in byte 4 rst", DATA, "rst in P. 5:9(4) ack 1: at octet 4, an RST to each end"],
  ])("%s", (spec, script, event) => {
    const w = new Wire(spec).shake();
    w.say(script);
    expect(told(w)).toEqual([event]);
    expect(w.faults.list()[0]).toMatchObject({ id: "f1", hits: 1, lastHitMs: 0 });
  });
  test("isn, as a number; and the connection by its number in our stack", () => {
    const w = new Wire("out isn 0xfffffff0", { find: () => ({ id: 12, state: "SYN-RECEIVED" }) });
    w.say("in S 0:0\nout S. 0:0 ack 1");
    expect(w.events).toMatchObject([
      { act: "isn", detail: "out S. 0:0(0) ack 1: 4294967280", conn: { id: 12, local: "10.77.0.2:80", remote: "10.77.0.1:40000" } },
    ]);
  });
  test("what a blackhole swallows later is an act as well; when it last acted is told", () => {
    const w = new Wire("in data blackhole").shake();
    w.say("in P. 1:2 ack 1\n+500\nout . 1:1 ack 1\n+70");
    expect(told(w)).toEqual(["blackhole in P. 1:2(1) ack 1", "blackhole out . 1:1(0) ack 1"]);
    expect(w.faults.list()[0]).toMatchObject({ hits: 2, ageMs: 570, lastHitMs: 70 });
  });
  test("an octet whose forerunners are missing waits, and that is told", () => {
    const w = new Wire("out byte 300 rst").shake();
    w.say("out . 1:101 ack 1\nout . 201:401 ack 1");
    expect(told(w)).toEqual(["drop out . 301:401(100) ack 1: octets before it are missing"]);
  });
});

describe("what it does not concern passes without an act", () => {
  test.each([
    ["truncate 8", "in P. 1:9 ack 1"],
    ["split 8", "in P. 1:9 ack 1"],
    ["mangle 1", "in . 1:1 ack 1"],
    ["set mss 100", "in P. 1:9 ack 1"],
    ["isn 7", "in P. 1:9 ack 1"],
    ["conn 8 drop", "in P. 1:9 ack 1"],
    ["source-port 50000.. drop", "in P. 1:9 ack 1"],
    ["has PS drop", "in P. 1:9 ack 1"],
    ["ack drop", "in P. 1:9 ack 1"],
    ["byte 0 drop", "in . 1:1 ack 1"],
    ["blackhole after 10kB", "in P. 1:9 ack 1"],
  ])("%s", (spec, segment) => {
    const w = new Wire("in fin drop", { find: () => ({ id: 7, state: "ESTABLISHED" }) }).shake();
    w.faults.add(spec);
    expect(w.say(segment)).toEqual([segment]);
    expect(w.events).toEqual([]);
  });
  test("a kind: ack means the pure ACK", () => expect(new Wire("ack drop").shake().say("in . 1:1 ack 1")).toEqual([]));
});

describe("what is left of a segment", () => {
  test("pieces hold the right octets, and the first keeps a SYN", () => {
    const w = new Wire("out data split 3").shake();
    w.say("out P. 1:9 ack 1");
    expect([-3, -2, -1].map((i) => text(w, i))).toEqual(["BCD", "EFG", "HI"]);
    const cut = new Wire("out byte 2..4 drop").shake();
    cut.say("out P. 1:9 ack 1");
    expect([-2, -1].map((i) => text(cut, i))).toEqual(["BC", "GHI"]);
    const syn = new Wire("out split 2");
    expect(syn.say("in S 0:0\nout S. 0:4 ack 1")).toEqual(["in S 0:0", "out S. 0:2 ack 1", "out . 3:5 ack 1"]);
  });
  test("corrupt without text flips the sequence number; mangle changes exactly so many bits of the text", () => {
    const ack = new Wire("in ack corrupt 1").shake();
    ack.say("in . 1:1 ack 1");
    expect(ack.log).toEqual([expect.stringMatching(/^in \. (?!1:).* BADSUM$/)]);
    const w = new Wire("in data mangle 5").shake();
    w.say("in P. 1:9 ack 1");
    const flipped = [...Buffer.from(text(w, -1), "latin1")]
      .map((octet, i) => octet ^ (66 + i))
      .reduce((n, x) => n + x.toString(2).replaceAll("0", "").length, 0);
    expect(flipped).toBe(5);
  });
  test("set urgent and ttl; out of range is at the end of the range", () => {
    const w = new Wire("set urgent 9 then set ttl +999").shake();
    w.say("in P. 1:9 ack 1");
    expect([word(w, -1, 38), word(w, -1, 8) >> 8]).toEqual([9, 255]);
  });
  test("a super-segment meets chance piece by piece, and a spoiled one is never sent as one", () => {
    const w = new Wire("out data loss 50%").shake();
    const left = w.say("out P. 1:20001 ack 1 gso 1000").length;
    expect(left).toBeGreaterThan(3);
    expect(left).toBeLessThan(17);
    for (const spec of ["badsum", "corrupt"]) {
      const spoiled = new Wire(`out data ${spec}`).shake();
      spoiled.say("out P. 1:3001 ack 1 gso 1000");
      expect(spoiled.frames.slice(-3).map(({ frame }) => [frame.gsoSize, frame.partial, checksumOk(frame)])).toEqual(Array(3).fill([0, false, false]));
    }
  });
  test("what we say in another's name is whole: ports, window, checksums, and the MTU in ICMP", () => {
    const w = new Wire("in data fin").shake();
    w.say("in P. 1:9 ack 1");
    const [fin, rst] = [w.frames.at(-2), w.frames.at(-1)];
    expect([fin?.direction, word(w, -2, 20), word(w, -2, 22), word(w, -2, 34)]).toEqual(["out", 80, 40_000, 0xffff]);
    expect([rst?.direction, word(w, -1, 20), word(w, -1, 22)]).toEqual(["in", 40_000, 80]);
    for (const { frame } of w.frames) expect(checksumOk(frame)).toBe(true);
    const icmp = new Wire("in data icmp frag 1280").shake();
    expect(icmp.say("in P. 1:9 ack 1")).toEqual(["out icmp 3/4"]);
    expect(word(icmp, -1, 26)).toBe(1280);
    const b = icmp.frames.at(-1)?.frame.bytes as Uint8Array;
    expect(fold(sumHeader(b, 20, b.length - 20, 0))).toBe(0xffff);
  });
});

test("another ISN moves what the peer acknowledges selectively (RFC 2018) as well", () => {
  const edges = (w: Wire): number[] => {
    const bytes = w.frames.at(-1)?.frame.bytes as Uint8Array;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return [view.getUint32(28), view.getUint32(44), view.getUint32(48)];
  };
  const segment = "in . 1:1 ack 101 sack 201-301";
  const plain = new Wire("in fin drop");
  plain.shake().say(segment);
  const w = new Wire(`out isn ${(SERVER_ISN + 5000) >>> 0}`);
  w.say("in S 0:0\nout S. 0:0 ack 1");
  w.say(segment);
  expect(edges(w)).toEqual(edges(plain).map((n) => (n - 5000) >>> 0));
  expect(checksumOk(w.frames.at(-1)?.frame as Frame)).toBe(true);
});

describe("timestamps (RFC 7323)", () => {
  const options = (w: Wire, frame: number): string => {
    const bytes = w.frames.at(frame)?.frame.bytes as Uint8Array;
    return Buffer.from(bytes.slice(40)).toString("hex");
  };
  const finish = (stamps: Wire["stamps"]): Wire => {
    const w = new Wire("in data fin");
    w.stamps = stamps;
    w.shake().say("+7\nin P. 1:9 ack 1\n+3\nin F. 9:9 ack 2");
    return w;
  };
  test("what we say in our end's name has its last value, and echoes the peer's", () => {
    const w = finish({ in: true, out: true });
    expect(w.log).toEqual(["out F. 1:1 ack 9", "in R. 1:1 ack 1", "out . 2:2 ack 10"]);
    // No-operation twice, kind 8, length 10; our 1000, and the 5007 and 5010 of what is answered.
    expect([options(w, -3), options(w, -1)]).toEqual(["0101080a000003e80000138f", "0101080a000003e800001392"]);
  });
  test.each([
    { in: false, out: false },
    { in: true, out: false },
  ])("not where they are not agreed: %j", (stamps) => {
    const w = finish(stamps);
    expect([options(w, -3), options(w, -1)]).toEqual(["", ""]);
  });
});

describe("what is kept back", () => {
  test("order holds in both directions, whatever the jitter", () => {
    const w = new Wire("delay 100ms jitter 99ms").shake();
    w.pass(1000);
    w.log.length = 0;
    for (let i = 1; i <= 20; i++) w.say(`in P. ${i}:${i + 1} ack 1\nout P. ${i}:${i + 1} ack 1`);
    w.pass(300);
    for (const direction of ["in", "out"])
      expect(w.log.filter((l) => l.startsWith(direction))).toEqual(Array.from({ length: 20 }, (_, i) => `${direction} P. ${i + 1}:${i + 2} ack 1`));
    const due = w.events.map((e) => (e.kind === "fault" ? Number(/(\d+)ms$/.exec(e.detail)?.[1]) : 0));
    expect(new Set(due).size).toBeGreaterThan(3);
    expect(Math.min(...due)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...due)).toBeLessThanOrEqual(199);
  });
  test.each(["reorder 3 within 30ms", "hold 30ms"])("%s: gone once its time is over, and not sent again by a release or an end", (action) => {
    const w = new Wire(`in data nth 1 ${action}`).shake();
    expect(w.say("in P. 1:2 ack 1\n+31")).toEqual(["in P. 1:2 ack 1"]);
    expect(w.faults.list()[0]?.held).toBe(0);
    w.faults.release();
    w.faults.clear();
    expect(w.log).toEqual(["in P. 1:2 ack 1"]);
  });
  test("one that was overtaken or released before its time does not come again then", () => {
    expect(new Wire("in data nth 1 reorder within 30ms").shake().say("in P. 1:2 ack 1\nin P. 2:3 ack 1\n+31")).toHaveLength(2);
    const w = new Wire("in data hold 30ms").shake();
    w.say("in P. 1:2 ack 1");
    expect(w.faults.release()).toBe(1);
    expect(w.pass(31).log).toEqual(["in P. 1:2 ack 1"]);
  });
  test("release opens the one that is named; clear lets all go", () => {
    const w = new Wire("as a in data hold then as b in fin hold").shake();
    w.say("in P. 1:2 ack 1\nin F. 2:2 ack 1");
    expect(w.faults.release("b")).toBe(1);
    expect(w.faults.list().map((f) => f.held)).toEqual([1, 0]);
    w.faults.clear();
    expect(w.log).toEqual(["in F. 2:2 ack 1", "in P. 1:2 ack 1"]);
    expect(w.faults.tracked).toBe(0);
  });
  test("what a queue has sent is in it no more", () => {
    const w = new Wire("out data rate 8kbit queue 1").shake();
    for (let i = 0; i < 3; i++) expect(w.say(`out P. ${1 + 960 * i}:${961 + 960 * i} ack 1\n+1001`)).toHaveLength(1);
  });
  test("a closed wrapper lets nothing come any more", () => {
    const w = new Wire("in data delay 30ms").shake();
    w.say("in P. 1:2 ack 1");
    w.faults.close();
    expect(w.pass(100).log).toEqual([]);
  });
});

describe("a new life of the same four numbers", () => {
  const OPEN = "in S 0:0\nout S. 0:0 ack 1\nin . 1:1 ack 1";
  /** Another ISN of the client: 5000 further on. */
  const AGAIN = "in S 5000:5000\nout S. 9000:9000 ack 5001\nin . 5001:5001 ack 9001";
  test.each([
    ["after a reset", "in R 1:1"],
    ["after both FINs", "in F. 1:1 ack 1\nout F. 1:1 ack 2\nin . 2:2 ack 2"],
    ["over one that still seems to live", ""],
    ["after one that was cut", "in F. 1:1 ack 1"],
  ])("%s: it counts afresh, and its octets too", (_, end) => {
    const w = new Wire("synack nth 2 set urgent 1 then in byte 3 drop then in fin nth 1 rst");
    w.say(`${OPEN}\n${end}\n${AGAIN}`);
    w.log.length = 0;
    expect(w.say("in P. 5001:5011 ack 9001")).toEqual(["in . 5001:5004 ack 9001"]);
    expect(told(w).filter((t) => t.startsWith("set"))).toEqual([]);
  });
  test("after a reset of what was never established", () => {
    expect(new Wire("syn nth 2 drop").say("in S 0:0\nout R. 0:0 ack 1\nin S 5000:5000")).toHaveLength(3);
  });
  test("a SYN that comes again is the same life", () => {
    const w = new Wire("syn nth 2 drop");
    expect(w.say("in S 0:0\nin S 0:0\nin S 0:0")).toHaveLength(2);
  });
  test("an opener whose first SYN was another begins anew too", () => {
    expect(new Wire("rexmit drop").say("in S 9000:9000\nin S 0:0")).toHaveLength(2);
  });
});

describe("whoever opens", () => {
  test("ack3 comes from the one that opened", () => {
    const theirs = new Wire("ack3 drop");
    expect(theirs.say("in S 0:0\nout S. 0:0 ack 1\nout . 1:1 ack 1\nin . 1:1 ack 1")).toEqual(["in S 0:0", "out S. 0:0 ack 1", "out . 1:1 ack 1"]);
    const ours = new Wire("ack3 drop");
    expect(ours.say("out S 0:0\nin S. 0:0 ack 1\nin . 1:1 ack 1\nout . 1:1 ack 1")).toEqual(["out S 0:0", "in S. 0:0 ack 1", "in . 1:1 ack 1"]);
  });
});

describe("an octet behind several gaps", () => {
  const seen = (action: string, order: string): string[] => {
    const w = new Wire(`out byte 600 ${action}`).shake();
    const pieces = order.split(" ").map((p) => p.split("-").map(Number) as [number, number]);
    return w.say([...pieces.map(([from, to]) => `out . ${from}:${to} ack 1`), "out . 601:701 ack 1"].join("\n")).filter((l) => /^out [RF]/.test(l));
  };
  test.each([
    ["in order", "1-301 301-601", true],
    ["backwards", "501-601 301-401 401-501 101-301 1-101", true],
    ["overlapping", "401-601 201-451 151-251 1-201", true],
    ["one within another", "201-601 301-401 1-201", true],
    ["with one missing", "501-601 301-401 1-301", false],
    ["with the first missing", "101-601", false],
  ])("%s", (_, order, whole) => {
    expect(seen("rst", order)).toEqual(whole ? ["out R. 601:601 ack 1"] : []);
    expect(seen("fin", order)).toEqual(whole ? ["out F. 601:601 ack 1"] : []);
  });
});
