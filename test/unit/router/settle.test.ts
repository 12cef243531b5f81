import { describe, expect, it } from 'vitest';
import { type NodeCounts, type SlotCounts, settle } from '../../../src/router/settle.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const still: SlotCounts = {
  slot: 0,
  cursor: 10,
  head: 10,
  waiting: 0,
  outbox: 0,
  deliveredMark: 5,
  lastMark: 5,
  isContinuing: false,
  sentEffects: 3,
  receivedEffects: 3,
};

/** A clock whose sleeps move it on. */
class SleepingClock extends ManualClock {
  override async sleep(durationMs: number): Promise<void> {
    this.advance(durationMs);
  }
}

function settleOver(roundOf: (index: number) => readonly NodeCounts[], timeoutMs = 10_000) {
  let index = 0;
  return settle(async () => roundOf(index++), timeoutMs, new SleepingClock());
}

/** One slot into which so many entries a round come, of which the newest always waits. */
function busyRound(index: number): SlotCounts {
  const cursor = 10 * index;
  return { ...still, cursor, head: cursor + 5, waiting: 5, deliveredMark: cursor, lastMark: cursor, outbox: 1 };
}

describe('settling', () => {
  it('of a still cluster takes two quiet rounds, and says that it was by stillness', async () => {
    const answer = await settleOver(() => [{ name: 'n0', slots: [still] }]);
    expect(answer).toMatchObject({ settled: true, by: 'stillness', slots: 1, effects: 3 });
  });

  it('of a cluster that never rests goes by waves, and says so', async () => {
    const answer = await settleOver((index) => [{ name: 'n0', slots: [busyRound(index)] }]);
    expect(answer).toMatchObject({ settled: true, by: 'waves' });
  });

  it('waits for long work before the last wave ends', async () => {
    let rounds = 0;
    await settleOver((index) => {
      rounds = index;
      return [{ name: 'n0', slots: [{ ...busyRound(index), isContinuing: index < 60 }] }];
    });
    expect(rounds).toBeGreaterThanOrEqual(60);
  });

  it('fails at its deadline and says what waits', async () => {
    const stuck = { ...still, head: 12, waiting: 2 };
    const dead: NodeCounts = { name: 'n1', error: 'cannot be reached' };
    await expect(settleOver(() => [{ name: 'n0', slots: [stuck] }, dead], 500)).rejects.toMatchObject({
      code: 'DeadlineExceeded',
      message: expect.stringMatching(/slot 0 on n0: 2 entries wait; n1 does not answer: cannot be reached/),
    });
  });
});
