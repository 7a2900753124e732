/**
 * Times small pieces of work against a fixed loop of plain arithmetic that runs in turn with them. The quotient of the two
 * does not know how fast or how busy the machine is, so a baseline from one machine shows a slow change on any other.
 */

export interface Work {
  readonly name: string;
  /** Does the work `times` times. */
  run(times: number): void;
}

export interface Timing {
  readonly name: string;
  /** Nanoseconds of processor time each. */
  readonly ns: number;
  /** In units of the calibration loop. */
  readonly ratio: number;
}

export interface Effort {
  /** Turns of calibration and work each. */
  readonly turns: number;
  /** Length of a turn of either, milliseconds. */
  readonly turnMs: number;
}

const TABLE = new Uint8Array(4_096);
let kept = 1;

/** Loads, stores and integer arithmetic, as headers and sequence numbers need them: about as many steps as a header has octets. */
function calibrate(times: number): void {
  let x = kept | 1;
  for (let n = 0; n < times; n++) {
    for (let i = 0; i < 40; i++) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      const at = x & 4_095;
      TABLE[at] = ((TABLE[at] as number) + x) & 255;
    }
  }
  kept = x;
}

/** Processor time of the whole process, nanoseconds: a busy machine stretches the clock's, and garbage collection on other threads counts, too. */
const elapsed = (run: (times: number) => void, times: number): number => {
  const from = process.cpuUsage();
  run(times);
  const { user, system } = process.cpuUsage(from);
  return (user + system) * 1_000;
};

/** How often `run` is to be called to fill a turn; compiles it on the way. */
function timesFor(run: (times: number) => void, turnMs: number): number {
  let times = 1;
  for (;;) {
    const ns = elapsed(run, times);
    if (ns >= turnMs * 5e5) return Math.max(1, Math.round((times * turnMs * 1e6) / ns));
    times *= 2;
  }
}

/** A quarter of the turns lies below: what the work takes when little else runs, and not one lucky turn. */
const lowQuartile = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 2] as number;

export function time(works: readonly Work[], effort: Effort): Timing[] {
  const unitTimes = timesFor(calibrate, effort.turnMs);
  return works.map((work) => {
    const run = (times: number): void => work.run(times);
    // Twice: the first time counts what the interpreter did.
    timesFor(run, effort.turnMs);
    const times = timesFor(run, effort.turnMs);
    const units: number[] = [],
      each: number[] = [];
    for (let turn = 0; turn < effort.turns; turn++) {
      units.push(elapsed(calibrate, unitTimes) / unitTimes);
      each.push(elapsed(run, times) / times);
    }
    const ns = lowQuartile(each);
    return { name: work.name, ns, ratio: ns / lowQuartile(units) };
  });
}
