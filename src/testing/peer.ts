/** `createPeer`: a TCP endpoint for one's own tests that misbehaves on demand and tells what happened. */
import { createPair } from "../device/pair.js";
import { openTun } from "../device/tun.js";
import { type Behaviour, formatBehaviour, parseBehaviour } from "../faults/behaviours.js";
import { type BehaviourService, serveBehaviour } from "../faults/endpoint.js";
import type { FaultInfo } from "../faults/faults.js";
import { parseFaults } from "../faults/parse.js";
import { portsOf, PRESETS, type Preset } from "../faults/presets.js";
import { createNet, type Net } from "../sockets/net.js";
import type { TcpEvent } from "../tcp/events.js";
import type { TcpOptions } from "../tcp/options.js";
import { enter, lacking, type Where } from "./namespace.js";
import type { PeerConnection } from "./record.js";
import { Rig } from "./rig.js";

export interface PeerOptions {
  /** The port that the behaviour listens on. Default 80. */
  readonly port?: number;
  /** A service and how it fails, such as "http body 1000 abort body 100". Default "http". "none": nobody listens. */
  readonly behaviour?: string;
  /** A port of the chaos preset by its name, such as "fin-mid-body": behaviour and faults in one. */
  readonly chaos?: string;
  /** Faults, in the words of `glasstcp fault add`. `port N` is not needed: there is but this peer on the wire. */
  readonly faults?: string | readonly string[];
  /** Settings of the TCP core. */
  readonly tcp?: Partial<TcpOptions>;
  /** Makes chance repeat. Default 1. */
  readonly seed?: number;
  /** "kernel" (default): real sockets of this process reach it. "memory": only `peer.client` does; needs no rights. */
  readonly link?: "kernel" | "memory";
  /** Where the interface is made. Default "own". */
  readonly namespace?: Where;
  /** "off" shows every segment as it is on a wire; "auto" (default) lets the kernel hand over super-segments. */
  readonly offload?: "auto" | "off";
  /** Octets. Default 1500. */
  readonly mtu?: number;
}

/** A fault, or several from one spec, that a test added. */
export interface PeerFault {
  readonly ids: readonly string[];
  /** Segments acted on so far. */
  readonly hits: number;
  /** Segments held now. */
  readonly held: number;
  remove(): void;
  /** Opens a hold. @returns segments let go */
  release(): number;
}

export interface Peer extends AsyncDisposable {
  /** Our address, and the kernel's on the same link. */
  readonly address: string;
  readonly hostAddress: string;
  readonly port: number;
  /** "http://10.77.1.2/" */
  readonly url: string;
  /** Connections in the order in which they began; they stay readable after their end. */
  readonly connections: readonly PeerConnection[];
  /** The nth connection, from 1; waits for it, 5 s unless told otherwise. */
  connection(n?: number, timeoutMs?: number): Promise<PeerConnection>;
  /** Everything that happened, in order. */
  readonly events: readonly TcpEvent[];
  /** Adds faults. @throws FaultSpecError that points at the wrong word */
  fault(spec: string): PeerFault;
  readonly faults: readonly FaultInfo[];
  /** Opens holds: that of one fault, or all. @returns segments let go */
  release(id?: string): number;
  /** Takes all faults away. */
  clear(): void;
  /** What later requests and connections meet. @throws FaultSpecError */
  behave(behaviour: string): void;
  readonly behaviour: string;
  /** `node:net` on the peer's own stack: to connect to a server under test, or to listen on more ports. */
  readonly net: Net;
  /** `node:net` of the other end; only with `link: "memory"`. */
  readonly client: Net;
  /** Resets what lives, removes the interface, and brings the thread back. */
  close(): Promise<void>;
}

let count = 0;

