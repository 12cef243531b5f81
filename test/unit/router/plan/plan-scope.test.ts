/** What a request holds of a router, and gives back. */
import { expect, it } from 'vitest';
import { Admission, defaultAdmissionLimits } from '../../../../src/router/plan/admission.ts';
import { AnswerMemory } from '../../../../src/router/plan/answer-memory.ts';
import { FairQueue } from '../../../../src/router/plan/fair-queue.ts';
import { PlanScope, type ScopeParts } from '../../../../src/router/plan/plan-scope.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

it('takes nothing more once it has ended, whatever it had begun beside', () => {
  const clock = new ManualClock();
  const admission = new Admission(defaultAdmissionLimits);
  const queue = new FairQueue(defaultAdmissionLimits, clock);
  const memory = new AnswerMemory(defaultAdmissionLimits);
  const parts = { admission, queue, memory, clock } as Partial<ScopeParts> as ScopeParts;
  const scope = new PlanScope(parts, 'caller', null as never, 1_000);
  scope.admit(10);
  scope.admitParts(500);
  scope.hold(1_000);
  expect([admission.itemsInFlight, queue.itemsRunning, memory.bytes]).toEqual([510, 10, 1_000]);
  scope.end();
  for (const takeMore of [() => scope.admit(1), () => scope.admitParts(500), () => scope.hold(1)])
    expect(takeMore).toThrow('the request has ended');
  expect([admission.itemsInFlight, queue.itemsRunning, memory.bytes]).toEqual([0, 0, 0]);
});
