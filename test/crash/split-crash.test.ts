/** A node killed at any step of a split, while entries come in, keeps every slot whole. */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type CrashPoint, splitCrashPoints } from '../../src/base/crash-point.ts';
import { slotPath } from '../../src/node/data-folder.ts';
import { beginDoubling, endDoubling } from '../../src/shardmap/slot-doubling.ts';
import { CrashCluster } from '../support/crash-cluster.ts';
import { appendAll, expectMeaning, storyOf } from '../support/crash-story.ts';
import { haveDoubled } from '../support/doubling-status.ts';
import { NatsServer } from '../support/nats-server.ts';
import { until } from '../support/until.ts';

const node = 'a';
const waitMsMax = 120_000;

async function crashWhileSplitting(server: NatsServer | null, point: CrashPoint, seed: number): Promise<void> {
  await using cluster = await CrashCluster.make(4, server?.url);
  cluster.serveThreads = 2;
  const entries = storyOf(seed, 200);
  await Promise.all([cluster.start('b'), cluster.start(node, { point, nth: 1 })]);
  const appended = appendAll(cluster, entries);
  await cluster.pushMap(beginDoubling(cluster.mapJson, cluster.map));
  expect(await cluster.exitOf(node)).toEqual({ code: null, signal: 'SIGKILL' });
  await cluster.start(node, { point, nth: 1 });
  expect(await cluster.exitOf(node)).toEqual({ code: null, signal: 'SIGKILL' });
  await cluster.start(node);
  await appended;
  await until(() => haveDoubled(cluster.map, (name) => cluster.status(name)), waitMsMax);
  await cluster.pushMap(endDoubling(cluster.mapJson, cluster.map));
  expect(cluster.map.slots).toBe(8);
  // A refused chunk went on to where its entries belong.
  await expectMeaning(cluster, entries);
  for (const [slot, primary] of cluster.map.primaryBySlot.entries()) {
    const path = slotPath(cluster.dataDirOf(primary), slot);
    expect([existsSync(path), existsSync(`${path}-unfinished`)]).toEqual([true, false]);
  }
}

describe('kill -9 of a node whose slots split', () => {
  for (const point of splitCrashPoints) {
    it(`at ${point} loses nothing and counts nothing twice`, async () => {
      await crashWhileSplitting(null, point, 23);
    }, 240_000);

    it(`at ${point}, with logs on a server, does neither`, async () => {
      await using server = await NatsServer.start();
      await crashWhileSplitting(server, point, 29);
    }, 240_000);
  }
});
