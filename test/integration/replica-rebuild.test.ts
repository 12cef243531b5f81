/** Replicas that begin again from a copy of another node, and copies that are refused. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { CopyThreads } from '../../src/node/copy-task.ts';
import { fetchingPath, SnapshotFetch } from '../../src/node/snapshot-fetch.ts';
import type { NodeCall, NodeCaller } from '../../src/wire/node-caller.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { type SnapshotManifest, snapshotAnswer } from '../../src/wire/slot-snapshot.ts';
import { dropLog } from '../support/drop-log.ts';
import { makeMemoryFolder } from '../support/memory-folder.ts';
import { NatsServer } from '../support/nats-server.ts';
import { ReplicatedCluster, type ShardOfTest } from '../support/replicated-cluster.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { until } from '../support/until.ts';

const testMsMax = 240_000;
const waitMsMax = 100_000;
const slots = 2;

const resources = stopAfterEach();

async function startAll(
  shard: Omit<ShardOfTest, 'slots'>,
): Promise<{ server: NatsServer; cluster: ReplicatedCluster }> {
  const server = await NatsServer.start();
  resources.use(server);
  const cluster = await ReplicatedCluster.start(server, slots, ['n0', 'n1', 'n2'], [{ ...shard, slots: ['0-1'] }]);
  resources.use(cluster);
  return { server, cluster };
}

/** Writes before and after n2 stops. Returns the actor whom all follow, and these. */
async function followWhileAway(cluster: ReplicatedCluster): Promise<{ actor: string; fans: readonly string[] }> {
  const actor = cluster.didIn(0, 1);
  const before = cluster.fansFrom(10, 8);
  await cluster.follow(before, actor);
  await cluster.haveFollowed(before, actor);
  await cluster.settle();
  await cluster.stopNode('n2');
  const meanwhile = cluster.fansFrom(100, 8);
  await cluster.follow(meanwhile, actor);
  const fans = [...before, ...meanwhile];
  await cluster.haveFollowed(fans, actor);
  await cluster.settle();
  return { actor, fans };
}

