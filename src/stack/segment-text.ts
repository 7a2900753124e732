/** TCP options as one short text, for segment events: "mss 1460,sackOK,TS val 1 ecr 0,wscale 7". */
interface WithOptions {
  readonly mss: number;
  readonly windowScale: number;
  readonly sackPermitted: boolean;
  readonly hasTimestamps: boolean;
  readonly tsVal: number;
  readonly tsEcr: number;
  readonly sackCount: number;
  readonly sackEdges: Int32Array;
}

export function describeOptions(o: WithOptions): string {
  const parts: string[] = [];
  if (o.mss > 0) parts.push(`mss ${o.mss}`);
  if (o.sackPermitted) parts.push("sackOK");
  if (o.hasTimestamps) parts.push(`TS val ${o.tsVal >>> 0} ecr ${o.tsEcr >>> 0}`);
  if (o.windowScale >= 0) parts.push(`wscale ${o.windowScale}`);
  for (let i = 0; i < o.sackCount; i++) parts.push(`${i === 0 ? "sack " : ""}${(o.sackEdges[2 * i] as number) >>> 0}:${(o.sackEdges[2 * i + 1] as number) >>> 0}`);
  return parts.join(",");
}
