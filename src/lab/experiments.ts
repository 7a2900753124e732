/** Small experiments: each runs, shows and ends, and fails if what it claims does not happen. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import type net from "node:net";
import { CliError } from "../cli/errors.js";
import { sampleText } from "../faults/endpoint.js";
import { forge } from "../faults/segment.js";
import type { TcpEvent } from "../tcp/events.js";
import { parseAddress } from "../wire/ipv4.js";
import { SYN } from "../wire/segment.js";
import { ADDRESS, Bench, bePatient, HOST, kernelRows, PORT, sleep, until } from "./bench.js";
import { STORIES } from "./stories.js";
import type { Lang, Text } from "./texts.js";

export interface Experiment {
  readonly name: string;
  readonly about: Text;
  run(n: Narrator): Promise<void>;
}

export class Narrator {
  readonly lang: Lang;
  readonly #say: (line: string) => void;
  readonly #since = performance.now();
  constructor(lang: Lang, say: (line: string) => void) {
    this.lang = lang;
    this.#say = say;
  }
  /** A sentence of the story. */
  tell(en: string, zh: string): void {
    this.#say(this.lang === "zh" ? zh : en);
  }
  /** Something that was measured just now, with the seconds since the beginning. */
  see(en: string, zh: string = en): void {
    this.#say(`  ${((performance.now() - this.#since) / 1000).toFixed(2).padStart(6)} s  ${this.lang === "zh" ? zh : en}`);
  }
  /** @throws CliError when what the experiment shows did not happen */
  must(holds: boolean, what: string): void {
    if (!holds) throw new CliError(`the experiment did not show what it should: ${what}`);
  }
}

const opened = async (socket: net.Socket): Promise<net.Socket> => {
  await once(socket, "connect");
  return socket;
};
const kernelRow = async (port = PORT, flags: readonly string[] = []): Promise<string> => (await kernelRows(port, "dst", flags))[0] ?? "";
const rowLike = (pattern: RegExp, timeoutMs = 10_000, flags: readonly string[] = []): Promise<string> =>
  until(`ss to show ${pattern.source}`, async () => (await kernelRows(PORT, "dst", flags)).find((row) => pattern.test(row)), timeoutMs);

async function onBench(options: ConstructorParameters<typeof Bench>[0], work: (bench: Bench) => Promise<void>): Promise<void> {
  const bench = new Bench(options);
  try {
    await work(bench);
  } finally {
    bench.close();
  }
}

const FLOOD = 3000,
  BACKLOG = 128;
