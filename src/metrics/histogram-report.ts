/**
 * The histograms of a process for those outside it: each series in HdrHistogram's V2 encoding,
 * which tools of any language read.
 */
import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import type { Clock } from '../base/clock.ts';
import type { HistogramMemory, HistogramStore } from './histogram-store.ts';
import { histogramTable } from './histogram-table.ts';

export type SeriesReport = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the values in the histogram. */
  readonly unit: 'microseconds' | 'items';
  readonly count: number;
  /** Of the values before they were rounded, in the same unit. */
  readonly sum: number;
  /** HdrHistogram V2, compressed, base64. */
  readonly histogram: string;
};

export type HistogramReport = {
  /** `router` or the name of a node. */
  readonly process: string;
  /** Values are since this time; another one after a restart. */
  readonly startMs: number;
  readonly atMs: number;
  readonly memory: HistogramMemory;
  readonly series: SeriesReport[];
  /** How often reads looked into each slot since the start. */
  readonly slotReads: { readonly slot: number; readonly count: number }[];
};

/** `lastMs` null: all since the start, a number: the latest intervals. `name` asks for one. */
export type HistogramQuestion = { readonly lastMs: number | null; readonly name: string | null };

export type HistogramSource = (question: HistogramQuestion) => Promise<HistogramReport>;

/** Histograms are encoded in turns of the event loop, so that they hold up no request for long. */
const seriesPerTurn = 8;

/** Reads a store that holds all that was recorded. A series is as it was at one moment. */
export async function histogramReport(
  process: string,
  store: HistogramStore,
  { lastMs, name }: HistogramQuestion,
  clock: Clock,
): Promise<HistogramReport> {
  const atMs = clock.nowMs();
  const all = lastMs === null ? [...store.series()] : store.since(atMs - lastMs);
  const series: SeriesReport[] = [];
  for (const one of all) {
    if (name !== null && one.name !== name) continue;
    const { labels, unit } = histogramTable[one.name];
    series.push({
      name: one.name,
      labels: Object.fromEntries((labels as readonly string[]).map((label, index) => [label, one.labels[index]!])),
      unit: unit === 'items' ? 'items' : 'microseconds',
      count: one.histogram.totalCount,
      sum: one.sum,
      histogram: encodeIntoCompressedBase64(one.histogram),
    });
    if (series.length % seriesPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const slotReads = Array.from(store.readsBySlot, ([slot, count]) => ({ slot, count }));
  return { process, startMs: store.startMs, atMs, memory: store.memory, series, slotReads };
}
