/**
 * Answers a router's reads: `bsky.<Method>` for this node's slots, and the `slot.<name>` calls.
 *
 * Handlers are synchronous, so that a read sees the state of a single commit. With `prefetchReads`,
 * for data larger than memory, those that read many rows first prefetch the pages.
 */

import { type Clock, systemClock } from '../../base/clock.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import type { SlotChanges, SlotState } from '../../slot/table/slot-state.ts';
import type { CallHandler } from '../../wire/node-caller.ts';
import { actorInfo } from '../answer/actor-infos.ts';
import { ItemGroup } from '../answer/item-group.ts';
import { StoredRecords } from '../answer/stored-records.ts';
import { ActorCache } from '../cache/actor-cache.ts';
import type { CacheStats } from '../cache/cache-stats.ts';
import { EdgeCache } from '../cache/edge-cache.ts';
import { FeedCache } from '../cache/feed-cache.ts';
import { FollowCache } from '../cache/follow-cache.ts';
import { ListCache } from '../cache/list-cache.ts';
import { RecordCache } from '../cache/record-cache.ts';
import { RowFinder } from '../lookup/row-finder.ts';
import { SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlotTouches } from '../lookup/slot-touches.ts';
import { Turn } from '../lookup/turn.ts';
import { actorReads } from './actor-handlers.ts';
import { feedReads } from './feed-handlers.ts';
import { graphReads } from './graph-handlers.ts';
import { labelReads } from './label-handlers.ts';
import { listReads } from './list-handlers.ts';
import { privateReads } from './private-handlers.ts';
import type { ReadContext } from './read-context.ts';
import { recordReads } from './record-handlers.ts';
import { SliceQueue } from './slices.ts';
import { suggestionReads } from './suggestion-handlers.ts';

export type ReadOptions = {
  /** The cluster's number of slots, when it starts. */
  readonly slots: number;
  /** Returns the read-only state of a slot; undefined for one of another node. See SlotLookup. */
  readonly stateOf: (slot: number) => SlotState | undefined;
  /** Says of which slots this node is the primary; absent: of all that it serves. */
  readonly isPrimaryOf?: (slot: number) => boolean;
  /** Lets the next read of a slot see the latest commit. */
  readonly refreshReads: (slot: number) => void;
  readonly prefetchReads?: boolean;
  /** The part of the caches by DID that these handlers have; others of the node have the rest. */
  readonly shareOfCaches?: number;
  /** Capacity of each cache by DID, instead of that. */
  readonly didCacheBytes?: number;
  /** 0 for no cache of records. */
  readonly recordCacheBytes: number;
  /** Told which slots are looked into. */
  readonly touches?: SlotTouches;
  readonly clock?: Clock;
};

export type Reads = {
  /** By method name. */
  readonly handlers: Map<string, CallHandler>;
  readonly finder: RowFinder;
  readonly records: StoredRecords;
  readonly cacheByName: Readonly<Record<string, CacheStats>>;
  /** Call it with a commit's changes before the commit is reported to anyone. */
  readonly invalidate: (slot: number, changes: SlotChanges) => void;
  /** Call it when other slots are served than before. */
  readonly servedChanged: () => void;
  /** Takes the cluster's number of slots. */
  readonly useSlots: (slots: number) => void;
  /** Resolves once all reads have ended that are under way. */
  readonly begunHaveEnded: () => Promise<void>;
};

/** Makes the handlers of all reads. */
export function createReadHandlers(options: ReadOptions): Reads {
  const lookup = new SlotLookup(options.slots, options.stateOf, options.isPrimaryOf, options.touches);
  const { shareOfCaches = 1, clock = systemClock } = options;
  const bytesOf = (cache: { readonly capacityBytes: number }): number =>
    options.didCacheBytes ?? Math.floor(cache.capacityBytes * shareOfCaches);
  const turn = new Turn(clock);
  const finder = new RowFinder(lookup);
  const records = new StoredRecords(new RecordCache(options.recordCacheBytes));
  const context: ReadContext = {
    lookup,
    finder,
    feeds: new FeedCache(lookup, bytesOf(FeedCache)),
    actors: new ActorCache(lookup, actorInfo, bytesOf(ActorCache)),
    edges: new EdgeCache(lookup, bytesOf(EdgeCache)),
    records,
    group: new ItemGroup(finder, records.cache),
    follows: new FollowCache(lookup, bytesOf(FollowCache)),
    lists: new ListCache(lookup, bytesOf(ListCache)),
    answer: new MessageWriter(),
    idleWriters: [],
    turn,
    slices: new SliceQueue(turn),
    clock,
    prefetchReads: options.prefetchReads ?? false,
  };
  const rows = [
    ...recordReads,
    ...actorReads,
    ...graphReads,
    ...listReads,
    ...feedReads,
    ...suggestionReads,
    ...labelReads,
    ...privateReads,
  ];
  const handlers = new Map(rows.map(({ call, handlerFor }) => [call, handlerFor(context)]));
  const { feeds, actors, edges, follows, lists } = context;
  const didCaches = {
    feeds: feeds.cache,
    actors: actors.cache,
    edges: edges.cache,
    follows: follows.cache,
    lists: lists.cache,
  };
  return {
    handlers,
    finder,
    records,
    cacheByName: { ...didCaches, records: records.cache, owners: finder.owners },
    invalidate: (slot, changes) => {
      options.refreshReads(slot);
      for (const cache of Object.values(didCaches)) cache.invalidate(slot, changes.owners);
      records.cache.invalidate(slot, changes.records);
      if (changes.becameIncomplete && lookup.serves(slot)) {
        lookup.stateOfSlot(slot).isKnownComplete = false;
        edges.clearKnown();
      }
    },
    // What is cached of an actor says which of its follows are served here.
    servedChanged: () => {
      for (const state of lookup.states()) state.isKnownComplete = false;
      edges.clearKnown();
      for (const cache of Object.values(didCaches)) cache.clear();
    },
    useSlots: (slots) => lookup.useSlots(slots),
    begunHaveEnded: () => context.slices.begunHaveEnded(),
  };
}
