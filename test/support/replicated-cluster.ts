/** Nodes of this process, with replicas, whose log is on a NATS server; or without, in folders. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { CrashPoint } from '../../src/base/crash-point.ts';
import type { DataPlaneError } from '../../src/base/data-plane-error.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import type { CommitEntry } from '../../src/entry/entry.ts';
import { JetStreamSender } from '../../src/log/jetstream-sender.ts';
import type { LogServer, StreamLimits } from '../../src/log/log-server.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { mapAtStart } from '../../src/mapchange/map-store.ts';
import type { NodeOptions } from '../../src/node/node-options.ts';
import { startNode } from '../../src/node/node-process.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import { ServiceRouter } from '../../src/router/plan/service-router.ts';
import type { ServiceRouterOptions } from '../../src/router/plan/service-router-options.ts';
import { planByMethod } from '../../src/router/plans/service.ts';
import type { MapJson } from '../../src/shardmap/map-follower.ts';
import { parseShardMap, type ShardMap } from '../../src/shardmap/shard-map.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import {
  type LogServerStatus,
  type NodeStatus,
  nodeStatusMessage,
  type SlotStatus,
} from '../../src/wire/node-status.ts';
import { digestAnswer, digestRequest } from '../../src/wire/slot-digest.ts';
import { freePort } from './crash-cluster.ts';
import { pushFrom } from './map-pusher.ts';
import { makeMemoryFolder } from './memory-folder.ts';
import type { NatsCluster } from './nats-cluster.ts';
import type { NatsServer } from './nats-server.ts';
import { noIdentitySource } from './no-identities.ts';
import { exitToStartAgain, type NodeChildSettings } from './node-child-settings.ts';
import { recordOp } from './record-op.ts';
import { until } from './until.ts';

const timeMs = Date.UTC(2025, 0, 1);
const waitMsMax = 60_000;

export type ShardOfTest = { readonly primary: string; readonly replicas: readonly string[]; readonly slots: string[] };

type NodeOfTest = {
  close(): Promise<void>;
  kill(): Promise<void>;
  /** Whether it has ended for its supervisor to start it again. */
  readonly startsAgain: Promise<boolean>;
};

const childScript = join(import.meta.dirname, 'node-child.ts');

export class ReplicatedCluster implements AsyncDisposable {
  readonly folder = makeMemoryFolder('skyshard-replicas-');
  /** Null where logs are in the folders of slots. */
  readonly server: LogServer | null;
  readonly client: NodeClient;
  readonly notes: string[] = [];
  readonly registries = new Map<string, Registry>();
  readonly #log: RemoteLog;
  readonly #sender: JetStreamSender | null;
  readonly #running = new Map<string, NodeOfTest>();
  readonly #starting = new Map<string, Promise<void>>();
  /** How often a test has started or stopped a node. */
  readonly #orders = new Map<string, number>();
  /** Whether nodes run in processes of their own. */
  areApart = false;
  /** Where such a node that starts is killed. */
  readonly crashPoints = new Map<string, CrashPoint>();
  /** What nodes of this process have besides. */
  threads: Partial<Pick<NodeOptions, 'applyThreads' | 'serveThreads' | 'searchThreads'>> = {};
  /** Whether such nodes are started again however they end, as a supervisor does. */
  areSupervised = false;
  #isDisposed = false;
  mapJson: MapJson;

