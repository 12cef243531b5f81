/** Reads of what operators suggest. */
import { type SuggestionList, suggestionLists } from '../../entry/suggestion.ts';
import { decodeTexts, encodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { peerReader } from '../../wire/peer-bytes.ts';
import { encodeSuggestions } from '../../wire/suggestion-messages.ts';
import { knownActors, suggestedFeeds, suggestions } from '../answer/suggestions.ts';
import { type ReadRow, read, readMessage } from './read-row.ts';

function decodeList(payload: Uint8Array): SuggestionList {
  const [name] = decodeTexts(payload);
  return suggestionLists.find((list) => list === name) ?? peerReader(payload, nodeCalls.suggestions).fail('of no list');
}

export const suggestionReads: readonly ReadRow[] = [
  readMessage('GetSuggestedFeeds', ({ lookup }, page) => suggestedFeeds(lookup, page)),
  readMessage('GetSuggestedEntities', ({ lookup }) => ({
    entities: suggestions(lookup, 'tagged').map(({ tag, subject, subjectType }) => ({ tag, subject, subjectType })),
  })),
  read(nodeCalls.suggestions, decodeList, ({ lookup }, list) => suggestions(lookup, list), encodeSuggestions),
  read(nodeCalls.knownActors, decodeTexts, ({ lookup }, dids) => knownActors(lookup, dids), encodeTexts),
];
