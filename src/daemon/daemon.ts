/** The daemon: device, stack, services, faults, log and control API, put together from a config and taken apart again. */
import { randomFillSync } from "node:crypto";
import { createServer, type Server as HttpServer } from "node:http";
import { type NetLike, type RunningService, SERVICES } from "../apps/index.js";
import { type ControlServer, serveControl } from "../control/server.js";
import type { ServiceRow } from "../control/contract.js";
import type { Device, DeviceFailure } from "../device/device.js";
import { impair, parseImpair } from "../device/impair.js";
import { openDevice } from "../device/open.js";
import { capture } from "../device/pcap.js";
import { parseBehaviour } from "../faults/behaviours.js";
import { serveBehaviour } from "../faults/endpoint.js";
import { factsOf, withFaults } from "../faults/index.js";
import { type Preset, PRESETS, startPreset } from "../faults/presets.js";
import type { Log } from "../observe/log.js";
import { createNet } from "../sockets/net.js";
import { Stack } from "../stack/stack.js";
import { Tally } from "../observe/tally.js";
import { Millis } from "../tcp/time.js";
import type { ConnectionUser } from "../tcp/user.js";
import { ConfigError, routesOf, type ServeConfig } from "./config.js";
import { type Driver, drive, systemClock } from "./driver.js";
import { dropPrivileges, resolveUser } from "./privileges.js";
import { Target } from "./target.js";

export interface Daemon {
  readonly stack: Stack;
  readonly config: ServeConfig;
  readonly tun: string;
  readonly offload: "on" | "off";
  readonly services: readonly ServiceRow[];
  readonly preset: Preset | undefined;
  /** Where metrics are served, if asked. */
  readonly metricsPort: number | undefined;
  /** Resolves when the device failed (the link was deleted); never otherwise. */
  readonly failed: Promise<DeviceFailure>;
  /** Resets live connections, removes device and control socket. Again: waits for the same end. */
  stop(): Promise<void>;
}

const NOBODY: ConnectionUser = { established() {}, readable() {}, writable() {}, ended() {}, closed() {} };

/** How many random words are fetched at once: a system call for each would be felt at each connection. */
const POOL = 1_024;

export function randomWords(): () => number {
  const pool = new Uint32Array(POOL);
  let at = POOL;
  return () => {
    if (at === POOL) {
      randomFillSync(pool);
      at = 0;
    }
    return pool[at++] as number;
  };
}

/**
 * Brings everything up in an order in which whatever fails leaves nothing behind.
 * @throws ConfigError, DeviceError, ControlError, PrivilegeError: all carry the mend
 */
export async function startDaemon(config: ServeConfig, log: Log, version: string): Promise<Daemon> {
  const undo: (() => unknown)[] = [];
  const unwind = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    return await start(config, log, version, undo, unwind);
  } catch (error) {
    await unwind();
    throw error;
  }
}

