/**
 * The calls of search: a query to each node → its hits in one order that all nodes share.
 *
 * Owns: that order, and how far an answer reaches. `slot.search` answers what a node holds of all
 * its slots; a node that has not built its index answers `Unavailable`.
 */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

/** What a term of a query asks of a post. `text`: these words, one after the other. */
export const searchTermKinds = [
  'text',
  'author',
  'mention',
  'domain',
  'url',
  'embed',
  'tag',
  'language',
  'parent',
  'root',
  'is',
] as const;
export type SearchTermKind = (typeof searchTermKinds)[number];

/** Values of terms of the kind `is`. */
export const postTraits = ['reply', 'original', 'media', 'video'] as const;

/** Limits of one query, held by routers and by nodes. Units: terms; UTF-16 units. */
export const searchLimits = { clausesMax: 64, valuesMax: 32, valueLengthMax: 2_048, limitMax: 100 } as const;

const term = v.object({
  kind: v.picklist(searchTermKinds),
  value: v.pipe(v.string(), v.maxLength(searchLimits.valueLengthMax)),
});
export type SearchTerm = Readonly<v.InferOutput<typeof term>>;

const terms = v.pipe(v.array(term), v.maxLength(searchLimits.valuesMax));
const count = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);
const position = v.object({ rank: v.number(), key: v.string() });

/**
 * The position of a hit: hits ascend by rank, then by key, a URI or a DID. By the kind of a query
 * the rank is the age of a post, the score of one with its sign changed, or how well an actor, a
 * feed or a pack is known.
 */
export type SearchPosition = Readonly<v.InferOutput<typeof position>>;

const range = { after: v.nullable(position), limit: wholeNumberShape(1, searchLimits.limitMax) };

const postQuery = v.object({
  ...range,
  kind: v.literal('posts'),
  sort: v.picklist(['latest', 'top']),
  /** A post has at least one term of each of these … */
  all: v.pipe(v.array(terms), v.maxLength(searchLimits.clausesMax)),
  /** … and none of these. */
  none: v.pipe(v.array(term), v.maxLength(searchLimits.clausesMax)),
  /** Inclusive. Units: ms since 1970. */
  sinceMs: v.nullable(v.number()),
  /** Exclusive; for `top` posts are scored as at this time. */
  untilMs: v.number(),
  /** Only posts of these DIDs; null for any. */
  followed: v.nullable(v.array(v.string())),
});
export type PostQuery = Readonly<v.InferOutput<typeof postQuery>>;

/** Of actors, feed generators and starter packs. `isTypeahead`: only names, the last one begun. */
const namedQuery = v.object({
  ...range,
  kind: v.picklist(['actors', 'feeds', 'packs']),
  text: v.pipe(v.string(), v.maxLength(searchLimits.valueLengthMax)),
  isTypeahead: v.boolean(),
});
export type NamedQuery = Readonly<v.InferOutput<typeof namedQuery>>;

export type SearchQuery = PostQuery | NamedQuery;

/** Followed DIDs of a viewer, besides the rest of a query. */
const queryItemsMax = 500_000;
export const searchRequest = controlMessage(
  nodeCalls.search,
  v.variant('kind', [postQuery, namedQuery]),
  queryItemsMax,
);

const hit = v.object({ rank: v.number(), key: v.string() });
export type SearchHit = Readonly<v.InferOutput<typeof hit>>;

/**
 * `reached`: all hits up to it, inclusive, are there; null when there are no others at all.
 * `isComplete`: with the pages before, these are all that the query has on this node.
 */
const answer = v.object({ hits: v.array(hit), reached: v.nullable(position), isComplete: v.boolean() });
export type SearchAnswer = Readonly<v.InferOutput<typeof answer>>;
export const searchAnswer = controlMessage(nodeCalls.search, answer);

/** Returns below 0 if a hit comes before a position, above 0 if after it. */
export function compareHits(one: SearchPosition, other: SearchPosition): number {
  if (one.rank !== other.rank) return one.rank - other.rank;
  return one.key < other.key ? -1 : one.key > other.key ? 1 : 0;
}

/** After every key: the end of a rank that is passed. */
export const afterAllKeys = '\uffff';

/** Returns the first whole rank that hits after a position may have; a token holds any number. */
export function firstRankAfter(position: SearchPosition | null): number {
  if (position === null) return 0;
  return Math.floor(position.rank) + (position.key === afterAllKeys ? 1 : 0);
}

const slotSearch = v.object({
  slot: wholeNumberShape(0, 65_535),
  /** `building`: what is found is of before, or nothing yet. */
  state: v.picklist(['ready', 'building']),
  isServed: v.boolean(),
  /** Changes that wait, about. */
  waiting: count,
  /** Owners that are done, and all; equal unless it is being built. */
  ownersDone: count,
  owners: count,
});
export type SlotSearch = Readonly<v.InferOutput<typeof slotSearch>>;

const status = v.object({
  isEnabled: v.boolean(),
  posts: count,
  actors: count,
  feeds: count,
  packs: count,
  bytes: count,
  /** Why it does not go on, and what it does about it; '' if nothing is wrong. */
  problem: v.string(),
  slots: v.array(slotSearch),
});
export type SearchStatus = Readonly<v.InferOutput<typeof status>>;
export const searchStatusAnswer = controlMessage(nodeCalls.searchStatus, status, 2 ** 20);

/** A slot, or null for all of the node. */
export const searchSlotRequest = controlMessage(
  nodeCalls.searchRebuild,
  v.object({ slot: v.nullable(wholeNumberShape(0, 65_535)) }),
);

/** Answered, without bytes, once what slots hold now is found; at once by a node with no index. */
export const searchCatchUpRequest = controlMessage(nodeCalls.searchCatchUp, v.object({ timeoutMs: count }));

const verified = v.object({
  slot: wholeNumberShape(0, 65_535),
  stored: count,
  indexed: count,
  sampled: count,
  /** URIs of records in the sample that their own words do not find. */
  missing: v.array(v.string()),
});
export type VerifiedSlot = Readonly<v.InferOutput<typeof verified>>;
export const searchVerifyAnswer = controlMessage(nodeCalls.searchVerify, verified);
