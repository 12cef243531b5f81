/**
 * `npm run fuzz -- [--seconds 60] [--seed N] [--target name] [--path P]`
 *
 * Runs every target, or one, for a share of the time each. A failure is shrunk and printed with the
 * command that runs it again: seed and path name one value, and the seed alone the whole run.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type { FuzzTarget } from './fuzz-target.ts';
import type { LaneSettings, TargetReport } from './run-lane.ts';
import { fuzzTargets } from './target-table.ts';

/** Of a lane's process: decoders that need more for one value are defects. */
const heapMibMax = 768;
/** A target may take this much longer than its time: to start, and to shrink what it found. */
const extraMsMax = 90_000;
/** Of what a process wrote before it ended. Units: characters. */
const errorTextMax = 6_000;

type Planned = { readonly target: FuzzTarget; readonly runMs: number };
type Plan = { readonly seed: number; readonly path: string | null; readonly folder: string };
type Outcome = { readonly planned: Planned; readonly report: TargetReport | null; readonly faults: readonly string[] };

function commandFor({ seed }: Plan, { target }: Planned, path: string): string {
  return `npm run fuzz -- --seed ${seed} --target "${target.name}" --path ${path}`;
}

function outcomeOf(planned: Planned, report: TargetReport, plan: Plan): Outcome {
  const faults: string[] = [];
  if (report.failure !== null) {
    const { error, shown, path } = report.failure;
    faults.push(`${error}\n${shown}\n${commandFor(plan, planned, path)}`);
  } else if (report.runs >= planned.target.expectedRuns) {
    const missing = planned.target.expected.filter((name) => !(name in report.seen));
    if (missing.length > 0) faults.push(`never met: ${missing.join(', ')}; the generator no longer gets there`);
  }
  return { planned, report, faults };
}

function print({ planned, report, faults }: Outcome): void {
  const verdict = faults.length === 0 ? 'ok  ' : 'FAIL';
  const name = planned.target.name.padEnd(18);
  if (report === null) console.log(`${verdict} ${name}`);
  else {
    const seen = Object.entries(report.seen).sort(([, a], [, b]) => b - a);
    const most = seen.slice(0, 5).map(([what, count]) => `${what} ${count}`);
    const rest = seen.length > 5 ? `, ${seen.length - 5} more` : '';
    const seconds = `${(report.tookMs / 1000).toFixed(1)} s`.padStart(7);
    const memory = `${report.rssMib} MiB`.padStart(8);
    console.log(
      `${verdict} ${name} ${String(report.runs).padStart(7)} values ${seconds} ${memory}  ${most.join(', ')}${rest}`,
    );
  }
  for (const fault of faults) console.log(`\n${fault}\n`);
}

/** Runs targets in one process. Returns their outcomes; fewer when the process ended early. */
async function runProcess(targets: readonly Planned[], plan: Plan): Promise<Outcome[]> {
  const progressFile = join(plan.folder, `${targets[0]!.target.name.replaceAll(' ', '-')}`);
  const { seed, path } = plan;
  const settings: LaneSettings = {
    targets: targets.map(({ target, runMs }) => ({ name: target.name, runMs })),
    seed,
    path,
    progressFile,
  };
  const child = spawn(
    process.execPath,
    [`--max-old-space-size=${heapMibMax}`, join(import.meta.dirname, 'run-lane.ts'), JSON.stringify(settings)],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let errorText = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errorText = (errorText + chunk.toString()).slice(-errorTextMax);
  });
  const outcomes: Outcome[] = [];
  const add = (outcome: Outcome): void => {
    outcomes.push(outcome);
    print(outcome);
  };
  const closed = once(child, 'close') as Promise<[number | null, string | null]>;
  const stopAfter = ({ runMs }: Planned): NodeJS.Timeout => setTimeout(() => child.kill('SIGKILL'), runMs + extraMsMax);
  let timer = stopAfter(targets[0]!);
  for await (const line of createInterface({ input: child.stdout })) {
    clearTimeout(timer);
    if (line.startsWith('{')) add(outcomeOf(targets[outcomes.length]!, JSON.parse(line) as TargetReport, plan));
    timer = stopAfter(targets[outcomes.length] ?? targets[0]!);
  }
  const [code, signal] = await closed;
  clearTimeout(timer);
  const ended = targets[outcomes.length];
  if (ended !== undefined) {
    const at = readFileSync(progressFile, 'utf8').trim();
    const fault = `the process ended with ${signal ?? code} at value ${at}\n${errorText}\n${commandFor(plan, ended, at)}`;
    add({ planned: ended, report: null, faults: [fault] });
  }
  return outcomes;
}

async function runLane(targets: readonly FuzzTarget[], laneMs: number, plan: Plan): Promise<Outcome[]> {
  const shares = targets.reduce((sum, { share }) => sum + share, 0);
  const planned = targets.map((target) => ({ target, runMs: Math.round((laneMs * target.share) / shares) }));
  const outcomes: Outcome[] = [];
  while (outcomes.length < planned.length) {
    outcomes.push(...(await runProcess(planned.slice(outcomes.length), plan)));
  }
  return outcomes;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
      target: { type: 'string' },
      path: { type: 'string' },
    },
  });
  const { target: name, path = null } = values;
  const chosen = name === undefined ? fuzzTargets : fuzzTargets.filter((target) => target.name === name);
  if (chosen.length === 0 || (path !== null && name === undefined)) {
    console.error(`--target is one of: ${fuzzTargets.map((target) => target.name).join(', ')}`);
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), 'skyshard-fuzz-'));
  const plan: Plan = { seed: Number(values.seed), path, folder };
  const laneMs = Number(values.seconds) * 1000;
  console.log(`fuzz: seed ${plan.seed}, ${values.seconds} s`);
  try {
    const lanes = [...new Set(chosen.map(({ lane }) => lane))];
    const running = lanes.map((lane) =>
      runLane(
        chosen.filter((target) => target.lane === lane),
        laneMs,
        plan,
      ),
    );
    const outcomes = (await Promise.all(running)).flat();
    const failed = outcomes.filter(({ faults }) => faults.length > 0);
    const runs = outcomes.reduce((sum, { report }) => sum + (report?.runs ?? 0), 0);
    console.log(`${runs} values, ${failed.length} of ${outcomes.length} targets failed; seed ${plan.seed}`);
    return failed.length === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exit(await main());
