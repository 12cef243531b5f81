/** Reads of private data. */
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import {
  bookmarksPage,
  draftsPage,
  mutedThreads,
  subscribedDidsPage,
  writeBookmarksOf,
  writePreferences,
  writeSubscriptionsTo,
} from '../answer/private-data.ts';
import { byItem, type ReadRow, readMessage, sliced } from './read-row.ts';

export const privateReads: readonly ReadRow[] = [
  readMessage('GetActorBookmarks', ({ lookup }, page) => {
    const { items: bookmarks, cursor } = bookmarksPage(lookup.stateOf(page.actorDid), page.actorDid, page);
    return { bookmarks, cursor };
  }),
  sliced('bsky.GetBookmarksByActorAndSubjects', function* (into, { lookup, turn }, request) {
    const { actorDid: did, uris } = decodeMessage('GetBookmarksByActorAndSubjectsRequest', request);
    yield* writeBookmarksOf(into, { state: lookup.stateOf(did), did, uris }, turn);
  }),
  readMessage('GetActorDrafts', ({ lookup }, page) => {
    const { items: drafts, cursor } = draftsPage(lookup.stateOf(page.actorDid), page.actorDid, page);
    return { drafts, cursor };
  }),
  readMessage('GetActivitySubscriptionDids', ({ lookup }, page) => {
    const { items: dids, cursor } = subscribedDidsPage(lookup.stateOf(page.actorDid), page.actorDid, page);
    return { dids, cursor };
  }),
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
