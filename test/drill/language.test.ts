/** The script language: every shape that it has is read, and what is no script is an error that names line and token. */
import { describe, expect, test } from "vitest";
import type { CallAction, Script, TcpAction } from "../../src/drill/ast.js";
import { drill } from "../../src/drill/drill.js";
import { ScriptError, Unsupported } from "../../src/drill/errors.js";
import { tokenize } from "../../src/drill/lexer.js";
import { parseScript } from "../../src/drill/parser.js";
import { ACK, CWR, ECE, FIN, PSH, RST, SYN, URG } from "../../src/wire/segment.js";

const SOCKET = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n";
const parse = (text: string, macros?: ReadonlyMap<string, string>): Script => parseScript(SOCKET + text, macros);
const packet = (text: string): TcpAction => parse(text).events[1]?.action as TcpAction;
const call = (text: string): CallAction => parse(text).events[1]?.action as CallAction;
const time = (text: string): unknown => parse(text).events[1]?.time;
function failure(text: string): string {
  try {
    parseScript(text);
  } catch (e) {
    if (e instanceof ScriptError || e instanceof Unsupported) return `${e.name} ${e.at.line}:${e.at.column} ${e.message}`;
    throw e;
  }
  return "read";
}

describe("tokens", () => {
  test("white space, newlines and comments mean nothing, also between a packet and its end", () => {
    const action = packet("+0 < S 0:0(0) // note\n win /* a\n b */ 1000\n <mss 1000>");
    expect(action).toMatchObject({ window: 1000, options: [{ kind: "mss", value: 1000 }] });
  });
  test("positions count lines and columns from 1", () => {
    expect(tokenize("a\n  bc 1.5").map((t) => [t.text, t.line, t.column])).toEqual([
      ["a", 1, 1],
      ["bc", 2, 3],
      ["1.5", 2, 6],
      ["", 2, 9],
    ]);
  });
  test.each([
    ["`open", "command has no end"],
    ["%{ assert 1", "code block has no end"],
    ['0 f("x', "string has no end"],
    ["/* x", "comment has no end"],
    ["0 $", 'unexpected "$"'],
  ])("%s is an error", (text, message) => expect(failure(text)).toContain(message));
});

describe("times", () => {
  test.each([
    ["+0 close(3) = 0", { kind: "relative", us: 0 }],
    ["+ 1.0 close(3) = 0", { kind: "relative", us: 1_000_000 }],
    [".1 close(3) = 0", { kind: "absolute", us: 100_000 }],
    ["0.000001 close(3) = 0", { kind: "absolute", us: 1 }],
    ["* > . 1:1(0) ack 1", { kind: "any" }],
    [".1~.2 > . 1:1(0) ack 1", { kind: "absoluteRange", us: 100_000, endUs: 200_000 }],
    ["+0~+.05 > . 1:1(0) ack 1", { kind: "relativeRange", us: 0, endUs: 50_000 }],
  ])("%s", (text, wanted) => expect(time(text)).toEqual(wanted));

  test("a blocking call ends on the base of its start", () => {
    expect(call("+.1...0.2 connect(3, ..., ...) = 0").end).toEqual({ kind: "relative", us: 200_000 });
    expect(call("0.1...0.2 connect(3, ..., ...) = 0").end).toEqual({ kind: "absolute", us: 200_000 });
  });
  test.each([
    ["1 close(3) = 0", "the first event must be at time 0"],
    [`${SOCKET}2 close(3) = 0\n1 close(3) = 0`, "is before 2"],
    [`${SOCKET}* < . 1:1(0) ack 1 win 5`, "for expected packets only"],
    [`${SOCKET}* close(3) = 0`, "for expected packets only"],
    [`${SOCKET}+.2~+.1 > . 1:1(0) ack 1`, "ends before it begins"],
    [`${SOCKET}+.2...0.1 read(3, ..., 1) = 1`, "returns before it starts"],
  ])("%s is an error", (text, message) => expect(failure(text)).toContain(message));
});

