/** Ours beside the yardsticks: all servers are up, and each figure is taken of one after the other, round by round. */
import { FIGURES, type Figure, take, warmUp } from "./figures.js";
import type { BenchOptions } from "./options.js";
import type { Row } from "./result.js";
import { type Answer, kernel, limit, ours, Server, type ServerPlan } from "./server.js";
import type { Tools } from "./tools.js";

interface Mode {
  readonly name: string;
  readonly plan: ServerPlan;
  /** The yardstick that has the same means. */
  readonly limit: ServerPlan;
  readonly parts: readonly Figure["part"][];
}

const ALL: readonly Figure["part"][] = ["rx", "tx", "pp", "seq", "par"];

function modes(options: BenchOptions, tools: Tools, folder: string): Mode[] {
  const limits = { offload: limit(tools, false), plain: limit(tools, true) };
  if (options.server.length > 0)
    return [
      {
        name: options.plain ? "plain" : "as given",
        plan: { name: "server", command: options.server },
        limit: limits[options.plain ? "plain" : "offload"],
        parts: ALL,
      },
    ];
  const plain: Mode = { name: "plain", plan: ours("ours, plain", folder, ["--offload", "off"]), limit: limits.plain, parts: ALL };
  if (options.plain) return [plain];
  return [
    { name: "offload", plan: ours("ours", folder), limit: limits.offload, parts: ALL },
    plain,
    { name: "--spin-us 20", plan: ours("ours, spinning", folder, ["--spin-us", "20"]), limit: limits.offload, parts: ["pp"] },
  ];
}

export async function compare(options: BenchOptions, tools: Tools, folder: string, say: (line: string) => void): Promise<Row[]> {
  const wanted = ALL.filter((p) => options.only.includes(p));
  const chosen = modes(options, tools, folder).filter((m) => m.parts.some((p) => wanted.includes(p)));
  if (chosen.length === 0) return [];
  const parts = new Map<ServerPlan, Set<Figure["part"]>>();
  const yardstick = kernel(tools);
  for (const m of chosen)
    for (const plan of [m.plan, m.limit, yardstick]) for (const p of m.parts) if (wanted.includes(p)) parts.set(plan, (parts.get(plan) ?? new Set()).add(p));

  const servers = new Map<ServerPlan, Server>();
  const answers = new Map<ServerPlan, Map<Figure["part"], Answer[]>>();
  try {
    for (const plan of parts.keys()) servers.set(plan, await Server.start(plan, tools, folder));
    for (const [plan, server] of servers) {
      say(`warming up ${plan.name}`);
      await warmUp(server, [...(parts.get(plan) ?? [])], options);
      answers.set(plan, new Map(ALL.map((p) => [p, []])));
    }
    for (let run = 1; run <= options.runs; run++) {
      for (const part of wanted) {
        const found: string[] = [];
        for (const [plan, server] of servers) {
          if (parts.get(plan)?.has(part) !== true) continue;
          const answer = await take(server, part, options);
          answers.get(plan)?.get(part)?.push(answer);
          found.push(`${plan.name} ${short(answer[FIGURES.find((f) => f.part === part)?.key ?? ""])}`);
        }
        say(`run ${run} of ${options.runs}: ${part}: ${found.join(" · ")}`);
      }
    }
  } finally {
    for (const server of servers.values()) await server.stop();
  }

  const of = (plan: ServerPlan, part: Figure["part"]): readonly Answer[] => answers.get(plan)?.get(part) ?? [];
  return FIGURES.filter((f) => wanted.includes(f.part)).flatMap((f) => {
    const values = (plan: ServerPlan): number[] => of(plan, f.part).map((a) => a[f.key] ?? Number.NaN);
    const costs = (plan: ServerPlan): number[] => of(plan, f.part).map((a) => ((a["serverCpu"] ?? Number.NaN) / f.cost.units(a)) * f.cost.scale);
    return chosen
      .filter((m) => m.parts.includes(f.part))
      .map((m) => ({
        figure: f.title,
        mode: m.name,
        unit: f.unit,
        lowerIsBetter: f.lowerIsBetter,
        ours: values(m.plan),
        limit: values(m.limit),
        kernel: values(yardstick),
        cost: { unit: f.cost.unit, ours: costs(m.plan), limit: costs(m.limit) },
        others: of(m.plan, f.part).map((a) => (a["otherCpu"] ?? Number.NaN) / (a["seconds"] ?? Number.NaN)),
      }));
  });
}

export const short = (n: number | undefined): string =>
  n === undefined || Number.isNaN(n) ? "-" : n >= 1_000 ? Math.round(n).toLocaleString("en") : n >= 100 ? n.toFixed(0) : n.toFixed(n >= 10 ? 1 : 2);
