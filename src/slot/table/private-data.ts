/**
 * What actors' apps store of them in private: bookmarks, drafts, subscriptions, preferences.
 *
 * (owner, privateData) → the owner's DID: it need have no other row that names it.
 * (owner, privateData, namespace, key) → flags, created and updated time, JSON; where these differ,
 * that which is indexed first.
 * (owner, bookmarkBySubject, subject) → key of the bookmark.
 * (owner, subscriptionBySubject, DID) → key of the subscription.
 * (owner, draftByTime, updated time, key) → nothing.
 *
 * A row is indexed while the other tables lead to it. Keys end with the item's key as text, so
 * items of a namespace are in the order of their keys.
 */
import {
  isKeyableDid,
  parseRecordUri,
  type RecordRef,
  readDid,
  writeDid,
  writeRecordRef,
} from '../../atproto/compact-key.ts';
import { readNamespace, writeNamespace } from '../../atproto/private-namespace.ts';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import { packJson, unpackedText } from '../packing/packed-json.ts';
import { objectOf, refOf, textOf } from './record-values.ts';
import { beginKey, keyHeadBytes, readKey, type SlotState, tableCode } from './slot-state.ts';

/** One item's place. */
export type PrivateItem = { readonly namespace: string; readonly key: string };

export type PrivateRow = {
  readonly createdMs: number;
  readonly updatedMs: number;
  /** JSON. */
  readonly payload: string;
  /** What the other tables were made of, in nearly all rows the payload; null for not indexed. */
  readonly indexedPayload: string | null;
};

/** A row of the second version has the payload that is indexed before the other. */
const rowVersion = { one: 1, two: 2 } as const;
const indexedFlag = 1;
const valueWriter = sharedWriter(4096);
/** Version and flags, and two times. */
const payloadAt = 1 + 6 + 6;

/** Returns the prefix of an owner's items of one namespace, or of all for null. */
export function privatePrefix(owner: number, namespace: string | null): Buffer {
  const key = beginKey(owner, tableCode.privateData);
  if (namespace !== null) writeNamespace(key, namespace);
  return key.finish();
}

/** Returns the key of a row from its namespace's prefix and the item's key. */
export function privateKey(prefix: Buffer, key: string): Buffer {
  return Buffer.concat([prefix, Buffer.from(key, 'utf8')]);
}

function keyOf(owner: number, { namespace, key }: PrivateItem): Buffer {
  return privateKey(privatePrefix(owner, namespace), key);
}

/** Notes whose the private data is. */
export function putPrivateOwner(state: SlotState, owner: number, did: string): void {
  const key = privatePrefix(owner, null);
  if (state.rows.has(key)) return;
  writeDid(valueWriter, did);
  state.rows.put(key, valueWriter.finish());
}

/** Returns whose the private data is; undefined for an owner that never had any. */
export function getPrivateOwner(state: SlotState, owner: number): string | undefined {
  const value = state.rows.get(privatePrefix(owner, null));
  return value === undefined ? undefined : readDid(new ByteReader(value));
}

/** Returns the item of a row's key; undefined for that of the owner's DID. */
export function readPrivateItem(key: Buffer): PrivateItem | undefined {
  if (key.length === keyHeadBytes) return undefined;
  const reader = readKey(key);
  return { namespace: readNamespace(reader), key: reader.rest().utf8Slice() };
}

/** Reads the value of a row. */
export function readPrivateRow(value: Buffer): PrivateRow {
  const reader = new ByteReader(value);
  const head = reader.u8();
  const version = head >>> 4;
  invariant(
    version === rowVersion.one || version === rowVersion.two,
    'a row of private data has a known format version',
  );
  const [createdMs, updatedMs] = [readEntryTime(reader), readEntryTime(reader)];
  if (version === rowVersion.one) {
    const payload = unpackedText(value, payloadAt, value.length);
    return { createdMs, updatedMs, payload, indexedPayload: (head & indexedFlag) === 0 ? null : payload };
  }
  const secondAt = payloadAt + 4 + reader.u32();
  const indexedPayload = unpackedText(value, payloadAt + 4, secondAt);
  return { createdMs, updatedMs, payload: unpackedText(value, secondAt, value.length), indexedPayload };
}

/** True for the value of an indexed row. */
export function isIndexedRow(value: Buffer): boolean {
  return (value[0]! & indexedFlag) !== 0;
}

/** Returns an item, or undefined. */
export function getPrivateRow(state: SlotState, owner: number, item: PrivateItem): PrivateRow | undefined {
  const value = state.rows.get(keyOf(owner, item));
  return value === undefined ? undefined : readPrivateRow(value);
}

