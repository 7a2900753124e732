/** Every port of the chaos preset against curl, Node's http, fetch and undici, and Python's http.client: what each reports, and what ss shows meanwhile. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sampleText } from "../../src/faults/endpoint.js";
import { createPeer, peerMissing } from "../../src/testing/index.js";
import { ADDRESS, chaos, portOf, startChaos, urlOf } from "../faults/chaos-rig.js";
import { CLIENT_TABLE, row as tableRow, rowsOf } from "../faults/client-table.js";
import { type Curl, curl, fetched, nodeHttp, python, ssSees, undiciRequest } from "../faults/clients.js";

interface Row {
  /** Exit code of curl, and what it says. */
  readonly exit: number | readonly number[];
  readonly says?: RegExp;
  /** More that holds of curl's transfer. */
  readonly also?: (c: Curl) => void;
  /** The kernel's row for curl's connection while it runs, or after it. */
  readonly ss?: RegExp;
  readonly flags?: readonly string[];
  /** The row that follows in the end. */
  readonly afterwards?: RegExp;
  /** Octets, or which error, for Node http, fetch, undici and Python. Where one is given it holds for all. */
  readonly others: Outcome | { readonly node: Outcome; readonly fetch: Outcome; readonly undici: Outcome; readonly python: Outcome };
  readonly curlArgs?: readonly string[];
}
type Outcome = number | RegExp;

/** Seconds that a client waits: where it shall time out, enough for a handshake and a look of ss on a busy machine. */
const patience = (row: Row): number => (row.exit === 28 ? 4 : 60);

const TIMEOUT = { node: /^TIMEOUT$/, fetch: /TimeoutError/, undici: /UND_ERR_(CONNECT|HEADERS|BODY)_TIMEOUT|TimeoutError/, python: /TimeoutError|^timeout$/ };
const RESET = { node: /ECONNRESET/, fetch: /ECONNRESET|UND_ERR_SOCKET/, undici: /ECONNRESET|UND_ERR_SOCKET/, python: /ConnectionResetError|BrokenPipeError/ };
const CUT = { node: /ECONNRESET/, fetch: /UND_ERR_SOCKET/, undici: /UND_ERR_SOCKET/, python: /IncompleteRead/ };

