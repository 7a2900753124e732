/** Our filters mean what iproute2's mean: the same expressions over the same sockets, the kernel's own ss as the judge. */
import { describe, expect, test } from "vitest";
import { matches, parseFilter } from "../../src/cli/ss/filter.js";
import type { Row } from "../../src/cli/ss/row.js";
import { takeStates } from "../../src/cli/ss/states.js";
import { parseState } from "../../src/tcp/state.js";
import { inNetns, netnsMissing, type Netns } from "../support/netns.js";

/** Sockets of the kernel in several states, held by one process until its input ends. */
const SOCKETS = `
const net = require("net");
const server = (port, host) => new Promise((r) => { const s = net.createServer({ allowHalfOpen: true }, (c) => { c.on("error", () => {}); }).listen(port, host, () => r(s)); });
(async () => {
  await server(80, "127.0.0.1"); await server(7, "0.0.0.0"); await server(5001, "127.0.1.1"); await server(443, "127.0.0.1");
  const dial = (port, host, from) => new Promise((r) => { const c = net.connect({ port, host, localAddress: from, allowHalfOpen: true }, () => r(c)); c.on("error", () => {}); });
  const a = await dial(80, "127.0.0.1", "127.0.0.9"); await dial(443, "127.0.0.1"); await dial(7, "127.0.0.1", "127.0.1.9"); await dial(5001, "127.0.1.1");
  await new Promise((r) => a.end(r));
  const b = await dial(7, "127.0.0.1"); await new Promise((r) => b.once("close", r).destroy());
  setTimeout(() => console.log("ready"), 100);
})();
process.stdin.on("end", () => process.exit()).resume();`;

const rowOf = (line: string): Row => {
  const [state = "", recvQ = "", sendQ = "", local = "", peer = ""] = line.split(/\s+/);
  const end = (text: string) => ({ address: text.slice(0, text.lastIndexOf(":")), port: Number(text.slice(text.lastIndexOf(":") + 1)) });
  return {
    state: parseState(state)!,
    recvQ: Number(recvQ),
    sendQ: Number(sendQ),
    local: end(local),
    remote: peer.endsWith("*") ? undefined : end(peer),
    service: undefined,
    connection: undefined,
  };
};

/** Accepted by ss and by us, or refused by both. */
const EXPRESSIONS = [
  "dport = :80",
  "dport :80",
  "dport 80",
  "dport == 80",
  "dport eq 80",
  "sport = 80",
  "dport = http",
  "dport = :https",
  "dport != 80",
  "dport ne 80",
  "dport neq 80",
  "dport < 80",
  "dport lt 80",
  "dport <= 80",
  "dport le 80",
  "dport leq 80",
  "dport > 80",
  "dport gt 80",
  "dport >= 80",
  "dport ge :80",
  "dport geq :80",
  "sport ge :1024",
  "dst 127.0.0.1",
  "dst = 127.0.0.1",
  "dst 127.0.0.1:80",
  "dst 127.0.0.0/24",
  "dst 127.0.0.0/16:7",
  "dst :80",
  "src :80",
  "dst *:80",
  "dst *",
  "dst 127.0/16",
  "dst 127",
  "src 127.0.1.0/255.255.255.0",
  "dst 0.0.0.0",
  "not dport = 80",
  "! dport = 80",
  "not not dport = 80",
  "( dport = 80 )",
  "( dport = 80 or sport = 80 )",
  "dport = 80 | sport = 80",
  "dport = 80 || sport = 80",
  "sport = 80 & dport gt 80",
  "dst 127.0.0.1 && dport = 80",
  "dst 127.0.0.1 dport = 80",
  "dport = 80 or sport = 80 and dst 127.0.0.1",
  "sport = 80 and dst 127.0.0.9 or dport = 7",
  "not dport = 80 and sport gt 1024",
  "not ( dport = 80 or dport = 7 ) and not sport = 80",
  "dport = 80 or not sport = 80",
  "not dport = 80 or dport = 80",
  "dst 127.0.0.1 sport gt 1024 or dport = 7 src 127.0.1.9",
  "dport = 0",
  "dport = *",
  "sport = :*",
  "dst 127.0.0.1:",
  "dst 127.0.0.9:*",
  "dport = nosuch",
  "dst 256.1.1.1",
  "dst 1.2.3.4/33",
  "dst 1.2.3.4/",
  "( dport = 80",
  "dport = 80 )",
  "and",
  "dport =",
  "dport = 80 or",
  "dst gt 1.2.3.4",
  "( )",
  "dport = 1.2.3.4",
  "dport = 80 , sport = 80",
  "not",
];