describe('a replica', () => {
  it(
    'whose log has lost what it needs next begins again from a copy',
    async () => {
      const { server, cluster } = await startAll({ primary: 'n0', replicas: ['n1', 'n2'] });
      const { actor, fans } = await followWhileAway(cluster);
      await dropLog(server);
      await cluster.startNode('n2');
      await until(() => cluster.notes.some((note) => /^n2: slots begin again from copies/.test(note)), waitMsMax);
      for (let slot = 0; slot < slots; slot++) await cluster.expectSame(slot);
      const later = cluster.fansFrom(200, 8);
      await cluster.follow(later, actor);
      await cluster.haveFollowed([...fans, ...later], actor);
      for (let slot = 0; slot < slots; slot++) await cluster.expectSame(slot);
      expect(existsSync(join(cluster.dataDirOf('n2'), 'fetching', '00000'))).toBe(false);
    },
    testMsMax,
  );

  // Both at once: they mostly wait for what a primary does six times a minute.
  it.concurrent.each([
    ['for room', { bytesMax: 2 ** 21 }, 1_200, 'the log is nearly full'],
    ['by age', { ageMsMax: 1_000 }, 10, 'what it lacks is too old'],
  ] as const)(
    'that its primary leaves behind %s begins again from a copy, and no other does',
    async (_why, limits, textLength, said) => {
      await using server = await NatsServer.start();
      const nodes = ['n0', 'n1', 'n2'];
      const shard = { primary: 'n0', replicas: ['n1', 'n2'], slots: ['0-1'] };
      await using cluster = await ReplicatedCluster.make(server, slots, nodes, [shard], limits);
      await Promise.all(nodes.map((node) => cluster.startNode(node)));
      const actor = cluster.didIn(0, 1);
      const before = cluster.fansFrom(10, 8);
      await cluster.follow(before, actor);
      await cluster.haveFollowed(before, actor);
      await cluster.settle();
      await cluster.stopNode('n2');
      const meanwhile = Array.from({ length: 650 }, (_unused, index) => cluster.didIn(0, 1_000 + index));
      await cluster.follow(meanwhile, actor, { note: 'x'.repeat(textLength) });
      await until(() => cluster.notes.includes(`n0: replica n2 of slot 0 is left behind: ${said}`), waitMsMax);
      const [slot] = await cluster.statusOf('n0');
      expect(slot).toMatchObject({ slot: 0, leftBehind: ['n2'], leftBehindCount: 1 });
      const metrics = (): Promise<string> => cluster.registries.get('n0')!.metrics();
      expect(await metrics()).toMatch(/^skyshard_replicas_left_behind [12]$/m);
      await cluster.startNode('n2');
      await until(() => cluster.notes.some((note) => /^n2: slots begin again from copies/.test(note)), waitMsMax);
      await until(async () => /^skyshard_replicas_left_behind 0$/m.test(await metrics()), waitMsMax);
      expect(await metrics()).toMatch(/^skyshard_replicas_left_behind_total [12]$/m);
      await cluster.haveFollowed([...before, ...meanwhile], actor);
      for (let slot = 0; slot < slots; slot++) await cluster.expectSame(slot);
      expect(cluster.notes.filter((note) => /replica n1 .* left behind|^n1: slots begin/.test(note))).toEqual([]);
    },
    testMsMax,
  );

  it(
    'that the map gains later begins from a copy, while writes go on',
    async () => {
      const { server, cluster } = await startAll({ primary: 'n0', replicas: ['n1'] });
      const actor = cluster.didIn(1, 1);
      const before = cluster.fansFrom(10, 8);
      await cluster.follow(before, actor);
      await cluster.haveFollowed(before, actor);
      await cluster.settle();
      await dropLog(server);
      const meanwhile = cluster.fansFrom(100, 8);
      await Promise.all([
        cluster.push(([shard]) => [{ ...shard!, replicas: ['n1', 'n2'] }]),
        cluster.follow(meanwhile, actor),
      ]);
      await until(() => cluster.notes.some((note) => /^n2: slots begin again from copies/.test(note)), waitMsMax);
      await cluster.haveFollowed([...before, ...meanwhile], actor);
      for (let slot = 0; slot < slots; slot++) await cluster.expectSame(slot);
    },
    testMsMax,
  );
});

it(
  'a copy that is there does not wait for one that nobody can give',
  async () => {
    const server = await NatsServer.start();
    resources.use(server);
    const shards = [
      { primary: 'n0', replicas: ['n2'], slots: ['0'] },
      { primary: 'n1', replicas: ['n2'], slots: ['1'] },
    ];
    const cluster = await ReplicatedCluster.start(server, slots, ['n0', 'n1', 'n2'], shards);
    resources.use(cluster);
    await followWhileAway(cluster);
    await dropLog(server);
    await cluster.stopNode('n1');
    await cluster.startNode('n2');
    const hasBegunAgain = (count: number): boolean =>
      cluster.notes.filter((note) => /^n2: slots begin again from copies/.test(note)).length === count;
    await until(() => hasBegunAgain(1), waitMsMax);
    await until(async () => {
      const [slot] = await cluster.statusOf('n2').catch(() => []);
      return slot?.slot === 0 && slot.log === null && slot.behindMs === 0;
    }, waitMsMax);
    expect(await cluster.digestOf('n2', 0)).toEqual(await cluster.digestOf('n0', 0));
    await cluster.startNode('n1');
    await until(() => hasBegunAgain(2), waitMsMax);
    for (let slot = 0; slot < slots; slot++) await cluster.expectSame(slot);
  },
  testMsMax,
);

type Tamper = {
  readonly manifest?: (said: SnapshotManifest) => SnapshotManifest;
  readonly part?: (bytes: Uint8Array, offset: number) => Uint8Array;
};

/** Calls nodes, and changes what they answer of copies. */
function tampering(caller: NodeCaller, { manifest = (said) => said, part = (bytes) => bytes }: Tamper): NodeCaller {
  let offset = 0;
  return {
    call: async (call: NodeCall) => {
      const answer = await caller.call(call);
      if (call.method === nodeCalls.snapshot) {
        const { id, manifest: said } = snapshotAnswer.decode(answer);
        return snapshotAnswer.encode({ id, manifest: said === null ? null : manifest(said) });
      }
      if (call.method !== nodeCalls.snapshotPart) return answer;
      const changed = part(new Uint8Array(answer), offset);
      offset += answer.length;
      return changed;
    },
  };
}

