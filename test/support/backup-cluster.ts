/** Nodes of this process whose slots are backed up, lost, and restored to other nodes. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { systemClock } from '../../src/base/clock.ts';
import type { CommitEntry } from '../../src/entry/entry.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { BackupFolder, type UnfinishedBackup } from '../../src/migrate/backup-folder.ts';
import { askNodes, BackupRun, type BackupRunOptions, planBackup } from '../../src/node/backup-run.ts';
import { CopyThreads } from '../../src/node/copy-task.ts';
import { type RunningNode, startNode } from '../../src/node/node-process.ts';
import { restoredGeneration, restoreSlot } from '../../src/node/slot-restore.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import { parseShardMap, type ShardMap, slotsOfNode } from '../../src/shardmap/shard-map.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import { nodeStatusMessage, type SlotStatus } from '../../src/wire/node-status.ts';
import { freePort } from './crash-cluster.ts';
import { makeMemoryFolder } from './memory-folder.ts';
import { recordOp } from './record-op.ts';
import { until } from './until.ts';

const eventMs = Date.UTC(2025, 0, 1);
export const slotMapBytes = 2 ** 28;
export const slotsOfBackups = 4;

/** `ranges`: the slots of each node, by its name. */
export class BackupCluster implements AsyncDisposable {
  readonly folder = makeMemoryFolder('skyshard-backup-');
  readonly backups: BackupFolder;
  map!: ShardMap;
  client!: NodeClient;
  #mapJson: object = {};
  #log!: RemoteLog;
  readonly #running = new Map<string, RunningNode>();

  private constructor() {
    this.backups = BackupFolder.openFor(join(this.folder, 'backups'), { cluster: 'west', slots: slotsOfBackups });
  }

  static async start(ranges: Readonly<Record<string, string>>): Promise<BackupCluster> {
    const cluster = new BackupCluster();
    await cluster.startAll(ranges);
    return cluster;
  }

  dataDirOf(node: string): string {
    return join(this.folder, `node-${node}`);
  }

