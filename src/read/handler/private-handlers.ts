/** Reads of private data. */
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import type { MessageByName } from '../../proto/generated/bsky-service.ts';
import type { MessageInput } from '../../proto/schema.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { readCall } from '../../wire/node-calls.ts';
import {
  bookmarksPage,
  draftsPage,
  mutedThreads,
  subscribedDidsPage,
  writeBookmarksOf,
  writePreferences,
  writeSubscriptionsTo,
} from '../answer/private-data.ts';
import type { PageRequest } from '../lookup/page.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';
import { byItem, type ReadRow, sliced } from './read-row.ts';

type PagedMethod = 'GetActorBookmarks' | 'GetActorDrafts' | 'GetActivitySubscriptionDids';

/** A method of pages of one actor's items. */
function pages<Method extends PagedMethod, Page>(
  method: Method,
  pageOf: (asked: { state: SlotState; did: string; page: PageRequest }, turn: Turn) => SlicedRead<Page>,
  answerOf: (page: Page) => MessageInput<MessageByName[`${Method}Response`]>,
): ReadRow {
  return sliced(readCall(method), function* (into, { lookup, turn }, request) {
    const { actorDid: did, ...page } = decodeMessage(`${method}Request`, request);
    into.raw(
      encodeMessage(`${method}Response`, answerOf(yield* pageOf({ state: lookup.stateOf(did), did, page }, turn))),
    );
  });
}

export const privateReads: readonly ReadRow[] = [
  pages('GetActorBookmarks', bookmarksPage, ({ items: bookmarks, cursor }) => ({ bookmarks, cursor })),
  sliced('bsky.GetBookmarksByActorAndSubjects', function* (into, { lookup, turn }, request) {
    const { actorDid: did, uris } = decodeMessage('GetBookmarksByActorAndSubjectsRequest', request);
    yield* writeBookmarksOf(into, { state: lookup.stateOf(did), did, uris }, turn);
  }),
  pages('GetActorDrafts', draftsPage, ({ items: drafts, cursor }) => ({ drafts, cursor })),
  pages('GetActivitySubscriptionDids', subscribedDidsPage, ({ items: dids, cursor }) => ({ dids, cursor })),
  sliced('bsky.GetActivitySubscriptionsByActorAndSubjects', function* (into, { lookup, turn }, request) {
    const { actorDid: did, subjectDids } = decodeMessage('GetActivitySubscriptionsByActorAndSubjectsRequest', request);
    yield* writeSubscriptionsTo(into, { state: lookup.stateOf(did), did, subjects: subjectDids }, turn);
  }),
  sliced('bsky.GetThreadMutesOnSubjects', function* (into, { lookup, turn }, request) {
    const { actorDid: did, threadRoots: roots } = decodeMessage('GetThreadMutesOnSubjectsRequest', request);
    const muted = yield* mutedThreads({ state: lookup.stateOf(did), did, roots }, turn);
    into.raw(encodeMessage('GetThreadMutesOnSubjectsResponse', { muted }));
  }),
  byItem('bsky.GetNotificationPreferences', (into, context, request) =>
    writePreferences(into, context, decodeMessage('GetNotificationPreferencesRequest', request).dids),
  ),
];
