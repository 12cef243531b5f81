/** Finds a short history that shows the same kind of difference as a long one. */
import fc from 'fast-check';
import type { MethodRow } from '../oracle/method-row.ts';
import { type HistoryReport, runHistory, type Stage } from './history-run.ts';
import type { Operation } from './operation.ts';
import { ShrinkableHistory } from './shrinkable-history.ts';

export interface ShortHistory {
  readonly history: readonly Operation[];
  readonly report: HistoryReport;
}

/**
 * Leaves out operations as long as one of the rows still differs.
 *
 * Returns: the shortest history found before the deadline, and what differs after it.
 */
export async function shrinkHistory(
  stage: Stage,
  whole: ShortHistory,
  row: MethodRow,
  timeMsMax: number,
): Promise<ShortHistory> {
  let shortest = whole;
  const property = fc.asyncProperty(new ShrinkableHistory(whole.history), async (history) => {
    // The whole history is known to differ.
    if (history === whole.history) return false;
    const report = await runHistory(stage, history, [row]);
    if (!report.differing.has(row)) return true;
    shortest = { history, report };
    return false;
  });
  await fc.check(property, { numRuns: 1, interruptAfterTimeLimit: timeMsMax, unbiased: true });
  return shortest;
}
