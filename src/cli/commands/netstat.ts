/** `glasstcp netstat`: the daemon's sockets as net-tools prints them, so that `netstat -nap | grep SYN_RECV` works here too. */
import type { Command } from "commander";
import { ControlClient, defaultControlPath } from "../../control/client.js";
import type { SocketsAnswer } from "../../control/contract.js";
import { print } from "../output.js";
import { SHOWN } from "../ss/states.js";
import { selectRows } from "../ss/select.js";
import { netstatTable } from "../ss/table.js";
import { STATES } from "../../tcp/state.js";

interface NetstatFlags {
  readonly control: string;
  readonly numeric?: boolean;
  readonly all?: boolean;
  readonly listening?: boolean;
  readonly programs?: boolean;
  readonly timers?: boolean;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("netstat")
    .summary("the daemon's sockets, as netstat prints them")
    .description("The daemon's sockets in netstat's columns and with its names for states.")
    .option("-n, --numeric", "numbers instead of service names")
    .option("-a, --all", "listening sockets as well")
    .option("-l, --listening", "listening sockets only")
    .option("-p, --programs", "the service behind each socket")
    .option("-o, --timers", "timers")
    .option("-t, --tcp", "TCP only (there is nothing else)")
    .option("-u, --udp", "accepted for the habit (netstat -tulpn): there are none")
    .option("--json", "one JSON object for each socket, one a line")
    .option("--control <path>", "the daemon's control socket", defaultControlPath())
    .addHelpText(
      "after",
      `
Examples:
  $ glasstcp netstat -nap | grep SYN_RECV      half-open connections: many from many sources are a SYN flood
  $ glasstcp netstat -nt | awk '{print $6}' | sort | uniq -c`,
    )
    .action(async (flags: NetstatFlags) => {
      const answer = await new ControlClient(flags.control).get<SocketsAnswer>("/v1/sockets");
      const states = flags.all === true ? STATES : flags.listening === true ? SHOWN.listening : STATES.filter((s) => s !== "LISTEN" && s !== "CLOSED");
      const rows = selectRows(answer, { states: new Set(states), filter: undefined, singleState: false });
      if (flags.json === true) {
        for (const row of rows) print(JSON.stringify(row.connection ?? { state: row.state, local: row.local, service: row.service }));
        return;
      }
      print(
        netstatTable(rows, flags.all === true ? "servers and established" : flags.listening === true ? "only servers" : "w/o servers", {
          numeric: flags.numeric === true,
          processes: flags.programs === true,
          timers: flags.timers === true,
          pid: answer.pid,
        }),
      );
    });
}
