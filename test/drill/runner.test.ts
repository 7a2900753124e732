/** How the runner judges: times and tolerances, numbers, options, timestamps, bursts, calls, commands, profiles. */
import { describe, expect, test } from "vitest";
import { type DrillOptions, type DrillResult, drill } from "../../src/drill/drill.js";

const SERVER = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n";
const ESTABLISHED = `${SERVER}+0 < S 0:0(0) win 65535 <mss 1000>\n+0 > S. 0:0(0) ack 1 <mss 1460>\n+.01 < . 1:1(0) ack 1 win 65535\n+0 accept(3, ..., ...) = 4\n`;
const STAMPED = `${SERVER}+0 < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 1000 ecr 0>\n+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 1000>\n+.01 < . 1:1(0) ack 1 win 65535 <nop,nop,TS val 1010 ecr 100>\n+0 accept(3, ..., ...) = 4\n`;
const run = (text: string, options?: DrillOptions): DrillResult => drill("t.pkt", text, options);
const verdict = (text: string, options?: DrillOptions): string => {
  const r = run(text, options);
  return r.result === "PASS" ? "PASS" : `${r.result} ${r.reason}`;
};
const RTO = `${ESTABLISHED}+0 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1\n`;

describe("times", () => {
  test("within the larger of 4 ms and 12.5 % of the time since the event before", () => {
    // The retransmission comes after exactly 210 ms; 12.5 % of 235 ms are 29 ms, of 190 ms 24 ms.
    expect(verdict(`${RTO}+.21 > P. 1:101(100) ack 1`)).toBe("PASS");
    expect(verdict(`${RTO}+.235 > P. 1:101(100) ack 1`)).toBe("PASS");
    expect(verdict(`${RTO}+.242 > P. 1:101(100) ack 1`)).toContain("too early");
    expect(verdict(`${RTO}+.19 > P. 1:101(100) ack 1`)).toBe("PASS");
    expect(verdict(`${RTO}+.185 > P. 1:101(100) ack 1`)).toContain("too late");
  });
  test("a script may set its tolerance, and the caller's value wins", () => {
    expect(verdict(`--tolerance_usecs=100000\n${RTO}+.29 > P. 1:101(100) ack 1`)).toBe("PASS");
    expect(verdict(`--tolerance_percent=1\n${RTO}+.22 > P. 1:101(100) ack 1`)).toContain("too early");
    expect(verdict(`--tolerance_usecs=100000\n${RTO}+.29 > P. 1:101(100) ack 1`, { settings: new Map([["tolerance_usecs", "4000"]]) })).toContain("too early");
  });
  test("ranges, and any time", () => {
    expect(verdict(`${RTO}+.1~+.3 > P. 1:101(100) ack 1`)).toBe("PASS");
    expect(verdict(`${RTO}+.22~+.3 > P. 1:101(100) ack 1`, { settings: new Map([["tolerance_percent", "0"]]) })).toContain("too early");
    expect(verdict(`${RTO}* > P. 1:101(100) ack 1`)).toBe("PASS");
  });
  test("an expected packet that does not come is given up after two seconds", () => {
    expect(verdict(`${ESTABLISHED}+0 > . 1:1(0) ack 1`)).toContain("no packet came until 2.01");
    expect(verdict(`${ESTABLISHED}* > . 1:1(0) ack 1`)).toContain("no packet in 600 s");
  });
  test("an event whose time has passed is late", () => {
    expect(verdict(`${RTO}* > P. 1:101(100) ack 1\n.1 < . 1:1(0) ack 101 win 65535`)).toContain("event late");
  });
  test("timers due at an event's time fire after it", () => {
    expect(verdict(`${RTO}+.2 < . 1:1(0) ack 101 win 65535\n+1 write(4, ..., 10) = 10\n+0 > P. 101:111(10) ack 1`)).toBe("PASS");
  });
});

