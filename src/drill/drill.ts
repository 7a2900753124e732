/** One script from text to result: read it, choose the profile, run it. The entry that the command line and tests share. */
import type { TcpEvent } from "../tcp/events.js";
import { ScriptError, Unsupported } from "./errors.js";
import { parseScript } from "./parser.js";
import { detectProfile, PROFILES, type ProfileName } from "./profile.js";
import { Failure, Runner } from "./runner.js";
import { readSettings } from "./settings.js";

export interface DrillOptions {
  /** Default: what the script was written for, by what it names. */
  readonly profile?: ProfileName;
  /** Compare PSH and the order of SYN options. */
  readonly strict?: boolean;
  /** `-D NAME=text`. */
  readonly defines?: ReadonlyMap<string, string>;
  /** Values for the script's `--name=value` options; they win over the script's. */
  readonly settings?: ReadonlyMap<string, string>;
  readonly remoteIsn?: number;
  readonly startMs?: number;
  readonly trace?: (line: string) => void;
  readonly event?: (event: TcpEvent) => void;
}

export interface DrillResult {
  readonly file: string;
  readonly result: "PASS" | "FAIL" | "SKIP";
  /** Line of the script; undefined for a PASS. */
  readonly line?: number;
  readonly reason?: string;
  readonly wanted?: string;
  readonly got?: string;
  /** The script could not be read; nothing was run. */
  readonly unreadable?: true;
  readonly profile?: ProfileName;
  /** Asserts left out, mismatches declared not fatal. */
  readonly notes?: readonly string[];
  readonly localIsn?: number;
}

export function drill(file: string, source: string, options: DrillOptions = {}): DrillResult {
  const profileName = options.profile ?? detectProfile(source),
    profile = PROFILES[profileName];
  const base = { file, profile: profileName };
  try {
    const script = parseScript(source, options.defines);
    const settings = readSettings(script, profile, options.settings);
    const { remoteIsn, startMs, trace, event } = options;
    const runner = new Runner(script, {
      profile,
      settings,
      strict: options.strict ?? false,
      ...(remoteIsn !== undefined && { remoteIsn }),
      ...(startMs !== undefined && { startMs }),
      ...(trace !== undefined && { trace }),
      ...(event !== undefined && { event }),
    });
    const outcome = runner.run();
    return {
      ...base,
      result: "PASS",
      ...(outcome.notes.length > 0 && { notes: outcome.notes }),
      ...(outcome.localIsn !== undefined && { localIsn: outcome.localIsn }),
    };
  } catch (e) {
    if (e instanceof Failure)
      return {
        ...base,
        result: "FAIL",
        line: e.at.line,
        reason: e.message,
        ...(e.wanted !== undefined && { wanted: e.wanted }),
        ...(e.got !== undefined && { got: e.got }),
      };
    if (e instanceof Unsupported) return { ...base, result: "SKIP", line: e.at.line, reason: e.message };
    if (e instanceof ScriptError)
      return { ...base, result: "FAIL", line: e.at.line, reason: `cannot be read: ${e.message} (column ${e.at.column})`, unreadable: true };
    throw e;
  }
}
