/**
 * The threads of a node that serve: the main one alone, or several workers.
 *
 * Beside workers the main thread serves nothing, so that a read that waits for the disk holds up
 * neither the writes, which pass through the main thread, nor the map.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { AggregatorRegistry, type Registry } from 'prom-client';
import { lockPort } from '../http/port-lock.ts';
import type { Interval } from '../metrics/recording.ts';
import type { WriteCount } from '../router/plan/shared-answers.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { exchangeEnds } from './call-exchange.ts';
import { type ChangeOutlets, sharedCommitCount, sharedCounts, sharedWriteCount } from './change-feed.ts';
import { wireSocketPath } from './data-folder.ts';
import { type ListeningPorts, ReadServer, type ReadServerParts, type ReadServerSettings } from './read-server.ts';
import { ServeLink } from './serve-link.ts';
import type { ThreadMetrics } from './serve-messages.ts';

/** The channels from each apply thread to each serving thread that is a worker. */
export type Feeds = {
  readonly outlets: readonly ChangeOutlets[];
  readonly inlets: readonly ChangeOutlets[];
  readonly writes: WriteCount;
  /** See sharedCommitCount. */
  readonly commits: Int32Array;
};

/** Makes the channels, and the count that all threads share. One serving thread needs no worker. */
export function feedsBetween(applyThreads: number, serveThreads: number): Feeds {
  const counts = sharedCounts();
  const outlets: MessagePort[][] = Array.from({ length: applyThreads }, () => []);
  const inlets: MessagePort[][] = Array.from({ length: serveThreads === 1 ? 0 : serveThreads }, () => []);
  for (const from of outlets) {
    for (const to of inlets) {
      const { port1, port2 } = new MessageChannel();
      from.push(port1);
      to.push(port2);
    }
  }
  const withCount = (ports: readonly MessagePort[]): ChangeOutlets => ({ ports, counts });
  return {
    outlets: outlets.map(withCount),
    inlets: inlets.map(withCount),
    writes: sharedWriteCount(counts),
    commits: sharedCommitCount(counts),
  };
}

export type ServePoolOptions = Omit<ReadServerParts, 'beforeRead' | 'exchange'> & {
  readonly settings: Omit<ReadServerSettings, 'reusePort' | 'shareOfLimits' | 'unixPath'>;
  /** The map that the node starts with. */
  readonly mapJson: unknown;
  /** One for each worker; none if the main thread serves. */
  readonly inlets: readonly ChangeOutlets[];
  /** Called with what a worker recorded. */
  readonly onRecorded: (interval: Interval, thread: string) => void;
  readonly onDeath: (error: Error) => void;
};

/** Of all threads of a node. */
type SharedSettings = Omit<ReadServerSettings, 'unixPath'>;

/** Returns the settings with real ports, which no other process can take while they are locked. */
async function withLockedPorts(settings: SharedSettings, locks: AsyncDisposable[]): Promise<SharedSettings> {
  const lock = async (host: string, port: number): Promise<number> => {
    const taken = await lockPort(host, port);
    locks.push(taken);
    return taken.port;
  };
  const { edge } = settings;
  const port = await lock(settings.host, settings.port);
  if (edge === null) return { ...settings, port };
  const routerPort = await lock(edge.host, edge.routerPort);
  const http2Port = edge.http2Port === null ? null : await lock(edge.host, edge.http2Port);
  return { ...settings, port, edge: { ...edge, routerPort, http2Port } };
}

export class ServePool implements AsyncDisposable {
  /** Null unless it serves. */
  main: ReadServer | null = null;
  readonly #workers: ServeLink[] = [];
  readonly #locks: AsyncDisposable[] = [];
  /** Of the newest map; undefined until that is not the first. */
  #newestMapJson: unknown;

  /** Starts all threads, and waits until they listen. Errors: see `ReadServer.listen`. */
  async start({ settings, mapJson, inlets, onRecorded, onDeath, ...parts }: ServePoolOptions): Promise<ListeningPorts> {
    const unixPathOf = (thread: number): string => wireSocketPath(settings.dataDir, thread);
    if (inlets.length === 0) {
      const alone = { ...settings, reusePort: false, shareOfLimits: 1, unixPath: unixPathOf(0) };
      this.main = new ReadServer(alone, { ...parts, exchange: null });
      await this.main.listen();
      return this.main;
    }
    const shared = { ...settings, reusePort: true, shareOfLimits: 1 / inlets.length };
    const withPorts = await withLockedPorts(shared, this.#locks);
    const { control, note } = parts;
    const mapInForce = (): unknown => this.#newestMapJson ?? mapJson;
    const ends = exchangeEnds(inlets.length);
    for (const [index, feeds] of inlets.entries()) {
      const thread = index + 1;
      const settings = { ...withPorts, unixPath: unixPathOf(thread) };
      const worker = { settings, feeds, exchange: ends[index]!, thread };
      const onInterval = (interval: Interval): void => onRecorded(interval, `serve-${thread}`);
      this.#workers.push(new ServeLink({ thread: worker, control, mapJson: mapInForce, note, onInterval, onDeath }));
    }
    await Promise.all(this.#workers.map((link) => link.ready()));
    const { port, edge } = withPorts;
    return { port, routerPort: edge?.routerPort ?? null, http2Port: edge?.http2Port ?? null };
  }

  useMap(mapJson: unknown, map: ShardMap): void {
    this.#newestMapJson = mapJson;
    this.main?.useMap(map);
    for (const link of this.#workers) link.useMap(mapJson);
  }

  /** Takes the slots that this node answers reads of as a replica. */
  useReadable(slots: readonly number[]): void {
    this.main?.readableChanged();
    for (const link of this.#workers) link.useReadable(slots);
  }

  /**
   * Has workers read slots, or forget them; the main thread's readers have come or gone already.
   * Resolves once all have, and reads that had begun before have ended.
   */
  async changeSlots(type: 'open-slots' | 'leave-slots', slots: readonly number[]): Promise<void> {
    this.main?.readableChanged();
    await Promise.all([this.main?.begunHaveEnded(), ...this.#workers.map((link) => link.changeSlots(type, slots))]);
  }

  /** Says that a peer has a newer map than this process. */
  saw(epoch: number): void {
    for (const link of this.#workers) link.saw(epoch);
  }

  /** Returns the metrics of all threads, those of workers labelled. `registry` is the main's. */
  async metricsText(registry: Registry): Promise<string> {
    if (this.#workers.length === 0) return await registry.metrics();
    // Each says first what it recorded, which the histograms of the main thread hold.
    const workers = await Promise.all(this.#workers.map((link) => link.metrics()));
    const all = [await registry.getMetricsAsJSON(), ...workers];
    return await AggregatorRegistry.aggregate(all as object[]).metrics();
  }

  /** Returns the metrics of workers, each of which says first what it has recorded. */
  workerMetrics(): Promise<ThreadMetrics[]> {
    return Promise.all(this.#workers.map((link) => link.metrics()));
  }

  /** Lets running calls end, closes all sockets, and only then ends the threads. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.main?.close(), ...this.#workers.map((link) => link[Symbol.asyncDispose]())]);
    for (const lock of this.#locks) await lock[Symbol.asyncDispose]();
  }
}