describe('a copy of a slot', () => {
  it(
    'is refused when it is cut short, altered, or of something else, and nothing of it stays',
    async () => {
      const { cluster } = await startAll({ primary: 'n0', replicas: ['n1'] });
      await cluster.follow(cluster.fansFrom(10, 8), cluster.didIn(0, 1));
      await cluster.settle();
      const dataDir = makeMemoryFolder('skyshard-fetch-');
      await using copyThreads = new CopyThreads();
      const fetchWith = async (tamper: Tamper): Promise<SnapshotManifest> => {
        const caller = tampering(cluster.client, tamper);
        const { signal } = new AbortController();
        const options = { dataDir, slotMapBytes: 2 ** 28, caller, copyThreads, clock: systemClock, signal };
        const fetch = new SnapshotFetch(options);
        return fetch.fetch({ node: 'n0', slot: 0, map: cluster.map }, () => {});
      };
      const flipped = (bytes: Uint8Array): Uint8Array => {
        bytes[bytes.length >> 1]! ^= 1;
        return bytes;
      };
      const refused: readonly [Tamper, string][] = [
        [{ part: () => new Uint8Array(0) }, 'it ends at 0 of'],
        [{ part: (bytes, offset) => (offset > 0 ? new Uint8Array(0) : bytes.subarray(0, 100)) }, 'it ends at 100 of'],
        [{ part: flipped }, 'it differs in fileDigest'],
        [{ manifest: (said) => ({ ...said, stateDigest: '0'.repeat(64) }) }, 'it differs in stateDigest'],
        [{ manifest: (said) => ({ ...said, seq: said.seq + 1 }) }, 'it differs in seq'],
        [{ manifest: (said) => ({ ...said, slot: 1 }) }, 'it is of slot 1 of 2'],
        [{ manifest: (said) => ({ ...said, cluster: 'other' }) }, 'it is of cluster "other"'],
        [{ manifest: (said) => ({ ...said, format: 2 }) }, 'it has format 2, not 1'],
        [{ manifest: (said) => ({ ...said, rows: 1 }) }, 'its rows have version 1'],
      ];
      for (const [tamper, expected] of refused) {
        await expect(fetchWith(tamper), expected).rejects.toThrow(expected);
        expect(existsSync(fetchingPath(dataDir, 0)), expected).toBe(false);
      }
      const said = await fetchWith({});
      expect({ seq: said.seq, digest: said.stateDigest }).toEqual(await cluster.digestOf('n0', 0));
      expect(existsSync(join(cluster.dataDirOf('n0'), 'snapshots', 'none'))).toBe(false);
      rmSync(dataDir, { recursive: true, force: true });
    },
    testMsMax,
  );

  it(
    'is given of slots that are served, and one at a time',
    async () => {
      const { cluster } = await startAll({ primary: 'n0', replicas: ['n1'] });
      await cluster.settle();
      const dataDir = makeMemoryFolder('skyshard-fetch-');
      await using copyThreads = new CopyThreads();
      const { signal } = new AbortController();
      const from = { caller: cluster.client, copyThreads };
      const options = { dataDir, slotMapBytes: 2 ** 28, ...from, clock: systemClock, signal };
      const fetch = (node: string, slot: number, onProgress = () => {}): Promise<SnapshotManifest> =>
        new SnapshotFetch(options).fetch({ node, slot, map: cluster.map }, onProgress);
      await expect(fetch('n2', 0)).rejects.toMatchObject({ code: 'Unavailable' });
      // A replica serves a slot once it is heard to be close to its log.
      for (const slot of [0, 1]) await until(() => fetch('n1', slot).catch(() => false));
      let second: Promise<unknown> | undefined;
      await fetch('n1', 0, () => {
        second ??= fetch('n1', 1).catch((error: Error) => error.message);
      });
      expect(await second).toContain('this node copies slot 0, and one at a time');
      await fetch('n1', 1);
      rmSync(dataDir, { recursive: true, force: true });
    },
    testMsMax,
  );
});
