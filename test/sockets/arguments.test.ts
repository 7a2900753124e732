/** Bad arguments to sockets: what node:net throws, ours throws, to the letter where it is cheap. */
import { describe, expect, test } from "vitest";
import { keep, thrown, useWorlds, WORLDS, type NetApi } from "./support/worlds.js";

useWorlds();
const [node, ours] = WORLDS as unknown as [{ client: NetApi }, { client: NetApi }];

const quiet = (net: NetApi): InstanceType<NetApi["Socket"]> => keep(new net.Socket()).on("error", () => {}) as InstanceType<NetApi["Socket"]>;
const cases: [string, (net: NetApi) => unknown][] = [
  ["connect()", (net) => (net.connect as () => unknown)()],
  ["connect({})", (net) => net.connect({} as never)],
  ["connect({ host })", (net) => net.connect({ host: "localhost" } as never)],
  ["new Socket().connect()", (net) => (quiet(net).connect as () => unknown)()],
  ["connect({ port: null })", (net) => net.connect({ port: null as never, host: "127.0.0.1" })],
  ["connect({ port: {} })", (net) => net.connect({ port: {} as never, host: "127.0.0.1" })],
  ["connect({ port: [] })", (net) => net.connect({ port: [] as never, host: "127.0.0.1" })],
  ["connect({ port: true })", (net) => net.connect({ port: true as never, host: "127.0.0.1" })],
  ["connect({ port: () => {} })", (net) => net.connect({ port: (() => {}) as never, host: "127.0.0.1" })],
  ["connect({ port: -1 })", (net) => net.connect({ port: -1, host: "127.0.0.1" })],
  ["connect({ port: 65536 })", (net) => net.connect({ port: 65_536, host: "127.0.0.1" })],
  ["connect({ port: NaN })", (net) => net.connect({ port: Number.NaN, host: "127.0.0.1" })],
  ["connect({ port: 'abc' })", (net) => net.connect({ port: "abc" as never, host: "127.0.0.1" })],
  ["connect({ port: '' })", (net) => net.connect({ port: "" as never, host: "127.0.0.1" })],
  ["connect({ port: ' ' })", (net) => net.connect({ port: " " as never, host: "127.0.0.1" })],
  ["connect({ port: '0x10000' })", (net) => net.connect({ port: "0x10000" as never, host: "127.0.0.1" })],
  ["connect({ port: Infinity })", (net) => net.connect({ port: Infinity, host: "127.0.0.1" })],
  ["connect({ localAddress: 'nonsense' })", (net) => net.connect({ port: 80, host: "127.0.0.1", localAddress: "nonsense" })],
  ["connect({ localPort: 'text' })", (net) => net.connect({ port: 80, host: "127.0.0.1", localPort: "text" as never })],
  ["connect({ lookup: 1 })", (net) => net.connect({ port: 80, host: "a.example", lookup: 1 as never })],
  ["connect({ lookup: 'x' })", (net) => net.connect({ port: 80, host: "a.example", lookup: "x" as never })],
  ["connect({ autoSelectFamily: 'yes' })", (net) => net.connect({ port: 80, host: "127.0.0.1", autoSelectFamily: "yes" as never })],
  ["connect({ autoSelectFamilyAttemptTimeout: 'x' })", (net) => net.connect({ port: 80, host: "127.0.0.1", autoSelectFamilyAttemptTimeout: "x" as never })],
  ["connect({ autoSelectFamilyAttemptTimeout: -1 })", (net) => net.connect({ port: 80, host: "127.0.0.1", autoSelectFamilyAttemptTimeout: -1 })],
  ["connect({ autoSelectFamilyAttemptTimeout: 0.5 })", (net) => net.connect({ port: 80, host: "127.0.0.1", autoSelectFamilyAttemptTimeout: 0.5 })],
  ["connect({ autoSelectFamilyAttemptTimeout: 2**32+1 })", (net) => net.connect({ port: 80, host: "127.0.0.1", autoSelectFamilyAttemptTimeout: 2 ** 32 + 1 })],
  ["new Socket({ objectMode: true })", (net) => new net.Socket({ objectMode: true } as never)],
  ["new Socket({ readableObjectMode: true })", (net) => new net.Socket({ readableObjectMode: true } as never)],
  ["new Socket({ writableObjectMode: true })", (net) => new net.Socket({ writableObjectMode: true } as never)],
  ["new Socket({ keepAliveInitialDelay: 'x' })", (net) => new net.Socket({ keepAliveInitialDelay: "x" } as never)],
  ["new Socket({ signal: 'x' })", (net) => new net.Socket({ signal: "x" } as never)],
  ["new Socket({ highWaterMark: -1 })", (net) => new net.Socket({ highWaterMark: -1 } as never)],
  ["new Socket({ highWaterMark: 'x' })", (net) => new net.Socket({ highWaterMark: "x" } as never)],
  ["setTimeout('100')", (net) => quiet(net).setTimeout("100" as never)],
  ["setTimeout({})", (net) => quiet(net).setTimeout({} as never)],
  ["setTimeout(() => {})", (net) => quiet(net).setTimeout((() => {}) as never)],
  ["setTimeout(undefined)", (net) => quiet(net).setTimeout(undefined as never)],
  ["setTimeout(null)", (net) => quiet(net).setTimeout(null as never)],
  ["setTimeout(Symbol())", (net) => quiet(net).setTimeout(Symbol("s") as never)],
  ["setTimeout(10n)", (net) => quiet(net).setTimeout(10n as never)],
  ["setTimeout(-1)", (net) => quiet(net).setTimeout(-1)],
  ["setTimeout(NaN)", (net) => quiet(net).setTimeout(Number.NaN)],
  ["setTimeout(Infinity)", (net) => quiet(net).setTimeout(Infinity)],
  ["setTimeout(1, 'x')", (net) => quiet(net).setTimeout(1, "x" as never)],
  ["setTimeout(0, {})", (net) => quiet(net).setTimeout(0, {} as never)],
  ["write() of a number", (net) => quiet(net).write(5 as never)],
  ["write(null)", (net) => quiet(net).write(null as never)],
  ["listen(-1)", (net) => net.createServer().listen(-1)],
  ["listen('65536')", (net) => net.createServer().listen("65536" as never)],
  ["listen({ port: 1.5 })", (net) => net.createServer().listen({ port: 1.5 })],
  ["listen({ port: true })", (net) => net.createServer().listen({ port: true as never })],
  ["listen({ port: {} })", (net) => net.createServer().listen({ port: {} as never })],
  ["listen({})", (net) => net.createServer().listen({})],
  ["listen({ host })", (net) => net.createServer().listen({ host: "127.0.0.1" })],
  ["listen({ signal: {} })", (net) => net.createServer().listen({ port: 0, signal: {} as never })],
  ["createServer('x')", (net) => net.createServer("x" as never)],
  ["createServer(Symbol())", (net) => net.createServer(Symbol("s") as never)],
  ["createServer({ highWaterMark: '1' })", (net) => net.createServer({ highWaterMark: "1" as never })],
  ["createServer({ keepAliveInitialDelay: null })", (net) => net.createServer({ keepAliveInitialDelay: null as never })],
  ["Socket({ keepAliveInitialDelay: [] })", (net) => new net.Socket({ keepAliveInitialDelay: [] } as never)],
];

