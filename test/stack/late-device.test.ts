/** A device that reads text after `submit` has returned, as a thread of the kernel's does: text in flight stays what it was. */
import { describe, expect, test } from "vitest";
import { PAGE } from "../../src/tcp/pages.js";
import { ACK, RST, SYN } from "../../src/wire/segment.js";
import { plainMemory } from "../../src/wire/wasm-memory.js";
import { late } from "../support/late.js";
import { Server } from "../support/server.js";
import { segment } from "../support/raw.js";

describe("what a connection leaves in flight when it goes", () => {
  test.each([
    ["is reset by the peer", (s: Server) => s.inject(segment({ ctl: RST, seq: 1_001, sourcePort: 1_000 }))],
    ["is aborted by its user", (s: Server) => s.conn.abort()],
  ])("a connection %s: the next one's text is not sent in its frames", (_, end) => {
    const s = new Server({ memory: plainMemory(new Uint8Array(128 * PAGE)) }, { offload: "off" }, late);
    const flush = (): void => s.stack.settle();
    const open = (sourcePort: number): void => {
      s.inject(segment({ ctl: SYN, seq: 1_000, mss: 1_460, sourcePort }));
      flush();
      const ack = (s.sent().at(-1)?.seg.sequence ?? 0) + 1;
      s.inject(segment({ ctl: ACK, seq: 1_001, ack, sourcePort }));
    };
    open(2_000);
    const other = s.conn;
    open(1_000);
    s.conn.send(new Uint8Array(1_000).fill(1));
    s.turn();
    end(s);
    other.send(new Uint8Array(1_000).fill(2));
    s.turn();
    flush();
    const texts = s
      .sent()
      .filter((p) => p.seg.textLength > 0)
      .map((p) => [p.seg.destinationPort, ...new Set(p.bytes.subarray(-1_000))]);
    expect(texts).toEqual([
      [1_000, 1],
      [2_000, 2],
    ]);
  });
});
