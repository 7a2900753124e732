/** The workbench of the lab: our TCP on a TUN in a private network, kernel sockets of this process, and the kernel's own ss. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import net from "node:net";
import { CliError } from "../cli/errors.js";
import { openTun } from "../device/tun.js";
import { parseBehaviour } from "../faults/behaviours.js";
import { type BehaviourService, serveBehaviour } from "../faults/endpoint.js";
import type { TcpOptions } from "../tcp/options.js";
import { Rig } from "../testing/rig.js";

export const HOST = "10.77.0.1",
  ADDRESS = "10.77.0.2",
  PORT = 80;

/** Kernel settings of the private network, so that a hold may outlast the kernel's own patience. Missing ones are passed over. */
const PATIENCE: Readonly<Record<string, number>> = {
  tcp_syn_retries: 127,
  tcp_synack_retries: 127,
  tcp_orphan_retries: 127,
  tcp_retries2: 127,
  tcp_fin_timeout: 3600,
};

export class Bench {
  readonly rig: Rig;
  readonly clock: { now(): number; at(when: number, run: () => void): () => void };
  readonly #sockets: net.Socket[] = [];
  readonly #servers: net.Server[] = [];

  constructor(options: { readonly tcp?: Partial<TcpOptions>; readonly synCookies?: "auto" | "off"; readonly synBacklog?: number } = {}) {
    this.rig = new Rig({
      device: openTun({ name: "lab0", host: `${HOST}/24`, mtu: 1500 }),
      addresses: [ADDRESS],
      ...(options.tcp === undefined ? {} : { options: options.tcp }),
      ...(options.synCookies === undefined ? {} : { synCookies: options.synCookies }),
      ...(options.synBacklog === undefined ? {} : { limits: { synBacklog: options.synBacklog } }),
    });
    this.clock = { now: () => this.rig.clock.now(), at: (when, run) => this.rig.clock.at(when as never, run) };
  }

  serve(behaviour: string, port = PORT): BehaviourService {
    return serveBehaviour(this.rig.stack, port, parseBehaviour(behaviour), this.clock);
  }
  /** Adds faults. @returns their ids */
  fault(spec: string): string[] {
    return this.rig.faults.add(spec).map((f) => f.id);
  }

  /** A kernel socket that connects to us. Errors are kept for whoever waits for them. */
  dial(options: Partial<net.TcpNetConnectOpts> = {}): net.Socket {
    const socket = net.connect({ host: ADDRESS, port: PORT, allowHalfOpen: true, ...options });
    socket.on("error", () => {});
    this.#sockets.push(socket);
    return socket;
  }
  /** A kernel listener that we may connect to. */
  async listen(port: number, serve: (socket: net.Socket) => void = () => {}): Promise<net.Server> {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {});
      this.#sockets.push(socket);
      serve(socket);
    });
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, HOST, resolve));
    this.#servers.push(server);
    return server;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
    this.rig.close();
  }
}

/** Lets the kernel of this (private) network try for as long as it takes. */
export function bePatient(): void {
  for (const [name, value] of Object.entries(PATIENCE)) {
    try {
      writeFileSync(`/proc/sys/net/ipv4/${name}`, String(value));
    } catch {
      // Read-only or without the name: then the kernel's own limit ends a long hold, and the count of looks says so.
    }
  }
}

/** Rows of the kernel's ss between it and us, spaces squeezed. @throws CliError when there is no ss */
export function kernelRows(port: number, side: "dst" | "src" = "dst", flags: readonly string[] = []): Promise<string[]> {
  const filter = side === "dst" ? ["dst", `${ADDRESS}:${port}`] : ["src", `${HOST}:${port}`];
  return new Promise((resolve, reject) => {
    execFile("ss", ["-tanoH", ...flags, ...filter], (error, stdout) => {
      if (error?.code === "ENOENT")
        reject(new CliError("the kernel's own ss is missing: nothing could be proved", { exitCode: 3, mend: "apt-get install iproute2" }));
      else if (error !== null) reject(new CliError(`ss failed: ${error.message}`));
      else
        resolve(
          stdout
            .split("\n")
            .map((line) => line.replace(/\s+/g, " ").trim())
            .filter((line) => line !== ""),
        );
    });
  });
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Looks every 20 ms until `look` gives something. @throws CliError that says what was waited for */
export async function until<T>(what: string, look: () => T | undefined | Promise<T | undefined>, timeoutMs = 10_000): Promise<T> {
  for (const end = performance.now() + timeoutMs; ; ) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new CliError(`waited ${timeoutMs / 1000} s in vain for ${what}`);
    await sleep(20);
  }
}
