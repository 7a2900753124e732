/** A server in a network namespace of its own, and the client that measures it from there. */
import type { ChildProcess } from "node:child_process";
import { existsSync, openSync, readdirSync, readFileSync, closeSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MAIN } from "../test/support/daemon.js";
import { makeNetns, type Netns } from "../test/support/netns.js";
import type { Tools } from "./tools.js";

/** What a job of the client answers: see bench/c/client.c. */
export type Answer = Readonly<Record<string, number>>;

export interface ServerPlan {
  readonly name: string;
  readonly command: readonly string[];
  /** The server is the kernel behind a veth pair, in a second namespace. */
  readonly veth?: boolean;
  /** The interface wants an address and to be set up: the server does not do so itself. */
  readonly configure?: boolean;
  /** Grows with every connection; emptied after each measurement. */
  readonly logFile?: string;
  readonly control?: string;
}

/** A client leaves its ports in TIME-WAIT for a minute and slows to a crawl once they are used up: each run has an address of its own. */
const FIRST_SOURCE = 11,
  LAST_SOURCE = 250;
/** Connections that one client holds. */
const HELD_BY_ONE = 15_000;

export class Server {
  readonly plan: ServerPlan;
  readonly #ns: Netns;
  readonly #behind: Netns | undefined;
  readonly #child: ChildProcess;
  readonly #output: string;
  readonly #tools: Tools;
  #source = FIRST_SOURCE;

  private constructor(plan: ServerPlan, tools: Tools, ns: Netns, behind: Netns | undefined, child: ChildProcess, output: string) {
    this.plan = plan;
    this.#tools = tools;
    this.#ns = ns;
    this.#behind = behind;
    this.#child = child;
    this.#output = output;
  }

  /** Resolves when the server has answered on its echo port. */
  static async start(plan: ServerPlan, tools: Tools, folder: string): Promise<Server> {
    const ns = await makeNetns();
    const behind = plan.veth === true ? await makeNetns() : undefined;
    // A wide range of ports; no IPv6, whose router solicitations are no part of the figures.
    ns.sh("sysctl -qw net.ipv4.ip_local_port_range='1024 65535' net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
    if (behind !== undefined) {
      ns.sh(`ip link add tun0 type veth peer name veth1 netns ${behind.pid}`);
      behind.sh("ip addr add 10.77.0.2/24 dev veth1; ip link set veth1 up");
    }
    const output = join(folder, `${plan.name.replaceAll(/\W+/g, "-")}.out`),
      fd = openSync(output, "a");
    const [program = "", ...args] = plan.command;
    const child = (behind ?? ns).spawn(program, args, { stdio: ["ignore", fd, fd] });
    closeSync(fd);
    const server = new Server(plan, tools, ns, behind, child, output);
    try {
      await server.#ready();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  async #ready(): Promise<void> {
    await this.#until("no interface tun0 came up", () => this.#ns.run("ip", ["link", "show", "tun0"]));
    // The queue as our own device has it: the usual 500 packets overflow without offload, and then recovery is what is measured.
    if (this.plan.configure === true) this.#ns.sh("ip addr add 10.77.0.1/24 dev tun0; ip link set tun0 txqueuelen 10000 up");
    const sources = Array.from({ length: LAST_SOURCE - FIRST_SOURCE + 1 }, (_, i) => `addr add 10.77.0.${FIRST_SOURCE + i}/24 dev tun0\n`).join("");
    await this.#until("its interface takes no addresses", () => this.#ns.run("ip", ["-force", "-batch", "-"], { input: sources }));
    await this.#until("it does not answer on port 7", () => this.#ns.run(this.#tools.client, ["connect", "-h", "10.77.0.2", "-p", "7", "-n", "1"]));
  }
  async #until(otherwise: string, run: () => Promise<{ code: number | null }>): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      if (this.#child.exitCode !== null) throw new Error(`${this.plan.name} ended: ${this.#said()}`);
      if ((await run()).code === 0) return;
      await sleep(100);
    }
    throw new Error(`${this.plan.name}: ${otherwise}: ${this.#said()}`);
  }
  #said(): string {
    return readFileSync(this.#output, "utf8").trim().slice(-1_000);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** Addresses of the client that no run has used yet, or not for long. */
  sources(count: number): string[] {
    return Array.from({ length: count }, () => {
      const n = this.#source;
      this.#source = n === LAST_SOURCE ? FIRST_SOURCE : n + 1;
      return `10.77.0.${n}`;
    });
  }

  #arguments(job: string, port: number, more: readonly string[]): string[] {
    return [job, "-h", "10.77.0.2", "-p", String(port), "-P", String(this.pid), ...more];
  }