/** @throws PeerUnavailable, FaultSpecError, DeviceError */
export async function createPeer(options: PeerOptions = {}): Promise<Peer> {
  const preset = options.chaos === undefined ? undefined : portsOf(PRESETS["chaos"] as Preset, options.chaos);
  const words = options.behaviour ?? (preset === undefined ? "http" : (preset.behaviour ?? "none"));
  const behaviour = words === "none" ? undefined : parseBehaviour(words);
  const specs = [...(preset?.faults === undefined ? [] : [preset.faults]), ...(typeof options.faults === "string" ? [options.faults] : (options.faults ?? []))];
  for (const spec of specs) parseFaults(spec);
  const where = options.namespace ?? "own";
  if (options.link === "memory") return memoryPeer(options, behaviour, specs);
  const missing = lacking(where);
  if (missing !== undefined) throw missing;
  const leave = where === "own" ? enter() : (): void => {};
  // Several peers of one test share its namespace, each with a link of its own, beside a daemon on 10.77.0.0/24.
  const n = 1 + (count++ % 200);
  const [hostAddress, address] = [`10.77.${n}.1`, `10.77.${n}.2`];
  try {
    const device = openTun({ name: `glass${n}`, host: `${hostAddress}/24`, mtu: options.mtu ?? 1500, offload: options.offload ?? "auto" });
    return assemble(new Rig({ device, addresses: [address], seed: options.seed ?? 1, ...(options.tcp === undefined ? {} : { options: options.tcp }) }), {
      address,
      hostAddress,
      options,
      behaviour,
      specs,
      after: leave,
    });
  } catch (error) {
    leave();
    throw error;
  }
}

function memoryPeer(options: PeerOptions, behaviour: Behaviour | undefined, specs: readonly string[]): Peer {
  const [hostAddress, address] = ["10.77.0.1", "10.77.0.2"];
  const pair = createPair({ mtu: options.mtu ?? 1500, ...(options.offload === "off" ? {} : { offload: "pass" as const }) });
  const tcp = options.tcp === undefined ? {} : { options: options.tcp };
  const seed = options.seed ?? 1;
  const other = new Rig({ device: pair.b, addresses: [hostAddress], seed: seed + 1, ...tcp });
  const rig = new Rig({ device: pair.a, addresses: [address], seed, ...tcp });
  const client = createNet(other.stack, { now: () => other.clock.now() });
  return assemble(rig, { address, hostAddress, options, behaviour, specs, client, after: () => other.close() });
}

interface Parts {
  readonly address: string;
  readonly hostAddress: string;
  readonly options: PeerOptions;
  readonly behaviour: Behaviour | undefined;
  readonly specs: readonly string[];
  readonly client?: Net;
  readonly after: () => void;
}

function assemble(rig: Rig, parts: Parts): Peer {
  const port = parts.options.port ?? 80;
  const clock = { now: () => rig.clock.now(), at: (when: number, run: () => void) => rig.clock.at(when as never, run) };
  let service: BehaviourService | undefined;
  const behave = (b: Behaviour): void => {
    if (service === undefined) service = serveBehaviour(rig.stack, port, b, clock);
    else service.behaviour = b;
  };
  if (parts.behaviour !== undefined) behave(parts.behaviour);
  let net: Net | undefined;
  let closed: Promise<void> | undefined;
  const peer: Peer = {
    address: parts.address,
    hostAddress: parts.hostAddress,
    port,
    url: `http://${parts.address}${port === 80 ? "" : `:${port}`}/`,
    connections: rig.recorder.connections,
    connection: (n = 1, timeoutMs = 5000) => rig.recorder.connection(n, timeoutMs),
    events: rig.recorder.events,
    fault(spec) {
      const ids = rig.faults.add(spec).map((f) => f.id);
      const mine = (): FaultInfo[] => rig.faults.list().filter((f) => ids.includes(f.id));
      return {
        ids,
        get hits() {
          return mine().reduce((sum, f) => sum + f.hits, 0);
        },
        get held() {
          return mine().reduce((sum, f) => sum + f.held, 0);
        },
        remove: () => {
          for (const id of ids) rig.faults.remove(id);
        },
        release: () => ids.reduce((sum, id) => sum + rig.faults.release(id), 0),
      };
    },
    get faults() {
      return rig.faults.list();
    },
    release: (id) => rig.faults.release(id),
    clear: () => {
      rig.faults.clear();
    },
    behave: (text) => behave(parseBehaviour(text)),
    get behaviour() {
      return service === undefined ? "none" : formatBehaviour(service.behaviour);
    },
    get net() {
      return (net ??= createNet(rig.stack, { now: () => rig.clock.now() }));
    },
    get client() {
      if (parts.client === undefined) throw new TypeError('peer.client is there only with link: "memory"; with a kernel link use node:net');
      return parts.client;
    },
    close: () => (closed ??= end(rig, parts.after)),
    [Symbol.asyncDispose]: () => peer.close(),
  };
  for (const spec of parts.specs) peer.fault(spec);
  return peer;
}

async function end(rig: Rig, after: () => void): Promise<void> {
  rig.close();
  // The kernel hands our RSTs to its sockets before they are gone from under them.
  await new Promise((resolve) => setImmediate(resolve));
  after();
}
