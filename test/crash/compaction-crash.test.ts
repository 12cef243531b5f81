/** A node killed at any step of a compaction, while entries come in, keeps every slot whole. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CrashPoint, compactionCrashPoints } from '../../src/base/crash-point.ts';
import { DataPlaneError } from '../../src/base/data-plane-error.ts';
import { slotPath } from '../../src/node/data-folder.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { compactAnswer, compactRequest, type SlotCompaction } from '../../src/wire/slot-compaction.ts';
import { type CrashAt, CrashCluster } from '../support/crash-cluster.ts';
import { appendAll, expectMeaning, storyOf } from '../support/crash-story.ts';
import { until } from '../support/until.ts';

const node = 'a';
const timeoutMs = 10_000;

async function ask(cluster: CrashCluster, slot: number, action: 'begin' | 'look'): Promise<SlotCompaction> {
  const payload = compactRequest.encode({ slot, action });
  return compactAnswer.decode(await cluster.client.call({ node, method: nodeCalls.compact, payload, timeoutMs }));
}

function slotsOf(cluster: CrashCluster): number[] {
  return cluster.map.primaryBySlot.flatMap((primary, slot) => (primary === node ? [slot] : []));
}

/** Has all slots of the node compacted, over and over, until it ends. */
async function compactUntilEnd(cluster: CrashCluster): Promise<void> {
  while (cluster.isRunning(node)) {
    for (const slot of slotsOf(cluster)) {
      try {
        await ask(cluster, slot, 'begin');
      } catch (thrown) {
        if (!(thrown instanceof DataPlaneError)) throw thrown;
        // A call that fails at once must not keep the exit from being seen.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }
}

async function startAndDie(cluster: CrashCluster, at: CrashAt): Promise<void> {
  await cluster.start(node, at);
  const compacting = compactUntilEnd(cluster);
  expect(await cluster.exitOf(node)).toEqual({ code: null, signal: 'SIGKILL' });
  await compacting;
}

async function crashWhileCompacting(point: CrashPoint, seed: number): Promise<void> {
  await using cluster = await CrashCluster.make();
  cluster.serveThreads = 2;
  const entries = storyOf(seed, 200);
  await cluster.start('b');
  const appended = appendAll(cluster, entries);
  for (const nth of [1, 3]) await startAndDie(cluster, { point, nth });
  await cluster.start(node);
  await appended;
  for (const slot of slotsOf(cluster)) {
    await ask(cluster, slot, 'begin');
    await until(async () => ((await ask(cluster, slot, 'look')).phase === 'done' ? true : undefined));
  }
  await expectMeaning(cluster, entries);
  for (const slot of slotsOf(cluster))
    expect(existsSync(join(slotPath(cluster.dataDirOf(node), slot), 'compacting'))).toBe(false);
}

describe('kill -9 of a node that compacts', () => {
  for (const point of compactionCrashPoints) {
    it(`at ${point} loses nothing and counts nothing twice`, async () => {
      await crashWhileCompacting(point, 17);
    }, 240_000);
  }
});
