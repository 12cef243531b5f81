/** A heat map and percentile curves of any series, and the slowest requests with their steps. */
import type { LiveFrame } from '../../metrics/live-frame.ts';
import { Chart, type Line } from './charts.ts';
import { Columns } from './columns.ts';
import { type Cell, card, choice, h, table } from './dom.ts';
import { type Distribution, duration, rateOf, threeDigits } from './figures.ts';
import { FrameWindows, mergedOf } from './frame-windows.ts';
import { cellsOf } from './heat-cells.ts';
import { drawHeatMap } from './heat-map.ts';
import { framesOf, spanOf, type View, type ViewContext, windows } from './view.ts';

const percentiles = [50, 90, 99, 99.9, 99.99, 100] as const;
const curvePoints = 81;
const curveDecades = 4;
const baselineKey = 'skyshard-baseline';

/** Kinds of series, and what they are called. */
const kinds: readonly (readonly [kind: string, text: string])[] = [
  ['request', 'request'],
  ['caller', 'caller'],
  ['call', 'call of a node'],
  ['apply', 'event to visible'],
  ['append', 'log append'],
  ['transaction', 'transaction'],
  ['commit', 'commit and flush'],
  ['queue', 'waiting for a turn'],
  ['hedge', 'second attempt'],
];

/** Returns prefixes of the series of durations among these: each kind, and each method of it. */
export function prefixesOf(names: Iterable<string>): string[] {
  const found = new Set<string>();
  for (const key of names) {
    const [kind, name] = key.split('|');
    if (!kinds.some(([known]) => known === kind)) continue;
    found.add(kind!);
    if (name !== undefined) found.add(`${kind}|${name}`);
  }
  return [...found].sort();
}

function nameOf(prefix: string): string {
  const [kind, name] = prefix.split('|');
  const text = kinds.find(([known]) => known === kind)?.[1] ?? kind!;
  return name === undefined ? `${text}: all` : `${text}: ${name}`;
}

function curve(of: Distribution): number[] {
  const at = Array.from({ length: curvePoints }, (_unused, index) => (curveDecades * index) / (curvePoints - 1));
  return of.atAll(at.map((decades) => 100 * (1 - 10 ** -decades)));
}

type Baseline = { readonly prefix: string; readonly text: string; readonly curve: readonly number[] };

function readBaseline(): Baseline | null {
  const text = localStorage.getItem(baselineKey);
  return text === null ? null : (JSON.parse(text) as Baseline);
}

function percentileRow(name: string, of: Distribution, perSecond: number): Cell[] {
  const values = of.atAll(percentiles);
  return [
    name,
    threeDigits(perSecond),
    threeDigits(of.count),
    ...values.map((value) => (of.count === 0 ? '–' : duration(value))),
  ];
}

function slowRows({ connection }: ViewContext): Cell[][] {
  return connection.slowest.map(
    ({ endMs, method, durationMs, caller, code, items, waitedMs, steps, trace, request }) => [
      new Date(endMs).toLocaleTimeString('en', { hour12: false }),
      { text: method, className: 'text' },
      duration(durationMs * 1000),
      { text: code ?? 'ok', className: code === null ? 'text good' : 'text bad' },
      threeDigits(items),
      waitedMs === 0 ? '0' : duration(waitedMs * 1000),
      { text: caller === '' ? '–' : caller, className: 'text' },
      {
        text: steps
          .map(
            ({ node, call, atMs, tookMs }) =>
              `${node} ${call} at ${atMs} ms: ${tookMs === null ? 'no answer' : `${tookMs} ms`}`,
          )
          .join('; '),
        className: 'wrap',
      },
      { text: trace ?? request, className: 'text' },
    ],
  );
}

/** Returns what chooses processes, series and windows. */
function controlsOf(
  { connection, state, set }: ViewContext,
  prefix: string,
  process: string,
  save: () => void,
): HTMLElement[] {
  const processes = [...connection.secondsByProcess.keys()].sort();
  const prefixes = prefixesOf(connection.names);
  if (!prefixes.includes(prefix)) prefixes.unshift(prefix);
  const comparisons = [
    ['', 'nothing'],
    ['half', 'the first half of the window'],
    ['baseline', 'the saved baseline'],
  ] as const;
  const named = (names: readonly string[]): [string, string][] => names.map((name) => [name, name]);
  return [
    choice('process', [['', 'all'], ...named(processes)], process, (value) => set({ process: value })),
    choice(
      'series',
      prefixes.map((one) => [one, nameOf(one)] as const),
      prefix,
      (value) => set({ series: value }),
    ),
    choice('window', windows, state['minutes'] ?? '2', (value) => set({ minutes: value })),
    choice('compare with', comparisons, state['compare'] ?? '', (value) => set({ compare: value })),
    h('button', { type: 'button', onclick: save }, 'Save as baseline'),
  ];
}

/** What the chosen frames have, in all and in halves. */
class Shown {
  readonly #columns: Columns<number[]>;
  readonly #all: FrameWindows;
  readonly #halves: readonly [FrameWindows, FrameWindows];

  constructor(prefix: string) {
    this.#columns = new Columns((frames) => cellsOf(frames, prefix));
    this.#all = new FrameWindows(prefix);
    this.#halves = [new FrameWindows(prefix), new FrameWindows(prefix)];
  }

