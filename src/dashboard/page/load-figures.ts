/** What the view of load shows of a process over time. Pure. */
import type { LiveFrame } from '../../metrics/live-frame.ts';
import { bytes, duration, growth, isError, kindRateOf, threeDigits, totalOf } from './figures.ts';

export type Figure = {
  readonly title: string;
  readonly note: string;
  readonly format: (value: number) => string;
  /** `before` is a frame some seconds earlier, whose gauges were read earlier. */
  readonly value: (frame: LiveFrame, before: LiveFrame | undefined) => number | null;
};

/** Writes a rate. */
export function perSecond(value: number): string {
  return `${threeDigits(value)}/s`;
}

/** Gauges are read every five seconds, so that a counter grows in steps. */
function grown(gauge: string, scale = 1): Figure['value'] {
  // A process that has none says nothing, and neither does one that has just begun to count.
  return (frame, before) => (before?.gauges[gauge] === undefined ? null : growth(before, frame, gauge) * scale);
}

function sumOfGrowth(prefix: string): Figure['value'] {
  return (frame, before) => {
    const names = Object.keys(frame.gauges).filter((name) => name.startsWith(prefix));
    if (before === undefined || !names.some((name) => name in before.gauges)) return null;
    return names.reduce((sum, name) => sum + growth(before, frame, name), 0);
  };
}

function hitShare(frame: LiveFrame, before: LiveFrame | undefined): number | null {
  if (before?.gauges['cacheHits'] === undefined) return null;
  const [hits, misses] = [growth(before, frame, 'cacheHits'), growth(before, frame, 'cacheMisses')];
  return hits + misses === 0 ? null : (100 * hits) / (hits + misses);
}

function itemsOf(frame: LiveFrame): number {
  return (totalOf([frame], 'items').sum * 1000) / frame.spanMs;
}

export const figures: readonly Figure[] = [
  {
    title: 'Requests',
    note: 'answered per second, at routers',
    format: perSecond,
    value: (frame) => kindRateOf([frame], 'request'),
  },
  { title: 'Items', note: 'asked for per second', format: perSecond, value: itemsOf },
  { title: 'Refused', note: 'per second, by limits (shed)', format: perSecond, value: sumOfGrowth('refused.') },
  { title: 'Second attempts', note: 'hedges per second', format: perSecond, value: grown('hedged.sent') },
  {
    title: 'Calls',
    note: 'answered per second, by nodes',
    format: perSecond,
    value: (frame) => kindRateOf([frame], 'call'),
  },
  {
    title: 'Cache hits',
    note: '% of look-ups in caches',
    format: (value) => `${threeDigits(value)} %`,
    value: hitShare,
  },
  {
    title: 'CPU',
    note: '% of a core, all threads',
    format: (value) => `${threeDigits(value)} %`,
    value: grown('cpuSeconds', 100),
  },
  {
    title: 'Event loop',
    note: 'how late the main thread was at most',
    format: (value) => duration(value * 1e6),
    value: ({ gauges }) => gauges['eventLoopSeconds'] ?? null,
  },
  { title: 'Memory', note: 'resident', format: bytes, value: ({ gauges }) => gauges['residentBytes'] ?? null },
  {
    title: 'Page faults',
    note: 'major ones per second, each of which read the disk',
    format: perSecond,
    value: grown('pageFaults.major'),
  },
  { title: 'Disk', note: 'size of all slots', format: bytes, value: ({ gauges }) => gauges['slotsBytes'] ?? null },
  { title: 'Commits', note: 'to disk per second', format: perSecond, value: (frame) => kindRateOf([frame], 'commit') },
];

/** Returns how many requests ended by each cause of an error, per second, of one column. */
export function errorsByCause(frames: readonly LiveFrame[]): Map<string, number> {
  const causes = new Map<string, number>();
  // A second of each process: rates of processes add up.
  for (const { totals, spanMs } of frames) {
    for (const [key, [count]] of Object.entries(totals)) {
      if (!isError(key)) continue;
      const cause = key.split('|')[1]!;
      causes.set(cause, (causes.get(cause) ?? 0) + (count * 1000) / spanMs);
    }
  }
  return causes;
}

/** How many lines a chart has at most: more cannot be told apart. */
export const linesMax = 12;
/** How often these are chosen among more processes. */
const chooseEveryMs = 5_000;

/** A figure's values of frames, which are computed once, and the processes that are shown. */
export class FigureValues {
  readonly #figure: Figure;
  readonly #valueByFrame = new WeakMap<LiveFrame, number | null>();
  #chosen: readonly string[] = [];
  #chosenOf = '';
  #chosenMs = Number.NEGATIVE_INFINITY;
  #left = 0;

  constructor(figure: Figure) {
    this.#figure = figure;
  }

  /** Returns a process's values, in the order of its frames. */
  #valuesOf(frames: readonly LiveFrame[]): (number | null)[] {
    return frames.map((frame, index) => {
      let value = this.#valueByFrame.get(frame);
      if (value === undefined) {
        // Gauges of seconds may be five seconds old.
        const before = frames[Math.max(0, index - (frame.spanMs < 2_500 ? 5 : 1))]!;
        value = this.#figure.value(frame, before === frame ? undefined : before);
        // Of the first frames those before are not there yet.
        if (before !== frame) this.#valueByFrame.set(frame, value);
      }
      return value;
    });
  }

  /** Returns values of the processes that have the greatest, and how many are left out. */
  of(
    byProcess: ReadonlyMap<string, readonly LiveFrame[]>,
    nowMs: number,
  ): { readonly lines: Map<string, (number | null)[]>; readonly left: number } {
    const names = [...byProcess.keys()].sort();
    const key = names.join('\n');
    const isDue = names.length <= linesMax || nowMs - this.#chosenMs >= chooseEveryMs;
    if (key !== this.#chosenOf || isDue) {
      this.#chosen = this.#choose(byProcess, names);
      this.#chosenOf = key;
      this.#chosenMs = nowMs;
    }
    const lines = new Map(this.#chosen.map((name) => [name, this.#valuesOf(byProcess.get(name)!)]));
    return { lines, left: this.#left };
  }

  /** A router has no commits, and a node no requests: lines that say nothing are left out. */
  #choose(byProcess: ReadonlyMap<string, readonly LiveFrame[]>, names: readonly string[]): readonly string[] {
    const sums = names.map((name) => {
      const values = this.#valuesOf(byProcess.get(name)!).filter((value) => value !== null);
      return { name, isKnown: values.length > 0, sum: values.reduce((sum, value) => sum + value, 0) };
    });
    const known = sums.filter(({ isKnown }) => isKnown);
    const telling = known.filter(({ sum }) => sum !== 0);
    const meant = (telling.length > 0 ? telling : known).toSorted((a, b) => b.sum - a.sum);
    this.#left = Math.max(0, meant.length - linesMax);
    return meant
      .slice(0, linesMax)
      .map(({ name }) => name)
      .sort();
  }
}
