/** A node's search index: its threads, the calls that it answers, its metrics. */
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import { type Clock, systemClock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { registerReadout, sharedReading } from '../metrics/metric.ts';
import type { SlotPlace } from '../search/indexed-slot.ts';
import { SearchPool } from '../search/search-pool.ts';
import type { SearchedSlots } from '../search/search-thread-messages.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import {
  searchCatchUpRequest,
  searchSlotRequest,
  searchStatusAnswer,
  searchVerifyAnswer,
} from '../wire/search-messages.ts';
import type { ApplyLink } from './apply-link.ts';
import { slotPath } from './data-folder.ts';
import { answeredSlots, unmadeChildren } from './slot-folders.ts';

/** What search needs of a node's options. */
export type NodeSearchOptions = {
  readonly name: string;
  readonly dataDir: string;
  readonly slotMapBytes: number;
  /** Absent or 0: the node has no index. */
  readonly searchThreads?: number;
  readonly registry: Registry;
  readonly note?: (message: string, fields: Record<string, unknown>) => void;
  readonly clock?: Clock;
};

/** Returns where search finds slots. */
export function searchPlaces(
  { dataDir, slotMapBytes: mapBytes }: Pick<NodeSearchOptions, 'dataDir' | 'slotMapBytes'>,
  slots: readonly number[],
): SlotPlace[] {
  return slots.map((slot) => ({ slot, path: slotPath(dataDir, slot), mapBytes }));
}

/** Returns what search must know of a map. */
export function searchedSlots(dataDir: string, map: ShardMap, name: string): SearchedSlots {
  const { slots } = map;
  return { slots, primaries: answeredSlots(dataDir, map, name), coming: unmadeChildren(dataDir, map, name) };
}

/** Starts the threads; null where there shall be none. Slots must be open. */
export function startNodeSearch(
  options: NodeSearchOptions,
  { held, ...slots }: SearchedSlots & { readonly held: readonly number[] },
  links: readonly ApplyLink[],
  commits: Int32Array,
): SearchPool | null {
  const { dataDir, slotMapBytes, searchThreads = 0, registry } = options;
  const { note = () => {}, clock = systemClock } = options;
  if (searchThreads === 0) return null;
  const pool = new SearchPool({
    path: join(dataDir, 'search', 'index.db'),
    places: searchPlaces({ dataDir, slotMapBytes }, held),
    ...slots,
    threads: searchThreads,
    commits,
    onProgress: (progress) => {
      for (const link of links) link.searchIndexed(progress.filter(({ slot }) => link.slots.has(slot)));
    },
    note,
    clock,
  });
  registerSearchMetrics(registry, pool);
  return pool;
}

function registerSearchMetrics(registry: Registry, pool: SearchPool): void {
  const status = sharedReading(() => pool.statusOrEmpty());
  registerReadout(registry, 'skyshard_search_rows', async () => {
    const { posts, actors, feeds, packs } = await status();
    return Object.entries({ posts, actors, feeds, packs }).map(([kind, value]) => ({ labels: { kind }, value }));
  });
  registerReadout(registry, 'skyshard_search_index_bytes', async () => (await status()).bytes);
  registerReadout(registry, 'skyshard_search_waiting_changes', async () =>
    (await status()).slots.reduce((sum, { waiting }) => sum + waiting, 0),
  );
  registerReadout(
    registry,
    'skyshard_search_slots_building',
    async () => (await status()).slots.filter(({ state }) => state === 'building').length,
  );
}

/** Returns the handlers of the calls of search. */
export function searchHandlers(pool: SearchPool | null): Map<string, CallHandler> {
  const needed = (): SearchPool => {
    if (pool !== null) return pool;
    throw new DataPlaneError('Unimplemented', 'this node has no search index: it runs with --search-threads=0', {
      hint: 'Start the node with --search-threads=1; its index is then built from its slots.',
    });
  };
  return new Map<string, CallHandler>([
    [nodeCalls.search, (payload) => needed().search(payload)],
    [nodeCalls.searchStatus, async () => searchStatusAnswer.encode(await needed().status())],
    [
      nodeCalls.searchRebuild,
      async (payload) => {
        await needed().rebuild(searchSlotRequest.decode(payload).slot);
        return Buffer.alloc(0);
      },
    ],
    [
      nodeCalls.searchCatchUp,
      async (payload) => {
        await pool?.catchUp(searchCatchUpRequest.decode(payload).timeoutMs);
        return Buffer.alloc(0);
      },
    ],
    [
      nodeCalls.searchVerify,
      async (payload) => searchVerifyAnswer.encode(await needed().verify(searchSlotRequest.decode(payload).slot ?? 0)),
    ],
  ]);
}
