/**
 * Search: posts by time or by score, actors, feeds and starter packs, in both versions.
 *
 * A first version has only the text of the search box, whose operators are read here; a second has
 * filters besides. Every node is asked, since posts with a word are everywhere.
 */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { type PostsFilters, type SearchPostsV2Request, searchSortOrder } from '../../proto/generated/bsky-service.ts';
import type { NamedQuery, SearchHit, SearchTerm, SearchTermKind } from '../../wire/search-messages.ts';
import { type Plan, type PlanContext, planDefaults, requireItemsMax } from '../plan/plan.ts';
import type { SearchPage } from '../plan/search-merge.ts';
import { readSearchText, requireSearchText } from '../plan/search-text.ts';
import { decodeSearchToken, encodeSearchToken, queryHash, type SearchToken } from '../plan/search-tokens.ts';
import { actorOfHandle, askAllNodes, type PostSearch, recentMs, searchLimit, searchPosts } from './search-requests.ts';

/** Values of one field of filters. */
const valuesMax = 20;
/** Clocks of nodes may be ahead of this one. Units: ms. */
const clockAheadMs = 60_000;

/** A page as callers get it. `total` is 0 where it is not known. */
export type FoundPage = { readonly hits: readonly SearchHit[]; readonly cursor: string; readonly total: number };

type Asked = { readonly hash: string; readonly token: SearchToken | null; readonly askedMs: number };

function askedOf(query: unknown, cursor: string, path: string, context: PlanContext): Asked {
  const hash = queryHash(query);
  const token = decodeSearchToken(hash, cursor, path);
  return { hash, token, askedMs: token?.askedMs ?? context.nowMs() };
}

function pageOf({ hits, after, isComplete }: SearchPage, { hash, token, askedMs }: Asked): FoundPage {
  const hitsBefore = (token?.hitsBefore ?? 0) + hits.length;
  const cursor = after === null ? '' : encodeSearchToken(hash, { after, askedMs, hitsBefore });
  return { hits, cursor, total: isComplete ? hitsBefore : 0 };
}

type PageRequest = { readonly limit: number; readonly cursor: string };

/** Finds a page of posts. Errors: DataPlaneError `InvalidArgument` naming what is wrong. */
export async function findPosts(
  search: PostSearch,
  { limit, cursor }: PageRequest,
  path: string,
  context: PlanContext,
): Promise<FoundPage> {
  const asked = askedOf(['posts', search], cursor, `${path}.cursor`, context);
  // Scores are as of the first page; the newest posts are those of this moment.
  const nowMs = asked.askedMs + (search.sort === 'top' ? 0 : clockAheadMs);
  const page = {
    after: asked.token?.after ?? null,
    limit: searchLimit(limit, `${path}.limit`),
    untilMs: Math.min(search.untilMs ?? nowMs, nowMs),
  };
  const sinceMs = search.isRecent ? asked.askedMs - recentMs : search.sinceMs;
  return pageOf(await searchPosts({ ...search, sinceMs }, page, context), asked);
}

/** Finds a page of actors, feeds or packs. Errors: as `findPosts`. */
export async function findNamed(
  { kind, text, isTypeahead }: Pick<NamedQuery, 'kind' | 'text' | 'isTypeahead'>,
  { limit: limitAsked, cursor }: PageRequest,
  path: string,
  context: PlanContext,
): Promise<FoundPage> {
  requireSearchText(text, `${path}.query`);
  const asked = askedOf([kind, text], cursor, `${path}.cursor`, context);
  const limit = searchLimit(limitAsked, `${path}.limit`);
  const query = { kind, text, isTypeahead, limit, after: asked.token?.after ?? null } as const;
  const exact = kind === 'actors' ? await actorOfHandle(text, context) : '';
  const page = await askAllNodes(query, context);
  if (exact === '') return pageOf(page, asked);
  // Whoever has the handle comes first, and so not again.
  const others = page.hits.filter(({ key }) => key !== exact);
  if (asked.token !== null) return pageOf({ ...page, hits: others }, asked);
  const hits = [{ rank: beforeAll, key: exact }, ...others];
  if (hits.length <= limit) return pageOf({ ...page, hits }, asked);
  return pageOf({ hits: hits.slice(0, limit), after: hits[limit - 1]!, isComplete: false }, asked);
}

/** The rank of who has the handle that is asked for. */
const beforeAll = -1;

const filterKinds: readonly (readonly [keyof PostsFilters, SearchTermKind])[] = [
  ['authors', 'author'],
  ['mentions', 'mention'],
  ['domains', 'domain'],
  ['urls', 'url'],
  ['embeddedAtUris', 'embed'],
  ['hashtags', 'tag'],
  ['languages', 'language'],
];

