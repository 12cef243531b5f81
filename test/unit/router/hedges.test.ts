/** When reads are asked again at other copies, and how many are. */
import { beforeEach, expect, test } from 'vitest';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { InvariantError } from '../../../src/base/invariant.ts';
import { type Hedgeable, Hedges } from '../../../src/router/plan/hedges.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { until } from '../../support/until.ts';

const limits = { hedgePercentMax: 5, hedgeBurstMax: 2, hedgeDelayMsMax: 50 };
const [one, other] = [Buffer.from('one'), Buffer.from('other')];
let clock: ManualClock;
let hedges: Hedges;

beforeEach(() => {
  clock = new ManualClock();
  hedges = new Hedges(limits, clock);
});

type Attempts = { readonly first: PromiseWithResolvers<Uint8Array>; readonly second: PromiseWithResolvers<Uint8Array> };

function begin(more: Partial<Hedgeable> = {}): Attempts & { readonly answer: Promise<Uint8Array> } {
  const [first, second] = [Promise.withResolvers<Uint8Array>(), Promise.withResolvers<Uint8Array>()];
  const read = { method: 'GetPosts', first: first.promise, mayAskAgain: () => true, askAgain: () => second.promise };
  return { first, second, answer: hedges.run({ ...read, ...more }) };
}

/** Runs reads that take so long, so that the delay follows. */
async function take(ms: number, reads: number): Promise<void> {
  for (let count = 0; count < reads; count++) {
    const { first, answer } = begin({ mayAskAgain: () => false });
    clock.advance(ms);
    first.resolve(one);
    await answer;
  }
}

async function sent(count: number): Promise<void> {
  await until(() => hedges.counts.sent === count);
}

test('a read that is not answered in time is asked again, and the first answer counts', async () => {
  const { second, answer } = begin();
  clock.advance(50);
  await sent(1);
  second.resolve(other);
  expect(await answer).toBe(other);
  expect(hedges.counts).toEqual({ sent: 1, won: 1, withheld: 0 });
});

test('a second attempt that is slower changes nothing', async () => {
  const { first, second, answer } = begin();
  clock.advance(50);
  await sent(1);
  first.resolve(one);
  expect(await answer).toBe(one);
  second.resolve(other);
  await second.promise;
  expect(hedges.counts).toEqual({ sent: 1, won: 0, withheld: 0 });
});

test('a read that is answered in time is not asked again', async () => {
  const { first, answer } = begin();
  first.resolve(one);
  await answer;
  clock.advance(1_000);
  const later = begin();
  clock.advance(50);
  await sent(1);
  later.second.resolve(other);
  expect(await later.answer).toBe(other);
});

test('the delay follows what all but few reads of a method take, up to its limit', async () => {
  const delayOf = (method: string) => new Map(hedges.delays()).get(method)!;
  await take(5, 600);
  expect(delayOf('GetPosts')).toBeGreaterThan(4.5);
  expect(delayOf('GetPosts')).toBeLessThan(6);
  await take(500, 100);
  expect(delayOf('GetPosts')).toBe(50);
});

test('while all reads are slow, no more than the share of the budget are asked again', async () => {
  const reads = Array.from({ length: 100 }, () => begin({ askAgain: () => other }));
  clock.advance(50);
  await Promise.race(reads.map(({ answer }) => answer));
  // Those of the burst, and one for each twenty reads.
  await until(() => hedges.counts.sent + hedges.counts.withheld === 100);
  expect(hedges.counts.sent).toBeLessThanOrEqual(limits.hedgeBurstMax + limits.hedgePercentMax);
  expect(hedges.counts.won).toBe(hedges.counts.sent);
  for (const { first } of reads) first.resolve(one);
  await Promise.all(reads.map(({ answer }) => answer));
});

test('errors count when both attempts end with one, a broken invariant at once', async () => {
  const failing = begin();
  clock.advance(50);
  await sent(1);
  failing.second.reject(new DataPlaneError('Unavailable', 'the second'));
  failing.first.reject(new DataPlaneError('Unavailable', 'the first'));
  await expect(failing.answer).rejects.toThrow('the first');
  const saved = begin();
  clock.advance(50);
  await sent(2);
  saved.first.reject(new DataPlaneError('Unavailable', 'the first'));
  saved.second.resolve(other);
  expect(await saved.answer).toBe(other);
  hedges = new Hedges(limits, clock);
  const broken = begin();
  clock.advance(50);
  await sent(1);
  broken.second.reject(new InvariantError('a test'));
  await expect(broken.answer).rejects.toBeInstanceOf(InvariantError);
});

test('a read that waits for a node without a copy is not asked again', async () => {
  let looks = 0;
  const alone = begin({ mayAskAgain: () => ++looks < 0 });
  clock.advance(50);
  await until(() => looks === 1);
  alone.first.resolve(one);
  expect(await alone.answer).toBe(one);
  expect(hedges.counts).toEqual({ sent: 0, won: 0, withheld: 0 });
});
