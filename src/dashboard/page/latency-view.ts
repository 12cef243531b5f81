/** A heat map and percentile curves of any series, and the slowest requests with their steps. */
import { systemClock } from '../../base/clock.ts';
import { Chart, type Line } from './charts.ts';
import { columnsOf } from './columns.ts';
import { type Cell, card, choice, h, table } from './dom.ts';
import { Distribution, distributionOf, duration, type Frame, isIn, rateOf, threeDigits } from './figures.ts';
import { drawHeatMap } from './heat-map.ts';
import { framesOf, keepHistory, type View, type ViewContext, windows } from './view.ts';

const percentiles = [50, 90, 99, 99.9, 99.99, 100] as const;
const curvePoints = 81;
const curveDecades = 4;
const historyEveryMs = 5_000;
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

/** Returns prefixes of series of durations in these frames: each kind, and each method of it. */
export function prefixesOf(frames: Iterable<readonly Frame[]>): string[] {
  const found = new Set<string>();
  for (const of of frames) {
    for (const { series } of of) {
      for (const key of Object.keys(series)) {
        const [kind, name] = key.split('|');
        if (!kinds.some(([known]) => known === kind)) continue;
        found.add(kind!);
        if (name !== undefined) found.add(`${kind}|${name}`);
      }
    }
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
  const prefixes = prefixesOf(connection.secondsByProcess.values());
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

/** Returns the curves of the window, and of what it is compared with. */
function linesOf({ state }: ViewContext, columns: readonly Frame[], prefix: string): Line[] {
  const isHalved = state['compare'] === 'half';
  const middle = Math.floor(columns.length / 2);
  const now = distributionOf(isHalved ? columns.slice(middle) : columns, prefix);
  const lines: Line[] = [{ name: isHalved ? 'second half' : 'now', values: curve(now) }];
  if (isHalved) lines.push({ name: 'first half', values: curve(distributionOf(columns.slice(0, middle), prefix)) });
  const baseline = state['compare'] === 'baseline' ? readBaseline() : null;
  return baseline === null ? lines : [...lines, { name: baseline.text, values: baseline.curve }];
}

export const latencyView: View = (root, context) => {
  const { state, set, connection } = context;
  const prefix = state['series'] ?? 'request';
  const process = state['process'] ?? '';
  const controls = h('div', { class: 'controls' });
  const heat = h('canvas', { class: 'heat', role: 'img', 'aria-label': 'Heat map of durations over time' });
  const curves = new Chart('percentile', duration);
  const figures = h('div');
  const slow = h('div');
  const controlCard = card('Latency', `times are of ${Intl.DateTimeFormat().resolvedOptions().timeZone}`, controls);
  const heatCard = card('Over time', 'log scale; darker is more', heat);
  const slowCard = card('Slowest requests', 'of the last ten minutes, of those that took --slow-ms or longer', slow);
  for (const wide of [controlCard, heatCard, slowCard]) wide.className = 'wide';
  root.append(
    controlCard,
    heatCard,
    card('Percentiles', 'to 99.99', curves.element),
    card('Figures', 'of the window', figures),
    slowCard,
  );
  let askedMs = 0;
  let shownControls = '';
  const ask = (): void => {
    if (systemClock.nowMs() - askedMs < historyEveryMs) return;
    askedMs = systemClock.nowMs();
    keepHistory(context, prefix);
  };
  const meant = (): Map<string, readonly Frame[]> =>
    new Map([...framesOf(context)].filter(([name]) => process === '' || name === process));
  function save(): void {
    const text = `${nameOf(prefix)}, ${new Date(connection.atMs).toLocaleString('en', { hour12: false })}`;
    const all = new Distribution();
    for (const frames of meant().values()) for (const frame of frames) addAll(all, frame, prefix);
    localStorage.setItem(baselineKey, JSON.stringify({ prefix, text, curve: curve(all) } satisfies Baseline));
    set({ compare: 'baseline' });
  }
  return () => {
    ask();
    const key = JSON.stringify([
      [...connection.secondsByProcess.keys()],
      prefixesOf(connection.secondsByProcess.values()),
    ]);
    if (key !== shownControls) controls.replaceChildren(...controlsOf(context, prefix, process, save));
    shownControls = key;
    const byProcess = meant();
    const columns = columnsOf([...byProcess.values()]);
    drawHeatMap(heat, columns, prefix);
    const lines = linesOf(context, columns, prefix);
    curves.show(
      Array.from({ length: curvePoints }, (_unused, index) => (curveDecades * index) / (curvePoints - 1)),
      lines,
    );
    const rows = [...byProcess].map(([name, frames]) =>
      percentileRow(name, distributionOf(frames, prefix), rateOf(frames, prefix)),
    );
    figures.replaceChildren(table(['process', '/s', 'count', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max'], rows));
    const headings = ['time', '~method', 'took', '~code', 'items', 'waited', '~caller', '~steps', '~trace or request'];
    slow.replaceChildren(
      connection.slowest.length === 0 ? h('p', { class: 'note' }, 'None.') : table(headings, slowRows(context)),
    );
  };
};

function addAll(into: Distribution, { series }: Frame, prefix: string): void {
  for (const [key, one] of Object.entries(series)) if (isIn(key, prefix)) into.add(one);
}
