import { describe, expect, test } from "vitest";
import type { Connection } from "../../src/tcp/connection.js";
import type { ConnectionUser } from "../../src/tcp/user.js";
import { world } from "../support/world.js";

class Recorder implements ConnectionUser {
  heard: string[] = [];
  text: Uint8Array[] = [];
  read = true;
  established(): void {
    this.heard.push("established");
  }
  readable(c: Connection): void {
    if (this.read) this.take(c);
  }
  take(c: Connection): void {
    const b = new Uint8Array(c.readable);
    c.receive(b);
    this.text.push(b);
  }
  writable(): void {
    this.heard.push("writable");
  }
  ended(): void {
    this.heard.push("ended");
  }
  closed(_: Connection, by: string): void {
    this.heard.push(`closed ${by}`);
  }
  get all(): Buffer {
    return Buffer.concat(this.text);
  }
}

describe("two stacks in memory", () => {
  for (const offload of ["off", "pass", "segment"] as const) {
    test(`handshake, text both ways, close (offload ${offload})`, () => {
      const w = world({ pair: { offload } });
      const server = new Recorder(),
        client = new Recorder();
      let s!: Connection;
      w.b.listen({ port: 80 }, (c) => {
        s = c;
        return server;
      });
      const c = w.a.connect({ remoteAddress: "10.0.0.2", remotePort: 80 }, client);
      w.run();
      expect(client.heard).toEqual(["established"]);
      expect(c.state).toBe("ESTABLISHED");
      expect(s.state).toBe("ESTABLISHED");
      expect(c.send(Buffer.from("hello"))).toBe(5);
      w.run(w.now + 100);
      expect(server.all.toString()).toBe("hello");
      const big = new Uint8Array(1_000_000).map((_, i) => i * 7);
      let sent = 0;
      server.writable = () => {
        sent += s.send(big, sent);
      };
      server.writable();
      w.run(w.now + 5_000);
      expect(sent).toBe(1_000_000);
      expect(client.all.equals(Buffer.from(big))).toBe(true);
      c.close();
      w.run(w.now + 10);
      expect(c.state).toBe("FIN-WAIT-2");
      expect(s.state).toBe("CLOSE-WAIT");
      expect(server.heard).toContain("ended");
      s.close();
      w.run(w.now + 10);
      expect(c.state).toBe("TIME-WAIT");
      expect([...w.b.connections()]).toHaveLength(0);
      w.run(w.now + 60_001);
      expect([...w.a.connections()]).toHaveLength(0);
      expect(w.events.a.filter((e) => e.kind === "transition").map((e) => e.kind === "transition" && `${e.from}>${e.to}`)).toEqual([
        "CLOSED>SYN-SENT",
        "SYN-SENT>ESTABLISHED",
        "ESTABLISHED>FIN-WAIT-1",
        "FIN-WAIT-1>FIN-WAIT-2",
        "FIN-WAIT-2>TIME-WAIT",
        "TIME-WAIT>CLOSED",
      ]);
      expect(w.a.counters.pagesUsed).toBe(0);
      expect(w.b.counters.pagesUsed).toBe(0);
      expect(w.a.nextTimeout()).toBe(Infinity);
    });
  }

  test("a reader that stops shuts the window; probes keep it alive; it opens again", () => {
    const w = world({ b: { options: { receiveBuffer: 65_536 } } });
    const server = new Recorder(),
      client = new Recorder();
    server.read = false;
    let s!: Connection;
    w.b.listen({ port: 80 }, (c) => {
      s = c;
      return server;
    });
    const c = w.a.connect({ remoteAddress: "10.0.0.2", remotePort: 80 }, client);
    w.run();
    const text = new Uint8Array(200_000).map((_, i) => i * 13);
    expect(c.send(text)).toBe(200_000);
    w.run(w.now + 60_000);
    const st = c.status(w.now);
    expect(st.sndWnd).toBe(0);
    expect(st.limitedBy).toBe("rwnd");
    expect(st.zeroWindowProbes).toBeGreaterThan(3);
    expect(s.readable).toBeGreaterThanOrEqual(65_000);
    server.read = true;
    server.take(s);
    w.run(w.now + 120_000);
    expect(server.all.equals(Buffer.from(text))).toBe(true);
  });

  test("a connection may be told where its sequence numbers begin, and text goes on past 2^32", () => {
    const w = world();
    const server = new Recorder();
    w.b.listen({ port: 80, options: { initialSequence: 0xffff_fffe } }, () => server);
    const c = w.a.connect({ remoteAddress: "10.0.0.2", remotePort: 80, options: { initialSequence: 0xffff_fff0 } }, new Recorder());
    w.run();
    expect(c.status(w.now)).toMatchObject({ iss: 0xffff_fff0, irs: 0xffff_fffe });
    c.send(Buffer.from("a text that is longer than sixteen octets"));
    w.run(w.now + 100);
    expect(server.all.toString()).toBe("a text that is longer than sixteen octets");
  });

  test("a closed port refuses", () => {
    const w = world();
    const client = new Recorder();
    w.a.connect({ remoteAddress: "10.0.0.2", remotePort: 81 }, client);
    w.run();
    expect(client.heard).toEqual(["closed refused"]);
  });
});
