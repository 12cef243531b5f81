/**
 * One node: serves the slots that the shard map gives it.
 *
 * Owns: the apply threads, the serving threads, and the calls that write. Each serving thread has
 * handles of its own on the same environments, and reads never wait for the apply threads.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import type { Registry } from 'prom-client';
import { type Clock, systemClock } from '../base/clock.ts';
import type { CrashPoint } from '../base/crash-point.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { LogServer } from '../log/log-server.ts';
import { mapHandlers } from '../mapchange/map-handlers.ts';
import { type LookUps, startLookUps } from '../router/looking-up-router.ts';
import type { AskingIngest } from '../router/router-server.ts';
import type { SearchPool } from '../search/search-pool.ts';
import type { MapJson, StoredMaps } from '../shardmap/map-follower.ts';
import { hasReplicas, heldSlotsOf, parseShardMap, type ShardMap, slotsOfNode } from '../shardmap/shard-map.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import type { NodeStatus } from '../wire/node-status.ts';
import { ActingSlots } from './acting-slots.ts';
import { ApplyLink, type ApplyLinkOptions } from './apply-link.ts';
import type { ChangeOutlets } from './change-feed.ts';
import { lockDataFolder } from './data-folder.ts';
import { handlersOf } from './node-handlers.ts';
import { followNodeMap, requireServable } from './node-map.ts';
import { NodePeers } from './node-peers.ts';
import { startNodeSearch } from './node-search.ts';
import { PositionComparison, type PositionComparisonOptions } from './position-comparison.ts';
import type { EdgeSettings, ListeningPorts, NodeControl, ReadServerSettings } from './read-server.ts';
import { feedsBetween, ServePool } from './serve-pool.ts';
import { conditionsOfMissing, noteSlotsMade } from './slot-folders.ts';
import { quarantineNoter } from './slot-quarantine.ts';
import { openReaders, reopenReplaced, type SlotReader } from './slot-reader.ts';
import { nodeStatus, registerSlotMetrics } from './slot-statuses.ts';
import { SlotWrites } from './slot-writes.ts';

/** Settings are checked, the map is not. */
export type NodeOptions = {
  readonly name: string;
  /** The parsed JSON of the shard map. */
  readonly mapJson: unknown;
  /** What an earlier process of this node stored of maps. */
  readonly storedMaps?: StoredMaps;
  /** Reads the map again, after a peer's frame carried a newer epoch. Errors: DataPlaneError. */
  readonly readMap?: () => unknown;
  readonly dataDir: string;
  readonly host: string;
  readonly allowedHosts?: readonly string[];
  /** 0 takes any free port. */
  readonly port: number;
  /** Where the logs of the slots are; absent: in their folders. */
  readonly logServer?: LogServer | null;
  /** Slots that may begin again where their folders are lost. */
  readonly beginAgain?: readonly number[];
  readonly slotMapBytes: number;
  readonly lingerMs: number;
  /** See the setting; absent: no slot is compacted by itself. */
  readonly compactQuietS?: number;
  /** The node's slots are distributed over this many apply threads. */
  readonly applyThreads: number;
  /** Threads that serve all slots of the node; absent: one. */
  readonly serveThreads?: number;
  /** Threads that answer searches; absent or 0: the node has no search index. */
  readonly searchThreads?: number;
  /** Where the node also answers as a router; absent: nowhere. */
  readonly edge?: EdgeSettings | undefined;
  /** What the edge has ingest do; absent without ingest. */
  readonly askingIngest?: AskingIngest;
  /** Reads pages on other threads before it answers, for data that is larger than memory. */
  readonly prefetchReads: boolean;
  /** Capacity of the cache of records; 0 caches none. Units: MiB. */
  readonly recordCacheMib: number;
  readonly adminToken: string | null;
  readonly clusterToken: string | null;
  readonly registry: Registry;
  /** Called for what an operator should know although the node goes on. */
  readonly note?: (message: string, fields: Record<string, unknown>) => void;
  readonly crashPoint?: { readonly point: CrashPoint; readonly nth: number } | null;
  readonly clock?: Clock;
};

/** `failed` rejects when the node cannot continue. */
export type RunningNode = AsyncDisposable &
  ListeningPorts & {
    readonly failed: Promise<void>;
    close(): Promise<void>;
  };

type ThreadListeners = Pick<
  ApplyLinkOptions,
  'onChange' | 'onDeath' | 'onNewerEpoch' | 'onQuarantine' | 'onActing' | 'onReplaced'
>;

