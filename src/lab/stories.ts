/** Stories that people tell about TCP, told again by a real connection: each line stands beside the segment that it means. */
import { once } from "node:events";
import type { TcpEvent } from "../tcp/events.js";
import { Bench, kernelRows, PORT, sleep, until } from "./bench.js";
import type { Experiment, Narrator } from "./experiments.js";
import type { Text } from "./texts.js";

/** The steps of the connection that every story tells, in their order. */
const STEPS = ["syn", "synack", "ack", "question", "lost", "again", "twice", "fin", "finack", "ourfin", "lastack"] as const;
type Step = (typeof STEPS)[number];
type Lines = Readonly<Record<Step, Text>>;

const LOVE: Lines = {
  syn: { en: "A: “I am fond of you.”", zh: "甲（告白）：“我喜欢你。”" },
  synack: { en: "B smiles (ACK) and doubts (SYN), in one breath: “Do you mean it?”", zh: "乙微笑（ACK），又有点怀疑（SYN），两句并作一句：“你是认真的吗？”" },
  ack: { en: "A: “I do.” From now on they are together.", zh: "甲：“认真的。”从此在一起了。" },
  question: { en: "A: “I have a cold.”", zh: "甲：“我感冒了。”" },
  lost: { en: "B: “Drink hot water.” – but the words are lost in the noise.", zh: "乙：“多喝热水。”——可是这句话淹没在嘈杂里，没传到。" },
  again: {
    en: "B hears no answer and says it again: “Drink hot water.” (data and ACK in one: a retransmission)",
    zh: "乙没等到回音，又说一遍：“多喝热水。”（数据加 ACK，重传）",
  },
  twice: { en: "The wind brings it twice; A nods to both, and heeds it once.", zh: "风把这句话吹来两遍；甲两遍都点头，只当一遍听（去重）。" },
  fin: { en: "A: “Let us part. I have nothing more to say.”", zh: "甲：“我们分手吧，我没有话要说了。”" },
  finack: { en: "B: “I understand.” But B is not done yet, and A still listens.", zh: "乙：“知道了。”但乙还有话，甲还听着。" },
  ourfin: { en: "B: “Then I have nothing more to say either.”", zh: "乙：“那我也没有话要说了。”" },
  lastack: {
    en: "A: “Farewell.” – and stays at the window a while, in case B did not hear it.",
    zh: "甲：“保重。”——又在窗边站了一会儿，怕乙没有听见（TIME-WAIT）。",
  },
};

const LOVERS_CHECK: Lines = {
  ...LOVE,
  syn: {
    en: "A, far away, tests the line: “How much is 1+1?” (no answer in time: the line is down, ask again later)",
    zh: "相隔两地，甲先试线路：“1+1 等于几？”（到时候没有回答，就当网断了，过一阵再问）",
  },
  synack: {
    en: "B: “2. And how much is 2+2?” B now knows that A is heard; not yet whether A hears B.",
    zh: "乙：“2。那 2+2 等于几？”乙知道自己听得见甲，还不知道甲听不听得见自己。",
  },
  ack: {
    en: "A: “4.” Both have asked, both have been answered: two questions, two answers, three messages.",
    zh: "甲：“4。”双方都问过、都得到了回答：两问两答，合成三句。",
  },
};

const PHONE: Lines = {
  syn: { en: "A: “Hello, can you hear me?”", zh: "甲：“喂，听得到吗？”" },
  synack: { en: "B: “I can. Can you hear me?”", zh: "乙：“听得到，你听得到我吗？”" },
  ack: { en: "A: “I can.” Now they may talk.", zh: "甲：“听得到。”可以说事了。" },
  question: { en: "A: “When shall we meet?”", zh: "甲：“几点见？”" },
  lost: { en: "B: “At seven.” – a crackle, nothing arrives.", zh: "乙：“七点。”——一阵杂音，没传到。" },
  again: { en: "B, hearing no “mm-hm”, repeats: “At seven.”", zh: "乙没听到“嗯”，重复：“七点。”" },
  twice: { en: "It echoes; A writes it down once.", zh: "线路有回声；甲只记一次。" },
  fin: { en: "A: “That was all from me.”", zh: "甲：“我说完了。”" },
  finack: { en: "B: “All right.” (B might still talk: only A's half of the line is closed)", zh: "乙：“好的。”（乙还可以说：关掉的只是甲说话的那一半）" },
  ourfin: { en: "B: “That was all from me too.”", zh: "乙：“我也说完了。”" },
  lastack: { en: "A: “Goodbye.” And keeps the receiver at the ear for a moment.", zh: "甲：“再见。”又把听筒贴着耳朵等了一会儿。" },
};

