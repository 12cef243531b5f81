/**
 * What a caller of very large batches costs everyone else, and what an overloaded plane still does.
 *
 * A caller in a process of its own sends batches of many URIs three times a second, beside the
 * calls of page loads at a fixed rate of a quarter of the capacity. Pairs of phases with and
 * without it alternate, and the median of the ratios of their p99 counts.
 *
 * Then calls come at three times the capacity, on many connections: goodput counts answers within a
 * second. Both are open loops; requests that find no free connection are not sent. The load
 * generator has a processor of its own, since it needs most at three times the capacity: on shared
 * ones it takes from the servers what they need. So their capacity is measured again, with one
 * processor less than above. It changes with what else a machine does, so phases at capacity and
 * above it alternate, and the median of the ratios counts. `cores` is what the processes took of
 * processors above the capacity, and `cores_at_capacity` at it: the generator of a bench that is to
 * be believed has less than one.
 *
 * Arguments: the count of records, and the layouts if not all are meant: `box` is a node that is an
 * edge, `router` a router before two nodes.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { type Box, startBox } from './box.ts';
import { endWithUs } from './child-process.ts';
import type { GreedyOutcome } from './greedy-caller.ts';
import { GrpcLoad } from './grpc-load.ts';
import { openLoop, saturate, saturatingInFlight } from './hot-load.ts';
import { callsOf, type HotMethod } from './hot-request.ts';
import { hotMethods } from './hot-requests.ts';
import { onOwnProcessor } from './own-processor.ts';
import {
  type BenchOptions,
  type BenchResult,
  type Figures,
  median,
  type Percentiles,
  runOpenLoop,
  startCpuMeter,
} from './report.ts';

export const question =
  'What do other callers see of one that asks for 20,000 records three times a second, and what is answered at three times the capacity?';

const layouts = { box: { nodes: 1, edge: true }, router: { nodes: 2, edge: false } } as const;
type Layout = keyof typeof layouts;

/** The second is the most that one request may ask for. */
const batchSizes = [20_000, 5_000] as const;
const batchesPerSecond = 3;
const connectionsOfOverload = 2_000;
/** An answer that takes longer is of no use to an AppView. */
const goodputMsMax = 1_000;
const goals = { ratio_p99: 1.5, goodput: 0.9 } as const;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const [first, ...names] = options.args;
  const records = Number(first ?? (options.quick ? 20_000 : 300_000));
  const chosen = (Object.keys(layouts) as Layout[]).filter((name) => names.length === 0 || names.includes(name));
  const figures: Record<string, Figures> = {};
  for (const layout of chosen) figures[layout] = await measure(layout, records, options);
  return { dataSize: `${records} records, 16 slots`, figures: { goals, ...figures } };
}

async function measure(layout: Layout, records: number, options: BenchOptions): Promise<Figures> {
  const { seed, quick, print } = options;
  const network = { kind: 'graph', seed, records } as const;
  const box = await startBox({ network, slots: 16, ...layouts[layout], print });
  const load = new GrpcLoad(box.port, saturatingInFlight);
  try {
    const method = await singleCalls(box, seed, load);
    const phaseMs = quick ? 1_000 : 8_000;
    await saturate(load, method, phaseMs);
    const { perSecond: capacity } = await saturate(load, method, phaseMs);
    print(`${layout}: ${Math.round(capacity)} calls a second at saturation`);
    const beside: Record<string, Figures> = {};
    for (const uris of batchSizes) {
      const found = await besideGreedy(box, load, method, { uris, perSecond: capacity / 4, phaseMs, quick });
      beside[`batches_of_${uris}`] = found;
      print(`${layout}, batches of ${uris}: p99 ${found['ratio_p99']} times; ${found['problem']}`);
    }
    const over = await onOwnProcessor(Object.values(box.pids), () => overloaded(box, load, method, phaseMs, quick));
    print(`${layout}, at three times the capacity: goodput ${over['goodput']} of it`);
    return { capacity_per_s: capacity, ...beside, overloaded: over };
  } finally {
    load.close();
    await box[Symbol.asyncDispose]();
  }
}

/** Returns the calls of page loads one by one, all as one method. */
async function singleCalls({ pools }: Box, seed: number, load: GrpcLoad): Promise<HotMethod> {
  const [page] = await hotMethods(pools, seed, load, ['page']);
  return { name: 'calls', requests: page!.requests.flatMap((request) => callsOf(request).map((call) => [[call]])) };
}

/** Returns the most memory that the processes had in use so far. Units: MiB. */
function peakMemory(box: Box): Record<string, number> {
  return Object.fromEntries(
    Object.entries(box.pids).map(([name, pid]) => {
      const kib = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
      return [`${name}_peak_mib`, Number(kib) / 1024];
    }),
  );
}

type Beside = { readonly uris: number; readonly perSecond: number; readonly phaseMs: number; readonly quick: boolean };

