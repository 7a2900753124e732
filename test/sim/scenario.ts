/** What one seed means: the link, the options of both ends, and what the applications on each connection do. */
import type { TcpOptions } from "../../src/tcp/options.js";
import type { LinkPlan, OffloadKind } from "./link.js";
import type { Random } from "./random.js";

/** What one end of a connection does. */
export interface AppPlan {
  /** Octets to write in all. */
  readonly writes: number;
  /** At most so many at once, with a pause (ms) after each. */
  readonly piece: number;
  readonly writePause: number;
  /** Octets that a read takes at most, and the pause (ms) before the next; 0: reads all at once. */
  readonly readPiece: number;
  readonly readPause: number;
  /** Reads nothing before this many milliseconds have passed. */
  readonly readFrom: number;
  /** When to close: after the last octet was written, once the peer has, or as soon as the connection is there. */
  readonly close: "written" | "ended" | "drained";
  /** Lets go with `release` instead of `close`; unread text may then be lost. */
  readonly release: boolean;
  /** Aborts so many milliseconds after the start. */
  readonly abortAt: number | undefined;
  readonly noDelay: boolean;
  readonly corked: boolean;
  /** By reference instead of by copy. */
  readonly shared: boolean;
}

export interface ConnectionPlan {
  readonly startAt: number;
  readonly client: AppPlan;
  readonly server: AppPlan;
  /** Both ends open actively, towards each other. */
  readonly simultaneous: boolean;
  readonly options: readonly [Partial<TcpOptions>, Partial<TcpOptions>];
}

export interface Scenario {
  readonly mtu: number;
  readonly offload: readonly [OffloadKind, OffloadKind];
  readonly link: readonly [LinkPlan, LinkPlan];
  readonly connections: readonly ConnectionPlan[];
  /** Start of time, ms. */
  readonly now: number;
  /** Choose the start so that the first connection's numbers pass 2^32. */
  readonly wrapAfter: number | undefined;
}

/** Milliseconds within which the link has healed. */
const TROUBLE = 30_000;

export function drawScenario(r: Random): Scenario {
  const mtu = r.pick([1_500, 1_500, 1_500, 576, 9_000, 1_280]);
  // A super-segment that crosses whole would meet an end that cannot take it.
  const offload: readonly [OffloadKind, OffloadKind] = r.chance(0.2)
    ? ["pass", "pass"]
    : [r.pick(["off", "segment"] as const), r.pick(["off", "segment"] as const)];
  const heals = r.chance(0.3) ? 0 : r.int(500, TROUBLE);
  const delay = r.pick([0, 1, 10, 50, 200]);
  const common = { heals, mtus: drawMtus(r, mtu, heals) };
  const link: readonly [LinkPlan, LinkPlan] = [drawLink(r, delay, common), drawLink(r, r.chance(0.9) ? delay : r.int(0, 200), common)];
  const many = r.chance(0.1),
    count = many ? r.int(8, 24) : r.int(1, 4);
  const most = many ? 20_000 : r.pick([3_000, 30_000, 300_000]);
  const options = r.chance(0.7) ? ([drawOptions(r), drawOptions(r)] as const) : undefined;
  const connections = Array.from({ length: count }, () => drawConnection(r, most, options));
  return {
    mtu,
    offload,
    link,
    connections,
    now: r.pick([0, 1_000, 2 ** 31 - 3_000, r.int(0, 2 ** 33)]),
    wrapAfter: r.chance(0.4) ? r.int(0, 2 * most) : undefined,
  };
}

function drawMtus(r: Random, mtu: number, heals: number): LinkPlan["mtus"] {
  if (!r.chance(0.15)) return [];
  const first = { from: r.int(0, Math.max(1, heals)), mtu: r.int(576, Math.max(600, mtu - 1)) };
  return r.chance(0.5) ? [first] : [first, { from: first.from + r.int(100, 5_000), mtu: r.int(576, Math.max(600, mtu)) }];
}

function drawLink(r: Random, delay: number, common: Pick<LinkPlan, "heals" | "mtus">): LinkPlan {
  const some = (probability: number, most: number): number => (r.chance(probability) ? r.unit() * most : 0);
  const rate = r.chance(0.25) ? r.scale(5, 5_000) : Infinity;
  const outages: { from: number; to: number }[] = [];
  for (let left = r.chance(0.25) ? r.int(1, 3) : 0; left > 0; left--) {
    const from = r.int(0, TROUBLE),
      to = from + r.int(50, 8_000);
    outages.push({ from, to });
  }
  return {
    delay,
    jitter: some(0.5, Math.max(2, delay)),
    loss: some(0.5, r.pick([0.02, 0.1, 0.25])),
    burstEnter: some(0.25, 0.03),
    burstLeave: 0.2 + 0.5 * r.unit(),
    reorder: some(0.4, 0.2),
    duplicate: some(0.3, 0.1),
    corrupt: some(0.3, 0.05),
    mark: some(0.2, 0.1),
    rate,
    queue: r.scale(3_000, 300_000),
    outages,
    ...common,
  };
}

