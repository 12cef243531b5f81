/** Concurrency, rate and pauses of requests, each host for itself. */
import { describe, expect, it } from 'vitest';
import { HostLimits, retryAfterMs } from '../../../src/ingest/host-limits.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { until } from '../../support/until.ts';

const never = new AbortController().signal;

describe('host limits', () => {
  it('bound the concurrent requests to one host, and hosts do not wait for each other', async () => {
    const limits = new HostLimits({ clock: new ManualClock(), concurrencyMax: 2, requestsPerSecond: 1e9 });
    const open: (() => void)[] = [];
    const started: string[] = [];
    const task = (name: string) => (): Promise<string> => {
      started.push(name);
      return new Promise((resolve) => open.push(() => resolve(name)));
    };
    const results = ['a', 'b', 'c'].map((name) => limits.run('https://one.test', never, task(name)));
    const other = limits.run('https://two.test', never, task('other'));
    await until(() => started.length === 3);
    expect(started).toEqual(['a', 'b', 'other']);
    open[0]!();
    await until(() => started.includes('c'));
    for (const finish of open) finish();
    expect(await Promise.all(results)).toEqual(['a', 'b', 'c']);
    expect(await other).toBe('other');
  });

  it('bound the requests per second, and start none while a host is paused', async () => {
    const clock = new ManualClock();
    const limits = new HostLimits({ clock, concurrencyMax: 10, requestsPerSecond: 10 });
    const startedMs: number[] = [];
    const begin = clock.nowMs();
    const run = (): Promise<unknown> =>
      limits.run('https://one.test', never, async () => startedMs.push(clock.nowMs() - begin));
    const first = [run(), run(), run()];
    await until(() => startedMs.length === 1);
    await until(() => {
      if (clock.sleeperCount > 0) clock.advance(10);
      return startedMs.length === 3;
    });
    await Promise.all(first);
    expect(startedMs).toEqual([0, 100, 200]);
    limits.pause('https://one.test', 5000);
    expect(limits.pausedMs('https://one.test')).toBe(5000);
    const paused = run();
    clock.advance(4990);
    expect(startedMs).toHaveLength(3);
    await until(() => {
      if (clock.sleeperCount > 0) clock.advance(10);
      return startedMs.length === 4;
    });
    await paused;
    expect(startedMs[3]).toBe(5200);
  });

  it('read the pause from either header, in seconds or as a date', () => {
    const nowMs = Date.UTC(2024, 0, 1);
    expect(retryAfterMs({ 'retry-after': '7' }, nowMs)).toBe(7000);
    expect(retryAfterMs({ 'retry-after': 'Mon, 01 Jan 2024 00:01:00 GMT' }, nowMs)).toBe(60_000);
    expect(retryAfterMs({ 'ratelimit-reset': String(nowMs / 1000 + 30) }, nowMs)).toBe(30_000);
    expect(retryAfterMs({ 'retry-after': 'soon' }, nowMs)).toBe(30_000);
    expect(retryAfterMs({}, nowMs)).toBe(30_000);
  });
});
