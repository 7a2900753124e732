/** npm run fuzz -- --frames N --seed S: the whole receive path under mutated real traffic. Exit 1 if anything broke; the last frames are printed. */
import { Command, InvalidArgumentError } from "commander";
import { Fuzzer } from "../test/fuzz/fuzzer.js";
import { plainMemory } from "../src/wire/wasm-memory.js";

const whole = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("give a whole number");
  return Number(text);
};
const options = new Command("fuzz")
  .description("feeds a stack with single frames and with sequences on live connections, mutated from real traffic")
  .option("--frames <n>", "frames in all", whole, 1_000_000)
  .option("--seed <n>", "the first seed; every 100,000 frames begin a new one", whole, 1)
  .addHelpText("after", "\nExamples:\n  npm run fuzz -- --frames 10000000 --seed 1")
  .parse()
  .opts<{ frames: number; seed: number }>();

const PER_SEED = 100_000;
/** Time of the processor (a busy machine may stop us for longer) that one turn of some twenty frames may take, ms: far more than it needs, far less than a loop without end. */
const TURN_MAX = 1_000;
const memory = [plainMemory(new Uint8Array(8 * 1024 * 1024)), plainMemory(new Uint8Array(8 * 1024 * 1024))] as const;
const started = performance.now();
let frames = 0,
  answers = 0,
  connections = 0,
  slowest = 0,
  quarterHeap = 0,
  said = started;
let seed = options.seed;

for (; frames < options.frames; seed++) {
  const fuzzer = new Fuzzer(seed, memory);
  const until = Math.min(PER_SEED, options.frames - frames);
  try {
    while (fuzzer.frames < until) {
      const before = process.cpuUsage();
      fuzzer.step();
      const used = process.cpuUsage(before),
        took = (used.user + used.system) / 1_000;
      if (took > slowest) slowest = took;
      if (took > TURN_MAX) throw new Error(`a turn took ${took.toFixed(0)} ms`);
    }
    fuzzer.finish();
  } catch (error) {
    console.log(`seed ${seed}, frame ${fuzzer.frames}: ${error instanceof Error ? error.stack : String(error)}`);
    console.log("the last frames, newest last:");
    for (const bytes of fuzzer.last.slice(-8)) console.log(Buffer.from(bytes).toString("hex"));
    console.log(`replay: npm run fuzz -- --frames ${fuzzer.frames + 100} --seed ${seed}`);
    process.exit(1);
  }
  frames += fuzzer.frames;
  answers += fuzzer.answers;
  connections += fuzzer.connections;
  if (frames >= options.frames / 4 && quarterHeap === 0) quarterHeap = process.memoryUsage().heapUsed;
  if (performance.now() - said > 30_000) {
    said = performance.now();
    console.log(`… ${frames} frames`);
  }
}
const seconds = (performance.now() - started) / 1_000;
const mib = (n: number): string => `${(n / 1_048_576).toFixed(1)} MiB`;
console.log(`${frames} frames from seeds ${options.seed} to ${seed - 1}: nothing thrown, no invariant violated, nothing left`);
console.log(
  `${connections} connections opened, ${answers} frames in answer; ${seconds.toFixed(1)} s, ${Math.round(frames / seconds)} frames/s, slowest turn ${slowest.toFixed(1)} ms`,
);
console.log(`heap ${mib(quarterHeap)} after a quarter, ${mib(process.memoryUsage().heapUsed)} at the end`);
