/** How a real kernel client is put into each state. A scene sets the stage; what holds the state are faults, not luck. */
import type { Connection } from "../tcp/connection.js";
import type { State } from "../tcp/state.js";
import { ADDRESS, type Bench, HOST, PORT, until } from "./bench.js";
import type { LabState } from "./texts.js";

export interface Scene {
  /** As the kernel's ss prints it. */
  readonly ss: string;
  /** Where our end is meanwhile; undefined: it has no such connection. */
  readonly ours: State | undefined;
  /** Which end of the kernel's row carries our port. */
  readonly side: "dst" | "src";
  readonly port: number;
  /** Brings it about with a client of the lab's own. */
  play(bench: Bench): Promise<void>;
  /** The same with a command as the client: service and faults, then the command acts by itself. Undefined: a client cannot be in it. */
  readonly command?: { readonly behaviour: string; readonly faults?: string };
}

const LISTEN_PORT = 8080;

async function connected(bench: Bench): Promise<{ readonly socket: ReturnType<Bench["dial"]>; readonly ours: Connection }> {
  const socket = bench.dial();
  const ours = await until("the handshake", () => [...bench.rig.stack.connections()].find((c) => c.state === "ESTABLISHED"));
  await until("connect()", () => (socket.connecting ? undefined : true));
  socket.resume();
  return { socket, ours };
}
const isIn = (conn: Connection, state: State): Promise<true> => until(`our end in ${state}`, () => (conn.state === state ? true : undefined));
const server = { side: "dst", port: PORT } as const;

export const SCENES: Readonly<Record<LabState, Scene>> = {
  "SYN-SENT": {
    ...server,
    ss: "SYN-SENT",
    ours: undefined,
    command: { behaviour: "http", faults: "in syn drop" },
    async play(bench) {
      bench.serve("silent");
      bench.fault("in syn drop");
      bench.dial();
    },
  },
  "SYN-RECEIVED": {
    ss: "SYN-RECV",
    ours: "ESTABLISHED",
    side: "src",
    port: LISTEN_PORT,
    async play(bench) {
      await bench.listen(LISTEN_PORT);
      bench.fault("out ack3,ack drop");
      const nobody = { established() {}, readable() {}, writable() {}, ended() {}, closed() {} };
      const conn = bench.rig.stack.connect({ remoteAddress: HOST, remotePort: LISTEN_PORT, localAddress: ADDRESS }, nobody);
      await isIn(conn, "ESTABLISHED");
    },
  },
  "ESTABLISHED": {
    ...server,
    ss: "ESTAB",
    ours: "ESTABLISHED",
    command: { behaviour: "silent" },
    async play(bench) {
      bench.serve("silent");
      await connected(bench);
    },
  },
  "FIN-WAIT-1": {
    ...server,
    ss: "FIN-WAIT-1",
    ours: "ESTABLISHED",
    command: { behaviour: "http", faults: "in fin drop" },
    async play(bench) {
      bench.serve("silent");
      bench.fault("in fin drop");
      (await connected(bench)).socket.end();
    },
  },
  "FIN-WAIT-2": {
    ...server,
    ss: "FIN-WAIT-2",
    ours: "CLOSE-WAIT",
    command: { behaviour: "http never-close" },
    async play(bench) {
      bench.serve("silent never-close");
      const { socket, ours } = await connected(bench);
      socket.end();
      await isIn(ours, "CLOSE-WAIT");
    },
  },
  "CLOSE-WAIT": {
    ...server,
    ss: "CLOSE-WAIT",
    ours: "FIN-WAIT-2",
    command: { behaviour: "http close" },
    async play(bench) {
      bench.serve("silent");
      const { ours } = await connected(bench);
      ours.close();
      await isIn(ours, "FIN-WAIT-2");
    },
  },
  "CLOSING": {
    ...server,
    ss: "CLOSING",
    ours: "CLOSING",
    command: { behaviour: "http close", faults: "in fin hold 2s; out fin hold 1500ms; out finack drop; in finack drop" },
    async play(bench) {
      bench.serve("silent");
      const { socket, ours } = await connected(bench);
      // Only the ACKs of FINs are lost, once our FIN is out: the two ends stay exactly where the crossing put them.
      const [held] = bench.fault("as ours out fin hold; out finack drop; in finack drop");
      ours.close();
      await isIn(ours, "FIN-WAIT-1");
      socket.end();
      await isIn(ours, "CLOSING");
      bench.rig.faults.release(held);
    },
  },
  "LAST-ACK": {
    ...server,
    ss: "LAST-ACK",
    ours: "FIN-WAIT-2",
    command: { behaviour: "http length none", faults: "in fin drop" },
    async play(bench) {
      bench.serve("silent");
      bench.fault("in fin drop");
      const { socket, ours } = await connected(bench);
      ours.close();
      await isIn(ours, "FIN-WAIT-2");
      socket.end();
    },
  },
  "TIME-WAIT": {
    ...server,
    ss: "TIME-WAIT",
    ours: "LAST-ACK",
    command: { behaviour: "http", faults: "in lastack drop" },
    async play(bench) {
      bench.serve("silent");
      bench.fault("in lastack drop");
      const { socket, ours } = await connected(bench);
      socket.end();
      await isIn(ours, "LAST-ACK");
    },
  },
};

/** Our FIN comes at least this often, so that it starts the client's TIME-WAIT anew before its 60 s are over. */
export const LAB_TCP = { maxRto: 10_000, retries2: 255, orphanRetries: 255, finWait2: 3_600_000 } as const;
