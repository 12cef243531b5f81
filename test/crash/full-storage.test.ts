/** A node whose map or disk is full reports it, serves reads, and loses nothing. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { graphEntries } from '../../bench/graph-output.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { freeBytesMin } from '../../src/storage/disk-room.ts';
import { decodeTexts, encodeTexts } from '../../src/wire/message.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import type { OutsideEntry } from '../simulation/history.ts';
import { CrashCluster } from '../support/crash-cluster.ts';
import { appendAll, expectMeaning } from '../support/crash-story.ts';
import { jsonOfOp } from '../support/record-op.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';

const mebibyte = 2 ** 20;

/** Reads the root of the first post of a node, which is stored. */
async function expectReads(cluster: CrashCluster, node: string, entries: readonly OutsideEntry[]): Promise<void> {
  const uris = entries.flatMap((entry) => {
    if (entry.kind !== 'commit' || cluster.map.primaryBySlot[slotOf(entry.did, cluster.map.slots)] !== node) return [];
    return entry.ops.flatMap((op) => {
      const { action, collection, rkey } = op;
      const isPost = action === 'create' && collection === 'app.bsky.feed.post';
      const isThreadStart = isPost && !jsonOfOp(op).includes('"reply"');
      return isThreadStart ? [`at://${entry.did}/${collection}/${rkey}`] : [];
    });
  });
  const payload = encodeTexts(uris.slice(0, 50));
  const roots = decodeTexts(
    await cluster.client.call({ node, method: nodeCalls.postRoots, payload, timeoutMs: 5_000 }),
  );
  expect(roots.filter((root) => root !== '').length).toBeGreaterThan(5);
}

describe('a node without room', () => {
  it('reports it, serves reads, and loses nothing once its maps are larger', async () => {
    await using cluster = await CrashCluster.make();
    const entries = [...graphEntries({ seed: 31, records: 24_000 })];
    cluster.slotMapBytes = freeBytesMin + mebibyte;
    await Promise.all([cluster.start('a'), cluster.start('b')]);
    const appended = appendAll(cluster, entries);
    await until(() => cluster.isFull('a'), 60_000);
    await until(() => cluster.retries.some((retry) => retry.includes('StorageFull')));
    await expectReads(cluster, 'a', entries);
    await Promise.all([cluster.stop('a', 'SIGTERM'), cluster.stop('b', 'SIGTERM')]);
    cluster.slotMapBytes = 2 ** 28;
    await Promise.all([cluster.start('a'), cluster.start('b')]);
    await appended;
    await expectMeaning(cluster, entries);
  }, 300_000);

  it('resumes by itself once its disk has room again', async (context) => {
    await using cluster = await CrashCluster.make();
    const dataDir = cluster.dataDirOf('a');
    mkdirSync(dataDir, { recursive: true });
    const problem = mountSmallDisk(dataDir, 200);
    if (problem !== null) return context.skip(problem);
    try {
      const entries = [...graphEntries({ seed: 32, records: 3_000 })];
      await Promise.all([cluster.start('a'), cluster.start('b')]);
      await appendAll(cluster, entries.slice(0, 1_000));
      writeFileSync(join(dataDir, 'filler'), Buffer.alloc(175 * mebibyte));
      const appended = appendAll(cluster, entries.slice(1_000));
      await until(() => cluster.isFull('a'), 60_000);
      await expectReads(cluster, 'a', entries);
      rmSync(join(dataDir, 'filler'));
      await appended;
      expect(await cluster.isFull('a')).toBe(false);
      await expectMeaning(cluster, entries);
    } finally {
      await cluster.stop('a', 'SIGKILL');
      execFileSync('umount', ['-l', dataDir]);
    }
  }, 300_000);
});