  heat(byProcess: ReadonlyMap<string, readonly LiveFrame[]>): { readonly ends: number[]; readonly values: number[][] } {
    return this.#columns.of([...byProcess.values()]);
  }

  byProcess(byProcess: ReadonlyMap<string, readonly LiveFrame[]>): Map<string, Distribution> {
    return this.#all.of(byProcess);
  }

  halves(byProcess: ReadonlyMap<string, readonly LiveFrame[]>): [first: Distribution, second: Distribution] {
    const halfOf = (isSecond: boolean): Map<string, readonly LiveFrame[]> =>
      new Map(
        [...byProcess].map(([process, frames]) => {
          const middle = Math.floor(frames.length / 2);
          return [process, isSecond ? frames.slice(middle) : frames.slice(0, middle)];
        }),
      );
    const [first, second] = this.#halves;
    return [mergedOf(first.of(halfOf(false)).values()), mergedOf(second.of(halfOf(true)).values())];
  }
}

/** Returns the curves of the window, and of what it is compared with. */
function linesOf({ state }: ViewContext, shown: Shown, byProcess: ReadonlyMap<string, readonly LiveFrame[]>): Line[] {
  if (state['compare'] === 'half') {
    const [first, second] = shown.halves(byProcess);
    return [
      { name: 'second half', values: curve(second) },
      { name: 'first half', values: curve(first) },
    ];
  }
  const now = { name: 'now', values: curve(mergedOf(shown.byProcess(byProcess).values())) };
  const baseline = state['compare'] === 'baseline' ? readBaseline() : null;
  return baseline === null ? [now] : [now, { name: baseline.text, values: baseline.curve }];
}

/** Returns how exact values are, if that is worth saying. */
function exactnessNote(bits: number): string {
  if (bits >= 8) return 'of the window';
  return `of the window; values are up to ${Math.round(100 / (2 ** (bits - 1) + 1))} % low, choose one process for all digits`;
}

export const latencyView: View = (root, context) => {
  const { state, set, connection } = context;
  const prefix = state['series'] ?? 'request';
  const process = state['process'] ?? '';
  connection.want({ prefixes: [prefix], process: process === '' ? null : process, spanS: spanOf(context) });
  const controls = h('div', { class: 'controls' });
  const heat = h('canvas', { class: 'heat', role: 'img', 'aria-label': 'Heat map of durations over time' });
  const curves = new Chart('percentile', duration);
  const figures = h('div');
  const slow = h('div');
  const controlCard = card('Latency', '', controls);
  const heatCard = card('Over time', 'log scale; a stronger colour is more', heat);
  const figureCard = card('Figures', exactnessNote(8), figures);
  const slowCard = card('Slowest requests', 'of the last ten minutes, of those that took --slow-ms or longer', slow);
  const curveCard = card('Percentiles', 'to 99.99', curves.element);
  for (const wide of [controlCard, heatCard, curveCard, figureCard, slowCard]) wide.className = 'wide';
  root.append(controlCard, heatCard, curveCard, figureCard, slowCard);
  const shown = new Shown(prefix);
  let shownControls = '';
  const meant = (): Map<string, readonly LiveFrame[]> =>
    new Map([...framesOf(context)].filter(([name]) => process === '' || name === process));
  function save(): void {
    const text = `${nameOf(prefix)}, ${new Date(connection.atMs).toLocaleString('en', { hour12: false })}`;
    const values = curve(mergedOf(shown.byProcess(meant()).values()));
    localStorage.setItem(baselineKey, JSON.stringify({ prefix, text, curve: values } satisfies Baseline));
    set({ compare: 'baseline' });
  }
  return () => {
    const key = JSON.stringify([[...connection.secondsByProcess.keys()], prefixesOf(connection.names)]);
    if (key !== shownControls) controls.replaceChildren(...controlsOf(context, prefix, process, save));
    shownControls = key;
    const byProcess = meant();
    const { ends, values } = shown.heat(byProcess);
    drawHeatMap(heat, ends, values);
    curves.show(
      Array.from({ length: curvePoints }, (_unused, index) => (curveDecades * index) / (curvePoints - 1)),
      linesOf(context, shown, byProcess),
    );
    const rows = [...shown.byProcess(byProcess)]
      // A process that has nothing of the series says nothing.
      .filter(([name, { count }]) => count > 0 || name === process)
      .map(([name, of]) => percentileRow(name, of, rateOf(byProcess.get(name)!, prefix)));
    figures.replaceChildren(
      rows.length === 0
        ? h('p', { class: 'note' }, 'Nothing in this window.')
        : table(['process', '/s', 'count', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max'], rows),
    );
    const bits = [...byProcess.keys()].map((name) => connection.bitsByProcess.get(name) ?? 8).filter((one) => one > 0);
    figureCard.querySelector('small')!.textContent = exactnessNote(Math.min(8, ...bits));
    const headings = ['time', '~method', 'took', '~code', 'items', 'waited', '~caller', '~steps', '~trace or request'];
    slow.replaceChildren(
      connection.slowest.length === 0 ? h('p', { class: 'note' }, 'None.') : table(headings, slowRows(context)),
    );
  };
};