  /** Starts nodes with what their folders hold. */
  async startAll(ranges: Readonly<Record<string, string>>): Promise<void> {
    const names = Object.keys(ranges);
    const nodes = await Promise.all(names.map(async (name) => [name, { host: '127.0.0.1', port: await freePort() }]));
    const shards = names.map((name, index) => ({ name: `s${index}`, primary: name, slots: [ranges[name]] }));
    this.#mapJson = { cluster: 'west', epoch: 1, slots: slotsOfBackups, nodes: Object.fromEntries(nodes), shards };
    this.map = parseShardMap(this.#mapJson);
    this.client = new NodeClient({ map: this.map });
    this.#log = new RemoteLog({ caller: this.client, map: () => this.map, lingerMs: 1 });
    await Promise.all(names.map((name) => this.startNode(name)));
  }

  async startNode(name: string): Promise<void> {
    const { host, port } = this.map.nodes.get(name)!;
    const node = await startNode({
      name,
      mapJson: this.#mapJson,
      dataDir: this.dataDirOf(name),
      host,
      port,
      slotMapBytes,
      lingerMs: 1,
      applyThreads: 1,
      prefetchReads: false,
      recordCacheMib: 1,
      adminToken: null,
      clusterToken: null,
      registry: new Registry(),
    });
    this.#running.set(name, node);
  }

  async stopAll(): Promise<void> {
    await this.#log[Symbol.asyncDispose]();
    await this.client[Symbol.asyncDispose]();
    await Promise.all([...this.#running.values()].map((node) => node.close()));
    this.#running.clear();
  }

  /** Stops all, and removes their folders. */
  async loseAll(): Promise<void> {
    const names = [...this.map.nodes.keys()];
    await this.stopAll();
    for (const name of names) rmSync(this.dataDirOf(name), { recursive: true });
  }

  /** Backs up slots, in the given order if each is asked for by itself. */
  async backUp(slots: readonly number[], more: Partial<BackupRunOptions> = {}): Promise<UnfinishedBackup> {
    const { backups: folder, map, client: caller } = this;
    const known = folder.backups().flatMap(({ copies }) => copies);
    const unfinished = folder.unfinished();
    const all = Array.from({ length: slotsOfBackups }, (_unused, slot) => slot);
    const begun = unfinished ?? folder.begin({ epoch: 1 }, all, systemClock.nowMs());
    const run = new BackupRun(
      {
        folder,
        map: () => map,
        caller,
        slotMapBytes,
        throttle: null,
        clock: systemClock,
        onProgress: () => {},
        onProblem: () => {},
        ...more,
      },
      begun,
    );
    return run.run(planBackup(map, slots, await askNodes(map, caller), known));
  }

  /** Restores the last backup to nodes that do not run, as the whole cluster. */
  async restoreAll(ranges: Readonly<Record<string, string>>): Promise<void> {
    const names = Object.keys(ranges);
    const nodes = Object.fromEntries(names.map((name) => [name, { host: '127.0.0.1', port: 1 }]));
    const shards = names.map((name, index) => ({ name: `s${index}`, primary: name, slots: [ranges[name]] }));
    const map = parseShardMap({ epoch: 1, slots: slotsOfBackups, nodes, shards });
    const { copies } = this.backups.find(null);
    const generation = restoredGeneration(copies, systemClock);
    const { signal } = new AbortController();
    await using copyThreads = new CopyThreads();
    for (const name of names) {
      for (const slot of slotsOfNode(map, name)) {
        const copy = copies.find((each) => each.slot === slot)!;
        const dataDir = this.dataDirOf(name);
        const to = {
          dataDir,
          slotMapBytes,
          cluster: 'west',
          part: 'all',
          generation,
          copyThreads,
          clock: systemClock,
          signal,
        } as const;
        await restoreSlot(this.backups.copyPath(copy.name), copy, to);
      }
    }
  }

  /** Returns the `number`th DID of a slot. */
  didIn(slot: number, number: number): string {
    for (let at = number * 1_000; ; at++) {
      const did = `did:web:n${at}.example`;
      if (slotOf(did, slotsOfBackups) === slot) return did;
    }
  }

  /** A commit of a fan, which follows an actor, or does no more. `rev` orders its commits. */
  commit(fan: string, rev: number, actor: string | null): CommitEntry {
    const path = { collection: 'app.bsky.graph.follow', rkey: 'f' };
    const gone = { ...path, action: 'delete', cid: Buffer.alloc(0), block: Buffer.alloc(0) } as const;
    const op = actor === null ? gone : recordOp(path, { subject: actor });
    const revs = '234567abcdefghijklmnopqrstuvwxyz';
    return {
      kind: 'commit',
      did: fan,
      rev: `3k22222222${revs[rev >> 5]}${revs[rev & 31]}a`,
      since: null,
      eventMs,
      ops: [op],
    };
  }

  /** Resolves once all of it is in the log. */
  async append(entries: readonly CommitEntry[]): Promise<void> {
    await Promise.all(entries.map((entry) => this.#log.append(entry.did, entry)));
  }

  async statuses(): Promise<readonly SlotStatus[]> {
    const one = async (node: string): Promise<readonly SlotStatus[]> => {
      const call = { node, method: nodeCalls.status, payload: Buffer.alloc(0), timeoutMs: 10_000 };
      return nodeStatusMessage.decode(await this.client.call(call)).slots;
    };
    return (await Promise.all([...this.map.nodes.keys()].map(one))).flat();
  }

  /** Waits until all is applied and nothing is owed. */
  async settle(): Promise<void> {
    const isIdle = async (): Promise<boolean> =>
      (await this.statuses()).every(
        ({ waiting, outbox, isContinuing, condition }) =>
          waiting === 0 && outbox === 0 && !isContinuing && condition === 'complete',
      );
    for (let idle = 0; idle < 3; ) {
      await until(isIdle, 60_000);
      idle = (await isIdle()) ? idle + 1 : 0;
    }
  }

  async followersOf(actor: string): Promise<string[]> {
    const node = this.map.primaryBySlot[slotOf(actor, slotsOfBackups)]!;
    const payload = encodeMessage('GetFollowersRequest', { actorDid: actor, limit: 1_000 });
    const answer = await this.client.call({ node, method: 'bsky.GetFollowers', payload, timeoutMs: 10_000 });
    return decodeMessage('GetFollowersResponse', answer)
      .followers.map(({ actorDid }) => actorDid)
      .sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopAll();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
