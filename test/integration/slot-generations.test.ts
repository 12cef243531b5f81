/** Nodes whose folders are lost between two starts: refused, begun again, and sent what is owed. */
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import { probedEdges } from '../../src/atproto/edge-kind.ts';
import { DataPlaneError } from '../../src/base/data-plane-error.ts';
import type { CommitEntry } from '../../src/entry/entry.ts';
import { decodeOutcomes, encodeAppend } from '../../src/log/chunk.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { slotPath } from '../../src/node/data-folder.ts';
import { type RunningNode, startNode } from '../../src/node/node-process.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import { parseShardMap, type ShardMap } from '../../src/shardmap/shard-map.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { encodeProbes } from '../../src/wire/edge-messages.ts';
import { encodeFollowsOf } from '../../src/wire/follows-messages.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import { nodeStatusMessage, type SlotStatus } from '../../src/wire/node-status.ts';
import { encodeThread } from '../../src/wire/thread-messages.ts';
import { freePort } from '../support/crash-cluster.ts';
import { recordOp } from '../support/record-op.ts';
import { bytesOfChunk } from '../support/slot-cluster.ts';
import { until } from '../support/until.ts';

const slots = 4;
const timeMs = Date.UTC(2025, 0, 1);

function didIn(slot: number, from: number): string {
  for (let number = from; ; number++) {
    const did = `did:web:n${number}.example`;
    if (slotOf(did, slots) === slot) return did;
  }
}

