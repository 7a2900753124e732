/** `glasstcp connect HOST PORT`: an active open from our own TCP, with standard input and output as nc has them. */
import { lookup } from "node:dns/promises";
import type { Command } from "commander";
import { createStack, type GlassStack } from "../../index.js";
import { describe, OPTIONS, parseOption, type TcpOptions } from "../../tcp/options.js";
import { CliError, usageError } from "../errors.js";
import { print } from "../output.js";

interface Options {
  readonly shutdown?: true;
  readonly port?: string;
  readonly wait?: string;
  readonly verbose?: true;
  readonly tun?: string;
  readonly host: string;
  readonly address: string;
  readonly mtu: string;
  readonly offload: string;
  readonly set?: readonly string[];
}

const DESCRIPTION =
  "Opens a connection to HOST PORT from a TCP of its own, on a TUN interface that lives as long as the command, in the current network " +
  "namespace. Standard input goes out, what comes in goes to standard output, as with nc. Addresses of this machine can be reached at " +
  "once; others where the kernel forwards for us (net.ipv4.ip_forward=1, and a route back to --address).";

const EXAMPLES = `
Examples:
  $ sudo glasstcp connect 10.78.0.1 22                  a server of this machine's kernel
  $ printf 'GET / HTTP/1.0\\r\\n\\r\\n' | sudo glasstcp connect -N -v 10.78.0.1 8080
  $ sudo glasstcp connect -w 3 --set synRetries=1 10.78.0.1 9
  $ sudo glasstcp connect -p 4000 --tun glass9 --host 10.9.0.1/30 --address 10.9.0.2 10.9.0.1 80`;

const collect = (value: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), value];

export function register(program: Command): void {
  program
    .command("connect")
    .summary("an active open from our own TCP, stdin and stdout as nc has them")
    .description(DESCRIPTION)
    .argument("<host>", "name or address")
    .argument("<port>", "1 to 65535")
    .option("-N, --shutdown", "end our side when standard input ends")
    .option("-p, --port <port>", "our own port; default: one that nobody can guess (RFC 6056)")
    .option("-w, --wait <seconds>", "give up when connecting takes longer, or nothing comes or goes for so long")
    .option("-v, --verbose", "tell each transition on standard error, with its reason")
    .option("--tun <name>", "name of the TUN interface; default: glassc and a number")
    .option("--host <cidr>", "the kernel's side of the link", "10.78.0.1/30")
    .option("--address <ip>", "our side", "10.78.0.2")
    .option("--mtu <octets>", "largest IP packet of the link", "1500")
    .option("--offload <auto|off>", "super-segments and checksums by the kernel", "auto")
    .option("--set <key=value>", "a setting of the TCP core, such as initialRto=500ms; repeatable", collect)
    .addHelpText("after", EXAMPLES)
    .action(async (host: string, port: string, options: Options) => {
      await connect(host, port, options);
    });
}

async function connect(host: string, portText: string, options: Options): Promise<void> {
  const port = number("the port", portText, 1, 65_535);
  const localPort = options.port === undefined ? undefined : number("-p", options.port, 1, 65_535);
  const wait = options.wait === undefined ? undefined : number("-w", options.wait, 0.001, 2_147_483) * 1_000;
  if (options.offload !== "auto" && options.offload !== "off") throw usageError(`--offload ${options.offload} is not one of auto, off`);
  const settings = parseSettings(options.set ?? []);
  const mtu = number("--mtu", options.mtu, 88, 65_521);
  const remote = await resolve(host);
  const stack = createStack({
    tun: { name: options.tun ?? `glassc${process.pid % 1_000_000}`, host: options.host, mtu, offload: options.offload },
    addresses: [options.address],
    options: settings,
  });
  if (options.verbose) tell(stack);
  try {
    await carry(stack, remote, port, localPort, wait, options.shutdown === true);
    await stack.drained();
  } finally {
    stack.close();
  }
}

function carry(stack: GlassStack, host: string, port: number, localPort: number | undefined, wait: number | undefined, shutdown: boolean): Promise<void> {
  const { stdin, stdout } = process;
  return new Promise((resolve, reject) => {
    // Half open: with -N our end is not the end of theirs, and without -N theirs ends it all.
    const socket = stack.net.connect({ host, port, allowHalfOpen: shutdown, ...(localPort === undefined ? {} : { localPort }) });
    const failed = (error: NodeJS.ErrnoException): void => {
      stdin.destroy();
      reject(new CliError(error.message, { ...mendFor(error.code) }));
    };
    socket.on("error", failed);
    if (wait !== undefined) {
      socket.setTimeout(wait, () => {
        if (socket.connecting) socket.destroy(Object.assign(new Error(`connect ETIMEDOUT ${host}:${port}`), { code: "ETIMEDOUT" }));
        else socket.destroy();
      });
    }
    socket.once("connect", () => {
      stdin.on("data", (chunk) => {
        if (!socket.write(chunk)) stdin.pause();
      });
      socket.on("drain", () => {
        stdin.resume();
      });
      stdin.once("end", () => {
        if (shutdown) socket.end();
      });
    });
    socket.on("data", (chunk) => {
      if (!stdout.write(chunk)) socket.pause();
    });
    stdout.on("drain", () => {
      socket.resume();
    });
    socket.once("end", () => {
      stdin.destroy();
      socket.end();
    });
    socket.once("close", (hadError: boolean) => {
      stdin.destroy();
      if (!hadError) resolve();
    });
    process.once("SIGINT", () => {
      socket.destroy();
    });
    process.once("SIGTERM", () => {
      socket.destroy();
    });
  });
}

function mendFor(code: string | undefined): { mend?: string } {
  switch (code) {
    case "ECONNREFUSED":
      return { mend: "nothing listens there" };
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
      return { mend: "is it this machine's own address? for others the kernel must forward: sysctl -w net.ipv4.ip_forward=1" };
    case "EADDRINUSE":
      return { mend: "take another port with -p" };
    default:
      return {};
  }
}

async function resolve(host: string): Promise<string> {
  try {
    return (await lookup(host, { family: 4 })).address;
  } catch {
    throw new CliError(`${host} has no IPv4 address that can be found`, { mend: "give an address" });
  }
}

function tell(stack: GlassStack): void {
  stack.on("event", (event) => {
    if (event.kind === "transition") print(`${event.conn.local} > ${event.conn.remote}  ${event.from} → ${event.to}  [${event.rule}]`, process.stderr);
    else if (event.kind === "closed")
      print(
        `${event.conn.local} > ${event.conn.remote}  closed by ${event.by}: ${event.txBytes} octets out, ${event.rxBytes} in, ${event.retransmits} retransmitted`,
        process.stderr,
      );
  });
}

function number(what: string, text: string, min: number, max: number): number {
  const n = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(n >= min && n <= max) || (min >= 1 && !Number.isInteger(n))) throw usageError(`${what} ${text} is not a number from ${min} to ${max}`);
  return n;
}

function parseSettings(texts: readonly string[]): Partial<TcpOptions> {
  const settings: Partial<TcpOptions> = {};
  for (const text of texts) {
    const at = text.indexOf("=");
    if (at < 1) throw usageError(`--set ${text} is not KEY=VALUE`, `for example --set initialRto=500ms (${describe(OPTIONS.initialRto)})`);
    try {
      Object.assign(settings, parseOption(text.slice(0, at), text.slice(at + 1)));
    } catch (error) {
      throw usageError((error as Error).message);
    }
  }
  return settings;
}
