/**
 * Nodes in processes of their own, and the appender that feeds them.
 *
 * Owns: ports, folders, starting, killing, and waiting until everything sent is applied everywhere.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import type { CrashPoint } from '../../src/base/crash-point.ts';
import { DataPlaneError } from '../../src/base/data-plane-error.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { EmbeddedLog } from '../../src/log/embedded-log.ts';
import { JetStreamLog } from '../../src/log/jetstream-log.ts';
import { JetStreamSender } from '../../src/log/jetstream-sender.ts';
import type { LogServer } from '../../src/log/log-server.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import type { SlotLog } from '../../src/log/slot-log.ts';
import { slotPath } from '../../src/node/data-folder.ts';
import type { MapJson } from '../../src/shardmap/map-follower.ts';
import { parseShardMap, type ShardMap } from '../../src/shardmap/shard-map.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { Slot } from '../../src/slot/slot.ts';
import type { SlotState } from '../../src/slot/table/slot-state.ts';
import type { Table } from '../../src/storage/environment.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import { nodeStatusMessage, type SlotStatus } from '../../src/wire/node-status.ts';
import { pushFrom } from './map-pusher.ts';
import { makeMemoryFolder } from './memory-folder.ts';
import type { NodeChildSettings } from './node-child-settings.ts';
import { until } from './until.ts';

export type CrashAt = { readonly point: CrashPoint; readonly nth: number };

type RunningChild = {
  readonly process: ChildProcess;
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly stderr: string[];
};

const script = join(import.meta.dirname, 'node-child.ts');
const preload = join(import.meta.dirname, 'planted-thread-fault.ts');
const callTimeoutMs = 10_000;

/** Returns a port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('a listening server has an address');
  return address.port;
}

export class CrashCluster implements AsyncDisposable {
  map: ShardMap;
  readonly log: RemoteLog;
  readonly client: NodeClient;
  /** Error codes of attempts that a node refused or did not answer. */
  readonly retries: string[] = [];
  slotMapBytes = 2 ** 28;
  serveThreads = 1;
  mapJson: MapJson;
  readonly #dataDir: string;
  readonly #logServer: LogServer | null;
  readonly #sender: JetStreamSender | null;
  readonly #ports: ReadonlyMap<string, number>;
  readonly #childByName = new Map<string, RunningChild>();

  private constructor(mapJson: MapJson, ports: ReadonlyMap<string, number>, logServer: LogServer | null) {
    this.#logServer = logServer;
    this.#dataDir = makeMemoryFolder('skyshard-crash-');
    this.mapJson = mapJson;
    this.#ports = ports;
    this.map = parseShardMap(mapJson);
    this.client = new NodeClient({ map: this.map });
    const parts = { map: () => this.map, clock: systemClock, random: seededRandom(1), note: () => {} };
    this.#sender = logServer === null ? null : new JetStreamSender({ server: logServer, ...parts });
    this.log = new RemoteLog({
      caller: this.client,
      map: () => this.map,
      lingerMs: 2,
      ...(this.#sender === null ? {} : { server: this.#sender }),
      onRetry: (_node, error) => void this.retries.push(`${error.code} ${error.message}`),
    });
  }

  /**
   * Lays out a cluster of two nodes with half of the slots each, but starts neither. Its log is in
   * the folders of the slots, or at a URL of NATS.
   */
  static async make(slots = 8, logUrl: string | null = null): Promise<CrashCluster> {
    const ports = new Map([
      ['a', await freePort()],
      ['b', await freePort()],
    ]);
    const nodes = Object.fromEntries([...ports].map(([name, port]) => [name, { host: '127.0.0.1', port }]));
    const shards = [
      { name: 'first', primary: 'a', slots: [`0-${slots / 2 - 1}`] },
      { name: 'second', primary: 'b', slots: [`${slots / 2}-${slots - 1}`] },
    ];
    const streams = { bytesMax: 2 ** 28, copies: 1 };
    const logServer = logUrl === null ? null : { urls: [logUrl], credentialsFile: null, streams };
    return new CrashCluster({ epoch: 1, slots, nodes, shards }, ports, logServer);
  }

  /** Puts a map in force, by which entries are sent from now on. */
  async pushMap(next: MapJson): Promise<void> {
    await pushFrom(this.mapJson, next);
    this.mapJson = next;
    this.map = parseShardMap(next);
    this.client.setMap(this.map);
  }

  dataDirOf(name: string): string {
    return join(this.#dataDir, name);
  }

  /** Starts a node and waits until it serves. */
  async start(name: string, crashPoint: CrashAt | null = null): Promise<void> {
    const { slotMapBytes, serveThreads } = this;
    const port = this.#ports.get(name)!;
    const settings: NodeChildSettings = {
      name,
      mapJson: this.mapJson,
      dataDir: this.dataDirOf(name),
      port,
      logServer: this.#logServer,
      slotMapBytes,
      serveThreads,
      crashPoint,
    };
    const child = spawn(process.execPath, ['--import', preload, script, JSON.stringify(settings)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const stderr: string[] = [];
    child.stderr.on('data', (text: Buffer) => stderr.push(text.toString()));
    const exit = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
    this.#childByName.set(name, { process: child, exit, stderr });
    const isServing = await Promise.race([once(child.stdout, 'data').then(() => true), exit.then(() => false)]);
    // The node may reach its crash point while it resumes effects that it owed.
    if (!isServing && crashPoint === null) throw new Error(`node ${name} did not start: ${stderr.join('')}`);
  }

  /** Resolves when the node has ended by itself. */
  async exitOf(name: string): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return await this.#childByName.get(name)!.exit;
  }

  isRunning(name: string): boolean {
    const child = this.#childByName.get(name)?.process;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  async stop(name: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#childByName.get(name);
    if (child === undefined || !this.isRunning(name)) return;
    child.process.kill(signal);
    const { code } = await child.exit;
    if (signal === 'SIGTERM' && code !== 0)
      throw new Error(`node ${name} ended with ${code}: ${child.stderr.join('')}`);
  }

  async statuses(): Promise<SlotStatus[]> {
    const answers = await Promise.all([...this.#ports.keys()].map((node) => this.status(node)));
    return answers.flat();
  }

  /** Returns undefined while a node cannot be reached; it may still be starting. */
  async #statusesIfReached(): Promise<SlotStatus[] | undefined> {
    try {
      return await this.statuses();
    } catch (thrown) {
      if (thrown instanceof DataPlaneError && thrown.isRetryable) return undefined;
      throw thrown;
    }
  }

  /** True when the node answers and one of its slots is full. */
  async isFull(name: string): Promise<boolean> {
    const own = this.map.primaryBySlot;
    const slots = await this.#statusesIfReached();
    return slots?.some(({ slot, state }) => own[slot] === name && state === 'full') ?? false;
  }

  async status(node: string): Promise<readonly SlotStatus[]> {
    const answer = await this.client.call({
      node,
      method: nodeCalls.status,
      payload: Buffer.alloc(0),
      timeoutMs: callTimeoutMs,
    });
    return nodeStatusMessage.decode(answer).slots;
  }

  /** Resolves when two polls in a row find nothing waiting and every sent effect received. */
  async settle(withinMs = 60_000): Promise<{ readonly sent: number; readonly received: number }> {
    let before = '';
    const sums = await until(async () => {
      const slots = await this.#statusesIfReached();
      if (slots === undefined) return undefined;
      const sum = (count: (slot: SlotStatus) => number): number =>
        slots.reduce((total, slot) => total + count(slot), 0);
      const [sent, received] = [sum((slot) => slot.sentEffects), sum((slot) => slot.receivedEffects)];
      const isQuiet = sum((slot) => slot.waiting + slot.outbox) === 0 && sent === received;
      const now = `${isQuiet} ${sent} ${slots.map((slot) => slot.head).join()}`;
      const isSettled = isQuiet && now === before;
      before = now;
      return isSettled ? { sent, received } : undefined;
    }, withinMs);
    return sums;
  }

  /** Stops both nodes and lends their slots to `work`. */
  async withSlots<Result>(work: (stateOf: (key: string) => SlotState) => Result): Promise<Result> {
    for (const name of this.#ports.keys()) await this.stop(name, 'SIGTERM');
    const count = this.map.slots;
    const slots = Array.from({ length: count }, (_unused, index) => {
      const path = slotPath(this.dataDirOf(this.map.primaryBySlot[index]!), index);
      const log = (table: Table, cursor: number): SlotLog =>
        this.#logServer === null
          ? new EmbeddedLog(table, cursor)
          : new JetStreamLog({ table, slot: index, cursor, writer: 'test', nowMs: () => 0, note: () => {} });
      return Slot.open({ index, slots: count, path, mapBytes: this.slotMapBytes, log });
    });
    try {
      return work((key) => slots[slotOf(key, count)]!.state);
    } finally {
      for (const slot of slots) await slot[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log[Symbol.asyncDispose]();
    await this.#sender?.[Symbol.asyncDispose]();
    await this.client[Symbol.asyncDispose]();
    for (const name of this.#ports.keys()) await this.stop(name, 'SIGKILL');
    rmSync(this.#dataDir, { recursive: true, force: true });
  }
}