describe("packets", () => {
  test("each is the next one: what the script does not mention makes the next one fail", () => {
    expect(verdict(`${RTO}+.2 write(4, ..., 10) = 10\n+1 < . 1:1(0) ack 101 win 65535\n+0 > P. 101:111(10) ack 1`)).toContain(
      "expected 10 octets of text, got 100",
    );
  });
  test("what is left over at the end is no failure", () => expect(verdict(`${ESTABLISHED}+0 write(4, ..., 100) = 100`)).toBe("PASS"));
  test("without a list there must be no options; with <...> anything may be", () => {
    expect(verdict(`${SERVER}+0 < S 0:0(0) win 9 <mss 1000>\n+0 > S. 0:0(0) ack 1`)).toContain('option "mss 1460" is not wanted');
    expect(verdict(`${SERVER}+0 < S 0:0(0) win 9 <mss 1000>\n+0 > S. 0:0(0) ack 1 <...>`)).toBe("PASS");
  });
  test("the order of SYN options counts only with --strict", () => {
    const text = `${SERVER}+0 < S 0:0(0) win 9 <mss 1000,sackOK,nop,nop,nop,wscale 7>\n+0 > S. 0:0(0) ack 1 <mss 1460,nop,wscale 8,sackOK,eol,eol>`;
    expect(verdict(text)).toBe("PASS");
    expect(verdict(text, { strict: true })).toContain("option differs");
    expect(verdict(text.replace("wscale 8", "wscale 7"))).toContain("option differs");
  });
  test("PSH counts only with --strict", () => {
    expect(verdict(RTO.replace("> P.", "> ."))).toBe("PASS");
    expect(verdict(RTO.replace("> P.", "> ."), { strict: true })).toContain("flags differ");
  });
  test("a burst may be written as one packet, not with --strict_segments", () => {
    const text = `${ESTABLISHED}+0 write(4, ..., 2500) = 2500\n+0 > P. 1:2501(2500) ack 1`;
    expect(verdict(text)).toBe("PASS");
    expect(verdict(`--strict_segments\n${text}`)).toContain("expected 2500 octets of text, got 1000");
    expect(verdict(text.replace("1:2501(2500)", "1:2001(2000)"))).toBe("PASS");
    expect(verdict(text.replace("1:2501(2500)", "1:1501(1500)"))).toContain("got 2000");
  });
  test("numbers are the script's own at any ISN", () => {
    for (const remoteIsn of [0, 1, 2 ** 31 - 1, 2 ** 32 - 2]) {
      expect(verdict(`${RTO}+.01 < . 1:1(0) ack 101 win 65535\n+0 < P. 1:11(10) ack 101 win 65535\n+0 > . 101:101(0) ack 11`, { remoteIsn })).toBe("PASS");
    }
    expect(verdict(ESTABLISHED.replace("< S 0:0(0)", "< S 500:500(0)").replace("ack 1 <mss 1460>", "ack 501 <mss 1460>"))).toBe("PASS");
  });
  test("packets of an earlier connection are not compared", () => {
    expect(
      verdict(
        `${RTO}+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 5\n+0 fcntl(5, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+.3 connect(5, ..., ...) = -1 EINPROGRESS (x)\n+0 > S 0:0(0) <...>`,
      ),
    ).toBe("PASS");
  });
  test("failures tell both packets in the script's numbers", () => {
    expect(run(RTO.replace("1:101(100) ack 1", "1:101(100) ack 2"))).toMatchObject({
      result: "FAIL",
      line: 9,
      wanted: "P. 1:101(100) ack 2",
      got: "P. 1:101(100) ack 1 win 65535",
    });
  });
});

describe("timestamps", () => {
  const DATA = `${STAMPED}+.01 write(4, ..., 10) = 10\n`;
  test("the echo must be as written; the value only with a tick", () => {
    expect(verdict(`${DATA}+0 > P. 1:11(10) ack 1 <nop,nop,TS val 777 ecr 1010>`)).toBe("PASS");
    expect(verdict(`${DATA}+0 > P. 1:11(10) ack 1 <nop,nop,TS val 120 ecr 1000>`)).toContain("timestamp echo differs");
    expect(verdict(`--tcp_ts_tick_usecs=1000\n${DATA}+0 > P. 1:11(10) ack 1 <nop,nop,TS val 120 ecr 1010>`)).toBe("PASS");
    expect(verdict(`--tcp_ts_tick_usecs=1000\n${DATA}+0 > P. 1:11(10) ack 1 <nop,nop,TS val 777 ecr 1010>`)).toContain("timestamp differs");
  });
  test("an injected echo must be of a value that was expected, unless it is scaled", () => {
    const text = `${DATA}+0 > P. 1:11(10) ack 1 <nop,nop,TS val 120 ecr 1010>\n+.01 < . 1:1(0) ack 11 win 65535 <nop,nop,TS val 1030 ecr 121>`;
    expect(verdict(text)).toContain("no packet with TS val 121");
    expect(verdict(`--tcp_ts_ecr_scaled\n${text}`)).toBe("PASS");
    expect(verdict(text.replace("ecr 121", "ecr 120"))).toBe("PASS");
  });
});

