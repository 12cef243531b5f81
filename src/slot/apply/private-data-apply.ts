/**
 * Applies what is done with items of private data, and keeps the indexes of the kinds that have
 * one.
 *
 * As on the official plane: an item is indexed when it is created, unless its key or its subject
 * is indexed already; an update changes what is indexed, and indexes nothing.
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
  /** Returns false where the item stays as it is. */
  readonly update: (context: ApplyContext, owned: Owned, before: PrivateRow, row: PrivateRow) => boolean;
  readonly remove: (context: ApplyContext, owned: Owned, row: PrivateRow) => void;
};

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
function sendBookmark(context: ApplyContext, { did, item }: Owned, row: PrivateRow, present: boolean): void {
  const subject = bookmarkSubjectOf(row.payload)?.ref;
  if (subject === undefined) return;
  const source = { did, collection: bookmarkCollection, rkey: item.key };
  context.send({ type: 'edge', edge: 'bookmark', present, source, subjectDid: subject.did, subject, sortMs: 0 });
}

const bookmarks: PrivateIndex = {
  add: (context, owned, row) => {
    const subject = bookmarkSubjectOf(row.payload)?.ref;
    if (subject === undefined || !claimSubject(context, bookmarkBySubjectKey(owned.owner, subject), owned))
      return false;
    sendBookmark(context, owned, row, true);
    return true;
  },
  update: () => false,
  remove: (context, owned, row) => {
    const subject = bookmarkSubjectOf(row.payload)?.ref;
    if (subject !== undefined) context.state.rows.remove(bookmarkBySubjectKey(owned.owner, subject));
    sendBookmark(context, owned, row, false);
  },
};

const drafts: PrivateIndex = {
  add: ({ state }, { owner, item }, { updatedMs }) => {
    state.rows.put(draftByTimeKey(owner, updatedMs, item.key), emptyValue);
    addToActorCount(state, owner, 'drafts', 1);
    return true;
  },
  update: ({ state }, { owner, item }, before, { updatedMs }) => {
    state.rows.remove(draftByTimeKey(owner, before.updatedMs, item.key));
    state.rows.put(draftByTimeKey(owner, updatedMs, item.key), emptyValue);
    return true;
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
  update: (_context, _owned, before, row) => subscriptionOf(before.payload)?.did === subscriptionOf(row.payload)?.did,
  remove: ({ state }, { owner }, row) => {
    const did = subscriptionOf(row.payload)?.did;
    if (did !== undefined) state.rows.remove(subscriptionBySubjectKey(owner, did));
  },
};

const indexByNamespace: ReadonlyMap<string, PrivateIndex> = new Map([
  [privateNamespace.bookmark, bookmarks],
  [privateNamespace.draft, drafts],
  [privateNamespace.activitySubscription, subscriptions],
]);

/** Applies one write of private data. */
export function applyPrivateData(
  context: ApplyContext,
  did: string,
  write: Extract<PrivateWrite, { readonly type: 'private-data' }>,
): void {
  const { state } = context;
  const owned = { did, owner: state.ensureOwner(did), item: { namespace: write.namespace, key: write.key } };
  const erasedMs = itemsErasedUpToMs(state, did, write.namespace);
  const nowMs = Math.max(context.appendMs, erasedMs + 1);
  let before = getPrivateRow(state, owned.owner, owned.item);
  if (before !== undefined && (write.method === 'delete' || before.createdMs <= erasedMs)) {
    removePrivateItem(context, owned, before);
    before = undefined;
  }
  if (write.method === 'delete') return;
  putPrivateOwner(state, owned.owner, did);
  const row = { isIndexed: false, createdMs: before?.createdMs ?? nowMs, updatedMs: nowMs, payload: write.payload };
  const index = indexByNamespace.get(write.namespace);
  if (before?.isIndexed === true) {
    const isChanged = write.method === 'update' && index?.update(context, owned, before, row) === true;
    if (isChanged) putPrivateRow(state, owned.owner, owned.item, { ...row, isIndexed: true });
    return;
  }
  const isIndexed = write.method === 'create' && index?.add(context, owned, row) === true;
  putPrivateRow(state, owned.owner, owned.item, { ...row, isIndexed });
}

/** Removes an item and what its index holds of it. */
export function removePrivateItem(context: ApplyContext, owned: Owned, row: PrivateRow): void {
  if (row.isIndexed) indexByNamespace.get(owned.item.namespace)?.remove(context, owned, row);
  removePrivateRow(context.state, owned.owner, owned.item);
}

/** Sends again the edge of a bookmark. */
export function restateBookmark(context: ApplyContext, owned: Owned, row: PrivateRow): void {
  if (row.isIndexed && owned.item.namespace === privateNamespace.bookmark) sendBookmark(context, owned, row, true);
}
