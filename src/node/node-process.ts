/**
 * One node: serves the slots that the shard map gives it.
 *
 * Owns: the apply threads, the serving threads, and the calls that write. Each serving thread has
 * handles of its own on the same environments, and reads never wait for the apply threads.
 */
import { mkdirSync } from 'node:fs';
import { systemClock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { settingTable } from '../config/setting-table.ts';
import { mapHandlers } from '../mapchange/map-handlers.ts';
import { mapChangesIn } from '../mapchange/map-log.ts';
import { type LookUps, startLookUps } from '../router/looking-up-router.ts';
import type { SearchPool } from '../search/search-pool.ts';
import type { MapJson } from '../shardmap/map-follower.ts';
import { hasReplicas, parseShardMap, type ShardMap } from '../shardmap/shard-map.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import type { NodeStatus } from '../wire/node-status.ts';
import { readableAnswer } from '../wire/readable-slots.ts';
import { ActingSlots } from './acting-slots.ts';
import type { ApplyLink } from './apply-link.ts';
import { distribute, listenersOf, type NodeParts, startApplyThreads } from './apply-threads.ts';
import { CopyThreads } from './copy-task.ts';
import { lockDataFolder } from './data-folder.ts';
import { HeldSlots } from './held-slots.ts';
import { takeFolder } from './moved-slots.ts';
import { handlersOf } from './node-handlers.ts';
import { NodeHistograms } from './node-histograms.ts';
import { followNodeMap, requireServable } from './node-map.ts';
import type { NodeOptions } from './node-options.ts';
import { NodePeers } from './node-peers.ts';
import { searchedSlots, startNodeSearch } from './node-search.ts';
import { PositionComparison, type PositionComparisonOptions } from './position-comparison.ts';
import type { ListeningPorts, NodeControl, ReadServerSettings } from './read-server.ts';
import { ReplicaReads, withUnmadeChildren } from './replica-reads.ts';
import { ReplicaRebuilds } from './replica-rebuilds.ts';
import type { ThreadMetrics } from './serve-messages.ts';
import { feedsBetween, ServePool, type ServePoolOptions } from './serve-pool.ts';
import { setAsideDamaged } from './slot-attempts.ts';
import { requireNoRestore, slotsToOpen } from './slot-folders.ts';
import { SlotReaders } from './slot-reader.ts';
import { nodeStatus, registerSlotMetrics } from './slot-statuses.ts';
import { SlotVerifier } from './slot-verifier.ts';
import { SlotWrites } from './slot-writes.ts';
import { SnapshotSource } from './snapshot-source.ts';

/** `failed` rejects when the node cannot continue. */
export type RunningNode = AsyncDisposable &
  ListeningPorts & {
    readonly failed: Promise<void>;
    close(): Promise<void>;
  };

type ComparisonParts = Pick<PositionComparisonOptions, 'map' | 'readers' | 'acting' | 'append' | 'fail'>;

function comparisonOf(options: NodeOptions, caller: NodeCaller, parts: ComparisonParts): PositionComparison {
  const { name, beginAgain = [], note = () => {}, clock = systemClock } = options;
  return new PositionComparison({ ...parts, name, caller, beginAgain, note, clock });
}

/** How long a node that fails may take to close, before it ends without. */
const closeMsMax = 10_000;

function serveSettings(
  options: NodeOptions,
  heldSlots: readonly number[],
): Omit<ReadServerSettings, 'reusePort' | 'shareOfLimits' | 'unixPath'> {
  const { name, dataDir, slotMapBytes, prefetchReads, host, allowedHosts, port, adminToken, clusterToken } = options;
  return {
    name,
    heldSlots,
    dataDir,
    slotMapBytes,
    prefetchReads,
    recordCacheBytes: options.recordCacheMib * 2 ** 20,
    host,
    allowedHosts,
    port,
    adminToken,
    clusterToken,
    edge: options.edge ?? null,
    viewToken: options.viewToken ?? null,
    slowMs: options.slowMs ?? settingTable.slowMs.default,
  };
}

type MapParts = {
  readonly threads: ServePool;
  readonly node: Pick<NodeParts, 'links' | 'held'> & { readonly search: SearchPool | null };
  readonly slotReaders: SlotReaders;
  readonly fail: (error: Error) => void;
};

/** Makes what follows the map, which begins once there are threads to give a newer one to. */
function mapParts(
  options: NodeOptions,
  { threads, node, slotReaders, fail }: MapParts,
): Pick<ControlParts, 'peers' | 'saw'> {
  const { name, dataDir, mapJson, clusterToken, note = () => {}, clock = systemClock } = options;
  const maps = followNodeMap({
    name,
    mapJson: mapJson as MapJson,
    storedMaps: options.storedMaps,
    dataDir,
    hasLogServer: (options.logServer ?? null) !== null,
    readMap: options.readMap ?? (() => mapJson),
    readers: slotReaders.bySlot,
    useMap: (newest) => {
      for (const link of node.links) link.useMap(newest.json);
      threads.useMap(newest.json, newest.map);
      node.search?.useSlots(searchedSlots(dataDir, newest.map, name));
      peers.useMap(newest.map);
      node.held?.follow();
    },
    fail,
    note,
    clock,
  });
  const peers = new NodePeers({ name, maps, clusterToken, note, clock });
  const saw = (epoch: number): Promise<void> | null => {
    const wait = peers.process.saw(epoch);
    if (maps.isOutdated) threads.saw(epoch);
    return wait;
  };
  return { peers, saw };
}

/** Errors: DataPlaneError `ConfigInvalid` for a map that the node cannot serve. */
function checkedMap({ name, mapJson, logServer = null }: NodeOptions): ShardMap {
  const map = parseShardMap(mapJson);
  if (!map.nodes.has(name)) throw new DataPlaneError('ConfigInvalid', `the shard map has no node "${name}"`);
  requireServable(map, logServer !== null);
  return map;
}

type HeldReaders = Pick<NodeParts, 'held' | 'readers'>;

/** Makes what is needed of the slots of which the node is a replica. */
function replicaParts(
  options: NodeOptions,
  { threads, peers, node }: Pick<ControlParts, 'threads' | 'peers'> & { readonly node: HeldReaders },
): Pick<ControlParts, 'replicas' | 'rebuilds' | 'copyThreads'> {
  const { name, dataDir, slotMapBytes, note = () => {}, clock = systemClock } = options;
  const lagMsMax = options.readLagMs ?? settingTable.readLagMs.default;
  const map = (): ShardMap => peers.process.maps.map;
  const withUnmade = (slots: readonly number[]): readonly number[] => withUnmadeChildren(slots, map(), node.readers);
  const onChange = (slots: readonly number[]): void => threads.useReadable(slots);
  const replicas = new ReplicaReads({ lagMsMax, withUnmade, onChange, clock });
  const { caller } = peers;
  const onCopied = (): void => node.held?.follow();
  const copyThreads = new CopyThreads();
  const rebuilds = new ReplicaRebuilds({
    name,
    dataDir,
    slotMapBytes,
    caller,
    copyThreads,
    map,
    onCopied,
    note,
    clock,
  });
  return { replicas, rebuilds, copyThreads };
}

/** Makes what the threads of the node record into. */
function histogramsOf(options: NodeOptions, peers: NodePeers, threads: ServePool): NodeHistograms {
  const { name, registry, edge, clock = systemClock } = options;
  const flushWorkers = (): Promise<ThreadMetrics[]> => threads.workerMetrics();
  const slots = (): number => peers.process.maps.map.slots;
  return new NodeHistograms({ name, slots, hasEdge: edge !== undefined, registry, flushWorkers, clock });
}

type OwnParts = Pick<ServePoolOptions, 'readers' | 'control' | 'writes'>;

/** Returns what serving threads get of the main one. */
function servePartsOf(
  { registry, note = () => {}, clock = systemClock }: NodeOptions,
  parts: OwnParts,
  histograms: NodeHistograms,
  onFault: (error: Error) => void,
): Omit<ServePoolOptions, 'settings' | 'mapJson' | 'inlets' | 'onDeath'> {
  const { recording } = histograms;
  return {
    ...parts,
    registry,
    recording,
    onRecorded: (interval, thread) => histograms.add(interval, thread),
    onFault,
    note,
    clock,
  };
}

/** Returns what closes a node of which a serving thread has failed, and then fails it. */
function stopperOf(
  { note = () => {}, clock = systemClock }: NodeOptions,
  close: () => Promise<void>,
  fail: (error: Error) => void,
): (error: Error) => void {
  return (error) => {
    note('a serving thread failed, and the node stops', { because: error.message });
    const stop = new AbortController();
    // Apply threads are whole and flush; each thread frees uWebSockets before it ends.
    void Promise.race([close().catch(() => {}), clock.sleep(closeMsMax, stop.signal)]).then(() => {
      stop.abort();
      fail(error);
    });
  };
}

type ClosedParts = ControlParts & Omit<ControlledParts, 'control'> & { readonly lock: AsyncDisposable | null };

/** Returns what closes a node, once. */
function closerOf(parts: ClosedParts): () => Promise<void> {
  const { peers, threads, links, replicas, histograms, search, comparison, lookUps, lock } = parts;
  const closeAll = async (): Promise<void> => {
    comparison.stop();
    await parts.held[Symbol.asyncDispose]();
    replicas[Symbol.dispose]();
    await parts.rebuilds[Symbol.asyncDispose]();
    await parts.snapshots[Symbol.asyncDispose]();
    await parts.copyThreads[Symbol.asyncDispose]();
    await parts.verifier[Symbol.asyncDispose]();
    await peers.process.stop();
    await threads[Symbol.asyncDispose]();
    lookUps?.[Symbol.dispose]();
    await peers[Symbol.asyncDispose]();
    await search?.[Symbol.asyncDispose]();
    await Promise.all(links.map((link) => link[Symbol.asyncDispose]()));
    await parts.slotReaders[Symbol.asyncDispose]();
    histograms[Symbol.dispose]();
    await lock?.[Symbol.asyncDispose]();
  };
  let closing: Promise<void> | null = null;
  return () => {
    closing ??= closeAll();
    return closing;
  };
}

/**
 * Opens the node's slots and serves them.
 *
 * Errors: DataPlaneError `ConfigInvalid` if the map does not name the node or the port is taken;
 * `DataInUse` for a folder that another process serves.
 */
export async function startNode(given: NodeOptions): Promise<RunningNode> {
  const { name, dataDir, serveThreads = 1, note = () => {} } = given;
  const startMap = checkedMap(given);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  requireNoRestore(dataDir);
  const lock = await lockDataFolder(dataDir, note);
  const failure = Promise.withResolvers<void>();
  failure.promise.catch(() => {});
  const threads = new ServePool();
  const slotReaders = new SlotReaders(dataDir, given.slotMapBytes);
  const none = { links: [], readers: slotReaders.bySlot, held: null, search: null, comparison: null };
  const node: NodeParts & { search: SearchPool | null } = none;
  const { peers, saw } = mapParts(given, { threads, node, slotReaders, fail: failure.reject });
  // A former primary must not open slots of which another one has become the primary meanwhile.
  if (hasReplicas(startMap)) await peers.process.reload();
  const { map, json: mapJson } = peers.process.maps.held;
  setAsideDamaged({ dataDir, name, map, note });
  await takeFolder(dataDir, map, name, note);
  const options: NodeOptions = { ...given, mapJson };
  const hasLogServer = (options.logServer ?? null) !== null;
  const slots = slotsToOpen(dataDir, map, name, options.beginAgain);
  const slotsOfThreads = distribute(slots, options.applyThreads, hasLogServer);
  const acting = new ActingSlots();
  const { replicas, rebuilds, copyThreads } = replicaParts(options, { threads, peers, node });
  const histograms = histogramsOf(options, peers, threads);
  const feeds = feedsBetween(slotsOfThreads.length, serveThreads);
  const shared = { peers, saw, threads, acting, replicas, rebuilds, copyThreads, histograms, fail: failure.reject };
  const listeners = listenersOf(options, { ...shared, node });
  node.links = await startApplyThreads(options, map, slotsOfThreads, feeds.outlets, listeners).catch(
    async (thrown: unknown) => {
      histograms[Symbol.dispose]();
      replicas[Symbol.dispose]();
      await peers[Symbol.asyncDispose]();
      await lock?.[Symbol.asyncDispose]();
      throw thrown;
    },
  );
  slotReaders.open(slots);
  const { links } = node;
  node.search = startNodeSearch(options, { held: slots, ...searchedSlots(dataDir, map, name) }, links, feeds.commits);
  const controlParts = { ...shared, search: node.search, links, slotReaders };
  const controlled = controlOf(options, controlParts);
  const { control, comparison, held } = controlled;
  const close = closerOf({ ...controlParts, ...controlled, lock });
  const stopAfter = stopperOf(options, close, failure.reject);
  const settings = serveSettings(options, slots);
  const parts = servePartsOf(
    options,
    { readers: slotReaders.bySlot, control, writes: feeds.writes },
    histograms,
    stopAfter,
  );
  const { port, routerPort, http2Port } = await threads
    .start({ ...parts, settings, mapJson: options.mapJson, inlets: feeds.inlets, onDeath: stopAfter })
    .catch(async (thrown: unknown) => {
      // The caller gets no node to close.
      await close();
      throw thrown;
    });
  threads.useReadable(replicas.slots);
  for (const link of links) link.readersAreOpen();
  node.held = held;
  held.follow();
  peers.process.start();
  node.comparison = comparison;
  comparison.start().catch(failure.reject);
  return { port, routerPort, http2Port, failed: failure.promise, close, [Symbol.asyncDispose]: close };
}

type ControlParts = {
  readonly search: SearchPool | null;
  readonly links: readonly ApplyLink[];
  readonly slotReaders: SlotReaders;
  readonly acting: ActingSlots;
  readonly replicas: ReplicaReads;
  readonly rebuilds: ReplicaRebuilds;
  readonly copyThreads: CopyThreads;
  readonly peers: NodePeers;
  readonly saw: (epoch: number) => Promise<void> | null;
  readonly threads: ServePool;
  readonly histograms: NodeHistograms;
  readonly fail: (error: Error) => void;
};

type ControlledParts = {
  readonly control: NodeControl;
  readonly comparison: PositionComparison;
  readonly lookUps: LookUps | null;
  readonly held: HeldSlots;
  readonly snapshots: SnapshotSource;
  readonly verifier: SlotVerifier;
};

/** Makes what the main thread does for all serving threads. */
function controlOf(options: NodeOptions, parts: ControlParts): ControlledParts {
  const { search, links, slotReaders, acting, replicas, rebuilds, peers, saw, threads, histograms, fail } = parts;
  const { name, dataDir, slotMapBytes, registry, note = () => {}, clock = systemClock } = options;
  const { bySlot: readers } = slotReaders;
  const { maps } = peers.process;
  const map = (): ShardMap => maps.map;
  const status = (): Promise<NodeStatus> =>
    nodeStatus({ name, dataDir }, maps.map, links, {
      fetches: rebuilds.progress,
      histograms: histograms.memory,
      slotMapBytes,
      search,
    });
  registerSlotMetrics(registry, links, { name, map, rebuilds });
  const writes = new SlotWrites(links, readers, map, name);
  const comparison = comparisonOf(options, peers.caller, {
    map,
    readers,
    acting,
    append: (slot, entry) => writes.appendLifecycle(slot, entry),
    fail,
  });
  const isServed = (slot: number): boolean => readers.has(slot) && (acting.has(slot) || replicas.slots.includes(slot));
  const snapshots = new SnapshotSource({ dataDir, slotMapBytes, isServed, copyThreads: parts.copyThreads, clock });
  const verifier = new SlotVerifier({ dataDir, slotMapBytes, hasSlot: (slot) => readers.has(slot), clock });
  const ownParts = { name, dataDir, slotMapBytes, map, readers: slotReaders, writes, snapshots, verifier, note, clock };
  const held = new HeldSlots({ ...parts, ...ownParts });
  const lookUps = options.edge === undefined ? null : startLookUps(options.edge, options.clock);
  const control: NodeControl = {
    handlers: new Map([
      ...handlersOf({ search, readers, map, node: name, status, writes, comparison, rebuilds }),
      ...mapHandlers(maps, clock, () => mapChangesIn(dataDir)),
      ...snapshots.handlers(),
      [nodeCalls.verify, verifier.handler],
      [nodeCalls.histograms, histograms.handler],
      [nodeCalls.live, histograms.liveHandler],
      [nodeCalls.readable, () => readableAnswer.encode({ slots: [...replicas.slots] })],
    ]),
    map,
    readable: () => replicas.slots,
    saw,
    refusal: () => maps.refusal(),
    reload: () => peers.process.reload(),
    mapAdmin: peers.process,
    status,
    metricsText: () => threads.metricsText(registry),
    histograms: histograms.source,
    live: histograms.live,
    askingIngest: options.askingIngest ?? {},
    identity: lookUps?.source ?? null,
  };
  return { control, comparison, lookUps, held, snapshots, verifier };
}
