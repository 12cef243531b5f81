/** Answers about what operators suggest, from the slot of its key. */
import { type SuggestionList, suggestionOrderMax, suggestionsKey } from '../../entry/suggestion.ts';
import { decodePageToken, encodePageToken } from '../../proto/page-token.ts';
import { getActor } from '../../slot/table/actor-row.ts';
import {
  readSuggestion,
  restOfSuggestionKey,
  type SuggestionRow,
  suggestionKeyAfter,
  suggestionPrefix,
  suggestionsOf,
} from '../../slot/table/suggestion.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { pageItemsMax, refuseToken } from '../lookup/page.ts';
import { ownerOfDid, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';

/** As on the official plane, when the caller gives none. */
const feedsLimitDefault = 50;
/** No key has more after its order. Units: bytes. */
const keyRestBytesMax = 1_400;

/** Returns a whole list in order. */
export function suggestions(lookup: SlotLookup, list: SuggestionList): SuggestionRow[] {
  const state = lookup.stateOf(suggestionsKey);
  const rows = suggestionsOf(state, list);
  if (rows.length === 0) requireWhole(state);
  return rows;
}

/** Returns a page of the suggested feeds. */
export function suggestedFeeds(
  lookup: SlotLookup,
  { limit, cursor }: { readonly limit: number; readonly cursor: string },
): { uris: string[]; cursor: string } {
  const state = lookup.stateOf(suggestionsKey);
  const itemsMax = limit <= 0 ? feedsLimitDefault : Math.min(limit, pageItemsMax);
  const first = suggestionPrefix('feeds');
  const start = cursor === '' ? first : keyOfFeedToken(cursor);
  const uris: string[] = [];
  let last = '';
  for (const { key, value } of state.rows.scan({ start, end: prefixEnd(first), limit: itemsMax + 1 })) {
    if (uris.length === itemsMax) return { uris, cursor: last };
    const { subject, order } = readSuggestion(key, value);
    uris.push(subject);
    last = encodePageToken(order, restOfSuggestionKey(key));
  }
  if (uris.length === 0) requireWhole(state);
  return { uris, cursor: '' };
}

function keyOfFeedToken(token: string): Buffer {
  const field = 'GetSuggestedFeedsRequest.cursor';
  const { timeMs: order, rest } = decodePageToken(token, keyRestBytesMax) ?? refuseToken(field);
  if (order < 0 || order > suggestionOrderMax) refuseToken(field);
  return suggestionKeyAfter('feeds', order, rest);
}

/** Returns those of the DIDs that are known as actors, in order. */
export function knownActors(lookup: SlotLookup, dids: readonly string[]): string[] {
  return dids.filter((did) => {
    const state = lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    const isKnown = owner !== undefined && getActor(state, owner) !== undefined;
    if (!isKnown) requireWhole(state);
    return isKnown;
  });
}
