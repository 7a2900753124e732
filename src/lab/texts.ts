/** What the lab says about each state, in English and Chinese: what it means, how long it lasts, whose bug it is when it stays. */
import type { State } from "../tcp/state.js";

export type Lang = "en" | "zh";
export type Text = Readonly<Record<Lang, string>>;

export interface StateText {
  readonly means: Text;
  /** How the lab brings it about. */
  readonly how: Text;
  readonly lasts: Text;
  readonly stays: Text;
  /** A claim that is often heard, and what is true. */
  readonly myth?: Text;
}

export type LabState = Exclude<State, "CLOSED" | "LISTEN">;

export const STATE_TEXTS: Readonly<Record<LabState, StateText>> = {
  "SYN-SENT": {
    means: { en: "The client has asked to connect and has heard nothing.", zh: "客户端已经发出 SYN，还没有听到任何回应。" },
    how: { en: "Every SYN is lost on its way to us.", zh: "每一个 SYN 都在路上丢掉。" },
    lasts: {
      en: "One round trip. Unanswered, Linux repeats the SYN (tcp_syn_retries, 6) and gives up after about two minutes with ETIMEDOUT.",
      zh: "正常只有一个往返时间。无人应答时，Linux 会重发 SYN（tcp_syn_retries，默认 6 次），约两分钟后以 ETIMEDOUT 放弃。",
    },
    stays: {
      en: "A firewall that drops instead of refusing, a dead host, or no route back. The client's own bug is to have no connect timeout.",
      zh: "防火墙只丢不拒、主机已死，或者没有回程路由。客户端自己的错误是没有设置连接超时。",
    },
    myth: {
      en: "“SYNs are repeated after 1, 3, 7, 15, 31 s” – the interval before each is up to the kernel: since 6.5 Linux sends the first few one second apart.",
      zh: "“SYN 在 1、3、7、15、31 秒后重发”——间隔由内核决定：6.5 以后的 Linux 头几次每秒一发。",
    },
  },
  "SYN-RECEIVED": {
    means: {
      en: "The kernel, as a server, has answered a SYN and waits for the third step of the handshake.",
      zh: "内核作为服务端已回应 SYN+ACK，正在等待第三次握手。",
    },
    how: {
      en: "Here the roles change: our TCP connects to a kernel listener, and our third ACK is always lost.",
      zh: "这里角色互换：由我们的 TCP 去连接内核的监听端口，而第三个 ACK 总是丢失。",
    },
    lasts: {
      en: "One round trip. Without the ACK the SYN,ACK is repeated (tcp_synack_retries, 5) for about a minute, then forgotten.",
      zh: "正常只有一个往返时间。等不到 ACK 时，SYN+ACK 会重发（tcp_synack_retries，默认 5 次），约一分钟后放弃。",
    },
    stays: {
      en: "Many of them from many addresses: a SYN flood, or a path that works one way only. A modern kernel answers a flood by SYN cookies and shows no such rows.",
      zh: "来自许多地址的大量此状态：SYN 洪水，或者单向不通。现代内核以 SYN cookie 应对，洪水时看不到这种行。",
    },
    myth: {
      en: "“The client is in SYN-RECEIVED too.” – It takes itself for ESTABLISHED already: it has no way to know that its ACK was lost.",
      zh: "“客户端这时也没连上。”——客户端认为自己已经 ESTABLISHED：它无从知道 ACK 丢了。",
    },
  },
  "ESTABLISHED": {
    means: { en: "Both sides have acknowledged the other's SYN; text flows both ways.", zh: "双方都确认了对方的 SYN，数据可以双向流动。" },
    how: { en: "A plain connection; the server says nothing.", zh: "普通连接，服务端不说话。" },
    lasts: {
      en: "As long as both like: without keep-alive an idle connection outlives a dead peer for ever.",
      zh: "双方愿意多久就多久：没有保活时，对端死了它也会一直在。",
    },
    stays: {
      en: "If the peer is long gone: nobody asked. Switch keep-alive or a timeout of your own on.",
      zh: "如果对端早已不在：是因为没有人去问。请打开保活，或自己设置超时。",
    },
    myth: {
      en: "“TCP notices at once when the cable is pulled.” – TCP notices nothing as long as nobody sends.",
      zh: "“网线一拔 TCP 马上知道。”——只要没有人发数据，TCP 什么也不知道。",
    },
  },
  "FIN-WAIT-1": {
    means: { en: "The client has closed: its FIN is out and not acknowledged.", zh: "客户端已经关闭：FIN 已发出，还没有被确认。" },
    how: { en: "Every FIN is lost on its way to us.", zh: "每一个 FIN 都在路上丢掉。" },
    lasts: {
      en: "One round trip. Otherwise the FIN is repeated with growing intervals: some 100 s once the process is gone (tcp_orphan_retries), a quarter of an hour while it is there (tcp_retries2).",
      zh: "正常只有一个往返时间。否则 FIN 按递增的间隔重发：进程已退出时约 100 秒（tcp_orphan_retries），进程还在时约一刻钟（tcp_retries2）。",
    },
    stays: {
      en: "The network, or a peer that went away. Also a peer that never reads: a FIN waits its turn behind unread text.",
      zh: "网络不通或对端消失。也可能是对端不读数据：FIN 要排在未读数据后面。",
    },
    myth: {
      en: "“The first FIN has ACK=0.” – Every segment after the handshake carries an ACK, a FIN too.",
      zh: "“第一个 FIN 的 ACK=0。”——握手之后每个报文都带 ACK，FIN 也不例外。",
    },
  },
  "FIN-WAIT-2": {
    means: { en: "The client's FIN is acknowledged; the server has not closed its side.", zh: "客户端的 FIN 已被确认，但服务端还没有关闭自己这一边。" },
    how: { en: "Our TCP acknowledges the FIN, and our application never calls close().", zh: "我们的 TCP 确认了 FIN，而应用从不调用 close()。" },
    lasts: {
      en: "Until the server closes. An orphan, whose process is gone, ends after tcp_fin_timeout (60 s); while the process still reads there is no limit.",
      zh: "直到服务端关闭。进程已退出的孤儿连接在 tcp_fin_timeout（60 秒）后结束；进程还在读时没有期限。",
    },
    stays: {
      en: "The server's application: it has read the end of the stream and not closed (look for CLOSE-WAIT there).",
      zh: "服务端应用的错误：读到了流的结尾却不关闭（到对端去找 CLOSE-WAIT）。",
    },
    myth: {
      en: "“FIN-WAIT-2 never times out and survives until reboot”, and “tcp_fin_timeout is the MSL” – it is the limit for orphans in FIN-WAIT-2, and nothing else.",
      zh: "“FIN_WAIT_2 永不超时，直到重启”以及“tcp_fin_timeout 就是 MSL”——都不对：它只是孤儿连接停在 FIN-WAIT-2 的期限。",
    },
  },
  "CLOSE-WAIT": {
    means: {
      en: "The server has closed; the client's kernel knows, and waits for its own application to close.",
      zh: "服务端已关闭；客户端内核已经知道，正在等自己的应用关闭。",
    },
    how: { en: "We close first; the client keeps its socket.", zh: "我们先关闭，客户端却留着套接字不放。" },
    lasts: {
      en: "As long as the application takes. There is no timer: only close() or the end of the process ends it.",
      zh: "应用需要多久就多久。没有任何定时器：只有 close() 或进程结束才能离开。",
    },
    stays: {
      en: "Always the local application: it leaks the socket, or a read that would have told it was never made.",
      zh: "总是本机应用的错误：泄漏了套接字，或者从不去读，因此不知道对方已关闭。",
    },
    myth: {
      en: "“Tune the kernel against CLOSE_WAIT.” – No setting helps; find the missing close().",
      zh: "“调内核参数可以消除 CLOSE_WAIT。”——没有这样的参数，请去找漏掉的 close()。",
    },
  },
  "CLOSING": {
    means: {
      en: "Both have closed at the same time: each FIN crossed the other, and the client's is not acknowledged yet.",
      zh: "双方同时关闭：两个 FIN 在途中交叉，客户端的 FIN 还没有被确认。",
    },
    how: {
      en: "Our FIN is held until the client's has come, then sent as it was: without acknowledging it. Every ACK of the client's FIN is lost.",
      zh: "把我们的 FIN 扣住，等客户端的 FIN 到了再原样放出，它并没有确认对方的 FIN；此后对该 FIN 的每个 ACK 都丢失。",
    },
    lasts: { en: "A fraction of a round trip: you hardly ever see it. It ends with the ACK.", zh: "不到一个往返时间：平时几乎看不见。ACK 一到就结束。" },
    stays: { en: "The network loses the ACKs; nobody's application is to blame.", zh: "网络丢了 ACK；与双方应用无关。" },
    myth: {
      en: "“CLOSING begins when both receive the other's ACK.” – It begins with the other's FIN, before the ACK of one's own.",
      zh: "“双方收到对方的 ACK 后进入 CLOSING。”——是在自己的 FIN 被确认之前收到了对方的 FIN。",
    },
  },
  "LAST-ACK": {
    means: {
      en: "The server closed first, the client has closed too, and its FIN is not acknowledged.",
      zh: "服务端先关，客户端随后也关了，但它的 FIN 还没有被确认。",
    },
    how: { en: "We close first; then every FIN of the client is lost.", zh: "我们先关闭；此后客户端的每个 FIN 都丢失。" },
    lasts: {
      en: "One round trip; otherwise as long as FINs are repeated (tcp_orphan_retries, some 100 s).",
      zh: "正常只有一个往返时间；否则直到 FIN 重发次数用完（tcp_orphan_retries，约 100 秒）。",
    },
    stays: { en: "The network, or a server that is gone: the client has done its part.", zh: "网络不通或服务端已消失：客户端已经尽责。" },
  },
  "TIME-WAIT": {
    means: {
      en: "All is closed; who closed first keeps the four numbers a while, to acknowledge the last FIN again if its ACK was lost, and to let old segments die.",
      zh: "一切都已关闭；先关的一方再保留四元组一段时间：万一最后的 ACK 丢了可以再确认一次，也让旧报文消亡。",
    },
    how: {
      en: "The client closes first. Its last ACK never reaches us, so we go on repeating our FIN, and each one starts its clock anew.",
      zh: "客户端先关闭。它最后的 ACK 总是丢失，于是我们不断重发 FIN，每一个都让它的计时重新开始。",
    },
    lasts: { en: "2 MSL; in Linux always 60 s.", zh: "2 MSL；在 Linux 里固定 60 秒。" },
    stays: {
      en: "Nobody's: it is the price of closing first. Thousands of them are harmless, unless one client runs out of ports to one server: then keep connections alive.",
      zh: "不是谁的错：这是先关闭的代价。成千上万个也无害，除非一个客户端对同一个服务端用光了端口：那就用长连接。",
    },
    myth: {
      en: "“A new connection to a port in TIME-WAIT is reset.” – A SYN with a newer timestamp or sequence number opens it again (RFC 6191).",
      zh: "“连到处于 TIME_WAIT 的端口会收到 RST。”——时间戳或序号更新的 SYN 可以直接重新打开它（RFC 6191）。",
    },
  },
};

export const WORDS = {
  means: { en: "means", zh: "含义" },
  how: { en: "how", zh: "做法" },
  lasts: { en: "lasts", zh: "寿命" },
  stays: { en: "if it stays", zh: "久留不去" },
  myth: { en: "myth", zh: "误传" },
  kernel: { en: "kernel (ss)", zh: "内核（ss）" },
  ours: { en: "ours", zh: "我们" },
  unknown: { en: "– (it has never heard of this connection)", zh: "–（它从未听说过这个连接）" },
} as const satisfies Record<string, Text>;

export const LAB_STATES = Object.keys(STATE_TEXTS) as LabState[];
