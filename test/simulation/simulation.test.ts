import { describe, expect, it } from 'vitest';
import { type SimulationResult, simulate } from './simulation.ts';

/** Fails with the seed that `npm run simulate -- --seed N --histories 1` runs again. */
function expectAgreement({ failure }: SimulationResult): void {
  if (failure === null) return;
  expect.fail(`seed ${failure.seed} with ${failure.slots} slots is read otherwise:\n${failure.differences.join('\n')}`);
}

describe('slots whose effects travel over a bad network', () => {
  it('read as the model says, whatever their count, the batches, and the order of arrival', async () => {
    const result = await simulate({ seed: 1, durationMs: 40_000, historiesMax: 3_000 });
    expectAgreement(result);
    console.log(`seeds from 1: ${JSON.stringify(result)}`);
    expect(result.histories).toBeGreaterThan(20);
    for (const [fault, count] of Object.entries(result.faults)) expect(count, fault).toBeGreaterThan(0);
  }, 120_000);

  it('read the same history alike with 1, 2, 16 and 64 slots', async () => {
    const result = await simulate({ seed: 70_000, durationMs: 15_000, historiesMax: 200, slotCounts: [1, 2, 16, 64] });
    expectAgreement(result);
    expect(result.histories).toBeGreaterThan(2);
  }, 60_000);

  it('read long histories alike', async () => {
    const options = { seed: 90_000, durationMs: 10_000, historiesMax: 20, steps: 1_500, slotCounts: [4] };
    const result = await simulate(options);
    expectAgreement(result);
    expect(result.entries).toBeGreaterThan(1_000);
  }, 60_000);
});