async function start(config: ServeConfig, log: Log, version: string, undo: (() => unknown)[], unwind: () => Promise<void>): Promise<Daemon> {
  const user = config.user === undefined ? undefined : resolveUser(config.user);
  const preset = config.preset === undefined ? undefined : PRESETS[config.preset];
  if (config.preset !== undefined && preset === undefined) throw new ConfigError(`--preset ${config.preset} is not one of ${Object.keys(PRESETS).join(", ")}`);
  const impairment = config.impair === undefined ? undefined : parsed("--impair", () => parseImpair(config.impair as string));
  for (const s of config.services)
    if (SERVICES[s.name] === undefined) throw new ConfigError(`--service ${s.name}: there is no such service`, `there are ${Object.keys(SERVICES).join(", ")}`);

  const clock = systemClock();
  let device: Device = await openDevice({
    driver: config.driver,
    name: config.tun,
    host: config.host,
    mtu: config.mtu,
    offload: config.offload,
    spinUs: config.spinUs,
    routes: routesOf(config),
  });
  undo.push(() => device.close());
  const offload = device.offload.checksum ? ("on" as const) : ("off" as const);
  // The capture lies next to the wire: it shows what the peer sees, after faults and impairments.
  if (config.pcap !== undefined) device = capture(device, config.pcap, { failed: (e) => log.logger.error({ event: "pcap" }, e.message) });
  if (impairment !== undefined) device = impair(device, impairment);

  const random = randomWords();
  // The faults find connections in the stack, which is made behind them.
  let stack: Stack | undefined;
  const observers = new Set<Parameters<Stack["addObserver"]>[0]>();
  const faulty = withFaults(device, {
    clock: { now: () => clock.now(), at: (at, fn) => clock.at(Millis(at), fn) },
    seed: random(),
    observer: {
      wants: (kind) => [...observers].some((o) => o.wants(kind)),
      event: (e) => {
        for (const o of observers) if (o.wants(e.kind)) o.event(e);
      },
    },
    find: factsOf(() => stack),
  });
  device = faulty.device;
  for (const spec of config.faults) parsed("--fault", () => faulty.faults.add(spec));

  const tally = new Tally();
  stack = new Stack({
    addresses: config.addresses,
    mtu: device.mtu,
    secret: Uint32Array.from({ length: 4 }, random),
    random,
    options: config.options,
    limits: config.limits,
    synCookies: config.synCookies,
    now: clock.now(),
  });
  const addObserver: Stack["addObserver"] = (o) => {
    const leave = (stack as Stack).addObserver(o);
    observers.add(o);
    return () => {
      leave();
      observers.delete(o);
    };
  };
  addObserver(log);
  addObserver(tally);

  let fail: (failure: DeviceFailure) => void = () => {};
  const failed = new Promise<DeviceFailure>((resolve) => {
    fail = resolve;
  });
  const driver: Driver = drive(device, stack, clock, fail, log);
  undo.push(() => driver.stop());

  const net = createNet(stack, { now: clock.now });
  undo.push(() => net.context.lifetime.end());
  const address = config.addresses[0]?.split("/")[0] ?? "";
  const services: ServiceRow[] = [];
  for (const s of config.services) {
    try {
      const running: RunningService = await (SERVICES[s.name] as (typeof SERVICES)[string]).start(net as unknown as NetLike, { port: s.port });
      services.push({ name: running.name, address, port: running.port });
    } catch (error) {
      if ((error as { code?: string }).code !== "EADDRINUSE") throw error;
      throw new ConfigError(
        `--service ${s.name}: port ${s.port ?? SERVICES[s.name]?.defaultPort} has a service already`,
        "give each service a port of its own",
      );
    }
  }
  for (const { port, behaviour } of config.behaviours) {
    const wanted = parsed("--behave", () => parseBehaviour(behaviour));
    try {
      serveBehaviour(stack, port, wanted, { now: () => clock.now(), at: (at, fn) => clock.at(Millis(at), fn) });
    } catch (error) {
      if ((error as { code?: string }).code !== "EADDRINUSE") throw error;
      throw new ConfigError(`--behave ${port}: the port has a service already`, "give each service a port of its own");
    }
    services.push({ name: behaviour, address, port });
  }
  if (preset !== undefined) {
    try {
      startPreset(preset, stack, faulty.faults, { now: () => clock.now(), at: (at, fn) => clock.at(Millis(at), fn) });
    } catch (error) {
      if ((error as { code?: string }).code !== "EADDRINUSE") throw error;
      throw new ConfigError(`--preset ${preset.name}: ${(error as Error).message}`, "give your own services other ports");
    }
    for (const p of preset.ports) if (p.behaviour !== undefined) services.push({ name: p.name, address, port: p.port });
  }

  const target = new Target({ config, version, log, stack, device, offload, tally, services, faults: faulty.faults, clock, addObserver });
  const control: ControlServer = await serveControl(target, config.control, user !== undefined);
  undo.push(() => control.close());
  const metrics = config.metrics === undefined ? undefined : await serveMetrics(target, config.metrics);
  if (metrics !== undefined) undo.push(() => metrics.close());

  if (user !== undefined) {
    try {
      control.chown(user.uid, user.gid);
    } catch (error) {
      log.logger.warn(
        { event: "control", code: (error as NodeJS.ErrnoException).code },
        `the control socket stays with its maker: ${user.name} cannot be given it without CAP_CHOWN`,
      );
    }
    dropPrivileges(user);
    if (!control.mayRemove())
      log.logger.warn(
        { event: "control" },
        `the control socket will stay behind, for ${user.name} may not write to its directory; the next daemon replaces it (--control in a directory of ${user.name}'s avoids it)`,
      );
  }

  const running = stack;
  let stopping: Promise<void> | undefined;
  return {
    stack: running,
    config,
    tun: device.name,
    offload,
    services,
    preset,
    failed,
    metricsPort: metrics?.port,
    stop: () =>
      (stopping ??= (async () => {
        const now = clock.now();
        // The process ends: thousands of sockets need not be taken apart one by one for it.
        for (const c of running.connections()) c.user = NOBODY;
        running.shutdown(now);
        running.transmit(now);
        await unwind();
      })()),
  };
}

/** Words that a part of the program reads for itself: what it throws is about the option. */
function parsed<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new ConfigError(`${option}: ${(error as Error).message}`);
  }
}

async function serveMetrics(target: Target, where: { host: string; port: number }): Promise<{ readonly port: number; close(): void }> {
  const server: HttpServer = createServer((request, response) => {
    const path = request.url?.split("?")[0];
    if (path === "/metrics") {
      target.metrics().then(
        (text) => response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(text),
        (error: Error) => response.writeHead(500).end(`${error.message}\n`),
      );
    } else if (path === "/healthz") response.writeHead(200, { "content-type": "text/plain" }).end("ok\n");
    else response.writeHead(404, { "content-type": "text/plain" }).end("metrics are at /metrics\n");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(new ConfigError(`--metrics ${where.host}:${where.port}: ${error.code ?? error.message}`, "choose another address or port")),
    );
    server.listen(where.port, where.host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : where.port,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
