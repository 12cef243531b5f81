/** Two nodes and an appender whose log is on a NATS server: what is written, lost and regained. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import type { CommitEntry } from '../../src/entry/entry.ts';
import { JetStreamSender } from '../../src/log/jetstream-sender.ts';
import type { LogServer } from '../../src/log/log-server.ts';
import { LogSession, type StreamUse } from '../../src/log/log-session.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { type RunningNode, startNode } from '../../src/node/node-process.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import { parseShardMap, type ShardMap } from '../../src/shardmap/shard-map.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import { type NodeStatus, nodeStatusMessage, type SlotStatus } from '../../src/wire/node-status.ts';
import { freePort } from '../support/crash-cluster.ts';
import { dropLog } from '../support/drop-log.ts';
import { NatsServer } from '../support/nats-server.ts';
import { recordOp } from '../support/record-op.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { until } from '../support/until.ts';

const slots = 4;
const timeMs = Date.UTC(2025, 0, 1);
const testMsMax = 240_000;
const waitMsMax = 100_000;

function didIn(slot: number, from: number): string {
  for (let number = from; ; number++) {
    const did = `did:web:n${number}.example`;
    if (slotOf(did, slots) === slot) return did;
  }
}

/** Nodes n0 and n1 of this process, each with two slots. */
class Cluster implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'skyshard-nats-log-'));
  readonly server: LogServer;
  readonly mapJson: object;
  readonly map: ShardMap;
  readonly client: NodeClient;
  readonly sender: JetStreamSender;
  readonly log: RemoteLog;
  readonly notes: string[] = [];
  readonly #running = new Map<string, RunningNode>();

  private constructor(url: string, bytesMax: number, ports: readonly [number, number]) {
    this.server = { urls: [url], credentialsFile: null, streams: { bytesMax, copies: 1 } };
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
    const map = (): ShardMap => this.map;
    this.client = new NodeClient({ map: this.map });
    const note = (message: string): void => void this.notes.push(message);
    this.sender = new JetStreamSender({ server: this.server, map, clock: systemClock, random: seededRandom(1), note });
    this.log = new RemoteLog({
      caller: this.client,
      map,
      lingerMs: 1,
      server: this.sender,
      onRetry: (_node, error) => note(error.message),
    });
  }

  static async start(server: NatsServer, streamBytesMax = 256 * 2 ** 20): Promise<Cluster> {
    const cluster = new Cluster(server.url, streamBytesMax, [await freePort(), await freePort()]);
    await Promise.all(['n0', 'n1'].map((name) => cluster.startNode(name)));
    return cluster;
  }

  async startNode(
    name: string,
    logServer: LogServer | null = this.server,
    beginAgain: readonly number[] = [],
  ): Promise<void> {
    const node = await startNode({
      name,
      mapJson: this.mapJson,
      dataDir: join(this.folder, name),
      host: '127.0.0.1',
      port: this.map.nodes.get(name)!.port,
      logServer,
      beginAgain,
      slotMapBytes: 2 ** 28,
      lingerMs: 1,
      applyThreads: 1,
      prefetchReads: false,
      recordCacheMib: 1,
      adminToken: null,
      clusterToken: null,
      registry: new Registry(),
      note: (message) => void this.notes.push(message),
    });
    this.#running.set(name, node);
  }

  async stopNode(name: string): Promise<void> {
    await this.#running.get(name)?.close();
    this.#running.delete(name);
  }

  nodeStatuses(): Promise<readonly NodeStatus[]> {
    return Promise.all(
      [...this.#running.keys()].map(async (node) => {
        const call = { node, method: nodeCalls.status, payload: Buffer.alloc(0), timeoutMs: 10_000 };
        return nodeStatusMessage.decode(await this.client.call(call));
      }),
    );
  }

  async statuses(): Promise<readonly SlotStatus[]> {
    return (await this.nodeStatuses()).flatMap(({ slots }) => slots);
  }

  /** Each fan follows the actor. Resolves once all of it is in the log. */
  async follow(fans: readonly string[], actor: string, more: object = {}): Promise<void> {
    const entries = fans.map((did): CommitEntry => {
      const ops = [recordOp({ collection: 'app.bsky.graph.follow', rkey: 'f' }, { subject: actor, ...more })];
      return { kind: 'commit', did, rev: '3k2222222222a', since: null, eventMs: timeMs, ops };
    });
    await Promise.all(entries.map((entry) => this.log.append(entry.did, entry)));
  }

  async #followers(actor: string): Promise<string[]> {
    const node = this.map.primaryBySlot[slotOf(actor, slots)]!;
    const payload = encodeMessage('GetFollowersRequest', { actorDid: actor, limit: 1_000 });
    const answer = await this.client.call({ node, method: 'bsky.GetFollowers', payload, timeoutMs: 10_000 });
    return decodeMessage('GetFollowersResponse', answer).followers.map(({ actorDid }) => actorDid);
  }

  /** Waits until an actor has these followers, once each. */
  async haveFollowed(fans: readonly string[], actor: string): Promise<void> {
    await until(async () => (await this.#followers(actor).catch(() => [])).length >= fans.length, waitMsMax);
    expect((await this.#followers(actor)).sort()).toEqual([...fans].sort());
  }

  /** Waits until all of the log is applied and all effects are delivered. */
  async settle(): Promise<void> {
    await until(async () => {
      const statuses = await this.statuses();
      return statuses.every(({ waiting, outbox, isContinuing }) => waiting === 0 && outbox === 0 && !isContinuing);
    }, waitMsMax);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log[Symbol.asyncDispose]();
    await this.sender[Symbol.asyncDispose]();
    for (const name of [...this.#running.keys()]) await this.stopNode(name);
    await this.client[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const resources = stopAfterEach();

async function startAll(streamBytesMax?: number): Promise<{ server: NatsServer; cluster: Cluster }> {
  const server = await NatsServer.start();
  resources.use(server);
  const cluster = await Cluster.start(server, streamBytesMax);
  resources.use(cluster);
  return { server, cluster };
}

/** Returns how full the stream of slot 0 is. */
async function useOf({ url }: NatsServer, map: ShardMap): Promise<StreamUse> {
  const session = await LogSession.open({ urls: [url], credentialsFile: null, streams: null }, url, map);
  const use = await session.useOf(0);
  await session.close();
  return use;
}

/** Returns DIDs of all slots. */
function fansFrom(number: number, count: number): string[] {
  return Array.from({ length: count }, (_unused, index) => didIn(index % slots, number + 40 * index));
}

describe('a log on a NATS server', () => {
  it(
    'takes writes, and nodes go on from where they were, in any order of starts',
    async () => {
      const { cluster } = await startAll();
      const actor = didIn(3, 0);
      const fans = fansFrom(100, 20);
      await cluster.follow(fans, actor);
      await cluster.haveFollowed(fans, actor);
      await cluster.stopNode('n0');
      // The log takes what a node that is down will apply.
      const later = fansFrom(2_000, 12);
      await cluster.follow(later, actor);
      await cluster.startNode('n0');
      await cluster.haveFollowed([...fans, ...later], actor);
      await cluster.settle();
      expect((await cluster.statuses()).map(({ condition, log }) => [condition, log])).toEqual(
        Array(slots).fill(['complete', null]),
      );
      const { url } = cluster.sender.status;
      const warning = expect.stringContaining('for trial');
      const log = { url, version: expect.stringMatching(/^2\.9\./), copies: 1, problem: null, warning };
      expect((await cluster.nodeStatuses()).map((status) => status.log)).toEqual([log, log]);
      expect(cluster.sender.status).toEqual(log);
    },
    testMsMax,
  );

  it(
    'that goes away and comes back loses nothing and gives nothing twice, and status names it',
    async () => {
      const { server, cluster } = await startAll();
      const actor = didIn(1, 0);
      const fans = fansFrom(100, 12);
      await cluster.follow(fans, actor);
      await cluster.haveFollowed(fans, actor);
      await server.kill();
      await until(async () => (await cluster.statuses()).every(({ log }) => log !== null), waitMsMax);
      const later = fansFrom(2_000, 12);
      const following = cluster.follow(later, actor);
      await server.up();
      await following;
      await cluster.haveFollowed([...fans, ...later], actor);
      await cluster.settle();
      const statuses = await cluster.statuses();
      expect(statuses.map(({ log, condition }) => [log, condition])).toEqual(Array(slots).fill([null, 'complete']));
    },
    testMsMax,
  );

  it(
    'that stands still is named in status, and nothing is lost or doubled once it goes on',
    async () => {
      const { server, cluster } = await startAll();
      const actor = didIn(1, 0);
      server.pause();
      const fans = fansFrom(100, 12);
      const following = cluster.follow(fans, actor);
      await until(async () => (await cluster.statuses()).every(({ log }) => log !== null), waitMsMax);
      expect(cluster.sender.status.problem).not.toBeNull();
      server.goOn();
      await following;
      await cluster.haveFollowed(fans, actor);
      await cluster.settle();
      expect((await cluster.statuses()).map(({ log }) => log)).toEqual(Array(slots).fill(null));
      expect(cluster.sender.status.problem).toBeNull();
    },
    testMsMax,
  );

  it(
    'that is nearly full has ingest wait, by name, with room for effects, until its readers are back',
    async () => {
      const { server, cluster } = await startAll(2 ** 21);
      const actor = didIn(3, 0);
      await cluster.stopNode('n0');
      const fans = Array.from({ length: 900 }, (_unused, index) => didIn(0, 100 + 40 * index));
      const following = cluster.follow(fans, actor, { note: 'x'.repeat(1_000) });
      await until(() => /is nearly full/.test(cluster.sender.status.problem ?? ''), waitMsMax);
      // Nothing was refused by the server itself, which has room for what others append.
      const { bytes, bytesMax } = await useOf(server, cluster.map);
      expect(bytes / bytesMax).toBeLessThanOrEqual(0.95);
      expect(cluster.notes.filter((note) => note.includes('maximum bytes'))).toEqual([]);
      await cluster.startNode('n0');
      await following;
      await cluster.haveFollowed(fans, actor);
      expect(cluster.sender.status.problem).toBeNull();
    },
    testMsMax,
  );

  it(
    'that has lost the beginning of an empty slot lets it begin again when told to, also after a refusal',
    async () => {
      const { server, cluster } = await startAll();
      const actor = didIn(1, 0);
      const fans = fansFrom(100, 8);
      await cluster.follow(fans, actor);
      await cluster.haveFollowed(fans, actor);
      await cluster.settle();
      await cluster.stopNode('n1');
      rmSync(join(cluster.folder, 'n1'), { recursive: true });
      await dropLog(server);
      for (let refusal = 0; refusal < 2; refusal++) {
        await expect(cluster.startNode('n1')).rejects.toMatchObject({
          message: expect.stringContaining('is empty, and its log has lost its beginning'),
          hint: expect.stringContaining('--begin-again'),
        });
      }
      await cluster.startNode('n1', cluster.server, [2, 3]);
      // The link to the node was refused while that was away.
      await until(
        () =>
          cluster
            .statuses()
            .then((all) => all.every(({ log }) => log === null))
            .catch(() => false),
        waitMsMax,
      );
      const conditions = (await cluster.statuses()).map(({ condition }) => condition);
      expect(conditions).toEqual(['complete', 'complete', 'incomplete', 'incomplete']);
    },
    testMsMax,
  );

  it(
    'that comes back as another stream is a new generation, which is incomplete',
    async () => {
      const { server, cluster } = await startAll();
      const actor = didIn(1, 0);
      const fans = fansFrom(100, 8);
      await cluster.follow(fans, actor);
      await cluster.haveFollowed(fans, actor);
      await cluster.settle();
      const before = await cluster.statuses();
      await server.kill();
      server.wipe();
      await server.up();
      await until(
        async () => (await cluster.statuses()).every(({ condition }) => condition === 'incomplete'),
        waitMsMax,
      );
      const after = await cluster.statuses();
      for (const [index, { generation }] of after.entries())
        expect(generation).toBeGreaterThan(before[index]!.generation);
      expect(cluster.notes.filter((note) => /is another one than before/.test(note)).length).toBeGreaterThanOrEqual(
        slots,
      );
      const later = fansFrom(2_000, 8);
      await cluster.follow(later, actor);
      await cluster.haveFollowed([...fans, ...later], actor);
    },
    testMsMax,
  );

  it(
    'refuses a folder that has its own log, and the other way round',
    async () => {
      const { cluster } = await startAll();
      await cluster.follow(fansFrom(100, 4), didIn(1, 0));
      await cluster.settle();
      await cluster.stopNode('n0');
      await expect(cluster.startNode('n0', null)).rejects.toMatchObject({ message: /log of a slot is on a server/ });
      await cluster.stopNode('n1');
      rmSync(join(cluster.folder, 'n1'), { recursive: true });
      await cluster.startNode('n1', null);
      await cluster.stopNode('n1');
      await expect(cluster.startNode('n1')).rejects.toMatchObject({ message: /has its log in its folder/ });
    },
    testMsMax,
  );
});

describe('a server that entries do not fit', () => {
  it(
    'is refused with what to set',
    async () => {
      const server = await NatsServer.start('1MB');
      resources.use(server);
      const notes: string[] = [];
      const map = parseShardMap({
        epoch: 1,
        slots: 1,
        nodes: { n0: { host: '127.0.0.1', port: 1 } },
        shards: [{ name: 's0', primary: 'n0', slots: ['0'] }],
      });
      const sender = new JetStreamSender({
        server: { urls: [server.url], credentialsFile: null, streams: { bytesMax: 2 ** 24, copies: 1 } },
        map: () => map,
        clock: systemClock,
        random: seededRandom(1),
        note: (message) => void notes.push(message),
      });
      resources.use(sender);
      await until(() => notes.some((note) => note.includes('takes messages of 1048576 bytes')), waitMsMax);
      const connection = await connect({ servers: server.url });
      const streams = await (await jetstreamManager(connection)).streams.list().next();
      await connection.close();
      expect(streams).toEqual([]);
    },
    testMsMax,
  );
});