describe("packets", () => {
  test.each([
    ["S", SYN],
    ["S.", SYN | ACK],
    [".", ACK],
    ["P.", PSH | ACK],
    ["F.", FIN | ACK],
    ["FP.", FIN | PSH | ACK],
    ["R", RST],
    ["R.", RST | ACK],
    ["SEW", SYN | ECE | CWR],
    ["SE.", SYN | ECE | ACK],
    ["S.E", SYN | ECE | ACK],
    ["SF", SYN | FIN],
    ["-", 0],
    ["PU.", PSH | URG | ACK],
    [".E", ACK | ECE],
  ])("flags %s", (text, bits) => expect(packet(`+0 > ${text} 0:0(0)`).flags).toBe(bits));

  test("every field", () => {
    expect(packet("+0 < [ect0] P. 4294967295:9(10) ack 7 win 100 urg 5 <nop,nop,TS val 1 ecr 2,sack 1:2 3:4,nop,nop>")).toMatchObject({
      direction: "in",
      ip: { ecn: "ect0" },
      seq: { mode: "mapped", first: 4294967295, length: 10 },
      ack: { value: 7, absolute: false },
      window: 100,
      urgent: 5,
      options: [
        { kind: "nop" },
        { kind: "nop" },
        { kind: "TS", val: 1, ecr: 2 },
        {
          kind: "sack",
          blocks: [
            [1, 2],
            [3, 4],
          ],
        },
        { kind: "nop" },
        { kind: "nop" },
      ],
    });
    expect(packet("+0 > [tos 0x14, ttl 64] . 1:1(0) ack 1")).toMatchObject({ ip: { tos: 20, ttl: 64 } });
    expect(packet("+0 > (ttl 9) . 1:1(0) ack 1")).toMatchObject({ ip: { ttl: 9 } });
    expect(packet("+0 > 80 > 1234 S. 0:0(0) ack 1 <...>")).toMatchObject({ ports: { source: 80, destination: 1234 }, options: "any" });
    expect(packet("+0 < . 500:500(0)! ack 9! win 1")).toMatchObject({ seq: { mode: "absolute", first: 500 }, ack: { value: 9, absolute: true } });
    expect(packet("+0 > F. ...(0) ack 2")).toMatchObject({ seq: { mode: "any", length: 0 } });
    expect(packet("+0 < S 0:0(0) win 9 <mss 1460,sackOK,eol,eol>").options).toHaveLength(4);
    expect(packet("+0 < S 0:0(0) win 9 <gen-254 0x0102>").options).toMatchObject([{ kind: "raw", number: 254 }]);
  });
  test("ICMP in both orders", () => {
    expect(packet("+0 < icmp unreachable frag_needed mtu 1200 [1:1461(1460)]")).toMatchObject({
      kind: "icmp",
      type: 3,
      code: 4,
      mtu: 1200,
      quoted: { first: 1, length: 1460 },
    });
    expect(packet("+0 < [0:0(0)] icmp unreachable host_unreachable")).toMatchObject({ kind: "icmp", type: 3, code: 1, quoted: { first: 0 } });
    expect(packet("+0 < icmp time_exceeded ttl_exceeded_in_transit")).toMatchObject({ kind: "icmp", type: 11, code: 0 });
  });
  test.each([
    ["+0 < S 0:0(0)", '"win"'],
    ["+0 > S 0:5(0)", "0 + 0 is not 5"],
    ["+0 > X 0:0(0)", 'unexpected "X"'],
    ["+0 > SS 0:0(0)", "stands twice"],
    ["+0 > S 0-0(0)", 'unexpected "-"'],
    ["+0 > . 1:1(0) ack x", 'unexpected "x"'],
    ["+0 > . 1:1(0) ack 1 <mss 1460,nop>", "options of 5 octets"],
    ["+0 > . 1:1(0) ack 1 <bogus 1,nop,nop,nop>", 'unexpected "bogus"'],
    ["+0 < . 1:1(0) ack 1 win 1 <...>", 'unexpected "..."'],
    ["+0 < . ...(0) ack 1 win 1", 'unexpected "..."'],
    ["+0 < . 1:1(0) ack 1 win 65536", "too large"],
    ["+0 > icmp unreachable", "injected, not expected"],
    ["+0 < icmp unreachable nonsense", 'unexpected "nonsense"'],
    ["+0 > . 1:1(0) ack 1 win 5 trailing", 'unexpected "trailing"'],
    ["+0 > . 99999999999:99999999999(0)", "too large"],
    ["+0 > . 1:1(0) 5 ack", 'wanted "(" after "ack"'],
  ])("%s is an error that names its token and line", (text, message) => {
    expect(failure(SOCKET + text)).toMatch(/^ScriptError 2:/);
    expect(failure(SOCKET + text)).toContain(message);
  });
  test.each([
    "+0 > udp (10)",
    "+0 < S 0:0(0) win 1 <FO abcd,nop,nop>",
    "+0 > ipv4 1.2.3.4 > 5.6.7.8",
    "+0 > . 1:1(0) ack 1 <md5 0x01,nop,nop>",
    "+0 < icmp packet_too_big mtu 1280",
    "+0 > .5 1:1(0) ack 1",
  ])("%s is known to be out of scope", (text) => expect(failure(SOCKET + text)).toMatch(/^Unsupported 2:/));
});

