/** What the demo does, and what must be seen for a step to have worked: the client's exit code and output, and our path of states. */
import type { Connection, Outcome } from "./story.js";

export interface Step {
  readonly title: string;
  readonly program: "curl" | "nc";
  readonly args: readonly string[];
  /** Written to the client's standard input, which then ends. */
  readonly input?: string;
  /** The command as a person types it. */
  readonly shell: string;
  /** One sentence: what to look at. */
  readonly look: string;
  /** Why it did not work; undefined when it did. */
  judge(outcome: Outcome): string | undefined;
}

/** Every way that RFC 9293 Figure 5 knows for two ends that both close in order. */
const IN_ORDER = /^LISTEN SYN-RECEIVED ESTABLISHED (CLOSE-WAIT LAST-ACK|FIN-WAIT-1( FIN-WAIT-2| CLOSING)? TIME-WAIT) CLOSED$/;
const PEER_FIRST = /^LISTEN SYN-RECEIVED ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED$/;
const WE_FIRST = /^LISTEN SYN-RECEIVED ESTABLISHED FIN-WAIT-1( FIN-WAIT-2)? TIME-WAIT CLOSED$/;

function walked(connections: readonly Connection[], path: RegExp): string | undefined {
  const [only, more] = connections;
  if (only === undefined) return "the log shows no connection";
  if (more !== undefined) return `the log shows ${connections.length} connections where one was expected`;
  return path.test(only.path) ? undefined : `an unexpected path of states: ${only.path}`;
}

/** Each complaint in turn, the first one counts. */
const first = (...complaints: (string | undefined | false)[]): string | undefined => complaints.find((c): c is string => typeof c === "string");

export const BYTES = 1_000_000;

export function stepsFor(address: string): readonly Step[] {
  return [
    {
      title: "A page about this very connection",
      program: "curl",
      args: ["-sS", "--max-time", "10", `http://${address}/`],
      shell: `curl http://${address}/`,
      look: "three-way handshake; curl has what it wants and closes first, so our side is the passive one",
      judge: (o) =>
        first(
          o.exitCode !== 0 && `curl ended with ${o.exitCode}`,
          !o.stdout.includes("ESTABLISHED") && "the page does not tell the state",
          walked(o.connections, IN_ORDER),
        ),
    },
    {
      title: "A megabyte",
      program: "curl",
      args: [
        "-sS",
        "--max-time",
        "20",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}, %{size_download} bytes in %{time_total} s\n",
        `http://${address}/bytes/${BYTES}`,
      ],
      shell: `curl -o /dev/null http://${address}/bytes/${BYTES}`,
      look: "the same path of states, whatever the size: data moves windows, not states",
      judge: (o) =>
        first(
          o.exitCode !== 0 && `curl ended with ${o.exitCode}`,
          !o.stdout.startsWith(`200, ${BYTES} bytes`) && "curl did not get every byte",
          walked(o.connections, IN_ORDER),
        ),
    },
    {
      title: "An echo, and a half-close",
      program: "nc",
      args: ["-N", "-w", "10", address, "7"],
      input: "hello",
      shell: `printf hello | nc -N ${address} 7`,
      look: "nc -N sends its FIN after hello: we are in CLOSE-WAIT, still answer, and only then send ours",
      judge: (o) =>
        first(o.exitCode !== 0 && `nc ended with ${o.exitCode}`, o.stdout !== "hello" && "hello did not come back", walked(o.connections, PEER_FIRST)),
    },
    {
      title: "The time of day",
      program: "nc",
      args: ["-w", "10", address, "13"],
      input: "",
      shell: `nc ${address} 13`,
      look: "now we close first, so TIME-WAIT is ours (60 s in real life, 1 s in this demo)",
      judge: (o) =>
        first(o.exitCode !== 0 && `nc ended with ${o.exitCode}`, !/\d\d:\d\d/.test(o.stdout) && "no time of day came", walked(o.connections, WE_FIRST)),
    },
    {
      title: "A closed port",
      program: "curl",
      args: ["-sS", "--max-time", "10", `http://${address}:81/`],
      shell: `curl http://${address}:81/`,
      look: "nobody listens there: the SYN is answered by RST at once, and curl says so with exit code 7",
      judge: (o) =>
        first(
          o.exitCode !== 7 && `curl ended with ${o.exitCode} where 7 was expected`,
          !o.lines.some((l) => l.event === "refused" && l.local?.endsWith(":81")) && "the log has no line for the refusal",
        ),
    },
  ];
}