describe.skipIf(netnsMissing("ss"))("filters, judged by the kernel's ss", () => {
  const withSockets = (work: (ns: Netns, rows: readonly string[]) => Promise<void>): Promise<void> =>
    inNetns(async (ns) => {
      const holder = ns.spawn(process.execPath, ["-e", SOCKETS]);
      await new Promise<void>((resolve, reject) => {
        holder.stdout?.once("data", () => resolve());
        holder.once("exit", (code) => reject(new Error(`the sockets' process ended with ${code}`)));
      });
      const rows = (await ns.must("ss", ["-tan4H"]))
        .split("\n")
        .map((l) => l.trim())
        .filter((l) => l !== "");
      expect(new Set(rows.map((r) => r.split(" ")[0])).size).toBeGreaterThanOrEqual(4);
      await work(ns, rows);
    });
  const ends = (line: string): string => line.split(/\s+/).slice(3, 5).join(" ");

  test("the same rows for the same expression, the same refusals", () =>
    withSockets(async (ns, rows) => {
      const wrong: string[] = [];
      for (const expression of EXPRESSIONS) {
        const words = expression.split(" ");
        const theirs = await ns.run("ss", ["-tan4H", ...words]);
        let ours: string[] | undefined;
        try {
          const filter = parseFilter(words);
          ours = rows
            .filter((r) => filter === undefined || matches(filter, rowOf(r)))
            .map(ends)
            .sort();
        } catch {
          ours = undefined;
        }
        const expected =
          theirs.code === 0
            ? theirs.stdout
                .split("\n")
                .map((l) => l.trim())
                .filter((l) => l !== "")
                .map(ends)
                .sort()
            : undefined;
        if (JSON.stringify(ours) !== JSON.stringify(expected)) wrong.push(`${expression}: ss says ${JSON.stringify(expected)}, we say ${JSON.stringify(ours)}`);
      }
      expect(wrong).toEqual([]);
    }));

  test("any chain of conditions gives the same rows: from left to right, whatever stands between them", () =>
    withSockets(async (ns, rows) => {
      const conditions = [
        "dport = 80",
        "sport = 80",
        "dport = 7",
        "sport gt 1024",
        "dst 127.0.0.1",
        "src 127.0.0.1",
        "not dport gt 100",
        "not src 127.0.1.0/24",
        "( sport = 7 or dport = 443 )",
      ];
      // The same 60 chains in each run: a small generator of its own, so that a failure can be seen again.
      let seed = 1;
      const next = (n: number): number => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
        return (seed >> 8) % n;
      };
      for (let k = 0; k < 60; k++) {
        const words = Array.from({ length: 2 + next(4) }, (_, i) => `${i === 0 ? "" : ["and ", "or ", ""][next(3)]}${conditions[next(conditions.length)]}`)
          .join(" ")
          .split(" ");
        const theirs = (await ns.must("ss", ["-tan4H", ...words]))
          .split("\n")
          .map((l) => l.trim())
          .filter((l) => l !== "")
          .map(ends)
          .sort();
        const filter = parseFilter(words)!;
        expect([
          words.join(" "),
          rows
            .filter((r) => matches(filter, rowOf(r)))
            .map(ends)
            .sort(),
        ]).toEqual([words.join(" "), theirs]);
      }
    }));

  test("the same states for the same words", () =>
    withSockets(async (ns, rows) => {
      const wrong: string[] = [];
      for (const words of [
        "state all",
        "state connected",
        "state synchronized",
        "state bucket",
        "state big",
        "exclude time-wait",
        "state established state close-wait",
        "state listening",
        "state fin-wait-2",
        "excl established exclude listening",
        "state connected exclude bucket",
        "state unconnected",
      ]) {
        const expected = (await ns.must("ss", ["-tan4O", ...words.split(" ")]))
          .split("\n")
          .slice(1)
          .map((l) => (/^\d/.test(l) ? `- ${l}` : l).trim())
          .filter((l) => l !== "")
          .map(ends)
          .sort();
        const { states } = takeStates(words.split(" "));
        const ours = rows
          .filter((r) => states?.has(rowOf(r).state))
          .map(ends)
          .sort();
        if (JSON.stringify(ours) !== JSON.stringify(expected)) wrong.push(`${words}: ss says ${JSON.stringify(expected)}, we say ${JSON.stringify(ours)}`);
      }
      expect(wrong).toEqual([]);
    }));
});