describe("calls", () => {
  test("values in every form", () => {
    expect(call('+0 f(3, 0x10, A|B, "s", ..., [1], [1, 2], {a=1, b=X|Y}, {..., 10}, -1) = -1 EAGAIN (try again)')).toMatchObject({
      name: "f",
      errno: "EAGAIN",
      result: { kind: "number", value: -1 },
      args: [
        { value: 3 },
        { value: 16 },
        { kind: "or", parts: [{ name: "A" }, { name: "B" }] },
        { kind: "string", value: "s" },
        { kind: "ellipsis" },
        { kind: "list" },
        { kind: "list", items: [{}, {}] },
        { kind: "struct", fields: [{ name: "a" }, { name: "b" }] },
        { kind: "struct", fields: [{ name: undefined }, { name: undefined }] },
        { value: -1 },
      ],
    });
    expect(call("+0 fcntl(3, F_GETFL) = 0x02 (flags O_RDWR)")).toMatchObject({ result: { value: 2 }, errno: undefined });
    expect(call("+0 sendmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 10}, {..., 20}], msg_flags=0}, 0) = 30").args[1]).toMatchObject({
      fields: [{ name: "msg_name" }, { name: "msg_iov", args: [{ value: 2 }] }, { name: "msg_flags" }],
    });
    expect(call('+0 connect(3, {sa_family = AF_INET, sin_port = htons(8080), sin_addr = inet_addr("192.0.2.1")}, 16) = 0').args[1]).toMatchObject({
      fields: [{}, { value: { kind: "call", name: "htons" } }, { value: { name: "inet_addr" } }],
    });
  });
  test.each([
    ["+0 read(3, ..., 10", 'wanted ")"'],
    ["+0 read(3, ..., 10) 10", 'wanted "="'],
    ["+0 read 3", 'wanted "("'],
    ["+0 read(3, , 10) = 1", 'unexpected ","'],
    ["+0", "unexpected end of the script"],
    ["close(3) = 0", "an event, which begins with a time"],
  ])("%s is an error", (text, message) => expect(failure(SOCKET + text)).toContain(message));
});

describe("the whole script", () => {
  test("option lines, initial and final commands, code", () => {
    const script = parseScript(
      "--mtu=1400\n--tolerance_usecs=100000\n`../common/defaults.sh\nsysctl -q a.b=1`\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 %{ assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd }%\n+0 `true`\n`cleanup`",
    );
    expect(script.options.map((o) => [o.name, o.value])).toEqual([
      ["mtu", "1400"],
      ["tolerance_usecs", "100000"],
    ]);
    expect([script.init.length, script.events.map((e) => e.action.kind), script.cleanup.length]).toEqual([1, ["call", "code", "command"], 1]);
  });
  test("#ifdef keeps one side and all line numbers; STANDARD is defined unless FreeBSD is", () => {
    const text = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n#ifdef FreeBSD\n+0 close(9) = 0\n#endif\n#ifdef STANDARD\n+0 close(3) = 0\n#endif\n";
    expect(parseScript(text).events.map((e) => e.line)).toEqual([1, 6]);
    expect(parseScript(text, new Map([["FreeBSD", ""]])).events.map((e) => e.line)).toEqual([1, 3]);
    expect(failure("#ifdef A\n0 close(3) = 0")).toContain('has no "#endif"');
    expect(failure("#else\n0 close(3) = 0")).toContain('unexpected "#else"');
  });
  test("a # in a command or a code block is a comment there", () => {
    expect(parseScript("`a\n# b\nc`\n0 close(3) = 0\n+0 %{\n# d\nassert 1\n}%").events).toHaveLength(2);
  });
  test("a macro is replaced as a bare word, from the caller and from the script", () => {
    const script = parse(
      "+0 read(3, ..., SIZE) = SIZE\n+0 write(3, ..., OTHER) = 7",
      new Map([
        ["SIZE", "40"],
        ["OTHER", "7"],
      ]),
    );
    expect(script.events.map((e) => (e.action as CallAction).result)).toMatchObject([{ value: 3 }, { value: 40 }, { value: 7 }]);
    expect(parseScript("--define=LEN=9\n0 read(3, ..., LEN) = LEN").events[0]?.action).toMatchObject({ result: { value: 9 } });
  });
  test.each([
    ["", "the script has no events"],
    ["0 close(3) = 0\n`x`\n+0 close(3) = 0", "the end of the script"],
    ["0 close(3) = 0\n+0 %{ if x: y }%", "code: unexpected"],
    ["0 close(3) = 0\n+0 %{ assert 1 == }%", "code: unexpected end"],
    ["0 close(3) = 0\n\n\n+0 bogus bogus", 'ScriptError 4:10 unexpected "bogus", wanted "("'],
  ])("%j is an error", (text, message) => expect(failure(text)).toContain(message));

  test.each([
    ["0 flute(3) = 0", 'unknown call "flute"'],
    ["0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 setsockopt(3, SOL_SOCKET, SO_FLUTE, [1], 4) = 0", 'unknown name "SO_FLUTE"'],
    ["0 close(7) = 0", "descriptor 7 is not open"],
    ["--flute=1\n0 close(7) = 0", 'unknown option "--flute"'],
    ["0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 close(3) = -1 EFLUTE (x)", 'unknown errno "EFLUTE"'],
    ["0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 close(3) = 0\n+0 close(3) = 0", "descriptor 3 is not open"],
  ])("%j is never a PASS", (text, message) => {
    const result = drill("x.pkt", text);
    expect(result).toMatchObject({ result: "FAIL", unreadable: true });
    expect(result.reason).toContain(message);
  });
});
