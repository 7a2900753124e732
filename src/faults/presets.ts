/** Ready-made sets of ports that misbehave, one way each. What clients print is measured by test/interop/chaos*.test.ts. */
import { parseBehaviour } from "./behaviours.js";
import { type BehaviourService, type ListeningStack, serveBehaviour } from "./endpoint.js";
import type { Faults } from "./faults.js";
import type { FaultClock } from "./schedule.js";
import { parseFaults } from "./parse.js";

export interface PresetPort {
  readonly port: number;
  readonly name: string;
  /** Undefined: nobody listens there. */
  readonly behaviour?: string;
  /** Faults of this port; `port N` is added to each. */
  readonly faults?: string;
  /** What the server does, and what curl, or who waits, gets to see. */
  readonly does: string;
  readonly client: string;
}

export interface Preset {
  readonly name: string;
  readonly about: string;
  readonly ports: readonly PresetPort[];
}

const CHAOS: readonly PresetPort[] = [
  { port: 8000, name: "ok", behaviour: "http", does: "all is well", client: "200, exit 0" },

  // Opening
  { port: 8001, name: "refused", does: "RST to the SYN: nobody listens", client: "(7) Failed to connect … Couldn't connect to server" },
  {
    port: 8002,
    name: "syn-lost",
    behaviour: "http",
    faults: "in syn drop",
    does: "the SYN is never answered",
    client: "(28) Connection timed out; ss: SYN-SENT",
  },
  { port: 8003, name: "synack-late", behaviour: "http", faults: "out synack delay 3s", does: "SYN,ACK 3 s late", client: "200; connected after 3 s" },
  {
    port: 8004,
    name: "syn-lost-twice",
    behaviour: "http",
    faults: "in syn nth 1,2 drop",
    does: "the first two SYNs are lost",
    client: "200; connected with the third SYN",
  },
  {
    port: 8005,
    name: "synack-badsum",
    behaviour: "http",
    faults: "out synack badsum",
    does: "SYN,ACK with a wrong checksum",
    client: "(28) Connection timed out",
  },
  {
    port: 8006,
    name: "synack-wrong-ack",
    behaviour: "http",
    faults: "out synack set ack +1000",
    does: "SYN,ACK acknowledges what was never sent",
    client: "(28) Connection timed out",
  },
  {
    port: 8007,
    name: "host-unreachable",
    behaviour: "http",
    faults: "in syn icmp host",
    does: "ICMP host unreachable answers the SYN",
    client: "(7) … Couldn't connect to server",
  },
  {
    port: 8008,
    name: "never-accept",
    behaviour: "http never-accept backlog 1",
    does: "nobody calls accept: one connection waits for ever, later SYNs are dropped",
    client: "(28) timed out with 0 bytes, ss: ESTAB; from the second on (28) Connection timed out, ss: SYN-SENT",
  },

  // Talking
  {
    port: 8009,
    name: "reset-request",
    behaviour: "http abort request 1",
    does: "RST instead of an answer",
    client: "(56) Recv failure: Connection reset by peer",
  },
  {
    port: 8010,
    name: "reset-at-once",
    behaviour: "http abort after 0",
    does: "RST right after the handshake",
    client: "(56) … reset by peer, or (7) when it came before curl looked",
  },
  {
    port: 8011,
    name: "reset-mid-body",
    behaviour: "http body 1000 abort body 100",
    does: "RST after 100 of 1000 octets",
    client: "(56) Recv failure: Connection reset by peer",
  },
  {
    port: 8012,
    name: "fin-mid-body",
    behaviour: "http body 1000 fin body 100",
    does: "FIN after 100 of 1000 octets",
    client: "(18) transfer closed with 900 bytes remaining to read",
  },
  { port: 8013, name: "empty-reply", behaviour: "http fin request 1", does: "FIN instead of an answer", client: "(52) Empty reply from server" },
  {
    port: 8014,
    name: "silent",
    behaviour: "silent",
    does: "acknowledges the request, never answers",
    client: "(28) timed out with 0 bytes; ss: ESTAB without timer, or with its own keep-alive",
  },
  {
    port: 8015,
    name: "zero-window",
    behaviour: "http",
    faults: "out set window 0",
    does: "the window is 0 and stays 0",
    client: "(28) timed out with 0 bytes; ss: timer:(persist,…)",
  },
  {
    port: 8016,
    name: "blackhole",
    behaviour: "http",
    faults: "in data blackhole",
    does: "after the handshake nothing passes",
    client: "(28) timed out with 0 bytes; ss: timer:(on,…)",
  },
  { port: 8017, name: "late", behaviour: "http wait 3s", does: "thinks for 3 s", client: "200 after 3 s" },
  { port: 8018, name: "drip", behaviour: "http body 100 rate 50B/s", does: "50 octets a second", client: "200 after some 4 s" },
  {
    port: 8019,
    name: "stalls",
    behaviour: "http body 1000 stall body 500",
    does: "stops for ever in the middle of the body",
    client: "(28) timed out with 500 out of 1000 bytes received",
  },
  {
    port: 8020,
    name: "endless-body",
    behaviour: "http length none never-fin",
    does: "the body ends only with a FIN that never comes",
    client: "(28) timed out with 1000 bytes received",
  },
  {
    port: 8021,
    name: "chunk-cut",
    behaviour: "http body 9000 length chunked fin body 100",
    does: "FIN in the middle of a chunk",
    client: "(18) transfer closed with outstanding read data remaining",
  },
  { port: 8022, name: "garbage", behaviour: "garbage", does: "answers what is no HTTP", client: "(1) Received HTTP/0.9 when not allowed" },
  {
    port: 8023,
    name: "never-read",
    behaviour: "discard never-read buffer 4kB",
    does: "never reads: uploads stop when 4 kB are there",
    client: "(28) timed out; ss: rwnd_limited",
  },
  {
    port: 8024,
    name: "reset-upload",
    behaviour: "http",
    faults: "in byte 10000 rst",
    does: "RST when 10,000 octets of the request have come",
    client: "(56) or (55) … reset by peer; a small request: 200",
  },
  {
    port: 8025,
    name: "flaky",
    behaviour: "http",
    faults: "in syn probability 50% rst",
    does: "every other connection, by chance, is refused",
    client: "200 or (7): who tries again gets through",
  },

  // A bad path
  { port: 8030, name: "loss", behaviour: "http body 1000000", faults: "loss 5%", does: "5 % of all segments are lost", client: "200, slower" },
  { port: 8031, name: "bursts", behaviour: "http body 1000000", faults: "burst 1% 60%", does: "segments are lost in bursts", client: "200, slower" },
  {
    port: 8032,
    name: "reorder",
    behaviour: "http body 1000000",
    faults: "out data every 7 reorder 3",
    does: "every 7th segment comes behind the next three",
    client: "200",
  },
  { port: 8033, name: "duplicate", behaviour: "http body 1000000", faults: "data every 5 duplicate", does: "every 5th segment comes twice", client: "200" },
  {
    port: 8034,
    name: "corrupt",
    behaviour: "http body 1000000",
    faults: "data probability 2% corrupt 3",
    does: "bits flip; the checksum catches it",
    client: "200, slower",
  },
  {
    port: 8035,
    name: "mangle",
    behaviour: "http body 1000",
    faults: "out byte 500.. mangle 1",
    does: "a bit flips and the checksum is right",
    client: "200 and one wrong octet",
  },
  { port: 8036, name: "one-by-one", behaviour: "http body 100", faults: "out data split 1", does: "each octet in a segment of its own", client: "200" },
  {
    port: 8037,
    name: "mtu-hole",
    behaviour: "http body 100000",
    faults: "out len >1000 drop",
    does: "large segments vanish without a word",
    client: "(28) timed out with 0 bytes",
  },
  { port: 8038, name: "slow-link", behaviour: "http body 20000", faults: "out rate 80kbit", does: "10 kB a second", client: "200 after 2 s" },
  { port: 8039, name: "far-away", behaviour: "http", faults: "out delay 300ms jitter 100ms", does: "a round trip of 300 ms", client: "200 after some 600 ms" },
  {
    port: 8040,
    name: "isn-wrap",
    behaviour: "http body 100000",
    faults: "out synack isn 0xfffffff0",
    does: "our sequence numbers wrap within 16 octets",
    client: "200",
  },

  // Closing
  {
    port: 8050,
    name: "fin-unacked",
    behaviour: "http",
    faults: "in fin drop",
    does: "the client's FIN is never acknowledged",
    client: "200; ss: FIN-WAIT-1, timer:(on,…)",
  },
  { port: 8051, name: "never-fin", behaviour: "http never-fin", does: "acknowledges the client's FIN, never sends its own", client: "200; ss: FIN-WAIT-2" },
  {
    port: 8052,
    name: "closing",
    behaviour: "http close",
    faults: "in fin hold 2s; out fin hold 1500ms; out finack time ..6s drop",
    does: "the FINs cross; the ACK comes 4 s later",
    client: "200; ss: CLOSING, then TIME-WAIT",
  },
  {
    port: 8053,
    name: "closes-first",
    behaviour: "http close",
    does: "FIN after the answer",
    client: "200; ss: CLOSE-WAIT as long as the application keeps it",
  },
  {
    port: 8054,
    name: "last-ack",
    behaviour: "http length none",
    faults: "in fin drop",
    does: "a FIN ends the answer; the client's own FIN is never acknowledged",
    client: "200; ss: LAST-ACK, timer:(on,…)",
  },

  // Keep-alive connections
  {
    port: 8060,
    name: "keep-alive-race",
    behaviour: "http abort request 2",
    does: "RST to the second request of a connection",
    client: "curl hides it; Node's http.Agent and fetch: ECONNRESET",
  },
  {
    port: 8061,
    name: "idle-close",
    behaviour: "http idle 1s",
    does: "FIN after 1 s without a request",
    client: "200; a pool that writes on must see ECONNRESET or open anew",
  },
  {
    port: 8062,
    name: "vanishes",
    behaviour: "http",
    faults: "time 2s.. blackhole",
    does: "after 2 s the path has forgotten the connection, as a NAT or firewall does",
    client: "200; the second request waits for ever; ss: timer:(on,…)",
  },
  {
    port: 8063,
    name: "half-open",
    behaviour: "http",
    faults: "in time 2s.. rst",
    does: "after 2 s the server knows nothing of the connection, as after a restart",
    client: "200; the second request: reset by peer",
  },
];