/** How each step is known among the segments; asked in order, each takes the first that fits behind the one before. */
const IS: Readonly<Record<Step, (e: TcpEvent) => boolean>> = {
  syn: (e) => e.kind === "segment" && e.dir === "in" && e.flags === "S",
  synack: (e) => e.kind === "segment" && e.dir === "out" && e.flags === "S.",
  ack: (e) => e.kind === "segment" && e.dir === "in" && e.len === 0 && e.relAck === 1,
  question: (e) => e.kind === "segment" && e.dir === "in" && e.len > 0,
  lost: (e) => e.kind === "fault" && e.act === "drop",
  again: (e) => e.kind === "segment" && e.dir === "out" && e.retransmission,
  twice: (e) => e.kind === "fault" && e.act === "duplicate",
  fin: (e) => e.kind === "segment" && e.dir === "in" && e.flags.includes("F"),
  finack: (e) => e.kind === "segment" && e.dir === "out" && e.len === 0 && !e.flags.includes("F"),
  ourfin: (e) => e.kind === "segment" && e.dir === "out" && e.flags.includes("F"),
  lastack: (e) => e.kind === "segment" && e.dir === "in" && e.len === 0 && !e.flags.includes("F"),
};

function story(name: string, about: Text, lines: Lines, end: Text): Experiment {
  return {
    name,
    about,
    async run(n: Narrator) {
      const bench = new Bench({ tcp: { tailLossProbe: false } });
      try {
        bench.serve("echo never-close");
        bench.fault("out data nth 1 drop then out data rexmit times 1 duplicate");
        const socket = bench.dial();
        await once(socket, "connect");
        socket.write("?");
        await once(socket, "data");
        const conn = await until("the connection", () => [...bench.rig.stack.connections()][0]);
        const record = bench.rig.recorder.connections[0];
        socket.end();
        await until("our end to hear of it", () => (conn.state === "CLOSE-WAIT" ? true : undefined));
        // A breath, so that our ACK and our FIN are two segments: four-way, as the stories have it.
        await sleep(100);
        conn.close();
        await until("the end", () => (record?.state === "CLOSED" ? true : undefined));
        tell(n, bench.rig.recorder.events, lines);
        n.see((await kernelRows(PORT)).find((row) => row.startsWith("TIME-WAIT")) ?? "");
        n.tell(`\n${end.en}`, `\n${end.zh}`);
      } finally {
        bench.close();
      }
    },
  };
}

function tell(n: Narrator, events: readonly TcpEvent[], lines: Lines): void {
  let at = 0;
  for (const step of STEPS) {
    const found = events.findIndex((e, i) => i >= at && IS[step](e));
    n.must(found >= 0, `the step ${step} of the story is among the segments`);
    at = found + 1;
    const e = events[found] as TcpEvent;
    const what =
      e.kind === "segment"
        ? `${e.dir === "in" ? "A→B" : "B→A"} ${e.flags.padEnd(3)} seq ${e.relSeq} ack ${e.relAck} len ${e.len}`
        : e.kind === "fault"
          ? `    ${e.act}`
          : "";
    n.tell(`  ${what.padEnd(30)} ${lines[step].en}`, `  ${what.padEnd(30)} ${lines[step].zh}`);
  }
}

const MYTHS: Text = {
  en: "Count along: an ACK number is the sequence number plus the text plus one for a SYN and one for a FIN – “ack = seq + 1” holds for a lone SYN or FIN only. Every segment but the first carries an ACK. And each direction is closed by itself: that is what full duplex means, not that either end may be the client.",
  zh: "数一数：确认号 = 序号 + 数据长度 + SYN 算一 + FIN 算一；“ack = seq + 1”只对单独的 SYN 或 FIN 成立。除了第一个报文，每个报文都带 ACK。两个方向各自关闭：这才叫全双工，而不是“两端都可以当客户端”。",
};

export const STORIES: readonly Experiment[] = [
  story(
    "love",
    { en: "a love story, told by a real connection: confession, hot water, farewell", zh: "由一个真实连接讲述的爱情故事：告白、多喝热水、分手" },
    LOVE,
    MYTHS,
  ),
  story(
    "lovers-check",
    { en: "1+1? – 2, and 2+2? – 4: the handshake of two who are far apart", zh: "1+1 等于几？——2，那 2+2 呢？——4：异地恋的三次握手" },
    LOVERS_CHECK,
    MYTHS,
  ),
  story("phone", { en: "a phone call that ends politely", zh: "一通礼貌结束的电话" }, PHONE, MYTHS),
];
