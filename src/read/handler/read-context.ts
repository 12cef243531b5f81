import type { Clock } from '../../base/clock.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import type { ItemGroup } from '../answer/item-group.ts';
import type { StoredRecords } from '../answer/stored-records.ts';
import type { ActorCache } from '../cache/actor-cache.ts';
import type { EdgeCache } from '../cache/edge-cache.ts';
import type { FeedCache } from '../cache/feed-cache.ts';
import type { FollowCache } from '../cache/follow-cache.ts';
import type { ListCache } from '../cache/list-cache.ts';
import type { RowFinder } from '../lookup/row-finder.ts';
import type { SlotLookup } from '../lookup/slot-lookup.ts';
import type { Turn } from '../lookup/turn.ts';
import type { SliceQueue } from './slices.ts';

/** Shared by the handlers of one serving thread. */
export type ReadContext = {
  readonly lookup: SlotLookup;
  readonly finder: RowFinder;
  readonly feeds: FeedCache;
  readonly actors: ActorCache;
  readonly edges: EdgeCache;
  readonly records: StoredRecords;
  readonly group: ItemGroup;
  readonly follows: FollowCache;
  readonly lists: ListCache;
  /** Reused by all synchronous reads. */
  readonly answer: MessageWriter;
  /** Reused by reads that yield; each has one to itself. */
  readonly idleWriters: MessageWriter[];
  readonly turn: Turn;
  readonly slices: SliceQueue;
  /** Labels expire. */
  readonly clock: Clock;
  readonly prefetchReads: boolean;
};
