/** `glasstcp lab STATE`: brings the state about, proves it by the kernel's own ss, explains it, and holds it under watch. */
import { type ChildProcess, spawn } from "node:child_process";
import { CliError } from "../cli/errors.js";
import { timerText } from "../cli/ss/info.js";
import { SS_NAMES } from "../cli/ss/row.js";
import type { Status } from "../tcp/status.js";
import { ADDRESS, Bench, bePatient, kernelRows, PORT, sleep, until } from "./bench.js";
import { LAB_TCP, SCENES, type Scene } from "./states.js";
import { type LabState, type Lang, STATE_TEXTS, type Text, WORDS } from "./texts.js";

export interface StateLabOptions {
  readonly holdMs: number;
  readonly lang: Lang;
  readonly json: boolean;
  /** The client, instead of one of the lab's own. {url}, {address} and {port} are filled in. */
  readonly command: readonly string[];
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** How often ss is asked during a hold. */
const LOOK_MS = 250;

/** @returns whether every look showed the state */
export async function stateLab(state: LabState, options: StateLabOptions): Promise<boolean> {
  const scene = SCENES[state],
    text = STATE_TEXTS[state],
    t = (x: Text): string => x[options.lang];
  bePatient();
  const bench = new Bench({ tcp: LAB_TCP });
  let child: ChildProcess | undefined;
  let failed: Error | undefined;
  try {
    if (options.command.length === 0) await scene.play(bench);
    else {
      child = playCommand(bench, state, scene, options.command);
      child.once("error", (error) => {
        failed = new CliError(`${options.command[0]}: ${(error as NodeJS.ErrnoException).code === "ENOENT" ? "no such program" : error.message}`, {
          exitCode: 127,
        });
      });
    }
    const kernel = await until(
      `ss to show ${scene.ss}`,
      () => {
        if (failed !== undefined) throw failed;
        return rowOf(scene);
      },
      15_000,
    );
    const ours = oursOf(bench);
    if (!options.json) {
      options.say(`${state}\n`);
      const rows: [Text, string][] = [
        [WORDS.kernel, kernel],
        [WORDS.ours, ours ?? t(WORDS.unknown)],
        [WORDS.means, t(text.means)],
        [WORDS.how, t(text.how)],
        [WORDS.lasts, t(text.lasts)],
        [WORDS.stays, t(text.stays)],
      ];
      if (text.myth !== undefined) rows.push([WORDS.myth, t(text.myth)]);
      const width = Math.max(...rows.map(([label]) => wide(t(label))));
      for (const [label, value] of rows) options.say(`  ${t(label)}${" ".repeat(width - wide(t(label)))}  ${value}`);
      options.say(options.lang === "zh" ? `\n保持 ${options.holdMs / 1000} 秒 …` : `\nholding it for ${options.holdMs / 1000} s …`);
    }
    const { looks, seen, last } = await hold(scene, options);
    if (options.json) options.say(JSON.stringify({ state, kernel, ours: ours ?? null, holdMs: options.holdMs, looks, seen, last: last ?? null }));
    else
      options.say(
        options.lang === "zh"
          ? `ss 看了 ${looks} 次，${seen} 次是 ${scene.ss}；最后一次：${last ?? "没有了"}`
          : `ss showed ${scene.ss} in ${seen} of ${looks} looks; the last one: ${last ?? "no row"}`,
      );
    return seen === looks;
  } finally {
    child?.kill();
    bench.close();
  }
}

async function rowOf(scene: Scene): Promise<string | undefined> {
  return (await kernelRows(scene.port, scene.side)).find((row) => row.startsWith(`${scene.ss} `));
}

async function hold(scene: Scene, options: StateLabOptions): Promise<{ looks: number; seen: number; last: string | undefined }> {
  let looks = 0,
    seen = 0,
    last: string | undefined;
  const end = performance.now() + options.holdMs;
  do {
    last = await rowOf(scene);
    looks++;
    if (last !== undefined) seen++;
    await sleep(Math.max(0, Math.min(LOOK_MS, end - performance.now())));
  } while (performance.now() < end && !options.signal.aborted);
  return { looks, seen, last };
}

/** Our own row, in the columns of ss. */
function oursOf(bench: Bench): string | undefined {
  const conn = [...bench.rig.stack.connections()].at(-1);
  if (conn === undefined) return undefined;
  const s: Status = conn.status(bench.rig.clock.now());
  const timer = timerText({ ...s, service: undefined });
  return `${SS_NAMES[s.state]} ${s.recvQ} ${s.sendQ} ${s.local.address}:${s.local.port} ${s.remote.address}:${s.remote.port}${timer === undefined ? "" : ` ${timer}`}`;
}

function playCommand(bench: Bench, state: LabState, scene: Scene, command: readonly string[]): ChildProcess {
  if (scene.command === undefined)
    throw new CliError(`a client cannot be in ${state}: it is the server's state`, {
      exitCode: 2,
      mend: `run it without a command: glasstcp lab ${state.toLowerCase()}`,
    });
  bench.serve(scene.command.behaviour);
  if (scene.command.faults !== undefined) bench.fault(scene.command.faults);
  const fill = (word: string): string => word.replaceAll("{url}", `http://${ADDRESS}/`).replaceAll("{address}", ADDRESS).replaceAll("{port}", String(PORT));
  const [program = "", ...args] = command.map(fill);
  return spawn(program, args, {
    stdio: ["inherit", "inherit", "inherit"],
    env: { ...process.env, GLASSTCP_URL: `http://${ADDRESS}/`, GLASSTCP_ADDRESS: ADDRESS, GLASSTCP_PORT: String(PORT) },
  });
}

/** Columns of a text on a terminal: a Chinese character takes two. */
export const wide = (text: string): number => [...text].reduce((n, ch) => n + (/[\u1100-\u115f\u2e80-\uffe6]/.test(ch) ? 2 : 1), 0);