/** Returns filters as clauses: a post has one value of each field. */
function clausesOf(filters: PostsFilters | undefined, path: string): SearchTerm[][] {
  if (filters === undefined) return [];
  return filterKinds.flatMap(([field, kind]) => {
    const values = filters[field].map((value) => value.trim()).filter((value) => value !== '');
    requireItemsMax(values.length, `${path}.${field}`, valuesMax);
    for (const value of values) requireSearchText(value, `${path}.${field}`);
    return values.length === 0 ? [] : [values.map((value) => ({ kind, value }))];
  });
}

function traitsOf(request: SearchPostsV2Request): SearchTerm[][] {
  const { hasMedia, hasVideo, excludeReplies, repliesOnly, replyParentUri = '', threadRootUri = '' } = request;
  if (excludeReplies === true && repliesOnly === true)
    throw new DataPlaneError('InvalidArgument', 'SearchPostsV2Request: replies_only excludes exclude_replies');
  const terms: SearchTerm[] = [];
  if (hasMedia === true) terms.push({ kind: 'is', value: 'media' });
  if (hasVideo === true) terms.push({ kind: 'is', value: 'video' });
  if (excludeReplies === true) terms.push({ kind: 'is', value: 'original' });
  if (repliesOnly === true) terms.push({ kind: 'is', value: 'reply' });
  if (replyParentUri !== '') terms.push({ kind: 'parent', value: replyParentUri });
  if (threadRootUri !== '') terms.push({ kind: 'root', value: threadRootUri });
  for (const { value } of terms) requireSearchText(value, 'SearchPostsV2Request');
  return terms.map((term) => [term]);
}

function sortOf(sort: number): PostSearch['sort'] {
  if (sort === searchSortOrder.TOP) return 'top';
  if (sort === searchSortOrder.RECENT) return 'latest';
  throw new DataPlaneError('InvalidArgument', 'SearchPostsV2Request.sort: neither RECENT nor TOP');
}

/** Scripts by which the language of a query is guessed. */
const scripts: readonly (readonly [string, RegExp])[] = [
  ['ja', /[\p{sc=Hira}\p{sc=Kana}]/u],
  ['ko', /\p{sc=Hangul}/u],
  ['th', /\p{sc=Thai}/u],
  ['ar', /\p{sc=Arabic}/u],
  ['zh', /\p{sc=Han}/u],
];

function languagesOf(text: string): string[] {
  const found = scripts.find(([, pattern]) => pattern.test(text));
  return found === undefined ? [] : [found[0]];
}

function maxOf(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other);
}

async function postsV2(bytes: Buffer, context: PlanContext): Promise<Uint8Array> {
  const path = 'SearchPostsV2Request';
  const request = decodeMessage('SearchPostsV2Request', bytes);
  const { query = '', viewer = '', limit = 0, cursor = '' } = request.params ?? {};
  const text = readSearchText(query, `${path}.params.query`);
  const { since = null, until = null, allTime, following = false } = request;
  const from = maxOf(text.sinceMs, since);
  const search: PostSearch = {
    all: [...text.all, ...clausesOf(request.filters, `${path}.filters`), ...traitsOf(request)],
    none: [...text.none, ...clausesOf(request.exclude, `${path}.exclude`).flat()],
    sinceMs: from,
    isRecent: from === null && allTime !== true,
    untilMs: until === null ? text.untilMs : Math.min(text.untilMs ?? until, until),
    sort: sortOf(request.sort),
    viewer,
    following,
  };
  const found = await findPosts(search, { limit, cursor }, `${path}.params`, context);
  return encodeMessage('SearchPostsV2Response', {
    posts: found.hits.map(({ rank, key: uri }) => ({ uri, score: search.sort === 'top' ? -rank : 0 })),
    pageInfo: { cursor: found.cursor, hitsTotal: found.total },
    detectedQueryLanguages: languagesOf(query),
  });
}

/** Returns what a text alone asks of posts. */
export function textSearch(text: string, path: string): PostSearch {
  const { all, none, sinceMs, untilMs } = readSearchText(text, path);
  return { all, none, sinceMs, untilMs, isRecent: false, sort: 'latest', viewer: '', following: false };
}

async function posts(bytes: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { term, limit, cursor } = decodeMessage('SearchPostsRequest', bytes);
  const search = textSearch(term, 'SearchPostsRequest.term');
  const found = await findPosts(search, { limit, cursor }, 'SearchPostsRequest', context);
  return encodeMessage('SearchPostsResponse', { uris: found.hits.map(({ key }) => key), cursor: found.cursor });
}

