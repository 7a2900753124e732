/** `glasstcp serve`: the daemon in the foreground. */
import type { Command } from "commander";
import { defaultControlPath } from "../../control/client.js";
import { parseConfig, SERVE_OPTIONS, type ServeConfig, type ServeOption, type ServeWords } from "../../daemon/config.js";
import { type Daemon, startDaemon } from "../../daemon/daemon.js";
import { untilShutdown } from "../../daemon/shutdown.js";
import { presetTable } from "../../faults/presets.js";
import { Log } from "../../observe/log.js";
import { CliError } from "../errors.js";
import { palette } from "../output.js";
import { version } from "../version.js";

const EXAMPLES = `
Examples:
  $ sudo glasstcp serve                           then, in another terminal: curl http://10.77.0.2/
  $ sudo glasstcp serve --preset chaos            one port for each way in which a server can misbehave
  $ sudo glasstcp serve --fault 'port 80: out synack nth 1,2 drop'
  $ sudo glasstcp serve --offload off --impair loss=1%,delay=20ms --pcap glass.pcapng
  $ sudo glasstcp serve --address 10.77.0.0/28 --service http --set timeWait=1s --user nobody

Settings for --set: glasstcp sysctl -a, and docs. Signals: SIGINT and SIGTERM end it, SIGHUP opens the file of --log-file again.`;

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

export function register(program: Command): void {
  const serve = program
    .command("serve")
    .summary("the daemon: open the TUN, answer, say why")
    .description("Opens a TUN interface and answers on it with its own TCP, in the foreground, until Ctrl-C or SIGTERM.");
  for (const option of Object.values(SERVE_OPTIONS) as ServeOption[]) {
    const help = option.default === undefined ? option.help : `${option.help} (default: ${option.default})`;
    if (option.repeatable === true) serve.option(option.flags, help, collect);
    else serve.option(option.flags, help);
  }
  serve.addHelpText("after", EXAMPLES).action(async (words: ServeWords) => {
    const config = parseConfig(words, defaultControlPath());
    const pretty = config.logFormat === "pretty" || (config.logFormat === "auto" && config.logFile === undefined && process.stdout.isTTY === true);
    const log = openLog(config, pretty);
    const daemon = await startDaemon(config, log, version()).catch(async (error: unknown) => {
      await log.flush(300);
      throw error;
    });
    announce(daemon, config, log, pretty);
    const code = await untilShutdown(daemon, log);
    // Whatever still holds the event loop (an idle keep-alive of the API, say) must not hold the end up.
    process.exit(code);
  });
}

function openLog(config: ServeConfig, pretty: boolean): Log {
  try {
    return new Log({
      level: config.logLevel,
      format: pretty ? "pretty" : "json",
      to: config.logFile ?? 1,
      colour: config.logFile === undefined && process.stdout.isTTY === true && !process.env["NO_COLOR"],
    });
  } catch (error) {
    throw new CliError(`the log file ${config.logFile} cannot be opened: ${(error as NodeJS.ErrnoException).code}`, {
      mend: "choose another with --log-file PATH",
    });
  }
}

/** The `ready` line, whatever the log level: programs wait for it. For people, what to try. */
function announce(daemon: Daemon, config: ServeConfig, log: Log, pretty: boolean): void {
  const ready = {
    event: "ready",
    tun: daemon.tun,
    address: config.addresses[0],
    addresses: config.addresses,
    host: config.host,
    services: daemon.services.map((s) => ({ name: s.name, port: s.port })),
    offload: daemon.offload,
    control: config.control,
    ...(daemon.metricsPort !== undefined && { metrics: `${config.metrics?.host}:${daemon.metricsPort}` }),
  };
  if (!pretty) log.always(ready, `ready on ${daemon.tun}`);
  if (pretty || config.logFile !== undefined) {
    if (process.stdout.isTTY === true || pretty) process.stdout.write(banner(daemon, config));
    else process.stdout.write(`${JSON.stringify(ready)}\n`);
  }
}

function banner(daemon: Daemon, config: ServeConfig): string {
  const p = palette();
  const [address = ""] = (config.addresses[0] ?? "").split("/");
  const http = daemon.services.find((s) => s.name === "http");
  const services = daemon.preset === undefined ? daemon.services.map((s) => `${s.name} ${s.port}`).join("  ") : undefined;
  return [
    `${p.bold(`glasstcp ${version()}`)} on ${daemon.tun}: we are ${config.addresses.join(", ")}, the kernel is ${config.host}, offload ${daemon.offload}`,
    ...(services === undefined || services === "" ? [] : [`  services  ${services}`]),
    ...(daemon.preset === undefined ? [] : [presetTable(daemon.preset, address)]),
    ...(http === undefined ? [] : [`  try       ${p.cyan(`curl http://${address}${http.port === 80 ? "" : `:${http.port}`}/`)}`]),
    `  look      glasstcp ss -tan · glasstcp trace · Ctrl-C ends it`,
    "",
  ].join("\n");
}
