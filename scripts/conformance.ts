/**
 * npm run conformance [-- --json | --open [RFC]]: which requirement of spec/requirements.tsv is tested (by a green test that
 * names its id), left out on purpose, not applicable, or open. Nothing is counted that did not run just now.
 *
 * A test names an id in its title, or in a comment `// proves: 9293:MUST-58 …` right above it; a packet script names ids in
 * the comment that it begins with. What is left out stands in spec/decisions.tsv with its reason.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { drill } from "../src/drill/drill.js";
import { formatScore, readMutation } from "./mutation/result.js";

const ROOT = resolve(import.meta.dirname, "..");
const ID = /\b(\d{3,4}):([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)/g;
const STATES: Readonly<Record<string, string>> = {
  "SYN-RECEIVED": "SR",
  "SYN-SENT": "SS",
  "FIN-WAIT-1": "FW1",
  "FIN-WAIT-2": "FW2",
  "CLOSE-WAIT": "CW",
  "TIME-WAIT": "TW",
  "LAST-ACK": "LA",
  CLOSING: "CLG",
  CLOSED: "CLS",
  ESTABLISHED: "EST",
  LISTEN: "LIS",
};
type Kind = "tested" | "deviation" | "notApplicable" | "open";
interface Requirement {
  readonly id: string;
  readonly rfc: string;
  readonly level: string;
  readonly text: string;
  readonly section: string;
  readonly applies: string;
}
interface Evidence {
  readonly where: string;
  readonly green: boolean;
}

const files = (dir: string, suffix: string): string[] =>
  readdirSync(dir, { withFileTypes: true }).flatMap((e) =>
    e.isDirectory() ? files(join(dir, e.name), suffix) : e.name.endsWith(suffix) ? [join(dir, e.name)] : [],
  );
const table = (file: string): string[][] =>
  readFileSync(join(ROOT, file), "utf8")
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((l) => l.split("\t"));

const requirements: Requirement[] = table("spec/requirements.tsv").map(([id = "", level = "", , text = "", section = "", , , applies = ""]) => ({
  id,
  rfc: id.split(":")[0] as string,
  level,
  text,
  section,
  applies,
}));
const known = new Set(requirements.map((r) => r.id)),
  rfcs = new Set(requirements.map((r) => r.rfc));

/** Ids in a text; a state may be written out. */
function idsIn(text: string): string[] {
  return [...text.matchAll(ID)]
    .filter(([, rfc = ""]) => rfcs.has(rfc))
    .map(([, rfc, rest = ""]) => {
      const state = Object.keys(STATES).find((s) => rest.startsWith(`EV-${s}-`));
      return `${rfc}:${state === undefined ? rest : `EV-${STATES[state]}-${rest.slice(4 + state.length)}`}`;
    });
}

const evidence = new Map<string, Evidence[]>();
const unknown: string[] = [];
function names(ids: readonly string[], where: string, green: boolean): void {
  for (const id of ids) {
    if (!known.has(id)) unknown.push(`${where} names ${id}`);
    else evidence.set(id, [...(evidence.get(id) ?? []), { where, green }]);
  }
}

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly message?: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string; readonly location?: { readonly line: number } }[];
  }[];
}