/** Nodes n0 and n1 of this process, each with two slots. */
class TwoNodes implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'skyshard-generations-'));
  readonly mapJson: object;
  readonly map: ShardMap;
  readonly client: NodeClient;
  readonly log: RemoteLog;
  readonly #running = new Map<string, RunningNode>();

  private constructor(ports: readonly [number, number]) {
    const [n0, n1] = ports.map((port) => ({ host: '127.0.0.1', port }));
    this.mapJson = {
      epoch: 1,
      slots,
      nodes: { n0, n1 },
      shards: [
        { name: 's0', primary: 'n0', slots: ['0-1'] },
        { name: 's1', primary: 'n1', slots: ['2-3'] },
      ],
    };
    this.map = parseShardMap(this.mapJson);
    this.client = new NodeClient({ map: this.map });
    this.log = new RemoteLog({ caller: this.client, map: () => this.map, lingerMs: 1 });
  }

  static async make(): Promise<TwoNodes> {
    return new TwoNodes([await freePort(), await freePort()]);
  }

  dataDir(name: string): string {
    return join(this.folder, name);
  }

  async start(name: string, beginAgain: readonly number[] = [], registry = new Registry()): Promise<RunningNode> {
    const node = await startNode({
      name,
      mapJson: this.mapJson,
      dataDir: this.dataDir(name),
      host: '127.0.0.1',
      port: this.map.nodes.get(name)!.port,
      beginAgain,
      slotMapBytes: 2 ** 28,
      lingerMs: 1,
      applyThreads: 1,
      prefetchReads: false,
      recordCacheMib: 1,
      adminToken: null,
      clusterToken: null,
      registry,
    });
    this.#running.set(name, node);
    return node;
  }

  async stop(name: string): Promise<void> {
    await this.#running.get(name)?.close();
    this.#running.delete(name);
  }

  async isReady(name: string): Promise<boolean> {
    return (await fetch(`http://127.0.0.1:${this.map.nodes.get(name)!.port}/readyz`)).ok;
  }

  async statusOf(name: string): Promise<readonly SlotStatus[]> {
    const call = { node: name, method: nodeCalls.status, payload: Buffer.alloc(0), timeoutMs: 10_000 };
    return nodeStatusMessage.decode(await this.client.call(call)).slots;
  }

  /** Each fan follows the actor. */
  async follow(fans: readonly string[], actor: string): Promise<void> {
    const entries = fans.map((did): CommitEntry => {
      const ops = [recordOp({ collection: 'app.bsky.graph.follow', rkey: 'f' }, { subject: actor })];
      return { kind: 'commit', did, rev: '3k2222222222a', since: null, eventMs: timeMs, ops };
    });
    await Promise.all(entries.map((entry) => this.log.append(entry.did, entry)));
  }

  async followersOf(actor: string): Promise<number> {
    const node = this.map.primaryBySlot[slotOf(actor, slots)]!;
    const payload = encodeMessage('GetFollowersRequest', { actorDid: actor, limit: 100 });
    const call = { node, method: 'bsky.GetFollowers', payload, timeoutMs: 10_000 };
    const answer = await this.client.call(call).catch(() => Buffer.alloc(0));
    return decodeMessage('GetFollowersResponse', answer).followers.length;
  }

  /** Returns the error of asking for an actor, or null. */
  problemOf(did: string): Promise<DataPlaneError | null> {
    return this.problemOfCall(did, 'bsky.GetActors', encodeMessage('GetActorsRequest', { dids: [did] }));
  }

  /** Returns the error of a call of the node that serves an actor, or null. */
  async problemOfCall(did: string, method: string, payload: Uint8Array): Promise<DataPlaneError | null> {
    const node = this.map.primaryBySlot[slotOf(did, slots)]!;
    const call = { node, method, payload, timeoutMs: 10_000 };
    return await this.client.call(call).then(
      () => null,
      (thrown: DataPlaneError) => thrown,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log[Symbol.asyncDispose]();
    await this.client[Symbol.asyncDispose]();
    for (const name of this.#running.keys()) await this.stop(name);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const probeBits = probedEdges.reduce((bits, { probeBit }) => bits | probeBit, 0);

/** What is asked about an actor that others follow, and of which nothing else was ever there. */
function callsAbout(did: string, other: string): [string, Uint8Array][] {
  const uri = `at://${did}/app.bsky.feed.post/x`;
  const list = Buffer.from(did + other);
  const ranges = { source: list, starts: [0, did.length], ends: [did.length, list.length] };
  return [
    ['bsky.GetLatestRev', encodeMessage('GetLatestRevRequest', { actorDid: did })],
    ['bsky.GetActorTakedown', encodeMessage('GetActorTakedownRequest', { did })],
    ['bsky.GetBlobTakedown', encodeMessage('GetBlobTakedownRequest', { did, cid: 'c' })],
    ['bsky.GetRecordTakedown', encodeMessage('GetRecordTakedownRequest', { recordUri: uri })],
    ['bsky.GetNotificationSeen', encodeMessage('GetNotificationSeenRequest', { actorDid: did })],
    ['bsky.GetFollows', encodeMessage('GetFollowsRequest', { actorDid: did, limit: 10 })],
    ['bsky.GetBlocks', encodeMessage('GetBlocksRequest', { actorDid: did, limit: 10 })],
    ['bsky.GetAuthorFeed', encodeMessage('GetAuthorFeedRequest', { actorDid: did, limit: 10 })],
    ['bsky.GetLikesBySubject', encodeMessage('GetLikesBySubjectRequest', { subject: { uri }, limit: 10 })],
    [
      'bsky.GetActorFollowsActors',
      encodeMessage('GetActorFollowsActorsRequest', { actorDid: did, targetDids: [other] }),
    ],
    [nodeCalls.probeEdges, encodeProbes(ranges, [0, 1], [{ owner: 0, kinds: probeBits, subject: 1 }])],
    [nodeCalls.followsOf, encodeFollowsOf({ did, after: '', limit: 10 })],
    [nodeCalls.thread, encodeThread({ root: uri, anchor: uri, above: 10, below: 10 })],
  ];
}

let nodes: TwoNodes;

afterEach(() => nodes[Symbol.asyncDispose]());

const actor = didIn(2, 0);
/** Of a lost slot, whose follow nobody can bring back; the other one is elsewhere. */
const [lostFan, other] = [didIn(2, 700), didIn(0, 700)];
const fans = Array.from({ length: 10 }, (_unused, index) => didIn(index % 2, 100 * (index + 1)));

async function startWithFollowers(): Promise<void> {
  nodes = await TwoNodes.make();
  await Promise.all([nodes.start('n0'), nodes.start('n1')]);
  await nodes.follow(fans, actor);
  await nodes.follow([lostFan], other);
  await until(async () => (await nodes.followersOf(actor)) === fans.length || undefined, 20_000);
  await until(async () => (await nodes.followersOf(other)) === 1 || undefined, 20_000);
  // Acknowledged too, so that the outbox no longer has what is lost next.
  await until(async () => (await nodes.statusOf('n0')).every(({ outbox }) => outbox === 0) || undefined, 20_000);
}

describe('a node', () => {
  it('whose whole folder is gone refuses to go on, since the others know better', async () => {
    await startWithFollowers();
    await nodes.stop('n1');
    rmSync(nodes.dataDir('n1'), { recursive: true });
    const node = await nodes.start('n1');
    await expect(node.failed).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringMatching(/slot 2 is new here, and node n0 knows an earlier generation of it/),
      hint: expect.stringContaining('--begin-again 2'),
    });
  }, 60_000);

  it('of which one slot is gone does not start, naming it', async () => {
    await startWithFollowers();
    await nodes.stop('n1');
    rmSync(slotPath(nodes.dataDir('n1'), 3), { recursive: true });
    await expect(nodes.start('n1')).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringContaining('has held slots that are missing: 3'),
    });
  }, 60_000);

  it('whose folder holds another slot does not start, saying what to do', async () => {
    await startWithFollowers();
    await nodes.stop('n1');
    const dataDir = nodes.dataDir('n1');
    rmSync(slotPath(dataDir, 3), { recursive: true });
    cpSync(slotPath(dataDir, 2), slotPath(dataDir, 3), { recursive: true });
    const thrown = await nodes.start('n1').catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(DataPlaneError);
    expect(thrown).toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringContaining('holds slot 2 of 4 slots'),
      hint: expect.stringContaining('--begin-again 3'),
    });
  }, 60_000);

  it('that begins again is sent all that others owe it, and waits to be repaired', async () => {
    await startWithFollowers();
    await nodes.stop('n1');
    rmSync(nodes.dataDir('n1'), { recursive: true });
    const registry = new Registry();
    await nodes.start('n1', [2, 3], registry);
    await until(async () => (await nodes.followersOf(actor)) === fans.length || undefined, 20_000);
    const statuses = await nodes.statusOf('n1');
    expect(statuses.map(({ condition }) => condition)).toEqual(['incomplete', 'incomplete']);
    expect(await registry.metrics()).toContain('skyshard_slots_incomplete 2');
    // While it has entries to apply, which are old by their times, it is unready too.
    await until(() => nodes.isReady('n0'), 20_000);
    expect(await nodes.isReady('n1')).toBe(false);
    await until(async () => (await nodes.statusOf('n0')).every(({ outbox }) => outbox === 0) || undefined, 20_000);
    expect((await nodes.statusOf('n0')).map(({ condition }) => condition)).toEqual(['complete', 'complete']);
    // What it does not have may have been there: it does not say that it is not.
    const unknown = { code: 'Unavailable', ownHint: expect.stringContaining('skyshard repair slot 2') };
    expect(await nodes.problemOf(didIn(2, 900))).toMatchObject(unknown);
    expect(await nodes.problemOf(actor)).toMatchObject(unknown);
    expect(await nodes.problemOf(didIn(0, 900))).toBe(null);
    for (const [method, payload] of callsAbout(actor, other)) {
      expect(await nodes.problemOfCall(actor, method, payload), method).toMatchObject(unknown);
    }
    // What it cannot restate stays with others until it is complete, then goes.
    expect(await nodes.followersOf(other)).toBe(1);
    await nodes.log.append(lostFan, { kind: 'completed' });
    await until(async () => (await nodes.followersOf(other)) === 0 || undefined, 20_000);
    expect(await nodes.followersOf(actor)).toBe(fans.length);
    for (const [method, payload] of callsAbout(actor, other)) {
      expect(await nodes.problemOfCall(actor, method, payload), method).toBe(null);
    }
  }, 60_000);

  it('that got an older copy back is found out at its start, while nothing is sent', async () => {
    await startWithFollowers();
    await nodes.stop('n1');
    const copy = `${nodes.dataDir('n1')}-copy`;
    cpSync(nodes.dataDir('n1'), copy, { recursive: true });
    await nodes.start('n1');
    const late = didIn(1, 5_000);
    await nodes.follow([late], actor);
    await until(async () => (await nodes.followersOf(actor)) === fans.length + 1 || undefined, 20_000);
    await until(async () => (await nodes.statusOf('n0')).every(({ outbox }) => outbox === 0) || undefined, 20_000);
    await nodes.stop('n1');
    rmSync(nodes.dataDir('n1'), { recursive: true });
    renameSync(copy, nodes.dataDir('n1'));
    await nodes.start('n1');
    await until(async () => (await nodes.followersOf(actor)) === fans.length + 1 || undefined, 20_000);
    await until(async () => (await nodes.statusOf('n1'))[0]!.condition === 'incomplete' || undefined, 20_000);
  }, 60_000);

  it('that is new takes nothing from outside before all other nodes were heard', async () => {
    nodes = await TwoNodes.make();
    await nodes.start('n1');
    const followed = nodes.follow([didIn(2, 500)], didIn(3, 500));
    expect((await nodes.statusOf('n1')).map(({ condition }) => condition)).toEqual(['new', 'new']);
    expect(await nodes.isReady('n1')).toBe(false);
    // Acknowledged, they would be lost to the folder that may yet be put back.
    const known = { session: 0, mark: 0 };
    const origin = { slot: 0, generation: 1, session: 1, previousMark: 0, known, targetSlots: slots };
    const effects = { slot: 2, origin, items: [], marks: [] };
    const payload = encodeAppend([bytesOfChunk(effects)]);
    const answer = await nodes.client.call({ node: 'n1', method: nodeCalls.append, payload, timeoutMs: 10_000 });
    expect(decodeOutcomes(answer, 1)).toMatchObject([{ status: 'refused', code: 'Unavailable' }]);
    await nodes.start('n0');
    await followed;
    expect((await nodes.statusOf('n1')).map(({ condition }) => condition)).toEqual(['complete', 'complete']);
    // It looks at its slots once a second.
    await until(() => nodes.isReady('n1'));
  }, 60_000);
});
