import { describe, expect, test } from "vitest";
import { ConfigError, parseConfig, routesOf, type ServeWords } from "../../src/daemon/config.js";

const parse = (words: ServeWords = {}) => parseConfig(words, "/run/glasstcp.sock");

describe("the configuration of serve", () => {
  test("without a word it is what the documentation says", () => {
    expect(parse()).toEqual({
      tun: "glass0",
      host: "10.77.0.1/24",
      addresses: ["10.77.0.2"],
      mtu: 1_500,
      driver: "koffi",
      offload: "auto",
      services: [
        { name: "echo", port: 7 },
        { name: "discard", port: 9 },
        { name: "daytime", port: 13 },
        { name: "chargen", port: 19 },
        { name: "http", port: 80 },
      ],
      preset: undefined,
      faults: [],
      behaviours: [],
      options: {},
      limits: {},
      synCookies: "auto",
      logLevel: "info",
      logFormat: "auto",
      logFile: undefined,
      control: "/run/glasstcp.sock",
      user: undefined,
      spinUs: 0,
      impair: undefined,
      pcap: undefined,
      metrics: undefined,
    });
  });

  test("a service of one's own replaces the default ones; none is none", () => {
    expect(parse({ service: ["http:8080", "echo"] }).services).toEqual([
      { name: "http", port: 8_080 },
      { name: "echo", port: undefined },
    ]);
    expect(parse({ service: ["none"] }).services).toEqual([]);
  });

  test("settings of the core go through the core's own table", () => {
    const config = parse({ set: ["timeWait=1s", "congestion=reno", "sack=off", "memory=64Mi", "synBacklog=16"] });
    expect(config.options).toEqual({ timeWait: 1_000, congestion: "reno", sack: false });
    expect(config.limits).toEqual({ memory: 64 * 1024 * 1024, synBacklog: 16 });
  });

  test("a prefix is taken by its network, and routed when the host's prefix does not reach it", () => {
    const config = parse({ address: ["10.77.0.2", "192.168.9.7/24", "10.77.0.128/25"] });
    expect(config.addresses).toEqual(["10.77.0.2", "192.168.9.0/24", "10.77.0.128/25"]);
    expect(routesOf(config)).toEqual(["192.168.9.0/24"]);
    expect(routesOf(parse({ address: ["10.0.0.0/8"] }))).toEqual(["10.0.0.0/8"]);
  });

  test("metrics on a port of the host only where asked, on loopback unless named", () => {
    expect(parse({ metrics: "9101" }).metrics).toEqual({ host: "127.0.0.1", port: 9_101 });
    expect(parse({ metrics: "[::]:1" }).metrics).toEqual({ host: "::", port: 1 });
  });

  test.each<[ServeWords, RegExp]>([
    [{ tun: "much-too-long-name" }, /--tun .*15 characters/],
    [{ tun: "a b" }, /--tun/],
    [{ host: "10.77.0.1" }, /prefix length/],
    [{ host: "10.77.0.1/31" }, /at most 30/],
    [{ host: "10.77.0/24" }, /not an IPv4/],
    [{ address: ["10.77.0.1"] }, /kernel's own side/],
    [{ address: ["10.77.0.2/33"] }, /not an IPv4/],
    [{ address: ["fd00::1"] }, /IPv6/],
    [{ address: ["127.0.0.1"] }, /no address of a host/],
    [{ address: ["224.0.0.1"] }, /no address of a host/],
    [{ mtu: "40" }, /from 88 to 65521/],
    [{ mtu: "65522" }, /--mtu 65522 is not a number from 88 to 65521/],
    [{ mtu: "1e3" }, /--mtu/],
    [{ driver: "dpdk" }, /koffi, tuntap2/],
    [{ offload: "on" }, /auto, off/],
    [{ service: ["http:0"] }, /from 1 to 65535/],
    [{ service: [":80"] }, /NAME:PORT/],
    [{ set: ["timeWait"] }, /KEY=VALUE/],
    [{ set: ["timewait=1s"] }, /did you mean timeWait/],
    [{ set: ["timeWait=-1"] }, /from 0 to/],
    [{ set: ["synBacklog=0"] }, /from 1 to/],
    [{ set: ["synCookies=sometimes"] }, /auto, off, always/],
    [{ set: ["memory=lots"] }, /from 2097152 to/],
    [{ logLevel: "loud" }, /trace, debug/],
    [{ logFormat: "xml" }, /auto, json, pretty/],
    [{ spinUs: "9999" }, /from 0 to 2000/],
    [{ metrics: "here" }, /HOST:PORT/],
  ])("%j is refused with what is allowed", (words, message) => {
    expect(() => parse(words)).toThrow(message);
    expect(() => parse(words)).toThrow(ConfigError);
  });
});