test.each(cases)("%s throws what Node throws", (_name, call) => {
  const expected = thrown(() => call(node.client));
  expect(expected.code).toMatch(/^ERR_/);
  expect(thrown(() => call(ours.client))).toEqual(expected);
});

test("as text, a thrown error carries its code; its own keys are Node's", () => {
  for (const net of [node.client, ours.client]) {
    let error: unknown;
    try {
      net.connect({ port: 65_536, host: "127.0.0.1" });
    } catch (e) {
      error = e;
    }
    expect(String(error)).toBe("RangeError [ERR_SOCKET_BAD_PORT]: Port should be >= 0 and < 65536. Received type number (65536).");
    expect(Object.keys(error as object)).toEqual(["code"]);
  }
});

describe("names of node:net", () => {
  test("everything that a program uses is there", () => {
    const left = Object.keys(node.client).filter((name) => !name.startsWith("_") && name !== "default" && !(name in ours.client));
    expect(left).toEqual([]);
    expect(ours.client.isIP("::1")).toBe(6);
    expect(ours.client.BlockList).toBe(node.client.BlockList);
  });

  test("a socket has every public member that Node's has", () => {
    const members = (prototype: object): string[] => Object.getOwnPropertyNames(prototype).filter((name) => !name.startsWith("_"));
    const mine = ours.client.Socket.prototype as unknown as object,
      theirs = node.client.Socket.prototype as unknown as object;
    expect(members(theirs).filter((name) => !(name in mine))).toEqual([]);
    const server = ours.client.Server.prototype as unknown as object;
    expect(members(node.client.Server.prototype as unknown as object).filter((name) => !(name in server))).toEqual([]);
  });
});
