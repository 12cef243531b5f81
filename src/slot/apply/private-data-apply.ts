/**
 * Applies what is done with items of private data, and keeps the indexes of the kinds that have
 * one.
 *
 * As on the official plane: an item is indexed when it is created, unless its key or its subject
 * is indexed already; an update changes what is indexed, and indexes nothing. What was written
 * last is stored in any case.
 */
import { bookmarkCollection } from '../../atproto/edge-kind.ts';
import { privateNamespace } from '../../atproto/private-namespace.ts';
import type { PrivateWrite } from '../../entry/entry.ts';
import { addToActorCount } from '../table/actor-counts.ts';
import {
  bookmarkBySubjectKey,
  bookmarkSubjectOf,
  draftByTimeKey,
  getPrivateRow,
  type PrivateItem,
  type PrivateRow,
  putPrivateOwner,
  putPrivateRow,
  removePrivateRow,
  subscriptionBySubjectKey,
  subscriptionOf,
} from '../table/private-data.ts';
import { emptyValue } from '../table/slot-state.ts';
import type { ApplyContext } from './apply-context.ts';
import { itemsErasedUpToMs } from './erasure.ts';

/** Whose item it is. */
type Owned = { readonly did: string; readonly owner: number; readonly item: PrivateItem };

type PrivateIndex = {
  /** Returns false where the item cannot be indexed. */
  readonly add: (context: ApplyContext, owned: Owned, row: PrivateRow) => boolean;
  /** Returns the payload that is indexed from now on. */
  readonly update: (context: ApplyContext, owned: Owned, before: IndexedRow, row: PrivateRow) => string;
  readonly remove: (context: ApplyContext, owned: Owned, row: IndexedRow) => void;
};

type IndexedRow = PrivateRow & { readonly indexedPayload: string };

function isIndexed(row: PrivateRow | undefined): row is IndexedRow {
  return row !== undefined && row.indexedPayload !== null;
}

/** Makes an item the one of its subject, unless another is that already. */
function claimSubject(context: ApplyContext, key: Buffer, owned: Owned): boolean {
  const { state } = context;
  const { did, owner, item } = owned;
  const other = state.rows.get(key)?.utf8Slice();
  if (other !== undefined) {
    const otherItem = { ...item, key: other };
    const row = getPrivateRow(state, owner, otherItem);
    // One that waits to be erased is in nobody's way.
    if (row === undefined || row.createdMs > itemsErasedUpToMs(state, did, item.namespace)) return false;
    removePrivateItem(context, { did, owner, item: otherItem }, row);
  }
  state.rows.put(key, Buffer.from(item.key, 'utf8'));
  return true;
}

/** Its subject's slot counts a bookmark as an edge; it has no time that outlives a new scan. */
function sendBookmark(context: ApplyContext, { did, item }: Owned, payload: string, present: boolean): void {
  const subject = bookmarkSubjectOf(payload)?.ref;
  if (subject === undefined) return;
  const source = { did, collection: bookmarkCollection, rkey: item.key };
  context.send({ type: 'edge', edge: 'bookmark', present, source, subjectDid: subject.did, subject, sortMs: 0 });
}

const bookmarks: PrivateIndex = {
  add: (context, owned, row) => {
    const subject = bookmarkSubjectOf(row.payload)?.ref;
    if (subject === undefined || !claimSubject(context, bookmarkBySubjectKey(owned.owner, subject), owned))
      return false;
    sendBookmark(context, owned, row.payload, true);
    return true;
  },
  update: (_context, _owned, before) => before.indexedPayload,
  remove: (context, owned, { indexedPayload }) => {
    const subject = bookmarkSubjectOf(indexedPayload)?.ref;
    if (subject !== undefined) context.state.rows.remove(bookmarkBySubjectKey(owned.owner, subject));
    sendBookmark(context, owned, indexedPayload, false);
  },
};

