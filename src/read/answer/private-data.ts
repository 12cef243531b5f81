/**
 * What an actor's apps keep in private: bookmarks, drafts, subscriptions to others' activity,
 * mutes of threads, preferences. Bookmarks and subscriptions are listed by key, drafts by update.
 */
import { parseRecordUri, rkeyLengthMax } from '../../atproto/compact-key.ts';
import { privateNamespace } from '../../atproto/private-namespace.ts';
import { encodeMessage } from '../../proto/codec.ts';
import type {
  ActivitySubscription,
  Bookmark,
  BookmarkInfo,
  DraftInfo,
  NotificationPreferences,
} from '../../proto/generated/bsky-service.ts';
import { fieldNumber, notificationInclude } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { decodeKeyToken, encodeKeyToken } from '../../proto/page-token.ts';
import type { MessageInput } from '../../proto/schema.ts';
import {
  bookmarkOf,
  bookmarkSubjectOf,
  bookmarkUriOf,
  draftByTimePrefix,
  getPrivateRow,
  isIndexedRow,
  privatePrefix,
  readDraftKey,
  readPrivateItem,
  readPrivateRow,
  subscriptionOf,
  subscriptionTo,
} from '../../slot/table/private-data.ts';
import { type JsonObject, objectOf } from '../../slot/table/record-values.ts';
import { noOwner, type SlotState } from '../../slot/table/slot-state.ts';
import { hasThreadMute } from '../../slot/table/thread-mute.ts';
import { answerBytesMax } from '../../wire/partial-answer.ts';
import {
  keyToken,
  type PageRequest,
  pageLimit,
  refuseToken,
  type WalkStart,
  walkFrom,
  walkKeys,
} from '../lookup/page.ts';
import { ownerOfDid, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';

/** Rows read for one page; one with few matches may end early, with a token. */
const scannedMax = 1_000;
/** About what an item takes that is found by its subject, and a mute. Units: µs. */
const itemMicros = { listed: 20, found: 15, mute: 3, preferences: 20 } as const;
const draftBytesPerMicro = 50;

type Actor = { readonly state: SlotState; readonly owner: number };

/** An actor that its slot does not know has nothing. */
function actorOf(state: SlotState, did: string): Actor {
  return { state, owner: ownerOfDid(state, did) ?? noOwner };
}

type ItemPage<Item> = { readonly items: readonly Item[]; readonly cursor: string };

function keyWalk(prefix: Buffer, cursor: string, path: string): WalkStart {
  if (cursor === '') return walkFrom(prefix, cursor, path);
  const after = Buffer.concat([prefix, decodeKeyToken(cursor, rkeyLengthMax) ?? refuseToken(path)]);
  return { prefix, start: after, after };
}

/** Reads a page of a namespace, the greatest key first, of what is indexed. */
function* pageByKey<Item>(
  { state, owner }: Actor,
  namespace: string,
  page: PageRequest & { readonly path: string },
  turn: Turn,
  itemOf: (key: string, indexedPayload: string) => Item | undefined,
): SlicedRead<ItemPage<Item>> {
  const limit = pageLimit(page.limit);
  const walk = keyWalk(privatePrefix(owner, namespace), page.cursor, page.path);
  if (limit === 0) return { items: [], cursor: '' };
  // Rows are read one by one, since those that are not indexed may be large.
  const keys = [...walkKeys(state.rows, walk, scannedMax + 1)];
  if (keys.length === 0) requireWhole(state);
  const items: Item[] = [];
  for (const [index, key] of keys.entries()) {
    if (items.length >= limit || index === scannedMax)
      return { items, cursor: encodeKeyToken(keys[index - 1]!, walk.prefix.length) };
    const value = state.rows.get(key);
    const payload = value === undefined || !isIndexedRow(value) ? null : readPrivateRow(value).indexedPayload;
    const item = payload === null ? undefined : itemOf(readPrivateItem(key)!.key, payload);
    if (item !== undefined) items.push(item);
    if (turn.isOver(itemMicros.listed)) yield;
  }
  return { items, cursor: '' };
}

type PageOf = { readonly state: SlotState; readonly did: string; readonly page: PageRequest };

/** Errors: DataPlaneError `InvalidArgument` for a token that is not ours; so do the other pages. */
export function bookmarksPage({ state, did, page }: PageOf, turn: Turn): SlicedRead<ItemPage<BookmarkInfo>> {
  const path = 'GetActorBookmarksRequest.cursor';
  return pageByKey(actorOf(state, did), privateNamespace.bookmark, { ...page, path }, turn, (key, payload) => {
    const subject = bookmarkUriOf(payload);
    return subject === undefined ? undefined : { key, subject };
  });
}

/** Returns a page of the DIDs to whose activity an actor is subscribed. */
export function subscribedDidsPage({ state, did, page }: PageOf, turn: Turn): SlicedRead<ItemPage<string>> {
  const path = 'GetActivitySubscriptionDidsRequest.cursor';
  const namespace = privateNamespace.activitySubscription;
  const actor = actorOf(state, did);
  return pageByKey(actor, namespace, { ...page, path }, turn, (_key, payload) => subscriptionOf(payload)?.did);
}

/** Returns a page of drafts, the last updated first; it ends early once it is large. */
export function* draftsPage({ state, did, page }: PageOf, turn: Turn): SlicedRead<ItemPage<MessageInput<DraftInfo>>> {
  const limit = pageLimit(page.limit);
  const { owner } = actorOf(state, did);
  const walk = walkFrom(draftByTimePrefix(owner), page.cursor, 'GetActorDraftsRequest.cursor');
  if (limit === 0) return { items: [], cursor: '' };
  const keys = [...walkKeys(state.rows, walk, limit + 1)];
  if (keys.length === 0) requireWhole(state);
  const items: MessageInput<DraftInfo>[] = [];
  let bytes = 0;
  for (const [index, timeKey] of keys.entries()) {
    if (index === limit || bytes > answerBytesMax)
      return { items, cursor: keyToken(keys[index - 1]!, walk.prefix.length) };
    const key = readDraftKey(timeKey);
    const row = getPrivateRow(state, owner, { namespace: privateNamespace.draft, key });
    if (row === undefined || row.indexedPayload === null) continue;
    const payload = Buffer.from(row.indexedPayload, 'utf8');
    bytes += payload.length;
    items.push({ key, payload, createdAt: row.createdMs, updatedAt: row.updatedMs });
    if (turn.isOver(itemMicros.listed + payload.length / draftBytesPerMicro)) yield;
  }
  return { items, cursor: '' };
}

function bookmarkAnswer({ state, owner }: Actor, actorDid: string, uri: string): MessageInput<Bookmark> {
  const namespace = privateNamespace.bookmark;
  const key = bookmarkOf(state, owner, uri);
  const row = key === undefined ? undefined : getPrivateRow(state, owner, { namespace, key });
  const subject = bookmarkSubjectOf(row?.indexedPayload ?? '{}');
  // A bookmark of the same record whose URI is spelt otherwise is none of this URI.
  if (key === undefined || row === undefined || subject?.uri !== uri) return {};
  return { ref: { actorDid, namespace, key }, subjectUri: uri, subjectCid: subject.cid, indexedAt: row.createdMs };
}

/** Writes an actor's bookmark of each URI; an empty one where there is none. */
export function* writeBookmarksOf(
  into: MessageWriter,
  { state, did, uris }: { readonly state: SlotState; readonly did: string; readonly uris: readonly string[] },
  turn: Turn,
): SlicedRead<void> {
  const actor = actorOf(state, did);
  for (const uri of uris) {
    writeItem(into, encodeMessage('Bookmark', bookmarkAnswer(actor, did, uri)));
    if (turn.isOver(itemMicros.found)) yield;
  }
}

/** Writes field 1, which holds the items of each answer here. */
function writeItem(into: MessageWriter, message: Uint8Array): void {
  const start = into.begin(itemsNumber, 2);
  into.bytes(message);
  into.end(start, 2);
}

const { bookmarks: itemsNumber } = fieldNumber.GetBookmarksByActorAndSubjectsResponse;

function subscriptionAnswer(
  { state, owner }: Actor,
  actorDid: string,
  did: string,
): MessageInput<ActivitySubscription> {
  const namespace = privateNamespace.activitySubscription;
  const key = subscriptionTo(state, owner, did);
  const row = key === undefined ? undefined : getPrivateRow(state, owner, { namespace, key });
  const fields = subscriptionOf(row?.indexedPayload ?? '{}');
  if (key === undefined || fields === undefined) return { actorDid, namespace };
  const { post, reply } = fields;
  return { actorDid, namespace, key, subjectDid: did, ...(post ? { post: {} } : {}), ...(reply ? { reply: {} } : {}) };
}

/** Writes an actor's subscription to each DID; one without a key where there is none. */
export function* writeSubscriptionsTo(
  into: MessageWriter,
  { state, did, subjects }: { readonly state: SlotState; readonly did: string; readonly subjects: readonly string[] },
  turn: Turn,
): SlicedRead<void> {
  const actor = actorOf(state, did);
  for (const subject of subjects) {
    writeItem(into, encodeMessage('ActivitySubscription', subscriptionAnswer(actor, did, subject)));
    if (turn.isOver(itemMicros.found)) yield;
  }
}

/** Returns which of the threads, by their roots, an actor has muted. */
export function* mutedThreads(
  { state, did, roots }: { readonly state: SlotState; readonly did: string; readonly roots: readonly string[] },
  turn: Turn,
): SlicedRead<boolean[]> {
  const { owner } = actorOf(state, did);
  const muted: boolean[] = [];
  for (const uri of roots) {
    const root = parseRecordUri(uri);
    muted.push(root !== undefined && hasThreadMute(state, owner, root));
    if (turn.isOver(itemMicros.mute)) yield;
  }
  return muted;
}

type Channel = 'list' | 'push';

function isOn(preference: JsonObject | undefined, channel: Channel): boolean {
  return preference?.[channel] !== false;
}

/** Returns what a payload says; undefined for no JSON, which must not fail its whole batch. */
function parsedOf(payload: string): unknown {
  try {
    return JSON.parse(payload);
  } catch {
    return undefined;
  }
}

function preferencesAnswer(payload: string): MessageInput<NotificationPreferences> {
  const parsed = parsedOf(payload);
  if (parsed === undefined) return {};
  const fields = objectOf(parsed);
  const plain = (name: string) => {
    const preference = objectOf(fields?.[name]);
    return { list: { enabled: isOn(preference, 'list') }, push: { enabled: isOn(preference, 'push') } };
  };
  const filterable = (name: string) => {
    const isOfFollows = objectOf(fields?.[name])?.['include'] === 'follows';
    return { include: isOfFollows ? notificationInclude.FOLLOWS : notificationInclude.ALL, ...plain(name) };
  };
  return {
    entry: Buffer.from(payload, 'utf8'),
    follow: filterable('follow'),
    like: filterable('like'),
    likeViaRepost: filterable('likeViaRepost'),
    mention: filterable('mention'),
    quote: filterable('quote'),
    reply: filterable('reply'),
    repost: filterable('repost'),
    repostViaRepost: filterable('repostViaRepost'),
    starterpackJoined: plain('starterpackJoined'),
    subscribedPost: plain('subscribedPost'),
    unverified: plain('unverified'),
    verified: plain('verified'),
  };
}

/** Larger ones are as if they were absent: valid ones have some hundred bytes. */
const preferencesLengthMax = 32 * 1024;

/** Writes the preferences of each DID, empty ones for none. Returns as an ItemsWriter does. */
export function writePreferences(
  into: MessageWriter,
  { lookup, turn }: { readonly lookup: SlotLookup; readonly turn: Turn },
  dids: readonly string[],
): number | null {
  for (let count = 1; count <= dids.length; count++) {
    const { state, owner } = actorOf(lookup.stateOf(dids[count - 1]!), dids[count - 1]!);
    const row = getPrivateRow(state, owner, { namespace: privateNamespace.preferences, key: 'self' });
    const isRead = row !== undefined && row.payload.length <= preferencesLengthMax;
    writeItem(into, encodeMessage('NotificationPreferences', isRead ? preferencesAnswer(row.payload) : {}));
    if (turn.isItemsEnd(itemMicros.preferences, into.length) && count < dids.length) return count;
  }
  return null;
}
