/**
 * Logs of interval histograms in HdrHistogram's format 1.3, and the reports of processes.
 *
 * A tag is `<process>/<histogram>/<label>/…`, such as `router/request_duration/GetTimeline/ok`; one
 * that `skyshard hist merge` wrote is without the process.
 */
import { readFileSync } from 'node:fs';
import { decodeFromCompressedBase64, type Histogram, HistogramLogReader, HistogramLogWriter } from 'hdr-histogram-js';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { HistogramReport, SeriesReport } from '../metrics/histogram-report.ts';
import { type HistogramName, histogramNames, histogramTable } from '../metrics/histogram-table.ts';

/** Counts in 64 bits, as those since the start of a process need. */
const countBits = 64;
const microsPerUnit = 1e6;

/** A histogram of an interval. `tag`, `startTimeStampMsec` and `endTimeStampMsec` are set. */
export type IntervalHistogram = Histogram;

/** What separates fields of a log, and of a tag. */
const separators = /[\s,=/]/g;

/** Returns what tags call a histogram. */
function shortOf(name: string): string {
  return name.replace(/^skyshard_/, '').replace(/_seconds$/, '');
}

const nameByShort: ReadonlyMap<string, HistogramName> = new Map(histogramNames.map((name) => [shortOf(name), name]));

/** Returns the tag of a series. */
export function tagOf(process: string, { name, labels }: Pick<SeriesReport, 'name' | 'labels'>): string {
  return [process, shortOf(name), ...Object.values(labels)].map((part) => part.replaceAll(separators, '_')).join('/');
}

/** True for a tag whose values are counts of items, not microseconds. */
export function isOfItems(tag: string): boolean {
  const name = nameByShort.get(withoutProcess(tag).split('/')[0]!);
  return name !== undefined && histogramTable[name].unit === 'items';
}

/** Returns the histogram of a series of a report. */
export function decodeSeries({ histogram }: SeriesReport): Histogram {
  return decodeFromCompressedBase64(histogram, countBits);
}

/** Returns an empty histogram of the same shape. */
export function emptyLike(histogram: Histogram): Histogram {
  const copy = decodeCopy(histogram);
  copy.reset();
  return copy;
}

function decodeCopy(histogram: Histogram): Histogram {
  const lines: string[] = [];
  new HistogramLogWriter((text) => lines.push(text)).outputIntervalHistogram(histogram, 0, 1);
  return new HistogramLogReader(lines.join(''), countBits).nextIntervalHistogram()!;
}

/** Turns reports since the start of processes into histograms of the intervals between them. */
export class IntervalsOfReports {
  readonly #before = new Map<string, { readonly startMs: number; readonly histogram: Histogram }>();
  readonly #atMsByProcess = new Map<string, number>();

  /** Returns what was recorded since the last report of this process; nothing for the first. */
  take({ process, startMs, atMs, series }: HistogramReport): IntervalHistogram[] {
    const fromMs = this.#atMsByProcess.get(process);
    this.#atMsByProcess.set(process, atMs);
    return series.flatMap((one) => {
      const tag = tagOf(process, one);
      const before = this.#before.get(tag);
      // After a restart all of it is new.
      const isSame = before?.startMs === startMs;
      const now = decodeSeries(one);
      this.#before.set(tag, { startMs, histogram: now });
      if (fromMs === undefined || (isSame && before.histogram.totalCount === now.totalCount)) return [];
      const interval = decodeSeries(one);
      if (isSame) interval.subtract(before.histogram);
      interval.tag = tag;
      interval.startTimeStampMsec = isSame ? fromMs : Math.max(fromMs, startMs);
      interval.endTimeStampMsec = atMs;
      return [interval];
    });
  }
}

/** Writes a log to `write`, whose times are seconds since 1970. */
export class IntervalLogWriter {
  readonly #writer: HistogramLogWriter;

  constructor(write: (text: string) => void, startMs: number) {
    this.#writer = new HistogramLogWriter(write);
    this.#writer.outputComment('[Logged with skyshard hist]');
    this.#writer.outputLogFormatVersion();
    write(`#[StartTime: ${(startMs / 1000).toFixed(3)} (seconds since epoch), ${new Date(startMs).toISOString()}]\n`);
    this.#writer.outputLegend();
  }

  /** The greatest value is shown in seconds, or in items. */
  add(interval: IntervalHistogram): void {
    const [startS, endS] = [interval.startTimeStampMsec / 1000, interval.endTimeStampMsec / 1000];
    this.#writer.outputIntervalHistogram(interval, startS, endS, isOfItems(interval.tag) ? 1 : microsPerUnit);
  }
}

/** Reads a log. Errors: DataPlaneError `InvalidArgument` for a file that is none. */
export function readIntervalLog(path: string): IntervalHistogram[] {
  const refuse = (why: string): never => {
    throw new DataPlaneError('InvalidArgument', `${path}: ${why}`);
  };
  const intervals: IntervalHistogram[] = [];
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    refuse((thrown as Error).message);
  }
  try {
    const reader = new HistogramLogReader(text, countBits);
    for (let next = reader.nextIntervalHistogram(); next !== null; next = reader.nextIntervalHistogram()) {
      intervals.push(next);
    }
  } catch (thrown) {
    refuse(`no log of HdrHistograms: ${(thrown as Error).message}`);
  }
  if (intervals.length === 0) refuse('holds no interval of HdrHistograms');
  return intervals;
}

/** Returns the sums of histograms with the same tag, as `tag` gives it, in order of the tags. */
export function summed(
  intervals: Iterable<IntervalHistogram>,
  tag: (interval: IntervalHistogram) => string = (interval) => interval.tag,
): Map<string, Histogram> {
  const sums = new Map<string, Histogram>();
  for (const interval of intervals) {
    const name = tag(interval);
    const sum = sums.get(name) ?? emptyLike(interval);
    sum.tag = name;
    sum.add(interval);
    sums.set(name, sum);
  }
  return new Map([...sums].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Returns a tag without its process; one that has none as it is. */
export function withoutProcess(tag: string): string {
  const [first, second, ...labels] = tag.split('/');
  return nameByShort.has(first!) || !nameByShort.has(second!) ? tag : [second, ...labels].join('/');
}