export function drawOptions(r: Random): Partial<TcpOptions> {
  const o: Partial<TcpOptions> = {};
  const maybe = <K extends keyof TcpOptions>(probability: number, key: K, value: () => TcpOptions[K]): void => {
    if (r.chance(probability)) o[key] = value();
  };
  maybe(0.25, "sack", () => false);
  maybe(0.2, "dsack", () => false);
  maybe(0.3, "rack", () => false);
  maybe(0.25, "tailLossProbe", () => false);
  maybe(0.25, "timestamps", () => false);
  maybe(0.2, "windowScaling", () => false);
  maybe(0.1, "windowScale", () => r.int(0, 14));
  maybe(0.4, "congestion", () => "reno");
  maybe(0.4, "receiveBuffer", () => r.scale(512, 1_000_000));
  maybe(0.4, "sendBuffer", () => r.scale(512, 1_000_000));
  maybe(0.2, "mss", () => r.int(88, 1_460));
  maybe(0.4, "ecn", () => r.pick(["off", "on"] as const));
  maybe(0.2, "delayedAck", () => r.pick([0, 10, 200, 499]));
  maybe(0.15, "ackEvery", () => r.int(1, 8));
  maybe(0.2, "quickAcks", () => r.int(0, 3));
  maybe(0.2, "strictAcks", () => true);
  maybe(0.2, "undo", () => false);
  maybe(0.2, "limitedTransmit", () => false);
  maybe(0.3, "initialWindow", () => r.int(1, 40));
  maybe(0.1, "initialReceiveWindow", () => r.scale(512, 65_535));
  maybe(0.2, "slowStartAfterIdle", () => false);
  maybe(0.2, "hystart", () => true);
  maybe(0.2, "minRto", () => r.pick([1, 10, 1_000]));
  maybe(0.1, "dupThresh", () => r.int(1, 6));
  maybe(0.1, "pmtuProbing", () => true);
  maybe(0.1, "strictAckRange", () => false);
  maybe(0.1, "strictReset", () => false);
  maybe(0.1, "synLinearTimeouts", () => r.int(1, 4));
  maybe(0.15, "keepAlive", () => true);
  if (o.keepAlive === true)
    Object.assign(o, { keepAliveIdle: r.int(200, 10_000), keepAliveInterval: r.int(2_000, 20_000), keepAliveProbes: 9 + r.int(20, 60) });
  // What the link does in its bad time must not end a connection: more tries than fit into it.
  o.synAckRetries = 12;
  o.orphanRetries = 15;
  return o;
}

function drawConnection(r: Random, most: number, options: ConnectionPlan["options"] | undefined): ConnectionPlan {
  const simultaneous = r.chance(0.08),
    aborts = r.chance(0.15);
  const client = drawApp(r, most, aborts && r.chance(0.6)),
    server = drawApp(r, most, aborts && r.chance(0.5));
  // Both waiting for the other to close would last for ever.
  const closes = client.close === "ended" && server.close === "ended" ? { close: "written" as const } : {};
  return {
    startAt: r.chance(0.5) ? 0 : r.int(0, 5_000),
    client: { ...client, ...closes },
    server,
    simultaneous,
    options: options ?? [drawOptions(r), drawOptions(r)],
  };
}

export function drawApp(r: Random, most: number, aborts: boolean): AppPlan {
  const writes = r.chance(0.15) ? 0 : r.scale(1, most);
  const slow = r.chance(0.25);
  const readPiece = slow ? Math.max(r.scale(1, 20_000), Math.ceil(most / 200)) : 0;
  return {
    writes,
    piece: r.chance(0.5) ? writes + 1 : Math.max(r.scale(1, 20_000), Math.ceil(writes / 300)),
    writePause: r.chance(0.5) ? 0 : r.scale(1, 500),
    readPiece,
    readPause: slow ? r.scale(1, 300) : 0,
    readFrom: r.chance(0.2) ? r.int(0, 20_000) : 0,
    close: r.pick(["written", "written", "ended", "drained"] as const),
    release: r.chance(0.15),
    abortAt: aborts ? r.int(0, 8_000) : undefined,
    noDelay: r.chance(0.4),
    corked: r.chance(0.1),
    shared: r.chance(0.2),
  };
}
