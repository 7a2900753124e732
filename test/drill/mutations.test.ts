/**
 * A wrong script fails: every expectation of every script is changed, one at a time (a number, a flag, an option, a time, a
 * result), and the runner must notice each change. What the language does not compare by default is not changed: PSH, the
 * order of SYN options, the value of a timestamp. One change in five runs here; DRILL_MUTATIONS=all runs them all.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { drill } from "../../src/drill/drill.js";

const ROOT = join(import.meta.dirname, "scripts");
const SCRIPTS = readdirSync(ROOT, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".pkt"))
  .sort();

const EVERY = process.env["DRILL_MUTATIONS"] === "all" ? 1 : 5;

interface Mutation {
  readonly kind: string;
  readonly line: number;
  readonly text: string;
}

const without = (text: string, part: string): string => text.replace(part, "");

/** Changes of one line that expects a packet. */
function ofPacket(line: string): [kind: string, text: string][] {
  const out: [string, string][] = [];
  const m = /^(\s*)(\*|[+\d.~ ]+?)(\s*> (?:\[[^\]]*\] )?)([SFRPUEWA.]+|-) (\d+|\.\.\.)(?::(\d+))?\((\d+)\)(.*)$/.exec(line);
  if (m === null) return out;
  const [, indent = "", time = "", arrow = "", flags = "", first = "", last = "", length = "", rest = ""] = m;
  const build = (p: { time?: string; arrow?: string; flags?: string; first?: number; length?: number; rest?: string }): string => {
    const f = p.first ?? Number(first),
      n = p.length ?? Number(length);
    const range = first === "..." ? `...(${n})` : `${f}:${(f + n) % 2 ** 32}(${n})`;
    return `${indent}${p.time ?? time}${p.arrow ?? arrow}${p.flags ?? flags} ${range}${p.rest ?? rest}`;
  };
  // On a SYN the number is the script's name for the ISN, which the host chooses.
  if (last !== "" && !flags.includes("S")) out.push(["sequence", build({ first: (Number(first) + 1) % 2 ** 32 })]);
  out.push(["length", build({ length: Number(length) + 1 })]);
  if (Number(length) > 0) out.push(["length", build({ length: Number(length) - 1 })]);
  for (const flag of "SFRE")
    out.push([`flag ${flag}`, build({ flags: flags.includes(flag) ? without(flags, flag) || "-" : `${flag}${flags.replace("-", "")}` })]);
  out.push(["flag .", build({ flags: flags.includes(".") ? without(flags, ".") || "-" : `${flags.replace("-", "")}.` })]);
  if (/ ack \d+/.test(rest)) {
    out.push(["ack", build({ rest: rest.replace(/ ack (\d+)/, (_, n: string) => ` ack ${(Number(n) + 1) % 2 ** 32}`) })]);
    out.push(["ack", build({ rest: rest.replace(/ ack \d+/, "") })]);
  } else out.push(["ack", build({ rest: ` ack 12345${rest}` })]);
  if (/ win \d+/.test(rest))
    out.push(["win", build({ rest: rest.replace(/ win (\d+)/, (_, n: string) => ` win ${Number(n) === 65_535 ? 65_534 : Number(n) + 1}`) })]);
  for (const option of ["mss", "wscale", "ecr"]) {
    if (new RegExp(`\\b${option} \\d+`).test(rest))
      out.push([option, build({ rest: rest.replace(new RegExp(`\\b${option} (\\d+)`), (_, n: string) => `${option} ${Number(n) + 1}`) })]);
  }
  if (/sack \d+/.test(rest)) {
    out.push(["sack edge", build({ rest: rest.replace(/sack (\d+):/, (_, n: string) => `sack ${Number(n) + 1}:`) })]);
    out.push(["sack edge", build({ rest: rest.replace(/sack (\d+):(\d+)/, (_, l: string, r: string) => `sack ${l}:${Number(r) + 1}`) })]);
    const swapped = rest.replace(/sack (\d+:\d+) (\d+:\d+)/, "sack $2 $1");
    if (swapped !== rest) out.push(["sack order", build({ rest: swapped })]);
  }
  if (/<[^.]/.test(rest)) out.push(["options gone", build({ rest: rest.replace(/ <[^>]*>/, "") })]);
  else if (!rest.includes("<...>") && flags.includes(".") && !flags.includes("R"))
    out.push(["option added", build({ rest: `${rest} <nop,nop,TS val 1 ecr 1>` })]);
  if (arrow.includes("["))
    out.push([
      "ecn",
      build({
        arrow: arrow.includes("ect0")
          ? arrow.replace("ect0", "noecn")
          : arrow.includes("noecn")
            ? arrow.replace("noecn", "ect0")
            : arrow.replace(/ttl \d+/, "ttl 63"),
      }),
    ]);
  if (time.trim() !== "*" && !time.includes("~")) {
    const t = Number(time.replace("+", "").trim());
    const plus = time.includes("+") ? "+" : "";
    out.push(["time later", build({ time: `${plus}${(t * 1.5 + 0.1).toFixed(3)}` })]);
    if (t >= 0.03 && plus === "+") out.push(["time earlier", build({ time: `+${(t / 2).toFixed(4)}` })]);
  }
  return out;
}

