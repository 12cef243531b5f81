/** Answers of GetActors: the actor's row, and the records from which its views are made. */
import { nsid } from '../../atproto/collection.ts';
import { rkeyTag } from '../../atproto/compact-key.ts';
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import { unpackedText } from '../../slot/packing/packed-json.ts';
import { getActor } from '../../slot/table/actor-row.ts';
import { getActorTags } from '../../slot/table/actor-tags.ts';
import { getAgeAssurance } from '../../slot/table/age-assurance.ts';
import { type JsonObject, objectOf, textOf } from '../../slot/table/record-values.ts';
import { RecordView } from '../../slot/table/record-view.ts';
import { beginKey, keyHead, keyHeadBytes, type SlotState, tableCode } from '../../slot/table/slot-state.ts';
import { isOwnerMarked, ownerMark, seenKey } from '../../slot/table/unread-count.ts';
import { getVerifiedBy, verifiedByKey } from '../../slot/table/verified-by.ts';
import type { ActorCache } from '../cache/actor-cache.ts';
import { writeAbsentRecord, writeRecord } from '../lookup/record-answer.ts';
import { type KnownCollection, knownCollection } from '../lookup/row-finder.ts';
import { ownerOfDid, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { Turn } from '../lookup/turn.ts';

const { dids, returnAgeAssuranceForDids } = fieldNumber.GetActorsRequest;
const { actors } = fieldNumber.GetActorsResponse;
const field = fieldNumber.ActorInfo;
const ageField = fieldNumber.AgeAssuranceStatus;
const unknownAge = 'unknown';

const profile = knownCollection(nsid.profile);
const status = knownCollection(nsid.status);
const labeler = knownCollection(nsid.labeler);
const notificationDeclaration = knownCollection(nsid.notificationDeclaration);
const chatDeclaration = knownCollection(nsid.chatDeclaration);
const germDeclaration = knownCollection(nsid.germDeclaration);

/** A larger record `self` is as if it were absent: a valid one has some hundred bytes. */
const selfRowBytesMax = 32 * 1024;

/** Who may subscribe to an actor's activity when its declaration says nothing. */
const subscriptionsDefault = 'followers';
const subscriptionValues: ReadonlySet<string> = new Set(['followers', 'mutuals', 'none']);

const selfKey = Buffer.alloc(keyHeadBytes + 2, rkeyTag.self);
const view = new RecordView();

/** Returns the key of an owner's record `self`; the next call overwrites it. */
function selfKeyOf(owner: number, collection: KnownCollection): Buffer {
  selfKey.writeUInt32BE(keyHead(owner, tableCode.record), 0);
  selfKey[keyHeadBytes] = collection.code;
  return selfKey;
}

/** Returns the row of an owner's record `self`, unless it is too large. */
export function selfRow(state: SlotState, owner: number, collection: KnownCollection): Buffer | undefined {
  const row = state.rows.getVolatile(selfKeyOf(owner, collection));
  return row === undefined || row.length > selfRowBytesMax ? undefined : row;
}

function declarationOf(state: SlotState, owner: number, collection: KnownCollection): JsonObject | undefined {
  const row = selfRow(state, owner, collection);
  if (row === undefined) return undefined;
  const { bodyAt } = view.read(row);
  return objectOf(JSON.parse(unpackedText(row, bodyAt, row.length)));
}

/** Writes field `number` as the owner's record `self` of a collection. */
function writeSelfRecord(
  into: MessageWriter,
  number: number,
  state: SlotState,
  owner: number,
  collection: KnownCollection,
): void {
  const row = selfRow(state, owner, collection);
  if (row === undefined) writeAbsentRecord(into, number);
  else writeRecord(into, number, row);
}

function writeDeclarations(into: MessageWriter, state: SlotState, owner: number): void {
  const chat = declarationOf(state, owner, chatDeclaration);
  into.optionalTextField(field.allowIncomingChatsFrom, textOf(chat?.['allowIncoming']) ?? '');
  into.optionalTextField(field.allowGroupChatInvitesFrom, textOf(chat?.['allowGroupInvites']) ?? '');
  const declared = textOf(declarationOf(state, owner, notificationDeclaration)?.['allowSubscriptions']);
  const isKnown = declared !== undefined && subscriptionValues.has(declared);
  into.textField(field.allowActivitySubscriptionsFrom, isKnown ? declared : subscriptionsDefault);
}

function writeActorRow(into: MessageWriter, state: SlotState, owner: number): void {
  const actor = getActor(state, owner);
  if (actor === undefined) return requireWhole(state);
  into.trueField(field.exists);
  into.optionalTextField(field.handle, actor.handle ?? '');
  if (actor.takedownRef !== null && actor.takedownRef !== '') {
    into.trueField(field.takenDown);
    into.textField(field.takedownRef, actor.takedownRef);
  }
  into.optionalTextField(field.upstreamStatus, actor.upstreamStatus);
  for (const tag of getActorTags(state, owner)) into.textField(field.tags, tag);
  if (actor.isTrustedVerifier) into.trueField(field.trustedVerifier);
  if (isOwnerMarked(state, owner, ownerMark.prefersFollowed)) into.trueField(field.priorityNotifications);
}

const { rkey: metaRkey, handle: metaHandle, displayName: metaName, sortedAt } = fieldNumber.VerificationMeta;
/** Of an entry of a map, in any message. */
const [mapKey, mapValue] = [1, 2];

function writeVerifiedBy(into: MessageWriter, state: SlotState, owner: number): void {
  for (const { verifier, rkey, handle, displayName, sortMs } of getVerifiedBy(state, owner)) {
    const entry = into.begin(field.verifiedBy, 2);
    into.textField(mapKey, verifier);
    const meta = into.begin(mapValue, 2);
    into.textField(metaRkey, rkey);
    into.optionalTextField(metaHandle, handle);
    into.optionalTextField(metaName, displayName);
    into.timeField(sortedAt, sortMs);
    into.end(meta, 2);
    into.end(entry, 2);
  }
}

/** What an actor may access whose status says it, when nobody has said more. */
const accessByStatus: ReadonlyMap<string, string> = new Map([
  ['assured', 'full'],
  ['blocked', 'none'],
]);

function writeAgeAssurance(into: MessageWriter, lookup: SlotLookup, did: string): void {
  const state = lookup.stateOf(did);
  const owner = ownerOfDid(state, did);
  const isActor = owner !== undefined && getActor(state, owner) !== undefined;
  const known = isActor ? getAgeAssurance(state, owner) : undefined;
  const status = known?.status || unknownAge;
  const isGiven = known !== undefined && known.access !== '' && known.access !== unknownAge;
  const start = into.begin(field.ageAssuranceStatus, 2);
  into.textField(ageField.status, status);
  const lastInitiatedMs = known?.lastInitiatedMs ?? null;
  if (lastInitiatedMs !== null) into.timeField(ageField.lastInitiatedAt, lastInitiatedMs);
  into.textField(ageField.access, isGiven ? known.access : (accessByStatus.get(status) ?? unknownAge));
  into.end(start, 2);
}

function writeKnownActor(into: MessageWriter, state: SlotState, owner: number): void {
  writeActorRow(into, state, owner);
  const profileRow = selfRow(state, owner, profile);
  if (profileRow === undefined) {
    writeAbsentRecord(into, field.profile);
  } else {
    const { hasCreated, createdMs, tags } = view.read(profileRow);
    if (hasCreated) into.timeField(field.createdAt, createdMs);
    for (const tag of tags) into.textField(field.profileTags, tag);
    writeRecord(into, field.profile, profileRow);
  }
  if (state.rows.has(selfKeyOf(owner, labeler))) into.trueField(field.labeler);
  writeSelfRecord(into, field.statusRecord, state, owner, status);
  writeSelfRecord(into, field.germRecord, state, owner, germDeclaration);
  writeDeclarations(into, state, owner);
  writeVerifiedBy(into, state, owner);
}

function writeUnknownActor(into: MessageWriter): void {
  for (const number of [field.profile, field.statusRecord, field.germRecord]) writeAbsentRecord(into, number);
  into.textField(field.allowActivitySubscriptionsFrom, subscriptionsDefault);
}

/** Returns the DIDs for which a request asks for age assurance; null for none. */
function ageAssuranceDids(request: Buffer): ReadonlySet<string> | null {
  const scanner = new FieldScanner(request, 'dids');
  let asked: Set<string> | null = null;
  while (scanner.nextOf(returnAgeAssuranceForDids)) {
    asked ??= new Set();
    asked.add(request.utf8Slice(scanner.start, scanner.end));
  }
  return asked;
}

const infoWriter = new MessageWriter();

/** Returns the ActorInfo of a known owner, without age assurance. */
export function actorInfo(state: SlotState, owner: number): Buffer {
  writeKnownActor(infoWriter.clear(), state, owner);
  return infoWriter.finish();
}

/** Returns the ActorInfo of any actor that its slot does not know. */
function unknownInfo(): Buffer {
  writeUnknownActor(infoWriter.clear());
  return infoWriter.finish();
}

const unknown = unknownInfo();

const infoBytesPerMicro = 1_000;
/** About what an info takes that is cached, and one that is read. Units: µs. */
const infoMicros = { cached: 1, read: 30 } as const;

/** Writes one ActorInfo for each DID of a request, in order. Returns as an ItemsWriter does. */
export function writeActorInfos(
  into: MessageWriter,
  { actors: cache, lookup, turn }: { readonly actors: ActorCache; readonly lookup: SlotLookup; readonly turn: Turn },
  request: Buffer,
): number | null {
  const withAgeAssurance = ageAssuranceDids(request);
  const scanner = new FieldScanner(request, 'dids');
  let count = 0;
  let isEnd = false;
  while (scanner.nextOf(dids)) {
    if (isEnd) return count;
    const { misses } = cache.cache;
    const info = cache.get(request, scanner.start, scanner.end) ?? unknown;
    const start = into.begin(actors, 2);
    into.raw(info);
    const did = withAgeAssurance === null ? '' : request.utf8Slice(scanner.start, scanner.end);
    if (withAgeAssurance?.has(did)) writeAgeAssurance(into, lookup, did);
    into.end(start, 2);
    count++;
    const micros = cache.cache.misses === misses ? infoMicros.cached : infoMicros.read;
    isEnd = turn.isItemsEnd(micros + Math.trunc(info.length / infoBytesPerMicro), into.length);
  }
  return null;
}

/** Returns the keys of the rows from which an ActorInfo is made. */
export function actorInfoKeys(owner: number): Buffer[] {
  const records = [profile, status, labeler, notificationDeclaration, chatDeclaration, germDeclaration];
  return [
    beginKey(owner, tableCode.actor).finish(),
    seenKey(owner),
    verifiedByKey(owner),
    ...records.map((collection) => Buffer.from(selfKeyOf(owner, collection))),
  ];
}