/** Starts the apply threads, and waits until each has opened its slots; ends all if one fails. */
async function startApplyThreads(
  options: NodeOptions,
  map: ShardMap,
  slotsOfThreads: readonly (readonly number[])[],
  outlets: readonly ChangeOutlets[],
  listeners: ThreadListeners,
): Promise<ApplyLink[]> {
  const trustedCertificates = map.tls === null ? null : readFileSync(map.tls.certFile);
  const slots = slotsOfNode(map, options.name);
  const { dataDir, beginAgain = [] } = options;
  const conditionBySlot = conditionsOfMissing({
    dataDir,
    slots,
    isOnlyNode: new Set(map.primaryBySlot).size === 1,
    // Where there are replicas, other nodes have the same slots.
    mayBeElsewhere: hasReplicas(map),
    beginAgain,
  });
  const needless = beginAgain.filter((slot) => slots.includes(slot) && conditionBySlot[slot] === undefined);
  if (needless.length > 0) {
    options.note?.('these slots are there and do not begin again: leave out --begin-again', { slots: needless });
  }
  const links = slotsOfThreads.map(
    (slots, thread) =>
      new ApplyLink({
        node: options.name,
        mapJson: options.mapJson,
        slots,
        dataDir,
        conditionBySlot,
        slotMapBytes: options.slotMapBytes,
        lingerMs: options.lingerMs,
        compactQuietMs: (options.compactQuietS ?? 0) * 1000,
        isSearched: (options.searchThreads ?? 0) > 0,
        logServer: options.logServer ?? null,
        clusterToken: options.clusterToken,
        trustedCertificates,
        crashPoint: options.crashPoint ?? null,
        feeds: outlets[thread]!,
        ...listeners,
        note: options.note ?? (() => {}),
      }),
  );
  await Promise.all(links.map((link) => link.ready())).catch(async (thrown: unknown) => {
    await Promise.all(links.map((link) => link[Symbol.asyncDispose]()));
    throw thrown;
  });
  noteSlotsMade(dataDir, heldSlotsOf(map, options.name));
  return links;
}

type ComparisonParts = Pick<PositionComparisonOptions, 'map' | 'readers' | 'acting' | 'append' | 'fail'>;

function comparisonOf(options: NodeOptions, caller: NodeCaller, parts: ComparisonParts): PositionComparison {
  const { name, beginAgain = [], note = () => {}, clock = systemClock } = options;
  return new PositionComparison({ ...parts, name, caller, beginAgain, note, clock });
}

type ReplacedParts = Pick<ControlParts, 'peers'> &
  Pick<MapParts, 'links'> & { readonly note: (message: string, fields: Record<string, unknown>) => void };

/** Asks for a newer map after another process has opened a slot, and gives the one in force on. */
async function askAfter(slot: number, { peers, links, note }: ReplacedParts): Promise<void> {
  note(`another process has opened slot ${slot}, and acts for it; this one asks for a newer map`, { slot });
  await peers.process.reload();
  for (const link of links()) if (link.slots.has(slot)) link.useMap(peers.process.maps.held.json);
}

/** How long a node that fails may take to close, before it ends without. */
const closeMsMax = 10_000;

function serveSettings(
  options: NodeOptions,
  map: ShardMap,
): Omit<ReadServerSettings, 'reusePort' | 'shareOfLimits' | 'unixPath'> {
  const { name, dataDir, slotMapBytes, prefetchReads, host, allowedHosts, port, adminToken, clusterToken } = options;
  return {
    name,
    heldSlots: heldSlotsOf(map, name),
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
  };
}

type MapParts = {
  readonly threads: ServePool;
  readonly links: () => readonly ApplyLink[];
  readonly fail: (error: Error) => void;
};