/** Changes of one line with a call, an assert, or an end time. */
function ofCall(line: string): [kind: string, text: string][] {
  const out: [string, string][] = [];
  const call = /\) = (-?\w+)( E\w+)?/.exec(line);
  // A descriptor is only a name: another number for it is another name, and what follows will not find it.
  if (call !== null && !/\b(socket|accept|epoll_create)\(/.test(line)) {
    const [whole, value = "", errno] = call;
    if (errno !== undefined)
      out.push(["errno", line.replace(whole, `) = -1 ${errno === " EBADF" ? "EIO" : "EBADF"}`)], ["success", line.replace(whole, ") = 0")]);
    else if (/^-?\d+$/.test(value)) out.push(["result", line.replace(whole, `) = ${Number(value) + 1}`)], ["failure", line.replace(whole, ") = -1 EAGAIN")]);
  }
  if (/SO_ERROR, \[/.test(line)) out.push(["so_error", line.replace(/SO_ERROR, \[\w+\]/, "SO_ERROR, [EIO]")]);
  if (/revents=/.test(line)) out.push(["revents", line.replace(/revents=[\w|]+/, "revents=POLLERR")]);
  if (/\+0\.\.\.[\d.]+ /.test(line))
    out.push(["end time", line.replace(/\+0\.\.\.([\d.]+) /, (_, t: string) => `+0...${(Number(t) * 1.5 + 0.1).toFixed(3)} `)]);
  for (const m of line.matchAll(/assert (\w+) == (\w+)/g)) {
    const [whole, name, value = ""] = m;
    out.push(
      ["assert", line.replace(whole, `assert ${name} == ${/^\d+$/.test(value) ? Number(value) + 1 : "12345"}`)],
      ["assert", line.replace(whole, `assert ${name} != ${value}`)],
    );
  }
  return out;
}

function mutationsOf(source: string): Mutation[] {
  return source.split("\n").flatMap((line, i, all) =>
    (line.startsWith("//") ? [] : [...ofPacket(line), ...ofCall(line)]).map(([kind, text]) => ({
      kind,
      line: i + 1,
      text: [...all.slice(0, i), text, ...all.slice(i + 1)].join("\n"),
    })),
  );
}

test("every changed expectation is noticed", () => {
  const survivors: string[] = [],
    kinds = new Map<string, number>();
  let killed = 0,
    total = 0,
    seen = 0;
  for (const name of SCRIPTS) {
    for (const m of mutationsOf(readFileSync(join(ROOT, name), "utf8"))) {
      if (seen++ % EVERY !== 0) continue;
      total++;
      kinds.set(m.kind, (kinds.get(m.kind) ?? 0) + 1);
      if (drill(name, m.text).result === "FAIL") killed++;
      else survivors.push(`${name}:${m.line} ${m.kind}: ${m.text.split("\n")[m.line - 1]?.trim()}`);
    }
  }
  console.log(`mutations of ${SCRIPTS.length} scripts: ${killed} of ${total} noticed (${[...kinds].map(([k, n]) => `${k} ${n}`).join(", ")})`);
  expect(total).toBeGreaterThan(1_500);
  expect(survivors).toEqual([]);
}, 300_000);
