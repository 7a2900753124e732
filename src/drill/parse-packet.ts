/** Reads the packets of a script: TCP segments with their options, and ICMP messages (language §3, §7). */
import { ACK, CWR, ECE, FIN, PSH, RST, SYN, URG } from "../wire/segment.js";
import { AE, type EcnMark, type IcmpAction, type IpInfo, type SequenceRange, type TcpAction, type TcpOption } from "./ast.js";
import type { Cursor } from "./cursor.js";
import { ScriptError } from "./errors.js";
import { ICMP_CODES, ICMP_TYPES, ICMPV6_ONLY } from "./icmp-names.js";

const FLAGS: Readonly<Record<string, number>> = { S: SYN, F: FIN, R: RST, P: PSH, U: URG, E: ECE, W: CWR, A: AE };
const OTHER_PROTOCOLS = new Set(["udp", "sctp", "udplite", "gre", "mpls", "ipv4", "ipv6", "icmpv6", "psp", "ipsec"]);
const OTHER_OPTIONS = new Set([
  "FO",
  "FOEXP",
  "md5",
  "ECN",
  "exp",
  "mptcp",
  "AO",
  "mp_capable",
  "dss",
  "add_address",
  "mp_join",
  "mp_join_syn",
  "mp_join_ack",
  "acc_ecn",
  "AccECN",
]);
const ECN_MARKS = new Set<string>(["noecn", "ect0", "ect1", "ce", "ect01"]);

/** At `<` or `>`. */
export function parsePacket(c: Cursor): TcpAction | IcmpAction {
  const first = c.next();
  const direction = first.text === "<" ? "in" : "out";
  let ip: IpInfo = {},
    quoted: SequenceRange | undefined;
  while (c.isMark("[") || c.isMark("(")) {
    if (c.peek().kind === "number") quoted = parseQuoted(c);
    else ip = { ...ip, ...parseIpInfo(c) };
  }
  if (c.isWord() && OTHER_PROTOCOLS.has(c.token.text)) throw c.unsupported(`packets of "${c.token.text}" are not supported`);
  if (c.takeWord("icmp")) {
    if (direction === "out") throw new ScriptError(first, "an ICMP message can be injected, not expected");
    return parseIcmp(c, ip, quoted, (): string => c.textFrom(first));
  }
  if (quoted !== undefined) throw c.unexpected('"icmp" after a quoted segment');
  return parseTcp(c, direction, ip, (): string => c.textFrom(first));
}

function parseIpInfo(c: Cursor): IpInfo {
  const close = c.next().text === "[" ? "]" : ")";
  let ecn: EcnMark | undefined, tos: number | undefined, ttl: number | undefined;
  do {
    const name = c.word("an IP field such as ect0, tos 0xNN or ttl N");
    if (ECN_MARKS.has(name.text)) ecn = name.text as EcnMark;
    else if (name.text === "tos") tos = c.integer("a type of service", 255);
    else if (name.text === "ttl") ttl = c.integer("a time to live", 255);
    else if (name.text === "flowlabel" || name.text === "hlim") throw c.unsupported(`"${name.text}" belongs to IPv6, which is not supported`, name);
    else throw c.unexpected("noecn, ect0, ect1, ect01, ce, tos or ttl", name);
  } while (c.takeMark(","));
  c.mark(close, "after the IP fields");
  return { ...(ecn !== undefined && { ecn }), ...(tos !== undefined && { tos }), ...(ttl !== undefined && { ttl }) };
}

