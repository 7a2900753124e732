/**
 * What one transition line costs, by our own writer and by pino's serialiser, for the same event into the same file.
 *   npx tsx scripts/bench-log.ts [lines]
 */
import { pino } from "pino";
import { Destination } from "../src/observe/destination.js";
import { Log } from "../src/observe/log.js";
import type { TcpEvent } from "../src/tcp/events.js";

const lines = Number(process.argv[2] ?? 300_000);
/** As in life: a connection has some six lines. */
const whos = Array.from({ length: Math.ceil(lines / 6) + 3_500 }, (_, id) => ({ id, local: "10.77.0.2:80", remote: `10.77.0.1:${id & 0xffff}` }));
const event = (id: number): TcpEvent =>
  ({
    kind: "transition",
    conn: whos[Math.floor(id / 6)],
    from: "LISTEN",
    to: "SYN-RECEIVED",
    cause: { kind: "segment", flags: "S", seq: (id * 7919) >>> 0, ack: 0, len: 0, win: 64_240 },
    rule: "9293-3.10.7.2/3",
    ms: 0,
    sent: "S.",
  }) as unknown as TcpEvent;

/** Processor time, since a busy machine stretches the clock's. */
async function measure(name: string, write: (id: number) => void, flush: () => Promise<void>): Promise<void> {
  for (let i = 0; i < 20_000; i++) write(i);
  await flush();
  let spent = 0;
  const cpu = process.cpuUsage();
  // In turns as the driver makes them, so that what is written asynchronously gets its chance and its cost is seen.
  for (let done = 0; done < lines; done += 200) {
    const t = process.hrtime.bigint();
    for (let i = 0; i < 200; i++) write(done + i);
    spent += Number(process.hrtime.bigint() - t);
    await new Promise(setImmediate);
  }
  await flush();
  const { user, system } = process.cpuUsage(cpu);
  console.log(
    `${name}: ${(spent / lines / 1_000).toFixed(2)} µs a line in the turn, ${((user + system) / lines).toFixed(2)} µs of processor time with the writing`,
  );
}

const log = new Log({ level: "info", format: "json", to: "/dev/null" });
await measure(
  "ours",
  (id) => log.event(event(id)),
  () => log.flush(),
);
const destination = new Destination("/dev/null");
const logger = pino({ base: null }, destination);
await measure(
  "pino's serialiser",
  (id) => {
    const e = event(id) as Extract<TcpEvent, { kind: "transition" }>;
    logger.info(
      { event: "transition", conn: e.conn.id, local: e.conn.local, remote: e.conn.remote, from: e.from, to: e.to, cause: e.cause, rule: e.rule, ms: e.ms },
      `${e.from} → ${e.to}: SYN arrived, sent SYN,ACK`,
    );
  },
  () => destination.flush(),
);
const off = new Log({ level: "warn", format: "json", to: "/dev/null" });
await measure(
  "level off",
  (id) => {
    if (off.wants("transition")) off.event(event(id));
  },
  () => off.flush(),
);
