/** What faults ask of a stack, answered by `Stack`. */
import type { Connection } from "../tcp/connection.js";
import { toWire } from "../tcp/seq.js";
import type { FaultsOptions } from "./faults.js";
import type { ConnectionFacts } from "./rule.js";

export interface FindingStack {
  find(localAddress: string, localPort: number, remoteAddress: string, remotePort: number): Connection | undefined;
}

/** For {@link FaultsOptions.find}. `stack` is asked late, for it is made after the device that the faults sit in. */
export const factsOf =
  (stack: () => FindingStack | undefined): NonNullable<FaultsOptions["find"]> =>
  (localAddress, localPort, remoteAddress, remotePort): ConnectionFacts | undefined => {
    const conn = stack()?.find(localAddress, localPort, remoteAddress, remotePort);
    if (conn === undefined) return undefined;
    const { snd, rcv, state } = conn.tcb;
    if (state === "LISTEN" || state === "SYN-SENT") return { id: conn.id, state };
    return {
      id: conn.id,
      state,
      numbers: {
        iss: toWire(snd.iss),
        irs: toWire(rcv.irs),
        sndUna: toWire(snd.una),
        sndNxt: toWire(snd.nxt),
        rcvNxt: toWire(rcv.nxt),
        sndWnd: snd.wnd,
        rcvWnd: rcv.wnd,
        scales: conn.tcb.windowScaling ? { snd: snd.wscale, rcv: rcv.wscale } : undefined,
        finSent: conn.tcb.finSent,
        finReceived: rcv.finReceived,
        bornAt: conn.tcb.bornAt,
      },
    };
  };