  /** @throws Error with what the client said */
  async measure(job: string, port: number, more: readonly string[]): Promise<Answer> {
    const args = [...this.#arguments(job, port, more), "-s", this.sources(1).join(",")];
    const { code, stdout, stderr } = await this.#ns.run(this.#tools.client, args, { timeoutMs: 300_000 });
    if (this.plan.logFile !== undefined && existsSync(this.plan.logFile)) truncateSync(this.plan.logFile, 0);
    if (code !== 0)
      throw new Error(
        `${this.plan.name}: ${job}: ${stderr.trim() || `exit ${code}`}${this.#child.exitCode === null ? "" : `; the server ended: ${this.#said()}`}`,
      );
    return JSON.parse(stdout) as Answer;
  }

  /**
   * Opens connections, one after the other, and keeps them until `end` is called. By several clients: each has as many as its ports
   * and a usual limit of descriptors allow.
   * @returns seconds that the opening took
   */
  async hold(port: number, count: number): Promise<{ seconds: number; end(): Promise<void> }> {
    const clients: ChildProcess[] = [];
    let seconds = 0;
    for (let open = 0; open < count; open += HELD_BY_ONE) {
      const more = ["-n", String(Math.min(HELD_BY_ONE, count - open)), "-s", this.sources(1).join(",")];
      const client = this.#ns.spawn(this.#tools.client, this.#arguments("hold", port, more));
      clients.push(client);
      let said = "";
      client.stderr?.on("data", (chunk: Buffer) => {
        said += chunk;
      });
      const answer = await new Promise<Answer>((resolve, reject) => {
        client.stdout?.once("data", (chunk: Buffer) => resolve(JSON.parse(String(chunk)) as Answer));
        client.once("exit", () => reject(new Error(`${this.plan.name}: hold: ${said.trim()}`)));
      });
      seconds += answer["seconds"] ?? Number.NaN;
    }
    return {
      seconds,
      end: async () => {
        for (const client of clients)
          await new Promise((resolve) => {
            client.once("exit", resolve);
            client.stdin?.end();
          });
      },
    };
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Processor time of all threads so far, seconds, to the nanosecond. */
  cpu(): number {
    const tasks = `/proc/${this.pid}/task`;
    return readdirSync(tasks).reduce((sum, id) => sum + Number(readFileSync(join(tasks, id, "schedstat"), "utf8").split(" ")[0]) / 1e9, 0);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = new Promise((resolve) => this.#child.once("exit", resolve));
      this.#child.kill("SIGTERM");
      await Promise.race([gone, sleep(3_000, undefined, { ref: false })]);
    }
    await this.#ns.close();
    await this.#behind?.close();
  }
}

/** Our daemon, with transition lines to a file as in real life. @param node options of Node itself */
export function ours(name: string, folder: string, more: readonly string[] = [], node: readonly string[] = []): ServerPlan {
  const base = join(folder, name.replaceAll(/\W+/g, "-")),
    logFile = `${base}.log`,
    control = `${base}.sock`;
  return {
    name,
    command: [
      process.execPath,
      ...node,
      MAIN,
      "serve",
      "--tun",
      "tun0",
      "--host",
      "10.77.0.1/24",
      "--address",
      "10.77.0.2",
      "--control",
      control,
      "--log-format",
      "json",
      "--log-file",
      logFile,
      ...more,
    ],
    logFile,
    control,
  };
}
export const limit = (tools: Tools, plain: boolean): ServerPlan => ({
  name: plain ? "limit, plain" : "limit",
  command: [tools.responder, ...(plain ? ["plain"] : [])],
  configure: true,
});
export const kernel = (tools: Tools): ServerPlan => ({ name: "kernel", command: [tools.kernel], veth: true, configure: true });
