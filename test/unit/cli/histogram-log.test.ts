/** Logs of interval histograms lose nothing, and their percentiles are drawn as they are. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Histogram, listTags } from 'hdr-histogram-js';
import { afterAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { runHistMerge } from '../../../src/cli/command/hist.ts';
import type { CommandContext } from '../../../src/cli/command.ts';
import {
  decodeSeries,
  IntervalLogWriter,
  IntervalsOfReports,
  isOfItems,
  readIntervalLog,
  summed,
  tagOf,
  withoutProcess,
} from '../../../src/cli/histogram-log.ts';
import { differenceTable, percentileCurve, percentileTable } from '../../../src/cli/percentile-text.ts';
import type { HistogramReport } from '../../../src/metrics/histogram-report.ts';
import { ProcessHistograms } from '../../../src/metrics/process-histograms.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'skyshard-hlog-'));
afterAll(() => rmSync(folder, { recursive: true }));

const all = { lastMs: null, name: null };

function countsOf(histogram: Histogram): string {
  return histogram.outputPercentileDistribution(100, 1);
}

/** Records in two processes and writes what their reports say, as `hist record` does. */
async function recorded(seed: number): Promise<{ path: string; last: HistogramReport[] }> {
  const clock = new ManualClock();
  const processes = ['router', 'n0'].map((name) => ({ name, histograms: new ProcessHistograms(clock) }));
  const random = seededRandom(seed);
  const intervals = new IntervalsOfReports();
  const lines: string[] = [];
  const log = new IntervalLogWriter((text) => lines.push(text), clock.nowMs());
  let last: HistogramReport[] = [];
  for (let second = 0; second <= 5; second++) {
    last = [];
    for (const { name, histograms } of processes) {
      const report = await histograms.report(name, all);
      last.push(report);
      for (const interval of intervals.take(report)) log.add(interval);
      const durations = histograms.recording.histogram('skyshard_request_duration_seconds');
      for (let turn = 0; turn < 500; turn++) durations.with(`M${random.below(3)}`, 'ok').record(random.below(100_000));
    }
    clock.advance(1_000);
  }
  for (const { histograms } of processes) histograms[Symbol.dispose]();
  const path = join(folder, `${seed}.hlog`);
  writeFileSync(path, lines.join(''));
  return { path, last };
}

describe('a log of intervals', () => {
  it('adds up to what the processes recorded since they started', async () => {
    const { path, last } = await recorded(1);
    const text = readFileSync(path, 'utf8');
    expect(text).toContain('#[Histogram log format version 1.3]');
    expect(text).toMatch(/^"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"$/m);
    expect(listTags(text).sort()).toEqual(
      ['n0', 'router'].flatMap((process) =>
        ['M0', 'M1', 'M2'].map((method) => `${process}/request_duration/${method}/ok`),
      ),
    );
    const sums = summed(readIntervalLog(path));
    for (const { process, series } of last) {
      for (const one of series) {
        expect(countsOf(sums.get(tagOf(process, one))!)).toBe(countsOf(decodeSeries(one)));
      }
    }
  });

  it('has each interval once, with its time', async () => {
    const { path } = await recorded(2);
    const intervals = readIntervalLog(path).filter(({ tag }) => tag === 'router/request_duration/M0/ok');
    expect(intervals.length).toBe(5);
    for (const [index, { startTimeStampMsec, endTimeStampMsec }] of intervals.entries()) {
      expect(endTimeStampMsec - startTimeStampMsec).toBeCloseTo(1_000, 0);
      if (index > 0) expect(startTimeStampMsec).toBeCloseTo(intervals[index - 1]!.endTimeStampMsec, 0);
    }
  });

  it('takes all that a process recorded after a restart', async () => {
    const intervals = new IntervalsOfReports();
    const clock = new ManualClock();
    const count = async (histograms: ProcessHistograms): Promise<number> =>
      intervals.take(await histograms.report('router', all)).reduce((total, { totalCount }) => total + totalCount, 0);
    const record = (histograms: ProcessHistograms): void =>
      histograms.recording.histogram('skyshard_request_queue_seconds').with().record(7);
    const first = new ProcessHistograms(clock);
    record(first);
    expect(await count(first)).toBe(0);
    record(first);
    expect(await count(first)).toBe(1);
    clock.advance(5_000);
    const second = new ProcessHistograms(clock);
    for (let turn = 0; turn < 3; turn++) record(second);
    expect(await count(second)).toBe(3);
    for (const histograms of [first, second]) histograms[Symbol.dispose]();
  });

  it('merges over files and processes without a loss', async () => {
    const files = [(await recorded(3)).path, (await recorded(4)).path];
    const out = join(folder, 'merged.hlog');
    const settings = { out, series: null } as unknown as CommandContext['settings'];
    const context = { settings, operands: files, print: () => {} } as unknown as CommandContext;
    expect(await runHistMerge(context)).toBe(0);
    const merged = summed(readIntervalLog(out));
    const expected = summed(files.flatMap(readIntervalLog), ({ tag }) => withoutProcess(tag));
    expect([...merged.keys()]).toEqual(['request_duration/M0/ok', 'request_duration/M1/ok', 'request_duration/M2/ok']);
    for (const [tag, histogram] of merged) expect(countsOf(histogram)).toBe(countsOf(expected.get(tag)!));
    const total = [...merged.values()].reduce((sum, { totalCount }) => sum + totalCount, 0);
    expect(total).toBe(2 * 2 * 5 * 500);
  });

  it.each([
    ['nothing.hlog', null],
    ['other.hlog', 'no log\n'],
    ['broken.hlog', 'Tag=a,1.0,1.0,1.0,HISTFnonsense\n'],
  ])('refuses %s, which is none', (name, text) => {
    const path = join(folder, name);
    if (text !== null) writeFileSync(path, text);
    expect(() => readIntervalLog(path)).toThrow(path);
  });
});

