/** A replica answers reads while it is close to its log. */
import { expect, it } from 'vitest';
import { ReplicaReads } from '../../../src/node/replica-reads.ts';
import { ManualClock } from '../../support/manual-clock.ts';

it('slots are read while their thread says that they are close to their logs', () => {
  const clock = new ManualClock();
  const changes: (readonly number[])[] = [];
  using reads = new ReplicaReads({
    lagMsMax: 1_000,
    withUnmade: (slots) => slots,
    onChange: (slots) => changes.push(slots),
    clock,
  });
  const thread = new Set([1, 2, 3]);
  const say = (...behind: [number, number][]): void => reads.take(thread, new Map(behind));
  say([1, 0], [2, 1_001]);
  expect(reads.slots).toEqual([1]);
  say([1, 0], [2, 900]);
  say([1, 0], [2, 0]);
  expect(changes).toEqual([[1], [1, 2]]);
  // What is said of other threads' slots changes nothing of these.
  reads.take(new Set([7]), new Map([[7, 0]]));
  expect(reads.slots).toEqual([1, 2, 7]);
  clock.advance(600);
  say([1, 500], [2, 0]);
  clock.advance(600);
  reads.take(new Set([7]), new Map());
  expect(reads.slots).toEqual([2]);
  // A slot that was promoted is no replica any more.
  say([1, 0]);
  expect(reads.slots).toEqual([1]);
});
