/** What dashboards are told of the last minutes is what was recorded, within two digits. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HistogramStore } from '../../../src/metrics/histogram-store.ts';
import { historyBytesMax, LiveHistory, twoDigits } from '../../../src/metrics/live-history.ts';
import { Recording } from '../../../src/metrics/recording.ts';
import { ManualClock } from '../../support/manual-clock.ts';

let clock: ManualClock;
let store: HistogramStore;
let history: LiveHistory;
let read = 0;
const recording = new Recording();

beforeEach(() => {
  vi.useFakeTimers();
  clock = new ManualClock();
  store = new HistogramStore(clock);
  read = 0;
  history = new LiveHistory(store, async () => ({ read: ++read }), clock);
});

afterEach(() => {
  history[Symbol.dispose]();
  vi.useRealTimers();
});

function record(method: string, outcome: string, values: readonly number[]): void {
  for (const value of values) {
    recording.histogram('skyshard_request_duration_seconds').with(method, outcome).record(value);
  }
  store.add(recording.take(), 'main');
}

async function second(): Promise<void> {
  clock.advance(1_000);
  await vi.advanceTimersByTimeAsync(1_000);
}

it('two digits are less than 0.8 % below a value', () => {
  for (let value = 0; value < 5_000_000; value += 1 + Math.floor(value / 50)) {
    const rounded = twoDigits(value);
    expect(rounded).toBeLessThanOrEqual(value);
    expect(value - rounded).toBeLessThanOrEqual(value / 128);
    expect(twoDigits(rounded)).toBe(rounded);
  }
  expect([0, 1, 255, 256, 257, 1_001, 60_000_000].map(twoDigits)).toEqual([0, 1, 255, 256, 256, 1_000, 59_768_832]);
});

describe('the history of a process', () => {
  it('has each second once, of all threads', async () => {
    record('Ping', 'ok', [100, 100, 5_001]);
    record('Ping', 'late', [9]);
    await second();
    record('Ping', 'ok', [7]);
    await second();
    const [first, next] = history.secondsSince(0);
    expect(first!.series).toEqual({
      'request|Ping|ok': { count: 3, sum: 5_201, counts: [100, 2, 4_992, 1] },
      'request|Ping|late': { count: 1, sum: 9, counts: [9, 1] },
    });
    expect(next!.series).toEqual({ 'request|Ping|ok': { count: 1, sum: 7, counts: [7, 1] } });
    expect([first!.spanMs, next!.endMs - first!.endMs]).toEqual([1_000, 1_000]);
    expect(history.secondsSince(first!.endMs)).toEqual([next]);
  });

  it('has steps of five seconds for an hour, with the values only of what is asked for', async () => {
    for (let count = 0; count < 12; count++) {
      record('Ping', 'ok', [count]);
      record('GetActors', 'ok', [50]);
      await second();
    }
    const steps = history.stepsSince(0, 'request|Ping');
    expect(steps.length).toBe(2);
    expect(steps[0]!.series['request|Ping|ok']).toEqual({ count: 5, sum: 10, counts: [0, 1, 1, 1, 2, 1, 3, 1, 4, 1] });
    expect(steps[0]!.series['request|GetActors|ok']).toEqual({ count: 5, sum: 250, counts: [] });
    expect(steps[1]!.series['request|Ping|ok']!.count).toBe(5);
    for (let count = 0; count < 3_700; count++) await second();
    expect(history.stepsSince(0, '').length).toBe(720);
    expect(history.secondsSince(0).length).toBe(120);
  });

  it('merges calls over groups of slots, and callers over methods', async () => {
    recording.histogram('skyshard_call_duration_seconds').with('bsky.Ping', '0-3').record(5);
    recording.histogram('skyshard_call_duration_seconds').with('bsky.Ping', 'several').record(6);
    recording.histogram('skyshard_caller_request_duration_seconds').with('app', 'Ping').record(7);
    recording.slotReads = Uint32Array.of(0, 3, 0, 1);
    store.add(recording.take(), 'main');
    await second();
    const [frame] = history.secondsSince(0);
    expect(frame!.series).toEqual({
      'call|bsky.Ping': { count: 2, sum: 11, counts: [5, 1, 6, 1] },
      'caller|app': { count: 1, sum: 7, counts: [7, 1] },
    });
    expect(frame!.slotReads).toEqual([1, 3, 3, 1]);
  });

  it('reads figures of the process every five seconds, and every second while it is watched', async () => {
    for (let count = 0; count < 10; count++) await second();
    expect(read).toBe(2);
    history.watchedUntilMs = clock.nowMs() + 3_500;
    for (let count = 0; count < 3; count++) await second();
    expect(read).toBe(5);
    expect(history.secondsSince(0).at(-1)!.gauges).toEqual({ read: 4 });
  });

  it('is bounded in bytes', async () => {
    const values = Array.from({ length: 3_000 }, (_unused, index) => 1.004 ** index);
    const methods = Array.from({ length: 40 }, (_unused, index) => `M${index}`);
    for (let count = 0; count < 600; count++) {
      if (count % 5 === 0) for (const method of methods) record(method, 'ok', values);
      await second();
    }
    const steps = history.stepsSince(0, 'request');
    const numbers = steps.reduce(
      (sum, { series }) => sum + Object.values(series).reduce((total, { counts }) => total + counts.length, 0),
      0,
    );
    expect(steps.length).toBeLessThan(120);
    expect(8 * numbers).toBeLessThan(historyBytesMax);
    expect(8 * numbers).toBeGreaterThan(historyBytesMax / 2);
  }, 120_000);
});