  private constructor(urls: readonly string[] | null, mapJson: MapJson, limits: Partial<StreamLimits>) {
    const streams = { bytesMax: 256 * 2 ** 20, copies: 1, ...limits };
    const server = urls === null ? null : { urls, credentialsFile: null, streams };
    this.server = server;
    this.mapJson = mapJson;
    const map = (): ShardMap => this.map;
    const note = (message: string): void => void this.notes.push(message);
    this.client = new NodeClient({ map: this.map });
    const parts = { map, clock: systemClock, random: seededRandom(1), note };
    this.#sender = server === null ? null : new JetStreamSender({ server, ...parts });
    this.#log = new RemoteLog({
      caller: this.client,
      map,
      lingerMs: 1,
      ...(this.#sender === null ? {} : { server: this.#sender }),
      onRetry: (_node, error) => note(error.message),
    });
  }

  /** Lays out a cluster, and starts none of its nodes. */
  static async make(
    server: NatsServer | NatsCluster | null,
    slots: number,
    nodes: readonly string[],
    shards: readonly ShardOfTest[],
    limits: Partial<StreamLimits> = {},
  ): Promise<ReplicatedCluster> {
    const named = await Promise.all(nodes.map(async (name) => [name, { host: '127.0.0.1', port: await freePort() }]));
    const withNames = shards.map((shard, index) => ({ name: `s${index}`, ...shard }));
    const mapJson = { epoch: 1, slots, nodes: Object.fromEntries(named), shards: withNames };
    const urls = server === null ? null : 'urls' in server ? server.urls : [server.url];
    return new ReplicatedCluster(urls, mapJson, limits);
  }

  /** Starts all nodes but those that are `absent`. */
  static async start(
    server: NatsServer,
    slots: number,
    nodes: readonly string[],
    shards: readonly ShardOfTest[],
    absent: readonly string[] = [],
  ): Promise<ReplicatedCluster> {
    const cluster = await ReplicatedCluster.make(server, slots, nodes, shards);
    await Promise.all(nodes.filter((name) => !absent.includes(name)).map((name) => cluster.startNode(name)));
    return cluster;
  }

  get map(): ShardMap {
    return parseShardMap(this.mapJson);
  }

  /** Makes a router that reads from any copy close to its log. The caller disposes of it. */
  makeRouter(more: Partial<ServiceRouterOptions> = {}): ServiceRouter {
    const router = new ServiceRouter({
      map: this.map,
      caller: this.client,
      identity: noIdentitySource,
      plans: planByMethod,
      admission: {},
      clock: systemClock,
      onFault: (error) => {
        throw error;
      },
      ...more,
    });
    router.watchReplicas();
    return router;
  }

  dataDirOf(node: string): string {
    return join(this.folder, `node-${node}`);
  }

  /** Starts a node, with the map that was pushed to it last. */
  async startNode(name: string): Promise<void> {
    const node = this.areApart ? await this.#spawn(name) : await this.#startHere(name);
    this.#running.set(name, node);
    // As a supervisor does for a node whose slots change.
    void node.startsAgain.then(async (startsAgain) => {
      if (!startsAgain || this.#running.get(name) !== node) return;
      const orders = this.#ordersOf(name);
      await this.#close(name);
      // A test may have stopped it meanwhile.
      if (!this.#isDisposed && this.#ordersOf(name) === orders) await this.#startMany(name);
    });
  }

  #ordersOf(name: string): number {
    return this.#orders.get(name) ?? 0;
  }

  /** One that is supervised may end at its starts, too, but not at five in a row. */
  async startUntilServing(name: string): Promise<void> {
    this.#orders.set(name, this.#ordersOf(name) + 1);
    await this.#startMany(name);
  }

  async #startMany(name: string): Promise<void> {
    const start = async (startsMax: number): Promise<void> => {
      await this.startNode(name).catch(async (thrown: unknown) => {
        if (startsMax === 1) throw thrown;
        await start(startsMax - 1);
      });
    };
    const starting = start(this.areSupervised ? 5 : 1);
    this.#starting.set(name, starting);
    await starting.finally(() => this.#starting.delete(name));
  }

  async #startHere(name: string): Promise<NodeOfTest> {
    const start = mapAtStart(this.mapJson, this.dataDirOf(name));
    const registry = new Registry();
    this.registries.set(name, registry);
    const node = await startNode({
      ...this.#settingsOf(name),
      mapJson: start.json,
      storedMaps: start.stored,
      host: '127.0.0.1',
      lingerMs: 1,
      applyThreads: 1,
      prefetchReads: false,
      recordCacheMib: 1,
      adminToken: null,
      clusterToken: null,
      registry,
      ...this.threads,
      note: (message) => void this.notes.push(`${name}: ${message}`),
    });
    const startsAgain = node.failed.then(
      () => false,
      (error: DataPlaneError) => {
        this.notes.push(`${name} ends: ${error.message}`);
        return error.code === 'WrongEpoch';
      },
    );
    return { close: () => node.close(), kill: () => node.close(), startsAgain };
  }

  #settingsOf(name: string): NodeChildSettings & { readonly logServer: LogServer | null } {
    const port = this.map.nodes.get(name)!.port;
    const { mapJson, server: logServer } = this;
    const dataDir = this.dataDirOf(name);
    const point = this.crashPoints.get(name);
    const crashPoint = point === undefined ? null : { point, nth: 1 };
    return { name, mapJson, dataDir, port, slotMapBytes: 2 ** 28, serveThreads: 1, crashPoint, logServer };
  }

  async #spawn(name: string): Promise<NodeOfTest> {
    const words = ['--disable-warning=ExperimentalWarning', childScript, JSON.stringify(this.#settingsOf(name))];
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stderr.on('data', (text: Buffer) => this.notes.push(`${name}: ${text}`));
    const exit = once(child, 'exit').then(([code, signal]: (number | string | null)[]) => {
      this.notes.push(`${name} ended with ${code ?? signal}`);
      return code;
    });
    const isServing = await Promise.race([once(child.stdout, 'data').then(() => true), exit.then(() => false)]);
    if (!isServing) throw new Error(`node ${name} did not start: ${this.notes.slice(-3).join('')}`);
    const end = async (signal: NodeJS.Signals): Promise<void> => {
      child.kill(signal);
      await exit;
    };
    return {
      close: () => end('SIGTERM'),
      kill: () => end('SIGKILL'),
      startsAgain: exit.then((code) => this.areSupervised || code === exitToStartAgain),
    };
  }

  /** Ends a node that runs in a process of its own as a crash would. */
  async killNode(name: string): Promise<void> {
    const node = this.#running.get(name);
    this.#running.delete(name);
    await node?.kill();
  }

  /** False while a node is down, and while its supervisor starts it again. */
  isRunning(name: string): boolean {
    return this.#running.has(name);
  }

  async stopNode(name: string): Promise<void> {
    this.#orders.set(name, this.#ordersOf(name) + 1);
    await this.#starting.get(name);
    await this.#close(name);
  }

  async #close(name: string): Promise<void> {
    await this.#running.get(name)?.close();
    this.#running.delete(name);
  }

  /** Pushes a map of the next epoch, made from that in force. */
  async push(change: (shards: ShardOfTest[]) => readonly ShardOfTest[]): Promise<void> {
    const shards = change(structuredClone(this.mapJson['shards']) as ShardOfTest[]);
    const next = { ...this.mapJson, epoch: this.map.epoch + 1, shards };
    await pushFrom(this.mapJson, next);
    this.mapJson = next;
    this.client.setMap(this.map);
  }

  /** Pushes a map that says what comes next. */
  async pushMap(next: MapJson): Promise<void> {
    await pushFrom(this.mapJson, next);
    this.mapJson = next;
    this.client.setMap(this.map);
  }

  async #nodeStatus(node: string): Promise<NodeStatus> {
    const call = { node, method: nodeCalls.status, payload: Buffer.alloc(0), timeoutMs: 10_000 };
    return nodeStatusMessage.decode(await this.client.call(call));
  }

  async statusOf(node: string): Promise<readonly SlotStatus[]> {
    return (await this.#nodeStatus(node)).slots;
  }

  /** Returns what a node says of the log's server. */
  async logOf(node: string): Promise<LogServerStatus> {
    return (await this.#nodeStatus(node)).log!;
  }

  /** Returns the digest of a slot at a node, and up to which seq it is. */
  async digestOf(node: string, slot: number): Promise<{ readonly seq: number; readonly digest: string }> {
    const payload = digestRequest.encode({ slot });
    const answer = await this.client.call({ node, method: nodeCalls.digest, payload, timeoutMs: 10_000 });
    const { seq, digest } = digestAnswer.decode(answer);
    return { seq, digest };
  }

  /** Returns the `number`th DID of a slot. */
  didIn(slot: number, number: number): string {
    for (let at = number * 1_000; ; at++) {
      const did = `did:web:n${at}.example`;
      if (slotOf(did, this.map.slots) === slot) return did;
    }
  }

  /** Returns DIDs of all slots. */
  fansFrom(number: number, count: number): string[] {
    return Array.from({ length: count }, (_unused, index) => this.didIn(index % this.map.slots, number + index));
  }

  /** Each fan follows the actor. Resolves once all of it is in the log. */
  async follow(fans: readonly string[], actor: string, more: object = {}): Promise<void> {
    const entries = fans.map((did): CommitEntry => {
      const ops = [recordOp({ collection: 'app.bsky.graph.follow', rkey: 'f' }, { subject: actor, ...more })];
      return { kind: 'commit', did, rev: '3k2222222222a', since: null, eventMs: timeMs, ops };
    });
    await Promise.all(entries.map((entry) => this.#log.append(entry.did, entry)));
  }

  async followersOf(actor: string, node = this.map.primaryBySlot[slotOf(actor, this.map.slots)]!): Promise<string[]> {
    const payload = encodeMessage('GetFollowersRequest', { actorDid: actor, limit: 1_000 });
    const answer = await this.client.call({ node, method: 'bsky.GetFollowers', payload, timeoutMs: 10_000 });
    return decodeMessage('GetFollowersResponse', answer).followers.map(({ actorDid }) => actorDid);
  }

  /** Waits until an actor has these followers, once each. */
  async haveFollowed(fans: readonly string[], actor: string): Promise<void> {
    await until(async () => (await this.followersOf(actor).catch(() => [])).length >= fans.length, waitMsMax);
    expect((await this.followersOf(actor)).sort()).toEqual([...fans].sort());
  }

  /** Waits until all of the log is applied at all nodes that run, and all effects are delivered. */
  async settle(): Promise<void> {
    const isIdle = ({ waiting, outbox, isContinuing, behindMs }: SlotStatus): boolean =>
      waiting === 0 && outbox === 0 && !isContinuing && behindMs === 0;
    let busy: object[] = [];
    const areIdle = async (): Promise<boolean> => {
      const asked = [...this.#running.keys()].map(async (node) => ({ node, slots: await this.statusOf(node) }));
      // The links of this process to a node that was started again are made again.
      const statuses = await Promise.all(asked).catch(() => null);
      if (statuses === null) return false;
      busy = statuses.flatMap(({ node, slots }) =>
        slots.filter((slot) => !isIdle(slot)).map((slot) => ({ node, ...slot })),
      );
      return busy.length === 0;
    };
    for (let idlePolls = 0; idlePolls < 2; ) {
      await until(areIdle, waitMsMax).catch(() => expect(busy).toEqual([]));
      idlePolls = (await areIdle()) ? idlePolls + 1 : 0;
    }
  }

  /** Waits until all nodes that run and have a slot hold the same of it. */
  async expectSame(slot: number): Promise<void> {
    const shard = this.map.shards.find(({ slots }) => slots.includes(slot))!;
    const nodes = [shard.primary, ...shard.replicas].filter((node) => this.#running.has(node));
    await this.settle();
    const digests = await Promise.all(nodes.map((node) => this.digestOf(node, slot)));
    expect(digests).toEqual(nodes.map(() => digests[0]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    await this.#log[Symbol.asyncDispose]();
    await this.#sender?.[Symbol.asyncDispose]();
    await Promise.all([...this.#running.keys()].map((name) => this.stopNode(name)));
    await this.client[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