it('a tag has no part that a log cannot hold', () => {
  expect(
    tagOf('n 0', { name: 'skyshard_caller_request_duration_seconds', labels: { caller: 'a,b/c=d', method: 'Ping' } }),
  ).toBe('n_0/caller_request_duration/a_b_c_d/Ping');
});

it.each([
  ['router/caller_request_duration/app/Ping', 'caller_request_duration/app/Ping', false],
  ['caller_request_duration/app/Ping', 'caller_request_duration/app/Ping', false],
  ['router/caller_request_duration/request_items/Ping', 'caller_request_duration/request_items/Ping', false],
  ['request_hedge/won', 'request_hedge/won', false],
  ['n0/commit', 'commit', false],
  ['commit', 'commit', false],
  ['of/another/tool', 'of/another/tool', false],
  ['router/request_items/GetActors', 'request_items/GetActors', true],
  ['router/caller_request_items/bulk', 'caller_request_items/bulk', true],
  ['caller_request_items/bulk', 'caller_request_items/bulk', true],
])('%s: a tag names its histogram, with a process and, once merged, without', (tag, without, hasItems) => {
  expect([withoutProcess(tag), isOfItems(tag)]).toEqual([without, hasItems]);
  expect(withoutProcess(without)).toBe(without);
});

describe('percentiles for terminals', () => {
  const histogramOf = async (values: readonly number[]): Promise<Map<string, Histogram>> => {
    const histograms = new ProcessHistograms(new ManualClock());
    const durations = histograms.recording.histogram('skyshard_request_duration_seconds').with('Ping', 'ok');
    for (const value of values) durations.record(value);
    const { series } = await histograms.report('router', all);
    histograms[Symbol.dispose]();
    return new Map([['router/request_duration/Ping/ok', decodeSeries(series[0]!)]]);
  };

  it('are those of the values, in ms', async () => {
    const lines = percentileTable(await histogramOf(Array.from({ length: 1_000 }, (_unused, index) => 1_000 + index)));
    const [, row] = lines.split('\n');
    expect(row!.split(/\s+/)).toEqual([
      'router/request_duration/Ping/ok',
      '1000',
      '1.50',
      '1.90',
      '1.99',
      '2.00',
      '2.00',
      '2.00',
    ]);
  });

  it('are compared, with the factor', async () => {
    const [before, after] = [await histogramOf([1_000, 1_000]), await histogramOf([2_000, 2_000, 2_000])];
    expect(differenceTable(before, after)).toMatch(/2 > 3 .* 1\.00 > 2\.00 2\.00x/);
  });

  it('are drawn as a curve that only rises', async () => {
    const values = Array.from({ length: 10_000 }, (_unused, index) => 100 + index ** 2 / 1_000);
    const [[tag, histogram]] = [...(await histogramOf(values))] as [[string, Histogram]];
    const rows = percentileCurve(tag, histogram)
      .split('\n')
      .filter((line) => line.includes(' |'));
    expect(rows.length).toBe(12);
    const heights = Array.from({ length: 61 }, (_unused, column) =>
      rows.findIndex((line) => line[11 + column] === '*'),
    );
    expect(heights.every((row) => row >= 0)).toBe(true);
    expect(heights).toEqual(heights.toSorted((a, b) => b - a));
    expect(heights[0]).toBe(11);
    expect(heights[60]).toBe(0);
  });
});
