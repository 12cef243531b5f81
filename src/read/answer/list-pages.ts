/**
 * Lists: pages of their members, who is on them, who opted out, and what their records say.
 *
 * As on the official data plane, members stay when their list's record goes, and only a list whose
 * record calls it a reference list hides those who opted out from all but its owner.
 */
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef, recordUri } from '../../atproto/compact-key.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { membersBySubjectPrefix } from '../../slot/table/edge-by-subject.ts';
import { incomingRecordPrefix, listedPrefix, readIncomingEdge } from '../../slot/table/incoming-edge.ts';
import { listMemberPrefix, memberCountOf, readListMember } from '../../slot/table/list-member.ts';
import { cidOf, listFlag, recordKey } from '../../slot/table/record-row.ts';
import { RecordView } from '../../slot/table/record-view.ts';
import { noOwner, type SlotState } from '../../slot/table/slot-state.ts';
import { prefixEnd } from '../../storage/environment.ts';
import type { ListFacts } from '../../wire/list-messages.ts';
import { writeDidsUnder } from '../lookup/followed-dids.ts';
import { keyToken, type PageRequest, pageLimit, walkFrom, walkRows } from '../lookup/page.ts';
import { ownerOfDid, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';

/** Rows read for one page of members; a page of a list that many left may end early. */
const membersReadMax = 2_000;
const item = fieldNumber.ListItemInfo;
const memberFields = fieldNumber.GetListMembersResponse;

type OwnList = { readonly state: SlotState; readonly owner: number; readonly list: RecordRef };

/** Returns whether a key begins with a prefix. */
function hasKeyUnder({ rows }: SlotState, prefix: Buffer): boolean {
  for (const _key of rows.scanKeys({ start: prefix, end: prefixEnd(prefix), limit: 1 })) return true;
  return false;
}

const missingList: ListFacts = { exists: false, isReference: false, createdMs: 0, cid: Buffer.alloc(0) };

const view = new RecordView();

/** Returns what a list's record says, without its JSON, which may be a megabyte. */
function factsOf({ state, owner, list }: OwnList): ListFacts {
  const isList = list.collection === nsid.list;
  const value = isList ? state.rows.getVolatile(recordKey(owner, list.collection, list.rkey)) : undefined;
  if (value === undefined) return missingList;
  const row = view.read(value);
  return {
    exists: true,
    isReference: (row.postFlags & listFlag.isReference) !== 0,
    createdMs: row.hasCreated ? row.createdMs : 0,
    cid: Buffer.from(cidOf(row)),
  };
}

/** The opt-outs that hide members of a list. */
export class OptOuts {
  readonly #state: SlotState;
  readonly #prefix: Buffer;
  /** False where nobody can have opted out. */
  readonly isAny: boolean;

  constructor({ state, owner, list }: OwnList) {
    this.#state = state;
    this.#prefix = incomingRecordPrefix(owner, list.collection, list.rkey, 'list-opt-out');
    this.isAny = hasKeyUnder(state, this.#prefix) && factsOf({ state, owner, list }).isReference;
  }

  /** True when the actor whose key bytes are `did` opted out. */
  has(did: Buffer): boolean {
    return this.isAny && hasKeyUnder(this.#state, Buffer.concat([this.#prefix, did]));
  }
}

export type MembersRequest = PageRequest & { readonly listUri: string; readonly viewerDid: string };

/** Writes a page of a list's members, newest first. Errors: `InvalidArgument` for a bad token. */
export function writeListMembers(into: MessageWriter, lookup: SlotLookup, request: MembersRequest): void {
  const list = parseRecordUri(request.listUri);
  if (list === undefined) return;
  const state = lookup.stateOf(list.did);
  const owner = ownerOfDid(state, list.did) ?? noOwner;
  const limit = pageLimit(request.limit);
  const walk = walkFrom(listMemberPrefix(owner, list), request.cursor, 'GetListMembersRequest.cursor');
  if (limit === 0) return;
  const optOuts = new OptOuts({ state, owner, list });
  const isOwner = request.viewerDid === list.did;
  let last: Buffer | null = null;
  let shown = 0;
  let read = 0;
  for (const { key, value } of walkRows(state.rows, walk, optOuts.isAny ? membersReadMax + 1 : limit + 1)) {
    if (shown === limit || read++ === membersReadMax) {
      into.textField(memberFields.cursor, keyToken(last!, walk.prefix.length));
      return;
    }
    last = key;
    const isOut = optOuts.has(value);
    if (isOut && !isOwner) continue;
    shown++;
    const { did, itemRkey } = readListMember(key, value, walk.prefix.length);
    const start = into.begin(memberFields.listitems, 1);
    into.textField(item.uri, recordUri({ did: list.did, collection: nsid.listItem, rkey: itemRkey }));
    into.textField(item.did, did);
    if (isOut) into.trueField(item.subjectOptedOut);
    into.end(start, 1);
  }
  if (last === null) requireWhole(state);
}

/** Writes a page of the DIDs of a list's members in key order, without those who opted out. */
export function writeMemberDids(
  texts: MessageWriter,
  lookup: SlotLookup,
  listUri: string,
  { after, limit }: { readonly after: string; readonly limit: number },
): { readonly count: number; readonly next: string } {
  const list = parseRecordUri(listUri);
  const state = list === undefined ? undefined : lookup.stateOf(list.did);
  const owner = state === undefined ? undefined : ownerOfDid(state, list!.did);
  if (list === undefined || state === undefined || owner === undefined) return { count: 0, next: '' };
  const optOuts = new OptOuts({ state, owner, list });
  const isLeftOut = optOuts.isAny ? (did: Buffer): boolean => optOuts.has(did) : undefined;
  return writeDidsUnder(texts, state, membersBySubjectPrefix(owner, list), { after, limit }, isLeftOut);
}

/** Returns how many members the list at a URI has; 0 for what is no list. */
export function listMemberCount(lookup: SlotLookup, uri: string): number {
  const list = parseRecordUri(uri);
  if (list === undefined) return 0;
  const state = lookup.stateOf(list.did);
  const owner = ownerOfDid(state, list.did);
  const value = owner === undefined ? undefined : state.rows.getVolatile(listMemberPrefix(owner, list));
  return value === undefined ? 0 : memberCountOf(value);
}

/** About what a look into the lists that an actor is on takes, and reading a list's record. */
const micros = { listed: 6, facts: 30 } as const;

/** Writes for each list the URI of the item by which an actor is on it, or ''. */
export function* writeListMembership(
  into: MessageWriter,
  { state, did }: { readonly state: SlotState; readonly did: string },
  listUris: readonly string[],
  turn: Turn,
): SlicedRead<void> {
  const owner = ownerOfDid(state, did);
  let isLacking = false;
  for (const uri of listUris) {
    const list = owner === undefined ? undefined : parseRecordUri(uri);
    const itemUri = list === undefined ? '' : itemUriOf(state, owner!, list);
    isLacking ||= itemUri === '';
    into.textField(fieldNumber.GetListMembershipResponse.listitemUris, itemUri);
    if (turn.isOver(micros.listed)) yield;
  }
  if (isLacking) requireWhole(state);
}

function itemUriOf({ rows }: SlotState, owner: number, list: RecordRef): string {
  const prefix = listedPrefix(owner, list);
  for (const key of rows.scanKeys({ start: prefix, end: prefixEnd(prefix), limit: 1 })) {
    const { did, rkey } = readIncomingEdge(key, prefix.length);
    return recordUri({ did, collection: nsid.listItem, rkey });
  }
  return '';
}

/** Returns what the records of lists say. */
export function* listFactsOf(lookup: SlotLookup, uris: readonly string[], turn: Turn): SlicedRead<ListFacts[]> {
  const facts: ListFacts[] = [];
  for (const uri of uris) {
    const list = parseRecordUri(uri);
    facts.push(list === undefined ? missingList : factsOfList(lookup, list));
    if (turn.isOver(micros.facts)) yield;
  }
  return facts;
}

function factsOfList(lookup: SlotLookup, list: RecordRef): ListFacts {
  const state = lookup.stateOf(list.did);
  const owner = ownerOfDid(state, list.did);
  const facts = owner === undefined ? missingList : factsOf({ state, owner, list });
  if (!facts.exists) requireWhole(state);
  return facts;
}
