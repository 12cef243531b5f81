/** What new sessions of slots begin with. */
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import type { SlotCondition } from '../../../src/entry/lifecycle-entry.ts';
import { openings } from '../../../src/node/slot-opening.ts';

it('what a start found of a slot does not hold once the slot was given up', () => {
  const conditionBySlot = new Map<number, SlotCondition>([
    [0, 'incomplete'],
    [1, 'complete'],
  ]);
  const openingOf = openings(conditionBySlot, { cluster: 'west' }, systemClock);
  expect([0, 1, 2].map((slot) => openingOf(slot).condition)).toEqual(['incomplete', 'complete', 'new']);
  conditionBySlot.delete(0);
  expect(openingOf(0)).toMatchObject({ condition: 'new', cluster: 'west' });
});
