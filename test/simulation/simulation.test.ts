/** Slots whose effects travel over a bad network hold what the model says. */
import { describe, expect, it } from 'vitest';
import { type SimulationResult, simulate } from './simulation.ts';

/** Fails with the seed that `npm run simulate -- --seed N --histories 1` runs again. */
function expectAgreement({ failure }: SimulationResult): void {
  if (failure === null) return;
  expect.fail(
    `seed ${failure.seed} with ${failure.slots} slots differs from the model:\n${failure.differences.join('\n')}`,
  );
}

/** Enough for each fault to occur; `npm run simulate` runs as many as there is time for. */
const histories = 48;

describe('slots whose effects travel over a bad network', () => {
  it('match the model, whatever the slot count, the batches and the order of arrival', async () => {
    const result = await simulate({ seed: 1, histories });
    expectAgreement(result);
    console.log(`seeds from 1: ${JSON.stringify(result)}`);
    expect(result.histories).toBe(histories);
    expect(result.facts).toBeGreaterThan(20_000);
    expect(result.hidden).toBeGreaterThan(20);
    for (const [fault, count] of Object.entries(result.faults)) expect(count, fault).toBeGreaterThan(0);
  }, 600_000);

  it('match it for the same histories with 1, 2, 16 and 64 slots', async () => {
    const result = await simulate({ seed: 70_000, histories: 8, slotCounts: [1, 2, 16, 64] });
    expectAgreement(result);
    expect(result.histories).toBe(8);
    expect(result.entries).toBeGreaterThan(4_000);
  }, 300_000);

  it('match it after long histories', async () => {
    const options = { seed: 90_000, histories: 5, steps: 1_500, slotCounts: [4] };
    const result = await simulate(options);
    expectAgreement(result);
    expect(result.entries).toBeGreaterThan(1_000);
  }, 300_000);
});

describe('slots that lose their folders, or get older ones back', () => {
  it('match the model once what they had from outside has come again', async () => {
    const result = await simulate({ seed: 4_000, histories: 20, slotCounts: [4], losesFolders: true });
    expectAgreement(result);
    console.log(`seeds from 1: ${JSON.stringify(result)}`);
    for (const [loss, count] of Object.entries(result.losses)) expect(count, loss).toBeGreaterThan(0);
  }, 600_000);
});

describe('slots that are doubled in the middle of every kind of history', () => {
  it('match the model, whoever hears of a split first and whatever ends while a child is made', async () => {
    const result = await simulate({ seed: 110_000, histories: 12, slotCounts: [1, 2, 4], doublings: 2 });
    expectAgreement(result);
    console.log(`seeds from 110000: ${JSON.stringify(result)}`);
    for (const [what, count] of Object.entries({ ...result.faults, ...result.splits })) {
      if (what !== 'early') expect(count, what).toBeGreaterThan(0);
    }
  }, 600_000);

  it('match it, and are the same in replicas that read their log later, in other transactions', async () => {
    const options = { histories: 8, slotCounts: [1, 2, 4], doublings: 2, hasReplicas: true };
    const result = await simulate({ seed: 130_000, ...options });
    expectAgreement(result);
    console.log(`seeds from 130000: ${JSON.stringify(result)}`);
    for (const [what, count] of Object.entries({ ...result.faults, ...result.splits })) {
      if (what !== 'early') expect(count, what).toBeGreaterThan(0);
    }
  }, 600_000);

  it('match it though slots lose their folders meanwhile, or get older ones back', async () => {
    const result = await simulate({
      seed: 120_000,
      histories: 16,
      slotCounts: [2],
      doublings: 1,
      losesFolders: true,
    });
    expectAgreement(result);
    console.log(`seeds from 120000: ${JSON.stringify(result)}`);
    const { splits, refused, crashes } = result.splits;
    for (const [what, count] of Object.entries({ ...result.losses, splits, refused, crashes }))
      expect(count, what).toBeGreaterThan(0);
  }, 600_000);
});