/** Runs the unit tests that name an id, and all by RFC, whose titles may come from a table. */
function runTests(): string[] {
  const mine = files(join(ROOT, "test"), ".test.ts").filter(
    (f) => !f.includes("/interop/") && (f.includes("/test/rfc/") || idsIn(readFileSync(f, "utf8")).length > 0),
  );
  const dir = mkdtempSync(join(tmpdir(), "glasstcp-conformance-")),
    out = join(dir, "report.json");
  const run = spawnSync(
    process.execPath,
    [
      join(ROOT, "node_modules/vitest/vitest.mjs"),
      "run",
      "--project",
      "unit",
      "--includeTaskLocation",
      "--reporter=json",
      `--outputFile=${out}`,
      ...mine.map((f) => relative(ROOT, f)),
    ],
    { cwd: ROOT, encoding: "utf8" },
  );
  let report: Report;
  try {
    report = JSON.parse(readFileSync(out, "utf8")) as Report;
  } catch {
    throw new Error(`the tests did not run: ${run.stderr}${run.stdout}`);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  const failed: string[] = [];
  for (const file of report.testResults) {
    const where = relative(ROOT, file.name),
      lines = readFileSync(file.name, "utf8").split("\n");
    if (file.assertionResults.length === 0) failed.push(`${where}: ${file.message ?? "no test ran"}`);
    for (const t of file.assertionResults) {
      if (t.status === "failed") failed.push(`${where}: ${t.fullName}`);
      if (t.status !== "passed" && t.status !== "failed") continue;
      const above: string[] = [];
      for (let i = (t.location?.line ?? 0) - 2; i >= 0 && /^\s*\/\//.test(lines[i] as string); i--) above.push(lines[i] as string);
      names([...idsIn(t.fullName), ...above.filter((l) => l.includes("proves:")).flatMap(idsIn)], where, t.status === "passed");
    }
  }
  return failed;
}

/** Runs the packet scripts that name an id. */
function runScripts(): string[] {
  const failed: string[] = [];
  for (const file of files(join(ROOT, "test/drill/scripts"), ".pkt").sort()) {
    const source = readFileSync(file, "utf8"),
      head = /^(?:\s*\/\/[^\n]*\n)*/.exec(source)?.[0] ?? "";
    const ids = idsIn(head);
    if (ids.length === 0) continue;
    const where = relative(ROOT, file),
      r = drill(where, source);
    if (r.result === "FAIL") failed.push(`${where}:${r.line ?? 1} ${r.reason ?? ""}`);
    if (r.result !== "SKIP") names(ids, where, r.result === "PASS");
  }
  return failed;
}

interface Decision {
  readonly kind: Kind;
  readonly reason: string;
}
const decisions = new Map<string, Decision>();
for (const [id = "", kind = "", reason = ""] of table("spec/decisions.tsv")) {
  if (kind !== "deviation" && kind !== "notApplicable") throw new Error(`spec/decisions.tsv: ${id} is neither a deviation nor notApplicable`);
  if (reason === "") throw new Error(`spec/decisions.tsv: ${id} has no reason`);
  if (!/^(applies|rfc)=/.test(id) && !known.has(id)) unknown.push(`spec/decisions.tsv names ${id}`);
  decisions.set(id, { kind, reason });
}
const decided = (r: Requirement): Decision | undefined => decisions.get(r.id) ?? decisions.get(`rfc=${r.rfc}`) ?? decisions.get(`applies=${r.applies}`);
function kindOf(r: Requirement): Kind {
  const own = decisions.get(r.id);
  if (own?.kind === "deviation") return "deviation";
  const e = evidence.get(r.id);
  if (e?.some((x) => x.green) === true && e.every((x) => x.green)) return "tested";
  return decided(r)?.kind ?? "open";
}

const args = process.argv.slice(2);
const failed = [...runTests(), ...runScripts()];
const counts = new Map<string, Record<Kind, number>>();
const zero = (): Record<Kind, number> => ({ tested: 0, deviation: 0, notApplicable: 0, open: 0 });
const appendixB = zero(),
  events = zero(),
  all = zero();
for (const r of requirements) {
  const kind = kindOf(r),
    c = counts.get(r.rfc) ?? zero();
  c[kind]++;
  counts.set(r.rfc, c);
  all[kind]++;
  if (/^9293:(MUST|SHLD|MAY|REC)-\d+$/.test(r.id)) appendixB[kind]++;
  if (r.id.startsWith("9293:EV-")) events[kind]++;
}
const mutation = readMutation(ROOT);

if (args.includes("--json")) {
  console.log(
    JSON.stringify({
      rfcs: Object.fromEntries(counts),
      appendixB,
      events,
      mutation:
        mutation === undefined ? null : { killed: mutation.killed, survived: mutation.survived, equivalent: mutation.equivalent, stale: mutation.stale },
      failed,
      unknown,
    }),
  );
} else if (args.includes("--open")) {
  const rfc = args[args.indexOf("--open") + 1];
  for (const r of requirements) if (kindOf(r) === "open" && (rfc === undefined || r.rfc === rfc)) console.log(`${r.id}\t${r.level}\t${r.text}`);
} else {
  const row = (name: string, c: Record<Kind, number>): string => {
    const total = c.tested + c.deviation + c.notApplicable + c.open;
    return `${name.padEnd(22)}${String(total).padStart(7)}${String(c.tested).padStart(9)}${String(c.deviation).padStart(11)}${String(c.notApplicable).padStart(16)}${String(c.open).padStart(7)}`;
  };
  console.log(
    `${"RFC".padEnd(22)}${"rules".padStart(7)}${"tested".padStart(9)}${"deviation".padStart(11)}${"not applicable".padStart(16)}${"open".padStart(7)}`,
  );
  const order = ["9293", "6298", "5681", "2018", "6675", "8985", "7323", "5961", "6528", "1122", "9438"];
  const place = (rfc: string): number => (order.includes(rfc) ? order.indexOf(rfc) : order.length);
  for (const [rfc, c] of [...counts].sort(([a], [b]) => place(a) - place(b) || Number(a) - Number(b))) {
    console.log(row(`RFC ${rfc}`, c));
    if (rfc === "9293") {
      console.log(row("  Appendix B", appendixB));
      console.log(row("  state matrix", events));
    }
  }
  console.log(row("all", all));
  const b = appendixB;
  console.log(`\nRFC 9293 Appendix B: ${b.tested + b.deviation + b.notApplicable} of ${b.tested + b.deviation + b.notApplicable + b.open} decided`);
  console.log(
    mutation === undefined
      ? "mutation: not run yet (npm run mutation)"
      : `mutation: of the rules removed, ${formatScore(mutation.killed, mutation.survived, mutation.equivalent)}${mutation.stale ? " (stale: the sources have changed since; npm run mutation)" : ""}`,
  );
}
for (const line of [...failed.map((f) => `FAILED ${f}`), ...unknown.map((u) => `UNKNOWN ${u}`)]) console.error(line);
process.exitCode = failed.length + unknown.length > 0 ? 1 : 0;
