/** Which slots make a node unready. */
import { expect, test } from 'vitest';
import { NodeReadiness, readinessAgeMsMax, readyLagMsMax, unreadySlots } from '../../../src/node/readiness.ts';
import type { SlotStatus } from '../../../src/wire/node-status.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function statusOf(more: Partial<SlotStatus>): SlotStatus {
  return {
    slot: 0,
    cursor: 1,
    head: 1,
    waiting: 0,
    outbox: 0,
    deliveredMark: null,
    lastMark: 0,
    isContinuing: false,
    sentEffects: 0,
    receivedEffects: 0,
    lagMs: null,
    bytes: 0,
    owners: 0,
    quarantined: 0,
    suspendedDids: 0,
    state: 'applying',
    generation: 1,
    condition: 'complete',
    log: null,
    role: 'primary',
    acts: true,
    behindMs: 0,
    ...more,
  };
}

function unready(...slots: Partial<SlotStatus>[]): number[] {
  const statuses = slots.map((more, slot) => statusOf({ ...more, slot }));
  return unreadySlots({ role: 'node', name: 'n0', epoch: 1, pid: 1, fetches: [], slots: statuses });
}

test('primaries that are old while more waits are not ready, nor are those that lost something', () => {
  const old = readyLagMsMax + 1;
  expect(unready({}, { lagMs: readyLagMsMax, waiting: 9 }, { lagMs: old }, { waiting: 9 })).toEqual([]);
  expect(unready({ role: 'replica', condition: 'new' }, { role: 'replica', lagMs: old, waiting: 1 })).toEqual([]);
  expect(unready({}, { lagMs: old, waiting: 1 }, { condition: 'incomplete' }, { condition: 'new' })).toEqual([1, 2, 3]);
});

test('however often a node is asked whether it is ready, it looks once a second', async () => {
  const clock = new ManualClock();
  const answers = [false, true];
  let looks = 0;
  const readiness = new NodeReadiness(async () => answers[looks++]!, clock);
  expect(await Promise.all([1, 2, 3].map(() => readiness.isReady()))).toEqual([false, false, false]);
  clock.advance(readinessAgeMsMax - 1);
  expect([await readiness.isReady(), looks]).toEqual([false, 1]);
  clock.advance(1);
  expect([await readiness.isReady(), looks]).toEqual([true, 2]);
});