/** Makes what follows the map, which begins once there are threads to give a newer one to. */
function mapParts(options: NodeOptions, { threads, links, fail }: MapParts): Pick<ControlParts, 'peers' | 'saw'> {
  const { name, dataDir, mapJson, clusterToken, note = () => {}, clock = systemClock } = options;
  const maps = followNodeMap({
    name,
    mapJson: mapJson as MapJson,
    storedMaps: options.storedMaps,
    dataDir,
    hasLogServer: (options.logServer ?? null) !== null,
    readMap: options.readMap ?? (() => mapJson),
    useMap: (newest) => {
      for (const link of links()) link.useMap(newest.json);
      threads.useMap(newest.json, newest.map);
      peers.useMap(newest.map);
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

/**
 * Opens the node's slots and serves them.
 *
 * Errors: DataPlaneError `ConfigInvalid` if the map does not name the node or the port is taken;
 * `DataInUse` for a folder that another process serves.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { name, dataDir, registry, serveThreads = 1 } = options;
  const map = parseShardMap(options.mapJson);
  if (!map.nodes.has(name)) throw new DataPlaneError('ConfigInvalid', `the shard map has no node "${name}"`);
  requireServable(map, (options.logServer ?? null) !== null);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const { note = () => {}, clock = systemClock } = options;
  const lock = await lockDataFolder(dataDir, note);
  const failure = Promise.withResolvers<void>();
  failure.promise.catch(() => {});
  const threads = new ServePool();
  let links: readonly ApplyLink[] = [];
  let readers: ReadonlyMap<number, SlotReader> = new Map();
  const { peers, saw } = mapParts(options, { threads, links: () => links, fail: failure.reject });
  const slotsOfThreads = distribute(heldSlotsOf(map, name), options.applyThreads);
  const acting = new ActingSlots();
  const feeds = feedsBetween(slotsOfThreads.length, serveThreads);
  links = await startApplyThreads(options, map, slotsOfThreads, feeds.outlets, {
    onChange: (slot, changes) => {
      reopenReplaced(readers, slot, changes);
      // Commits can arrive before the caches exist.
      threads.main?.reads.invalidate(slot, changes);
    },
    onDeath: failure.reject,
    onActing: (slot, acts) => acting.set(slot, acts),
    onReplaced: (slot) => void askAfter(slot, { peers, links: () => links, note }).catch(failure.reject),
    onQuarantine: quarantineNoter(registry, note),
    // It comes again with the next frame, once all threads can be given a map.
    onNewerEpoch: (epoch) => void (links.length > 0 && saw(epoch)),
  }).catch(async (thrown: unknown) => {
    await peers[Symbol.asyncDispose]();
    await lock?.[Symbol.asyncDispose]();
    throw thrown;
  });
  readers = openReaders(heldSlotsOf(map, name), dataDir, options.slotMapBytes);
  const search = startNodeSearch(options, map, links);
  const { control, comparison, lookUps } = controlOf(options, {
    search,
    links,
    readers,
    acting,
    peers,
    saw,
    threads,
    fail: failure.reject,
  });
  const closeAll = async (): Promise<void> => {
    comparison.stop();
    await peers.process.stop();
    await threads[Symbol.asyncDispose]();
    lookUps?.[Symbol.dispose]();
    await peers[Symbol.asyncDispose]();
    await search?.[Symbol.asyncDispose]();
    await Promise.all(links.map((link) => link[Symbol.asyncDispose]()));
    for (const { environment } of readers.values()) await environment.close();
    await lock?.[Symbol.asyncDispose]();
  };
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closing ??= closeAll();
    return closing;
  };
  // Apply threads are whole and flush; each thread frees uWebSockets before it ends.
  const stopAfter = (error: Error): void => {
    note('a serving thread failed, and the node stops', { because: error.message });
    const stop = new AbortController();
    void Promise.race([close().catch(() => {}), clock.sleep(closeMsMax, stop.signal)]).then(() => {
      stop.abort();
      failure.reject(error);
    });
  };
  const settings = serveSettings(options, map);
  const parts = { readers, control, writes: feeds.writes, registry, onFault: stopAfter, note, clock };
  const { port, routerPort, http2Port } = await threads
    .start({ ...parts, settings, mapJson: options.mapJson, inlets: feeds.inlets, onDeath: stopAfter })
    .catch(async (thrown: unknown) => {
      // The caller gets no node to close.
      await close();
      throw thrown;
    });
  for (const link of links) link.readersAreOpen();
  peers.process.start();
  comparison.start().catch(failure.reject);
  return { port, routerPort, http2Port, failed: failure.promise, close, [Symbol.asyncDispose]: close };
}

type ControlParts = {
  readonly search: SearchPool | null;
  readonly links: readonly ApplyLink[];
  readonly readers: ReadonlyMap<number, SlotReader>;
  readonly acting: ActingSlots;
  readonly peers: NodePeers;
  readonly saw: (epoch: number) => Promise<void> | null;
  readonly threads: ServePool;
  readonly fail: (error: Error) => void;
};

/** Makes what the main thread does for all serving threads. */
function controlOf(
  options: NodeOptions,
  { search, links, readers, acting, peers, saw, threads, fail }: ControlParts,
): { readonly control: NodeControl; readonly comparison: PositionComparison; readonly lookUps: LookUps | null } {
  const { name, registry } = options;
  const { maps } = peers.process;
  const map = (): ShardMap => maps.map;
  const status = (): Promise<NodeStatus> => nodeStatus(name, maps.map, links);
  registerSlotMetrics(registry, links);
  const writes = new SlotWrites(links, readers, map, name);
  const comparison = comparisonOf(options, peers.caller, {
    map,
    readers,
    acting,
    append: (slot, entry) => writes.appendLifecycle(slot, entry),
    fail,
  });
  const lookUps = options.edge === undefined ? null : startLookUps(options.edge, options.clock);
  const control: NodeControl = {
    handlers: new Map([
      ...handlersOf({ search, readers, map, node: name, status, writes, comparison }),
      ...mapHandlers(maps, options.clock ?? systemClock),
    ]),
    map,
    saw,
    refusal: () => maps.refusal(),
    reload: () => peers.process.reload(),
    mapAdmin: peers.process,
    status,
    metricsText: () => threads.metricsText(registry),
    askingIngest: options.askingIngest ?? {},
    identity: lookUps?.source ?? null,
  };
  return { control, comparison, lookUps };
}

function distribute(slots: readonly number[], threads: number): number[][] {
  const count = Math.max(1, Math.min(threads, slots.length));
  return Array.from({ length: count }, (_unused, thread) => slots.filter((_slot, index) => index % count === thread));
}
