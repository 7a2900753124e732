/** The table of commands. Each is one file that exports `register(program)`, loaded only when it is named. Add a line to add a command. */
import type { Command } from "commander";

export interface CommandModule {
  register(program: Command): void;
}
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<CommandModule>;
}

/** In the order of `--help`. */
export const COMMANDS: readonly CommandEntry[] = [
  { name: "serve", summary: "the daemon: open the TUN, answer, say why", load: () => import("./commands/serve.js") },
  {
    name: "demo",
    summary: "the whole thing in a minute: real curl and nc against our TCP, in a network of their own",
    load: () => import("./commands/demo.js"),
  },
  { name: "sandbox", summary: "a shell, or COMMAND, in a private network with the daemon inside", load: () => import("./commands/sandbox.js") },
  { name: "ss", summary: "the daemon's sockets, as ss shows the kernel's", load: () => import("./commands/ss.js") },
  { name: "netstat", summary: "the daemon's sockets, as netstat prints them", load: () => import("./commands/netstat.js") },
  { name: "trace", summary: "follow transitions, drops, timers and segments as they happen", load: () => import("./commands/trace.js") },
  { name: "fault", summary: "misbehave on demand, by TCP meaning: drop a SYN,ACK, reset at an octet, hold a FIN", load: () => import("./commands/fault.js") },
  { name: "lab", summary: "put a real kernel client into any TCP state and hold it there; small experiments", load: () => import("./commands/lab.js") },
  { name: "sysctl", summary: "read and write the daemon's settings, under Linux's names too", load: () => import("./commands/sysctl.js") },
  { name: "connect", summary: "an active open from our own TCP, stdin and stdout as nc has them", load: () => import("./commands/connect.js") },
  { name: "drill", summary: "packet scripts against this TCP, in virtual time", load: () => import("./commands/drill.js") },
  { name: "doctor", summary: "check what is needed here; name the one command that mends what is missing", load: () => import("./commands/doctor.js") },
  { name: "states", summary: "the state machine, from the code's own table", load: () => import("./commands/states.js") },
  { name: "completion", summary: "shell completion for bash, zsh or fish", load: () => import("./commands/completion.js") },
];
