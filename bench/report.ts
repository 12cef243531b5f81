/**
 * What benches share: machine description, latency percentiles, CPU time, load drivers.
 *
 * Figures are named with their unit last (`keys_per_s`, `cpu_us_per_record`, `p99_ms`).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import * as hdr from 'hdr-histogram-js';
import { systemClock } from '../src/base/clock.ts';

/** A figure, or figures by name. */
export type Figure = number | string | boolean | null | { readonly [name: string]: Figure };
export type Figures = { readonly [name: string]: Figure };

export type BenchOptions = {
  /** Small data and short phases: the whole bench ends within 45 s. */
  readonly quick: boolean;
  readonly seed: number;
  /** How long all measured phases together may take. */
  readonly budgetS: number;
  /** The arguments after the runner's own flags. */
  readonly args: readonly string[];
  /** Prints one line for people. */
  readonly print: (line: string) => void;
};

export type BenchResult = { readonly dataSize: string; readonly figures: Figures };

/** Returns the processor's name, which virtual machines shorten, and on Linux its numbers. */
function cpuName(): string {
  const name = cpus()[0]?.model ?? 'unknown';
  if (!existsSync('/proc/cpuinfo')) return name;
  const text = readFileSync('/proc/cpuinfo', 'latin1');
  const numberOf = (field: string): string => new RegExp(`^${field}\\s*: (\\d+)$`, 'm').exec(text)?.[1] ?? '?';
  return `${name} (family ${numberOf('cpu family')}, model ${numberOf('model')})`;
}

/** Returns the properties of the machine that figures depend on. */
const compiledLmdb = join(import.meta.dirname, '..', 'node_modules', 'lmdb', 'build', 'Release', 'lmdb.node');

/** `lmdb`: whether the storage engine is npm's, or compiled here by `npm run build:lmdb`. */
export function describeMachine(): {
  cpu: string;
  cores: number;
  memory_gib: number;
  node: string;
  lmdb: 'of npm' | 'compiled';
} {
  return {
    cpu: cpuName(),
    cores: availableParallelism(),
    memory_gib: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    lmdb: existsSync(compiledLmdb) ? 'compiled' : 'of npm',
  };
}

/** Returns a share in percent for people. */
export function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`;
}

export type Percentiles = {
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly p999_ms: number;
  readonly max_ms: number;
};

/** Records latencies in an HDR histogram with a resolution of 1 µs. Units: milliseconds. */
export class LatencyRecorder {
  readonly #histogram = hdr.build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 600_000_000,
    numberOfSignificantValueDigits: 3,
  });
  #count = 0;

  get count(): number {
    return this.#count;
  }

  record(durationMs: number): void {
    this.#count++;
    this.#histogram.recordValue(Math.max(1, Math.round(durationMs * 1000)));
  }

  percentiles(): Percentiles {
    const at = (percentile: number): number => this.#histogram.getValueAtPercentile(percentile) / 1000;
    return { p50_ms: at(50), p99_ms: at(99), p999_ms: at(99.9), max_ms: this.#histogram.maxValue / 1000 };
  }
}

/** Returns the CPU time of a process's living threads. Units: microseconds. */
export function cpuUsOfProcess(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
    } catch {
      // The thread ended after the listing.
    }
  }
  return nanoseconds / 1000;
}

/** Measures the CPU time of processes by name, until `stop` is called. Units: microseconds. */
export function startCpuMeter(pidByName: Readonly<Record<string, number>>): { stop(): Record<string, number> } {
  const read = (): Record<string, number> =>
    Object.fromEntries(Object.entries(pidByName).map(([name, pid]) => [name, cpuUsOfProcess(pid)]));
  const before = read();
  return {
    stop() {
      const after = read();
      return Object.fromEntries(Object.keys(before).map((name) => [name, after[name]! - before[name]!]));
    },
  };
}

export type ClosedLoopOptions = {
  /** Requests in flight at any time. */
  readonly inFlight: number;
  readonly durationMs: number;
  readonly send: (index: number) => Promise<unknown>;
};

/** Keeps a fixed number of requests in flight: the highest rate, and latencies at saturation. */
export async function runClosedLoop(
  options: ClosedLoopOptions,
): Promise<{ count: number; durationMs: number; latency: Percentiles }> {
  const recorder = new LatencyRecorder();
  const startMs = systemClock.monotonicMs();
  const endMs = startMs + options.durationMs;
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let sentMs = systemClock.monotonicMs(); sentMs < endMs; ) {
      await options.send(next++);
      const nowMs = systemClock.monotonicMs();
      recorder.record(nowMs - sentMs);
      sentMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: options.inFlight }, worker));
  return { count: recorder.count, durationMs: systemClock.monotonicMs() - startMs, latency: recorder.percentiles() };
}

export type OpenLoopOptions = {
  readonly perSecond: number;
  readonly durationMs: number;
  /** Requests due while so many wait count as `unsent`, which bounds memory. */
  readonly inFlightMax?: number;
  /** Once true, nothing more is sent, whatever is left of the duration. */
  readonly isOver?: () => boolean;
  readonly send: (index: number) => Promise<unknown>;
};

/**
 * Sends at fixed times, whether or not earlier answers have come; latency counts from the due time.
 *
 * Returns: failed requests are counted separately and are in no percentile.
 */
export async function runOpenLoop(
  options: OpenLoopOptions,
): Promise<{ count: number; failed: number; unsent: number; latency: Percentiles }> {
  const recorder = new LatencyRecorder();
  const inFlightMax = options.inFlightMax ?? 10_000;
  const total = Math.floor((options.perSecond * options.durationMs) / 1000);
  const startMs = systemClock.monotonicMs();
  let [next, inFlight, failed, unsent] = [0, 0, 0, 0];
  const waiting = new Set<Promise<void>>();
  const sendOne = async (index: number, dueMs: number): Promise<void> => {
    inFlight++;
    try {
      await options.send(index);
      recorder.record(systemClock.monotonicMs() - dueMs);
    } catch {
      failed++;
    } finally {
      inFlight--;
    }
  };
  while (next < total && options.isOver?.() !== true) {
    // The first request is due at once.
    const dueCount = Math.min(
      total,
      Math.floor(((systemClock.monotonicMs() - startMs) * options.perSecond) / 1000) + 1,
    );
    for (; next < dueCount; next++) {
      if (inFlight >= inFlightMax) {
        unsent++;
        continue;
      }
      const sent: Promise<void> = sendOne(next, startMs + (next * 1000) / options.perSecond).then(
        () => void waiting.delete(sent),
      );
      waiting.add(sent);
    }
    await systemClock.sleep(1);
  }
  await Promise.all(waiting);
  return { count: recorder.count, failed, unsent, latency: recorder.percentiles() };
}

export function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[values.length >> 1]!;
}