async function actors(bytes: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { term: text, limit, cursor } = decodeMessage('SearchActorsRequest', bytes);
  const query = { kind: 'actors', text, isTypeahead: false } as const;
  const found = await findNamed(query, { limit, cursor }, 'SearchActorsRequest', context);
  return encodeMessage('SearchActorsResponse', { dids: found.hits.map(({ key }) => key), cursor: found.cursor });
}

async function packs(bytes: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { term: text, limit, cursor } = decodeMessage('SearchStarterPacksRequest', bytes);
  const query = { kind: 'packs', text, isTypeahead: false } as const;
  const found = await findNamed(query, { limit, cursor }, 'SearchStarterPacksRequest', context);
  return encodeMessage('SearchStarterPacksResponse', { uris: found.hits.map(({ key }) => key), cursor: found.cursor });
}

async function feeds(bytes: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { query: text, limit } = decodeMessage('SearchFeedGeneratorsRequest', bytes);
  const query = { kind: 'feeds', text, isTypeahead: false } as const;
  const found = await findNamed(query, { limit, cursor: '' }, 'SearchFeedGeneratorsRequest', context);
  return encodeMessage('SearchFeedGeneratorsResponse', { uris: found.hits.map(({ key }) => key) });
}

type Params = { readonly query?: string; readonly limit?: number; readonly cursor?: string };

/** Answers the second version of a method about actors, feeds or packs. */
async function named(
  kind: NamedQuery['kind'],
  { query: text = '', limit = 0, cursor = '' }: Params,
  path: string,
  context: PlanContext,
): Promise<{ readonly names: readonly string[]; readonly pageInfo: { cursor: string; hitsTotal: number } }> {
  const found = await findNamed({ kind, text, isTypeahead: false }, { limit, cursor }, `${path}.params`, context);
  return {
    names: found.hits.map(({ key }) => key),
    pageInfo: { cursor: found.cursor, hitsTotal: found.total },
  };
}

async function actorsV2(bytes: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { params = {} } = decodeMessage('SearchActorsV2Request', bytes);
  const { names, pageInfo } = await named('actors', params, 'SearchActorsV2Request', context);
  return encodeMessage('SearchActorsV2Response', { actors: names.map((did) => ({ did, score: 0 })), pageInfo });
}

async function feedsV2(bytes: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { params = {} } = decodeMessage('SearchFeedGeneratorsV2Request', bytes);
  const { names, pageInfo } = await named('feeds', params, 'SearchFeedGeneratorsV2Request', context);
  const feedGenerators = names.map((uri) => ({ uri, score: 0 }));
  return encodeMessage('SearchFeedGeneratorsV2Response', { feedGenerators, pageInfo });
}

async function packsV2(bytes: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { params = {} } = decodeMessage('SearchStarterPacksV2Request', bytes);
  const { names, pageInfo } = await named('packs', params, 'SearchStarterPacksV2Request', context);
  const starterPacks = names.map((uri) => ({ uri, score: 0 }));
  return encodeMessage('SearchStarterPacksV2Response', { starterPacks, pageInfo });
}

async function typeahead(bytes: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { query: text = '', limit = 0 } = decodeMessage('SearchActorsTypeaheadRequest', bytes).params ?? {};
  const query = { kind: 'actors', text, isTypeahead: true } as const;
  const page = { limit: limit === 0 ? typeaheadLimit : limit, cursor: '' };
  const { hits } = await findNamed(query, page, 'SearchActorsTypeaheadRequest.params', context);
  const found = hits.map(({ key: did }) => ({ did, score: 0 }));
  return encodeMessage('SearchActorsTypeaheadResponse', { actors: found });
}

const typeaheadLimit = 10;
const limits = { timeoutMs: planDefaults.timeoutMs, isShared: true, needsPrimaries: true } as const;

export const searchPlans: readonly Plan[] = [
  { method: 'SearchPosts', ...limits, run: posts },
  { method: 'SearchPostsV2', ...limits, run: postsV2 },
  { method: 'SearchActors', ...limits, run: actors },
  { method: 'SearchActorsV2', ...limits, run: actorsV2 },
  { method: 'SearchActorsTypeahead', ...limits, run: typeahead },
  { method: 'SearchFeedGenerators', ...limits, run: feeds },
  { method: 'SearchFeedGeneratorsV2', ...limits, run: feedsV2 },
  { method: 'SearchStarterPacks', ...limits, run: packs },
  { method: 'SearchStarterPacksV2', ...limits, run: packsV2 },
];
