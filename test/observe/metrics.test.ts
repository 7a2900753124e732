import { expect, test } from "vitest";
import { metricsOf } from "../../src/observe/metrics.js";
import { Tally } from "../../src/observe/tally.js";
import { connectionRow, FakeDaemon } from "../control/fake.js";
import { everyKind } from "./events.js";

test("the tally counts edges of the state machine and ends of connections, and asks for nothing else that is dear", () => {
  const tally = new Tally();
  for (const e of everyKind) if (tally.wants(e.kind)) tally.event(e);
  expect(tally.transitions).toEqual({ "LISTEN>SYN-RECEIVED": 1, "TIME-WAIT>CLOSED": 1, "ESTABLISHED>FIN-WAIT-1": 1 });
  expect(tally.closed).toEqual({ peer: 1 });
  expect([tally.rxBytes, tally.txBytes]).toEqual([78, 512]);
  expect(tally.wants("segment") || tally.wants("drop") || tally.wants("timer")).toBe(false);
});

test("metrics are read at the scrape: two scrapes do not add up, and gone label values go", async () => {
  const daemon = new FakeDaemon();
  daemon.connections = [connectionRow({ srtt: 0.3 }), connectionRow({ id: 2, srtt: undefined })];
  const metrics = metricsOf(daemon);
  await metrics.text();
  const text = await metrics.text();
  expect(text).toContain('glasstcp_rule_total{rule="ip-short"} 1');
  expect(text).toContain('glasstcp_tcp_total{what="segmentsIn"} 3');
  expect(text).toContain('glasstcp_srtt_seconds_bucket{le="0.0005"} 1');
  expect(text).toContain("glasstcp_srtt_seconds_count 1");
  expect(text).toContain('glasstcp_connections{state="SYN-RECEIVED"} 0');
  expect(text).toContain('glasstcp_limit{limit="connections"} 100000');
});
