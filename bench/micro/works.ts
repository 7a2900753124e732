/** What is timed: the steps that each frame, each connection and each log line takes. */
import { lineModule } from "../../src/observe/line-module.js";
import { LineWriter } from "../../src/observe/line-writer.js";
import type { Connection } from "../../src/tcp/connection.js";
import type { ConnectionUser } from "../../src/tcp/user.js";
import { sumHeader } from "../../src/wire/checksum.js";
import { emitIpv4, IPV4_HEADER, Ipv4Header, PROTOCOL_TCP, parseIpv4 } from "../../src/wire/ipv4.js";
import { ACK, PSH, Segment } from "../../src/wire/segment.js";
import { emitTcp, finishChecksum, parseTcp, SegmentHeader } from "../../src/wire/tcp.js";
import { createMemory } from "../../src/wire/wasm-memory.js";
import { Peer } from "./peer.js";
import type { Work } from "./runner.js";

const SEGMENT = 1_448,
  SUPER_SEGMENT = 64_000;
const SOURCE = 0x0a4d0001,
  DESTINATION = 0x0a4d0002;

const header = (): SegmentHeader => {
  const h = new SegmentHeader();
  h.sourcePort = 40_000;
  h.destinationPort = 7;
  h.ctl = ACK | PSH;
  h.window = 1_000;
  h.hasTimestamps = true;
  return h;
};
const nothing = (): void => {};
const sink: ConnectionUser = { established: nothing, writable: nothing, ended: nothing, closed: nothing, readable: (c: Connection) => c.skip(c.readable) };
const echo: ConnectionUser = {
  ...sink,
  readable(c) {
    const octets = c.peek();
    c.skip(c.send(octets));
  },
  ended: (c) => c.release(),
};

function parsing(): Work {
  const memory = createMemory(2_048),
    ip = new Ipv4Header(),
    segment = new Segment();
  const length = emitTcp(memory.bytes, IPV4_HEADER, header());
  emitIpv4(memory.bytes, 0, IPV4_HEADER + length, 0, 64, PROTOCOL_TCP, SOURCE, DESTINATION);
  return {
    name: "parse: IPv4 and TCP header with timestamps",
    run(times) {
      for (let i = 0; i < times; i++) {
        parseIpv4(memory.bytes, 0, IPV4_HEADER + length, ip);
        parseTcp(memory, IPV4_HEADER, length, SOURCE, DESTINATION, true, segment);
      }
    },
  };
}

function emitting(partial: boolean): Work {
  const bytes = createMemory(2_048).bytes,
    h = header();
  return {
    name: `emit: IPv4 and TCP header, checksum ${partial ? "left to the device" : "whole"}`,
    run(times) {
      for (let i = 0; i < times; i++) {
        h.sequence = i;
        const length = emitTcp(bytes, IPV4_HEADER, h);
        finishChecksum(bytes, IPV4_HEADER, length, SEGMENT, SOURCE, DESTINATION, 0x1234, partial);
        emitIpv4(bytes, 0, IPV4_HEADER + length + SEGMENT, 0, 64, PROTOCOL_TCP, SOURCE, DESTINATION);
      }
    },
  };
}

/** Kept, so that no sum is optimised away. */
const total = { sum: 0 };
function summing(name: string, sum: () => number): Work {
  return {
    name: `checksum: ${name}`,
    run(times) {
      for (let i = 0; i < times; i++) total.sum += sum();
    },
  };
}

/** Text arrives in order, the user takes it, an ACK leaves; all of it, from the ring to the ring. */
function receiving(link: "offload" | "plain", text: number): Work {
  const peer = new Peer(link, sink);
  let sequence = peer.open(40_000, 1);
  const theirs = peer.sequence + 1;
  return {
    name: `core, ${link}: ${text} octets arrive, an ACK leaves`,
    run(times) {
      for (let i = 0; i < times; i++) {
        peer.send(ACK | PSH, 40_000, sequence, theirs, text);
        sequence = (sequence + text) | 0;
        if ((i & 15) === 0) peer.tick();
      }
    },
  };
}