const ROWS: Readonly<Record<string, Row>> = {
  "ok": { exit: 0, also: (c) => expect(c).toMatchObject({ status: 200, octets: 1000 }), ss: /^TIME-WAIT 0 0 /, others: 1000 },

  "refused": {
    exit: 7,
    says: /\(7\) Failed to connect to 10\.77\.0\.2 port 8001 after \d+ ms: Couldn't connect to server/,
    others: { node: /ECONNREFUSED/, fetch: /ECONNREFUSED/, undici: /ECONNREFUSED/, python: /ConnectionRefusedError/ },
  },
  "syn-lost": {
    exit: 28,
    says: /\(28\) Connection timed out after \d+ milliseconds/,
    also: (c) => expect(c.connectS).toBe(0),
    ss: /^SYN-SENT 0 1 .* timer:\(on,/,
    others: TIMEOUT,
  },
  "synack-late": {
    exit: 0,
    also: (c) => expect(c.connectS).toBeGreaterThanOrEqual(3),
    ss: /^SYN-SENT /,
    others: 1000,
  },
  "syn-lost-twice": {
    exit: 0,
    also: (c) => expect(c.connectS).toBeGreaterThanOrEqual(2),
    ss: /^SYN-SENT /,
    others: 1000,
  },
  "synack-badsum": { exit: 28, says: /\(28\) Connection timed out/, ss: /^SYN-SENT /, others: TIMEOUT },
  "synack-wrong-ack": { exit: 28, says: /\(28\) Connection timed out/, ss: /^SYN-SENT /, others: TIMEOUT },
  "host-unreachable": {
    exit: 7,
    says: /\(7\) .*(Couldn't connect to server|No route to host)/,
    others: { node: /EHOSTUNREACH/, fetch: /EHOSTUNREACH/, undici: /EHOSTUNREACH/, python: /OSError/ },
  },

  // Who comes first is taken into the queue, everybody else finds it full.
  "never-accept": {
    exit: 28,
    says: /\(28\) (Connection timed out|Operation timed out after \d+ milliseconds with 0 bytes)/,
    ss: /^(ESTAB|SYN-SENT) /,
    others: TIMEOUT,
  },
  "reset-request": {
    exit: 56,
    says: /\(56\) Recv failure: Connection reset by peer/,
    also: (c) => expect(c).toMatchObject({ status: 0, octets: 0 }),
    others: RESET,
  },
  // The RST is on its way when the client learns that it is connected: it comes before that, before the request is sent, or behind it.
  "reset-at-once": {
    exit: [56, 55, 7],
    says: /\(56\) Recv failure: Connection reset by peer|\(55\) Send failure: (Connection reset by peer|Broken pipe)|\(7\) Failed to connect/,
    also: (c) => expect(c).toMatchObject({ status: 0, octets: 0 }),
    others: RESET,
  },
  "reset-mid-body": {
    exit: 56,
    says: /\(56\) Recv failure: Connection reset by peer/,
    also: (c) => expect(c).toMatchObject({ status: 200, octets: 100 }),
    others: RESET,
  },
  "fin-mid-body": { exit: 18, says: /\(18\) transfer closed with 900 bytes remaining to read/, also: (c) => expect(c.octets).toBe(100), others: CUT },
  "empty-reply": { exit: 52, says: /\(52\) Empty reply from server/, others: { ...CUT, python: /RemoteDisconnected/ } },
  "silent": {
    exit: 28,
    says: /\(28\) Operation timed out after \d+ milliseconds with 0 bytes received/,
    ss: /^ESTAB 0 0 (?!.*timer:\((on|persist))/,
    others: TIMEOUT,
  },
  "zero-window": {
    exit: 28,
    says: /\(28\) Operation timed out after \d+ milliseconds with 0 bytes received/,
    ss: /^ESTAB 0 [1-9]\d* .* timer:\(persist,.*rwnd_limited:.*notsent:/,
    flags: ["-iO"],
    others: TIMEOUT,
  },
  "blackhole": {
    exit: 28,
    says: /\(28\) Operation timed out after \d+ milliseconds with 0 bytes received/,
    ss: /^ESTAB 0 [1-9]\d* .* timer:\(on,/,
    others: TIMEOUT,
  },
  "late": {
    exit: 0,
    also: (c) => {
      expect(c.connectS).toBeGreaterThan(0);
      expect(c.totalS - c.connectS).toBeGreaterThanOrEqual(3);
    },
    others: 1000,
  },
  "drip": {
    exit: 0,
    also: (c) => {
      expect(c.totalS).toBeGreaterThan(3);
      expect(c.octets).toBe(100);
    },
    others: 100,
  },
  "stalls": { exit: 28, says: /\(28\) Operation timed out after \d+ milliseconds with 500 out of 1000 bytes received/, others: TIMEOUT },
  "endless-body": { exit: 28, says: /\(28\) Operation timed out after \d+ milliseconds with 1000 bytes received/, others: TIMEOUT },
  "chunk-cut": { exit: 18, says: /\(18\) transfer closed with outstanding read data remaining/, others: CUT },
  "garbage": {
    exit: 1,
    says: /\(1\) Received HTTP\/0\.9 when not allowed/,
    others: {
      node: /^HPE_INVALID_CONSTANT$/,
      fetch: /HPE_INVALID|does not match the HTTP\/1\.1 protocol/,
      undici: /HPE_INVALID|HTTPParserError/,
      python: /BadStatusLine/,
    },
  },
  "never-read": {
    exit: 28,
    says: /\(28\) Operation timed out/,
    curlArgs: ["--data-binary", "@/proc/self/exe"],
    ss: /^ESTAB 0 [1-9]\d* .* timer:\(persist,.*rwnd_limited:/,
    flags: ["-iO"],
    others: TIMEOUT,
  },
  "reset-upload": {
    exit: [55, 56],
    says: /\((55|56)\) (Send|Recv) failure: (Connection reset by peer|Broken pipe)/,
    curlArgs: ["--data-binary", "@/proc/self/exe"],
    others: 1000,
  },
  "flaky": {
    exit: [0, 7],
    says: /^$|\(7\) Failed to connect to 10\.77\.0\.2 port 8025 after \d+ ms: Couldn't connect to server/,
    others: { node: /^1000$|ECONNREFUSED/, fetch: /^1000$|ECONNREFUSED/, undici: /^1000$|ECONNREFUSED/, python: /^1000$|ConnectionRefusedError/ },
  },

  "loss": { exit: 0, also: (c) => expect(c.octets).toBe(1_000_000), others: 1_000_000 },
  "bursts": { exit: 0, also: (c) => expect(c.octets).toBe(1_000_000), others: 1_000_000 },
  "reorder": { exit: 0, also: (c) => expect(c.octets).toBe(1_000_000), others: 1_000_000 },
  "duplicate": { exit: 0, also: (c) => expect(c.octets).toBe(1_000_000), others: 1_000_000 },
  "corrupt": { exit: 0, also: (c) => expect(c.body).toBe(Buffer.from(sampleText(0, 1_000_000)).toString("latin1")), others: 1_000_000 },
  "mangle": {
    exit: 0,
    also: (c) => {
      expect(c.octets).toBe(1000);
      expect(differences(c.body)).toBe(1);
    },
    others: 1000,
  },
  "one-by-one": { exit: 0, also: (c) => expect(c.octets).toBe(100), others: 100 },
  "mtu-hole": { exit: 28, says: /\(28\) Operation timed out after \d+ milliseconds with 0 bytes received/, ss: /^ESTAB 0 0 /, others: TIMEOUT },
  "slow-link": {
    exit: 0,
    also: (c) => {
      expect(c.octets).toBe(20_000);
      expect(c.totalS).toBeGreaterThan(1.5);
    },
    others: 20_000,
  },
  "far-away": {
    exit: 0,
    also: (c) => {
      expect(c.connectS).toBeGreaterThan(0.19);
      expect(c.totalS).toBeGreaterThan(0.39);
    },
    others: 1000,
  },
  "isn-wrap": { exit: 0, also: (c) => expect(c.octets).toBe(100_000), others: 100_000 },

  "fin-unacked": { exit: 0, ss: /^FIN-WAIT-1 0 1 .* timer:\(on,/, others: 1000 },
  "never-fin": { exit: 0, ss: /^FIN-WAIT-2 0 0 .* timer:\(timewait,([3-5]\dsec|1min),0\)/, others: 1000 },
  "closing": { exit: 0, ss: /^CLOSING \d 1 .* timer:\(on,/, afterwards: /^TIME-WAIT 0 0 .* timer:\(timewait,/, others: 1000 },
  "closes-first": { exit: 0, others: 1000 },
  "last-ack": { exit: 0, ss: /^LAST-ACK \d 1 .* timer:\(on,/, others: 1000 },

  "keep-alive-race": { exit: 0, others: 1000 },
  "idle-close": { exit: 0, others: 1000 },
  "vanishes": { exit: 0, others: 1000 },
  "half-open": { exit: 0, others: 1000 },
};

/** Octets in which a body differs from what the server meant. */
function differences(body: string): number {
  const meant = sampleText(0, body.length);
  return [...Buffer.from(body, "latin1")].filter((octet, i) => octet !== meant[i]).length;
}

const judge = (got: number | string, wanted: Outcome, who: string): void => {
  if (typeof wanted === "number") expect(got, who).toBe(wanted);
  else expect(String(got), who).toMatch(wanted);
};

describe.skipIf(peerMissing())("the chaos preset", () => {
  let stop = (): void => {};
  beforeAll(() => {
    stop = startChaos().close;
  });
  afterAll(() => stop());

  test("every port of the preset has a row here", () => {
    expect(Object.keys(ROWS)).toEqual(chaos.ports.map((p) => p.name));
  });

  describe.concurrent("curl", () => {
    test.each(Object.entries(ROWS).map(([name, row]) => [name, rowsOf(name), row] as const))("%s%s", async (name, _, row) => {
      const running = curl(urlOf(name), "-m", String(patience(row)), ...(row.curlArgs ?? []));
      const seen = row.ss === undefined ? undefined : ssSees(ADDRESS, portOf(name), row.ss, 30_000, ...(row.flags ?? []));
      const c = await running;
      await seen;
      expect(c.stderr).toMatch(row.says ?? /^$/);
      expect([row.exit].flat()).toContain(c.exit);
      row.also?.(c);
      if (row.exit === 0) expect(c.status).toBe(200);
      if (row.afterwards !== undefined) await ssSees(ADDRESS, portOf(name), row.afterwards);
    });
  });

  // Where no SYN,ACK comes through there is no number to change.
  const withIsn = ["ok", ...Object.values(CLIENT_TABLE), "reset-request", "chunk-cut", "loss", "reorder", "closes-first", "keep-alive-race"].filter(
    (name, i, all) => !["refused", "syn-lost", "own"].includes(name) && all.indexOf(name) === i,
  );
  describe.concurrent(`${tableRow("ISN 0xfffffff0")}: all of it with sequence numbers that wrap within 16 octets`, () => {
    test.each(withIsn)("%s", async (name) => {
      const row = ROWS[name] as Row;
      await using peer = await createPeer({ chaos: name, faults: "out synack isn 0xfffffff0" });
      const running = curl(peer.url, "-m", String(patience(row)));
      if (row.ss !== undefined) await ssSees(peer.address, peer.port, row.ss, 30_000, ...(row.flags ?? []));
      const c = await running;
      expect([row.exit].flat()).toContain(c.exit);
      row.also?.(c);
      expect(peer.events.some((e) => e.kind === "fault" && e.act === "isn")).toBe(true);
    });
  });

  describe.concurrent("Node's http, fetch, undici, Python's http.client", () => {
    test.each(Object.entries(ROWS))("%s", async (name, row) => {
      const s = patience(row),
        url = urlOf(name);
      const wanted =
        typeof row.others === "number" || row.others instanceof RegExp
          ? { node: row.others, fetch: row.others, undici: row.others, python: row.others }
          : row.others;
      const [node, fetch, undici, py] = await Promise.all([
        nodeHttp(url, { timeout: s * 1000 }),
        fetched(url, s * 1000),
        undiciRequest(url, s * 1000),
        python(ADDRESS, portOf(name), s),
      ]);
      judge(node, wanted.node, "Node http");
      judge(fetch, wanted.fetch, "fetch");
      judge(undici, wanted.undici, "undici");
      judge(py, wanted.python, "Python");
    });
  });
});
