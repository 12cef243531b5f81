import type { AnswerWriter } from '../proto/message-writer.ts';
import type { ActorCache } from '../slot/read/actor-cache.ts';
import type { EdgeCache } from '../slot/read/edge-cache.ts';
import type { FeedCache } from '../slot/read/feed-cache.ts';
import type { RowFinder } from '../slot/read/row-finder.ts';
import type { SlotLookup } from '../slot/read/slot-lookup.ts';
import type { StoredRecords } from '../slot/read/stored-records.ts';
import type { TimelineFollows } from '../slot/read/timeline-follows.ts';

/** What the handlers of one node share. */
export type ReadContext = {
  readonly lookup: SlotLookup;
  readonly finder: RowFinder;
  readonly feeds: FeedCache;
  readonly actors: ActorCache;
  readonly edges: EdgeCache;
  readonly records: StoredRecords;
  readonly timelines: TimelineFollows;
  /** One answer at a time: handlers are synchronous. */
  readonly answer: AnswerWriter;
  readonly prefetchReads: boolean;
};
