/** `glasstcp ss`: the daemon's sockets, with the columns, flags and filters of iproute2's ss. */
import type { Command } from "commander";
import { ControlClient, defaultControlPath } from "../../control/client.js";
import type { DaemonStatus, OptionRow, SocketsAnswer } from "../../control/contract.js";
import { usageError } from "../errors.js";
import { palette, print } from "../output.js";
import { attentionTo, type BufferSizes } from "../ss/info.js";
import { kernelLines, kernelRows } from "../ss/pair.js";
import { parseSelection, selectRows, type Selection } from "../ss/select.js";
import { ssTable, summary, type Under } from "../ss/table.js";
import { watch } from "../watch.js";

interface SsFlags {
  readonly control: string;
  readonly tcp?: boolean;
  readonly udp?: boolean;
  readonly raw?: boolean;
  readonly unix?: boolean;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly all?: boolean;
  readonly listening?: boolean;
  readonly numeric?: boolean;
  readonly options?: boolean;
  readonly extended?: boolean;
  readonly memory?: boolean;
  readonly processes?: boolean;
  readonly info?: boolean;
  readonly summary?: boolean;
  readonly kill?: boolean;
  readonly header: boolean;
  readonly oneline?: boolean;
  readonly pair?: boolean;
  readonly watch?: string | true;
  readonly json?: boolean;
}

const EXAMPLES = `
FILTER := [ state STATE | exclude STATE ]… [ EXPRESSION ]
  STATE       established, syn-recv, fin-wait-1 … in any usual spelling, or a group: all, connected, synchronized, bucket, big
  EXPRESSION  dst PREFIX[:PORT], src PREFIX[:PORT], dport OP PORT, sport OP PORT; OP is = != < <= > >= or eq ne lt le gt ge;
              joined by and, or, not and brackets

Examples:
  $ glasstcp ss -tan                         all sockets
  $ glasstcp ss -tan state time-wait
  $ glasstcp ss -tanoie dport = :80
  $ glasstcp ss -tn '( sport = :80 or sport = :443 ) and dst 10.77.0.0/24'
  $ glasstcp ss -K sport = :7                abort what matches, and print it
  $ glasstcp ss -s                           totals and limits
  $ glasstcp ss -tno --pair                  the kernel's own row under each of ours

A "!" at the end of a row marks what a person should look at, with the reason.`;

export function register(program: Command): void {
  program
    .command("ss")
    .summary("the daemon's sockets, as ss shows the kernel's")
    .description("The daemon's sockets, with the columns, flags and filters of iproute2's ss.")
    .argument("[filter...]", "which sockets, see below")
    .option("-t, --tcp", "TCP only (there is nothing else): leaves the Netid column out")
    .option("-u, --udp", "accepted for the habit (ss -tulpn): there are none")
    .option("-w, --raw", "likewise")
    .option("-x, --unix", "likewise")
    .option("-r, --resolve", "likewise: addresses stay numbers")
    .option("-4, --ipv4", "IPv4 only")
    .option("-6, --ipv6", "IPv6 only: none yet")
    .option("-a, --all", "listening, half-open and TIME-WAIT as well")
    .option("-l, --listening", "listening sockets only")
    .option("-n, --numeric", "numbers instead of service names")
    .option("-o, --options", "timers")
    .option("-e, --extended", "connection id, directions still open")
    .option("-m, --memory", "octets in buffers")
    .option("-p, --processes", "the service behind each socket")
    .option("-i, --info", "the inside of TCP: rtt, cwnd, rto, who limits")
    .option("-s, --summary", "totals and limits")
    .option("-K, --kill", "abort (RST) the connections that match, and print them")
    .option("-H, --no-header", "no header line")
    .option("-O, --oneline", "one line for each socket")
    .option("--pair", "the kernel's own row of the same connection under each of ours")
    .option("--watch [seconds]", "again and again, every second unless said otherwise")
    .option("--json", "one JSON object for each socket, one a line")
    .option("--control <path>", "the daemon's control socket", defaultControlPath())
    .addHelpText("after", EXAMPLES)
    .action(async (words: string[], flags: SsFlags) => {
      const selection = parseSelection(words, { all: flags.all === true, listening: flags.listening === true });
      if (flags.kill === true && flags.watch !== undefined) throw usageError("-K and --watch do not go together", "kill once, then watch");
      const client = new ControlClient(flags.control);
      const once = (): Promise<string> => (flags.summary === true ? summarize(client, flags) : show(client, selection, flags));
      if (flags.watch === undefined) {
        const text = await once();
        if (text !== "") print(text);
        return;
      }
      await watch(once, flags.watch === true ? "1" : flags.watch);
    });
}

async function summarize(client: ControlClient, flags: SsFlags): Promise<string> {
  const [status, sockets] = await Promise.all([client.get<DaemonStatus>("/v1/status"), client.get<SocketsAnswer>("/v1/sockets")]);
  return flags.json === true
    ? JSON.stringify({ connections: status.connections, listeners: sockets.listeners.length, limits: status.limits })
    : summary(status, sockets.listeners.length);
}

async function show(client: ControlClient, selection: Selection, flags: SsFlags): Promise<string> {
  const answer = await client.get<SocketsAnswer>("/v1/sockets");
  const others = flags.udp === true || flags.raw === true || flags.unix === true;
  const none = (others && flags.tcp !== true) || (flags.ipv6 === true && flags.ipv4 !== true);
  const rows = none ? [] : selectRows(answer, selection);
  if (flags.kill === true) {
    for (const row of rows) if (row.connection !== undefined) await client.delete(`/v1/sockets/${row.connection.id}`).catch(ignoreGone);
  }
  const kernel = flags.pair === true ? await kernelRows() : undefined;
  if (flags.json === true) {
    return rows
      .map((row) =>
        JSON.stringify({
          ...(row.connection ?? { state: row.state, local: row.local, recvQ: row.recvQ, sendQ: row.sendQ, service: row.service }),
          attention: attentionTo(row),
          ...(kernel !== undefined && { kernel: kernelLines(row, kernel)?.map((l) => l.trim()) }),
        }),
      )
      .join("\n");
  }
  const under: Under = kernel === undefined ? () => undefined : (row) => kernelLines(row, kernel);
  return ssTable(
    rows,
    {
      numeric: flags.numeric === true,
      tcpOnly: flags.tcp === true && !others,
      header: flags.header,
      hideState: selection.singleState,
      timers: flags.options === true,
      extended: flags.extended === true,
      memory: flags.memory === true,
      info: flags.info === true,
      processes: flags.processes === true,
      oneLine: flags.oneline === true,
      pid: answer.pid,
      alarm: palette().red,
      sizes: flags.memory === true ? await bufferSizes(client) : { receiveBuffer: 0, sendBuffer: 0 },
    },
    under,
  );
}

async function bufferSizes(client: ControlClient): Promise<BufferSizes> {
  const { options } = await client.get<{ options: OptionRow[] }>("/v1/options");
  const of = (name: string): number => Number(options.find((o) => o.name === name)?.value ?? 0);
  return { receiveBuffer: of("receiveBuffer"), sendBuffer: of("sendBuffer") };
}

/** A connection may end between the list and the kill: that is what was wanted. */
function ignoreGone(error: unknown): void {
  if (!(error instanceof Error && error.message.startsWith("no connection"))) throw error;
}
