/**
 * Runs targets one after the other in a process of its own, so that a crash, a loop or a full heap
 * ends only this.
 *
 *     node run-lane.ts <settings as JSON>
 *
 * Prints a report for each target. Writes the number of the value that it is at to a file: should
 * the process end, its parent prints how to run that value again.
 */
import { openSync, writeSync } from 'node:fs';
import { type RunResult, Sightings } from './fuzz-target.ts';
import { fuzzTargets } from './target-table.ts';

export type LaneSettings = {
  readonly targets: readonly { readonly name: string; readonly runMs: number }[];
  readonly seed: number;
  readonly path: string | null;
  readonly progressFile: string;
};
export type TargetReport = RunResult & {
  readonly tookMs: number;
  readonly rssMib: number;
  readonly seen: Readonly<Record<string, number>>;
};

const { targets, seed, path, progressFile } = JSON.parse(process.argv[2]!) as LaneSettings;
const progress = openSync(progressFile, 'w');
const number = Buffer.alloc(16);
for (const { name, runMs } of targets) {
  const target = fuzzTargets.find((known) => known.name === name)!;
  const seen = new Sightings();
  const startedMs = performance.now();
  const onRun = (index: number): void => void writeSync(progress, number, 0, number.write(`${index}`.padEnd(16)), 0);
  onRun(0);
  const result = await target.run({ seed, seen }, { seed, runMs, path, onRun });
  const rssMib = Math.round(process.memoryUsage.rss() / 2 ** 20);
  const report: TargetReport = {
    ...result,
    tookMs: performance.now() - startedMs,
    rssMib,
    seen: Object.fromEntries(seen.counts),
  };
  console.log(JSON.stringify(report));
}
process.exit(0);