const synFlood: Experiment = {
  name: "syn-flood",
  about: {
    en: "SYNs from thousands of forged addresses: what a full backlog does, and how a cookie in the sequence number saves it",
    zh: "成千上万个伪造地址的 SYN：半连接队列满了会怎样，藏在序号里的 cookie 又怎样救场",
  },
  async run(n) {
    n.tell(
      `A SYN costs its sender nothing; a server that remembers each of them pays with memory. The backlog here holds ${BACKLOG}.\n`,
      `发一个 SYN 对攻击者毫无成本，而服务端若每个都记住，就要付出内存。这里的半连接队列只有 ${BACKLOG} 个位置。\n`,
    );
    for (const synCookies of ["off", "auto"] as const) {
      await onBench({ synCookies, synBacklog: BACKLOG }, async (bench) => {
        n.tell(
          synCookies === "off"
            ? "First without SYN cookies:"
            : "\nNow with SYN cookies (RFC 4987 §3.6): when the backlog is full, the server forgets the SYN and hides all of it in its own sequence number.",
          synCookies === "off"
            ? "先看没有 SYN cookie 的情形："
            : "\n再看有 SYN cookie 的情形（RFC 4987 §3.6）：队列满了以后，服务端不再记住 SYN，而是把一切藏进自己的初始序号。",
        );
        bench.serve("http");
        flood(bench);
        await until("the flood to arrive", () => (bench.rig.stack.counters.framesIn >= FLOOD ? true : undefined));
        const c = { ...bench.rig.stack.counters };
        n.see(
          `${FLOOD} SYNs from ${FLOOD} addresses: ${c.halfOpen} half-open connections, ${c.cookiesSent} cookies sent`,
          `${FLOOD} 个地址各发一个 SYN：半连接 ${c.halfOpen} 个，发出 cookie ${c.cookiesSent} 个`,
        );
        n.must(c.halfOpen <= BACKLOG, "the backlog keeps its bound");
        const socket = bench.dial();
        let result = false;
        socket.once("connect", () => {
          result = true;
        });
        for (let i = 0; i < 75 && !result; i++) await sleep(20);
        n.see(
          result ? "an honest client connects all the same" : "an honest client gets no answer: its SYN is dropped as all others, its row:",
          result ? "一个老实的客户端照样连上了" : "一个老实的客户端得不到回应：它的 SYN 和别人的一样被丢掉，它的行：",
        );
        if (!result) n.see(await kernelRow());
        n.must(result === (synCookies === "auto"), "only cookies let the honest client in");
      });
    }
    n.tell(
      "\nA forged address never answers the SYN,ACK, so it never sends the cookie back: it costs the server nothing. The price: options that do not fit into the cookie are lost, so it is used only in need.",
      "\n伪造的地址永远不会回应 SYN+ACK，也就永远不会送回 cookie：服务端不付任何代价。代价在于：放不进 cookie 的选项会丢失，所以只在需要时才用。",
    );
  },
};
function flood(bench: Bench): void {
  const to = parseAddress(ADDRESS) as number,
    base = parseAddress("198.18.0.0") as number;
  for (let i = 0; i < FLOOD; i++) bench.rig.device.injectIncoming(forge(base + 1 + i, 1024 + i, to, PORT, SYN, i * 7919, 0, 65_535));
}

const twoGenerals: Experiment = {
  name: "two-generals",
  about: {
    en: "why the last ACK can never be confirmed, and what TIME-WAIT has to do with it",
    zh: "为什么最后一个 ACK 永远无法被确认，以及它与 TIME-WAIT 的关系",
  },
  async run(n) {
    n.tell(
      "“Can you hear me?” – “I can. Can you hear that I can?” – “I can. Do you know that I know?” … Whoever speaks last never knows whether he was heard: no number of messages over a lossy line makes both certain. TCP does not solve it. It picks a last message, and has its sender wait.\n",
      "“你听得到吗？”——“听得到，你听得到我说听得到吗？”——“听得到，你知道我知道吗？”……最后说话的人永远不知道对方有没有听见：在会丢消息的线路上，发多少条都不能让双方都确信。TCP 并没有解决它，只是选定一条“最后的消息”，让发它的人多等一会儿。\n",
    );
    await onBench({}, async (bench) => {
      bench.serve("silent");
      bench.fault("as last in lastack nth 1,2,3 drop");
      const socket = await opened(bench.dial());
      socket.resume();
      n.see("connected; the client closes first: FIN, and our end answers ACK and FIN", "已连接；客户端先关闭：FIN，我们回 ACK 和 FIN");
      socket.end();
      n.see(await rowLike(/^TIME-WAIT/));
      n.tell("  Its ACK of our FIN is the last message – and it is lost, three times:", "  它对我们 FIN 的 ACK 就是“最后的消息”——它丢了，连丢三次：");
      const fault = (): number => bench.rig.faults.list()[0]?.hits ?? 0;
      for (let lost = 1; lost <= 3; lost++) {
        await until("the last ACK to be lost", () => (fault() >= lost ? true : undefined));
        n.see(`last ACK lost (${lost}); our end cannot know, and repeats its FIN`, `最后的 ACK 丢了（${lost}）；我们无从知道，只好重发 FIN`);
      }
      const conn = bench.rig.recorder.connections[0];
      await until("our end to close", () => (conn?.state === "CLOSED" ? true : undefined));
      n.see(
        `a client in TIME-WAIT heard each FIN and answered again: our end is CLOSED after ${conn?.retransmits} repeated FINs`,
        `处于 TIME-WAIT 的客户端每次都听到并再次回答：我们重发了 ${conn?.retransmits} 次 FIN 之后进入 CLOSED`,
      );
      n.must(conn?.closedBy === "peer" && conn.retransmits >= 3, "the FIN is repeated until an ACK comes through");
      n.see(await kernelRow());
    });
    n.tell(
      "\nThat is why the client may not forget the connection at once: had it done so, a RST would have answered our FIN. It waits 2 MSL – not because it knows that its ACK arrived, but because by then nobody would still ask.",
      "\n所以客户端不能马上忘掉这个连接：否则回答我们 FIN 的就是 RST。它等 2 MSL——不是因为它知道 ACK 到了，而是因为到那时不会再有人来问。",
    );
  },
};

