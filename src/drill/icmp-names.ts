/** Names of ICMP types and codes as scripts write them (RFC 792, RFC 1122 §3.2.2), and the errno of each unreachable code. */

export const ICMP_TYPES: Readonly<Record<string, number>> = {
  echo_reply: 0,
  unreachable: 3,
  dest_unreachable: 3,
  source_quench: 4,
  redirect: 5,
  echo_request: 8,
  time_exceeded: 11,
  parameter_problem: 12,
  timestamp: 13,
  timestamp_reply: 14,
};

/** Codes by type. */
export const ICMP_CODES: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  3: {
    net_unreachable: 0,
    host_unreachable: 1,
    protocol_unreachable: 2,
    port_unreachable: 3,
    frag_needed: 4,
    source_route_failed: 5,
    net_unknown: 6,
    host_unknown: 7,
    source_host_isolated: 8,
    net_prohibited: 9,
    host_prohibited: 10,
    net_unreachable_for_tos: 11,
    host_unreachable_for_tos: 12,
    packet_filtered: 13,
    precedence_violation: 14,
    precedence_cutoff: 15,
  },
  5: { net: 0, host: 1, tos_net: 2, tos_host: 3 },
  11: { ttl_exceeded_in_transit: 0, ttl_exceeded: 0, exc_ttl: 0, fragment_reassembly_time_exceeded: 1, exc_fragtime: 1 },
  12: { pointer_problem: 0, option_missing: 1, bad_length: 2 },
};

/** Names that only ICMPv6 has. */
export const ICMPV6_ONLY = new Set(["packet_too_big", "no_route", "admin_prohibited", "not_neighbour", "address_unreachable"]);

/** What a socket reports for an unreachable code (Linux's icmp_err_convert). */
export const UNREACHABLE_ERRNO: readonly string[] = [
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENOPROTOOPT",
  "ECONNREFUSED",
  "EMSGSIZE",
  "EOPNOTSUPP",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENONET",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "EHOSTUNREACH",
  "EHOSTUNREACH",
  "EHOSTUNREACH",
];