describe("calls", () => {
  test("what nobody accepts fills the backlog of listen(), one more than it says, as with Linux; then SYNs are dropped", () => {
    const halfOpen = (backlog: number, n: number): string =>
      verdict(
        `${ESTABLISHED.replace("listen(3, 1)", `listen(3, ${backlog})`).replace(/\+0 accept.*\n/, "")}+.01 < 9001 > 8080 S 0:0(0) win 9 <mss 1000>\n+.01 \`sockstat | grep -c SYN_RECEIVED | grep ${n}\``,
      );
    expect(halfOpen(0, 0)).toBe("PASS");
    expect(halfOpen(1, 1)).toBe("PASS");
    expect(halfOpen(-1, 1)).toBe("PASS");
    expect(halfOpen(0, 1)).toContain("would not succeed");
  });
  test.each([
    ["+0 write(4, ..., 10) = 11", "returned another value"],
    ["+0 read(4, ..., 10) = 10", "would block"],
    ["+0 read(4, ..., 10) = -1 EAGAIN (x)", "would block"],
    ["+0 fcntl(4, F_SETFL, O_NONBLOCK) = 0\n+0 read(4, ..., 10) = -1 EPIPE (x)", "failed otherwise"],
    ["+0...0.1 read(4, ..., 10) = 10\n+.2 < P. 1:11(10) ack 1 win 9", "returned at the wrong time"],
    ["+0...0.1 read(4, ..., 10) = 9\n+.1 < P. 1:11(10) ack 1 win 9", "returned another value"],
    ["+0...0.1 read(4, ..., 10) = 10", "has not returned"],
    ["+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [ECONNRESET], [4]) = 0", "SO_ERROR differs"],
    ["+0 getsockopt(4, IPPROTO_TCP, TCP_NODELAY, [1], [4]) = 0", "TCP_NODELAY differs"],
    ["+0 getsockopt(4, IPPROTO_TCP, TCP_NODELAY, [0], [8]) = 0", "length of TCP_NODELAY differs"],
    ["+0 poll([{fd=4, events=POLLOUT, revents=POLLIN}], 1, 0) = 1", "revents of 4 differs"],
    ["+0 %{ assert tcpi_state == TCP_CLOSE }%", "tcpi_state=1"],
    ["+0 %{ assert no_such_name == 1 }%", "NameError"],
  ])("%s fails", (text, why) => expect(verdict(ESTABLISHED + text)).toContain(why));

  test("a descriptor is the script's name: any number, gone after close", () => {
    expect(verdict(ESTABLISHED.replaceAll("= 4", "= 77").replaceAll("(4,", "(77,") + "+0 close(77) = 0")).toBe("PASS");
    expect(verdict(`${ESTABLISHED}+0 close(4) = 0\n+0 write(4, ..., 1) = 1`)).toContain("descriptor 4 is not open");
  });
  test("an assert over a counter that is not kept is left out and noted", () => {
    expect(run(`${ESTABLISHED}+0 %{ assert tcpi_pacing_rate == 1 }%`)).toMatchObject({
      result: "PASS",
      notes: ["assert skipped, line 8: tcpi_pacing_rate is not kept by this stack"],
    });
  });
  test("code: names last, chains, joins, bit sets", () => {
    const code = "x = 1\nx += 2; y = x * 2\nassert 5 <= y \\\n  <= 7, y\nassert x | 4 == 7 and not x & 8\nassert (x == 3 or False) # note\nprint(x)";
    expect(verdict(`${ESTABLISHED}+0 %{ ${code} }%\n+0 %{ assert y == 6 }%`)).toBe("PASS");
    expect(verdict(`${ESTABLISHED}+0 %{ ${code} }%\n+0 %{ assert y == 5, 'y is %d' % y }%`)).toContain("assert y == 5");
  });
});

