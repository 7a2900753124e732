/** `glasstcp sysctl`: the daemon's settings under Linux's names and under our own, read and written while it runs. */
import type { Command } from "commander";
import { ControlClient, defaultControlPath } from "../../control/client.js";
import type { OptionRow } from "../../control/contract.js";
import { usageError } from "../errors.js";
import { print, printJson } from "../output.js";
import { canonical, SYSCTL_NAMES } from "../sysctl.js";

interface SysctlFlags {
  readonly control: string;
  readonly all?: boolean;
  readonly values?: boolean;
  readonly write?: boolean;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("sysctl")
    .summary("read and write the daemon's settings, under Linux's names too")
    .description("Reads and writes settings of the running daemon. New values hold for connections that are opened from then on.")
    .argument("[names...]", "NAME or NAME=VALUE: Linux's names (net.ipv4.tcp_fin_timeout, or its path in /proc/sys) with Linux's units, or ours (finWait2=60s)")
    .option("-a, --all", "all settings, with where each value comes from")
    .option("-n, --values", "values only, without names")
    .option("-w, --write", "accepted for the habit; NAME=VALUE always writes")
    .option("--json", "JSON, one object a line")
    .option("--control <path>", "the daemon's control socket", defaultControlPath())
    .addHelpText(
      "after",
      `
Examples:
  $ glasstcp sysctl net.ipv4.tcp_fin_timeout
  $ glasstcp sysctl net.ipv4.tcp_fin_timeout=5
  $ glasstcp sysctl timeWait=1s congestion=reno
  $ glasstcp sysctl -a`,
    )
    .action(async (words: string[], flags: SysctlFlags) => {
      if (words.length === 0 && flags.all !== true)
        throw usageError("name a setting, or take -a for all", "for example: glasstcp sysctl net.ipv4.tcp_fin_timeout");
      const client = new ControlClient(flags.control);
      const options = new Map((await client.get<{ options: OptionRow[] }>("/v1/options")).options.map((o) => [o.name, o]));
      const show = (name: string, text: string, row: OptionRow): void =>
        flags.json === true ? printJson({ name, value: text, option: row }) : print(flags.values === true ? text : `${name} = ${text}`);

      if (flags.all === true) {
        for (const [name, linux] of Object.entries(SYSCTL_NAMES)) {
          const row = options.get(linux.option);
          if (row !== undefined) show(name, linux.show(row.value), row);
        }
        for (const row of options.values()) {
          if (flags.json === true || flags.values === true) show(row.name, String(row.value), row);
          else
            print(
              `${row.name} = ${row.value}${row.unit === undefined ? "" : ` ${row.unit}`}    # ${row.value === row.default ? "" : `default ${row.default}; `}${row.why} (${row.source})`,
            );
        }
        return;
      }
      for (const word of words) {
        const at = word.indexOf("=");
        const name = canonical((at < 0 ? word : word.slice(0, at)).trim()),
          text = at < 0 ? undefined : word.slice(at + 1).trim();
        const linux = SYSCTL_NAMES[name],
          option = linux?.option ?? name;
        let row = options.get(option);
        if (row === undefined) throw usageError(`no setting "${name}"`, "list them with: glasstcp sysctl -a");
        if (text !== undefined) {
          const value = linux === undefined ? text : linux.read(text);
          if (value === undefined) throw usageError(`"${text}" is no value of ${name}`, `it is now ${linux?.show(row.value)}`);
          const answer = await client.patch<{ options: OptionRow[] }>("/v1/options", { [option]: value });
          row = answer.options[0] ?? row;
        }
        show(name, linux === undefined ? String(row.value) : linux.show(row.value), row);
      }
    });
}