async function besideGreedy(
  box: Box,
  load: GrpcLoad,
  method: HotMethod,
  { uris, perSecond, phaseMs, quick }: Beside,
): Promise<Figures> {
  const alone: number[] = [];
  const together: number[] = [];
  const outcome = { answered: 0, failed: 0, problem: '' };
  const phases = {
    alone: async () => {
      alone.push((await openLoop(load, method, perSecond, phaseMs)).p99_ms);
    },
    together: async () => {
      const greedy = await startGreedy(box, uris);
      together.push((await openLoop(load, method, perSecond, phaseMs)).p99_ms);
      const { answered, failed, problem } = await greedy.stop();
      outcome.answered += answered;
      outcome.failed += failed;
      outcome.problem = problem;
    },
  };
  for (let pair = 0; pair < (quick ? 2 : 5); pair++) {
    const order = pair % 2 === 0 ? (['alone', 'together'] as const) : (['together', 'alone'] as const);
    for (const phase of order) await phases[phase]();
  }
  const ratio = median(together.map((p99, pair) => p99 / alone[pair]!));
  return {
    ratio_p99: Math.round(ratio * 100) / 100,
    p99_alone_ms: median(alone),
    p99_ms: median(together),
    ...outcome,
    ...peakMemory(box),
  };
}

type Greedy = { stop(): Promise<GreedyOutcome> };

async function startGreedy(box: Box, uris: number): Promise<Greedy> {
  const script = join(import.meta.dirname, 'greedy-caller.ts');
  const pools = join(box.dataDir, 'pools.json');
  const child = fork(script, [String(box.port), pools, String(uris), String(batchesPerSecond)]);
  endWithUs(child);
  await once(child, 'message');
  return {
    stop: async () => {
      const answer = once(child, 'message');
      child.send('stop');
      const [outcome] = await answer;
      return outcome as GreedyOutcome;
    },
  };
}

/** Returns goodput, of the capacity that was measured right before, and how requests failed. */
async function overloaded(
  box: Box,
  load: GrpcLoad,
  method: HotMethod,
  phaseMs: number,
  quick: boolean,
): Promise<Figures> {
  const goodputs: number[] = [];
  const capacities: number[] = [];
  const phases: Overload[] = [];
  const coresAtCapacity: Cores[] = [];
  await saturate(load, method, phaseMs / 2);
  for (let pair = 0; pair < (quick ? 2 : 5); pair++) {
    const stop = startCoreMeter(box);
    const { perSecond } = await saturate(load, method, phaseMs);
    coresAtCapacity.push(stop());
    const phase = await overload(box, method, perSecond * 3, phaseMs);
    capacities.push(perSecond);
    goodputs.push(phase.goodPerSecond / perSecond);
    phases.push(phase);
  }
  const goodput = median(goodputs);
  const { goodPerSecond: good_per_s, ...typical } = phases[goodputs.indexOf(goodput)]!;
  return {
    goodput: Math.round(goodput * 1000) / 1000,
    goodputs: goodputs.map((each) => each.toFixed(2)).join(' '),
    capacity_per_s: median(capacities),
    cores_at_capacity: coresAtCapacity[goodputs.indexOf(goodput)]!,
    good_per_s,
    ...typical,
  };
}

type Cores = Readonly<Record<string, number>>;

/** Measures how many processors each process takes, until the returned function is called. */
function startCoreMeter(box: Box): () => Cores {
  const meter = startCpuMeter({ ...box.pids, generator: process.pid });
  const startMs = systemClock.monotonicMs();
  return () => {
    const tookUs = (systemClock.monotonicMs() - startMs) * 1000;
    return Object.fromEntries(Object.entries(meter.stop()).map(([name, us]) => [name, us / tookUs]));
  };
}

type Overload = Percentiles & {
  readonly goodPerSecond: number;
  readonly answered: number;
  readonly unsent: number;
  readonly failed: Readonly<Record<string, number>>;
  readonly cores: Cores;
};

async function overload(box: Box, { requests }: HotMethod, perSecond: number, durationMs: number): Promise<Overload> {
  const load = new GrpcLoad(box.port, connectionsOfOverload);
  let good = 0;
  const problems = new Map<string, number>();
  const stop = startCoreMeter(box);
  try {
    const send = async (index: number): Promise<void> => {
      const startMs = systemClock.monotonicMs();
      try {
        await load.ask(requests[index % requests.length]![0]![0]!.bytes);
        if (systemClock.monotonicMs() - startMs <= goodputMsMax) good++;
      } catch (error) {
        const { message } = error as Error;
        const status = /^grpc-status \d+/.exec(message)?.[0] ?? 'no answer';
        const problem = `${status} ${/\w+Max\b/.exec(message)?.[0] ?? ''}`.trimEnd();
        problems.set(problem, (problems.get(problem) ?? 0) + 1);
        throw error;
      }
    };
    const inFlightMax = connectionsOfOverload;
    const { count, unsent, latency } = await runOpenLoop({ perSecond, durationMs, inFlightMax, send });
    const failed = Object.fromEntries(problems);
    return { goodPerSecond: good / (durationMs / 1000), answered: count, unsent, failed, cores: stop(), ...latency };
  } finally {
    load.close();
  }
}