function parseTcp(c: Cursor, direction: "in" | "out", ip: IpInfo, text: () => string): TcpAction {
  let ports: TcpAction["ports"];
  if (c.token.kind === "number" && c.peek().text === ">") {
    const source = c.integer("a port", 65_535);
    c.mark(">", "between two ports");
    ports = { source, destination: c.integer("a port", 65_535) };
  }
  const start = c.token;
  const flags = parseFlags(c);
  const seq = parseSequence(c, direction);
  let ack: TcpAction["ack"];
  if (c.takeWord("ack")) {
    const value = c.integer("an acknowledgment number");
    ack = { value, absolute: c.takeMark("!") };
  }
  const window = c.takeWord("win") ? c.integer("a window", 65_535) : undefined;
  if (direction === "in" && window === undefined) throw c.unexpected('"win": an injected packet needs a window');
  const urgent = c.takeWord("urg") ? c.integer("an urgent pointer", 65_535) : 0;
  const options = c.isMark("<") ? parseOptions(c, direction) : [];
  if (seq.length > 65_535 && direction === "in") throw new ScriptError(start, `${seq.length} octets do not fit one packet`);
  return { kind: "tcp", direction, ip, ports, flags, seq, ack, window, urgent, options, text: text() };
}

function parseFlags(c: Cursor): number {
  const first = c.token;
  let flags = 0,
    any = false;
  if (c.takeMark("-")) return 0;
  for (;;) {
    if (c.takeMark(".")) {
      if (flags & ACK) throw c.unexpected('one "." among the flags', c.peek(-1));
      flags |= ACK;
    } else if (c.isWord()) {
      for (const letter of c.token.text) {
        const bit = FLAGS[letter];
        if (bit === undefined && letter >= "0" && letter <= "7" && letter !== c.token.text) throw c.unsupported("ACE counts of AccECN are not supported");
        if (bit === undefined) throw c.unexpected("flags out of S F R P U E W A and .");
        if (flags & bit) throw new ScriptError(c.token, `unexpected "${c.token.text}": flag ${letter} stands twice`);
        flags |= bit;
      }
      c.next();
    } else if (c.token.kind === "number" && /^\.[0-7]$/.test(c.token.text)) throw c.unsupported("ACE counts of AccECN are not supported");
    else break;
    any = true;
  }
  if (!any) throw c.unexpected("the flags of a segment", first);
  return flags;
}

function parseSequence(c: Cursor, direction: "in" | "out"): SequenceRange {
  if (c.isMark("...")) {
    if (direction === "in") throw c.unexpected("a sequence number: an injected packet needs one");
    c.next();
    c.mark("(", "before the length");
    const length = c.integer("a length");
    c.mark(")", "after the length");
    return { mode: "any", first: 0, length };
  }
  const start = c.token;
  const first = c.integer("a sequence number");
  c.mark(":", "after the first sequence number");
  const last = c.integer("a sequence number");
  c.mark("(", "before the length");
  const length = c.integer("a length");
  c.mark(")", "after the length");
  if ((first + length) % 2 ** 32 !== last) throw new ScriptError(start, `"${first}:${last}(${length})": ${first} + ${length} is not ${last}`);
  return { mode: c.takeMark("!") ? "absolute" : "mapped", first, length };
}

function parseOptions(c: Cursor, direction: "in" | "out"): readonly TcpOption[] | "any" {
  const open = c.next();
  if (c.isMark("...")) {
    if (direction === "in") throw c.unexpected("the options of an injected packet");
    c.next();
    c.mark(">", 'after "..."');
    return "any";
  }
  const list: TcpOption[] = [];
  let octets = 0;
  if (!c.isMark(">")) {
    do {
      const option = parseOption(c);
      octets += optionOctets(option);
      list.push(option);
    } while (c.takeMark(","));
  }
  c.mark(">", "after the options");
  if (octets % 4 !== 0) throw new ScriptError(open, `options of ${octets} octets do not fill words of 4; add nop or eol`);
  if (octets > 40) throw new ScriptError(open, `options of ${octets} octets do not fit the 40 of a header`);
  return list;
}

