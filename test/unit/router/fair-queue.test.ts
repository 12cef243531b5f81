/** The order in which what waits begins, and what no longer waits. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { FairQueue, itemsPerTurn } from '../../../src/router/plan/fair-queue.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const deadlineMs = Number.MAX_SAFE_INTEGER;
let clock: ManualClock;
let queue: FairQueue;
let begun: string[];

beforeEach(() => {
  clock = new ManualClock();
  queue = new FairQueue({ itemsRunningMax: 1_000, waitMsMax: 500 }, clock);
  begun = [];
});

/** Waits for a turn, and notes its beginning. */
function wait(caller: string, items: number, name = caller): Promise<void> {
  return queue.turnOf(caller, items, deadlineMs, true).then(() => void begun.push(name));
}

async function untilEmpty(): Promise<void> {
  while (queue.itemsWaiting > 0) await nextTurn();
}

test('callers are served in turn, whatever each of them has waiting', async () => {
  for (let part = 0; part < 4; part++) void wait('many', itemsPerTurn, `many ${part}`);
  void wait('few', 10);
  await nextTurn();
  queue.ended(itemsPerTurn);
  await untilEmpty();
  expect(begun.indexOf('few')).toBe(1);
  expect(begun.filter((name) => name !== 'few')).toEqual(['many 0', 'many 1', 'many 2', 'many 3']);
});

test('callers get equal shares of items, not of requests', async () => {
  for (let index = 0; index < 20; index++) {
    void wait('large', 100);
    void wait('small', 10);
  }
  while (queue.itemsWaiting > 0) {
    await nextTurn();
    queue.ended(queue.itemsRunning);
    const items = { large: 0, small: 0 };
    for (const name of begun as ('large' | 'small')[]) items[name] += name === 'large' ? 100 : 10;
    // All that is small may have begun; until then neither is ahead by more than a turn.
    if (items.small < 200) expect(Math.abs(items.large - items.small)).toBeLessThanOrEqual(2 * itemsPerTurn);
  }
});

test('a turn of the event loop begins few items, so that others come in between', async () => {
  for (let index = 0; index < 40; index++) void wait('a', 25);
  await nextTurn();
  expect(begun.length).toBe(itemsPerTurn / 25);
  await untilEmpty();
  expect(begun.length).toBe(40);
  expect(queue.turns).toBe(40);
});

test('one part that is larger than a turn begins alone', async () => {
  void wait('a', 3 * itemsPerTurn, 'large');
  void wait('b', 10, 'small');
  await untilEmpty();
  expect(begun.sort()).toEqual(['large', 'small']);
});

test('nothing begins while too much is under way', async () => {
  queue.began(1_000);
  expect(queue.isCrowded).toBe(true);
  void wait('a', 10);
  await nextTurn();
  await nextTurn();
  expect(begun).toEqual([]);
  queue.ended(1);
  await untilEmpty();
  expect(begun).toEqual(['a']);
  expect(queue.itemsRunning).toBe(1_009);
});

test('a request that waits for too long is refused by the name of the limit, a part at its deadline', async () => {
  queue.began(1_000);
  const nowMs = clock.monotonicMs();
  const request = queue.turnOf('a', 10, nowMs + 10_000, false);
  const hurried = queue.turnOf('a', 10, nowMs + 100, false);
  const part = queue.turnOf('b', 10, nowMs + 700, true);
  const ends = Promise.allSettled([request, hurried, part]);
  clock.advance(501);
  await expect(request).rejects.toMatchObject({
    code: 'ResourceExhausted',
    message: expect.stringContaining('waitMsMax = 500'),
  });
  await expect(hurried).rejects.toMatchObject({ code: 'DeadlineExceeded' });
  clock.advance(200);
  await expect(part).rejects.toMatchObject({ code: 'DeadlineExceeded' });
  expect((await ends).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect([queue.itemsWaiting, queue.refusals]).toEqual([0, 3]);
});
