/**
 * Blind injection (RFC 5961) into a stream that runs: RSTs, SYNs, ACKs and text with the right addresses and ports and random
 * numbers. Short form: 25,000 of each kind, 100,000 in all; ATTACK_COUNT=100000 for so many of each.
 */
import { expect, test } from "vitest";
import type { CountersAnswer } from "../../src/control/contract.js";
import { serveIn } from "../support/daemon.js";
import { flood, roomForAll } from "../support/flood.js";
import { inNetns, netnsMissing } from "../support/netns.js";

const COUNT = Number(process.env["ATTACK_COUNT"] ?? 25_000);
const RATE = 25_000,
  PORT = 40_000;

/** Sends random text to echo, 64 KiB as soon as the last came back, until its standard input ends; then says what went and what came. */
const CLIENT = `
const net = require("net"), { createHash, randomBytes } = require("crypto");
const sent = createHash("sha256"), back = createHash("sha256");
let out = 0, came = 0, over = false;
const s = net.connect({ host: "10.77.0.2", port: 7, localPort: ${PORT} });
const next = () => {
  if (over) return s.end();
  const b = randomBytes(65_536);
  sent.update(b);
  out += b.length;
  s.write(b);
};
s.on("connect", () => { console.log("open"); next(); });
s.on("data", (b) => { back.update(b); came += b.length; if (came === out) setTimeout(next, 5); });
s.on("error", (e) => { console.log(JSON.stringify({ error: e.code, out, came })); process.exit(1); });
s.on("end", () => console.log(JSON.stringify({ out, came, same: sent.digest("hex") === back.digest("hex") })));
process.stdin.on("end", () => { over = true; }).resume();`;

test.skipIf(netnsMissing("curl"))(
  "a stream both ways under blind fire: not an octet is added, lost or changed, and challenge ACKs are few",
  () =>
    inNetns(async (ns) => {
      // Without timestamps, whose absence alone would give the frames away (RFC 7323 §3.2).
      const daemon = await serveIn(ns, ["--set", "timestamps=off"]);
      const room = roomForAll(ns);
      const client = ns.spawn(process.execPath, ["-e", CLIENT]);
      let said = "";
      client.stdout?.on("data", (c: Buffer) => {
        said += c;
      });
      await daemon.event("transition", { to: "ESTABLISHED", remote: `10.77.0.1:${PORT}` });
      const start = performance.now();
      for (const kind of ["rst", "spoofed-syn", "ack", "data"]) {
        const told = await flood(ns, kind, "--port", "7", "--source", `10.77.0.1:${PORT}`, "--count", `${COUNT}`, "--rate", `${RATE}`, "--seconds", "100");
        expect(told.sent).toBe(COUNT);
        expect(client.exitCode).toBeNull();
      }
      const ended = new Promise((resolve) => client.once("close", resolve));
      client.stdin?.end();
      await ended;
      const result = JSON.parse(said.trim().split("\n").at(-1) ?? "") as { out: number; came: number; same: boolean };
      expect(result).toMatchObject({ came: result.out, same: true });
      // How many rounds there were is the machine's; that there were some, under fire, is ours.
      expect(result.out).toBeGreaterThan(200_000);
      await daemon.event("closed");
      const { stack, device, rules } = JSON.parse(
        await ns.must("curl", ["-sS", "--unix-socket", daemon.control, "http://localhost/v1/counters"]),
      ) as CountersAnswer;
      const seconds = (performance.now() - start) / 1_000;
      // They did arrive, and were answered by at most two challenge ACKs a second (invalidAckInterval).
      expect(device["rxFrames"]).toBeGreaterThan(4 * COUNT * (room ? 1 : 0.5));
      expect(rules["5961-4.2"]).toBeGreaterThan(0);
      expect(stack["challengeAcks"]).toBeGreaterThan(0);
      expect(stack["challengeAcks"]).toBeLessThanOrEqual(2 * seconds + 2);
      expect(daemon.lines.filter((l) => l.event === "closed").map((l) => l.by)).toEqual(["peer"]);
      if (process.env["ATTACK_COUNT"] !== undefined)
        console.log(
          JSON.stringify({
            each: COUNT,
            seconds: Number(seconds.toFixed(1)),
            ...result,
            rxFrames: device["rxFrames"],
            challengeAcks: stack["challengeAcks"],
            rules,
          }),
        );
      await daemon.stop();
    }),
  600_000,
);
