/** What is wrong with a frame before TCP looks at it: each id is the reason of a counted drop. */
export const WIRE_RULES = {
  "ip-short": "frame shorter than an IPv4 header",
  "ip-version": "not IPv4: counted, not an error (a fresh TUN first delivers IPv6)",
  "1122-3.2.1.2": "IPv4 header checksum wrong or header length below 20",
  "791-total-length": "total length shorter than the header or longer than the frame",
  "1122-3.2.1.3": "source or destination address that no host may use here",
  "ip-not-ours": "destination is none of our addresses",
  "1122-3.2.2.1": "protocol that we do not speak: ICMP protocol unreachable",
  "1122-3.3.2": "fragment that could not be put together: overlap, too long, timed out or over a limit",
  "icmp-short": "ICMP message shorter than its header",
  "icmp-checksum": "ICMP checksum wrong",
  "icmp-ignored": "ICMP message that asks nothing of us",
  "tcp-short": "segment shorter than a TCP header",
  "9293-3.1-data-offset": "data offset below 5 or past the end of the segment",
  "9293-MUST-3": "TCP checksum wrong: dropped without any other effect",
  "9293-MUST-7": "option with an illegal length",
} as const;
export type WireRule = keyof typeof WIRE_RULES;
