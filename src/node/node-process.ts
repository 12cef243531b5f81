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
import { parseShardMap, type ShardMap, slotsOfNode } from '../shardmap/shard-map.ts';
import { didsOfSlotAnswer, didsOfSlotRequest } from '../wire/dids-of-slot.ts';
import type { CallHandler, NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { type NodeStatus, nodeStatusMessage } from '../wire/node-status.ts';
import { reposToResyncAnswer, reposToResyncRequest } from '../wire/repos-to-resync.ts';
import { comparePositionsRequest, positionsAnswer, positionsRequest } from '../wire/slot-positions.ts';
import { ApplyLink, type ApplyLinkOptions } from './apply-link.ts';
import type { ChangeOutlets } from './change-feed.ts';
import { lockDataFolder } from './data-folder.ts';
import { didsOfSlot } from './dids-of-slot.ts';
import { followNodeMap } from './node-map.ts';
import { NodePeers } from './node-peers.ts';
import { searchHandlers, startNodeSearch } from './node-search.ts';
import { PositionComparison, type PositionComparisonOptions, positionsOf } from './position-comparison.ts';
import type { EdgeSettings, ListeningPorts, NodeControl, ReadServerSettings } from './read-server.ts';
import { feedsBetween, ServePool } from './serve-pool.ts';
import { conditionsOfMissing, noteSlotsMade } from './slot-folders.ts';
import { quarantineHandlers, quarantineNoter } from './slot-quarantine.ts';
import { openReaders, reopenReplaced, reposOf, type SlotReader } from './slot-reader.ts';
import { nodeStatus, registerSlotMetrics } from './slot-statuses.ts';
import { SlotWrites } from './slot-writes.ts';
import { storedRepoHandlers } from './stored-repo.ts';

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

/** Starts the apply threads, and waits until each has opened its slots; ends all if one fails. */
async function startApplyThreads(
  options: NodeOptions,
  map: ShardMap,
  slotsOfThreads: readonly (readonly number[])[],
  outlets: readonly ChangeOutlets[],
  listeners: Pick<ApplyLinkOptions, 'onChange' | 'onDeath' | 'onNewerEpoch' | 'onQuarantine'>,
): Promise<ApplyLink[]> {
  const trustedCertificates = map.tls === null ? null : readFileSync(map.tls.certFile);
  const slots = slotsOfNode(map, options.name);
  const { dataDir, beginAgain = [] } = options;
  const conditionBySlot = conditionsOfMissing({
    dataDir,
    slots,
    isOnlyNode: new Set(map.primaryBySlot).size === 1,
    beginAgain,
  });
  const needless = beginAgain.filter((slot) => slots.includes(slot) && conditionBySlot[slot] === undefined);
  if (needless.length > 0) {
    options.note?.('these slots are there and do not begin again: leave out --begin-again', { slots: needless });
  }
  const links = slotsOfThreads.map(
    (slots, thread) =>
      new ApplyLink({
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
  noteSlotsMade(dataDir, slots);
  return links;
}

type Parts = {
  readonly search: SearchPool | null;
  readonly readers: ReadonlyMap<number, SlotReader>;
  readonly status: () => Promise<NodeStatus>;
  readonly slots: number;
  readonly writes: SlotWrites;
  readonly comparison: PositionComparison;
};

/** Returns the handlers of the calls that are no reads, by name. */
function handlersOf({ readers, status, writes, comparison, slots, search }: Parts): Map<string, CallHandler> {
  return new Map<string, CallHandler>([
    [nodeCalls.append, (payload) => writes.append(payload)],
    [nodeCalls.write, (payload) => writes.write(payload)],
    [nodeCalls.digest, (payload) => writes.digest(payload)],
    [nodeCalls.compact, (payload) => writes.compact(payload)],
    ...quarantineHandlers(readers, writes),
    ...storedRepoHandlers(readers, slots),
    ...searchHandlers(search),
    [
      nodeCalls.reposToResync,
      (payload) => reposToResyncAnswer.encode(reposOf(readers, reposToResyncRequest.decode(payload))),
    ],
    [
      nodeCalls.didsOf,
      (payload) => didsOfSlotAnswer.encode(didsOfSlot(readers, { ...didsOfSlotRequest.decode(payload), slots })),
    ],
    [
      nodeCalls.positions,
      (payload) => {
        comparison.requireOpened();
        return positionsAnswer.encode(positionsOf(readers, positionsRequest.decode(payload).slots));
      },
    ],
    [
      nodeCalls.comparePositions,
      (payload) => {
        void comparison.compare(comparePositionsRequest.decode(payload).node);
        return Buffer.alloc(0);
      },
    ],
    [nodeCalls.status, async () => nodeStatusMessage.encode(await status())],
  ]);
}

type ComparisonParts = Pick<PositionComparisonOptions, 'map' | 'readers' | 'opened' | 'append' | 'fail'>;

function comparisonOf(options: NodeOptions, caller: NodeCaller, parts: ComparisonParts): PositionComparison {
  const { name, beginAgain = [], note = () => {}, clock = systemClock } = options;
  return new PositionComparison({ ...parts, name, caller, beginAgain, note, clock });
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
    ownSlots: slotsOfNode(map, name),
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
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const { note = () => {}, clock = systemClock } = options;
  const lock = await lockDataFolder(dataDir, note);
  const failure = Promise.withResolvers<void>();
  failure.promise.catch(() => {});
  const threads = new ServePool();
  let links: readonly ApplyLink[] = [];
  let readers: ReadonlyMap<number, SlotReader> = new Map();
  const { peers, saw } = mapParts(options, { threads, links: () => links, fail: failure.reject });
  const slotsOfThreads = distribute(slotsOfNode(map, name), options.applyThreads);
  const feeds = feedsBetween(slotsOfThreads.length, serveThreads);
  links = await startApplyThreads(options, map, slotsOfThreads, feeds.outlets, {
    onChange: (slot, changes) => {
      reopenReplaced(readers, slot, changes);
      // Commits can arrive before the caches exist.
      threads.main?.reads.invalidate(slot, changes);
    },
    onDeath: failure.reject,
    onQuarantine: quarantineNoter(registry, note),
    // It comes again with the next frame, once all threads can be given a map.
    onNewerEpoch: (epoch) => void (links.length > 0 && saw(epoch)),
  }).catch(async (thrown: unknown) => {
    await peers[Symbol.asyncDispose]();
    await lock?.[Symbol.asyncDispose]();
    throw thrown;
  });
  readers = openReaders(slotsOfNode(map, name), dataDir, options.slotMapBytes);
  const search = startNodeSearch(options, map, links);
  const { control, comparison, lookUps } = controlOf(options, {
    search,
    links,
    readers,
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
  readonly peers: NodePeers;
  readonly saw: (epoch: number) => Promise<void> | null;
  readonly threads: ServePool;
  readonly fail: (error: Error) => void;
};

/** Makes what the main thread does for all serving threads. */
function controlOf(
  options: NodeOptions,
  { search, links, readers, peers, saw, threads, fail }: ControlParts,
): { readonly control: NodeControl; readonly comparison: PositionComparison; readonly lookUps: LookUps | null } {
  const { name, registry } = options;
  const { maps } = peers.process;
  const { slots } = maps.map;
  const status = (): Promise<NodeStatus> => nodeStatus(name, maps.map, links);
  registerSlotMetrics(registry, links);
  const writes = new SlotWrites(links, readers, slots);
  const comparison = comparisonOf(options, peers.caller, {
    map: () => maps.map,
    readers,
    opened: Promise.all(links.map((link) => link.opened())),
    append: (slot, entry) => writes.appendLifecycle(slot, entry),
    fail,
  });
  const lookUps = options.edge === undefined ? null : startLookUps(options.edge, options.clock);
  const control: NodeControl = {
    handlers: new Map([
      ...handlersOf({ search, readers, slots, status, writes, comparison }),
      ...mapHandlers(maps, options.clock ?? systemClock),
    ]),
    map: () => maps.map,
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
