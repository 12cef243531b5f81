/** When `settle` ends: for a quiescent cluster, for a busy one, and at its deadline. */
import { describe, expect, it } from 'vitest';
import { type NodeCounts, type SlotCounts, settle } from '../../../src/router/settle.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const idle: SlotCounts = {
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
  quarantined: 0,
  role: 'primary',
};

/** A clock that sleeping advances. */
class SleepingClock extends ManualClock {
  override async sleep(durationMs: number): Promise<void> {
    this.advance(durationMs);
  }
}

function settleWith(pollOf: (index: number) => readonly NodeCounts[], timeoutMs = 10_000) {
  let index = 0;
  return settle(async () => pollOf(index++), timeoutMs, new SleepingClock());
}

/** A slot that receives entries all the time, of which the newest always wait. */
function busySlot(index: number): SlotCounts {
  const cursor = 10 * index;
  return { ...idle, cursor, head: cursor + 5, waiting: 5, deliveredMark: cursor, lastMark: cursor, outbox: 1 };
}

describe('settling', () => {
  it('takes two polls of a quiescent cluster, and reports quiescence', async () => {
    const answer = await settleWith(() => [{ name: 'n0', slots: [idle] }]);
    expect(answer).toMatchObject({ settled: true, by: 'quiescence', slots: 1, effects: 3 });
  });

  it.each([
    ['entries wait at the second', { head: 11, waiting: 1 }],
    ['counts change between them', { sentEffects: 4, receivedEffects: 4 }],
    ['a cursor is below the first heads', { cursor: 9, head: 9 }],
  ])('does not end after two polls when %s', async (_why, second) => {
    let polls = 0;
    await settleWith((index) => {
      polls = index + 1;
      return [{ name: 'n0', slots: [index === 1 ? { ...idle, ...second } : idle] }];
    });
    expect(polls).toBeGreaterThan(2);
  });

  it('goes by the messages of a log on a server, of which a busy slot knows no head', async () => {
    // The head says what was taken of the log; nothing of it is applied before the tenth poll.
    let polls = 0;
    const answer = await settleWith((index) => {
      polls = index + 1;
      const applied = index < 10 ? 0 : 100 + index;
      const slot = { ...busySlot(index), head: 10 * index, messages: { applied, last: 100 + index } };
      return [{ name: 'n0', slots: [slot] }];
    });
    expect(answer).toMatchObject({ settled: true, by: 'rounds' });
    expect(polls).toBeGreaterThan(10);
  });

  it('that began earlier says how long it has waited in all', async () => {
    const clock = new SleepingClock();
    const startMs = clock.monotonicMs();
    clock.advance(9_000);
    const waiting = [{ name: 'n0', slots: [{ ...idle, waiting: 1, cursor: 5, outbox: 1 }] }];
    await expect(settle(async () => waiting, 10_000, clock, startMs)).rejects.toThrow('not settled after 10000 ms');
    expect(clock.monotonicMs() - startMs).toBeLessThan(11_000);
  });

  it('ends for a cluster that is never quiescent, and reports rounds', async () => {
    const answer = await settleWith((index) => [{ name: 'n0', slots: [busySlot(index)] }]);
    expect(answer).toMatchObject({ settled: true, by: 'rounds' });
  });

  it('waits for long work before the last round ends', async () => {
    let polls = 0;
    await settleWith((index) => {
      polls = index;
      return [{ name: 'n0', slots: [{ ...busySlot(index), isContinuing: index < 60 }] }];
    });
    expect(polls).toBeGreaterThanOrEqual(60);
  });

  it('fails at its deadline, naming what is in flight', async () => {
    const stuck = { ...idle, head: 12, waiting: 2 };
    const dead: NodeCounts = { name: 'n1', error: 'cannot be reached' };
    await expect(settleWith(() => [{ name: 'n0', slots: [stuck] }, dead], 500)).rejects.toMatchObject({
      code: 'DeadlineExceeded',
      message: expect.stringMatching(/slot 0 on n0: 2 entries wait; n1 does not answer: cannot be reached/),
    });
  });
});
