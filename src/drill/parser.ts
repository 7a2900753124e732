/** Reads a whole script (language §1, §2): option lines, an initial command, timed events, a final command. */
import type { Command, Script, ScriptEvent, ScriptOption, Time } from "./ast.js";
import { Cursor } from "./cursor.js";
import { ScriptError } from "./errors.js";
import { tokenize } from "./lexer.js";
import { parseCall } from "./parse-call.js";
import { parsePacket } from "./parse-packet.js";
import { parseCode } from "./python.js";

/**
 * @param macros see {@link tokenize}; `--define=` lines of the script add to them
 * @throws ScriptError where the script cannot be read, Unsupported where it asks for something that is not there
 */
export function parseScript(source: string, macros: ReadonlyMap<string, string> = new Map()): Script {
  const defines = new Map<string, string>();
  for (const m of source.matchAll(/^[ \t]*--define=(\w+)=(.*)$/gm)) defines.set(m[1] as string, (m[2] as string).trim());
  const c = new Cursor(tokenize(source, new Map([...defines, ...macros])), source);

  const options: ScriptOption[] = [];
  while (c.token.kind === "option") {
    const token = c.next(),
      m = /^--(\w+)(?:=(.*))?$/s.exec(token.text);
    options.push({ line: token.line, column: token.column, name: m?.[1] ?? "", value: (m?.[2] ?? "").replaceAll('"', "") });
  }
  const init = parseCommands(c);
  const events: ScriptEvent[] = [];
  let lastAbsolute = 0;
  while (c.token.kind !== "end" && c.token.kind !== "command") {
    const event = parseEvent(c);
    const { time } = event;
    if (events.length === 0 && !(time.kind === "any" || time.us === 0)) throw new ScriptError(event, "the first event must be at time 0 or +0");
    if (time.kind === "absolute" || time.kind === "absoluteRange") {
      if (time.us < lastAbsolute) throw new ScriptError(event, `time ${time.us / 1e6} is before ${lastAbsolute / 1e6}, the last absolute time`);
      lastAbsolute = time.us;
    }
    events.push(event);
  }
  const cleanup = parseCommands(c);
  if (c.token.kind !== "end") throw c.unexpected("the end of the script; only a command without a time may stand after the last event");
  if (events.length === 0) throw new ScriptError(c.token, "the script has no events");
  return { options, init, events, cleanup };
}

function parseCommands(c: Cursor): Command[] {
  const commands: Command[] = [];
  while (c.token.kind === "command") {
    const { line, column, text } = c.next();
    commands.push({ line, column, kind: "command", text });
  }
  return commands;
}

function parseEvent(c: Cursor): ScriptEvent {
  const start = c.token,
    at = { line: start.line, column: start.column };
  const time = parseTime(c);
  const first = c.token;
  switch (true) {
    case c.isMark("<") || c.isMark(">"): {
      const action = parsePacket(c);
      if (time.kind !== "relative" && time.kind !== "absolute" && (action.kind === "icmp" || action.direction === "in"))
        throw new ScriptError(start, `a time such as "${c.source.slice(start.from, first.from).trim()}" is for expected packets only`);
      return { ...at, time, action };
    }
    case first.kind === "command":
      c.next();
      return {
        ...at,
        time: instant(time, c, start.from, first.from, at),
        action: { line: first.line, column: first.column, kind: "command", text: first.text },
      };
    case first.kind === "code":
      c.next();
      return { ...at, time: instant(time, c, start.from, first.from, at), action: { kind: "code", code: parseCode(first.text, first) } };
    default: {
      instant(time, c, start.from, first.from, at);
      const end = c.isMark("...") ? parseEnd(c, time) : undefined;
      return { ...at, time, action: parseCall(c, end, c.token) };
    }
  }
}

function instant(time: Time, c: Cursor, from: number, to: number, at: { line: number; column: number }): Time {
  if (time.kind === "relative" || time.kind === "absolute") return time;
  throw new ScriptError(at, `a time such as "${c.source.slice(from, to).trim()}" is for expected packets only`);
}

/** After `...`: when a blocking call returns, on the same base as its start. */
function parseEnd(c: Cursor, start: Time): Time {
  c.next();
  const token = c.token;
  if (c.takeMark("+") && start.kind !== "relative") throw c.unexpected("an absolute time, as the call starts at one", token);
  const us = microseconds(c);
  if (start.kind === "any" || us < start.us) throw new ScriptError(token, "the call returns before it starts");
  return { kind: start.kind === "relative" ? "relative" : "absolute", us };
}

function parseTime(c: Cursor): Time {
  if (c.takeMark("*")) return { kind: "any" };
  const relative = c.takeMark("+");
  if (!relative && c.token.kind !== "number") throw c.unexpected("an event, which begins with a time such as +0, 0.1 or *");
  const us = microseconds(c);
  if (!c.takeMark("~")) return { kind: relative ? "relative" : "absolute", us };
  const end = c.token;
  if (relative) c.mark("+", "before the end of a relative range");
  else if (c.isMark("+")) throw c.unexpected("an absolute time at the end of an absolute range");
  const endUs = microseconds(c);
  if (endUs < us) throw new ScriptError(end, "the range ends before it begins");
  return { kind: relative ? "relativeRange" : "absoluteRange", us, endUs };
}

function microseconds(c: Cursor): number {
  const token = c.token;
  if (token.kind !== "number" || token.form === "hex") throw c.unexpected("a time in seconds");
  c.next();
  return Math.round(Number(token.text) * 1e6);
}
