/** Reads of what operators suggest, and of what sitemaps are made of. */
import { type SuggestionList, suggestionLists } from '../../entry/suggestion.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { decodeTexts, encodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { peerReader } from '../../wire/peer-bytes.ts';
import { encodeSuggestions } from '../../wire/suggestion-messages.ts';
import { ownersOfSlots, writeHandlesOfOwners } from '../answer/sitemap.ts';
import { knownActors, suggestedFeeds, suggestions } from '../answer/suggestions.ts';
import type { SlicedRead } from '../lookup/turn.ts';
import type { ReadContext } from './read-context.ts';
import { type ReadRow, read, readMessage, sliced } from './read-row.ts';

function decodeList(payload: Uint8Array): SuggestionList {
  const [name] = decodeTexts(payload);
  return suggestionLists.find((list) => list === name) ?? peerReader(payload, nodeCalls.suggestions).fail('of no list');
}

function* writeSitemapHandles(into: MessageWriter, context: ReadContext, request: Buffer): SlicedRead<void> {
  const [slot, page] = decodeTexts(request).map(Number);
  yield* writeHandlesOfOwners(into, context, { slot: slot!, page: page! });
}

export const suggestionReads: readonly ReadRow[] = [
  readMessage('GetSuggestedFeeds', ({ lookup }, page) => suggestedFeeds(lookup, page)),
  readMessage('GetSuggestedEntities', ({ lookup }) => ({
    entities: suggestions(lookup, 'tagged').map(({ tag, subject, subjectType }) => ({ tag, subject, subjectType })),
  })),
  read(nodeCalls.suggestions, decodeList, ({ lookup }, list) => suggestions(lookup, list), encodeSuggestions),
  read(
    nodeCalls.sitemapOwners,
    () => null,
    ({ lookup }) => ownersOfSlots(lookup),
    encodeTexts,
  ),
  sliced(nodeCalls.sitemapHandles, writeSitemapHandles),
  read(nodeCalls.knownActors, decodeTexts, ({ lookup }, dids) => knownActors(lookup, dids), encodeTexts),
];