export const PRESETS: Readonly<Record<string, Preset>> = {
  chaos: { name: "chaos", about: "one port for each way to misbehave", ports: CHAOS },
};

export const portsOf = (preset: Preset, name: string): PresetPort => {
  const found = preset.ports.find((p) => p.name === name);
  if (found === undefined) throw new RangeError(`preset ${preset.name} has no port called ${name}`);
  return found;
};

/** Faults of a port as one spec with its scope. */
export const faultsOf = (p: PresetPort): string | undefined => (p.faults === undefined ? undefined : `port ${p.port}: ${p.faults}`);

/** Starts all of it. @throws StackError when a port is taken */
export function startPreset(preset: Preset, stack: ListeningStack, faults: Faults, clock: FaultClock): BehaviourService[] {
  const services: BehaviourService[] = [];
  for (const p of preset.ports) {
    if (p.behaviour !== undefined) services.push(serveBehaviour(stack, p.port, parseBehaviour(p.behaviour), clock));
    const spec = faultsOf(p);
    if (spec !== undefined) faults.addSpecs(parseFaults(spec).map((f, i) => ({ ...f, name: i === 0 ? p.name : `${p.name}-${i + 1}` })));
  }
  return services;
}

/** The table that `serve --preset` prints at its start. */
export function presetTable(preset: Preset, address: string): string {
  const rows = [["PORT", "NAME", "WHAT IT DOES", "WHAT A CLIENT SEES"], ...preset.ports.map((p) => [String(p.port), p.name, p.does, p.client])];
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((r) => (r[i] as string).length)));
  const lines = rows.map((r) => r.map((cell, i) => (i < 3 ? cell.padEnd(widths[i] as number) : cell)).join("  "));
  return [`preset ${preset.name}: ${preset.about}, at ${address}`, ...lines].join("\n");
}
