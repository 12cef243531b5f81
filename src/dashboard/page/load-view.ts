/** Requests, items, errors, hedges, caches, CPU, event loop, memory and page faults over time. */
import { systemClock } from '../../base/clock.ts';
import { Chart } from './charts.ts';
import { columnMs } from './columns.ts';
import { card, choice, h } from './dom.ts';
import { bytes, duration, type Frame, growth, isError, rateOf, threeDigits } from './figures.ts';
import { framesOf, keepHistory, type View, windows } from './view.ts';

const historyEveryMs = 5_000;

type Figure = {
  readonly title: string;
  readonly note: string;
  readonly format: (value: number) => string;
  /** Names of lines of a process; by default one. */
  readonly value: (frame: Frame, before: Frame | undefined) => number | null;
};

function perSecond(value: number): string {
  return `${threeDigits(value)}/s`;
}

/** Gauges are read every five seconds, so that a counter grows in steps. */
function grown(gauge: string, scale = 1): Figure['value'] {
  return (frame, before) => (before === undefined ? null : growth(before, frame, gauge) * scale);
}

function sumOfGrowth(prefix: string): Figure['value'] {
  return (frame, before) => {
    if (before === undefined) return null;
    const names = Object.keys(frame.gauges).filter((name) => name.startsWith(prefix));
    return names.reduce((sum, name) => sum + growth(before, frame, name), 0);
  };
}

function hitShare(frame: Frame, before: Frame | undefined): number | null {
  const [hits, misses] = [growth(before, frame, 'cacheHits'), growth(before, frame, 'cacheMisses')];
  return hits + misses === 0 ? null : (100 * hits) / (hits + misses);
}

function itemsOf({ series, spanMs }: Frame): number {
  const all = Object.entries(series).filter(([key]) => key.startsWith('items|'));
  return (all.reduce((sum, [, one]) => sum + one.sum, 0) * 1000) / spanMs;
}

const figures: readonly Figure[] = [
  {
    title: 'Requests',
    note: 'answered per second, at routers',
    format: perSecond,
    value: (frame) => rateOf([frame], 'request'),
  },
  { title: 'Items', note: 'asked for per second', format: perSecond, value: itemsOf },
  {
    title: 'Errors',
    note: 'per second, of all causes',
    format: perSecond,
    value: (frame) => rateOf([frame], 'request', isError),
  },
  { title: 'Refused', note: 'per second, by limits (shed)', format: perSecond, value: sumOfGrowth('refused.') },
  { title: 'Second attempts', note: 'hedges per second', format: perSecond, value: grown('hedged.sent') },
  {
    title: 'Calls',
    note: 'answered per second, by nodes',
    format: perSecond,
    value: (frame) => rateOf([frame], 'call'),
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
  { title: 'Disk reads', note: 'major page faults per second', format: perSecond, value: grown('pageFaults.major') },
  { title: 'Commits', note: 'to disk per second', format: perSecond, value: (frame) => rateOf([frame], 'commit') },
];

/** Returns a frame some seconds before, whose gauges were read earlier. */
function beforeOf(frames: readonly Frame[], index: number): Frame | undefined {
  return frames[Math.max(0, index - 5)] === frames[index] ? undefined : frames[Math.max(0, index - 5)];
}

export const loadView: View = (root, context) => {
  const { state, set } = context;
  const charts = figures.map(({ format }) => new Chart('time', format));
  const zone = `times are of ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
  const controls = card(
    'Load',
    zone,
    h(
      'div',
      { class: 'controls' },
      choice('window', windows, state['minutes'] ?? '2', (value) => set({ minutes: value })),
    ),
  );
  controls.className = 'wide';
  root.append(controls, ...figures.map(({ title, note }, index) => card(title, note, charts[index]!.element)));
  let askedMs = 0;
  return () => {
    if (systemClock.nowMs() - askedMs >= historyEveryMs) {
      askedMs = systemClock.nowMs();
      keepHistory(context, '-');
    }
    const byProcess = [...framesOf(context)].sort(([a], [b]) => (a < b ? -1 : 1));
    const spanMs = columnMs(byProcess[0]?.[1] ?? []);
    const times = [
      ...new Set(byProcess.flatMap(([, frames]) => frames.map(({ endMs }) => Math.round(endMs / spanMs)))),
    ];
    times.sort((a, b) => a - b);
    const xs = times.map((time) => (time * spanMs) / 1000);
    figures.forEach(({ value }, index) => {
      const lines = byProcess.map(([name, frames]) => {
        const valueAt = new Map(
          frames.map((frame, at) => [Math.round(frame.endMs / spanMs), value(frame, beforeOf(frames, at))]),
        );
        return { name, values: times.map((time) => valueAt.get(time) ?? null) };
      });
      // A router has no commits, and a node no requests: lines that say nothing are left out.
      const known = lines.filter(({ values }) => values.some((one) => one !== null));
      const telling = known.filter(({ values }) => values.some((one) => one !== null && one !== 0));
      charts[index]!.show(xs, telling.length > 0 ? telling : known);
    });
  };
};
