/** Some rounds of the fault lane, and that it fails when an effect is lost or doubled. */
import { expect, it } from 'vitest';
import { problemWithBoxes } from '../../ops/boxes.ts';
import { type LaneOptions, type LaneResult, runLane } from './fault-lane.ts';
import { isGood, reportText, summariesOf } from './lane-report.ts';

const testMsMax = 300_000;

function run(options: Partial<LaneOptions>): Promise<LaneResult> {
  return runLane({ seed: 1, rounds: 1, holdMs: 1_000, pauseMs: 2_000, print: () => {}, ...options });
}

it(
  'a cluster that is killed, stopped, cut off and filled up answers and stores what was written',
  async () => {
    const result = await run({ rounds: 5, areShort: true });
    expect(result.failure, reportText(result)).toBeNull();
    expect(isGood(result)).toBe(true);
    expect(result.rounds).toHaveLength(5);
    const all = summariesOf(result).at(-1)!;
    expect(all).toMatchObject({ fault: 'all', rounds: 5, wrong: 0, lost: 0, doubled: 0 });
    expect(all.requests).toBeGreaterThan(100);
    expect(result.commits).toBeGreaterThan(50);
    expect(result.events).toBeGreaterThan(50);
    expect(result.replicaReads.answered).toBeGreaterThan(50);
    if (process.env['CI'] === 'true') expect(result.without).toEqual({});
  },
  testMsMax,
);

it(
  'what ingest follows is served, once, however ingest ends or is cut off, and while slots are backed up',
  async () => {
    const cut = problemWithBoxes() === null ? ['cut writer from log'] : [];
    const only = ['kill ingest', 'stop ingest', 'kill ingest', ...cut, 'backup, kill command'];
    const result = await run({ only, rounds: only.length });
    expect(result.failure, reportText(result)).toBeNull();
    expect(isGood(result)).toBe(true);
    expect(result.events).toBeGreaterThan(100);
  },
  testMsMax,
);

it(
  'slots that are doubled while something is killed or cut off have what was written, once',
  async () => {
    const cut = problemWithBoxes() === null ? ['double, cut link'] : [];
    const only = ['double, kill node', 'double, kill command', 'double, kill router', ...cut];
    const result = await run({ areDoubled: true, only, rounds: only.length });
    expect(result.failure, reportText(result)).toBeNull();
    expect(isGood(result)).toBe(true);
    expect(result.rounds.at(-1)!.hit).toMatch(/^(32|16) slots/);
    expect(result.commits).toBeGreaterThan(50);
  },
  testMsMax,
);

it.each(['lost', 'doubled'] as const)(
  'the lane fails when an effect is %s',
  async (kind) => {
    const options = { only: ['kill router'], hasBoxes: false, holdMs: 100, planted: { kind, id: 1 } };
    const result = await run(options);
    expect(isGood(result)).toBe(false);
    expect(summariesOf(result).at(-1)![kind]).toBeGreaterThan(0);
    expect(result.failure).toMatch(/of actor \d/);
    if (kind === 'lost') expect(result.failure).toMatch(/count of its posts: \d+ instead of \d+/);
  },
  testMsMax,
);

it.skipIf(problemWithBoxes() !== null && process.env['CI'] !== 'true')(
  'the lane fails when a replica answers with what is too old',
  async () => {
    const result = await run({ only: ['cut node from log'], holdMs: 8_000, readLagMs: 3_600_000 });
    expect(isGood(result)).toBe(false);
    expect(summariesOf(result).at(-1)!.wrong).toBeGreaterThan(0);
    expect(result.failure).toMatch(/follows of \S+, by the replica n\d: \d, not from \d to \d/);
  },
  testMsMax,
);
