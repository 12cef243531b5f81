/** The done cursor never passes an unfinished event, whatever the order of finishing. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DoneTracker } from '../../../src/ingest/done-tracker.ts';

const never = new AbortController().signal;

describe('the done tracker', () => {
  it('stays before the first unfinished event, whatever finishes after it', () => {
    const tracker = new DoneTracker(10);
    for (const seq of [11, 15, 20]) tracker.begin(seq);
    expect(tracker.done).toBe(10);
    tracker.finish(20);
    tracker.finish(15);
    expect(tracker.done).toBe(10);
    tracker.finish(11);
    expect(tracker.done).toBe(20);
    expect(tracker.pendingCount).toBe(0);
  });

  it('never passes an unfinished event and ends at the last, for any order of finishing', () => {
    const runs = fc.uniqueArray(fc.nat(1000), { minLength: 1, maxLength: 40 }).chain((seqs) => {
      const ascending = [...seqs].sort((a, b) => a - b);
      return fc.record({
        ascending: fc.constant(ascending),
        order: fc.shuffledSubarray(ascending, { minLength: ascending.length }),
      });
    });
    fc.assert(
      fc.property(runs, ({ ascending, order }) => {
        const tracker = new DoneTracker(-1);
        for (const seq of ascending) tracker.begin(seq);
        const open = new Set(ascending);
        for (const seq of order) {
          tracker.finish(seq);
          open.delete(seq);
          expect(tracker.done).toBe(open.size === 0 ? ascending.at(-1) : Math.min(...open) - 1);
        }
      }),
    );
  });

  it('resolves a wait for a seq when everything up to it is done, and not before', async () => {
    const tracker = new DoneTracker(0);
    tracker.begin(1);
    tracker.begin(2);
    let isOver = false;
    const waiting = tracker.waitDone(2, never).then((isDone) => {
      isOver = true;
      return isDone;
    });
    tracker.finish(2);
    await Promise.resolve();
    expect(isOver).toBe(false);
    tracker.finish(1);
    expect(await waiting).toBe(true);
  });

  it('stops waiting when the signal aborts', async () => {
    const tracker = new DoneTracker(0);
    tracker.begin(1);
    const abort = new AbortController();
    const waiting = tracker.waitDone(1, abort.signal);
    abort.abort();
    expect(await waiting).toBe(false);
  });
});
