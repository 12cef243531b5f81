/** What operators suggest, and whom to follow. */

import { xxh32 } from '../../base/xxh32.ts';
import { suggestionsKey } from '../../entry/suggestion.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import type { GetFollowSuggestionsRequest } from '../../proto/generated/bsky-service.ts';
import { slotOf } from '../../shardmap/slot-of.ts';
import { decodeTexts, encodeTexts } from '../../wire/message.ts';
import { nodeCalls, readCall } from '../../wire/node-calls.ts';
import { decodeSuggestions, type WireSuggestion } from '../../wire/suggestion-messages.ts';
import type { FanOut } from '../plan/fan-out.ts';
import { groupByOwner } from '../plan/owner-groups.ts';
import { type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';
import { didOfUri, slotOfDidText } from '../plan/slot-finder.ts';

/** Of the similar accounts, as on the official plane. */
const similarMax = 10;
const likesMax = 1_000;
/** A page of likes may end before its limit; an actor's first pages hold the likes that count. */
const likePagesMax = 3;

function suggestionsNode({ map, nodeBySlot }: FanOut): number {
  return nodeBySlot[slotOf(suggestionsKey, map.slots)]!;
}

/** Asks for a method all of whose data is in the slot of the suggestions. */
function ofSuggestions(method: 'GetSuggestedFeeds' | 'GetSuggestedEntities'): Plan {
  return {
    method,
    timeoutMs: planDefaults.timeoutMs,
    isShared: true,
    run: (request, { fanOut, deadlineMs }) =>
      fanOut.ask(suggestionsNode(fanOut), readCall(method), request, deadlineMs),
  };
}

async function suggestedFollows({ fanOut, deadlineMs }: PlanContext): Promise<WireSuggestion[]> {
  const payload = encodeTexts(['follows']);
  return decodeSuggestions(await fanOut.ask(suggestionsNode(fanOut), nodeCalls.suggestions, payload, deadlineMs));
}

/** Returns those of the DIDs that are known as actors. */
async function knownActors(dids: readonly string[], context: PlanContext): Promise<Set<string>> {
  const { fanOut, deadlineMs } = context;
  context.admit(dids.length);
  const groups = groupByOwner(dids, (did) => did, fanOut);
  const subRequests = groups.map(({ node, texts }) => ({ node, payload: encodeTexts(texts) }));
  return new Set((await fanOut.askAll(nodeCalls.knownActors, subRequests, deadlineMs)).flatMap(decodeTexts));
}

/**
 * Those in the first two positions come first, the others in an order that depends on a seed, which
 * page tokens repeat: so pages neither lose nor repeat any.
 */
type Ranked = { readonly did: string; readonly rank: number };
type Position = Ranked & { readonly seed: number };

function byRank(one: Ranked, other: Ranked): number {
  return one.rank - other.rank || (one.did < other.did ? -1 : one.did > other.did ? 1 : 0);
}

const firstOrders = 2;

function rankOf({ subject, order }: WireSuggestion, seed: number): number {
  const isFirst = order >= 1 && order <= firstOrders;
  return isFirst ? order : firstOrders + 1 + xxh32(Buffer.from(`${seed} ${subject}`));
}

/** A token is `<seed>:<rank>:<DID>`; one of another form begins again, as on the official plane. */
function positionOf(cursor: string): Position | null {
  const [, seed, rank, did] = /^(\d{1,10}):(\d{1,10}):(did:.{1,512})$/.exec(cursor) ?? [];
  return did === undefined ? null : { seed: Number(seed), rank: Number(rank), did };
}

/** A page of a few asks about as many at once: most suggestions are unknown where few are known. */
const knownAskedMin = 100;

async function generalSuggestions(
  { limit, cursor }: GetFollowSuggestionsRequest,
  context: PlanContext,
): Promise<{ dids: string[]; cursor: string }> {
  const after = positionOf(cursor);
  // Any number that differs from request to request.
  const seed = after?.seed ?? Math.trunc(context.deadlineMs * 1_000) % 2 ** 31;
  const ranked = (await suggestedFollows(context)).map((row) => ({ did: row.subject, rank: rankOf(row, seed) }));
  const waiting = ranked.filter((row) => after === null || byRank(row, after) > 0).sort(byRank);
  const page: Ranked[] = [];
  const wanted = limit <= 0 ? waiting.length : limit;
  for (let at = 0; at < waiting.length && page.length < wanted; ) {
    const asked = waiting.slice(at, at + Math.max(wanted - page.length, knownAskedMin));
    at += asked.length;
    const known = await knownActors(
      asked.map(({ did }) => did),
      context,
    );
    page.push(...asked.filter(({ did }) => known.has(did)).slice(0, wanted - page.length));
  }
  const last = page.at(-1);
  return {
    dids: page.map(({ did }) => did),
    cursor: last === undefined ? '' : `${seed}:${last.rank}:${last.did}`,
  };
}

/** Returns the authors of an actor's newest likes, the most liked first. */
async function likedAuthors(actorDid: string, { fanOut, deadlineMs }: PlanContext): Promise<string[]> {
  const slot = slotOfDidText(actorDid, fanOut.map.slots);
  const counts = new Map<string, number>();
  let left = likesMax;
  for (let page = 0, cursor = ''; slot >= 0 && page < likePagesMax && left > 0; page++) {
    const request = encodeMessage('GetActorLikesRequest', { actorDid, limit: left, cursor });
    const answer = await fanOut.ask(fanOut.nodeBySlot[slot]!, 'bsky.GetActorLikes', request, deadlineMs);
    const decoded = decodeMessage('GetActorLikesResponse', Buffer.from(answer));
    for (const { subject } of decoded.likes) {
      const did = didOfUri(subject);
      if (did !== undefined) counts.set(did, (counts.get(did) ?? 0) + 1);
    }
    left -= decoded.likes.length;
    cursor = decoded.cursor;
    if (cursor === '') break;
  }
  return [...counts].sort(([, one], [, other]) => other - one).map(([did]) => did);
}

/** Returns those of the DIDs that an actor does not follow, in order. */
async function unfollowed(actorDid: string, targetDids: readonly string[], context: PlanContext): Promise<string[]> {
  const { fanOut, deadlineMs } = context;
  const slot = slotOfDidText(actorDid, fanOut.map.slots);
  if (slot < 0 || targetDids.length === 0) return [...targetDids];
  context.admit(targetDids.length);
  const request = encodeMessage('GetActorFollowsActorsRequest', { actorDid, targetDids });
  const answer = await fanOut.ask(fanOut.nodeBySlot[slot]!, 'bsky.GetActorFollowsActors', request, deadlineMs);
  const { uris } = decodeMessage('GetActorFollowsActorsResponse', Buffer.from(answer));
  return targetDids.filter((_did, index) => uris[index] === '');
}

/** Suggests accounts that the other account likes; if these are few, also operators'. */
async function similarSuggestions(request: GetFollowSuggestionsRequest, context: PlanContext): Promise<string[]> {
  const { actorDid, relativeToDid, limit } = request;
  if (request.cursor !== '') return [];
  const wanted = limit <= 0 ? similarMax : Math.min(limit, similarMax);
  const isOther = (did: string): boolean => did !== actorDid && did !== relativeToDid;
  const liked = (await likedAuthors(relativeToDid, context)).filter(isOther);
  const dids = (await unfollowed(actorDid, liked, context)).slice(0, wanted);
  if (dids.length >= wanted) return dids;
  const found = new Set(dids);
  const more = (await suggestedFollows(context)).map(({ subject }) => subject);
  return [
    ...dids,
    ...(await unfollowed(
      actorDid,
      more.filter((did) => isOther(did) && !found.has(did)),
      context,
    )),
  ];
}

export const suggestionPlans: readonly Plan[] = [
  ofSuggestions('GetSuggestedFeeds'),
  ofSuggestions('GetSuggestedEntities'),
  {
    method: 'GetFollowSuggestions',
    timeoutMs: planDefaults.timeoutMs,
    isShared: true,
    run: async (bytes, context) => {
      const request = decodeMessage('GetFollowSuggestionsRequest', bytes);
      const answer =
        request.relativeToDid === ''
          ? await generalSuggestions(request, context)
          : { dids: await similarSuggestions(request, context) };
      return encodeMessage('GetFollowSuggestionsResponse', answer);
    },
  },
];