function parseOption(c: Cursor): TcpOption {
  const name = c.word("an option such as mss, sackOK, TS, nop or wscale");
  switch (name.text) {
    case "nop":
    case "eol":
    case "sackOK":
      return { kind: name.text };
    case "mss":
      return { kind: "mss", value: c.integer("a segment size", 65_535) };
    case "wscale":
      return { kind: "wscale", value: c.integer("a shift", 255) };
    case "sack": {
      const blocks: [number, number][] = [];
      while (c.token.kind === "number") {
        const left = c.integer("the left edge of a block");
        c.mark(":", "between the edges of a block");
        blocks.push([left, c.integer("the right edge of a block")]);
      }
      if (blocks.length === 0) throw c.unexpected("a block such as 1001:2001");
      return { kind: "sack", blocks };
    }
    case "TS": {
      if (!c.takeWord("val")) throw c.unexpected('"val"');
      const val = c.integer("a timestamp");
      if (!c.takeWord("ecr")) throw c.unexpected('"ecr"');
      return { kind: "TS", val, ecr: c.integer("a timestamp") };
    }
    case "gen": {
      c.mark("-", "and the kind after gen");
      const number = c.integer("an option kind", 255);
      const hex = c.token.kind === "number" || (c.token.kind === "word" && /^[0-9a-fA-F]+$/.test(c.token.text)) ? c.next().text.replace(/^0[xX]/, "") : "";
      if (hex.length % 2 !== 0) throw c.unexpected("an even count of hex digits", c.peek(-1));
      return { kind: "raw", number, data: Uint8Array.from(hex.match(/../g) ?? [], (octet) => Number.parseInt(octet, 16)) };
    }
    default:
      if (OTHER_OPTIONS.has(name.text)) throw c.unsupported(`the TCP option "${name.text}" is not supported`, name);
      throw c.unexpected("an option such as mss, sackOK, TS, nop or wscale", name);
  }
}

/** Octets of an option on the wire. */
export function optionOctets(o: TcpOption): number {
  switch (o.kind) {
    case "nop":
    case "eol":
      return 1;
    case "sackOK":
      return 2;
    case "wscale":
      return 3;
    case "mss":
      return 4;
    case "TS":
      return 10;
    case "sack":
      return 2 + 8 * o.blocks.length;
    case "raw":
      return 2 + o.data.length;
  }
}

const FIRST_SEGMENT: SequenceRange = { mode: "mapped", first: 0, length: 0 };

function parseQuoted(c: Cursor): SequenceRange {
  c.mark("[", "before the quoted segment");
  const range = parseSequence(c, "in");
  c.mark("]", "after the quoted segment");
  return range;
}

function parseIcmp(c: Cursor, ip: IpInfo, before: SequenceRange | undefined, text: () => string): IcmpAction {
  const name = c.word("an ICMP type such as unreachable");
  if (ICMPV6_ONLY.has(name.text)) throw c.unsupported(`"${name.text}" belongs to ICMPv6, which is not supported`, name);
  const type = ICMP_TYPES[name.text];
  if (type === undefined) throw c.unexpected(`an ICMP type: ${Object.keys(ICMP_TYPES).join(", ")}`, name);
  let code = 0;
  if (c.isWord() && c.token.text !== "mtu") {
    const codeName = c.next(),
      codes = ICMP_CODES[type];
    if (ICMPV6_ONLY.has(codeName.text)) throw c.unsupported(`"${codeName.text}" belongs to ICMPv6, which is not supported`, codeName);
    const found = codes?.[codeName.text];
    if (found === undefined)
      throw c.unexpected(codes === undefined ? `no code after "${name.text}"` : `a code of ${name.text}: ${Object.keys(codes).join(", ")}`, codeName);
    code = found;
  }
  const mtu = c.takeWord("mtu") ? c.integer("an MTU", 65_535) : undefined;
  const quoted = before ?? (c.isMark("[") ? parseQuoted(c) : FIRST_SEGMENT);
  return { kind: "icmp", ip, type, code, mtu, quoted, text: text() };
}
