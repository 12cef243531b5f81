/** How fast a copy goes by what reads take at its source. */
import { expect, it, vi } from 'vitest';
import { HistogramStore } from '../../../src/metrics/histogram-store.ts';
import { LiveHistory } from '../../../src/metrics/live-history.ts';
import { Recording } from '../../../src/metrics/recording.ts';
import { nextRate, p99Of, SourcePace } from '../../../src/node/source-pace.ts';
import { liveAnswer, liveRequest } from '../../../src/wire/live-messages.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const signal = new AbortController().signal;

it('the slowest hundredth of reads is found over all their methods', () => {
  expect(p99Of([])).toBeNull();
  expect(p99Of([[7, 1]])).toBe(7);
  const fast = [100, 98];
  expect(p99Of([fast, [900, 1]])).toBe(900);
  expect(
    p99Of([
      [100, 990],
      [900, 10],
    ]),
  ).toBe(100);
  expect(
    p99Of([
      [100, 980, 300, 10],
      [900, 10],
    ]),
  ).toBe(300);
});

it('a copy grows faster while there is room, holds near the limit, and halves above it', () => {
  expect(nextRate(1_000_000, null, 5)).toBe(1_250_000);
  expect(nextRate(1_000_000, 4, 5)).toBe(1_250_000);
  expect(nextRate(1_000_000, 4.5, 5)).toBe(1_000_000);
  expect(nextRate(1_000_000, 5.1, 5)).toBe(500_000);
  // It goes on all the same, or the source would give up the copy.
  expect(nextRate(5_000, 500, 5)).toBe(4_096);
});

/** A source whose reads take so long in each second, the last of which is asked for. */
function sourceOf(msBySecond: readonly number[]) {
  const series = (ms: number) => ({
    'call|bsky.GetFollowers': { count: 100, sum: 100_000 * ms, counts: [1_000 * ms, 100] },
    'call|slot.append': { count: 100, sum: 1, counts: [9_000_000, 100] },
  });
  const questions: number[] = [];
  const call = async ({ payload }: { readonly payload: Uint8Array }): Promise<Uint8Array> => {
    const { sinceMs } = liveRequest.decode(payload);
    questions.push(sinceMs);
    const frames = msBySecond.map((ms, second) => {
      const endMs = 1_000 * (second + 1);
      return { endMs, spanMs: 1_000, series: series(ms), totals: {}, slotReads: [], gauges: {} };
    });
    return liveAnswer.encode({ startMs: 0, frames: frames.filter((each) => each.endMs > sinceMs), names: [], bits: 8 });
  };
  return { caller: { call }, questions };
}

it('only reads of the last seconds count, and of reads alone', async () => {
  const { caller } = sourceOf([90, 2, 3, 4]);
  const pace = new SourcePace('a', caller, new ManualClock());
  expect(await pace.bytesPerSecond(5, signal)).toBe(1.25 * 2 ** 20);
  expect(pace.p99Ms).toBe(4);
});

it('a source is asked once a second, for what is new', async () => {
  const { caller, questions } = sourceOf([9, 9, 9, 9]);
  const clock = new ManualClock();
  const pace = new SourcePace('a', caller, clock);
  expect(await pace.bytesPerSecond(5, signal)).toBe(2 ** 19);
  expect(await pace.bytesPerSecond(5, signal)).toBe(2 ** 19);
  clock.advance(1_000);
  expect(await pace.bytesPerSecond(5, signal)).toBe(2 ** 18);
  // At first, when its last second ended.
  expect(questions).toEqual([0, 1_000, 1_000]);
});

it('a copy does not begin while reads are slow, unless its move asks for that no more', async () => {
  const seconds = [9, 9, 9];
  const { caller } = sourceOf(seconds);
  const clock = new ManualClock();
  const pace = new SourcePace('a', caller, clock);
  let max: number | null = 5;
  const waits: (number | null)[] = [];
  const onWait = (): void => {
    waits.push(pace.p99Ms);
    if (waits.length === 2) max = null;
    setImmediate(() => clock.advance(1_000));
  };
  await pace.untilQuiet(() => max, signal, onWait);
  expect(waits).toEqual([9, 9]);
});

it('what a node records of its reads is found, of calls by others and of requests at its edge', async () => {
  vi.useFakeTimers();
  const clock = new ManualClock();
  const store = new HistogramStore(clock);
  const history = new LiveHistory(store, async () => ({}), clock);
  const call = async ({ payload }: { readonly payload: Uint8Array }): Promise<Uint8Array> =>
    liveAnswer.encode({ startMs: 0, ...history.answer(liveRequest.decode(payload)) });
  const recording = new Recording();
  const second = async (): Promise<void> => {
    store.add(recording.take(), 'main');
    clock.advance(1_000);
    await vi.advanceTimersByTimeAsync(1_000);
  };
  const seen: (number | null)[] = [];
  try {
    const pace = new SourcePace('a', { call }, clock);
    const calls = recording.histogram('skyshard_call_duration_seconds');
    const requests = recording.histogram('skyshard_request_duration_seconds');
    for (const record of [
      () => calls.with('slot.append', '').record(9_000_000),
      () => calls.with('bsky.GetFollowers', '').record(8_000),
      () => requests.with('GetTimeline', 'ok').record(16_000),
    ]) {
      record();
      await second();
      await pace.bytesPerSecond(5, signal);
      seen.push(pace.p99Ms);
    }
  } finally {
    history[Symbol.dispose]();
    vi.useRealTimers();
  }
  expect(seen).toEqual([null, 8, 16]);
});
