/** Copies of slots are compared as they are on disk, and one that was changed begins again. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { slotPath } from '../../src/node/data-folder.ts';
import { CopyComparison } from '../../src/router/copy-comparison.ts';
import type { ServiceRouter } from '../../src/router/plan/service-router.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { type CopyVerdict, copyVerdict } from '../../src/wire/copy-verdict.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { differenceLines, noRowsCompared, type RowComparison } from '../../src/wire/row-comparison.ts';
import { rebuildRequest, type VerifiedCopy, verifyRequest } from '../../src/wire/slot-verify.ts';
import { NatsServer } from '../support/nats-server.ts';
import { ReplicatedCluster } from '../support/replicated-cluster.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { until } from '../support/until.ts';

const testMsMax = 240_000;
const waitMsMax = 100_000;
const slots = 2;
const text = 'a text that is only here';

const resources = stopAfterEach();

async function startAll(replicas: readonly string[]): Promise<{ cluster: ReplicatedCluster; router: ServiceRouter }> {
  const server = await NatsServer.start();
  resources.use(server);
  const shards = [{ primary: 'n0', replicas, slots: ['0-1'] }];
  const cluster = await ReplicatedCluster.start(server, slots, ['n0', 'n1', 'n2'], shards);
  resources.use(cluster);
  const router = cluster.makeRouter();
  resources.use(router);
  return { cluster, router };
}

async function compare(router: ServiceRouter, slot: number): Promise<CopyVerdict & { rows: RowComparison }> {
  const comparison = new CopyComparison(() => router.fanOut, systemClock);
  const begun = await comparison.begin(slot);
  let copies: readonly VerifiedCopy[] = begun;
  await until(async () => {
    const looked = await comparison.look(slot, 'look');
    copies = begun.map((copy) => (copy.problem === '' ? looked.find(({ node }) => node === copy.node)! : copy));
    return copies.every(({ digest, problem }) => digest !== null || problem !== '');
  }, waitMsMax);
  const verdict = copyVerdict(slot, copies);
  let rows: RowComparison | null = null;
  if (verdict.result !== 'unknown')
    await until(async () => {
      rows = await comparison.rows(slot);
      return rows !== null;
    }, waitMsMax);
  await comparison.look(slot, 'end');
  return { ...verdict, rows: rows ?? noRowsCompared };
}

/** Changes one letter of what a node that is stopped has on disk. */
function damage(cluster: ReplicatedCluster, node: string, slot: number): void {
  const path = join(slotPath(cluster.dataDirOf(node), slot), 'data.mdb');
  const bytes = readFileSync(path);
  let count = 0;
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1), count++) bytes[at] = 98;
  expect(count).toBeGreaterThan(0);
  writeFileSync(path, bytes);
}

it(
  'a copy that was changed on disk is named, and equal after it has begun again',
  async () => {
    const { cluster, router } = await startAll(['n1', 'n2']);
    const actor = cluster.didIn(1, 1);
    const fans = cluster.fansFrom(10, 8);
    await cluster.follow(fans, actor, { note: text });
    await cluster.haveFollowed(fans, actor);
    await cluster.settle();
    expect(await compare(router, 0)).toMatchObject({ result: 'equal', nodes: ['n0', 'n1', 'n2'] });
    await cluster.stopNode('n2');
    damage(cluster, 'n2', 0);
    await cluster.startNode('n2');
    await cluster.settle();
    const found = await compare(router, 0);
    expect(found).toMatchObject({
      result: 'different',
      nodes: ['n0', 'n1'],
      odd: ['n2'],
      todo: ['skyshard replica rebuild n2 0'],
    });
    const follower = fans.find((fan) => slotOf(fan, slots) === 0)!;
    expect(differenceLines(found.rows)).toContain(
      `record of at://${follower}/app.bsky.graph.follow/f: n0, n1 and n2 differ`,
    );
    expect(await compare(router, 1)).toMatchObject({ result: 'equal' });
    const order = (node: string, isDryRun: boolean): Promise<Uint8Array> => {
      const payload = rebuildRequest.encode({ slot: 0, isDryRun });
      return cluster.client.call({ node, method: nodeCalls.rebuild, payload, timeoutMs: 10_000 });
    };
    await expect(order('n0', false)).rejects.toThrow('node n0 is the primary of slot 0, not a replica');
    await order('n2', true);
    await order('n2', false);
    await until(() => cluster.notes.some((note) => /^n2: slots begin again from copies/.test(note)), waitMsMax);
    await until(async () => (await compare(router, 0)).nodes.includes('n2'), waitMsMax);
    await cluster.settle();
    expect(await compare(router, 0)).toMatchObject({ result: 'equal', nodes: ['n0', 'n1', 'n2'] });
  },
  testMsMax,
);

it(
  'copies are compared at one seq while writes go on, and those that are away are left out',
  async () => {
    const { cluster, router } = await startAll(['n1', 'n2']);
    const actor = cluster.didIn(0, 1);
    let fans = cluster.fansFrom(10, 8);
    await cluster.follow(fans, actor);
    await cluster.haveFollowed(fans, actor);
    await cluster.settle();
    let isDone = false;
    const writing = async (): Promise<void> => {
      for (let number = 100; !isDone; number += 10) {
        const more = cluster.fansFrom(number, 2);
        await cluster.follow(more, actor);
        fans = [...fans, ...more];
      }
    };
    const written = writing();
    const verdicts = [await compare(router, 0), await compare(router, 1)];
    isDone = true;
    await written;
    for (const verdict of verdicts) expect(verdict).toMatchObject({ result: 'equal' });
    await cluster.haveFollowed(fans, actor);
    await cluster.stopNode('n2');
    expect(await compare(router, 0)).toMatchObject({ result: 'equal', nodes: ['n0', 'n1'] });
    await cluster.stopNode('n1');
    expect(await compare(router, 0)).toMatchObject({ result: 'unknown', nodes: ['n0'] });
  },
  testMsMax,
);

it(
  'a node reads one slot through at a time, and none that it does not have',
  async () => {
    const { cluster } = await startAll(['n1']);
    await cluster.settle();
    const ask = (node: string, slot: number, action: 'open' | 'look' | 'end'): Promise<Uint8Array> => {
      const payload = verifyRequest.encode({ slot, action });
      return cluster.client.call({ node, method: nodeCalls.verify, payload, timeoutMs: 30_000 });
    };
    await ask('n1', 0, 'open');
    await expect(ask('n1', 1, 'open')).rejects.toThrow('this node reads slot 0 through, and one at a time');
    await ask('n1', 0, 'end');
    await expect(ask('n1', 0, 'look')).rejects.toThrow('the reading of slot 0 has ended');
    await ask('n1', 1, 'open');
    await expect(ask('n2', 0, 'open')).rejects.toMatchObject({ code: 'WrongEpoch' });
  },
  testMsMax,
);