const UPLOAD = 300_000;
const zeroWindow: Experiment = {
  name: "zero-window",
  about: {
    en: "a receiver that does not read: who waits for what, and what happens when the good news is lost",
    zh: "接收方不读数据：谁在等什么，而“窗口开了”的好消息丢了又会怎样",
  },
  async run(n) {
    n.tell(`The client sends ${UPLOAD} octets to an application that does not read.\n`, `客户端向一个不读数据的应用发送 ${UPLOAD} 个字节。\n`);
    await onBench({}, async (bench) => {
      const service = bench.serve("discard never-read buffer 16kB");
      const socket = await opened(bench.dial());
      socket.write(Buffer.alloc(UPLOAD));
      n.see(await rowLike(/timer:\(persist.*rwnd_limited/, 10_000, ["-iO"]));
      n.tell(
        "  Timer persist: nothing is lost, nobody is dead. The client asks now and then whether the window has opened (RFC 9293 §3.8.6.1), for ever if need be.",
        "  persist 定时器：没有丢包，也没有人死掉。客户端不时地问窗口开了没有（RFC 9293 §3.8.6.1），必要时永远问下去。",
      );
      const conn = bench.rig.recorder.connections[0];
      // Linux asks with an octet number that we have acknowledged already, and no text.
      const isProbe = (e: TcpEvent): boolean => e.kind === "segment" && e.dir === "in" && e.len === 0 && e.relSeq === (conn?.status?.rcvNxt ?? 0) - 1;
      await until("a probe", () => (bench.rig.recorder.events.some(isProbe) ? true : undefined));
      n.see("the client has probed; our answer says again: window 0", "客户端探测过了；我们的回答仍是：窗口 0");
      bench.fault("as news out ack times 1 drop");
      service.behaviour = { ...service.behaviour, neverRead: false };
      for (const e of service.endpoints) e.readable();
      await until("the window update to be lost", () => ((bench.rig.faults.list().find((f) => f.id === "news")?.hits ?? 0) > 0 ? true : undefined));
      n.see("the application reads, the window opens – and the segment that says so is lost", "应用开始读，窗口打开——可是报告这件事的报文丢了");
      await until("all octets", () => ((conn?.status?.bytesReceived ?? 0) >= UPLOAD ? true : undefined), 30_000);
      n.see(`all ${UPLOAD} octets have arrived: the next probe found the window open`, `${UPLOAD} 个字节全部到达：下一次探测发现窗口已开`);
    });
    n.tell(
      "\nWithout probes both ends would wait for ever: the sender for a window, the receiver for text. An ACK without text is never repeated by itself.",
      "\n如果没有探测，双方会永远等下去：发送方等窗口，接收方等数据。不带数据的 ACK 自己是不会重发的。",
    );
  },
};

const WRAP_BODY = 200_000,
  WRAP_ISN = 0xffff_fff0;
const wrap: Experiment = {
  name: "wrap",
  about: {
    en: "an initial sequence number just below 2^32: the circle closes after 16 octets, and nothing happens",
    zh: "初始序号紧挨 2^32：16 个字节之后绕回零点，而什么也不会发生",
  },
  async run(n) {
    n.tell(
      `Sequence numbers are points on a circle of 2^32. Ours starts at ${WRAP_ISN}, ${2 ** 32 - WRAP_ISN} before the wrap.\n`,
      `序号是 2^32 圆周上的点。我们从 ${WRAP_ISN} 开始，离绕回还差 ${2 ** 32 - WRAP_ISN}。\n`,
    );
    await onBench({}, async (bench) => {
      bench.serve(`http body ${WRAP_BODY} length none`);
      bench.fault(`out synack isn ${WRAP_ISN}`);
      const seen: number[] = [];
      const forward = bench.rig.faults.outlets.toPeer;
      bench.rig.faults.outlets.toPeer = (frame) => {
        seen.push(frame.bytes.length >= 28 ? new DataView(frame.bytes.buffer, frame.bytes.byteOffset).getUint32(24) : 0);
        forward(frame);
      };
      const socket = await opened(bench.dial());
      const chunks: Buffer[] = [];
      socket.on("data", (c: Buffer) => chunks.push(c));
      socket.write("GET / HTTP/1.0\r\n\r\n");
      await once(socket, "end");
      const body = Buffer.concat(chunks).subarray(Buffer.concat(chunks).indexOf("\r\n\r\n") + 4);
      const last = seen.findLast((s) => s < 2 ** 31) ?? 0;
      n.see(
        `first segment at ${seen[0]}, the last at ${last}: smaller as a number, later on the circle`,
        `第一个报文的序号 ${seen[0]}，最后一个 ${last}：数字变小了，在圆上却更靠后`,
      );
      const hash = (b: Uint8Array): string => createHash("sha256").update(b).digest("hex").slice(0, 16);
      n.see(
        `sha256 of what was meant ${hash(sampleText(0, WRAP_BODY))}, of what arrived ${hash(body)}`,
        `应发内容的 sha256 ${hash(sampleText(0, WRAP_BODY))}，收到的 ${hash(body)}`,
      );
      n.must(seen[0] === WRAP_ISN && last > 0 && last < WRAP_BODY * 2 && hash(body) === hash(sampleText(0, WRAP_BODY)), "the stream survives the wrap");
    });
    n.tell(
      "\nWhoever compares sequence numbers with < breaks here. Right is the difference modulo 2^32, read as a signed number (RFC 9293 §3.4).",
      "\n用 < 直接比较序号的程序会在这里出错。正确的做法是取模 2^32 的差，再看作有符号数（RFC 9293 §3.4）。",
    );
  },
};

const LISTEN_PORT = 8080,
  LOCAL_PORT = 40_404;
const timeWait: Experiment = {
  name: "time-wait",
  about: { en: "who gets TIME-WAIT, and what a new SYN to such a port really earns", zh: "TIME-WAIT 归谁，向这样的端口再发 SYN 到底会怎样" },
  async run(n) {
    n.tell(
      "TIME-WAIT belongs to whoever closes first. Here our TCP is the client of a kernel server that closes first.\n",
      "TIME-WAIT 属于先关闭的一方。这里由我们的 TCP 做客户端，内核做服务端并先关闭。\n",
    );
    await onBench({}, async (bench) => {
      await bench.listen(LISTEN_PORT, (socket) => {
        socket.resume();
        socket.end();
      });
      const ends = (): Promise<string[]> => kernelRows(LISTEN_PORT, "src");
      for (let round = 1; round <= 2; round++) {
        const conn = bench.rig.stack.connect(
          { remoteAddress: HOST, remotePort: LISTEN_PORT, localPort: LOCAL_PORT },
          { established() {}, readable() {}, writable() {}, ended: (c) => c.close(), closed() {} },
        );
        const record = await until("our SYN", () => bench.rig.recorder.connections.find((c) => c.id === conn.id));
        await until("both ends to close", () => (record.closedBy === undefined ? undefined : true));
        n.see(`round ${round}: our end went ${record.path}`, `第 ${round} 轮：我们一端 ${record.path}`);
        n.must(record.closedBy === "peer", `round ${round} connects and closes normally`);
        const row = await until("ss to show TIME-WAIT", async () => (await ends()).find((r) => r.startsWith("TIME-WAIT")));
        n.see(row);
        if (round === 1)
          n.tell("  Now the very same four numbers once more, long before the 60 s are over:", "  现在用完全相同的四元组再连一次，离 60 秒还早：");
      }
    });
    n.tell(
      "\nNo RST: the SYN had a newer timestamp and a higher sequence number, so old and new segments cannot be confused, and the server opened again out of TIME-WAIT (RFC 9293 MAY-2, RFC 6191). tcp_fin_timeout has nothing to do with it: that is for orphans in FIN-WAIT-2.",
      "\n没有 RST：新的 SYN 时间戳更新、序号更高，新旧报文不会混淆，服务端直接从 TIME-WAIT 重新打开（RFC 9293 MAY-2、RFC 6191）。tcp_fin_timeout 与此无关：它只管停在 FIN-WAIT-2 的孤儿连接。",
    );
  },
};

const keepalive: Experiment = {
  name: "keepalive",
  about: { en: "a peer that vanished without a word: who notices, and when", zh: "对端一声不响地消失：谁会发觉，什么时候发觉" },
  async run(n) {
    n.tell(
      "Two clients, one with keep-alive (idle 1 s, then every second), one without. Then every segment from them is lost.\n",
      "两个客户端，一个打开保活（空闲 1 秒后每秒探测），一个没有。随后它们发出的报文全部丢失。\n",
    );
    await onBench({}, async (bench) => {
      bench.serve("silent");
      const careful = await opened(bench.dial()),
        careless = await opened(bench.dial());
      careful.setKeepAlive(true, 1000);
      careful.resume();
      careless.resume();
      let code = "";
      careful.on("error", (e: NodeJS.ErrnoException) => {
        code = e.code ?? "";
      });
      await sleep(200);
      for (const row of await kernelRows(PORT)) n.see(row);
      // The RST with which the kernel gives up is lost as well, and is no probe.
      bench.fault("as probes in keepalive drop; in drop");
      const probes = (): number => bench.rig.faults.list().find((f) => f.id === "probes")?.hits ?? 0;
      n.tell("  the peer is gone; nobody has sent anything:", "  对端没了；没有人发过任何东西：");
      await until("a probe", () => (probes() > 1 ? true : undefined));
      n.see((await kernelRows(PORT)).find((r) => r.includes("keepalive")) ?? "");
      await until("the careful one to hear of it", () => (code === "" ? undefined : true), 30_000);
      n.see(`the careful one: ${code} after ${probes()} unanswered probes`, `打开保活的：${probes()} 个探测无人回答之后 ${code}`);
      n.must(code === "ETIMEDOUT", "keep-alive ends the connection");
      n.must(probes() === 10, "libuv, which Node is made with, asks for 10 probes");
      const rest = await kernelRow();
      n.see(`the careless one: ${rest}`, `没打开的：${rest}`);
      n.must(rest.startsWith("ESTAB"), "without keep-alive the connection stays");
    });
    n.tell(
      "\nKeep-alive is off unless a program asks for it (RFC 9293 MUST-25), Linux then waits 2 h, and gives up after 9 probes unless told otherwise: Node, whose sockets these are, has it send 10. To hear of a dead peer within seconds, set the intervals, or send something of your own.",
      "\n保活默认关闭，要程序自己打开（RFC 9293 MUST-25）；Linux 默认空闲 2 小时后开始，默认 9 次探测无回应才放弃（这里用的是 Node 的套接字，它让内核探测 10 次）。想在几秒内知道对端死了，就调小间隔，或者自己发点什么。",
    );
  },
};

export const EXPERIMENTS: readonly Experiment[] = [synFlood, twoGenerals, zeroWindow, wrap, timeWait, keepalive, ...STORIES];

export async function runExperiment(e: Experiment, lang: Lang, say: (line: string) => void): Promise<void> {
  bePatient();
  await e.run(new Narrator(lang, say));
}
