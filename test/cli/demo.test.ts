/** The demo is a test itself: each step must fail when its client or our log shows anything else than what the step promises. */
import { describe, expect, test } from "vitest";
import { clauseOf, ruleWords } from "../../src/cli/clause.js";
import { serveArguments } from "../../src/cli/commands/sandbox.js";
import { type LogLine, parseLine } from "../../src/cli/daemon-process.js";
import { renderStep } from "../../src/cli/demo/render.js";
import { BYTES, stepsFor } from "../../src/cli/demo/steps.js";
import { connectionsOf, type Outcome, Story, visited } from "../../src/cli/demo/story.js";
import { exitCodeOf } from "../../src/cli/namespace.js";
import { palette } from "../../src/cli/output.js";

const EDGE_RULES: Record<string, string> = { "LISTEN SYN-RECEIVED": "9293-3.10.7.2/3", "SYN-RECEIVED ESTABLISHED": "9293-3.10.7.4/5-established" };
function log(path: string, conn = 1): LogLine[] {
  const states = path.split(" ");
  return states.slice(1).map((to, i) => ({
    level: 30,
    time: i,
    event: "transition",
    conn,
    local: "10.77.0.2:80",
    remote: "10.77.0.1:40000",
    from: states[i] ?? "",
    to,
    rule: EDGE_RULES[`${states[i]} ${to}`] ?? "9293-3.10.7.4/8",
    msg: `${states[i]} → ${to}: ACK arrived`,
  }));
}
const outcome = (lines: LogLine[], more: Partial<Outcome> = {}): Outcome => ({
  exitCode: 0,
  stdout: "",
  stderr: "",
  ms: 3,
  lines,
  connections: connectionsOf(lines),
  ...more,
});
const PASSIVE = "LISTEN SYN-RECEIVED ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED",
  ACTIVE = "LISTEN SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT CLOSED";
const refused: LogLine = {
  level: 30,
  time: 1,
  event: "refused",
  conn: 9,
  local: "10.77.0.2:81",
  remote: "10.77.0.1:40001",
  rule: "9293-3.10.7.1",
  msg: "refused: SYN arrived",
};
const [page, bytes, echo, daytime, closed] = stepsFor("10.77.0.2");
if (!page || !bytes || !echo || !daytime || !closed) throw new Error("five steps");

const GOOD: [typeof page, Outcome][] = [
  [page, outcome(log(PASSIVE), { stdout: "state ESTABLISHED" })],
  [bytes, outcome(log(PASSIVE), { stdout: `200, ${BYTES} bytes in 0.01 s\n` })],
  [echo, outcome(log(PASSIVE), { stdout: "hello" })],
  [daytime, outcome(log(ACTIVE), { stdout: "Saturday, 1 January 2000 12:00:00\n" })],
  [closed, outcome([refused], { exitCode: 7 })],
];

describe("steps", () => {
  test.each(GOOD)("$title: what is promised passes", (step, good) => expect(step.judge(good)).toBeUndefined());
  test.each(GOOD)("$title: another exit code fails", (step, good) => expect(step.judge({ ...good, exitCode: 56 })).toMatch(/ended with 56/));
  test.each(GOOD.slice(0, 4))("$title: other output fails", (step, good) => expect(step.judge({ ...good, stdout: "" })).toBeDefined());
  test.each(GOOD)("$title: an empty log fails", (step, good) => expect(step.judge({ ...good, lines: [], connections: [] })).toBeDefined());
  test.each(GOOD.slice(0, 4))("$title: a connection that is not over fails", (step, good) => {
    const lines = good.lines.slice(0, -1);
    expect(step.judge({ ...good, lines, connections: connectionsOf(lines) })).toMatch(/path of states/);
  });
  test("echo wants the peer to close first, daytime wants us to", () => {
    expect(echo.judge(outcome(log(ACTIVE), { stdout: "hello" }))).toMatch(/FIN-WAIT-1/);
    expect(daytime.judge(outcome(log(PASSIVE), { stdout: "12:00" }))).toMatch(/CLOSE-WAIT/);
  });
  test("two connections where one was promised fail", () => {
    expect(page.judge(outcome([...log(PASSIVE), ...log(PASSIVE, 2)], { stdout: "ESTABLISHED" }))).toMatch(/2 connections/);
  });
});

describe("story", () => {
  test("settled waits for CLOSED, and says so when it does not come", async () => {
    const story = new Story();
    story.begin();
    const lines = log(PASSIVE);
    for (const line of lines.slice(0, -1)) story.add(line);
    expect(await story.settled(10)).toBe(false);
    const waiting = story.settled(5_000);
    story.add(lines.at(-1) as LogLine);
    expect(await waiting).toBe(true);
    expect(visited(story.all)).toEqual(PASSIVE.split(" "));
  });
  test("a refusal is an end too, and an earlier step does not count", async () => {
    const story = new Story();
    for (const line of log(PASSIVE)) story.add(line);
    story.begin();
    expect(await story.settled(1)).toBe(false);
    story.add(refused);
    expect(await story.settled(1)).toBe(true);
  });
  test("only JSON objects are log lines", () => {
    expect(parseLine('{"event":"ready"}')).toEqual({ event: "ready" });
    for (const text of ["", "null", "3", "[]", "{", "Error: x"]) expect(parseLine(text)).toBeUndefined();
  });
});

describe("rendering", () => {
  test("output, edges, clauses and verdict stand in the text; control characters of a client do not", () => {
    const text = renderStep(1, page, outcome(log(PASSIVE), { stdout: "a\x1b[2Jb\n" }), undefined, palette({}, {}), 140);
    expect(text).toContain("curl   | a[2Jb");
    expect(text).toContain("LISTEN → SYN-RECEIVED       ACK arrived  RFC 9293 §3.10.7.2 step 3  SYN to LISTEN: SYN,ACK");
    expect(text).toMatch(/ok {5}curl exit 0, 3 ms$/);
    expect(renderStep(1, page, outcome([]), "the log shows no connection", palette({}, {}), 100)).toMatch(/FAILED the log shows no connection$/);
  });
  test("rule ids as clauses", () => {
    expect(clauseOf("9293-3.10.7.4/5-established")).toBe("RFC 9293 §3.10.7.4 step 5");
    expect(clauseOf("9293-MUST-66")).toBe("RFC 9293 MUST-66");
    expect(clauseOf("5961-3.2")).toBe("RFC 5961 §3.2");
    expect(clauseOf("9293-A.2")).toBe("RFC 9293 §A.2");
    expect(clauseOf("6633")).toBe("RFC 6633");
    expect(clauseOf("stack-shutdown")).toBe("stack-shutdown");
    expect(ruleWords("9293-3.10.7.1")).toBe("no connection: RST");
    expect(ruleWords("no such rule")).toBe("");
  });
});

describe("small things", () => {
  test("exit codes as shells give them", () => {
    expect([exitCodeOf(3, null), exitCodeOf(null, "SIGINT"), exitCodeOf(null, "SIGKILL")]).toEqual([3, 130, 137]);
  });
  test("sandbox hands the options of serve on as they were given, and keeps its own", () => {
    expect(serveArguments({ tun: "g1", set: ["timeWait=1s", "sack=off"], quiet: true, logFile: "x", preset: "chaos" })).toEqual([
      "--tun",
      "g1",
      "--preset",
      "chaos",
      "--set",
      "timeWait=1s",
      "--set",
      "sack=off",
    ]);
    expect(serveArguments({})).toEqual([]);
  });
});
