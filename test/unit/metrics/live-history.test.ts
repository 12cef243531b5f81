/** What dashboards are told of the last minutes is what was recorded, within two digits. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HistogramStore } from '../../../src/metrics/histogram-store.ts';
import type { LiveFrame } from '../../../src/metrics/live-frame.ts';
import {
  framesKept,
  LiveHistory,
  type LiveQuestion,
  levelBytesMax,
  twoDigits,
  withBits,
} from '../../../src/metrics/live-history.ts';
import { Recording } from '../../../src/metrics/recording.ts';
import { ManualClock } from '../../support/manual-clock.ts';

let clock: ManualClock;
let store: HistogramStore;
let history: LiveHistory;
let read = 0;
let isReadable = true;
const recording = new Recording();

beforeEach(() => {
  vi.useFakeTimers();
  clock = new ManualClock();
  store = new HistogramStore(clock);
  read = 0;
  isReadable = true;
  const readGauges = async (): Promise<Record<string, number>> => {
    if (!isReadable) throw new Error('the process is stopping');
    return { read: ++read };
  };
  history = new LiveHistory(store, readGauges, clock);
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

const all = ['request|', 'call|', 'caller|'];

function framesOf(spanS: number, question: Partial<LiveQuestion> = {}): LiveFrame[] {
  return history.answer({ spanS, sinceMs: 0, prefixes: all, numbersMax: 2 ** 30, ...question }).frames;
}

function numbersOf(frames: readonly LiveFrame[]): number {
  return frames.reduce(
    (sum, { series }) => sum + Object.values(series).reduce((total, { counts }) => total + counts.length, 0),
    0,
  );
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
    const [first, next] = framesOf(1);
    expect(first!.series).toEqual({
      'request|Ping|ok': { count: 3, sum: 5_201, counts: [100, 2, 4_992, 1] },
      'request|Ping|late': { count: 1, sum: 9, counts: [9, 1] },
    });
    expect(next!.series).toEqual({ 'request|Ping|ok': { count: 1, sum: 7, counts: [7, 1] } });
    expect([first!.spanMs, next!.endMs - first!.endMs]).toEqual([1_000, 1_000]);
    expect(framesOf(1, { sinceMs: first!.endMs })).toEqual([next]);
    expect(first!.totals).toEqual({ 'request|ok': [3, 5_201], 'request|late': [1, 9] });
  });

  it('has two minutes by the second, ten by five seconds, an hour by half minutes', async () => {
    for (let count = 0; count < 62; count++) {
      record('Ping', 'ok', [count]);
      record('GetActors', 'ok', [50]);
      await second();
    }
    const fives = framesOf(5);
    expect(fives.map(({ spanMs }) => spanMs)).toEqual(new Array(12).fill(5_000));
    expect(fives[0]!.series['request|Ping|ok']).toEqual({ count: 5, sum: 10, counts: [0, 1, 1, 1, 2, 1, 3, 1, 4, 1] });
    const thirties = framesOf(30);
    expect(thirties.map(({ series }) => series['request|GetActors|ok'])).toEqual([
      { count: 30, sum: 1_500, counts: [50, 30] },
      { count: 30, sum: 1_500, counts: [50, 30] },
    ]);
    expect(thirties[1]!.totals).toEqual({ 'request|ok': [60, 1_500 + (30 * (30 + 59)) / 2] });
    for (let count = 0; count < 3_700; count++) await second();
    expect([1, 5, 30].map((spanS) => framesOf(spanS).length)).toEqual([framesKept, framesKept, framesKept]);
    expect(framesOf(2)).toEqual([]);
  });

  it('has the values only of what is asked for, and the names of all', async () => {
    record('Ping', 'ok', [1]);
    record('PingPong', 'ok', [2]);
    await second();
    const { frames, names } = history.answer({ spanS: 1, sinceMs: 0, prefixes: ['request|Ping|'], numbersMax: 100 });
    expect(Object.keys(frames[0]!.series)).toEqual(['request|Ping|ok']);
    expect(names).toEqual(['request|Ping|ok', 'request|PingPong|ok']);
    expect(frames[0]!.totals).toEqual({ 'request|ok': [2, 3] });
  });

  it('merges the series that a prefix means into one of its name, by whole parts', async () => {
    record('Ping', 'ok', [1, 300]);
    record('Ping', 'late', [1, 9]);
    record('PingPong', 'ok', [2]);
    recording.histogram('skyshard_request_items').with('Ping').record(5);
    store.add(recording.take(), 'main');
    await second();
    const prefixes = ['request', 'request|Ping', 'request|Ping', 'request|Ping|late', 'items', 'hedge', '__proto__'];
    const [frame] = framesOf(1, { prefixes });
    expect(frame!.series).toEqual({
      request: { count: 5, sum: 313, counts: [1, 2, 300, 1, 9, 1, 2, 1] },
      'request|Ping': { count: 4, sum: 311, counts: [1, 2, 300, 1, 9, 1] },
      'request|Ping|late': { count: 2, sum: 10, counts: [1, 1, 9, 1] },
      items: { count: 1, sum: 5, counts: [5, 1] },
    });
    expect(frame!.totals).toEqual({ 'request|ok': [3, 303], 'request|late': [2, 10], items: [1, 5] });
  });

  it('has no more values than there is room for: it rounds them, and at last the oldest frames have none', async () => {
    const values = Array.from({ length: 400 }, (_unused, index) => Math.floor(10 * 1.03 ** index));
    for (let count = 0; count < 120; count++) {
      for (let method = 0; method < 40; method++) record(`Method${method}`, 'ok', values.slice(method));
      await second();
    }
    const answerOf = (prefix: string, numbersMax: number) =>
      history.answer({ spanS: 1, sinceMs: 0, prefixes: [prefix], numbersMax });
    const whole = answerOf('request', 2 ** 30);
    expect(whole.bits).toBe(8);
    const recorded = 40 * 400 - (39 * 40) / 2;
    // The share of each of 64 nodes, and what one series needs at least.
    for (const numbersMax of [20_000, 15_000, 120 * 2 * 27]) {
      const { frames, bits } = answerOf('request', numbersMax);
      expect(numbersOf(frames)).toBeLessThanOrEqual(numbersMax);
      expect(bits).toBeLessThan(8);
      expect(frames.map(({ totals }) => totals)).toEqual(whole.frames.map(({ totals }) => totals));
      for (const { series } of frames) {
        const { count, counts } = series['request']!;
        expect(count).toBe(recorded);
        expect(counts.filter((_value, at) => at % 2 === 1).reduce((a, b) => a + b)).toBe(recorded);
        for (let at = 0; at < counts.length; at += 2) expect(withBits(counts[at]!, bits)).toBe(counts[at]);
      }
    }
    const { frames, bits } = answerOf('request|', 15_000);
    expect(bits).toBe(1);
    expect(numbersOf(frames)).toBeLessThanOrEqual(15_000);
    expect(numbersOf(frames.slice(-10))).toBeGreaterThan(0);
    expect(numbersOf(answerOf('request|', 0).frames)).toBe(0);
  });

  it('merges calls over groups of slots, and callers over methods', async () => {
    recording.histogram('skyshard_call_duration_seconds').with('bsky.Ping', '0-3').record(5);
    recording.histogram('skyshard_call_duration_seconds').with('bsky.Ping', 'several').record(6);
    recording.histogram('skyshard_caller_request_duration_seconds').with('app', 'Ping').record(7);
    recording.slotReads = Uint32Array.of(0, 3, 0, 1);
    store.add(recording.take(), 'main');
    await second();
    const [frame] = framesOf(1);
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
    expect(framesOf(1).at(-1)!.gauges).toEqual({ read: 4 });
  });

  it('keeps what was read last while reading fails', async () => {
    history.watchedUntilMs = clock.nowMs() + 60_000;
    await second();
    await second();
    const before = framesOf(1).at(-1)!.gauges;
    isReadable = false;
    await second();
    await second();
    expect(before).toEqual({ read: 1 });
    expect(framesOf(1).at(-1)!.gauges).toEqual({ read: 2 });
    isReadable = true;
    await second();
    await second();
    expect(framesOf(1).at(-1)!.gauges).toEqual({ read: 3 });
  });

  it('is bounded in bytes', async () => {
    const values = Array.from({ length: 1_000 }, (_unused, index) => 1.012 ** index);
    const methods = Array.from({ length: 40 }, (_unused, index) => `M${index}`);
    for (let count = 0; count < 200; count++) {
      for (const method of methods) record(method, 'ok', values);
      await second();
    }
    for (const spanS of [1, 5]) {
      const frames = framesOf(spanS);
      expect(frames.length).toBeLessThan(framesKept);
      expect(8 * numbersOf(frames)).toBeLessThan(levelBytesMax);
      expect(8 * numbersOf(frames)).toBeGreaterThan(levelBytesMax / 2);
    }
  }, 120_000);
});
