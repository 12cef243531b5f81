/** `skyshard hist record | show | merge | diff`: histograms of a cluster, and logs of them. */
import { writeFileSync } from 'node:fs';
import type { Histogram } from 'hdr-histogram-js';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { HistogramReport } from '../../metrics/histogram-report.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import {
  decodeSeries,
  type IntervalHistogram,
  IntervalLogWriter,
  IntervalsOfReports,
  readIntervalLog,
  summed,
  tagOf,
  withoutProcess,
} from '../histogram-log.ts';
import { differenceTable, percentileCurve, percentilesShown, percentileTable } from '../percentile-text.ts';
import { askRouter } from '../process/ask-process.ts';

const everyMs = 1_000;
/** Beyond a node's own, so that its error comes first. */
const askMsMax = 10_000;

/** Returns the histograms of all processes since their start, but of those that do not answer. */
async function reports(context: CommandContext): Promise<HistogramReport[]> {
  const { processes } = (await askRouter(context, '/v1/histograms?nodes=all', undefined, askMsMax)) as {
    processes: (HistogramReport | { readonly process: string; readonly error: string })[];
  };
  return processes.filter((one): one is HistogramReport => {
    if ('series' in one) return true;
    context.log('warn', `${one.process} is left out: ${one.error}`);
    return false;
  });
}

/** True for a series that `--series` does not leave out. */
function isMeant({ settings }: CommandContext, tag: string): boolean {
  return settings.series === null || tag.includes(settings.series);
}

/** Writes the log to the file of `--out`, or prints it. */
function outputTo({ settings, print }: CommandContext): { readonly write: (text: string) => void; end(): void } {
  if (settings.out === null) return { write: print, end: () => {} };
  const path = settings.out;
  const lines: string[] = [];
  return { write: (text) => lines.push(text), end: () => writeFileSync(path, lines.join('')) };
}

/** Records what a running cluster records, as intervals of a second. */
export const runHistRecord: Command = async (context) => {
  const { settings, clock, print } = context;
  const output = outputTo(context);
  const intervals = new IntervalsOfReports();
  const startMs = clock.nowMs();
  const log = new IntervalLogWriter(output.write, startMs);
  let count = 0;
  for (let second = 0; second <= settings.seconds; second++) {
    await clock.sleep(startMs + second * everyMs - clock.nowMs());
    for (const report of await reports(context)) {
      for (const interval of intervals.take(report)) {
        if (!isMeant(context, interval.tag)) continue;
        log.add(interval);
        count++;
      }
    }
  }
  output.end();
  if (settings.out !== null) print(`${settings.out}: ${count} histograms of ${settings.seconds} seconds\n`);
  return exitCode.done;
};

/** Returns the histograms of logs by series, or without files those of the running cluster. */
async function histogramsOf(context: CommandContext, files: readonly string[]): Promise<Map<string, Histogram>> {
  const histograms: IntervalHistogram[] = files.flatMap(readIntervalLog);
  if (files.length === 0) {
    for (const { process, series } of await reports(context)) {
      for (const one of series) {
        const histogram = decodeSeries(one);
        histogram.tag = tagOf(process, one);
        histograms.push(histogram);
      }
    }
  }
  return summed(histograms.filter(({ tag }) => isMeant(context, tag)));
}

function figuresOf(histogram: Histogram): object {
  const at = percentilesShown.map((percentile): [string, number] => [
    percentile === 100 ? 'max' : `p${percentile}`,
    percentile === 100 ? histogram.maxValue : histogram.getValueAtPercentile(percentile),
  ]);
  return { count: histogram.totalCount, mean: histogram.mean, ...Object.fromEntries(at) };
}

function printJson({ print }: CommandContext, histograms: ReadonlyMap<string, Histogram>): void {
  const series = Array.from(histograms, ([tag, histogram]) => ({ series: tag, ...figuresOf(histogram) }));
  print(`${JSON.stringify({ series }, null, 2)}\n`);
}

/** The most series of which curves are drawn. */
const curvesMax = 3;

/** Prints a table of percentiles, and curves if there are few series. */
export const runHistShow: Command = async (context) => {
  const { settings, operands, print } = context;
  const histograms = await histogramsOf(context, operands);
  if (settings.json) {
    printJson(context, histograms);
    return exitCode.done;
  }
  print(percentileTable(histograms));
  if (histograms.size > curvesMax) print('\n--series <text> chooses; of up to three series the curves are drawn\n');
  else for (const [tag, histogram] of histograms) print(`\n${percentileCurve(tag, histogram)}`);
  return exitCode.done;
};

/** Adds the histograms of all files and processes with the same series in the same second. */
export const runHistMerge: Command = async (context) => {
  const { operands, settings, print } = context;
  const intervals = operands.flatMap(readIntervalLog).filter(({ tag }) => isMeant(context, tag));
  if (intervals.length === 0)
    throw new DataPlaneError('InvalidArgument', `--series ${settings.series}: no such series`);
  const secondOf = ({ startTimeStampMsec }: IntervalHistogram): number => Math.floor(startTimeStampMsec / everyMs);
  const bySecond = Map.groupBy(intervals, secondOf);
  const seconds = [...bySecond.keys()].sort((a, b) => a - b);
  const output = outputTo(context);
  const log = new IntervalLogWriter(output.write, seconds[0]! * everyMs);
  for (const second of seconds) {
    const together = bySecond.get(second)!;
    const start = Math.min(...together.map(({ startTimeStampMsec }) => startTimeStampMsec));
    const end = Math.max(...together.map(({ endTimeStampMsec }) => endTimeStampMsec));
    for (const merged of summed(together, ({ tag }) => withoutProcess(tag)).values()) {
      merged.startTimeStampMsec = start;
      merged.endTimeStampMsec = end;
      log.add(merged);
    }
  }
  output.end();
  if (settings.out !== null) print(`${settings.out}: ${seconds.length} seconds of ${operands.length} files\n`);
  return exitCode.done;
};

/** Compares the percentiles of the series that two logs have. */
export const runHistDiff: Command = async (context) => {
  const { operands, settings, print } = context;
  const [before, after] = await Promise.all(operands.map((file) => histogramsOf(context, [file])));
  if (settings.json) {
    const series = Array.from(after!, ([tag, histogram]) => {
      const then = before!.get(tag);
      return { series: tag, before: then === undefined ? null : figuresOf(then), after: figuresOf(histogram) };
    });
    print(`${JSON.stringify({ series }, null, 2)}\n`);
  } else print(differenceTable(before!, after!));
  return exitCode.done;
};