function packed(json: string): Buffer {
  packJson(valueWriter, json);
  return Buffer.from(valueWriter.finish());
}

/** Writes an item's row. */
export function putPrivateRow(state: SlotState, owner: number, item: PrivateItem, row: PrivateRow): void {
  const key = keyOf(owner, item);
  const { payload, indexedPayload } = row;
  const isOne = indexedPayload === null || indexedPayload === payload;
  const first = isOne ? null : packed(indexedPayload);
  const version = isOne ? rowVersion.one : rowVersion.two;
  valueWriter.u8((version << 4) | (indexedPayload === null ? 0 : indexedFlag));
  writeEntryTime(valueWriter, row.createdMs);
  writeEntryTime(valueWriter, row.updatedMs);
  if (first !== null) valueWriter.u32(first.length).bytes(first);
  packJson(valueWriter, payload);
  state.rows.put(key, valueWriter.finish());
}

/** Removes an item's row. */
export function removePrivateRow(state: SlotState, owner: number, item: PrivateItem): void {
  state.rows.remove(keyOf(owner, item));
}

/** Larger payloads are not indexed, so that a page of them costs little. Units: characters. */
const indexedPayloadMax = 4096;

function fieldsOf(payload: string) {
  return payload.length > indexedPayloadMax ? undefined : objectOf(JSON.parse(payload));
}

/** A bookmark's record, as its payload spells it. */
export type BookmarkSubject = { readonly uri: string; readonly cid: string; readonly ref: RecordRef };

/** Returns what a bookmark points at; undefined for what is no bookmark of a record. */
export function bookmarkSubjectOf(payload: string): BookmarkSubject | undefined {
  const subject = objectOf(fieldsOf(payload)?.['subject']);
  const [uri, cid, ref] = [textOf(subject?.['uri']), textOf(subject?.['cid']), refOf(subject)];
  return uri === undefined || cid === undefined || ref === undefined ? undefined : { uri, cid, ref };
}

/** Returns the URI of the subject of a bookmark that is indexed. */
export function bookmarkUriOf(payload: string): string | undefined {
  return textOf(objectOf(fieldsOf(payload)?.['subject'])?.['uri']);
}

export type ActivitySubscriptionFields = { readonly did: string; readonly post: boolean; readonly reply: boolean };

/** Returns what an actor is subscribed to; undefined for what is no subscription. */
export function subscriptionOf(payload: string): ActivitySubscriptionFields | undefined {
  const fields = fieldsOf(payload);
  const did = textOf(fields?.['subject']);
  const kinds = objectOf(fields?.['activitySubscription']);
  const [post, reply] = [kinds?.['post'], kinds?.['reply']];
  if (did === undefined || !isKeyableDid(did) || typeof post !== 'boolean' || typeof reply !== 'boolean') return;
  return { did, post, reply };
}

/** Returns the key of the row that leads from a subject to its bookmark. */
export function bookmarkBySubjectKey(owner: number, subject: RecordRef): Buffer {
  const key = beginKey(owner, tableCode.bookmarkBySubject);
  writeRecordRef(key, subject);
  return key.finish();
}

/** Returns the key of the row that leads from a subject to its subscription. */
export function subscriptionBySubjectKey(owner: number, did: string): Buffer {
  const key = beginKey(owner, tableCode.subscriptionBySubject);
  writeDid(key, did);
  return key.finish();
}

/** Returns the key of the owner's bookmark of the record that a URI names, or undefined. */
export function bookmarkOf(state: SlotState, owner: number, uri: string): string | undefined {
  const ref = parseRecordUri(uri);
  return ref === undefined ? undefined : state.rows.get(bookmarkBySubjectKey(owner, ref))?.utf8Slice();
}

/** Returns the key of the owner's subscription to a DID, or undefined. */
export function subscriptionTo(state: SlotState, owner: number, did: string): string | undefined {
  return isKeyableDid(did) ? state.rows.get(subscriptionBySubjectKey(owner, did))?.utf8Slice() : undefined;
}

/** Returns the prefix of an owner's drafts in the order in which they were updated. */
export function draftByTimePrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.draftByTime).finish();
}

/** Returns the key of a draft among them. */
export function draftByTimeKey(owner: number, updatedMs: number, key: string): Buffer {
  const writer = beginKey(owner, tableCode.draftByTime);
  writeEntryTime(writer, updatedMs);
  return writer.bytes(Buffer.from(key, 'utf8')).finish();
}

/** Returns a draft's key from its row's. */
export function readDraftKey(key: Buffer): string {
  return key.utf8Slice(keyHeadBytes + 6);
}
