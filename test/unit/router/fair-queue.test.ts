/** The order in which what waits begins, and what no longer waits. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { Admission, defaultAdmissionLimits } from '../../../src/router/plan/admission.ts';
import { FairQueue, itemsPerTurn } from '../../../src/router/plan/fair-queue.ts';
import { PlanScope, type ScopeParts } from '../../../src/router/plan/plan-scope.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const limits = {
  itemsRunningMax: 1_000,
  runMsMax: 200,
  waitMsMax: 500,
  itemsWaitingMax: 100_000,
  itemsWaitingOfCallerMax: 50_000,
};
const deadlineMs = Number.MAX_SAFE_INTEGER;
let clock: ManualClock;
let queue: FairQueue;
let begun: string[];

beforeEach(() => {
  clock = new ManualClock();
  queue = new FairQueue(limits, clock);
  begun = [];
});

/** Waits for a turn, and notes its beginning. */
function wait(caller: string, items: number, name = caller): Promise<void> {
  return queue.turnOf(caller, items, deadlineMs, true).then(() => void begun.push(name));
}

/** The same for a whole request. */
function waitWhole(caller: string, items: number, name = caller): Promise<void> {
  return queue.turnOf(caller, items, deadlineMs, false).then(() => void begun.push(name));
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
  expect([queue.itemsWaiting, queue.refusedByLimit.waitMsMax]).toEqual([0, 3]);
});

test('what is past its deadline does not begin, although it was not refused yet', async () => {
  queue.began(1_000);
  const late = expect(queue.turnOf('a', 10, clock.monotonicMs() + 100, false)).rejects.toMatchObject({
    code: 'DeadlineExceeded',
  });
  void waitWhole('a', 10, 'next');
  clock.advance(101);
  queue.ended(1_000);
  await untilEmpty();
  await late;
  expect([begun, queue.itemsRunning]).toEqual([['next'], 10]);
});

test('a turn begins as many whole requests as there is room for', async () => {
  queue.began(1_000);
  for (let index = 0; index < 60; index++) void waitWhole('a', 25);
  queue.ended(1_000);
  await nextTurn();
  expect([begun.length, queue.itemsRunning]).toEqual([40, 1_000]);
});

test('a request that comes when there is room waits behind those that wait', async () => {
  queue.began(1_000);
  void waitWhole('a', 10);
  queue.ended(500);
  expect(queue.isCrowded).toBe(true);
  await untilEmpty();
  expect(queue.isCrowded).toBe(false);
});

/** Has nodes answer so many items a ms for a time. */
function serve(itemsPerMs: number, durationMs: number): void {
  for (let ms = 0; ms < durationMs; ms += 50) {
    queue.began(itemsPerMs * 50);
    clock.advance(50);
    queue.ended(itemsPerMs * 50);
    void queue.itemsRunningMax;
  }
}

test('no more is under way than nodes answer in runMsMax, but always some', () => {
  queue = new FairQueue({ ...limits, itemsRunningMax: 20_000 }, clock);
  serve(50, 2_000);
  expect(queue.itemsRunningMax).toBeCloseTo(50 * 200, -2);
  serve(20, 2_000);
  expect(queue.itemsRunningMax).toBeCloseTo(20 * 200, -2);
  serve(1_000, 2_000);
  expect(queue.itemsRunningMax).toBe(20_000);
  serve(1, 4_000);
  expect(queue.itemsRunningMax).toBe(2_000);
});

test('a request that would wait for too long is refused at once, not that of a caller who has less waiting', async () => {
  queue.began(1_000);
  const waiting = Array.from({ length: 40 }, () => waitWhole('many', 25));
  waiting.push(waitWhole('few', 25));
  const ends = Promise.allSettled(waiting);
  // The rate of a time in which nobody waited says nothing.
  expect(queue.refusalOf('many')).toBeNull();
  for (let ms = 0; ms < 1_000; ms += 50) {
    clock.advance(50);
    queue.began(50);
    queue.ended(50);
    void queue.itemsRunningMax;
  }
  expect(queue.itemsWaiting).toBe(41 * 25);
  expect(queue.refusalOf('many')).toMatchObject({
    code: 'ResourceExhausted',
    message: expect.stringContaining('waitMsMax = 500'),
  });
  expect([queue.refusalOf('few'), queue.refusalOf('new')]).toEqual([null, null]);
  expect(queue.refusedByLimit.waitMsMax).toBe(1);
  await ends;
});

test('no more waits than may, of all and of one caller', () => {
  queue.began(1_000);
  void waitWhole('a', 50_000);
  expect(queue.refusalOf('a')?.message).toContain('itemsWaitingOfCallerMax = 50000');
  expect(queue.refusalOf('b')).toBeNull();
  void waitWhole('b', 50_000);
  expect(queue.refusalOf('c')?.message).toContain('itemsWaitingMax = 100000');
});

test('the parts of a request that takes all the room do not wait for the request', async () => {
  const admission = new Admission(defaultAdmissionLimits);
  const parts = { admission, queue, clock } as Partial<ScopeParts> as ScopeParts;
  const scope = new PlanScope(parts, 'caller', null as never, deadlineMs);
  scope.admit(2 * limits.itemsRunningMax);
  expect(queue.isCrowded).toBe(true);
  scope.admitParts(1);
  let answer = '';
  void scope.inTurn(10, () => 'the rest').then((part) => (answer = part));
  await nextTurn();
  await nextTurn();
  expect(answer).toBe('the rest');
  scope.end();
  expect(queue.itemsRunning).toBe(0);
});
