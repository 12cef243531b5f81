/** What a caller searches for, from messages of bsky.Service and from skeleton endpoints alike. */
import { isValidHandle } from '@atproto/syntax';
import { isKeyableDid } from '../../atproto/compact-key.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { slotOf } from '../../shardmap/slot-of.ts';
import { encodeFollowsOf, followsPageLimit, openFollowsOfAnswer } from '../../wire/follows-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import {
  type PostQuery,
  type SearchAnswer,
  type SearchQuery,
  type SearchTerm,
  searchAnswer,
  searchLimits,
  searchRequest,
} from '../../wire/search-messages.ts';
import { groupByOwner } from '../plan/owner-groups.ts';
import type { PlanContext } from '../plan/plan.ts';
import { mergeSearch, type SearchPage } from '../plan/search-merge.ts';
import type { SearchText } from '../plan/search-text.ts';
import { slotOfDidText } from '../plan/slot-finder.ts';
import { admitFollows } from './follows-pages.ts';

/** Of a viewer's follows, in its slot's order, that a query for them takes. */
export const searchFollowsMax = followsPageLimit;
const dayMs = 86_400_000;
/** Without `all_time`, posts of so long ago are found. */
export const recentMs = 30 * dayMs;

/** What is asked of posts, before names are resolved. Times in ms, null for none. */
export type PostSearch = SearchText & {
  readonly sort: 'latest' | 'top';
  readonly viewer: string;
  /** Only posts of the last `recentMs`. */
  readonly isRecent: boolean;
  /** Only posts of those whom the viewer follows. */
  readonly following: boolean;
};

/** Returns the DID of a handle, or '' for one that proves none. */
async function didOf(handle: string, { fanOut, deadlineMs }: PlanContext): Promise<string> {
  const node = fanOut.nodeBySlot[slotOf(handle, fanOut.map.slots)]!;
  const request = encodeMessage('GetDidsByHandlesRequest', { handles: [handle] });
  const answer = await fanOut.ask(node, 'bsky.GetDidsByHandles', request, deadlineMs);
  return decodeMessage('GetDidsByHandlesResponse', answer).dids[0] ?? '';
}

/** Returns the DID of an actor that is named by its handle and may be shown, or ''. */
export async function actorOfHandle(text: string, context: PlanContext): Promise<string> {
  const handle = text.trim().toLowerCase().replace(/^@/, '');
  if (!isValidHandle(handle)) return '';
  const did = await didOf(handle, context);
  if (did === '') return '';
  const { fanOut, deadlineMs } = context;
  const node = fanOut.nodeBySlot[slotOf(did, fanOut.map.slots)]!;
  const answer = await fanOut.ask(
    node,
    'bsky.GetActors',
    encodeMessage('GetActorsRequest', { dids: [did] }),
    deadlineMs,
  );
  const actor = decodeMessage('GetActorsResponse', answer).actors[0];
  return actor?.exists === true && !actor.takenDown && actor.upstreamStatus === '' ? did : '';
}

const uriPattern = /^at:\/\/([^/]+)(\/.*)?$/;

/** Returns who a term names: an author, one who is mentioned, or whose record it is. */
function nameOf({ kind, value }: SearchTerm): string | undefined {
  if (kind === 'author' || kind === 'mention') return value;
  return kind === 'embed' || kind === 'parent' || kind === 'root' ? uriPattern.exec(value)?.[1] : undefined;
}

/** Replaces handles, and `me`, by DIDs; terms whose names have none are left out. */
class NameResolver {
  readonly #didByName = new Map<string, string>();

  constructor(viewer: string) {
    this.#didByName.set('me', viewer);
  }