/** An ACK arrives for all that was sent, the user writes as much again, and that leaves. */
function sending(link: "offload" | "plain"): Work {
  const block = createMemory(SUPER_SEGMENT);
  let connection: Connection | undefined;
  const source: ConnectionUser = {
    ...sink,
    established: (c) => {
      connection = c;
    },
  };
  const peer = new Peer(link, source);
  const ours = peer.open(40_000, 1);
  const first = peer.sequence + 1;
  return {
    name: `core, ${link}: ${SUPER_SEGMENT} octets are sent and acknowledged`,
    run(times) {
      for (let i = 0; i < times; i++) {
        (connection as Connection).sendShared(block, 0, SUPER_SEGMENT);
        // As often as the window of congestion asks for it: one round when it has grown.
        let before = -1;
        while (before !== peer.sentText) {
          before = peer.sentText;
          peer.send(ACK, 40_000, ours, (first + peer.sentText) | 0);
        }
        peer.tick();
      }
    },
  };
}

function living(): Work {
  const peer = new Peer("offload", echo);
  let i = 0;
  return {
    name: "core: a connection's life, with an octet there and back",
    run(times) {
      for (let n = 0; n < times; n++, i++) {
        peer.life(1_024 + (i % 60_000), Math.imul(i, 7_919));
        if ((i & 31) === 0) peer.tick();
      }
    },
  };
}

/** What an arrival costs among very many connections: it must not depend on how many there are. */
function finding(connections: number): Work {
  const peer = new Peer("offload", sink);
  const theirs = new Int32Array(connections),
    sequences = new Int32Array(connections);
  for (let i = 0; i < connections; i++) {
    sequences[i] = peer.open(1_024 + i, Math.imul(i, 7_919));
    theirs[i] = peer.sequence + 1;
  }
  let i = 0;
  return {
    name: `core: an octet arrives for one of ${connections} connections`,
    run(times) {
      for (let n = 0; n < times; n++) {
        i = (i + 7_919) % connections;
        peer.send(ACK | PSH, 1_024 + i, sequences[i] as number, theirs[i] as number, 1);
        sequences[i] = (sequences[i] as number) + 1;
      }
      peer.tick();
    },
  };
}

/** Five lines for each connection, as a short one has them, up to the block that the log hands on. */
const LINES = 5;
function logging(): Work {
  const module = lineModule(LineWriter.octets);
  if (module === undefined) throw new Error("this engine has no WebAssembly with SIMD");
  const writer = new LineWriter(module, nothing);
  let id = 0;
  return {
    name: `log: ${LINES} transition lines of a connection`,
    run(times) {
      for (let n = 0; n < times; n++) {
        id++;
        const conn = { id, local: `10.77.0.2:${80}`, remote: `10.77.0.1:${id & 0xffff}` };
        for (let i = 0; i < LINES; i++) {
          const cause = { kind: "segment", flags: "S", seq: (id * 7_919) >>> 0, ack: 0, len: 0, win: 64_240 } as const;
          writer.add(
            { kind: "transition", conn, from: "LISTEN", to: "SYN-RECEIVED", cause, rule: "9293-3.10.7.2/3", ms: 0.25, sent: "S." },
            1_764_000_000_000 + (id >> 4),
          );
        }
      }
    },
  };
}

export function works(): Work[] {
  const memory = createMemory(1 << 16),
    words = createMemory(1 << 16, false);
  for (let i = 0; i < memory.bytes.length; i++) words.bytes[i] = memory.bytes[i] = (i * 31) & 255;
  return [
    parsing(),
    emitting(true),
    emitting(false),
    summing("20 octets, plain", () => sumHeader(memory.bytes, 0, 20, 0)),
    summing("1460 octets, plain", () => words.sum(0, 1_460)),
    summing("1460 octets, SIMD", () => memory.sum(0, 1_460)),
    summing("64000 octets, SIMD", () => memory.sum(0, SUPER_SEGMENT)),
    receiving("plain", SEGMENT),
    receiving("offload", SEGMENT),
    receiving("offload", SUPER_SEGMENT),
    sending("plain"),
    sending("offload"),
    living(),
    finding(100),
    finding(50_000),
    logging(),
  ];
}
