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
import { listedPrefix, readIncomingEdge } from '../../slot/table/incoming-edge.ts';
import { type ListMember, listMemberPrefix, memberCountOf, readListMember } from '../../slot/table/list-member.ts';
import { noOwner, type SlotState } from '../../slot/table/slot-state.ts';
import { prefixEnd } from '../../storage/environment.ts';
import type { ListFacts } from '../../wire/list-messages.ts';
import { factsOf, missingList, OptOuts } from '../lookup/list-record.ts';
import { keyToken, type PageRequest, pageLimit, walkFrom, walkRows } from '../lookup/page.ts';
import { ownerOfDid, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import { microsPerLook, type SlicedRead, type Turn } from '../lookup/turn.ts';

/** Rows read for one page of members; a page of a list that many left may end early. */
const membersReadMax = 2_000;
const item = fieldNumber.ListItemInfo;
const memberFields = fieldNumber.GetListMembersResponse;

/**
 * About what takes to look into the lists that an actor is on, to write a member and to look
 * whether it opted out.
 */
const micros = { listed: 6, member: 3, optOut: 8 } as const;

export type MembersRequest = PageRequest & { readonly listUri: string; readonly viewerDid: string };

/** Writes a page of a list's members, newest first. Errors: `InvalidArgument` for a bad token. */
export function* writeListMembers(
  into: MessageWriter,
  lookup: SlotLookup,
  request: MembersRequest,
  turn: Turn,
): SlicedRead<void> {
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
  let from = walk;
  for (let isEnd = false; !isEnd; ) {
    // No scan of storage is open while others have their turn.
    const rows = [...walkRows(state.rows, from, limit + 1)];
    isEnd = rows.length <= limit;
    for (const { key, value } of rows) {
      const isOut = optOuts.has(value);
      const isShown = !isOut || isOwner;
      // A full page goes on only if another member is shown.
      if ((isShown && shown === limit) || read++ === membersReadMax) {
        into.textField(memberFields.cursor, keyToken(last!, walk.prefix.length));
        return;
      }
      last = key;
      if (isShown) {
        shown++;
        writeMember(into, list, readListMember(key, value, walk.prefix.length), isOut);
      }
      if (turn.isOver(micros.member + (optOuts.isAny ? micros.optOut : 0))) yield;
    }
    if (last !== null) from = { ...walk, start: last, after: last };
  }
  if (last === null) requireWhole(state);
}

function writeMember(into: MessageWriter, list: RecordRef, { did, itemRkey }: ListMember, isOut: boolean): void {
  const start = into.begin(memberFields.listitems, 1);
  into.textField(item.uri, recordUri({ did: list.did, collection: nsid.listItem, rkey: itemRkey }));
  into.textField(item.did, did);
  if (isOut) into.trueField(item.subjectOptedOut);
  into.end(start, 1);
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
    // A record may have a megabyte.
    if (turn.isOver(microsPerLook)) yield;
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