  async resolve(terms: readonly SearchTerm[], context: PlanContext): Promise<void> {
    const names = new Set(terms.map((term) => nameOf(term)?.toLowerCase()).filter((name) => name !== undefined));
    const handles = [...names].filter((name) => !this.#didByName.has(name) && isValidHandle(name));
    context.admit(handles.length);
    const dids = await Promise.all(handles.map((handle) => didOf(handle, context)));
    for (const [index, handle] of handles.entries()) this.#didByName.set(handle, dids[index]!);
  }

  of(terms: readonly SearchTerm[]): SearchTerm[] {
    return terms.flatMap((term) => {
      const name = nameOf(term);
      if (name === undefined) return [term];
      const did = this.#didByName.get(name.toLowerCase()) ?? name;
      if (!isKeyableDid(did)) return [];
      return [{ kind: term.kind, value: did === name ? term.value : term.value.replace(name, did) }];
    });
  }
}

/** Returns the DIDs that a viewer follows, at most `searchFollowsMax`. */
async function followedDids(viewer: string, context: PlanContext): Promise<string[]> {
  const { fanOut, deadlineMs } = context;
  if (!isKeyableDid(viewer)) return [];
  const payload = encodeFollowsOf({ did: viewer, after: '', limit: searchFollowsMax });
  const node = fanOut.nodeBySlot[slotOf(viewer, fanOut.map.slots)]!;
  const { count, reader } = openFollowsOfAnswer(await fanOut.ask(node, nodeCalls.followsOf, payload, deadlineMs));
  admitFollows(count, context);
  return Array.from({ length: count }, () => reader.text());
}

/** Asks nodes, and merges what they answer. */
async function askNodes(
  nodes: readonly [number, SearchQuery][],
  limit: number,
  context: PlanContext,
): Promise<SearchPage> {
  const { fanOut, deadlineMs } = context;
  const asked = nodes.map(([node, query]) => ({ node, payload: searchRequest.encode(query) }));
  const answers = await fanOut.askAll(nodeCalls.search, asked, deadlineMs);
  return mergeSearch(
    answers.map((answer): SearchAnswer => searchAnswer.decode(answer)),
    limit,
  );
}

/** Asks every node. */
export function askAllNodes(query: SearchQuery, context: PlanContext): Promise<SearchPage> {
  return askNodes(
    context.fanOut.primaries.map((node) => [node, query]),
    query.limit,
    context,
  );
}

const noHits: SearchPage = { hits: [], after: null, isComplete: true };

/**
 * Searches posts at the nodes that can have some: those of the authors, if any are named.
 *
 * `untilMs` bounds what is found, exclusive. Errors: DataPlaneError of nodes.
 */
export async function searchPosts(
  search: PostSearch,
  page: Pick<PostQuery, 'after' | 'limit' | 'untilMs'>,
  context: PlanContext,
): Promise<SearchPage> {
  const { all, none, sinceMs, viewer, following, sort } = search;
  const { untilMs, isRecent } = search;
  // A query for nothing finds nothing.
  const asksFor = all.length + none.length > 0 || following || untilMs !== null || (sinceMs !== null && !isRecent);
  if (!asksFor) return noHits;
  if (sinceMs !== null && sinceMs >= page.untilMs) return noHits;
  const names = new NameResolver(viewer);
  await names.resolve([...all.flat(), ...none], context);
  const clauses = all.map((terms) => names.of(terms));
  // Whoever has no DID has no posts.
  if (clauses.some((terms) => terms.length === 0)) return noHits;
  const query = { kind: 'posts', sort, all: clauses, none: names.of(none), sinceMs, ...page } as const;
  const { fanOut } = context;
  if (following) {
    const followed = await followedDids(viewer, context);
    const groups = groupByOwner(followed, (did) => (isKeyableDid(did) ? did : undefined), fanOut);
    return askNodes(
      groups.map(({ node, texts }) => [node, { ...query, followed: [...texts] }]),
      page.limit,
      context,
    );
  }
  const authors = clauses.find((terms) => terms[0]!.kind === 'author');
  const nodes = authors?.map(({ value }) => fanOut.nodeBySlot[slotOfDidText(value, fanOut.map.slots)]!);
  const asked = nodes === undefined ? fanOut.primaries : [...new Set(nodes)];
  return askNodes(
    asked.map((node) => [node, { ...query, followed: null }]),
    page.limit,
    context,
  );
}

/** Errors: DataPlaneError `InvalidArgument` for a negative limit; a greater one is lowered. */
export function searchLimit(limit: number, path: string): number {
  if (limit < 0) throw new DataPlaneError('InvalidArgument', `${path}: negative`);
  return limit === 0 ? limitDefault : Math.min(limit, searchLimits.limitMax);
}

const limitDefault = 25;
