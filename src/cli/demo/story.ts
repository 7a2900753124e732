/** Puts the daemon's log lines together: which connections a step made, which way each went, and whether all is over. */
import type { LogLine } from "../daemon-process.js";

export interface Connection {
  readonly id: number;
  readonly remote: string;
  readonly transitions: readonly LogLine[];
  /** States in the order in which they were entered, the first one left included. */
  readonly path: string;
  readonly over: boolean;
}

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Milliseconds that the client ran. */
  readonly ms: number;
  /** Every log line of the step. */
  readonly lines: readonly LogLine[];
  readonly connections: readonly Connection[];
}

/** Takes lines as they come; `begin` starts a step, `settled` waits for its connections to be over. */
export class Story {
  readonly all: LogLine[] = [];
  #since = 0;
  #changed: () => void = () => {};

  add(line: LogLine): void {
    this.all.push(line);
    this.#changed();
  }

  begin(): void {
    this.#since = this.all.length;
  }

  lines(): readonly LogLine[] {
    return this.all.slice(this.#since);
  }

  connections(): readonly Connection[] {
    return connectionsOf(this.lines());
  }

  /**
   * Waits until this step has at least one connection or refusal and all of its connections are CLOSED.
   * @returns false if that did not come to pass within the time, milliseconds
   */
  async settled(withinMs: number): Promise<boolean> {
    const over = (): boolean => {
      const connections = this.connections();
      return (connections.length > 0 || this.lines().some((l) => l.event === "refused")) && connections.every((c) => c.over);
    };
    const deadline = Date.now() + withinMs;
    while (!over()) {
      const left = deadline - Date.now();
      if (left <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return true;
  }
}

export function connectionsOf(lines: readonly LogLine[]): readonly Connection[] {
  const byId = new Map<number, LogLine[]>();
  for (const line of lines) {
    if (line.event !== "transition" || line.conn === undefined) continue;
    const known = byId.get(line.conn);
    if (known === undefined) byId.set(line.conn, [line]);
    else known.push(line);
  }
  return [...byId].map(([id, transitions]) => ({
    id,
    remote: transitions[0]?.remote ?? "",
    transitions,
    path: [transitions[0]?.from, ...transitions.map((t) => t.to)].join(" "),
    over: transitions.at(-1)?.to === "CLOSED",
  }));
}

/** States that a connection was in, in the order of first entry. */
export const visited = (lines: readonly LogLine[]): readonly string[] => [...new Set(connectionsOf(lines).flatMap((c) => c.path.split(" ")))];
