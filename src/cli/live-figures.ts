/** Rates and percentiles of the last seconds, by process and method, from histograms and status. */
import type { Histogram } from 'hdr-histogram-js';
import type { HistogramReport, SeriesReport } from '../metrics/histogram-report.ts';
import { decodeSeries, emptyLike } from './histogram-log.ts';
import { type TableCell, textTable } from './text-table.ts';

/** Durations are in ms, rates are of a second. */
export type MethodFigures = {
  readonly process: string;
  readonly method: string;
  readonly perSecond: number;
  readonly errorsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
};

/** Of the slots that the node is primary or replica of; null for a node that is down. */
export type NodeFigures = {
  readonly name: string;
  readonly state: string;
  readonly slots: number;
  readonly lagMs: number | null;
  readonly waiting: number;
  readonly outbox: number;
  readonly bytes: number;
};

export type LiveFigures = {
  readonly atMs: number;
  readonly windowS: number;
  readonly nodes: readonly NodeFigures[];
  /** The busiest first. */
  readonly methods: readonly MethodFigures[];
};

const requestDurations = 'skyshard_request_duration_seconds';
const callDurations = 'skyshard_call_duration_seconds';
/** Steps of a slot, which are shown like methods. */
const steps: Readonly<Record<string, string>> = {
  skyshard_apply_delay_seconds: '(event to visible)',
  skyshard_log_append_seconds: '(log append)',
  skyshard_commit_seconds: '(commit and flush)',
};

function methodOf({ name, labels }: SeriesReport): string | null {
  if (name === requestDurations || name === callDurations) return labels['method'] ?? '';
  return steps[name] ?? null;
}

function figuresOf(process: string, method: string, all: readonly SeriesReport[], windowS: number): MethodFigures {
  const histograms = all.map(decodeSeries);
  const sum: Histogram = emptyLike(histograms[0]!);
  for (const one of histograms) sum.add(one);
  const isError = ({ labels }: SeriesReport): boolean => (labels['outcome'] ?? 'ok') !== 'ok';
  const errors = all.filter(isError).reduce((total, { count }) => total + count, 0);
  const msAt = (percentile: number): number => sum.getValueAtPercentile(percentile) / 1000;
  return {
    process,
    method,
    perSecond: sum.totalCount / windowS,
    errorsPerSecond: errors / windowS,
    p50Ms: msAt(50),
    p99Ms: msAt(99),
    p999Ms: msAt(99.9),
    maxMs: sum.maxValue / 1000,
  };
}

/** Returns the figures of the reports of the last `windowS` seconds. */
export function methodFigures(reports: readonly HistogramReport[], windowS: number): MethodFigures[] {
  const rows = reports.flatMap(({ process, startMs, atMs, series }) => {
    const byMethod = Map.groupBy(series, methodOf);
    byMethod.delete(null);
    // A process that has just started has answered for less.
    const seconds = Math.max(1, Math.min(windowS, (atMs - startMs) / 1000));
    return Array.from(byMethod, ([method, all]) => figuresOf(process, method!, all, seconds));
  });
  return rows.sort((a, b) => b.perSecond - a.perSecond);
}

type Fields = Readonly<Record<string, unknown>>;

function sumOf(slots: readonly Fields[], field: string): number {
  return slots.reduce((total, slot) => total + Number(slot[field] ?? 0), 0);
}

/** Returns the figures of the nodes of a router's status. */
export function nodeFigures(status: { readonly nodes?: readonly Fields[] }): NodeFigures[] {
  return (status.nodes ?? []).map((node) => {
    const slots = (node['slots'] ?? []) as readonly Fields[];
    const lags = slots.flatMap(({ lagMs }) => (typeof lagMs === 'number' ? [lagMs] : []));
    return {
      name: String(node['name']),
      state: String(node['state']),
      slots: slots.length,
      lagMs: lags.length === 0 ? null : Math.max(...lags),
      waiting: sumOf(slots, 'waiting'),
      outbox: sumOf(slots, 'outbox'),
      bytes: sumOf(slots, 'bytes'),
    };
  });
}

/** Formats a value with about three digits. */
function threeDigits(value: number): string {
  if (value === 0) return '0';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Returns the figures as tables of at most so many methods. */
export function liveText({ atMs, windowS, nodes, methods }: LiveFigures, rowsMax: number): string {
  const nodeRows = nodes.map(({ name, state, slots, lagMs, waiting, outbox, bytes }): TableCell[] => [
    name,
    state,
    slots,
    lagMs === null ? '-' : Math.round(lagMs),
    waiting,
    outbox,
    Math.round(bytes / 2 ** 20),
  ]);
  const cells = (figures: MethodFigures): TableCell[] => [
    figures.process,
    figures.method,
    ...[figures.perSecond, figures.errorsPerSecond, figures.p50Ms, figures.p99Ms, figures.p999Ms, figures.maxMs].map(
      (value) => threeDigits(value).padStart(8),
    ),
  ];
  const shown = methods.slice(0, rowsMax).map(cells);
  const left = methods.length > rowsMax ? `… and ${methods.length - rowsMax} more; --json has all\n` : '';
  return (
    `${new Date(atMs).toISOString()}, the last ${windowS} s\n\n` +
    `${textTable(['node', 'state', 'slots', 'lag ms', 'waiting', 'outbox', 'MiB'], nodeRows)}\n` +
    textTable(
      ['process', 'method', 'rate/s', 'errors/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms'].map((heading, column) =>
        column < 2 ? heading : heading.padStart(8),
      ),
      shown,
    ) +
    left
  );
}