describe("commands", () => {
  test.each([
    "`true`",
    "`nstat -n`",
    "`ethtool -K tun0 tso off gso off`",
    "`sysctl -q net.ipv4.tcp_flute=1`",
    "`./sysctl_restore_123.sh`",
    "`kldload -n cc_newreno`",
  ])("%s is taken", (text) => {
    expect(verdict(`${text}\n${ESTABLISHED}`)).toBe("PASS");
  });
  test.each([
    "`tc qdisc add dev tun0 root fq`",
    "`ss -t | grep x`",
    "`sleep 1`",
    "`ip route change 1.2.3.4 initcwnd 5`",
    "`nstat | grep TcpExt`",
    "`sysctl net.ipv4.tcp_rmem`",
    "`ethtool -K tun0 tso on`",
  ])("%s skips the script, with the reason", (text) => expect(verdict(`${text}\n${ESTABLISHED}`)).toMatch(/^SKIP .*(not supported)/));
  test("no command is ever run", () => expect(verdict(`\`touch /tmp/glasstcp-drill-was-here\`\n${ESTABLISHED}`)).toMatch(/^SKIP/));
  test("sysctl triples, with and without quotes, and sums", () => {
    for (const triple of ['"4096 10000 20000"', "4096 10000 20000", '"4096 10000 $((2*10000))"']) {
      expect(verdict(`\`sysctl -q net.ipv4.tcp_rmem=${triple}\`\n${ESTABLISHED.replace("> S. 0:0(0) ack 1", "> S. 0:0(0) ack 1 win 20000")}`)).toBe("PASS");
    }
    expect(
      verdict(`\`set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0\`\n${SERVER}+0 < S 0:0(0) win 9 <mss 1000,sackOK,nop,nop>\n+0 > S. 0:0(0) ack 1 <mss 1460>`),
    ).toBe("PASS");
  });
  test("sockstat counts connections by state", () => {
    expect(verdict(`${ESTABLISHED}+0 \`sockstat -4 -s | grep -c ESTABLISHED | grep 1\``)).toBe("PASS");
    expect(verdict(`${ESTABLISHED}+0 \`sockstat -4 -s | grep -c FIN_WAIT_2 | grep 1\``)).toContain("would not succeed");
  });
  test("an option of ours by its own name", () => {
    expect(verdict(`\`sysctl -q glass.minRto=500\`\n${RTO}+.5 > P. 1:101(100) ack 1`)).toBe("PASS");
    expect(verdict(`\`sysctl -q glass.flute=500\`\n${RTO}`)).toContain('unknown option "flute"');
  });
});

describe("profiles and limits", () => {
  const SYN = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 connect(3, ..., ...) = -1 EINPROGRESS (x)\n";
  test("the script's own words choose the profile; the caller's word wins", () => {
    expect(run(ESTABLISHED).profile).toBe("linux");
    expect(run(`\`sysctl net.inet.tcp.rfc1323=1\`\n${ESTABLISHED}`).profile).toBe("freebsd");
    expect(run(ESTABLISHED, { profile: "neutral" }).profile).toBe("neutral");
  });
  test("neutral does not compare another system's windows and SYN options", () => {
    const text = `${SYN}+0 > S 0:0(0) win 12345 <mss 9,nop,wscale 3>`;
    expect(verdict(text, { profile: "neutral" })).toBe("PASS");
    expect(verdict(text)).toContain("window differs");
    expect(verdict(`${RTO.replace("100) ack 1\n", "100) ack 2\n")}`, { profile: "neutral" })).toContain("acknowledgment differs");
  });
  test.each([
    ["--ip_version=ipv6", "IPv6"],
    ["--udp_encapsulation=sctp", "udp_encapsulation"],
    ["--tcp_md5_secret=x", "tcp_md5_secret"],
  ])("%s skips", (option, why) => {
    expect(verdict(`${option}\n${ESTABLISHED}`)).toMatch(new RegExp(`^SKIP .*${why}`));
  });
  test("mismatches declared not fatal are notes", () => {
    expect(run(`--non_fatal=packet\n${RTO.replace("ack 1\n+.01", "ack 1\n+.01")}+0 write(4, ..., 1) = 1\n+.2 > P. 1:101(100) ack 9`)).toMatchObject({
      result: "PASS",
      notes: [expect.stringContaining("not fatal")],
    });
  });
  test("addresses, ports and MTU as options", () => {
    expect(verdict(`--local_ip=10.1.2.3\n--remote_ip=10.9.8.7\n--bind_port=99\n--mtu=800\n${ESTABLISHED.replace("<mss 1460>", "<mss 760>")}`)).toBe("PASS");
    expect(verdict("--mtu=flute\n0 close(3) = 0")).toContain('--mtu: "flute"');
  });
});