const drafts: PrivateIndex = {
  add: ({ state }, { owner, item }, { updatedMs }) => {
    state.rows.put(draftByTimeKey(owner, updatedMs, item.key), emptyValue);
    addToActorCount(state, owner, 'drafts', 1);
    return true;
  },
  update: ({ state }, { owner, item }, before, { updatedMs, payload }) => {
    state.rows.remove(draftByTimeKey(owner, before.updatedMs, item.key));
    state.rows.put(draftByTimeKey(owner, updatedMs, item.key), emptyValue);
    return payload;
  },
  remove: ({ state }, { owner, item }, { updatedMs }) => {
    state.rows.remove(draftByTimeKey(owner, updatedMs, item.key));
    addToActorCount(state, owner, 'drafts', -1);
  },
};

const subscriptions: PrivateIndex = {
  add: (context, owned, row) => {
    const did = subscriptionOf(row.payload)?.did;
    return did !== undefined && claimSubject(context, subscriptionBySubjectKey(owned.owner, did), owned);
  },
  update: (_context, _owned, { indexedPayload }, { payload }) => {
    const [before, after] = [subscriptionOf(indexedPayload), subscriptionOf(payload)];
    if (before === undefined || after === undefined) return indexedPayload;
    if (before.did === after.did) return payload;
    const { post, reply } = after;
    return JSON.stringify({ subject: before.did, activitySubscription: { post, reply } });
  },
  remove: ({ state }, { owner }, { indexedPayload }) => {
    const did = subscriptionOf(indexedPayload)?.did;
    if (did !== undefined) state.rows.remove(subscriptionBySubjectKey(owner, did));
  },
};

const indexByNamespace: ReadonlyMap<string, PrivateIndex> = new Map([
  [privateNamespace.bookmark, bookmarks],
  [privateNamespace.draft, drafts],
  [privateNamespace.activitySubscription, subscriptions],
]);

/** Applies one write of private data, which was made at `writtenMs`. */
export function applyPrivateData(
  context: ApplyContext,
  did: string,
  write: Extract<PrivateWrite, { readonly type: 'private-data' }>,
  writtenMs: number,
): void {
  const { state } = context;
  const owned = { did, owner: state.ensureOwner(did), item: { namespace: write.namespace, key: write.key } };
  const erasedMs = itemsErasedUpToMs(state, did, write.namespace);
  const nowMs = Math.max(writtenMs, erasedMs + 1);
  let before = getPrivateRow(state, owned.owner, owned.item);
  if (before !== undefined && (write.method === 'delete' || before.createdMs <= erasedMs)) {
    removePrivateItem(context, owned, before);
    before = undefined;
  }
  if (write.method === 'delete') return;
  putPrivateOwner(state, owned.owner, did);
  const { payload } = write;
  const row = { createdMs: before?.createdMs ?? nowMs, updatedMs: nowMs, payload, indexedPayload: null };
  putPrivateRow(state, owned.owner, owned.item, indexedAs(context, owned, write.method, before, row));
}

/** Returns a row as it is stored, and indexes it by what is done with it. */
function indexedAs(
  context: ApplyContext,
  owned: Owned,
  method: 'create' | 'update',
  before: PrivateRow | undefined,
  row: PrivateRow,
): PrivateRow {
  const index = indexByNamespace.get(owned.item.namespace);
  if (index === undefined) return row;
  if (!isIndexed(before)) {
    const isAdded = method === 'create' && index.add(context, owned, row);
    return isAdded ? { ...row, indexedPayload: row.payload } : row;
  }
  if (method === 'update') return { ...row, indexedPayload: index.update(context, owned, before, row) };
  // What is created once more keeps the time that drafts are ordered by.
  return { ...before, payload: row.payload };
}

/** Removes an item and what its index holds of it. */
export function removePrivateItem(context: ApplyContext, owned: Owned, row: PrivateRow): void {
  if (isIndexed(row)) indexByNamespace.get(owned.item.namespace)?.remove(context, owned, row);
  removePrivateRow(context.state, owned.owner, owned.item);
}

/** Sends again the edge of a bookmark. */
export function restateBookmark(context: ApplyContext, owned: Owned, row: PrivateRow): void {
  const isBookmark = owned.item.namespace === privateNamespace.bookmark;
  if (isBookmark && isIndexed(row)) sendBookmark(context, owned, row.indexedPayload, true);
}
